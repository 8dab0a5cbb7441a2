"""From the API server's objects to what the portfolio is computed from: clients, subscriptions and plans, read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.api.clientorg import ClientStatus, OrgState
from clientorg.api.metric import Metric
from clientorg.domain import snapshots, subscription
from clientorg.domain.calendar import zone
from clientorg.domain.snapshots import Series
from clientorg.domain.subscription import Attention, Subscription, counting
from clientorg.domain.subscription_standing import ENDED, Standing, order_statuses, statuses
from clientorg.domain.timestamps import timestamp

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What reports need of a plan; the API's defaults where it is missing."""

    name: str = ""
    attention: Attention = field(default_factory=lambda: Attention(ZoneInfo("UTC")))
    inactive_days: int = 30
    low_allocation_percent: int = 50
    metrics: Mapping[str, Metric] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """What a client has of one license. None: not known."""

    granted: int | None
    used: int | None
    assigned: int | None


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """What reports need of a client.

    Attributes:
        admins: names of its own full admins, and of its reseller: who manages it besides the agency.
        users: contracted and used.
        active: when something that is reported last grew.
        ended: since when it is deactivated or its contract has ended; None of one that goes on.
        trends: as in status.trends; read when a report asks for it.
        words: what --search looks in.
    """

    namespace: str
    name: str
    display_name: str
    org_id: str
    state: str
    plan: str
    created: datetime | None
    ended: datetime | None
    licenses: Mapping[str, Held]
    users: tuple[int, int] | None
    active: datetime | None
    admins: tuple[str, ...]
    tags: tuple[str, ...]
    trends: Json | None
    counted: Mapping[str, int]
    words: tuple[str, ...]


def read_plan(item: Mapping[str, Any]) -> PlanFacts:
    """An OrgPlan."""
    spec: Mapping[str, Any] = item.get("spec") or {}
    terms = spec.get("subscriptions") or {}
    try:
        time_zone = zone(spec.get("timeZone", "UTC"))
    except ValueError:  # the operator's library knows others; a report is not refused for it
        time_zone = zone("UTC")
    return PlanFacts(
        name=item["metadata"]["name"],
        attention=Attention(
            time_zone,
            terms.get("expiringSoonDays", 90),
            terms.get("trialEndingDays", 7),
            terms.get("unpaidToleranceDays", 0),
        ),
        inactive_days=terms.get("inactiveDays", 30),
        low_allocation_percent=terms.get("lowAllocationPercent", 50),
        metrics={entry["name"]: Metric.model_validate(entry) for entry in spec.get("metrics") or ()},
    )


def read_client(item: Mapping[str, Any]) -> ClientFacts:
    """A ClientOrg."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    contact, users = spec.get("contact") or {}, status.get("users") or {}
    meters = status.get("meters") or ()
    counted: dict[str, int] = defaultdict(int)
    for meter in meters:
        counted[meter["license"]] += meter["total"]
    admins = [admin["name"] for admin in spec.get("admins") or () if admin.get("role") == "Full"]
    reseller = (spec.get("reseller") or {}).get("name")
    deactivation, termination = status.get("deactivation") or {}, status.get("termination") or {}
    tags = tuple(spec.get("tags") or ())
    return ClientFacts(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        display_name=spec.get("displayName", ""),
        org_id=status.get("orgID", ""),
        state="Deleting" if metadata.get("deletionTimestamp") else status.get("state", ""),
        plan=(spec.get("planRef") or {}).get("name", ""),
        created=timestamp(metadata.get("creationTimestamp")),
        ended=timestamp(deactivation.get("since") or termination.get("executedTime")),
        licenses={
            entry["name"]: Held(entry.get("granted"), entry.get("used"), entry.get("assigned"))
            for entry in status.get("licenses") or ()
        },
        users=(users["contracted"], users["used"]) if "used" in users else None,
        active=_newest(meters),
        admins=tuple(admins) + ((reseller,) if reseller else ()),
        tags=tags,
        trends=status.get("trends"),
        counted=counted,
        words=(
            *(metadata["name"], spec.get("displayName", ""), spec.get("organization", ""), contact.get("email", "")),
            *(contact.get("firstName", ""), contact.get("lastName", ""), status.get("orgID", ""), *tags),
        ),
    )


def _newest(meters: Iterable[Mapping[str, Any]]) -> datetime | None:
    """A meter's time is that of its last growth: a report that says nothing new does not move it."""
    newest = max((meter["observedTime"] for meter in meters), default=None)  # RFC 3339 in UTC sorts as text
    return timestamp(newest)


@dataclass(frozen=True, slots=True)
class Holding:
    """A client with what it subscribed to, or an order without a client.

    Attributes:
        subscriptions: those that count.
        statuses: at the moment the portfolio is of.
        series: its snapshots until that moment.
        licenses: what it has then.
        is_ended: deactivated, terminated, purged or rejected then.
    """

    client: ClientFacts | None
    plan: PlanFacts
    subscriptions: tuple[Subscription, ...]
    statuses: tuple[ClientStatus, ...]
    series: Series
    licenses: Mapping[str, Held]
    is_ended: bool


@dataclass(frozen=True, slots=True)
class Portfolio:
    """All clients and orders as of a moment.

    Attributes:
        as_of: the moment it is of.
        is_past: it is before now: what clients have and use is that of the last snapshot before it.
    """

    as_of: datetime
    is_past: bool
    holdings: tuple[Holding, ...]

    @property
    def clients(self) -> list[Holding]:
        """Those that are clients and not at their end."""
        return [holding for holding in self.holdings if holding.client is not None and not holding.is_ended]


def portfolio(
    clients: Iterable[ClientFacts],
    subscriptions: Iterable[Subscription],
    plans: Mapping[tuple[str, str], PlanFacts],
    now: datetime,
    as_of: datetime | None = None,
) -> Portfolio:
    """The portfolio as of a moment, by default now.

    Terms, renewals and due dates are told for any moment, also one to come, from the specs as they are now. What is
    granted, assigned and used is known of now, and of the snapshots before; of a moment to come it is that of now.

    Args:
        plans: by namespace and name.
    """
    as_of = as_of or now
    by_client: dict[tuple[str, str], list[Subscription]] = defaultdict(list)
    orders: list[Subscription] = []
    for item in subscriptions:
        if item.client is None:
            orders.append(item)
        else:
            by_client[item.namespace, item.client].append(item)
    is_past = as_of < now
    holdings = [
        _holding(client, by_client.get((client.namespace, client.name), ()), plans, as_of, is_past=is_past)
        for client in clients
        if client.created is None or client.created <= as_of or client.created > now
    ]
    holdings += [
        Holding(None, PlanFacts(), (order,), order_statuses(order), snapshots.EMPTY, {}, is_ended=False)
        for order in orders
        if order.ordered is None or order.ordered <= as_of or order.ordered > now
    ]
    return Portfolio(as_of, is_past, tuple(holdings))


def _holding(
    client: ClientFacts,
    subscriptions: Sequence[Subscription],
    plans: Mapping[tuple[str, str], PlanFacts],
    as_of: datetime,
    *,
    is_past: bool,
) -> Holding:
    plan = plans.get((client.namespace, client.plan)) or PlanFacts(client.plan)
    counted = counting(subscriptions, plan.attention.time_zone)
    series = snapshots.read(client.trends)
    state = OrgState(client.state) if client.state else None
    licenses = client.licenses
    if is_past:
        series, licenses = _until(series, as_of), _as_snapped(series, as_of)
        if client.ended is not None and client.ended > as_of and state in ENDED:
            state = OrgState.ACTIVE  # it ended later
    standing = Standing(
        state=state,
        subscriptions=counted,
        granted={name: held.granted or 0 for name, held in licenses.items()},
        used={name: held.used for name, held in licenses.items() if held.used is not None},
        users=None if is_past else client.users,
        active=None if is_past else client.active,
    )
    told = statuses(standing, as_of, plan.attention, plan.inactive_days)
    return Holding(client, plan, tuple(counted), told, series, licenses, is_ended=state in ENDED)


def _until(series: Series, as_of: datetime) -> Series:
    last = snapshots.sunday(as_of)
    return Series(
        tuple(week for week in series.weeks if week <= last),
        {
            name: {column: {w: v for w, v in values.items() if w <= last} for column, values in columns.items()}
            for name, columns in series.licenses.items()
        },
        {name: {w: v for w, v in values.items() if w <= last} for name, values in series.metrics.items()},
    )


def _as_snapped(series: Series, as_of: datetime) -> dict[str, Held]:
    """What the last snapshot before the moment says; nothing where that one was missed."""
    week = snapshots.sunday(as_of)
    if week not in series.weeks:
        return {}
    return {
        name: Held(*(series.of(name, column).get(week) for column in ("allocated", "used", "assigned")))
        for name in series.licenses
    }


def read_subscriptions(items: Iterable[Mapping[str, Any]]) -> list[Subscription]:
    """Subscriptions; one that cannot be read (from before its newest rules) is left out."""
    found = []
    for item in items:
        try:
            found.append(subscription.read(item))
        except (KeyError, ValueError, ArithmeticError):
            continue
    return found


def born(holding: Holding, as_of: datetime) -> datetime:
    """When a client began. One that does not say, or is newer by the server's clock than by a stepped one (X7), began
    before its first snapshot."""
    created = holding.client.created if holding.client is not None else None
    first = holding.series.weeks[0] if holding.series.weeks else as_of.date()
    if created is not None and created <= as_of and created.date() <= first:
        return created
    return datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=7)
