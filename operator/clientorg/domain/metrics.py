"""Weekly values of product metrics from snapshots (FEATURES W11). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from clientorg.api.metric import Better, Metric, MetricKind
from clientorg.domain.snapshots import Series

_WEEK: Final = timedelta(days=7)


def growth(column: Mapping[date, int], week: date) -> int | None:
    """By how much a cumulative column grew in the week that ended on that Sunday; None where either end is missing."""
    now, before = column.get(week), column.get(week - _WEEK)
    return None if now is None or before is None else now - before


def weekly(metric: Metric, declared: Mapping[str, Metric], series: Series, week: date) -> Decimal | None:
    """The metric's value of the week that ended on that Sunday; None where it was missed, or the divisor is nothing.

    A Counter is its growth, a Gauge its last value, a Ratio the quotient of the two, times 100 where its unit is %.
    """
    if metric.kind == MetricKind.COUNTER:
        value = growth(series.metrics.get(metric.name, {}), week)
        return None if value is None else Decimal(value)
    if metric.kind == MetricKind.GAUGE:
        found = series.metrics.get(metric.name, {}).get(week)
        return None if found is None else Decimal(found)
    above, below = declared.get(metric.numerator or ""), declared.get(metric.denominator or "")
    if above is None or below is None:
        return None
    numerator, denominator = weekly(above, declared, series, week), weekly(below, declared, series, week)
    if numerator is None or not denominator:
        return None
    return numerator / denominator * (100 if metric.unit == "%" else 1)


def is_better(metric_better: str, change: Decimal | None) -> bool | None:
    """Whether a change is for the better; None where nothing changed, or nothing is known."""
    if not change:
        return None
    return (change > 0) == (metric_better == Better.UP)
