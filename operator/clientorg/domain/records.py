"""What is remembered in a client's status, as values and back. Everything else in status is derived anew each pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clientorg.domain.lifecycle import Deactivation, Reminder
from clientorg.domain.timestamps import parse_time, rfc3339
from clientorg.domain.usage import Meter, Period, Usage

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that was reached, told once a period."""

    license: str
    period: str
    percent: int
    time: datetime

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes it this one."""
        return self.license, self.period, self.percent


def usage_of(status: Mapping[str, Any]) -> Usage:
    """Meters and periods as status has them."""
    meters = {
        (item["source"], item["license"]): Meter(
            item["source"], item["license"], item["value"], item["total"], parse_time(item["observedTime"])
        )
        for item in status.get("meters") or ()
    }
    periods = {
        item["name"]: Period(item["period"], item.get("baseline", 0))
        for item in status.get("licenses") or ()
        if "period" in item
    }
    return Usage(meters, periods)


def meters_json(usage: Usage) -> list[Json]:
    """The meters for status, in a fixed order."""
    return [
        {
            "source": meter.source,
            "license": meter.license,
            "value": meter.value,
            "total": meter.total,
            "observedTime": meter.observed.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        }
        for _, meter in sorted(usage.meters.items())
    ]


def crossings_of(status: Mapping[str, Any]) -> tuple[Crossing, ...]:
    """The thresholds that were told."""
    return tuple(
        Crossing(item["license"], item["period"], item["percent"], parse_time(item["time"]))
        for item in status.get("thresholds") or ()
    )


def crossings_json(crossings: Iterable[Crossing]) -> list[Json]:
    """The thresholds for status."""
    return [
        {"license": item.license, "period": item.period, "percent": item.percent, "time": rfc3339(item.time)}
        for item in sorted(crossings, key=lambda item: item.key)
    ]


def deactivation_of(status: Mapping[str, Any]) -> Deactivation | None:
    """The deactivation, if there is one."""
    record = status.get("deactivation")
    if not record:
        return None
    reminders = tuple(
        Reminder(item["days"], parse_time(item["time"]), parse_time(item["purgeAfter"]), item.get("skipped", False))
        for item in record.get("remindersSent") or ()
    )
    started, purged = record.get("purgeStartedTime"), record.get("purgedTime")
    return Deactivation(
        parse_time(record["since"]),
        parse_time(record["purgeAfter"]),
        reminders,
        parse_time(started) if started else None,
        parse_time(purged) if purged else None,
    )


def deactivation_json(record: Deactivation) -> Json:
    """The deactivation for status."""
    out: Json = {"since": rfc3339(record.since), "purgeAfter": rfc3339(record.purge_after)}
    if record.reminders:
        out["remindersSent"] = [
            {
                "days": item.days,
                "time": rfc3339(item.time),
                "purgeAfter": rfc3339(item.told),
                "skipped": item.skipped,
            }
            for item in record.reminders
        ]
    if record.purge_started is not None:
        out["purgeStartedTime"] = rfc3339(record.purge_started)
    if record.purged is not None:
        out["purgedTime"] = rfc3339(record.purged)
    return out
