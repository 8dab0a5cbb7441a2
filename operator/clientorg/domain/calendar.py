"""Calendar rules: months are counted from their anchor and clamped, in a time zone, through DST (DESIGN rule 5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.relativedelta import relativedelta

from clientorg.api.quotapool import UsePeriod

ALL_TIME: Final = "all"
"""Key of the one period of what never begins anew."""


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        ValueError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}; use an IANA name, for example Asia/Tokyo or UTC") from error


def add_months(moment: datetime, months: int, time_zone: ZoneInfo) -> datetime:
    """The same wall-clock time so many calendar months later, in UTC.

    The day is clamped to the month's last: 30 November plus three months is 28 or 29 February. A wall-clock time that
    does not exist (the hour that DST skips) becomes the one an hour later; of two that exist it is the first.
    """
    local = moment.astimezone(time_zone).replace(tzinfo=None)
    return (local + relativedelta(months=months)).replace(tzinfo=time_zone).astimezone(UTC)


def add_days(moment: datetime, days: int, time_zone: ZoneInfo) -> datetime:
    """The same wall-clock time so many calendar days later (or earlier), in UTC."""
    local = moment.astimezone(time_zone).replace(tzinfo=None)
    return (local + timedelta(days=days)).replace(tzinfo=time_zone).astimezone(UTC)


def period_of(moment: datetime, period: UsePeriod, time_zone: ZoneInfo) -> str:
    """Key of the period that the moment is in: `2026-11`, `2026`, or `all`."""
    local = moment.astimezone(time_zone)
    match period:
        case UsePeriod.MONTHLY:
            return f"{local.year:04d}-{local.month:02d}"
        case UsePeriod.YEARLY:
            return f"{local.year:04d}"
        case UsePeriod.NEVER:
            return ALL_TIME


def period_start(moment: datetime, period: UsePeriod, time_zone: ZoneInfo) -> datetime | None:
    """When the moment's period began, in UTC; None where there are no periods."""
    local = moment.astimezone(time_zone)
    match period:
        case UsePeriod.MONTHLY:
            start = datetime(local.year, local.month, 1, tzinfo=time_zone)
        case UsePeriod.YEARLY:
            start = datetime(local.year, 1, 1, tzinfo=time_zone)
        case UsePeriod.NEVER:
            return None
    return start.astimezone(UTC)


def next_period_start(moment: datetime, period: UsePeriod, time_zone: ZoneInfo) -> datetime | None:
    """When the next period begins, in UTC; None where there are no periods."""
    start = period_start(moment, period, time_zone)
    if start is None:
        return None
    months = 1 if period is UsePeriod.MONTHLY else 12
    local = start.astimezone(time_zone).replace(tzinfo=None) + relativedelta(months=months)
    return local.replace(tzinfo=time_zone).astimezone(UTC)
