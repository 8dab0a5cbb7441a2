"""Rows of licenses and the KPIs, from the portfolio (FEATURES W8, W9). Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from clientorg.api.clientorg import ClientStatus
from clientorg.api.trends import WEEKS
from clientorg.domain import snapshots
from clientorg.domain.metrics import growth
from clientorg.domain.subscription import Attention, Subscription, Term, renews, state_of, term_at
from clientorg.domain.usage import percent_used
from clientorg.reports.portfolio import LicenseRow, ProductTotal, Summary
from clientorg.reports.portfolio_read import ClientFacts, Held, Holding, Portfolio, born

OWN: Final = "own"
EXTERNAL: Final = "external"
USERS: Final = "users"
"""Product of the row that tells of users beyond the contract."""
_DAY: Final = timedelta(days=1)
_NOTHING: Final = Held(None, None, None)


def license_rows(portfolio: Portfolio) -> list[LicenseRow]:
    """A row for each product of each subscription, and of each client without one. Ended clients have none."""
    return [row for holding in portfolio.holdings if not holding.is_ended for row in _rows_of(holding, portfolio.as_of)]


def _rows_of(holding: Holding, as_of: datetime) -> Iterator[LicenseRow]:
    attention = holding.plan.attention
    running: Counter[str] = Counter()
    for item in holding.subscriptions:
        term = term_at(item, as_of, attention.time_zone)
        if term.start <= as_of < term.end:
            running.update(item.products)
    for item in holding.subscriptions:
        for product, total in item.products.items():
            yield _row(holding, item, product, total, running.get(product) or total, as_of)
    covered = {product for item in holding.subscriptions for product in item.products}
    for product, held in holding.licenses.items():
        if product not in covered:
            yield _row(holding, None, product, held.granted, held.granted, as_of)


def _row(
    holding: Holding, item: Subscription | None, product: str, total: int | None, all_total: int | None, as_of: datetime
) -> LicenseRow:
    client, attention = holding.client, holding.plan.attention
    held = holding.licenses.get(product, _NOTHING)
    term = term_at(item, as_of, attention.time_zone) if item is not None else None
    added = item.ordered if item is not None and item.ordered is not None else client.created if client else None
    taken = held.assigned if held.assigned is not None else held.used
    usage, weeks = _three_months(holding, product, as_of)
    week = snapshots.sunday(as_of)
    return LicenseRow(
        namespace=client.namespace if client is not None else item.namespace if item is not None else "",
        client=client.name if client is not None else "",
        display_name=client.display_name if client is not None else item.customer if item is not None else "",
        org_id=client.org_id if client is not None else "",
        state=client.state if client is not None else "",
        statuses=holding.statuses,
        subscription=item.name if item is not None else "",
        order_id=item.order_id if item is not None else "",
        type=item.type if item is not None else None,
        subscription_state=state_of(item, as_of, attention) if item is not None else None,
        product=product,
        added=added,
        days_since=None if added is None else math.floor((as_of - added) / _DAY),
        starts=term.start if term is not None else None,
        ends=term.end if term is not None else None,
        days_until=None if term is None else math.ceil((term.end - as_of) / _DAY),
        auto_renew=None if item is None else renews(item),
        total=total,
        allocated=held.granted,
        used=held.used,
        assigned=held.assigned,
        available=None if all_total is None or client is None else all_total - (taken or 0),
        assigned_weekly_change=growth(holding.series.of(product, "assigned"), week),
        used_weekly_change=growth(holding.series.of(product, "used"), week),
        usage_three_months=usage,
        usage_weeks=weeks,
        months_left=_months_left(term, as_of, attention),
        runway_months=_runway(held, usage, weeks),
        percent=None if taken is None or all_total is None else percent_used(taken, all_total),
        over_by=max(0, (held.used or 0) - (held.granted or 0)) if held.granted is not None else 0,
        managed_by=client.admins if client is not None else (),
        tags=client.tags if client is not None else (),
    )


def _three_months(holding: Holding, product: str, as_of: datetime) -> tuple[int | None, int]:
    """What was used within 13 weeks until the moment, and how many weeks that covers.

    From the oldest snapshot of that time on; of a client younger than that from its beginning, when nothing was used.
    """
    client, column = holding.client, holding.series.of(product, "counted")
    if client is None:
        return None, 0
    weeks = snapshots.last_weeks(as_of, WEEKS)
    live = client.counted.get(product)
    last = max(column, default=None)
    now = live if live is not None and not _is_past(holding, client) else column.get(last) if last is not None else None
    if now is None:
        return None, 0
    age = math.ceil((as_of - born(holding, as_of)) / (7 * _DAY))
    if as_of - (WEEKS * 7) * _DAY < born(holding, as_of) == client.created:
        return now, min(WEEKS, max(1, age))
    first = next((week for week in weeks if week in column), None)
    if first is None:
        return None, 0
    return now - column[first], (weeks[-1] - first).days // 7 + 1


def _is_past(holding: Holding, client: ClientFacts) -> bool:
    return holding.licenses is not client.licenses


def _months_left(term: Term | None, as_of: datetime, attention: Attention) -> int | None:
    if term is None:
        return None
    if term.end <= as_of:
        return 0
    end, now = term.end.astimezone(attention.time_zone), as_of.astimezone(attention.time_zone)
    months = (end.year - now.year) * 12 + end.month - now.month
    return months - ((end.day, end.time()) < (now.day, now.time()))


def _runway(held: Held, usage: int | None, weeks: int) -> int | None:
    """Whole months that what is left lasts, a quarter being 13 weeks; None where nothing is used up."""
    if held.granted is None or held.used is None or not usage or usage <= 0 or not weeks:
        return None
    return max(0, held.granted - held.used) * 3 * weeks // (usage * WEEKS)


# -- the tables of row W9 ---------------------------------------------------------------------------------------------


def recent(rows: Iterable[LicenseRow], within_days: int) -> list[LicenseRow]:
    """Added within so many days, the newest first."""
    found = [row for row in rows if row.days_since is not None and 0 <= row.days_since < within_days]
    return sorted(found, key=lambda row: (row.days_since or 0, row.key))


def expiring(rows: Iterable[LicenseRow], within_days: int) -> list[LicenseRow]:
    """Whose subscription ends within so many days and does not renew, the nearest first."""
    return _ending(rows, within_days, auto_renew=False)


def renewing(rows: Iterable[LicenseRow], within_days: int) -> list[LicenseRow]:
    """Whose subscription renews by itself within so many days, the nearest first."""
    return _ending(rows, within_days, auto_renew=True)


def _ending(rows: Iterable[LicenseRow], within_days: int, *, auto_renew: bool) -> list[LicenseRow]:
    found = [
        row
        for row in rows
        if row.client and row.auto_renew is auto_renew and row.days_until and 0 < row.days_until <= within_days
    ]
    return sorted(found, key=lambda row: (row.days_until or 0, row.key))


def low_allocation(rows: Iterable[LicenseRow], portfolio: Portfolio) -> list[LicenseRow]:
    """Of whose licenses fewer percent are taken than the plan expects, the lowest first."""
    least = {
        (item.client.namespace, item.client.name): item.plan.low_allocation_percent
        for item in portfolio.holdings
        if item.client is not None
    }
    found = [
        row
        for row in rows
        if row.client and row.percent is not None and row.total and _runs(row, portfolio.as_of)
        if row.percent < least.get((row.namespace, row.client), 0)
    ]
    return sorted(found, key=lambda row: (row.percent or 0, row.key))


def _runs(row: LicenseRow, as_of: datetime) -> bool:
    return row.starts is None or row.ends is None or row.starts <= as_of < row.ends


def over_limit(rows: Iterable[LicenseRow]) -> list[LicenseRow]:
    """Of which more is used than granted, the farthest over first."""
    return sorted((row for row in rows if row.over_by), key=lambda row: (-row.over_by, row.key))


def summary(portfolio: Portfolio, rows: Iterable[LicenseRow], within_days: int) -> Summary:
    """The KPIs of the portfolio; `rows` are its license rows, of which each client is counted once."""
    rows = list(rows)
    counts: Counter[ClientStatus] = Counter()
    for holding in portfolio.holdings:
        counts.update(holding.statuses)
    clients = portfolio.clients
    missed = sorted(
        {
            week
            for item in clients
            if item.client is not None and item.series.weeks
            for week in snapshots.missed(item.series.weeks, born(item, portfolio.as_of), portfolio.as_of)
            if week > item.series.weeks[0]
        }
    )

    def number(found: Iterable[LicenseRow]) -> int:
        return len({(row.namespace, row.client) for row in found})

    return Summary(
        as_of=portfolio.as_of,
        within_days=within_days,
        clients=len(clients),
        by_status={status: counts.get(status, 0) for status in ClientStatus},
        recent=number(row for row in recent(rows, within_days) if row.client),
        expiring=number(expiring(rows, within_days)),
        renewing=number(renewing(rows, within_days)),
        low_allocation=number(low_allocation(rows, portfolio)),
        over_limit=counts.get(ClientStatus.OVER_LIMIT, 0),
        trials=counts.get(ClientStatus.TRIAL, 0),
        suspended_unpaid=counts.get(ClientStatus.SUSPENDED_UNPAID, 0),
        ready_to_set_up=counts.get(ClientStatus.READY_TO_SET_UP, 0),
        products=_totals(clients),
        missed_weeks=tuple(missed),
    )


def _totals(clients: Iterable[Holding]) -> tuple[ProductTotal, ...]:
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for holding in clients:
        for item in holding.subscriptions:
            for product, quantity in item.products.items():
                totals[product]["total"] += quantity
        for product, held in holding.licenses.items():
            totals[product].update(
                {
                    "allocated": held.granted or 0,
                    **({"assigned": held.assigned} if held.assigned is not None else {}),
                    **({"used": held.used} if held.used is not None else {}),
                }
            )
    return tuple(
        ProductTotal(product, found["total"], found["allocated"], found.get("assigned"), found.get("used"))
        for product, found in sorted(totals.items())
    )
