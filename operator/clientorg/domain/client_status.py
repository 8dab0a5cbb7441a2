"""A client's status, computed from the facts of one pass (DESIGN rules 1, 9 and 10). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clientorg.api.clientorg import OrgState
from clientorg.api.conditions import STALLING_REASONS, ConditionType, Reason
from clientorg.domain.allocation import Holder, Waiting, shown_position
from clientorg.domain.conditions import State, false, merge, true, unknown

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way, and what to do about it."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What one pass found.

    Attributes:
        holder: licenses held, adopted grants included and reductions made.
        wanted: license to quantity, as the spec asks.
        used: license to quantity, as last reported.
        kept_back: license to (wanted, kept) where more is used than wanted.
        waiting: the client's place in the pool's queue; None when it waits for nothing, or the pool has not decided.
        pending_since: since when it waits, RFC 3339.
        licensing: what keeps the pool from serving the client at all.
        workspace: what is wrong with the workspace; None when nothing is.
        provisioned: the workspace stands as wanted.
        established: everything of the workspace is there, if not all as wanted: a raise may wait, a child be repaired.
        reconcile_requested: the annotation that asked for a full pass, for status.lastHandledReconcileAt.
    """

    generation: int
    org_id: str
    namespace: str
    url: str | None
    holder: Holder
    wanted: Mapping[str, int]
    used: Mapping[str, int]
    kept_back: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    waiting: Waiting | None = None
    pending_since: str | None = None
    licensing: Problem | None = None
    workspace: Problem | None = None
    provisioned: bool = False
    established: bool = False
    reconcile_requested: str | None = None
    deleting: str | None = None


def status_of(facts: Facts, previous: Mapping[str, Any], now: str) -> Json:
    """The whole status. The same facts give the same status, so that nothing is written when nothing changed."""
    licenses = _licenses(facts)
    allocated, workspace = _licenses_allocated(facts), _workspace_ready(facts)
    states = _summary(facts, allocated, workspace)
    status: Json = {
        "observedGeneration": facts.generation,
        "state": _state(facts).value,
        "orgID": facts.org_id,
        "workspace": {"namespace": facts.namespace},
        "licenses": licenses,
        "licenseSummary": _license_summary(licenses),
        "lastGrant": facts.holder.last_grant,
        "conditions": merge(previous.get("conditions") or (), states, facts.generation, now),
    }
    if facts.reconcile_requested:
        status["lastHandledReconcileAt"] = facts.reconcile_requested
    if facts.url:
        status["workspace"]["url"] = facts.url
    if facts.waiting is not None and facts.pending_since is not None:
        status["pending"] = {"since": facts.pending_since, "position": shown_position(facts.waiting.position)}
    return status


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


def _state(facts: Facts) -> OrgState:
    if facts.deleting is not None:
        return OrgState.DELETING
    return OrgState.ACTIVE if facts.provisioned or facts.established else OrgState.PROVISIONING


def _licenses(facts: Facts) -> list[Json]:
    items = []
    for name in sorted(facts.wanted.keys() | facts.holder.held.keys()):
        granted = facts.holder.held.get(name, 0)
        item: Json = {"name": name, "granted": granted}
        if name in facts.used:
            item |= {"used": facts.used[name], "remaining": granted - facts.used[name]}
        items.append(item)
    return items


def _license_summary(licenses: Iterable[Json]) -> str:
    parts = [(item["name"], f"{item.get('used', '-')}/{item['granted']}") for item in licenses]
    return parts[0][1] if len(parts) == 1 else ", ".join(f"{name} {text}" for name, text in parts)


def _licenses_allocated(facts: Facts) -> State:
    kind = ConditionType.LICENSES_ALLOCATED
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
    if facts.workspace is not None:
        return false(kind, facts.workspace.reason, facts.workspace.message)
    if facts.provisioned:
        return true(kind, Reason.PROVISIONED, f"namespace {facts.namespace} is as the plan says")
    return false(kind, Reason.PROVISIONING, "begins when the licenses are granted")


def _summary(facts: Facts, allocated: State, workspace: State) -> list[State]:
    """Ready, Reconciling and Stalled from the parts; never the latter two at once (kstatus)."""
    parts = [allocated, workspace]
    if facts.deleting is not None:
        ready = false(ConditionType.READY, Reason.DELETING, facts.deleting)
        reconciling = true(ConditionType.RECONCILING, Reason.DELETING, facts.deleting)
        stalled = false(ConditionType.STALLED, Reason.DELETING)
        return [ready, reconciling, stalled, *parts]
    stalling = next((part for part in parts if not part.is_true and part.reason in STALLING_REASONS), None)
    blocking = stalling or next((part for part in parts if not part.is_true), None)
    if blocking is None:
        note = allocated.message if allocated.reason is Reason.REDUCTION_WAITS else "the client can work"
        return [
            true(ConditionType.READY, Reason.READY, note),
            false(ConditionType.RECONCILING, Reason.READY),
            false(ConditionType.STALLED, Reason.READY),
            *parts,
        ]
    ready = false(ConditionType.READY, blocking.reason, blocking.message)
    if stalling is not None:
        reconciling = false(ConditionType.RECONCILING, stalling.reason)
        stalled = true(ConditionType.STALLED, stalling.reason, stalling.message)
    else:
        reconciling = true(ConditionType.RECONCILING, blocking.reason, blocking.message)
        stalled = false(ConditionType.STALLED, blocking.reason)
    return [ready, reconciling, stalled, *parts]
