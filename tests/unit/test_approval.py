"""Who may decide on a client, which decision counts, and how long it may take (FEATURES S2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.conditions import Reason
from clientorg.api.meta import ANNOTATION_RESTORED_DECISION
from clientorg.api.orgapproval import ApprovalDecision
from clientorg.api.orgplan import ApprovalTarget, Weekday
from clientorg.domain.approval import Verdict, advance, business_days, decide_approval, due_time, objection

TOKYO, PRAGUE, HAVANA = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Prague"), ZoneInfo("America/Havana")
SECOND = timedelta(seconds=1)


def verdict(name: str = "yes", **fields: str) -> Verdict:
    """The owner approves of acme."""
    default = {"created": "2026-11-02T09:00:00Z", "client": "acme", "client_uid": "u-1", "by": "owner", "reason": None}
    return Verdict(name, decision=ApprovalDecision.APPROVE, **{**default, **fields})  # type: ignore[arg-type]


def at(text: str, time_zone: ZoneInfo) -> datetime:
    """A wall-clock time, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=time_zone).astimezone(UTC)


def target(
    days: int = 3, weekend: Sequence[Weekday] | None = None, holidays: list[str] | None = None
) -> ApprovalTarget:
    """Three business days; no work on Saturday and Sunday."""
    free = [Weekday.SATURDAY, Weekday.SUNDAY] if weekend is None else weekend
    return ApprovalTarget(businessDays=days, weekend=list(free), holidays=holidays or [])


# -- objections -------------------------------------------------------------------------------------------------------


def test_decision_of_somebody_else_on_this_very_client_counts() -> None:
    assert objection(verdict(), "u-1", "alice") is None


@pytest.mark.parametrize(
    ("uid", "requested_by", "reason", "tells"),
    [
        (None, "alice", Reason.CLIENT_NOT_FOUND, "'acme'"),
        ("u-2", "alice", Reason.CLIENT_MISMATCH, "u-2"),
        ("u-1", None, Reason.REQUESTER_UNKNOWN, "spec.requestedBy"),
        ("u-1", "owner", Reason.SELF_APPROVAL, "'owner'"),
        ("u-2", "owner", Reason.CLIENT_MISMATCH, "u-2"),
    ],
)
def test_decision_that_does_not_count_says_why(
    uid: str | None, requested_by: str | None, reason: Reason, tells: str
) -> None:
    found = objection(verdict(), uid, requested_by)

    assert found is not None
    assert found.reason is reason
    assert tells in found.message


# -- the decision that counts -----------------------------------------------------------------------------------------


def test_first_valid_decision_counts_in_whatever_order_they_are_read() -> None:
    self_made = verdict("a", by="alice", created="2026-11-02T08:00:00Z")
    for_another = verdict("b", client_uid="u-0", created="2026-11-02T08:30:00Z")
    first = verdict("d", created="2026-11-02T09:00:00Z", by="owner")
    same_second = verdict("e", created="2026-11-02T09:00:00Z", by="boss")
    later = verdict("c", created="2026-11-02T09:00:01Z", by="boss")

    for order in permutations([self_made, for_another, first, same_second, later]):
        assert decide_approval(order, "u-1", "alice") is first


def test_decision_from_a_backup_was_made_when_it_says() -> None:
    """Not when it was restored, nor later than now; one that was made here is made when it is seen."""
    restored = Verdict.of(
        {
            "metadata": {
                "name": "yes",
                "creationTimestamp": "2026-12-24T00:00:00Z",
                "annotations": {ANNOTATION_RESTORED_DECISION: "2026-11-02T09:00:00Z"},
            },
            "spec": {
                "clientRef": {"name": "acme"},
                "clientUID": "u-1",
                "decision": "Approve",
                "approvedBy": "owner",
            },
        }
    )
    ahead = replace(restored, created="2027-01-01T00:00:00Z")
    here = verdict(created="2026-11-02T09:00:00Z")
    now = datetime(2026, 12, 24, 1, tzinfo=UTC)

    def decided(item: Verdict) -> datetime | None:
        record = advance(
            None,
            [item],
            client_uid="u-1",
            requested_by="alice",
            requested=now,
            target=target(),
            time_zone=TOKYO,
            now=now,
        )
        return record.decided

    assert decided(restored) == datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert decided(ahead) == now
    assert decided(here) == now
    assert decide_approval([here, restored, ahead], "u-1", "alice") is here
    assert decide_approval([replace(here, created="2026-12-23T00:00:00Z"), restored], "u-1", "alice") is restored


def test_nobody_has_decided_while_no_decision_is_valid() -> None:
    assert decide_approval([], "u-1", "alice") is None
    assert decide_approval([verdict(by="alice"), verdict(client_uid="u-0")], "u-1", "alice") is None
    assert decide_approval([verdict()], "u-1", None) is None


# -- business days ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "time_zone", "wanted", "due"),
    [
        pytest.param("2026-11-02T09:00", TOKYO, target(), "2026-11-06T00:00", id="Monday: the end of Thursday"),
        pytest.param("2026-11-05T23:59", TOKYO, target(), "2026-11-11T00:00", id="Thursday: Friday, Monday, Tuesday"),
        pytest.param("2026-11-06T00:00", TOKYO, target(), "2026-11-12T00:00", id="a minute later it is Friday"),
        pytest.param("2026-11-07T12:00", TOKYO, target(1), "2026-11-10T00:00", id="Saturday: Monday"),
        pytest.param("2026-11-02T09:00", TOKYO, target(1, []), "2026-11-04T00:00", id="no weekend"),
        pytest.param("2026-11-06T09:00", TOKYO, target(2, []), "2026-11-09T00:00", id="no weekend: Saturday, Sunday"),
        pytest.param(
            "2026-11-05T09:00", TOKYO, target(1, [Weekday.FRIDAY]), "2026-11-08T00:00", id="Friday is free: Saturday"
        ),
        pytest.param(
            "2026-11-02T09:00", TOKYO, target(holidays=["2026-11-03"]), "2026-11-07T00:00", id="Culture Day is free"
        ),
        pytest.param(
            "2026-11-02T09:00", TOKYO, target(holidays=["2026-11-07"]), "2026-11-06T00:00", id="a holiday on Saturday"
        ),
        pytest.param(
            "2026-12-30T09:00",
            TOKYO,
            target(1, holidays=["2026-12-31", "2027-01-01"]),
            "2027-01-05T00:00",
            id="over the new year",
        ),
        pytest.param("2026-03-27T12:00", PRAGUE, target(1), "2026-03-31T00:00", id="over the change of clocks"),
        pytest.param("2026-03-06T12:00", HAVANA, target(1, []), "2026-03-08T01:00", id="midnight is skipped"),
    ],
)
def test_target_is_due_at_the_end_of_its_last_business_day(
    requested: str, time_zone: ZoneInfo, wanted: ApprovalTarget, due: str
) -> None:
    assert due_time(at(requested, time_zone), wanted, time_zone) == at(due, time_zone)


def test_day_of_the_request_is_that_of_the_plans_time_zone() -> None:
    """Sunday evening in UTC is Monday morning in Tokyo."""
    requested = datetime(2026, 11, 1, 16, 0, tzinfo=UTC)

    assert due_time(requested, target(1), ZoneInfo("UTC")) == datetime(2026, 11, 3, tzinfo=UTC)
    assert due_time(requested, target(1), TOKYO) == at("2026-11-04T00:00", TOKYO)


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2026-11-02T09:00", "2026-11-02T23:59", 0),
        ("2026-11-02T23:59", "2026-11-03T00:00", 1),
        ("2026-11-02T09:00", "2026-11-05T09:00", 3),
        ("2026-11-06T09:00", "2026-11-08T23:59", 0),
        ("2026-11-06T09:00", "2026-11-09T00:00", 1),
        ("2026-11-09T00:00", "2026-11-06T09:00", 0),
        ("2026-11-20T09:00", "2026-11-30T09:00", 5),
    ],
)
def test_business_days_between_two_moments(start: str, end: str, days: int) -> None:
    """Monday 23 November is Labor Thanksgiving Day."""
    wanted = target(holidays=["2026-11-23"])

    assert business_days(at(start, TOKYO), at(end, TOKYO), wanted, TOKYO) == days


zones = st.sampled_from(
    ["UTC", "Asia/Tokyo", "Europe/Prague", "America/Havana", "America/Sao_Paulo", "Africa/Cairo", "Pacific/Apia"]
).map(ZoneInfo)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))
targets = st.builds(
    target,
    st.integers(1, 90),
    st.lists(st.sampled_from(list(Weekday)), max_size=6, unique=True),
    st.lists(st.dates(date(2000, 1, 1), date(2036, 6, 1)).map(date.isoformat), max_size=20, unique=True),
)


@given(moments, targets, zones, st.data())
def test_due_time_is_when_one_business_day_more_would_begin(
    requested: datetime, wanted: ApprovalTarget, time_zone: ZoneInfo, data: st.DataObject
) -> None:
    due = due_time(requested, wanted, time_zone)

    last = (due - SECOND).astimezone(time_zone).date()
    assert due > requested
    assert list(Weekday)[last.weekday()] not in wanted.weekend
    assert last.isoformat() not in wanted.holidays
    assert business_days(requested, due - SECOND, wanted, time_zone) == wanted.business_days
    between = data.draw(st.datetimes(requested.replace(tzinfo=None), due.replace(tzinfo=None), timezones=st.just(UTC)))
    assert business_days(requested, min(between, due - SECOND), wanted, time_zone) <= wanted.business_days


@given(moments, moments, moments, targets, zones)
def test_business_days_add_up(
    first: datetime, second: datetime, third: datetime, wanted: ApprovalTarget, time_zone: ZoneInfo
) -> None:
    start, middle, end = sorted([first, second, third])
    end, middle = min(end, start + timedelta(days=400)), min(middle, start + timedelta(days=200))

    parts = business_days(start, middle, wanted, time_zone) + business_days(middle, end, wanted, time_zone)

    assert parts == business_days(start, end, wanted, time_zone)


def test_year_full_of_holidays_ends() -> None:
    """The CRD takes 366 of them, and a weekend of six days at most."""
    start = date(2026, 11, 2)
    holidays = [(start + timedelta(days=7 * week)).isoformat() for week in range(366)]
    weekend = [day for day in Weekday if day is not Weekday.MONDAY]

    due = due_time(at("2026-11-01T12:00", TOKYO), target(90, weekend, holidays), TOKYO)

    assert due == at((start + timedelta(days=7 * (366 + 89) + 1)).isoformat(), TOKYO)


def test_holiday_that_no_calendar_has_changes_nothing() -> None:
    """The CRD's pattern takes 31 February."""
    assert due_time(at("2026-11-02T09:00", TOKYO), target(holidays=["2026-02-31"]), TOKYO) == at("2026-11-06", TOKYO)


@pytest.mark.parametrize(
    ("created", "since"),
    [("2026-11-02T08:00", "2026-11-02T08:00"), ("2026-11-23T08:00", "2026-11-02T09:00")],
)
def test_request_is_not_of_the_future(created: str, since: str) -> None:
    """The API server says when the client was created, and its clock may be ahead of the operator's."""
    now = at("2026-11-02T09:00", TOKYO)

    found = advance(
        None,
        (),
        client_uid="u-1",
        requested_by="alice",
        requested=at(created, TOKYO),
        target=target(),
        time_zone=TOKYO,
        now=now,
    )

    assert found.requested == at(since, TOKYO)
    assert found.due == at("2026-11-06", TOKYO)
