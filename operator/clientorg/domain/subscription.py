"""Terms, renewals and invoices of subscriptions (FEATURES W1, W5, W6, W14). Pure.

Days are those of the client's plan's time zone. A term's end is counted from its anchor and never from the end before
(DESIGN rule 5): the subscription begun on 31 January renews on 28 February and on 31 March.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.api.subscription import InvoiceState, SubscriptionState, SubscriptionType
from clientorg.domain.calendar import add_days, add_months
from clientorg.domain.timestamps import timestamp

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice.

    Attributes:
        amount: exact, as it is written; below zero of a credit note.
        due: last day on which it is paid in time.
    """

    number: str
    issued: date | None
    due: date
    amount: Decimal
    currency: str
    state: InvoiceState
    paid: date | None
    url: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as its spec has it.

    Attributes:
        client: None of an order that is not set up.
        products: product to licenses.
        months: length of a term in calendar months; None where it is in days, or only one term is given.
        renewal: end of the first term, where the spec names it.
        ordered: when it was ordered.
    """

    namespace: str
    name: str
    order_id: str
    client: str | None
    type: SubscriptionType
    products: Mapping[str, int]
    start: date
    months: int | None
    days: int | None
    renewal: date | None
    auto_renew: bool
    invoices: tuple[Invoice, ...]
    ordered: datetime | None
    customer: str = ""

    @property
    def is_trial(self) -> bool:
        """Whether nothing is paid for it."""
        return self.type is SubscriptionType.TRIAL


@dataclass(frozen=True, slots=True)
class Term:
    """One term: from its start to the moment it no longer covers.

    Attributes:
        number: 1 is the first.
    """

    number: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Attention:
    """When subscriptions need attention, as the plan has it; in days."""

    time_zone: ZoneInfo
    expiring_soon_days: int = 90
    trial_ending_days: int = 7
    unpaid_tolerance_days: int = 0


def read(manifest: Json) -> Subscription:
    """A Subscription, as the API server gives it.

    Raises:
        KeyError, ValueError: the CRD does not admit it.
    """
    metadata, spec = manifest["metadata"], manifest["spec"]
    term, order = spec.get("term") or {}, spec["order"]
    return Subscription(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        order_id=order["id"],
        client=(spec.get("clientRef") or {}).get("name"),
        type=SubscriptionType(spec["type"]),
        products={item["name"]: item["licenses"] for item in spec["products"]},
        start=date.fromisoformat(spec["startDate"]),
        months=term.get("months"),
        days=term.get("days"),
        renewal=_day(spec.get("renewalDate")),
        auto_renew=bool(spec.get("autoRenew")),
        invoices=tuple(_invoice(item) for item in spec.get("invoices") or ()),
        ordered=timestamp(order.get("time") or metadata.get("creationTimestamp")),
        customer=(spec.get("customer") or {}).get("displayName", ""),
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _invoice(item: Json) -> Invoice:
    return Invoice(
        number=item["number"],
        issued=_day(item.get("issueDate")),
        due=date.fromisoformat(item["dueDate"]),
        amount=Decimal(item["amount"]),
        currency=item["currency"],
        state=InvoiceState(item.get("state", "Open")),
        paid=_day(item.get("paidDate")),
        url=item.get("url", ""),
    )


@lru_cache(maxsize=4096)
def begins(day: date, time_zone: ZoneInfo) -> datetime:
    """When the day begins in the time zone, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=time_zone).astimezone(UTC)


def _end_of(subscription: Subscription, number: int, time_zone: ZoneInfo) -> datetime:
    """The end of a term, from the anchor: the renewal date where there is one, else the start."""
    months = subscription.months or 0
    if subscription.renewal is not None:
        return _moved(subscription.renewal, months * (number - 1), 0, time_zone)
    if subscription.days is not None:
        return _moved(subscription.start, 0, subscription.days * number, time_zone)
    return _moved(subscription.start, months * number, 0, time_zone)


@lru_cache(maxsize=4096)  # asked several times of each subscription, and many begin on the same day
def _moved(day: date, months: int, days: int, time_zone: ZoneInfo) -> datetime:
    start = begins(day, time_zone)
    return add_days(start, days, time_zone) if days else add_months(start, months, time_zone)


def term_at(subscription: Subscription, now: datetime, time_zone: ZoneInfo) -> Term:
    """The term that runs; the first where none has begun; the last where all have ended."""
    number = 1
    end = _end_of(subscription, number, time_zone)
    if subscription.auto_renew and subscription.months and end <= now:
        local = now.astimezone(time_zone)
        anchor = subscription.renewal or subscription.start
        passed = (local.year - anchor.year) * 12 + local.month - anchor.month
        number = max(1, passed // subscription.months)  # not after the one that runs; at most two steps from here
        while (end := _end_of(subscription, number, time_zone)) <= now:
            number += 1
    start = begins(subscription.start, time_zone) if number == 1 else _end_of(subscription, number - 1, time_zone)
    return Term(number, start, end)


def renews(subscription: Subscription) -> bool:
    """Whether another term begins by itself."""
    return subscription.auto_renew and bool(subscription.months) and not subscription.is_trial


def overdue_from(invoice: Invoice, tolerance_days: int, time_zone: ZoneInfo) -> datetime:
    """When an open invoice is overdue: at the end of its due date, plus the plan's tolerance."""
    return begins(invoice.due + timedelta(days=1 + tolerance_days), time_zone)


def overdue(subscription: Subscription, now: datetime, terms: Attention) -> Invoice | None:
    """The invoice that has been overdue longest; None where none is. A credit note is owed to the client, not by it."""
    late = [
        invoice
        for invoice in subscription.invoices
        if invoice.state is InvoiceState.OPEN
        and invoice.amount > 0
        and overdue_from(invoice, terms.unpaid_tolerance_days, terms.time_zone) <= now
    ]
    return min(late, key=lambda invoice: (invoice.due, invoice.number), default=None)


def state_of(subscription: Subscription, now: datetime, terms: Attention) -> SubscriptionState:
    """The one word for a subscription, the most urgent first."""
    term = term_at(subscription, now, terms.time_zone)
    if subscription.client is None:
        return SubscriptionState.READY_TO_SET_UP
    if overdue(subscription, now, terms) is not None:
        return SubscriptionState.SUSPENDED_UNPAID
    if now >= term.end:
        return SubscriptionState.EXPIRED
    if now < term.start:
        return SubscriptionState.SCHEDULED
    if expires_soon(subscription, term, now, terms):
        return SubscriptionState.EXPIRING_SOON
    return SubscriptionState.TRIAL if subscription.is_trial else SubscriptionState.ACTIVE


def expires_soon(subscription: Subscription, term: Term, now: datetime, terms: Attention) -> bool:
    """Whether it runs, ends without renewing, and that is near."""
    if renews(subscription) or not term.start <= now < term.end:
        return False
    days = terms.trial_ending_days if subscription.is_trial else terms.expiring_soon_days
    return now >= add_days(term.end, -days, terms.time_zone)


def next_change(subscription: Subscription, now: datetime, terms: Attention) -> datetime | None:
    """When the passing of time changes something next; None where it does not."""
    term, zone = term_at(subscription, now, terms.time_zone), terms.time_zone
    days = terms.trial_ending_days if subscription.is_trial else terms.expiring_soon_days
    times = [term.start, term.end]
    times += [] if renews(subscription) else [add_days(term.end, -days, zone)]
    times += [
        overdue_from(invoice, terms.unpaid_tolerance_days, zone)
        for invoice in subscription.invoices
        if invoice.state is InvoiceState.OPEN and invoice.amount > 0
    ]
    return min((time for time in times if time > now), default=None)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Why a subscription does not count: another one covers the same product at the same time.

    Attributes:
        other: name of the one that counts.
        product: what both cover.
    """

    other: str
    product: str
    start: date
    end: date | None


def overlaps(subscriptions: Iterable[Subscription], time_zone: ZoneInfo) -> dict[str, Overlap]:
    """Which of one client's subscriptions do not count, by name: a product is covered at a time by one of a type.

    The one that starts earlier counts, of two the one whose name sorts first, so that everybody judges alike. A trial
    and what is bought after it may overlap: that is a conversion. One that renews by itself has no end.
    """
    kept: list[Subscription] = []
    found: dict[str, Overlap] = {}
    for item in sorted(subscriptions, key=lambda item: (item.start, item.name)):
        before = next((other for other in kept if _clash(item, other, time_zone)), None)
        if before is None:
            kept.append(item)
            continue
        end = _span(before, time_zone)[1]
        product = min(before.products.keys() & item.products.keys())
        day = end.astimezone(time_zone).date() if end is not None else None
        found[item.name] = Overlap(before.name, product, before.start, day)
    return found


def _clash(one: Subscription, other: Subscription, time_zone: ZoneInfo) -> bool:
    if one.type is not other.type or not one.products.keys() & other.products.keys():
        return False
    (start, end), (other_start, other_end) = _span(one, time_zone), _span(other, time_zone)
    return (other_end is None or start < other_end) and (end is None or other_start < end)


def _span(subscription: Subscription, time_zone: ZoneInfo) -> tuple[datetime, datetime | None]:
    start = begins(subscription.start, time_zone)
    return start, None if renews(subscription) else _end_of(subscription, 1, time_zone)


def counting(subscriptions: Sequence[Subscription], time_zone: ZoneInfo) -> list[Subscription]:
    """Those of one client that count: without the ones that overlap an earlier one."""
    if len(subscriptions) < 2:
        return list(subscriptions)
    left_out = overlaps(subscriptions, time_zone)
    return [item for item in subscriptions if item.name not in left_out]
