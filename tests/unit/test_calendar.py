"""Months from their anchor, days and periods, in every time zone and through DST (DESIGN rule 5)."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.quotapool import UsePeriod
from clientorg.domain.calendar import add_days, add_months, next_period_start, period_of, period_start, zone

TOKYO, PRAGUE, HAVANA = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Prague"), ZoneInfo("America/Havana")
SECOND = timedelta(seconds=1)
LARGEST_SHIFT = timedelta(hours=2)
"""Lord Howe moves by half an hour, Troll by two, everybody else by one."""

zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2045, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
periods = st.sampled_from([UsePeriod.MONTHLY, UsePeriod.YEARLY])


def at(text: str, time_zone: ZoneInfo) -> datetime:
    """A wall-clock time."""
    return datetime.fromisoformat(text).replace(tzinfo=time_zone)


def wall(moment: datetime, time_zone: ZoneInfo) -> datetime:
    """What a clock on the wall shows."""
    return moment.astimezone(time_zone).replace(tzinfo=None)


# -- months ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("anchor", "months", "expected"),
    [
        ("2026-11-30T10:00", 3, "2027-02-28T10:00"),
        ("2027-11-30T10:00", 3, "2028-02-29T10:00"),
        ("2027-01-31T10:00", 1, "2027-02-28T10:00"),
        ("2027-01-31T10:00", 2, "2027-03-31T10:00"),
        ("2027-01-31T10:00", 3, "2027-04-30T10:00"),
        ("2026-12-25T00:00", 12, "2027-12-25T00:00"),
    ],
)
def test_months_are_clamped_from_the_anchor(anchor: str, months: int, expected: str) -> None:
    assert add_months(at(anchor, TOKYO), months, TOKYO) == at(expected, TOKYO)


def test_month_of_the_zone_counts_and_not_that_of_utc() -> None:
    """31 January 08:00 in Tokyo is still 30 January in UTC."""
    anchor = at("2027-01-31T08:00", TOKYO)

    assert add_months(anchor, 1, TOKYO) == at("2027-02-28T08:00", TOKYO)
    assert add_months(anchor, 1, ZoneInfo("UTC")) == at("2027-03-01T08:00", TOKYO)


def test_wall_clock_is_kept_through_summer_time() -> None:
    assert add_months(at("2027-01-15T09:00", PRAGUE), 3, PRAGUE) == at("2027-04-15T09:00", PRAGUE)
    assert add_days(at("2027-03-27T09:00", PRAGUE), 1, PRAGUE) == at("2027-03-28T09:00", PRAGUE)
    assert at("2027-03-28T09:00", PRAGUE) - at("2027-03-27T09:00", PRAGUE) == timedelta(days=1)
    assert add_days(at("2027-03-27T09:00", PRAGUE), 1, PRAGUE).astimezone(UTC) - at(
        "2027-03-27T09:00", PRAGUE
    ).astimezone(UTC) == timedelta(hours=23)


def test_time_that_summer_time_skips_becomes_the_one_an_hour_later() -> None:
    assert wall(add_months(at("2027-02-28T02:30", PRAGUE), 1, PRAGUE), PRAGUE) == datetime(2027, 3, 28, 3, 30)


def test_time_that_is_there_twice_is_the_first_of_them() -> None:
    assert add_months(at("2027-09-30T02:30", PRAGUE), 1, PRAGUE) == at("2027-10-30T02:30", PRAGUE)
    first = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert add_months(at("2027-08-31T02:30", PRAGUE), 2, PRAGUE).astimezone(UTC) == first


@given(moment=moments, months=st.integers(0, 120), time_zone=zones)
def test_day_is_that_of_the_anchor_or_the_months_last(moment: datetime, months: int, time_zone: ZoneInfo) -> None:
    before, after = wall(moment, time_zone), wall(add_months(moment, months, time_zone), time_zone)
    year, month = divmod(before.year * 12 + before.month - 1 + months, 12)
    expected = before.replace(year=year, month=month + 1, day=min(before.day, monthrange(year, month + 1)[1]))

    assert timedelta() <= after - expected <= LARGEST_SHIFT
    if after != expected:  # only where the clocks skip it
        assert wall(expected.replace(tzinfo=time_zone).astimezone(UTC), time_zone) != expected


@given(moment=moments, months=st.integers(0, 60), time_zone=zones)
def test_more_months_are_later(moment: datetime, months: int, time_zone: ZoneInfo) -> None:
    assert add_months(moment, months, time_zone) < add_months(moment, months + 1, time_zone)


@given(moment=moments, later=moments, months=st.integers(0, 60), time_zone=zones)
def test_months_keep_the_order_of_days(moment: datetime, later: datetime, months: int, time_zone: ZoneInfo) -> None:
    moment, later = sorted([moment, later])
    assert add_months(moment, months, time_zone) <= add_months(later, months, time_zone) + LARGEST_SHIFT


@given(moment=moments, days=st.integers(-400, 400), time_zone=zones)
def test_days_there_and_back(moment: datetime, days: int, time_zone: ZoneInfo) -> None:
    back = add_days(add_days(moment, days, time_zone), -days, time_zone)
    assert abs(back - moment) <= LARGEST_SHIFT


# -- periods --------------------------------------------------------------------------------------------------------


@given(moment=moments, period=periods, time_zone=zones)
def test_moment_is_in_its_period(moment: datetime, period: UsePeriod, time_zone: ZoneInfo) -> None:
    start, end = period_start(moment, period, time_zone), next_period_start(moment, period, time_zone)
    assert start is not None
    assert end is not None

    assert start <= moment < end
    assert period_of(start, period, time_zone) == period_of(moment, period, time_zone)
    assert period_of(end - SECOND, period, time_zone) == period_of(moment, period, time_zone)
    assert period_of(end, period, time_zone) > period_of(moment, period, time_zone)
    assert period_start(end, period, time_zone) == end


@given(moment=moments, time_zone=zones)
def test_months_follow_each_other_without_a_gap(moment: datetime, time_zone: ZoneInfo) -> None:
    key = period_of(moment, UsePeriod.MONTHLY, time_zone)
    for _ in range(14):
        following = next_period_start(moment, UsePeriod.MONTHLY, time_zone)
        assert following is not None
        moment = following
        year, month = divmod(int(key[:4]) * 12 + int(key[5:]), 12)
        key = period_of(moment, UsePeriod.MONTHLY, time_zone)
        assert key == f"{year:04d}-{month + 1:02d}"


def test_period_begins_at_midnight_of_the_zone() -> None:
    new_year = at("2027-01-01T00:00", TOKYO)

    assert period_start(new_year, UsePeriod.MONTHLY, TOKYO) == datetime(2026, 12, 31, 15, tzinfo=UTC)
    assert period_of(new_year - SECOND, UsePeriod.YEARLY, TOKYO) == "2026"
    assert period_of(new_year, UsePeriod.YEARLY, TOKYO) == "2027"
    assert period_of(new_year, UsePeriod.YEARLY, ZoneInfo("UTC")) == "2026"


def test_first_hour_of_a_month_that_is_there_twice_is_of_that_month() -> None:
    """In Havana clocks go back from 01:00 to 00:00 on 1 November 2026."""
    begins = datetime(2026, 11, 1, 4, tzinfo=UTC)
    for moment in (begins, begins + timedelta(hours=1)):
        assert wall(moment, HAVANA) == datetime(2026, 11, 1)
        assert period_start(moment, UsePeriod.MONTHLY, HAVANA) == begins
    assert period_of(begins - SECOND, UsePeriod.MONTHLY, HAVANA) == "2026-10"


@given(moment=moments, time_zone=zones)
def test_use_that_never_begins_anew_has_one_period(moment: datetime, time_zone: ZoneInfo) -> None:
    assert period_of(moment, UsePeriod.NEVER, time_zone) == "all"
    assert period_start(moment, UsePeriod.NEVER, time_zone) is None
    assert next_period_start(moment, UsePeriod.NEVER, time_zone) is None


# -- zones ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Asia/Tokio", "", "../../etc/passwd", "Europe", "UTC\x00", "a" * 300])
def test_unknown_zone_is_told_with_what_to_write(name: str) -> None:
    with pytest.raises(ValueError, match="use an IANA name, for example Asia/Tokyo or UTC"):
        zone(name)
