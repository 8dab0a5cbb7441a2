"""Conditions: only a real change moves lastTransitionTime."""

from __future__ import annotations

from clientorg.api.conditions import ConditionType, Reason
from clientorg.domain.conditions import false, find, merge, true, unknown
from tests.unit.strategies import LATER, NOW

READY = true(ConditionType.READY, Reason.READY, "the client can work")


def test_condition_says_everything_that_kubernetes_asks_for() -> None:
    assert merge((), [READY], 4, NOW) == [
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 4,
            "lastTransitionTime": NOW,
            "reason": "Ready",
            "message": "the client can work",
        }
    ]


def test_transition_time_stays_while_the_status_does() -> None:
    before = merge((), [true(ConditionType.READY, Reason.READY)], 4, NOW)
    (after,) = merge(before, [true(ConditionType.READY, Reason.OVER_COMMITTED, "less than before")], 5, LATER)

    assert (after["lastTransitionTime"], after["observedGeneration"], after["reason"]) == (NOW, 5, "OverCommitted")


def test_transition_time_moves_with_the_status() -> None:
    before = merge((), [READY], 4, NOW)

    for state in (false(ConditionType.READY, Reason.READY), unknown(ConditionType.READY, Reason.READY)):
        assert merge(before, [state], 4, LATER)[0]["lastTransitionTime"] == LATER


def test_conditions_keep_the_order_of_the_states_and_lose_what_is_not_named() -> None:
    before = merge((), [READY, false(ConditionType.STALLED, Reason.READY)], 1, NOW)
    after = merge(before, [false(ConditionType.RECONCILING, Reason.READY), READY], 1, LATER)

    assert [(item["type"], item["lastTransitionTime"]) for item in after] == [("Reconciling", LATER), ("Ready", NOW)]


def test_long_message_is_cut() -> None:
    (condition,) = merge((), [true(ConditionType.READY, Reason.READY, "x" * 5000)], 1, NOW)

    assert len(condition["message"]) <= 4096, "the CRD's bound"


def test_condition_is_found_by_type() -> None:
    conditions = merge((), [READY], 1, NOW)

    assert find(conditions, ConditionType.READY) is conditions[0]
    assert find(conditions, ConditionType.STALLED) is None
    assert find((), ConditionType.READY) is None
