"""pause, resume, deactivate, reactivate: what is refused, what would happen, and when it is done (FEATURES Z6-Z9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.cli.dates import Calendar
from clientorg.cli.exits import NotReachedError
from clientorg.cli.options import CHANGE_CAUSE
from clientorg.cli.rows import client_row
from clientorg.cli.running import Running, Workload
from clientorg.cli.statechange import Action, View, check
from clientorg.cli.stateflow import state_patch
from clientorg.cli.statepreview import document, in_turn, lines, needs, returns
from clientorg.cli.statewait import how_it_stands, is_reached
from clientorg.dashboard.stateactions import agreement
from clientorg.domain.lifecycle import Terms
from clientorg.domain.usage import is_exhausted
from clientorg.errors import InputError
from tests.unit.cli_builders import client, granted, pool, ready
from tests.unit.life_model import TOKYO

Json = dict[str, Any]

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
TERMS = Terms(3, (30, 1), 1, TOKYO)
PLAN: Json = {"metadata": {"name": "standard"}, "spec": {"notifications": {"fromAddress": "a@b.example"}}}
DEACTIVATED: Json = {"since": "2026-11-01T00:00:00Z", "purgeAfter": "2027-02-01T00:00:00Z"}
PURGING = DEACTIVATED | {"purgeStartedTime": "2027-02-01T00:00:00Z"}
TERMINATED = {"executedTime": "2026-11-01T00:00:00Z"}
PURGED = PURGING | {"purgedTime": "2027-02-01T00:01:00Z"}


def view(action: Action, item: Json, **parts: Any) -> View:
    """A client that everything is known of."""
    known = View(action, item, PLAN, pool(allocated=600, visitors=1000), Running("acme-1"), TERMS, NOW)
    return replace(known, calendar=Calendar(TOKYO, "Asia/Tokyo"), **parts)


def working(state: str | None = "Active", *, used: int | None = None, **status: Any) -> Json:
    """A client with 500 visitors."""
    return client(state=state, status={**granted(visitors=500, used=used), **status})


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "item", "words"),
    [
        (Action.PAUSE, working("Deactivated"), "kubectl clientorg reactivate acme -n agency"),
        (Action.PAUSE, working(deactivation=PURGING), "there is no way back"),
        (Action.RESUME, working("Deactivated"), "kubectl clientorg reactivate acme -n agency"),
        (Action.RESUME, working(pauseReasons=["QuotaExhausted"], used=500), "--license visitors --by"),
        (Action.RESUME, working(pauseReasons=["NegativeBalance"]), "stays paused for NegativeBalance"),
        (Action.RESUME, working(pauseReasons=["NegativeBalance"]), "kubectl clientorg points add acme -n agency"),
        (Action.REACTIVATE, working("Paused"), "kubectl clientorg resume acme -n agency"),
        *((action, working(termination=TERMINATED), "was terminated on 2026-11-01 09:00 JST") for action in Action),
        (Action.REACTIVATE, working("Deactivated", deactivation=PURGING), "there is no way back"),
        (Action.REACTIVATE, working("Deactivated", deactivation=PURGED), "delete acme -n agency --confirm acme"),
    ],
)
def test_what_cannot_be_says_what_can(action: Action, item: Json, words: str) -> None:
    with pytest.raises(InputError) as refused:
        check(view(action, item))
    assert words in str(refused.value)


@pytest.mark.parametrize("action", Action)
def test_who_is_being_deleted_has_no_other_life(action: Action) -> None:
    with pytest.raises(InputError, match="being deleted"):
        check(view(action, client(metadata={"deletionTimestamp": "2026-11-25T00:00:00Z"})))


@pytest.mark.parametrize(
    ("action", "item"),
    [
        (Action.PAUSE, working()),
        (Action.PAUSE, working(None)),
        (Action.PAUSE, working(pauseReasons=["QuotaExhausted"], used=500)),
        (Action.RESUME, working("Paused", pauseReasons=["Requested"])),
        (Action.RESUME, working("Paused", pauseReasons=["Requested", "QuotaExhausted"], used=500)),
        (Action.DEACTIVATE, working("Paused")),
        (Action.DEACTIVATE, working(deactivation=PURGED)),
        (Action.REACTIVATE, working("Deactivated", deactivation=DEACTIVATED)),
        *((action, client()) for action in Action),
    ],
)
def test_what_can_be_is_not_refused(action: Action, item: Json) -> None:
    check(view(action, item))


@pytest.mark.parametrize(
    ("action", "state", "unchanged"),
    [
        (Action.PAUSE, "Paused", True),
        (Action.PAUSE, None, False),
        (Action.RESUME, None, True),
        (Action.REACTIVATE, "Active", True),
        (Action.DEACTIVATE, "Deactivated", True),
        (Action.DEACTIVATE, "Paused", False),
    ],
)
def test_who_is_asked_for_it_already_is_not_written(action: Action, state: str | None, unchanged: bool) -> None:
    """An absent spec.state means Active."""
    assert view(action, working(state)).is_unchanged is unchanged


@pytest.mark.parametrize(
    ("reason", "before", "written"),
    [
        ("maintenance", {}, {CHANGE_CAUSE: "maintenance"}),
        (None, {}, None),
        (None, {CHANGE_CAUSE: "an earlier one"}, {CHANGE_CAUSE: None}),
    ],
)
def test_a_reason_is_that_of_this_change(reason: str | None, before: Json, written: Json | None) -> None:
    patch = state_patch(client(metadata={"annotations": before}), Action.PAUSE, reason)
    assert patch["spec"] == {"state": "Paused"}
    assert patch["metadata"].get("annotations") == written
    assert patch["metadata"]["resourceVersion"] == "7", "only onto the version that was judged"


# -- what would happen ------------------------------------------------------------------------------------------------


def shown(known: View) -> str:
    """The preview as a person sees it."""
    return "\n".join(lines(known, color=False))


def test_a_pause_shows_what_stops() -> None:
    running = Running("acme-1", (Workload("Deployment", "web", 2, "deleted"),), ("jobs",))
    known = view(Action.PAUSE, working(), running=running)
    text = shown(known)
    assert "acme (Acme K.K.) is Active; spec.state: Active → Paused" in text
    assert "What stops: 2 pods in namespace acme-1" in text
    assert "(not shown, for lack of the right to list them there: jobs)" in text
    assert document(known)["stops"] == {
        "namespace": "acme-1",
        "pods": 2,
        "workloads": [{"kind": "Deployment", "name": "web", "effect": "deleted", "pods": 2}],
        "notShown": ["jobs"],
    }


def test_a_resume_says_what_keeps_the_client_paused() -> None:
    known = view(Action.RESUME, working("Paused", pauseReasons=["Requested", "QuotaExhausted"], used=500))
    assert "It stays paused (QuotaExhausted): all 500 visitors are used" in shown(known)
    assert document(known)["staysPausedFor"] == ["QuotaExhausted"]
    assert "started again" in shown(view(Action.RESUME, working("Paused", pauseReasons=["Requested"])))


def test_a_deactivation_shows_licenses_and_dates() -> None:
    known = view(Action.DEACTIVATE, working(used=120))
    text = shown(known)
    assert "  visitors       500    120        380" in text
    assert "120 visitors are used and stay with the client until everything is deleted." in text
    assert "2027-01-26 18:00   in 62d   reminder 30 days before the deletion" in text
    assert "2027-02-25 18:00   in 92d   everything is deleted, for ever" in text
    assert "Reminders go to yuki@acme.example by mail." in text
    data = document(known)
    assert data["licenses"] == [{"name": "visitors", "granted": 500, "used": 120, "returned": 380, "kept": 120}]
    assert [(entry["days"], entry["time"]) for entry in data["reminders"]] == [
        (30, "2027-01-26T09:00:00Z"),
        (1, "2027-02-24T09:00:00Z"),
    ]
    assert data["purgeAfter"] == data["expectedPurge"] == "2027-02-25T09:00:00Z"


def test_who_reads_for_a_while_agrees_to_what_was_read() -> None:
    """The dashboard compares what was shown with what would be done: seconds that went by are no difference."""
    read = view(Action.DEACTIVATE, working(used=2))
    later = replace(read, now=read.now + timedelta(minutes=9, seconds=1))
    assert document(later) != document(read), "the moments do move"
    assert agreement(later) == agreement(read)
    assert agreement(replace(read, now=read.now + timedelta(days=1))) != agreement(read)
    assert agreement(view(Action.DEACTIVATE, working(used=3))) != agreement(read)


def test_what_is_used_of_a_monthly_license_stays_until_the_next_month() -> None:
    stock = pool(visitors=1000)
    stock["spec"]["licenses"][0]["usePeriod"] = "Monthly"
    text = shown(view(Action.DEACTIVATE, working(used=120), pool=stock))
    assert "stay with the client until the count begins anew, 2026-12-01 00:00 JST." in text


def test_a_plan_that_sends_nothing_is_said() -> None:
    text = shown(view(Action.DEACTIVATE, working(), plan={"metadata": {"name": "standard"}, "spec": {}}))
    assert "Nobody is reminded by mail or webhook: the plan standard sends nothing" in text


def test_without_the_plan_no_date_is_made_up() -> None:
    known = view(Action.DEACTIVATE, working(), plan=None, terms=None)
    assert "dates are not shown: the plan 'standard' cannot be read" in shown(known)
    assert "purgeAfter" not in document(known)


def test_the_deactivation_of_a_tombstone_only_sets_its_spec_right() -> None:
    text = shown(view(Action.DEACTIVATE, working(deactivation=PURGED)))
    assert "this only makes spec.state agree with it" in text
    assert "return to pool" not in text


def test_a_reactivation_says_what_the_pool_lacks() -> None:
    item = client(state="Deactivated", status={**granted(visitors=50), "deactivation": DEACTIVATED})
    known = view(Action.REACTIVATE, item)
    known.pool["status"]["pendingClients"] = 2  # type: ignore[index]
    text = shown(known)
    assert "  visitors     50      450         400      50" in text
    assert "The pool lacks 50 visitors: acme waits for them (QuotaPending), behind 2 clients that wait already." in text
    assert document(known)["waits"] is True
    assert document(known)["licenses"] == [
        {"name": "visitors", "held": 50, "needed": 450, "available": 400, "short": 50}
    ]


def test_a_pool_that_was_raised_a_moment_ago_counts_as_raised() -> None:
    """Its status may not have caught up with its spec."""
    stock = pool(allocated=600, visitors=1000)
    stock["spec"]["licenses"][0]["quantity"] = 2000
    item = client(state="Deactivated", status=granted(visitors=0))
    (share,) = needs(view(Action.REACTIVATE, item, pool=stock))
    assert (share.available, share.short) == (1400, 0)


def test_what_the_pool_gives_to_one_it_does_not_have_for_the_next() -> None:
    """400 are left for three that were granted nothing: the second waits, and the third has what the first left."""
    views = [
        view(
            Action.REACTIVATE,
            client(name, state="Deactivated", licenses=[{"name": "visitors", "quantity": wanted}], status={}),
        )
        for name, wanted in (("acme", 300), ("globex", 200), ("initech", 100))
    ]
    assert [document(one)["waits"] for one in in_turn(views)] == [False, True, False]


@pytest.mark.parametrize("stock", [None, pool(visitors=1000)], ids=["not read", "not counted yet"])
def test_of_a_pool_that_is_not_known_nothing_is_claimed(stock: Json | None) -> None:
    known = view(Action.REACTIVATE, client(state="Deactivated", status=granted(visitors=0)), pool=stock)
    assert document(known)["licenses"][0]["available"] is None
    assert document(known)["waits"] is False


@given(st.integers(0, 1000), st.one_of(st.none(), st.integers(0, 2000)))
def test_a_deactivation_returns_what_is_not_used_and_no_more(held: int, used: int | None) -> None:
    for share in returns(client_row(client(status=granted(visitors=held, used=used)))):
        assert share.moved == max(0, held - (used or 0))
        assert share.kept == min(held, used or 0)


@given(st.integers(0, 10), st.one_of(st.none(), st.integers(0, 10)), st.integers(0, 10))
def test_advice_on_what_is_used_up_is_by_the_operators_rule(held: int, used: int | None, wanted: int) -> None:
    item = client(
        licenses=[{"name": "visitors", "quantity": wanted}],
        status={**granted(visitors=held, used=used), "pauseReasons": ["QuotaExhausted"]},
    )
    text = shown(view(Action.RESUME, item | {"spec": item["spec"] | {"state": "Paused"}}))
    assert ("reallocate acme -n agency --license visitors" in text) == is_exhausted(used, held, wanted)


# -- when it is done --------------------------------------------------------------------------------------------------


def answered(state: str, wanted: str = "Active", *conditions: Json, generation: int = 2, **status: Any) -> Json:
    """A client whose operator has answered version 2."""
    body = {"observedGeneration": generation, "state": state, "conditions": list(conditions), **status}
    return client(state=wanted, metadata={"generation": 2}, status=body)


WRITTEN = client(metadata={"generation": 2})
STOPPED = {"type": "PauseBlocked", "status": "False", "reason": "Stopped"}
STOPPING = STOPPED | {"reason": "Pausing"}
UNBUILT = {"type": "WorkspaceReady", "status": "False", "reason": "Provisioning"}
GRANTED = {"type": "LicensesAllocated", "status": "True"}
PENDING = {"type": "LicensesAllocated", "status": "False", "reason": "QuotaPending"}
READY, NOT_READY = ready("True", "Ready"), ready("False", "Resuming")
WISH: Json = {"pauseReasons": ["Requested"]}
USED_UP: Json = {"pauseReasons": ["QuotaExhausted"]}


@pytest.mark.parametrize(
    ("action", "item", "done"),
    [
        pytest.param(Action.PAUSE, answered("Active", "Paused", generation=1), False, id="of an earlier version"),
        pytest.param(Action.PAUSE, answered("Paused", "Paused", STOPPING, **WISH), False, id="stopping"),
        pytest.param(Action.PAUSE, answered("Paused", "Paused", STOPPED, **WISH), True, id="stopped"),
        pytest.param(Action.PAUSE, answered("Paused", "Paused", UNBUILT, **WISH), True, id="nothing that could run"),
        pytest.param(Action.PAUSE, answered("Paused", "Paused", STOPPED, **USED_UP), False, id="for another reason"),
        pytest.param(Action.RESUME, answered("Active", "Active", NOT_READY), False, id="resuming"),
        pytest.param(Action.RESUME, answered("Active", "Active", READY), True, id="resumed"),
        pytest.param(Action.REACTIVATE, answered("Paused", "Active", PENDING, **USED_UP), False, id="waits"),
        pytest.param(
            Action.DEACTIVATE,
            answered("Deactivated", "Deactivated", STOPPED, deactivation=DEACTIVATED),
            True,
            id="deactivated",
        ),
        pytest.param(
            Action.DEACTIVATE,
            answered("Deactivated", "Deactivated", STOPPING, deactivation=DEACTIVATED),
            False,
            id="deactivated, stopping",
        ),
        pytest.param(Action.DEACTIVATE, answered("Purged", "Deactivated", deactivation=PURGED), True, id="a tombstone"),
        pytest.param(
            Action.REACTIVATE,
            answered("Deactivated", "Active", READY, deactivation=DEACTIVATED),
            False,
            id="not reactivated yet",
        ),
    ],
)
def test_done_when_the_status_says_so(action: Action, item: Json, done: bool) -> None:
    assert is_reached(action, "acme", WRITTEN, item) is done


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, "deleted meanwhile"),
        (client(metadata={"uid": "another"}), "deleted meanwhile"),
        (answered("Paused", "Paused"), "somebody has set spec.state to Paused"),
        (answered("Paused", "Active", GRANTED, **USED_UP), "stays paused: QuotaExhausted"),
    ],
)
def test_what_cannot_come_is_not_waited_for(item: Json | None, words: str) -> None:
    with pytest.raises(NotReachedError, match=words):
        is_reached(Action.RESUME, "acme", WRITTEN, item)


def test_the_progress_says_what_does_not_stop() -> None:
    blocked = {"type": "PauseBlocked", "status": "True", "message": "pod web: its finalizers are not released"}
    item = answered("Paused", "Paused", NOT_READY, blocked)
    assert how_it_stands(item) == "PauseBlocked: pod web: its finalizers are not released"
    assert "does it run?" in how_it_stands(None)
