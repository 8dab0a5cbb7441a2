"""The conditions that tell of a client's licenses, workspace, workloads, usage and messages. Pure."""

from __future__ import annotations

from clientorg.api.clientorg import PauseReason
from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.meta import ANNOTATION_HOLD
from clientorg.domain.allocation import Waiting, shown_position
from clientorg.domain.client_facts import Facts, Run
from clientorg.domain.conditions import State, false, true, unknown
from clientorg.domain.contract_conditions import negative_message


def licenses_allocated(facts: Facts) -> State:
    """Whether everything asked for is granted."""
    kind = ConditionType.LICENSES_ALLOCATED
    if facts.deactivation is not None:
        return false(kind, Reason.DEACTIVATED, "unused licenses are back in the pool")
    if facts.licensing is not None:
        return false(kind, facts.licensing.reason, facts.licensing.message)
    if not facts.is_let_in:
        return false(kind, Reason.APPROVAL_PENDING, "nothing is granted before the client is approved")
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


def workspace_ready(facts: Facts) -> State:
    """Whether the workspace stands as wanted."""
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


def pause_message(facts: Facts) -> str:
    """Why nothing may run, and what to do."""
    texts = {
        PauseReason.REQUESTED: "spec.state is Paused",
        PauseReason.QUOTA_EXHAUSTED: f"all {', '.join(facts.exhausted)} are used; raise spec.licenses, or reallocate",
        PauseReason.NEGATIVE_BALANCE: negative_message(facts) if facts.points is not None else "",
        PauseReason.HOLD: f"{facts.hold or 'no reason given'} (annotation {ANNOTATION_HOLD}; to end it: kubectl "
        "clientorg release)",
        PauseReason.PAYMENT_OVERDUE: facts.unpaid,
        PauseReason.TRIAL_EXPIRED: facts.trial_over,
    }
    return "; ".join(f"{reason.value}: {texts[reason]}" for reason in facts.pause_reasons)


def paused(facts: Facts) -> State | None:
    """True as soon as nothing may run; Argo CD shows it as Suspended."""
    kind = ConditionType.PAUSED
    if facts.is_purged or facts.deleting is not None:
        return None
    if facts.deactivation is not None:
        if facts.is_terminated:
            return true(kind, Reason.TERMINATED, "the contract has ended")
        return true(kind, Reason.DEACTIVATED, "spec.state is Deactivated")
    if facts.pause_reasons:
        return true(kind, Reason(facts.pause_reasons[0].value), pause_message(facts))
    return false(kind, Reason.RESUMING if facts.run is Run.RESUMING else Reason.RUNNING)


def pause_blocked(facts: Facts) -> State | None:
    """Whether something does not stop; nothing while all may run."""
    kind = ConditionType.PAUSE_BLOCKED
    if facts.run in (Run.RUNNING, Run.RESUMING) or facts.is_purged or facts.deleting is not None:
        return None
    if facts.blocked:
        return true(kind, Reason.BLOCKED, facts.blocked)
    return false(kind, Reason.STOPPED if facts.run is Run.STOPPED else Reason.PAUSING)


def usage_reported(facts: Facts) -> State | None:
    """Whether usage was reported lately; nothing where nobody reports any."""
    kind = ConditionType.USAGE_REPORTED
    if not facts.usage.meters or facts.is_purged:
        return None
    if facts.staleness:
        return false(kind, Reason.STALE, facts.staleness)
    return true(kind, Reason.FRESH)


def notification_failing(facts: Facts) -> State | None:
    """Whether messages cannot be delivered; nothing where none is to be."""
    kind = ConditionType.NOTIFICATION_FAILING
    if facts.undelivered is None:
        return None
    if facts.undelivered:
        return true(kind, Reason.DELIVERY_FAILED, facts.undelivered)
    return false(kind, Reason.DELIVERED)
