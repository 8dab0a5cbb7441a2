"""The portfolio as rows: what reports and the dashboard show, before it is a table or a page (FEATURES W8-W11, A6).

Times are moments in UTC, durations whole days or months, quantities whole numbers. None means: not known, not reported,
or does not apply; nothing is made up for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from clientorg.api.clientorg import ClientStatus
from clientorg.api.metric import Better, MetricKind
from clientorg.api.subscription import SubscriptionState, SubscriptionType


@dataclass(frozen=True, slots=True)
class LicenseRow:
    """One product of one subscription of a client, or of a client without subscriptions: the columns of row W9.

    Attributes:
        client: name of the ClientOrg; empty of an order that is not set up.
        statuses: of the client (of the order, where there is no client), the most urgent first.
        state: status.state of the client; empty where there is none.
        subscription: name of the Subscription; empty where there is none.
        order_id: the subscription's ID with the seller.
        product: the license.
        added: when the client was added: its first subscription was ordered, or else it was created.
        days_since: days since then, rounded down.
        starts, ends: the running term; ends is its first moment that is not covered.
        days_until: days until it ends, rounded up; below zero when it has ended.
        auto_renew: None without a subscription.
        total: licenses bought; without a subscription those that are granted.
        allocated: granted by the pool.
        used: in the running period of the license.
        assigned: to users.
        available: total minus assigned, or minus used where nobody reports what is assigned; below zero when over.
            Where several running subscriptions have the product, of all their licenses together; so is percent.
        assigned_weekly_change, used_weekly_change: between the last two weekly snapshots.
        usage_three_months: what was used in the last 13 weeks.
        usage_weeks: weeks that this covers; fewer than 13 where snapshots are missing or the client is new.
        months_left: whole months until the term ends.
        runway_months: whole months that the remaining licenses last at the average of usage_three_months.
        percent: of the total that is taken (assigned, or used), rounded down; may exceed 100.
        over_by: how many more are used than granted; 0 where none.
        managed_by: `own`, or the names of the client's own full admins and its reseller.
    """

    namespace: str
    client: str
    display_name: str
    org_id: str
    state: str
    statuses: tuple[ClientStatus, ...]
    subscription: str
    order_id: str
    type: SubscriptionType | None
    subscription_state: SubscriptionState | None
    product: str
    added: datetime | None
    days_since: int | None
    starts: datetime | None
    ends: datetime | None
    days_until: int | None
    auto_renew: bool | None
    total: int | None
    allocated: int | None
    used: int | None
    assigned: int | None
    available: int | None
    assigned_weekly_change: int | None
    used_weekly_change: int | None
    usage_three_months: int | None
    usage_weeks: int
    months_left: int | None
    runway_months: int | None
    percent: int | None
    over_by: int
    managed_by: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What no other row of a report has."""
        return self.namespace, self.client, self.subscription, self.product


@dataclass(frozen=True, slots=True)
class ProductTotal:
    """All licenses of one product."""

    product: str
    total: int
    allocated: int
    assigned: int | None
    used: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The KPIs of row W8, and what else is seen at a glance. Counts are of clients, each once.

    Attributes:
        as_of: the moment that it is true of.
        within_days: the window of expiring, renewing and recent.
        clients: all clients that are not rejected, deactivated, terminated or purged.
        by_status: every status to how many have it; a client with several counts in each.
        expiring, renewing: whose running term ends in the window, without and with auto-renew.
        ready_to_set_up: orders, not clients.
        missed_weeks: Sundays of the last 13 weeks that there is no snapshot of, though clients were there.
    """

    as_of: datetime
    within_days: int
    clients: int
    by_status: dict[ClientStatus, int]
    recent: int
    expiring: int
    renewing: int
    low_allocation: int
    over_limit: int
    trials: int
    suspended_unpaid: int
    ready_to_set_up: int
    products: tuple[ProductTotal, ...]
    missed_weeks: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One product in one week, over the selected clients (row W10). A week that was missed has None throughout.

    Attributes:
        week: the Sunday (00:00 UTC) of the snapshot.
        used_in_week: growth since the snapshot a week before; None where that is missing.
        clients: how many have a snapshot of the week.
        missing: how many were there and have none: sums of that week are too low by theirs.
    """

    product: str
    week: date
    allocated: int | None
    assigned: int | None
    used: int | None
    used_in_week: int | None
    clients: int
    missing: int


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """A metric as plans declare it."""

    name: str
    display_name: str
    unit: str
    kind: MetricKind
    better: Better


@dataclass(frozen=True, slots=True)
class WeekValue:
    """A metric's value of one week; None where it was missed or not reported. A Ratio is not rounded."""

    week: date
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One product metric of one client over 8 weeks (row W11), oldest first.

    Attributes:
        latest: value of the last week; None where that was missed.
        change: latest minus the week before.
        is_better: whether the change is for the better; None where there is none.
        missed: how many of the weeks have no value though the client was there.
    """

    namespace: str
    client: str
    display_name: str
    plan: str
    metric: MetricInfo
    weeks: tuple[WeekValue, ...]
    latest: Decimal | None
    change: Decimal | None
    is_better: bool | None
    missed: int


@dataclass(frozen=True, slots=True)
class PerformanceRow:
    """One client's value of one metric, compared with the others' (row A6).

    Attributes:
        metric: a product metric, or a license, whose weekly use is compared.
        latest: of the last week.
        average: of the client's weeks that are known.
        median: of all compared clients' latest values.
        rank: 1 is the best, by the metric's better way; equal values have the same rank. None without a value.
        of: how many clients have a rank.
    """

    namespace: str
    client: str
    display_name: str
    statuses: tuple[ClientStatus, ...]
    plan: str
    metric: MetricInfo
    latest: Decimal | None
    change: Decimal | None
    is_better: bool | None
    average: Decimal | None
    median: Decimal | None
    rank: int | None
    of: int


@dataclass(frozen=True, slots=True)
class Filter:
    """The filters of row W4. Several values of one kind mean any of them, several tags or words all of them.

    Attributes:
        managed_by: `own`, `external`, or the name of an admin or reseller.
        statuses: of ClientStatus.
        types: of SubscriptionType.
        search: words that all occur in name, display name, organization, contact, email, Org ID, tags or order ID.
    """

    managed_by: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    statuses: tuple[ClientStatus, ...] = ()
    types: tuple[SubscriptionType, ...] = ()
    tags: tuple[str, ...] = ()
    search: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether anything is filtered at all."""
        return self != Filter()
