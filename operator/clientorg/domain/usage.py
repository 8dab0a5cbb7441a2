"""What a client uses, from cumulative counters (FEATURES Z6; DESIGN section 5). Pure.

A source reports the total it has counted so far, so that a repeated report changes nothing and a missed one loses
nothing. A counter that fell back was reset: what it counted since is added, nothing is taken away. A report older
than the last one is late and says nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from clientorg.api.meta import MAX_QUANTITY
from clientorg.domain.calendar import ALL_TIME


@dataclass(frozen=True, slots=True)
class Sample:
    """What one source says of one license."""

    source: str
    license: str
    value: int
    observed: datetime


@dataclass(frozen=True, slots=True)
class Meter:
    """What was made of one source's samples for one license.

    Attributes:
        value: the counter as last reported.
        total: all that was ever counted, resets added up.
        observed: when the last report was true.
    """

    source: str
    license: str
    value: int
    total: int
    observed: datetime


@dataclass(frozen=True, slots=True)
class Period:
    """What of a license's total belongs to earlier periods."""

    key: str
    baseline: int


@dataclass(frozen=True, slots=True)
class Usage:
    """All meters of a client, and the running period of each license."""

    meters: Mapping[tuple[str, str], Meter]
    periods: Mapping[str, Period]

    def total(self, license: str) -> int:
        """All that was ever counted of a license."""
        return sum(meter.total for meter in self.meters.values() if meter.license == license)

    def used(self, license: str) -> int | None:
        """What is used in the running period; None when nobody has reported."""
        if not any(meter.license == license for meter in self.meters.values()):
            return None
        period = self.periods.get(license)
        return max(0, self.total(license) - (period.baseline if period is not None else 0))

    def last_observed(self, license: str) -> datetime | None:
        """When the newest report of a license was true."""
        return max((meter.observed for meter in self.meters.values() if meter.license == license), default=None)


NOTHING = Usage({}, {})


def roll(usage: Usage, keys: Mapping[str, str]) -> Usage:
    """Begin the periods that are due: `keys` has the running period of each license.

    A period is entered once, forwards only: a clock that is set back does not bring the last period's count back.
    """
    periods = dict(usage.periods)
    for license, key in keys.items():
        before = periods.get(license)
        if before is None:  # new, or not remembered while the client did not have it: then it counts from now on
            periods[license] = Period(key, 0 if key == ALL_TIME else usage.total(license))
        elif before.key < key and len(before.key) == len(key):
            periods[license] = Period(key, usage.total(license))
        elif len(before.key) != len(key):  # the plan changed the kind of period: the count goes on from here
            periods[license] = Period(key, before.baseline)
    return Usage(usage.meters, periods)


def ingest(usage: Usage, samples: Iterable[Sample], starts: Mapping[str, datetime | None]) -> Usage:
    """Take in samples; `starts` has the beginning of each license's running period.

    What was true before the period began belongs to the one before, however late it is reported.
    """
    meters, periods = dict(usage.meters), dict(usage.periods)
    for sample in sorted(samples, key=lambda item: item.observed):
        key = (sample.source, sample.license)
        before = meters.get(key)
        if before is not None and (sample.observed <= before.observed or sample.value == before.value):
            continue  # late, or nothing new; that it is fresh is told by the report, not written down each time
        grown = sample.value if before is None or sample.value < before.value else sample.value - before.value
        total = min(MAX_QUANTITY, (before.total if before is not None else 0) + grown)
        meters[key] = Meter(sample.source, sample.license, sample.value, total, sample.observed)
        start, period = starts.get(sample.license), periods.get(sample.license)
        if start is not None and period is not None and sample.observed < start:
            periods[sample.license] = replace(period, baseline=min(MAX_QUANTITY, period.baseline + grown))
    return Usage(meters, periods)


def percent_used(used: int, granted: int) -> int:
    """How much is used, in whole percent rounded down, so that 100 means all of it."""
    if granted <= 0:
        return 100
    return used * 100 // granted


def crossed(used: int, granted: int, thresholds: Iterable[int]) -> tuple[int, ...]:
    """The thresholds reached, lowest first. Nothing granted crosses nothing: there is nothing to warn of."""
    if granted <= 0:
        return ()
    return tuple(sorted(limit for limit in thresholds if used * 100 >= limit * granted))


def is_exhausted(used: int | None, granted: int, wanted: int) -> bool:
    """Whether a license allows no further use: all that is granted is used, or nothing of what is wanted is granted.

    Without a report nothing is known to be used; absence of data never pauses anybody.
    """
    return wanted > 0 and (used or 0) >= granted
