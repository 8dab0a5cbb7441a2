"""The monthly charge: any anchor day, leap year and time zone, exactly once; the preview is the charge (S7, S8)."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from clientorg.api.meta import MAX_QUANTITY, MAX_USERS
from clientorg.api.orgplan import Billing, FirstCharge, UserReduction
from clientorg.domain.billing import (
    Account,
    BillingTerms,
    Charge,
    anchor,
    begin,
    charge_of,
    coming_charges,
    contracted_in_force,
    due_charges,
    months_between,
    next_charge,
    next_uncharged,
    period_at,
    resume,
    runway,
    shift,
)

MICROSECOND, DAY = timedelta(microseconds=1), timedelta(days=1)
# Midnights that DST skips or repeats (Sao Paulo, Havana, Cairo, Tehran, Saint John's), and a day that never was (Apia).
ZONES = [
    "UTC",
    "Asia/Tokyo",
    "Europe/Prague",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Tehran",
    "Asia/Beirut",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Australia/Lord_Howe",
]

zones = st.sampled_from(ZONES).map(ZoneInfo)
periods = st.builds("{:04d}-{:02d}".format, st.integers(1990, 2036), st.integers(1, 12))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))
users = st.integers(0, MAX_USERS)


def terms(**fields: object) -> BillingTerms:
    """A plan that charges 1000 points for 10 users on the 25th in UTC, and 50 for each user beyond."""
    default: dict[str, object] = {
        "plan": "standard",
        "generation": 1,
        "base_points": 1000,
        "included_users": 10,
        "points_per_extra_user": 50,
        "anchor_day": 25,
        "first_charge": FirstCharge.NEXT_ANCHOR,
        "user_reduction": UserReduction.NEXT_PERIOD,
        "negative_tolerance_days": 7,
        "time_zone": ZoneInfo("UTC"),
    }
    return BillingTerms(**default | fields)  # type: ignore[arg-type]


plans = st.builds(
    BillingTerms,
    plan=st.just("standard"),
    generation=st.integers(1, 9),
    base_points=st.integers(0, 10**15),
    included_users=users,
    points_per_extra_user=st.integers(0, 10**9),
    anchor_day=st.integers(1, 31),
    first_charge=st.sampled_from(FirstCharge),
    user_reduction=st.sampled_from(UserReduction),
    negative_tolerance_days=st.just(7),
    time_zone=zones,
)


def utc(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at(text: str, plan: BillingTerms) -> datetime:
    """A wall-clock time in the plan's time zone."""
    return datetime.fromisoformat(text).replace(tzinfo=plan.time_zone).astimezone(UTC)


def charge_all(account: Account, now: datetime, users: int, plan: BillingTerms) -> tuple[Account, list[Charge]]:
    """What the operator does: create what is due, and remember the last."""
    made = list(due_charges(account, now, users, plan))
    return (replace(account, charged=made[-1].period) if made else account), made


MOVED = terms(first_charge=FirstCharge.PRORATED)


# -- anchors ----------------------------------------------------------------------------------------------------------


@given(periods, plans)
def test_anchor_is_the_first_moment_of_its_day(period: str, plan: BillingTerms) -> None:
    year, month = int(period[:4]), int(period[5:])
    day = date(year, month, min(plan.anchor_day, monthrange(year, month)[1]))

    moment = anchor(period, plan)

    before = (moment - MICROSECOND).astimezone(plan.time_zone)
    assert before.date() < day, "an earlier moment is of the day already"
    assert moment.astimezone(plan.time_zone).date() >= day
    if moment.astimezone(plan.time_zone).date() > day:
        assert (before + MICROSECOND).date() == day, "the day exists, and its period begins later"


@pytest.mark.parametrize(
    ("zone", "period", "day", "expected"),
    [
        pytest.param("America/Sao_Paulo", "2018-11", 4, "2018-11-04T03:00", id="midnight is skipped: 01:00 there"),
        pytest.param("America/Havana", "2026-03", 8, "2026-03-08T05:00", id="midnight is skipped: 01:00 in Havana"),
        pytest.param("America/Havana", "2026-11", 1, "2026-11-01T04:00", id="midnight is there twice: the first"),
        pytest.param(
            "America/Sao_Paulo", "2018-02", 18, "2018-02-18T03:00", id="23:00 is there twice: the second's end"
        ),
        pytest.param("Africa/Cairo", "2026-04", 24, "2026-04-23T22:00", id="midnight is skipped in Cairo"),
        pytest.param("Asia/Tehran", "2021-03", 22, "2021-03-21T20:30", id="midnight is skipped in Tehran"),
        pytest.param("Asia/Tehran", "2021-09", 22, "2021-09-21T20:30", id="an hour before a midnight is repeated"),
        pytest.param("Pacific/Apia", "2011-12", 30, "2011-12-30T10:00", id="the day is skipped: the next one's begin"),
        pytest.param("Pacific/Apia", "2011-12", 31, "2011-12-30T10:00", id="the day after a skipped one"),
        pytest.param("Europe/Prague", "2026-03", 29, "2026-03-28T23:00", id="summer time begins later that day"),
        pytest.param("Europe/Prague", "2026-03", 30, "2026-03-29T22:00", id="summer time"),
        pytest.param("Asia/Tokyo", "2026-11", 25, "2026-11-24T15:00", id="Tokyo"),
    ],
)
def test_anchor_at_a_midnight_that_clocks_are_changed_at(zone: str, period: str, day: int, expected: str) -> None:
    assert anchor(period, terms(time_zone=ZoneInfo(zone), anchor_day=day)) == utc(expected)


@given(periods, plans)
def test_anchors_increase_by_about_a_month(period: str, plan: BillingTerms) -> None:
    apart = anchor(shift(period, 1), plan) - anchor(period, plan)

    assert timedelta(days=27) < apart < timedelta(days=33)


@given(periods, plans)
@example("2009-11", terms(time_zone=ZoneInfo("America/St_Johns"), anchor_day=1))
@example("2011-12", terms(time_zone=ZoneInfo("Pacific/Apia"), anchor_day=31))
def test_period_runs_from_its_anchor_to_the_next(period: str, plan: BillingTerms) -> None:
    moment = anchor(period, plan)

    assert period_at(moment, plan) == period
    assert period_at(moment + MICROSECOND, plan) == period
    assert period_at(moment + timedelta(minutes=45), plan) == period
    assert period_at(moment - MICROSECOND, plan) == shift(period, -1)


@given(moments, plans)
def test_every_moment_is_in_one_period(now: datetime, plan: BillingTerms) -> None:
    running = period_at(now, plan)

    assert anchor(running, plan) <= now < anchor(shift(running, 1), plan)


def test_clocks_that_go_back_over_midnight_do_not_begin_a_period_twice() -> None:
    """In Saint John's it was 00:01 on 1 November 2009, and then 23:01 on 31 October once more."""
    plan = terms(time_zone=ZoneInfo("America/St_Johns"), anchor_day=1, first_charge=FirstCharge.PRORATED)
    repeated = anchor("2009-11", plan) + timedelta(minutes=30)

    assert repeated.astimezone(plan.time_zone).date() == date(2009, 10, 31)
    assert period_at(repeated, plan) == "2009-11"
    assert charge_of(begin(repeated, plan), "2009-11", 10, plan).prorated == (30, 30)


@pytest.mark.parametrize("year", [1996, 2000, 2023, 2024, 2028, 2100])
def test_day_31_is_clamped_each_month_from_the_anchor(year: int) -> None:
    plan = terms(anchor_day=31)

    days = [anchor(f"{year}-{month:02d}", plan).day for month in range(1, 13)]

    february = 29 if (year % 4 == 0 and year % 100 != 0) or year == 2000 else 28
    assert days == [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


@given(periods, st.integers(-600, 600))
def test_shift_and_months_between_are_inverse(period: str, months: int) -> None:
    assert months_between(period, shift(period, months)) == months
    assert shift(shift(period, months), -months) == period
    assert (shift(period, months) > period) == (months > 0), "periods sort as text"


# -- when charging begins -------------------------------------------------------------------------------------------


@given(moments, users, plans)
def test_first_charge_by_the_plans_rule(now: datetime, count: int, plan: BillingTerms) -> None:
    running = period_at(now, plan)
    full = charge_of(Account(charged=shift(running, -1)), running, count, plan).amount

    first = next_charge(begin(now, plan), count, plan)

    assert first is not None
    assert first.previous is None
    assert not first.resumed
    if anchor(running, plan) == now:
        assert (first.period, first.due, first.amount, first.prorated) == (running, now, full, None)
    elif plan.first_charge is FirstCharge.NEXT_ANCHOR:
        assert (first.period, first.prorated) == (shift(running, 1), None)
        assert first.due == anchor(first.period, plan) > now
    elif plan.first_charge is FirstCharge.IMMEDIATE:
        assert (first.period, first.due, first.amount, first.prorated) == (running, now, full, None)
    else:
        assert (first.period, first.due) == (running, now)
        assert first.prorated is not None
        days, of_days = first.prorated
        assert 0 < days <= of_days
        assert 27 <= of_days <= 32
        assert 0 <= first.amount <= full
        assert abs(first.amount * of_days - full * days) * 2 <= of_days, "not the nearest whole number"
        assert first.amount > 0 or 2 * full * days < of_days


@given(periods, st.sampled_from(FirstCharge), plans)
def test_client_that_begins_at_an_anchor_is_charged_in_full_at_once(
    period: str, first: FirstCharge, plan: BillingTerms
) -> None:
    plan = replace(plan, first_charge=first)
    now = anchor(period, plan)

    _, made = charge_all(begin(now, plan), now, 10, plan)

    assert [(item.period, item.due, item.prorated) for item in made] == [(period, now, None)]


@pytest.mark.parametrize("first", FirstCharge)
def test_a_microsecond_beside_the_anchor(first: FirstCharge) -> None:
    plan = terms(first_charge=first)
    moment = anchor("2026-11", plan)

    _, after = charge_all(begin(moment + MICROSECOND, plan), moment + MICROSECOND, 10, plan)
    _, before = charge_all(begin(moment - MICROSECOND, plan), moment - MICROSECOND, 10, plan)

    if first is FirstCharge.NEXT_ANCHOR:
        assert after == before == []
    elif first is FirstCharge.IMMEDIATE:
        assert [(item.period, item.amount) for item in after + before] == [("2026-11", 1000), ("2026-10", 1000)]
    else:
        assert [(item.prorated, item.amount) for item in after] == [((30, 30), 1000)], "the first day counts"
        assert [(item.prorated, item.amount) for item in before] == [((1, 31), 32)], "the last day counts"


@pytest.mark.parametrize(
    ("begun", "days", "points"),
    [
        ("2026-03-25T13:00", (31, 31), 31),
        ("2026-03-26T00:00", (30, 31), 30),
        ("2026-03-29T01:59", (27, 31), 27),
        ("2026-03-29T03:00", (27, 31), 27),
        ("2026-03-30T00:00", (26, 31), 26),
        ("2026-04-24T23:59", (1, 31), 1),
    ],
)
def test_prorated_days_are_calendar_days_through_the_change_of_clocks(
    begun: str, days: tuple[int, int], points: int
) -> None:
    """The period from 25 March has 31 days in Prague, one of which has 23 hours."""
    plan = terms(time_zone=ZoneInfo("Europe/Prague"), first_charge=FirstCharge.PRORATED, base_points=31)

    charge = next_charge(begin(at(begun, plan), plan), 0, plan)

    assert charge is not None
    assert (charge.prorated, charge.amount) == (days, points)


@pytest.mark.parametrize(
    ("base", "days", "points"), [(1, 15, 1), (1, 14, 0), (3, 15, 2), (5, 3, 1), (5, 2, 0), (7, 30, 7)]
)
def test_prorated_points_are_rounded_half_up(base: int, days: int, points: int) -> None:
    charge = Charge("2026-11", utc("2026-11-25"), "standard", 1, 0, 0, base, 0, prorated=(days, 30))

    assert charge.amount == points


@given(plans, plans, moments, users)
@example(MOVED, replace(MOVED, anchor_day=5), utc("2026-11-10"), 10)
@example(MOVED, replace(MOVED, anchor_day=28), utc("2026-11-26"), 10)
def test_plan_edited_before_the_first_charge_charges_no_more_than_the_whole(
    before: BillingTerms, after: BillingTerms, now: datetime, count: int
) -> None:
    """The anchor may have moved so that the client began outside of the period, by now."""
    charge = next_charge(begin(now, before), count, after)

    assert charge is not None
    assert 0 <= charge.amount <= replace(charge, prorated=None).amount
    if charge.prorated is not None:
        assert 0 < charge.prorated[0] <= charge.prorated[1]


# -- exactly once -----------------------------------------------------------------------------------------------------


steps = st.lists(st.timedeltas(timedelta(0), timedelta(days=100)), min_size=1, max_size=12)


@given(moments, steps, plans)
def test_charges_are_the_same_however_time_is_cut_into_steps(
    begun: datetime, durations: list[timedelta], plan: BillingTerms
) -> None:
    """Once a period, the oldest first, without a gap; also after a long time when nobody looked."""
    start = begin(begun, plan)
    account, made, now = start, list[Charge](), begun
    for duration in durations:
        now += duration
        account, some = charge_all(account, now, 10, plan)
        made += some

    assert made == charge_all(start, now, 10, plan)[1]
    assert [item.due for item in made] == sorted(item.due for item in made)
    assert all(item.due <= now for item in made)
    assert_chain(made)
    last = period_at(now, plan)
    wanted = months_between(start.charges_from or "", last) + 1
    assert len(made) == max(wanted, 0)
    assert charge_all(account, now, 10, plan)[1] == [], "charged again"


@given(moments, steps, st.timedeltas(timedelta(0), timedelta(days=4000)), plans)
def test_clock_that_goes_back_charges_nothing_new(
    begun: datetime, durations: list[timedelta], back: timedelta, plan: BillingTerms
) -> None:
    now = begun + sum(durations, timedelta())
    account, made = charge_all(begin(begun, plan), now, 10, plan)
    assume(made)

    earlier, nothing = charge_all(account, now - back, 10, plan)
    again, later = charge_all(earlier, now, 10, plan)

    assert nothing == later == []
    assert again == account


@given(moments, st.lists(st.tuples(st.timedeltas(-10 * DAY, 80 * DAY), plans), min_size=1, max_size=12))
def test_plan_edited_between_charges_charges_no_period_twice_and_skips_none(
    begun: datetime, edits: list[tuple[timedelta, BillingTerms]]
) -> None:
    """Another anchor day, time zone or price at any time, and clocks that go back some."""
    account, made, now = begin(begun, edits[0][1]), list[Charge](), begun
    for duration, plan in edits:
        now += duration
        account, some = charge_all(account, now, 10, plan)
        made += some
        assert next_uncharged(account) is not None
        assert_chain(made)
        if made and duration > timedelta(0):
            assert months_between(made[-1].period, period_at(now, plan)) <= 0, "a period that runs is not charged"


def assert_chain(made: Iterable[Charge]) -> None:
    """One a month, each after the one before."""
    for before, after in pairwise(made):
        assert after.period == shift(before.period, 1)
        assert after.previous == before.period
        assert not after.resumed


# -- the preview ------------------------------------------------------------------------------------------------------


@given(moments, st.timedeltas(timedelta(0), timedelta(days=900)), users, plans)
def test_what_is_charged_is_what_was_announced(
    begun: datetime, duration: timedelta, count: int, plan: BillingTerms
) -> None:
    account, now = begin(begun, plan), begun + duration

    estimate = list(coming_charges(account, now, count, plan))
    for charge in due_charges(account, now, count, plan):
        assert charge == next_charge(account, count, plan)
        account = replace(account, charged=charge.period)
        assert estimate.pop(0) == charge

    assert estimate == []
    announced = next_charge(account, count, plan)
    assert announced is not None
    assert announced.due > now
    assert list(due_charges(account, announced.due - MICROSECOND, count, plan)) == []
    assert list(due_charges(account, announced.due, count, plan)) == [announced]


def test_nothing_is_announced_before_charging_begins() -> None:
    assert next_charge(Account(), 10, terms()) is None
    assert list(due_charges(Account(), utc("2036-01-01"), 10, terms())) == []


# -- resumed ----------------------------------------------------------------------------------------------------------


def test_reactivated_client_is_charged_from_the_next_anchor_on() -> None:
    plan = terms()
    account = resume(Account("2026-03", charged="2026-06"), utc("2026-10-03"), plan)

    _, made = charge_all(account, utc("2026-12-01"), 10, plan)

    assert [(item.period, item.previous, item.resumed) for item in made] == [
        ("2026-10", "2026-06", True),
        ("2026-11", "2026-10", False),
    ]


def test_short_break_between_two_anchors_is_no_break() -> None:
    plan = terms()
    account = resume(Account("2026-03", charged="2026-09"), utc("2026-10-03"), plan)

    _, made = charge_all(account, utc("2026-10-25"), 10, plan)

    assert [(item.period, item.resumed) for item in made] == [("2026-10", False)]


def test_client_resumed_at_an_anchor_is_charged_for_the_period_that_begins() -> None:
    account = resume(Account("2026-03", charged="2026-06"), utc("2026-10-25"), terms())

    assert [item.period for item in due_charges(account, utc("2026-10-25"), 10, terms())] == ["2026-10"]


@given(moments, moments, st.booleans(), plans)
def test_resumed_client_pays_no_period_twice_and_none_that_ran_before(
    begun: datetime, now: datetime, at_anchor: bool, plan: BillingTerms
) -> None:
    if at_anchor:
        now = anchor(period_at(now, plan), plan)
    account, made = charge_all(begin(begun, plan), max(begun, now - 200 * DAY), 10, plan)

    resumed = resume(account, now, plan)
    first = next_charge(resumed, 10, plan)

    assert first is not None
    assert first.period not in {item.period for item in made}
    assert first.due >= now
    assert first.prorated is None
    if first.period != next_uncharged(account):
        assert anchor(shift(first.period, -1), plan) < now, "an anchor is passed over"
    assert resume(resumed, now, plan) == resumed


# -- amounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "points"), [(0, 1000), (9, 1000), (10, 1000), (11, 1050), (25, 1750)])
def test_base_includes_users_and_each_beyond_costs(count: int, points: int) -> None:
    charge = next_charge(Account("2026-11"), count, terms())

    assert charge is not None
    assert charge.amount == points


@given(moments, users, plans)
@example(utc("2026-01-01"), MAX_USERS, terms(base_points=10**15, included_users=0, points_per_extra_user=10**9))
def test_no_charge_that_the_api_admits_is_beyond_what_json_keeps(now: datetime, count: int, plan: BillingTerms) -> None:
    charge = next_charge(begin(now, plan), count, plan)

    assert charge is not None
    assert 0 <= charge.amount < MAX_QUANTITY


def test_largest_terms_of_the_test_are_the_largest_of_the_api() -> None:
    properties = Billing.model_json_schema(by_alias=True)["properties"]

    assert properties["basePoints"]["maximum"] == 10**15
    assert properties["pointsPerExtraUser"]["maximum"] == 10**9
    assert properties["includedUsers"]["maximum"] == MAX_USERS


def test_terms_are_the_plans() -> None:
    billing = Billing(basePoints=300, anchorDay=31, firstCharge=FirstCharge.PRORATED, pointsPerExtraUser=7)

    read = BillingTerms.of(billing, "gold", 4, ZoneInfo("Asia/Tokyo"))

    assert read == terms(
        plan="gold",
        generation=4,
        base_points=300,
        points_per_extra_user=7,
        anchor_day=31,
        first_charge=FirstCharge.PRORATED,
        time_zone=ZoneInfo("Asia/Tokyo"),
    )
    assert BillingTerms.of(None, "free", 1, ZoneInfo("UTC")) is None


# -- runway and users -------------------------------------------------------------------------------------------------


@given(st.integers(-MAX_QUANTITY, MAX_QUANTITY), st.integers(0, MAX_QUANTITY))
def test_runway_is_how_many_charges_leave_the_balance_at_zero_or_more(balance: int, amount: int) -> None:
    months = runway(balance, amount)

    assert 0 <= months <= 1200
    assert months == 0 or balance - months * amount >= 0
    assert months == 1200 or balance < 0 or balance - (months + 1) * amount < 0


@pytest.mark.parametrize(
    ("asked", "paid", "rule", "expected"),
    [
        (30, 20, UserReduction.NEXT_PERIOD, 30),
        (10, 20, UserReduction.NEXT_PERIOD, 20),
        (10, 20, UserReduction.IMMEDIATE, 10),
        (30, 20, UserReduction.IMMEDIATE, 30),
        (10, None, UserReduction.NEXT_PERIOD, 10),
        (0, 0, UserReduction.NEXT_PERIOD, 0),
    ],
)
def test_raised_users_count_at_once_and_lowered_ones_by_the_plans_rule(
    asked: int, paid: int | None, rule: UserReduction, expected: int
) -> None:
    assert contracted_in_force(asked, paid, terms(user_reduction=rule)) == expected


def test_plan_without_charges_caps_users_as_asked() -> None:
    assert contracted_in_force(10, 20, None) == 10


@pytest.mark.parametrize(
    ("ends", "periods"),
    [
        ("2026-12-25T00:00:01Z", ["2026-11", "2026-12"]),
        ("2026-12-25T00:00:00Z", ["2026-11"]),
        ("2026-11-25T00:00:00Z", []),
    ],
)
def test_period_that_begins_with_the_end_of_the_contract_is_not_charged(ends: str, periods: list[str]) -> None:
    """Charged, estimated and previewed alike, however late the operator comes to it (FEATURES S11)."""
    account, late = Account(charges_from="2026-11"), utc("2027-03-01T00:00:00Z")

    assert [item.period for item in due_charges(account, late, 0, terms(), ends=utc(ends))] == periods
    assert [item.period for item in coming_charges(account, late, 0, terms(), ends=utc(ends))] == periods
