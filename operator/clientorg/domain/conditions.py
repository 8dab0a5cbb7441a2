"""Conditions: one small value each, merged into status so that only a real change moves lastTransitionTime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clientorg.api.conditions import ConditionStatus, ConditionType, Reason

Json = dict[str, Any]
_MAX_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class State:
    """What one condition says now."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str = ""

    @property
    def is_true(self) -> bool:
        """Whether the status is True."""
        return self.status is ConditionStatus.TRUE


def true(kind: ConditionType, reason: Reason, message: str = "") -> State:
    """A condition that holds."""
    return State(kind, ConditionStatus.TRUE, reason, message)


def false(kind: ConditionType, reason: Reason, message: str = "") -> State:
    """A condition that does not hold."""
    return State(kind, ConditionStatus.FALSE, reason, message)


def unknown(kind: ConditionType, reason: Reason, message: str = "") -> State:
    """A condition whose facts are missing."""
    return State(kind, ConditionStatus.UNKNOWN, reason, message)


def merge(previous: Iterable[Mapping[str, Any]], states: Iterable[State], generation: int, now: str) -> list[Json]:
    """The list for `status.conditions`, by type. A condition keeps its lastTransitionTime while its status stays.

    `now` is RFC 3339. Conditions not named any more disappear.
    """
    before = {condition["type"]: condition for condition in previous}
    merged = []
    for state in states:
        old = before.get(state.type)
        unchanged = old is not None and old["status"] == state.status.value
        merged.append(
            {
                "type": state.type.value,
                "status": state.status.value,
                "observedGeneration": generation,
                "lastTransitionTime": old["lastTransitionTime"] if old is not None and unchanged else now,
                "reason": state.reason.value,
                "message": state.message[:_MAX_MESSAGE],
            }
        )
    return merged


def find(conditions: Iterable[Mapping[str, Any]], kind: ConditionType) -> Mapping[str, Any] | None:
    """The condition of that type, if there is one."""
    return next((condition for condition in conditions if condition["type"] == kind.value), None)
