"""What a client is told that is reactivated, resumed, or whose contract has ended (FEATURES Z8, S6, S11)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from clientorg.api.clientorg import WantedState
from clientorg.api.notifications import Channel
from clientorg.domain.allocation import Holder, Waiting
from clientorg.domain.decision import decide
from clientorg.domain.lifecycle import deactivate, remind
from clientorg.domain.messages import Notice, from_status, new_entry, to_status
from clientorg.domain.notices import as_of, notices, reminder_key, trial_key, without_outdated
from clientorg.domain.records import deactivation_json
from tests.unit.life_model import NOON, TERMS, facts_of, situation

DELIVERED = {"key": "delivery", "kind": "delivery", "params": {}, "created": "2026-11-01T00:00:00Z"}
DEACTIVATED = {
    "state": "Deactivated",
    "deactivation": deactivation_json(deactivate(NOON, TERMS)),
    "outbox": [DELIVERED],
}


def told(held: int, waiting: Waiting | None) -> list[str]:
    """Kinds of messages after the reactivation of a client that holds so many of ten visitors."""
    decision = decide(situation(holder=Holder({"visitors": held}, 1), deactivation=deactivate(NOON, TERMS)))
    facts = facts_of(decision, WantedState.ACTIVE, waiting=waiting)
    return [notice.kind.value for notice in notices(DEACTIVATED, facts, decision, NOON)]


def test_reactivated_client_is_told_that_it_is_active() -> None:
    assert told(10, None) == ["reactivated"]


def test_reactivated_client_that_waits_for_licenses_is_not_told_that_it_is_active() -> None:
    assert told(0, Waiting("uid", "acme", 1, {"visitors": 10})) == ["waiting"]


# -- the contract has ended ------------------------------------------------------------------------------------------

EXECUTED = {"termination": {"executedTime": "2026-11-25T03:00:00Z"}}


def deactivating(before: dict[str, Any], *, terminated: bool = False) -> list[Notice]:
    """What is told when a client that is to be deactivated is seen for the first time."""
    decision = decide(situation(state=WantedState.DEACTIVATED))
    facts = facts_of(decision, WantedState.DEACTIVATED)
    return notices({"state": "Active", "outbox": [DELIVERED]} | before, facts, decision, NOON, terminated=terminated)


def reminding(before: dict[str, Any], *, terminated: bool = False) -> list[Notice]:
    """What is told thirty days before the purge of a client that was deactivated at noon."""
    record = deactivate(NOON, TERMS)
    now = record.purge_after - timedelta(days=30)
    decision = decide(situation(now=now, state=WantedState.DEACTIVATED, deactivation=record))
    facts = facts_of(decision, WantedState.DEACTIVATED)
    return notices({**DEACTIVATED, **before}, facts, decision, now, terminated=terminated)


def test_end_of_a_contract_is_not_told_as_a_deactivation() -> None:
    assert [notice.kind.value for notice in deactivating({})] == ["deactivated"]
    assert deactivating({}, terminated=True) == []
    assert deactivating(EXECUTED) == []


@pytest.mark.parametrize(("before", "terminated"), [({}, True), (EXECUTED, False)])
def test_reminder_after_the_end_of_a_contract_says_so(before: dict[str, Any], terminated: bool) -> None:
    (usual,), (ended,) = reminding({}), reminding(before, terminated=terminated)

    assert "terminated" not in usual.params
    assert ended.params == {**usual.params, "terminated": "true"}
    assert ended.key == usual.key, "the same reminder: it is counted as such"


def test_messages_that_are_late_know_that_the_contract_has_ended_meanwhile() -> None:
    record = deactivate(NOON, TERMS)
    deactivated = new_entry("deactivated-1", "deactivated", {"purgeAfter": record.purge_after}, NOON, ())
    reminder = new_entry("reminder-1", "reminder", {"purgeAfter": record.purge_after, "days": 30}, NOON, ())
    delivery = new_entry("delivery", "delivery", {}, NOON, ())

    for entry in (deactivated, reminder):
        assert as_of(entry, record, NOON, TERMS, terminated=True).params["terminated"] == "true"
        assert "terminated" not in as_of(entry, record, NOON, TERMS).params
    assert as_of(delivery, record, NOON, TERMS, terminated=True) == delivery


@pytest.mark.parametrize(("is_done", "due", "waits"), [(False, 1, True), (False, None, False), (True, None, True)])
def test_reminder_that_waits_is_sent_while_it_is_due_or_asked_for_again(
    is_done: bool, due: int | None, waits: bool
) -> None:
    """Found by Hypothesis: the mail server is down until the last reminder is due, and then the clock goes back."""
    record = deactivate(NOON, TERMS)
    if is_done:
        record = remind(record, 1, (), record.purge_after - timedelta(days=1), TERMS)
    key, params = reminder_key(record, 1), {"purgeAfter": record.purge_after, "days": 1}
    outbox = (new_entry(key, "reminder", params, NOON, [Channel.MAIL]),)

    assert bool(without_outdated(outbox, record, due)) == waits


@pytest.mark.parametrize(
    ("was", "params"),
    [
        (["NegativeBalance"], {"reason": "NegativeBalance"}),
        (["NegativeBalance", "Requested"], {}),
        (["QuotaExhausted"], {}),
    ],
)
def test_resumed_client_is_told_that_its_balance_is_well_where_that_was_why(
    was: list[str], params: dict[str, str]
) -> None:
    decision = decide(situation())
    facts = facts_of(decision, WantedState.ACTIVE)
    (notice,) = notices({"state": "Paused", "pauseReasons": was, "outbox": [DELIVERED]}, facts, decision, NOON)

    assert (notice.kind.value, notice.params) == ("resumed", params)


# -- a trial ends ------------------------------------------------------------------------------------------------------

TRIAL_ENDS = NOON + timedelta(days=7)
NEAR = ["ExpiringSoon", "Trial"]


def of_a_trial(before: dict[str, Any], ends: datetime | None, state: WantedState = WantedState.ACTIVE) -> list[str]:
    """Keys of what is told of a client that works, about the end of its trial."""
    decision = decide(situation(state=state))
    facts = facts_of(decision, state, trial_ends=ends)
    found = notices({"state": "Active", "outbox": [DELIVERED]} | before, facts, decision, NOON)
    return [notice.key for notice in found if notice.kind.value == "trial-ending"]


def written(ends: datetime) -> dict[str, Any]:
    """The message as the outbox has it while no channel has taken it."""
    entry = new_entry(trial_key(ends), "trial-ending", {"ends": ends}, NOON, [Channel.MAIL])
    return to_status((entry,))[0]


def test_the_end_of_a_trial_is_told_once_when_it_comes_near() -> None:
    assert of_a_trial({"standing": ["Trial"]}, TRIAL_ENDS) == [trial_key(TRIAL_ENDS)]
    assert of_a_trial({"standing": NEAR, "outbox": [written(TRIAL_ENDS)]}, TRIAL_ENDS) == []
    assert of_a_trial({"standing": NEAR}, TRIAL_ENDS) == [], "the outbox has made room since"
    assert of_a_trial({"standing": ["Trial"]}, None) == []


def test_an_end_that_moves_by_some_days_is_told_anew() -> None:
    later = TRIAL_ENDS + timedelta(days=2)
    before = {"standing": NEAR, "outbox": [written(TRIAL_ENDS)]}
    assert of_a_trial(before, later) == [trial_key(later)]


def test_the_end_of_a_trial_is_not_told_of_a_client_that_leaves() -> None:
    assert of_a_trial({"standing": ["Trial"]}, TRIAL_ENDS, WantedState.DEACTIVATED) == []
    assert of_a_trial({"standing": ["Trial"], **EXECUTED}, TRIAL_ENDS) == []


@pytest.mark.parametrize(
    ("ends", "waits"), [(TRIAL_ENDS, True), (TRIAL_ENDS + timedelta(days=2), False), (None, False)]
)
def test_an_end_that_is_not_true_any_more_is_not_sent(ends: datetime | None, waits: bool) -> None:
    outbox = from_status([written(TRIAL_ENDS)])
    assert bool(without_outdated(outbox, None, None, ends)) == waits
