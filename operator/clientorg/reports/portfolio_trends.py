"""Use over time, product metrics and the comparison of clients, from weekly snapshots (FEATURES W10, W11, A6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from statistics import median
from typing import Final

from clientorg.api.metric import Better, Metric, MetricKind
from clientorg.api.trends import WEEKS
from clientorg.domain import snapshots
from clientorg.domain.metrics import growth, is_better, weekly
from clientorg.errors import InputError
from clientorg.reports.portfolio import MetricInfo, MetricRow, PerformanceRow, UsageRow, WeekValue
from clientorg.reports.portfolio_read import ClientFacts, Holding, Portfolio, born

METRIC_WEEKS: Final = 8
"""Row W11 shows so many."""
USE_PREFIX: Final = "use:"
"""Before a license's name: its weekly use as a metric. No product metric can be called so."""


def usage_rows(portfolio: Portfolio, weeks: int = WEEKS) -> list[UsageRow]:
    """For each product and week what all clients had and used, oldest first; a missed week has a row that says so."""
    clients = [(item, born(item, portfolio.as_of).date()) for item in portfolio.clients]
    products = sorted({name for item, _ in clients for name in item.series.licenses})
    sundays = snapshots.last_weeks(portfolio.as_of, weeks)
    taken = {week for item, _ in clients for week in item.series.weeks}
    first = min(taken, default=None)
    return [
        _usage_row(product, week, clients)
        for product in products
        for week in sundays
        if first is not None and week >= first and (week in taken or week < portfolio.as_of.date())
    ]


def _usage_row(product: str, week: date, clients: Sequence[tuple[Holding, date]]) -> UsageRow:
    there = [item for item, began in clients if began < week]
    have = [item for item in there if week in item.series.weeks]

    def total(column: str) -> int | None:
        values = [item.series.of(product, column).get(week) for item in have]
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    grown = [growth(item.series.of(product, "counted"), week) for item in have]
    known = [value for value in grown if value is not None]
    return UsageRow(
        product=product,
        week=week,
        allocated=total("allocated"),
        assigned=total("assigned"),
        used=total("used"),
        used_in_week=sum(known) if known else None,
        clients=len(have),
        missing=len(there) - len(have),
    )


def declared_metrics(portfolio: Portfolio) -> dict[str, dict[str, Metric]]:
    """Metric to plan to its declaration there, of the plans that clients are on."""
    found: dict[str, dict[str, Metric]] = {}
    for item in portfolio.clients:
        for name, metric in item.plan.metrics.items():
            found.setdefault(name, {})[item.plan.name] = metric
    return found


def metric_rows(portfolio: Portfolio, name: str, weeks: int = METRIC_WEEKS) -> list[MetricRow]:
    """One product metric of each client whose plan declares it, over the last weeks.

    Raises:
        InputError: no plan declares it, or plans declare it differently.
    """
    _check_declared(portfolio, name)
    sundays = snapshots.last_weeks(portfolio.as_of, weeks)
    return [
        _metric_row(item, client, item.plan.metrics[name], sundays, portfolio)
        for item in portfolio.clients
        if (client := item.client) is not None and name in item.plan.metrics
    ]


def _check_declared(portfolio: Portfolio, name: str) -> None:
    declared = declared_metrics(portfolio)
    if name not in declared:
        known = ", ".join(sorted(declared)) or "none"
        raise InputError(
            f"METRIC: no plan of these clients declares a metric {name!r} in spec.metrics; they declare {known}"
        )
    forms: dict[tuple[object, ...], list[str]] = {}
    for plan, metric in sorted(declared[name].items()):
        shape = (metric.kind, metric.unit, metric.better, metric.numerator, metric.denominator)
        forms.setdefault(shape, []).append(plan)
    if len(forms) > 1:
        told = "; ".join(f"{', '.join(plans)}: {shape[0]} in {shape[1]}" for shape, plans in forms.items())
        raise InputError(
            f"METRIC: {name!r} is declared differently by plans ({told}), so that its values cannot stand beside each "
            "other; declare it alike, or give one of them another name"
        )


def _info(metric: Metric) -> MetricInfo:
    kind, better = MetricKind(metric.kind), Better(metric.better)
    return MetricInfo(metric.name, metric.display_name or metric.name, metric.unit, kind, better)


def _metric_row(
    item: Holding, client: ClientFacts, metric: Metric, sundays: Sequence[date], portfolio: Portfolio
) -> MetricRow:
    values = tuple(WeekValue(week, weekly(metric, item.plan.metrics, item.series, week)) for week in sundays)
    latest, change = _last_two([entry.value for entry in values])
    there = snapshots.missed(item.series.weeks, born(item, portfolio.as_of), portfolio.as_of)
    return MetricRow(
        namespace=client.namespace,
        client=client.name,
        display_name=client.display_name,
        plan=item.plan.name,
        metric=_info(metric),
        weeks=values,
        latest=latest,
        change=change,
        is_better=is_better(metric.better, change),
        missed=sum(1 for week in sundays if week in there),
    )


def _last_two(values: Sequence[Decimal | None]) -> tuple[Decimal | None, Decimal | None]:
    latest = values[-1] if values else None
    before = values[-2] if len(values) > 1 else None
    return latest, None if latest is None or before is None else latest - before


def performance_rows(portfolio: Portfolio, weeks: int = METRIC_WEEKS) -> list[PerformanceRow]:
    """Each client's weekly use of each license, and each of its metrics, ranked among those that declare it alike."""
    sundays = snapshots.last_weeks(portfolio.as_of, weeks)
    groups: dict[MetricInfo, list[tuple[Holding, ClientFacts, list[Decimal | None]]]] = {}
    for item in portfolio.clients:
        if item.client is not None:
            for info, values in _values(item, sundays):
                groups.setdefault(info, []).append((item, item.client, values))
    return [
        row for info in sorted(groups, key=lambda info: (info.name, info.unit)) for row in _ranked(info, groups[info])
    ]


def _values(item: Holding, sundays: Sequence[date]) -> Iterator[tuple[MetricInfo, list[Decimal | None]]]:
    for name in item.series.licenses:
        column: Mapping[date, int] = item.series.of(name, "counted")
        if column:
            grown = [growth(column, week) for week in sundays]
            info = MetricInfo(f"{USE_PREFIX}{name}", name, name, MetricKind.COUNTER, Better.UP)
            yield info, [None if value is None else Decimal(value) for value in grown]
    for metric in item.plan.metrics.values():
        yield _info(metric), [weekly(metric, item.plan.metrics, item.series, week) for week in sundays]


def _ranked(
    info: MetricInfo, entries: Sequence[tuple[Holding, ClientFacts, list[Decimal | None]]]
) -> Iterable[PerformanceRow]:
    latest = [values[-1] for _, _, values in entries]
    known = sorted((value for value in latest if value is not None), reverse=info.better is Better.UP)
    ranks = _ranks(known)
    middle = median(known) if known else None
    for item, client, values in entries:
        value, change = _last_two(values)
        some = [entry for entry in values if entry is not None]
        yield PerformanceRow(
            namespace=client.namespace,
            client=client.name,
            display_name=client.display_name,
            statuses=item.statuses,
            plan=item.plan.name,
            metric=info,
            latest=value,
            change=change,
            is_better=is_better(info.better, change),
            average=sum(some, Decimal(0)) / len(some) if some else None,
            median=middle,
            rank=None if value is None else ranks[value],
            of=len(known),
        )


def _ranks(ordered: Sequence[Decimal]) -> dict[Decimal, int]:
    ranks: dict[Decimal, int] = {}
    for place, value in enumerate(ordered, start=1):
        ranks.setdefault(value, place)
    return ranks
