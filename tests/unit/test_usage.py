"""Cumulative counters into use (FEATURES Z6; DESIGN section 5): in any order, repeated, through resets and periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clientorg.api.meta import MAX_QUANTITY
from clientorg.domain.usage import (
    NOTHING,
    Meter,
    Period,
    Sample,
    Usage,
    crossed,
    ingest,
    is_exhausted,
    percent_used,
    roll,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FOREVER: dict[str, datetime | None] = {"visitors": None}


def sample(minute: int, value: int, source: str = "agent", license: str = "visitors") -> Sample:
    """What a source says, so many minutes into November."""
    return Sample(source, license, value, START + timedelta(minutes=minute))


def after(*samples: Sample, usage: Usage = NOTHING) -> Usage:
    """The use after these samples, each in a pass of its own."""
    for one in samples:
        usage = ingest(usage, [one], FOREVER)
    return usage


# -- one source -----------------------------------------------------------------------------------------------------


def test_nothing_is_known_before_the_first_report() -> None:
    assert NOTHING.used("visitors") is None
    assert NOTHING.last_observed("visitors") is None
    assert NOTHING.total("visitors") == 0


def test_repeated_report_changes_nothing() -> None:
    once = after(sample(1, 40))
    assert after(sample(1, 40), usage=once) == once
    assert once.used("visitors") == 40


def test_late_report_changes_nothing() -> None:
    assert after(sample(9, 90), sample(5, 50)).used("visitors") == 90


def test_counter_that_fell_back_was_reset_and_nothing_is_taken_away() -> None:
    assert after(sample(1, 100), sample(2, 30), sample(3, 50)).used("visitors") == 150


def test_counter_that_was_reset_to_zero_counts_on() -> None:
    assert after(sample(1, 100), sample(2, 0), sample(3, 7)).used("visitors") == 107


def test_sources_add_up_and_licenses_do_not() -> None:
    usage = after(sample(1, 40), sample(1, 2, source="edge"), sample(1, 500, license="mails"))

    assert usage.used("visitors") == 42
    assert usage.used("mails") == 500
    assert usage.last_observed("visitors") == START + timedelta(minutes=1)


def test_total_is_bounded_by_what_every_json_reader_keeps() -> None:
    assert after(sample(1, MAX_QUANTITY), sample(2, 5), sample(3, MAX_QUANTITY)).total("visitors") == MAX_QUANTITY


# -- any order: a model ---------------------------------------------------------------------------------------------

increments = st.lists(st.integers(0, 50), min_size=1, max_size=8)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Sample], list[list[Sample]]]:
    """Samples of sources that only grow; and batches in which they arrive: any order, repeated, some never."""
    told = []
    for source in draw(st.lists(st.sampled_from(["agent", "edge", "@prometheus"]), min_size=1, unique=True)):
        value = 0
        for minute, more in enumerate(draw(increments)):
            value += more
            told.append(sample(minute, value, source))
    batches = draw(st.lists(st.lists(st.sampled_from(told), max_size=4), max_size=12))
    return told, batches


@given(deliveries())
def test_use_is_the_sum_of_the_newest_reports_whatever_their_order(
    told: tuple[list[Sample], list[list[Sample]]],
) -> None:
    usage, arrived = NOTHING, set[Sample]()
    for batch in told[1]:
        usage = ingest(usage, batch, FOREVER)
        arrived.update(batch)
        newest: dict[str, Sample] = {}
        for one in sorted(arrived, key=lambda item: item.observed):
            newest[one.source] = one
        assert usage.total("visitors") == sum(one.value for one in newest.values())
    assert usage.total("visitors") <= sum(max_values(told[0]).values())


def max_values(samples: Sequence[Sample]) -> Mapping[str, int]:
    """The largest value of each source."""
    return {one.source: max(s.value for s in samples if s.source == one.source) for one in samples}


@st.composite
def life_of_a_counter(draw: st.DrawFn) -> tuple[list[Sample], list[int]]:
    """Samples of a source that restarts now and then, and what was really used by each of them."""
    samples, used, value, total = [], [], 0, 0
    for minute in range(draw(st.integers(1, 10))):
        if draw(st.booleans()):
            value = 0
        more = draw(st.integers(0, 20))
        value, total = value + more, total + more
        samples.append(sample(minute, value))
        used.append(total)
    return samples, used


@given(life_of_a_counter())
def test_resets_lose_nothing_that_a_counter_can_show(life: tuple[list[Sample], list[int]]) -> None:
    """Only a counter that has grown past its old value when it is seen again cannot be told from one that went on."""
    samples, used = life
    usage, floor = NOTHING, 0
    for one, really in zip(samples, used, strict=True):
        before = usage.total("visitors")
        usage = ingest(usage, [one], FOREVER)
        assert before <= usage.total("visitors") <= really
        floor = max(floor, one.value)
        assert usage.total("visitors") >= floor


@given(life_of_a_counter(), st.data())
def test_nothing_ever_makes_use_negative_or_smaller(life: tuple[list[Sample], list[int]], data: st.DataObject) -> None:
    usage = NOTHING
    for batch in data.draw(st.lists(st.lists(st.sampled_from(life[0]), max_size=3), max_size=10)):
        before = usage.total("visitors")
        usage = ingest(usage, batch, FOREVER)
        assert usage.total("visitors") >= before
        assert (usage.used("visitors") or 0) >= 0


@given(life_of_a_counter())
def test_a_second_look_at_the_same_reports_changes_nothing(life: tuple[list[Sample], list[int]]) -> None:
    """Each pass sees all reports that are there, also those it has counted."""
    usage = ingest(NOTHING, life[0], FOREVER)
    assert ingest(usage, life[0], FOREVER).total("visitors") == usage.total("visitors")


# -- periods --------------------------------------------------------------------------------------------------------

NOVEMBER, DECEMBER = {"visitors": "2026-11"}, {"visitors": "2026-12"}
DECEMBER_STARTS: dict[str, datetime | None] = {"visitors": START + timedelta(days=30)}


def test_new_period_begins_with_nothing_used() -> None:
    usage = after(sample(1, 80), usage=roll(NOTHING, NOVEMBER))

    rolled = roll(usage, DECEMBER)

    assert (usage.used("visitors"), rolled.used("visitors")) == (80, 0)
    assert rolled.total("visitors") == 80
    assert roll(rolled, DECEMBER) == rolled


def test_clock_that_is_set_back_does_not_bring_the_last_period_back() -> None:
    rolled = roll(after(sample(1, 80), usage=roll(NOTHING, NOVEMBER)), DECEMBER)
    assert roll(rolled, NOVEMBER) == rolled


def test_what_was_true_before_the_period_belongs_to_the_one_before() -> None:
    usage = roll(after(sample(1, 80), usage=roll(NOTHING, NOVEMBER)), DECEMBER)

    late = ingest(usage, [sample(2, 95)], DECEMBER_STARTS)
    fresh = ingest(late, [sample(30 * 24 * 60, 99)], DECEMBER_STARTS)

    assert (late.used("visitors"), late.total("visitors")) == (0, 95)
    assert (fresh.used("visitors"), fresh.total("visitors")) == (4, 99)


def test_use_goes_on_when_the_plan_changes_the_kind_of_period() -> None:
    usage = after(sample(1, 80), usage=roll(NOTHING, {"visitors": "all"}))
    assert roll(usage, NOVEMBER).used("visitors") == 80


def test_license_that_comes_back_counts_from_then_on() -> None:
    """Its meters are remembered longer than its period: what was counted before must not exhaust it at once."""
    counted = after(sample(1, 80), usage=roll(NOTHING, NOVEMBER))

    again = roll(Usage(counted.meters, {}), DECEMBER)

    assert again.used("visitors") == 0
    assert ingest(again, [sample(30 * 24 * 60, 83)], DECEMBER_STARTS).used("visitors") == 3


def test_license_that_never_begins_anew_keeps_its_count_when_it_comes_back() -> None:
    counted = after(sample(1, 80), usage=roll(NOTHING, {"visitors": "all"}))
    assert roll(Usage(counted.meters, {}), {"visitors": "all"}).used("visitors") == 80


@given(life_of_a_counter(), st.lists(st.integers(1, 3), max_size=6))
def test_periods_add_up_to_the_total(life: tuple[list[Sample], list[int]], steps: list[int]) -> None:
    """What each period used when it ended, and what the running one uses, is all that was counted."""
    usage, month, ended = roll(NOTHING, {"visitors": "2026-01"}), 1, 0
    samples = iter(life[0])
    for step in steps:
        for _ in range(step):
            if (one := next(samples, None)) is not None:
                usage = ingest(usage, [one], FOREVER)
        ended += usage.used("visitors") or 0
        month += 1
        usage = roll(usage, {"visitors": f"2026-{month:02d}"})
        assert not usage.used("visitors")
    for one in samples:
        usage = ingest(usage, [one], FOREVER)
    assert ended + (usage.used("visitors") or 0) == usage.total("visitors")


# -- what follows from use ------------------------------------------------------------------------------------------

counts = st.integers(0, MAX_QUANTITY)


@given(used=counts, granted=st.integers(1, MAX_QUANTITY), limit=st.integers(1, 100))
def test_threshold_is_reached_exactly_at_its_share(used: int, granted: int, limit: int) -> None:
    assert (limit in crossed(used, granted, [limit])) == (Fraction(used, granted) >= Fraction(limit, 100))
    assert (percent_used(used, granted) >= limit) == (limit in crossed(used, granted, [limit]))


@pytest.mark.parametrize(
    ("used", "granted", "expected"),
    [
        (79, 100, ()),
        (80, 100, (80,)),
        (99, 100, (80, 90)),
        (100, 100, (80, 90, 100)),
        (250, 100, (80, 90, 100)),
        (0, 0, ()),
    ],
)
def test_thresholds(used: int, granted: int, expected: tuple[int, ...]) -> None:
    assert crossed(used, granted, [100, 80, 90]) == expected


def test_nearly_all_is_not_all() -> None:
    assert percent_used(999_999, 1_000_000) == 99
    assert not is_exhausted(999_999, 1_000_000, 1_000_000)
    assert is_exhausted(1_000_000, 1_000_000, 1_000_000)


def test_absence_of_data_exhausts_nobody_who_holds_something() -> None:
    assert not is_exhausted(None, 10, 10)
    assert is_exhausted(None, 0, 10)  # nothing of what is wanted is granted: nothing may run
    assert not is_exhausted(None, 0, 0)
    assert not is_exhausted(5, 0, 0)  # not wanted


@given(meters=st.lists(st.tuples(st.sampled_from("ab"), counts), max_size=3), baseline=counts)
def test_used_is_never_negative(meters: list[tuple[str, int]], baseline: int) -> None:
    """Not even with a baseline that somebody wrote into status."""
    assume(meters)
    found = {(name, "visitors"): Meter(name, "visitors", value, value, START) for name, value in meters}
    assert (Usage(found, {"visitors": Period("2026-11", baseline)}).used("visitors") or 0) >= 0
