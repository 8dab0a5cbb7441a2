"""Dates for people: in the plan's time zone, and how far away they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from clientorg.cli.text import duration

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Calendar:
    """A time zone and the name that people know it by."""

    zone: tzinfo = UTC
    name: str = "UTC"

    def text(self, moment: datetime) -> str:
        """`2026-11-25 09:00`."""
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")

    def full(self, moment: datetime) -> str:
        """`2026-11-25 09:00 JST`; of an area without an abbreviation its offset."""
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M %Z")

    def with_distance(self, moment: datetime, now: datetime) -> str:
        """`2026-11-25 09:00 JST (in 3d)`."""
        return f"{self.full(moment)} ({relative(moment, now)})"


def calendar_of(plan: Json | None, *, utc: bool = False) -> Calendar:
    """The plan's calendar; UTC without a plan, and where its time zone is none (the plan's condition says so)."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    name = ((plan or {}).get("spec") or {}).get("timeZone") or "UTC"
    if utc or name == "UTC":
        return Calendar()
    try:
        return Calendar(ZoneInfo(name), name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return Calendar()


def relative(moment: datetime, now: datetime) -> str:
    """`in 3d`, `3d ago` or `now`."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"in {duration(moment - now)}" if seconds > 0 else f"{duration(now - moment)} ago"


def next_period(pool: Json | None, license_name: str, calendar: Calendar, now: datetime) -> datetime | None:
    """When the count of a license's use begins anew; None when it never does, or the pool could not be read."""
    from zoneinfo import ZoneInfo

    from clientorg.api.quotapool import UsePeriod
    from clientorg.domain.calendar import next_period_start

    licenses = ((pool or {}).get("spec") or {}).get("licenses") or ()
    entry: Json = next((item for item in licenses if item["name"] == license_name), {})
    try:
        period = UsePeriod(entry.get("usePeriod", "Never"))
    except ValueError:  # of a newer version of the API
        return None
    zone = calendar.zone if isinstance(calendar.zone, ZoneInfo) else ZoneInfo("UTC")
    return next_period_start(now, period, zone)
