"""The timeline: what is written down, at the time it is written down for, and what the rules say is coming."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clientorg.api.clientorg import WantedState
from clientorg.cli.accountentries import account_entries
from clientorg.cli.dates import Calendar
from clientorg.cli.planrules import plan_rules
from clientorg.cli.timeline import document, page
from clientorg.cli.timelinerows import Entry, timeline
from clientorg.domain.timestamps import rfc3339
from tests.unit.cli_builders import client, granted, pool
from tests.unit.life_model import NOON, TERMS, TOKYO, Life

Json = dict[str, Any]

JAPAN = Calendar(TOKYO, "Asia/Tokyo")


def entries(status: Json, now: datetime = NOON, **parts: Any) -> list[Entry]:
    """The timeline of a client with this status."""
    item = client(status=status, metadata=parts.pop("metadata", {}))
    more = account_entries(item | {"spec": item["spec"] | parts.get("spec", {})}, parts.get("billing"), now)
    return timeline(item, parts.get("pool"), parts.get("terms", TERMS), parts.get("events", ()), JAPAN, now, more)


def whats(found: list[Entry]) -> list[str]:
    """What they tell, in order."""
    return [entry.what for entry in found]


def condition(kind: str, status: str, reason: str, time: str, message: str = "") -> Json:
    """A condition."""
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time}


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 130))
def test_what_was_coming_has_happened_or_comes_still(day: float) -> None:
    """Whenever one looks, past and future together are the reminders and the deletion that were announced at first."""
    life = Life(state=WantedState.DEACTIVATED)
    life.settle()
    announced = {(e.time, e.what) for e in entries(life.status, life.now) if e.is_coming}
    life.wait(NOON + timedelta(days=day))
    later = entries(life.status, life.now)
    came = {"ReminderDelivered": "Reminder", "PurgeStarted": "Purge"}
    assert {(e.time, came.get(e.what, e.what)) for e in later if e.is_coming or e.what in came} == announced
    assert [e.when(life.now) for e in later if e.is_coming] == ["future" for e in later if e.is_coming]
    assert ("Purged" in whats(later)) == life.is_purged


def test_past_comes_first_and_what_is_due_before_what_is_to_come() -> None:
    life = Life(state=WantedState.DEACTIVATED)
    life.settle()
    found = entries(life.status, NOON + timedelta(days=80))
    coming = [entry.is_coming for entry in found]
    assert coming == sorted(coming)
    assert [entry.when(NOON + timedelta(days=80)) for entry in found if entry.is_coming] == ["due", *["future"] * 3]


def test_a_condition_tells_its_status_at_its_time_and_its_reason_as_that_of_now() -> None:
    """Its reason may have changed since: who became Ready on the 2nd was not deactivated then."""
    (found,) = entries({"conditions": [condition("Ready", "True", "Deactivated", "2026-11-02T00:00:00Z", "over")]})[1:]
    assert (found.what, found.detail) == ("Ready", "now Deactivated: over")


@pytest.mark.parametrize(
    ("kind", "status", "reason", "told"),
    [
        ("Ready", "False", "QuotaPending", "NotReady"),
        ("Reconciling", "True", "Provisioning", None),
        ("Stalled", "False", "Ready", None),
        ("Stalled", "True", "PlanNotFound", "Stalled"),
        ("LicensesAllocated", "False", "QuotaPending", "LicensesMissing"),
        ("LicensesAllocated", "False", "Deactivated", None),
        ("LicensesAllocated", "Unknown", "Provisioning", None),
        ("Paused", "True", "Requested", "Paused"),
        ("Paused", "False", "Running", "Resumed"),
        ("PauseBlocked", "False", "Stopped", None),
        ("UsageReported", "True", "Fresh", None),
        ("UsageReported", "False", "Stale", "UsageStale"),
        ("NotificationFailing", "True", "DeliveryFailed", "MessagesFail"),
        ("OfANewerVersion", "True", "Whatever", None),
    ],
)
def test_conditions_that_are_news(kind: str, status: str, reason: str, told: str | None) -> None:
    earlier = condition("Stalled", "False", "Ready", "2026-11-01T00:00:00Z")
    found = entries({"conditions": [earlier, condition(kind, status, reason, "2026-11-02T00:00:00Z")]})
    assert whats(found) == ["Created", *([told] if told else [])]


def test_who_was_never_paused_was_not_resumed() -> None:
    first = "2026-11-01T00:00:00Z"
    found = entries({"conditions": [condition("Paused", "False", "Running", first)]})
    assert whats(found) == ["Created"]


def test_an_event_is_not_told_twice_but_one_of_another_time_is() -> None:
    ready = condition("Ready", "True", "Ready", "2026-11-01T00:00:00Z")
    events = [
        {"metadata": {}, "eventTime": f"2026-11-0{day}T00:00:00.250000Z", "reason": "Ready", "note": "it can work"}
        for day in (1, 2)
    ]
    found = entries({"conditions": [ready]}, events=events)
    assert [(e.what, e.source.value) for e in found] == [
        ("Created", "status"),
        ("Ready", "condition"),
        ("Ready", "event"),
    ]


@pytest.mark.parametrize(
    ("event", "time", "detail"),
    [
        ({"metadata": {}, "eventTime": "2026-11-02T00:00:00.000000Z", "note": "a"}, "2026-11-02T00:00:00Z", "a"),
        ({"metadata": {}, "deprecatedFirstTimestamp": "2026-11-03T00:00:00Z"}, "2026-11-03T00:00:00Z", ""),
        (
            {"metadata": {"creationTimestamp": "2026-11-04T00:00:00Z"}, "note": "b", "series": {"count": 3}},
            "2026-11-04T00:00:00Z",
            "b (3 times)",
        ),
    ],
)
def test_events_have_their_time_in_one_of_three_places(event: Json, time: str, detail: str) -> None:
    found = entries({}, events=[event])[-1]
    assert (rfc3339(found.time), found.detail) == (time, detail)


def test_an_event_without_a_time_is_left_out() -> None:
    assert whats(entries({}, events=[{"metadata": {}, "note": "when?"}])) == ["Created"]


def test_messages_are_told_when_they_were_made_sent_and_tried_again() -> None:
    message = {
        "key": "delivery",
        "kind": "delivery",
        "params": {},
        "created": "2026-11-20T00:00:00Z",
        "mail": {"state": "Sent", "attempts": 0, "resends": 0, "sent": "2026-11-20T00:00:02Z"},
        "webhook": {
            "state": "Pending",
            "attempts": 2,
            "resends": 0,
            "nextAttempt": "2026-11-26T00:00:00Z",
            "lastError": "does not answer",
        },
    }
    told = [(e.what, e.detail) for e in entries({"outbox": [message]})[1:]]
    assert told == [
        ("Message", "delivery (mail Sent, webhook Pending (tries that failed: 2): does not answer)"),
        ("MessageSent", "delivery by mail"),
        ("MessageDue", "delivery by webhook"),
    ]


def test_a_notice_that_is_longer_than_the_last_reminder_is_told_beside_the_announced_time() -> None:
    life = Life(state=WantedState.DEACTIVATED)
    life.settle()
    now = NOON + timedelta(days=93)  # nobody was reminded: the operator was down
    found = {entry.what: entry for entry in entries(life.status, now) if entry.is_coming}
    assert found["GraceEnds"].when(now) == "due"
    assert found["Purge"].time == now + timedelta(days=1)


def test_without_a_plan_the_announced_time_is_all_that_is_known() -> None:
    life = Life(state=WantedState.DEACTIVATED)
    life.settle()
    coming = [entry for entry in entries(life.status, terms=None) if entry.is_coming]
    assert [(entry.what, entry.detail) for entry in coming] == [("Purge", "everything is deleted, not before this")]


def test_a_count_begins_anew_in_the_plans_time_zone() -> None:
    stock = pool(visitors=1000)
    stock["spec"]["licenses"][0]["usePeriod"] = "Monthly"
    found = entries(granted(visitors=500, used=1), pool=stock)[-1]
    assert (found.what, found.time) == ("NextPeriod", datetime(2026, 11, 30, 15, tzinfo=UTC))
    gone = granted(visitors=500) | {"state": "Purged"}
    assert "NextPeriod" not in whats(entries(gone, pool=stock))


@pytest.mark.parametrize(("held", "told"), [(0, False), (120, True)])
def test_what_a_deactivated_client_has_used_returns_when_the_count_begins_anew(held: int, told: bool) -> None:
    stock = pool(visitors=1000)
    stock["spec"]["licenses"][0]["usePeriod"] = "Monthly"
    record = {"since": "2026-11-01T00:00:00Z", "purgeAfter": "2027-02-01T00:00:00Z"}
    status = granted(visitors=held) | {"state": "Deactivated", "deactivation": record}
    details = [entry.detail for entry in entries(status, pool=stock) if entry.what == "NextPeriod"]
    assert details == ["the count of visitors begins anew, and what it still has returns to the pool"] * told


def test_a_page_has_a_line_for_now() -> None:
    life = Life(state=WantedState.DEACTIVATED)
    life.settle()
    lines = list(page(entries(life.status), JAPAN, NOON, color=False))
    assert lines[0].startswith("TIME (Asia/Tokyo)")
    now = next(index for index, line in enumerate(lines) if "--------" in line)
    assert lines[now].startswith("2026-11-25 12:00")
    assert all("Reminder" in line for line in lines[now + 1 : -1])
    assert "Nothing is due." in list(page(entries({}), JAPAN, NOON, color=False))


def test_as_data_every_time_is_in_utc() -> None:
    whole = document(client(), entries({}), JAPAN, NOON)
    assert whole == {
        "namespace": "agency",
        "name": "acme",
        "now": "2026-11-25T03:00:00Z",
        "timeZone": "Asia/Tokyo",
        "entries": [
            {
                "time": "2026-11-01T00:00:00Z",
                "when": "past",
                "source": "status",
                "what": "Created",
                "detail": "Acme K.K.",
            }
        ],
    }


# -- approval, points and the end of the contract ---------------------------------------------------------------------

BILLING = plan_rules(
    {
        "metadata": {"name": "standard"},
        "spec": {"timeZone": "Asia/Tokyo", "billing": {"basePoints": 1000, "negativeToleranceDays": 3}},
    }
).billing
POINTS: Json = {"balance": 2500, "chargesFrom": "2026-03", "chargedThrough": "2026-11"}


def coming(found: list[Entry]) -> list[tuple[str, str]]:
    """Day in Tokyo and what, of what is to come."""
    return [(JAPAN.text(entry.time)[:10], entry.what) for entry in found if entry.is_coming]


def test_coming_charges_tell_the_balance_after_each_and_when_the_client_is_paused_for_it() -> None:
    found = entries({"points": POINTS}, billing=BILLING)
    assert coming(found) == [
        ("2026-12-25", "Charge"),
        ("2027-01-25", "Charge"),
        ("2027-02-25", "Charge"),
        ("2027-02-28", "PausedForBalance"),
    ]
    assert [entry.detail.rpartition(" ")[2] for entry in found if entry.what == "Charge"] == ["1,500", "500", "-500"]


def test_who_owes_points_is_paused_by_the_time_it_began() -> None:
    points = POINTS | {"balance": -5, "negativeSince": "2026-11-24T15:00:00Z"}
    found = entries({"points": points}, billing=BILLING)
    assert ("2026-11-28", "PausedForBalance") in coming(found)
    assert ("BalanceNegative", "now -5") in [(entry.what, entry.detail) for entry in found]
    paused = entries({"points": points, "pauseReasons": ["NegativeBalance"]}, billing=BILLING)
    assert "PausedForBalance" not in whats(paused)


def test_nothing_is_charged_after_the_end() -> None:
    end = {"termination": {"time": "2027-01-30T15:00:00Z", "consent": {}}}
    found = entries({"points": POINTS}, billing=BILLING, spec=end)
    assert coming(found) == [("2026-12-25", "Charge"), ("2027-01-25", "Charge"), ("2027-01-31", "Termination")]


def test_an_approval_and_an_end_are_told_when_they_were() -> None:
    status = {
        "approval": {
            "requestedTime": "2026-11-02T00:00:00Z",
            "dueTime": "2026-11-05T15:00:00Z",
            "decision": "Reject",
            "decidedTime": "2026-11-03T00:00:00Z",
            "by": "bob",
            "reason": "no",
        },
        "termination": {"executedTime": "2026-11-04T00:00:00Z", "settledTime": "2026-11-04T00:00:01Z"},
    }
    found = entries(status, billing=BILLING)
    assert whats(found) == ["Created", "ApprovalRequested", "Rejected", "Terminated", "Settled"]
    assert [entry.detail for entry in found][2:] == ["by bob: no", "the contract ended", "nothing was left"]


def test_until_somebody_decides_the_approval_is_due() -> None:
    record = {"requestedTime": "2026-11-02T00:00:00Z", "dueTime": "2026-11-05T15:00:00Z"}
    assert coming(entries({"approval": record})) == [("2026-11-06", "ApprovalDue")]
