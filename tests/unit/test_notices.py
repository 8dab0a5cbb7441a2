"""What a reactivated client is told (FEATURES Z8)."""

from __future__ import annotations

from clientorg.api.clientorg import WantedState
from clientorg.domain.allocation import Holder, Waiting
from clientorg.domain.decision import decide
from clientorg.domain.lifecycle import deactivate
from clientorg.domain.notices import notices
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
