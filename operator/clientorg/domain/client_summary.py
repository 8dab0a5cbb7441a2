"""How a client's conditions are summed up: Ready, Reconciling and Stalled (kstatus). Pure."""

from __future__ import annotations

from typing import TypeAlias

from clientorg.api.clientorg import WantedState
from clientorg.api.conditions import STALLING_REASONS, ConditionType, Reason
from clientorg.domain.client_conditions import pause_message
from clientorg.domain.client_facts import Facts, Run
from clientorg.domain.conditions import State, false, true
from clientorg.domain.contract_conditions import approved
from clientorg.domain.lifecycle import Deactivation
from clientorg.domain.timestamps import rfc3339

Summary: TypeAlias = tuple[State, State, State]
"""Ready, Reconciling and Stalled."""


def summary(facts: Facts, allocated: State, workspace: State) -> Summary:
    """Ready, Reconciling and Stalled from the parts; never the latter two at once (kstatus)."""
    if facts.deleting is not None:
        return _working(Reason.DELETING, facts.deleting)
    if facts.deactivation is not None:
        return _deactivated(facts, facts.deactivation)
    parts = (allocated, workspace)
    stalling = next((part for part in parts if not part.is_true and part.reason in STALLING_REASONS), None)
    if stalling is not None:
        return _stuck(stalling.reason, stalling.message)
    decided = approved(facts)
    if not facts.is_let_in and decided is not None:
        stuck = decided.reason in STALLING_REASONS
        return (_stuck if stuck else _working)(decided.reason, decided.message)
    if facts.pause_reasons and workspace.is_true and allocated.is_true:
        if facts.run is Run.STOPPING:
            return _working(Reason.PAUSING, facts.blocked or "workloads are being stopped")
        return _well(Reason.PAUSED, pause_message(facts))
    blocking = next((part for part in parts if not part.is_true), None)
    if blocking is not None:
        return _working(blocking.reason, blocking.message)
    if facts.run is Run.RESUMING:
        return _working(Reason.RESUMING, "what ran before the pause is being started again")
    note = allocated.message if allocated.reason is Reason.REDUCTION_WAITS else "the client can work"
    return _well(Reason.READY, note)


def _deactivated(facts: Facts, record: Deactivation) -> Summary:
    if record.purged is not None:
        if facts.state is not WantedState.DEACTIVATED and not facts.is_terminated:
            return _stuck(
                Reason.ALREADY_PURGED,
                f"spec.state: everything of this client was deleted on {rfc3339(record.purged)} and cannot be "
                "brought back; set spec.state to Deactivated again, or delete the client with confirmation and make it "
                "anew",
            )
        return _well(Reason.PURGED, f"everything was deleted on {rfc3339(record.purged)}; the record stays")
    if record.purge_started is not None:
        note = facts.note.message if facts.note is not None else "everything is about to be deleted"
        return _working(Reason.PURGING, note)
    if facts.workspace is not None:
        problem = facts.workspace
        stuck = problem.reason in STALLING_REASONS
        return _stuck(problem.reason, problem.message) if stuck else _working(problem.reason, problem.message)
    if facts.run is Run.STOPPING:
        return _working(Reason.PAUSING, facts.blocked or "workloads are being stopped")
    if facts.is_terminated:
        return _terminated(facts, record)
    message = (
        f"deactivated; everything is deleted after {rfc3339(record.purge_after)}, unless spec.state is set to "
        "Active before"
    )
    if facts.note is not None:
        return _well(facts.note.reason, f"{message} ({facts.note.message})")
    return _well(Reason.DEACTIVATED, message)


def _terminated(facts: Facts, record: Deactivation) -> Summary:
    ended = rfc3339(facts.termination.executed) if facts.termination and facts.termination.executed else ""
    message = f"the contract ended on {ended}; everything is deleted after {rfc3339(record.purge_after)}"
    if facts.settling:
        return _working(Reason.SETTLEMENT_PENDING, f"{message}; the account is being settled: {facts.settling}")
    if facts.note is not None:
        return _well(facts.note.reason, f"{message} ({facts.note.message})")
    return _well(Reason.TERMINATED, message)


def _well(reason: Reason, message: str) -> Summary:
    return (
        true(ConditionType.READY, reason, message),
        false(ConditionType.RECONCILING, reason),
        false(ConditionType.STALLED, reason),
    )


def _working(reason: Reason, message: str) -> Summary:
    return (
        false(ConditionType.READY, reason, message),
        true(ConditionType.RECONCILING, reason, message),
        false(ConditionType.STALLED, reason),
    )


def _stuck(reason: Reason, message: str) -> Summary:
    return (
        false(ConditionType.READY, reason, message),
        false(ConditionType.RECONCILING, reason),
        true(ConditionType.STALLED, reason, message),
    )
