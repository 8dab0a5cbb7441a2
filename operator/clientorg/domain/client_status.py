"""A client's status, computed from the facts of one pass (DESIGN rules 1, 9 and 10). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from clientorg.api.clientorg import OrgState, PauseReason, WantedState
from clientorg.api.conditions import STALLING_REASONS, ConditionType, Reason
from clientorg.domain.allocation import Holder, Waiting, shown_position
from clientorg.domain.conditions import State, false, merge, true, unknown
from clientorg.domain.lifecycle import Deactivation
from clientorg.domain.records import Crossing, crossings_json, deactivation_json, meters_json
from clientorg.domain.timestamps import rfc3339
from clientorg.domain.usage import NOTHING, Usage

Json = dict[str, Any]
_MAX_SUMMARY = 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way, and what to do about it."""

    reason: Reason
    message: str


class Run(Enum):
    """Whether the workloads run."""

    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    RESUMING = "resuming"


@dataclass(frozen=True, slots=True)
class Facts:
    """What one pass found.

    Attributes:
        holder: licenses held, adopted grants included and reductions made.
        asked: license to quantity, as the spec asks.
        wanted: what is drawn from the pool for it; nothing for a deactivated client.
        used: license to quantity, in the running period.
        kept_back: license to (wanted, kept) where more is used than wanted.
        waiting: the client's place in the pool's queue; None when it waits for nothing, or the pool has not decided.
        pending_since: since when it waits, RFC 3339.
        licensing: what keeps the pool from serving the client at all.
        workspace: what is wrong with the workspace; None when nothing is.
        provisioned: the workspace stands as wanted.
        established: everything of the workspace is there, if not all as wanted: a raise may wait, a child be repaired.
        reconcile_requested: the annotation that asked for a full pass, for status.lastHandledReconcileAt.
        transferred: the annotation of the last move of licenses that is done, for status.lastTransfer.
        resend_requested: the annotation that asked for a message again, for status.lastHandledResend.
        blocked: what does not stop, and why; empty when all does.
        note: what the deactivation waits for, if anything.
        staleness: when usage was last reported, if that is too long ago; empty when it is not.
        undelivered: what could not be delivered, and why; None when nothing is to be delivered.
    """

    generation: int
    org_id: str
    namespace: str
    url: str | None
    holder: Holder
    asked: Mapping[str, int]
    wanted: Mapping[str, int]
    used: Mapping[str, int]
    state: WantedState = WantedState.ACTIVE
    usage: Usage = NOTHING
    crossings: tuple[Crossing, ...] = ()
    kept_back: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    waiting: Waiting | None = None
    pending_since: str | None = None
    licensing: Problem | None = None
    workspace: Problem | None = None
    provisioned: bool = False
    established: bool = False
    pause_reasons: tuple[PauseReason, ...] = ()
    exhausted: tuple[str, ...] = ()
    deactivation: Deactivation | None = None
    run: Run = Run.RUNNING
    blocked: str = ""
    note: Problem | None = None
    staleness: str = ""
    undelivered: str | None = None
    outbox: tuple[Json, ...] = ()
    reconcile_requested: str | None = None
    resend_requested: str | None = None
    transferred: str | None = None
    deleting: str | None = None

    @property
    def is_purged(self) -> bool:
        """Whether the client is a tombstone."""
        return self.deactivation is not None and self.deactivation.purged is not None


def status_of(facts: Facts, previous: Mapping[str, Any], now: str) -> Json:
    """The whole status. The same facts give the same status, so that nothing is written when nothing changed."""
    licenses = _licenses(facts)
    states = [state for state in _states(facts) if state is not None]
    status: Json = {
        "observedGeneration": facts.generation,
        "state": state_of(facts).value,
        "orgID": facts.org_id,
        "workspace": {"namespace": facts.namespace},
        "licenses": licenses,
        "licenseSummary": _license_summary(licenses),
        "lastGrant": facts.holder.last_grant,
        "conditions": merge(previous.get("conditions") or (), states, facts.generation, now),
    }
    if facts.url:
        status["workspace"]["url"] = facts.url
    if facts.waiting is not None and facts.pending_since is not None:
        status["pending"] = {"since": facts.pending_since, "position": shown_position(facts.waiting.position)}
    if facts.pause_reasons:
        status["pauseReasons"] = [reason.value for reason in facts.pause_reasons]
    if facts.deactivation is not None:
        status["deactivation"] = deactivation_json(facts.deactivation)
    optional: dict[str, Any] = {
        "meters": meters_json(facts.usage),
        "thresholds": crossings_json(facts.crossings),
        "outbox": list(facts.outbox),
        "lastHandledReconcileAt": facts.reconcile_requested,
        "lastHandledResend": facts.resend_requested,
        "lastTransfer": facts.transferred,
    }
    return status | {name: value for name, value in optional.items() if value}


def refused_status(generation: int, error: str, previous: Mapping[str, Any], now: str) -> Json:
    """The least that says why there is no more: the server refused the status as it should be."""
    message = f"the status was refused, please report this: {error}"
    states = [
        false(ConditionType.READY, Reason.STATUS_REFUSED, message),
        false(ConditionType.RECONCILING, Reason.STATUS_REFUSED),
        true(ConditionType.STALLED, Reason.STATUS_REFUSED, message),
    ]
    return {
        "observedGeneration": generation,
        "conditions": merge(previous.get("conditions") or (), states, generation, now),
    }


def state_of(facts: Facts) -> OrgState:
    """The one word for it, the strongest first."""
    if facts.deleting is not None:
        return OrgState.DELETING
    if facts.deactivation is not None:
        return OrgState.PURGED if facts.is_purged else OrgState.DEACTIVATED
    if facts.pause_reasons:
        return OrgState.PAUSED
    return OrgState.ACTIVE if facts.provisioned or facts.established else OrgState.PROVISIONING


def _licenses(facts: Facts) -> list[Json]:
    items = []
    for name in sorted(facts.asked.keys() | facts.holder.held.keys()):
        granted = facts.holder.held.get(name, 0)
        item: Json = {"name": name, "granted": granted}
        if name in facts.used:
            item |= {"used": facts.used[name], "remaining": granted - facts.used[name]}
            period = facts.usage.periods.get(name)
            if period is not None:
                item |= {"period": period.key, "baseline": period.baseline}
        items.append(item)
    return items


def _license_summary(licenses: Iterable[Json]) -> str:
    parts = [(item["name"], f"{item.get('used', '-')}/{item['granted']}") for item in licenses]
    text = parts[0][1] if len(parts) == 1 else ", ".join(f"{name} {text}" for name, text in parts)
    return text if len(text) <= _MAX_SUMMARY else text[: _MAX_SUMMARY - 1] + "…"


# -- conditions -------------------------------------------------------------------------------------------------------


def _states(facts: Facts) -> list[State | None]:
    """Ready, Reconciling and Stalled from the parts; never the latter two at once (kstatus)."""
    allocated, workspace = _licenses_allocated(facts), _workspace_ready(facts)
    parts = [allocated, workspace, _paused(facts), _pause_blocked(facts), _usage_reported(facts), _delivered(facts)]
    ready, reconciling, stalled = _summary(facts, allocated, workspace)
    return [ready, reconciling, stalled, *parts]


def _summary(facts: Facts, allocated: State, workspace: State) -> tuple[State, State, State]:
    if facts.deleting is not None:
        return _working(Reason.DELETING, facts.deleting)
    if facts.deactivation is not None:
        return _deactivated(facts, facts.deactivation)
    parts = (allocated, workspace)
    stalling = next((part for part in parts if not part.is_true and part.reason in STALLING_REASONS), None)
    if stalling is not None:
        return _stuck(stalling.reason, stalling.message)
    if facts.pause_reasons and workspace.is_true and allocated.is_true:
        if facts.run is Run.STOPPING:
            return _working(Reason.PAUSING, facts.blocked or "workloads are being stopped")
        return _well(Reason.PAUSED, _pause_message(facts))
    blocking = next((part for part in parts if not part.is_true), None)
    if blocking is not None:
        return _working(blocking.reason, blocking.message)
    if facts.run is Run.RESUMING:
        return _working(Reason.RESUMING, "what ran before the pause is being started again")
    note = allocated.message if allocated.reason is Reason.REDUCTION_WAITS else "the client can work"
    return _well(Reason.READY, note)


def _deactivated(facts: Facts, record: Deactivation) -> tuple[State, State, State]:
    if record.purged is not None:
        if facts.state is not WantedState.DEACTIVATED:
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
    message = (
        f"deactivated; everything is deleted after {rfc3339(record.purge_after)}, unless spec.state is set to "
        "Active before"
    )
    if facts.note is not None:
        return _well(facts.note.reason, f"{message} ({facts.note.message})")
    return _well(Reason.DEACTIVATED, message)


def _well(reason: Reason, message: str) -> tuple[State, State, State]:
    return (
        true(ConditionType.READY, reason, message),
        false(ConditionType.RECONCILING, reason),
        false(ConditionType.STALLED, reason),
    )


def _working(reason: Reason, message: str) -> tuple[State, State, State]:
    return (
        false(ConditionType.READY, reason, message),
        true(ConditionType.RECONCILING, reason, message),
        false(ConditionType.STALLED, reason),
    )


def _stuck(reason: Reason, message: str) -> tuple[State, State, State]:
    return (
        false(ConditionType.READY, reason, message),
        false(ConditionType.RECONCILING, reason),
        true(ConditionType.STALLED, reason, message),
    )


def _licenses_allocated(facts: Facts) -> State:
    kind = ConditionType.LICENSES_ALLOCATED
    if facts.deactivation is not None:
        return false(kind, Reason.DEACTIVATED, "unused licenses are back in the pool")
    if facts.licensing is not None:
        return false(kind, facts.licensing.reason, facts.licensing.message)
    missing = {name: want for name, want in facts.wanted.items() if want > facts.holder.held.get(name, 0)}
    if missing and facts.waiting is None:
        return unknown(kind, Reason.PROVISIONING, "the pool has not decided yet")
    if missing and facts.waiting is not None:
        if facts.waiting.blocked_by:
            return false(
                kind,
                Reason.TRANSFER_PENDING,
                f"waits for client {facts.waiting.blocked_by} to give the licenses back; lower its quantity, or remove "
                "the annotation clientorg.dev/transfer-from to draw on the pool instead",
            )
        return false(kind, Reason.QUOTA_PENDING, _pending_message(facts, facts.waiting))
    if facts.kept_back:
        text = ", ".join(f"{name}: {want} wanted, {kept} used" for name, (want, kept) in facts.kept_back.items())
        return true(kind, Reason.REDUCTION_WAITS, f"{text}; what is used is given back as soon as it is free")
    return true(kind, Reason.ALLOCATED, "every license asked for is granted")


def _pending_message(facts: Facts, waiting: Waiting) -> str:
    asked = ", ".join(
        f"{name} {facts.holder.held.get(name, 0)} of {want}"
        for name, want in facts.wanted.items()
        if want > facts.holder.held.get(name, 0)
    )
    if waiting.missing:
        lack = ", ".join(f"{lack} {name}" for name, lack in waiting.missing.items())
        why = f"the pool lacks {lack}; raise the pool, free licenses of other clients, or ask for fewer"
    else:
        why = "earlier requests are served first"
    return f"position {shown_position(waiting.position)} in the queue, granted {asked}: {why}"


def _workspace_ready(facts: Facts) -> State:
    kind = ConditionType.WORKSPACE_READY
    if facts.deleting is not None:
        return false(kind, Reason.DELETING, facts.deleting)
    if facts.is_purged:
        return false(kind, Reason.PURGED, "the workspace was deleted")
    if facts.workspace is not None:
        return false(kind, facts.workspace.reason, facts.workspace.message)
    if facts.provisioned:
        return true(kind, Reason.PROVISIONED, f"namespace {facts.namespace} is as the plan says")
    return false(kind, Reason.PROVISIONING, "begins when the licenses are granted")


def _pause_message(facts: Facts) -> str:
    texts = {
        PauseReason.REQUESTED: "spec.state is Paused",
        PauseReason.QUOTA_EXHAUSTED: f"all {', '.join(facts.exhausted)} are used; raise spec.licenses, or reallocate",
    }
    return "; ".join(f"{reason.value}: {texts[reason]}" for reason in facts.pause_reasons)


def _paused(facts: Facts) -> State | None:
    """True as soon as nothing may run; Argo CD shows it as Suspended."""
    kind = ConditionType.PAUSED
    if facts.is_purged or facts.deleting is not None:
        return None
    if facts.deactivation is not None:
        return true(kind, Reason.DEACTIVATED, "spec.state is Deactivated")
    if facts.pause_reasons:
        return true(kind, Reason(facts.pause_reasons[0].value), _pause_message(facts))
    return false(kind, Reason.RESUMING if facts.run is Run.RESUMING else Reason.RUNNING)


def _pause_blocked(facts: Facts) -> State | None:
    kind = ConditionType.PAUSE_BLOCKED
    if facts.run in (Run.RUNNING, Run.RESUMING) or facts.is_purged or facts.deleting is not None:
        return None
    if facts.blocked:
        return true(kind, Reason.BLOCKED, facts.blocked)
    return false(kind, Reason.STOPPED if facts.run is Run.STOPPED else Reason.PAUSING)


def _usage_reported(facts: Facts) -> State | None:
    kind = ConditionType.USAGE_REPORTED
    if not facts.usage.meters or facts.is_purged:
        return None
    if facts.staleness:
        return false(kind, Reason.STALE, facts.staleness)
    return true(kind, Reason.FRESH)


def _delivered(facts: Facts) -> State | None:
    kind = ConditionType.NOTIFICATION_FAILING
    if facts.undelivered is None:
        return None
    if facts.undelivered:
        return true(kind, Reason.DELIVERY_FAILED, facts.undelivered)
    return false(kind, Reason.DELIVERED)
