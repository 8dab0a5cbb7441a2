"""Weekly snapshots of a client: when one is due, what is taken down, what was missed (FEATURES W9-W11). Pure.

A snapshot is of a Sunday, 00:00 UTC. It is taken as soon as the client is looked at on that Sunday; once the Sunday is
over it is missed, and nothing is made up for it. Kept in columns (api/trends.py), the last 13 weeks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from clientorg.api.meta import MAX_QUANTITY
from clientorg.api.metric import MetricKind
from clientorg.api.trends import WEEKS

Json = dict[str, Any]
_WEEK: Final = timedelta(days=7)
_LICENSE_COLUMNS: Final = ("allocated", "assigned", "used", "counted")


@dataclass(frozen=True, slots=True)
class LicenseSample:
    """What a client has of one license. None: not reported."""

    allocated: int
    assigned: int | None = None
    used: int | None = None
    counted: int | None = None


@dataclass(frozen=True, slots=True)
class MetricSample:
    """What is reported of one metric, by source; only what is no older than a week.

    Attributes:
        latest: the source that reported last: of a gauge it is the one that counts.
    """

    kind: MetricKind
    readings: Mapping[str, int]
    latest: str


@dataclass(frozen=True, slots=True)
class Sample:
    """All that is taken down of a client."""

    licenses: Mapping[str, LicenseSample] = field(default_factory=dict)
    metrics: Mapping[str, MetricSample] = field(default_factory=dict)


def sunday(moment: datetime) -> date:
    """The Sunday (UTC) that the moment's week began with."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.isoweekday() % 7)


def next_sunday(moment: datetime) -> datetime:
    """When the next snapshot is due."""
    day = sunday(moment) + _WEEK
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def due(trends: Mapping[str, Any] | None, created: datetime, now: datetime) -> date | None:
    """The Sunday to take a snapshot of now; None where it is no Sunday, was taken, or the client is younger."""
    week = sunday(now)
    # Created after now, as the operator's clock has it: the clock is stepped (X7), and says more than the server's.
    is_younger = created <= now and created.astimezone(UTC).date() >= week
    if now.astimezone(UTC).date() != week or is_younger:
        return None
    weeks = (trends or {}).get("weeks") or ()
    return None if weeks and weeks[-1] >= week.isoformat() else week  # a clock that is set back takes none twice


def take(trends: Mapping[str, Any] | None, week: date, sample: Sample) -> Json:
    """The trends with the snapshot, without what is older than 13 weeks."""
    before = trends or {}
    known: list[str] = list(before.get("weeks") or ())
    oldest = (week - (WEEKS - 1) * _WEEK).isoformat()
    dropped = sum(1 for day in known if day < oldest)
    weeks = [*known[dropped:], week.isoformat()]
    licenses = _licenses(before.get("licenses") or (), sample.licenses, len(known), dropped)
    metrics = _metrics(before.get("metrics") or (), sample.metrics, len(known), dropped)
    return {
        "weeks": weeks,
        **({"licenses": licenses} if licenses else {}),
        **({"metrics": metrics} if metrics else {}),
    }


def _licenses(before: Iterable[Json], now: Mapping[str, LicenseSample], known: int, dropped: int) -> list[Json]:
    old = {item["name"]: item for item in before}
    out: list[Json] = []
    for name in sorted(old.keys() | now.keys()):
        item: Json = {"name": name}
        for column in _LICENSE_COLUMNS:
            values = (old.get(name) or {}).get(column) or [None] * known
            sample = now.get(name)
            column_now = [*values[dropped:], getattr(sample, column) if sample is not None else None]
            if column == "allocated" or any(value is not None for value in column_now):
                item[column] = column_now
        if any(value is not None for value in item["allocated"]):  # not had for 13 weeks: forgotten
            out.append(item)
    return out


def _metrics(before: Iterable[Json], now: Mapping[str, MetricSample], known: int, dropped: int) -> list[Json]:
    old = {item["name"]: item for item in before}
    out: list[Json] = []
    for name in sorted(old.keys() | now.keys()):
        item, sample = old.get(name) or {"name": name}, now.get(name)
        values = item.get("values") or [None] * known
        sources = {entry["source"]: entry["value"] for entry in item.get("sources") or ()}
        value = None
        if sample is not None and sample.kind is MetricKind.COUNTER:
            total = max((old_value for old_value in values if old_value is not None), default=0)
            value = min(MAX_QUANTITY, total + _growth(sources, sample.readings))
            sources |= sample.readings
        elif sample is not None:
            value = sample.readings[sample.latest]
        column = [*values[dropped:], value]
        if any(entry is not None for entry in column):
            remembered = [{"source": source, "value": sources[source]} for source in sorted(sources)]
            is_counter = sample.kind is MetricKind.COUNTER if sample is not None else bool(sources)
            out.append({"name": name, "values": column, **({"sources": remembered} if is_counter else {})})
    return out


def _growth(before: Mapping[str, int], readings: Mapping[str, int]) -> int:
    """By how much counters grew; one that fell back was reset, and what it counted since is added."""
    return sum(
        value - before[source] if source in before and value >= before[source] else value
        for source, value in readings.items()
    )


@dataclass(frozen=True, slots=True)
class Series:
    """A client's snapshots, read: Sunday to value, for each column."""

    weeks: tuple[date, ...] = ()
    licenses: Mapping[str, Mapping[str, Mapping[date, int]]] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[date, int]] = field(default_factory=dict)

    def of(self, license: str, column: str) -> Mapping[date, int]:
        """One column of a license: allocated, assigned, used or counted."""
        return self.licenses.get(license, {}).get(column, {})


EMPTY: Final = Series()


def read(trends: Mapping[str, Any] | None) -> Series:
    """The snapshots of a client's status."""
    if not trends:
        return EMPTY
    weeks = _days(tuple(trends.get("weeks") or ()))
    return Series(
        weeks,
        {
            item["name"]: {name: _known(weeks, item[name]) for name in _LICENSE_COLUMNS if item.get(name)}
            for item in trends.get("licenses") or ()
        },
        {item["name"]: _known(weeks, item["values"]) for item in trends.get("metrics") or ()},
    )


@lru_cache(maxsize=256)  # most clients have the same Sundays
def _days(weeks: tuple[str, ...]) -> tuple[date, ...]:
    return tuple(date.fromisoformat(day) for day in weeks)


def _known(weeks: Sequence[date], values: Sequence[int | None]) -> dict[date, int]:
    return {week: value for week, value in zip(weeks, values, strict=False) if value is not None}


@lru_cache(maxsize=64)
def last_weeks(moment: datetime, count: int = WEEKS) -> tuple[date, ...]:
    """So many Sundays until the moment, oldest first."""
    last = sunday(moment)
    return tuple(last - _WEEK * back for back in reversed(range(count)))


def missed(weeks: Iterable[date], created: datetime, now: datetime) -> tuple[date, ...]:
    """The Sundays of the last 13 weeks on which a snapshot was due and none was taken; today is not over yet."""
    taken, today = set(weeks), now.astimezone(UTC).date()
    born = created.astimezone(UTC).date()
    return tuple(week for week in last_weeks(now) if born < week < today and week not in taken)
