"""A client's status, computed from the facts of one pass (DESIGN rules 1, 9 and 10). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clientorg.api.clientorg import OrgState
from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.notifications import MAX_OUTBOX, NotificationKind
from clientorg.domain.allocation import shown_position
from clientorg.domain.approval import approval_json
from clientorg.domain.client_conditions import (
    licenses_allocated,
    notification_failing,
    pause_blocked,
    paused,
    usage_reported,
    workspace_ready,
)
from clientorg.domain.client_facts import Facts
from clientorg.domain.client_summary import summary
from clientorg.domain.conditions import State, false, merge, true
from clientorg.domain.contract_conditions import approved, negative_balance, on_target, over_limit
from clientorg.domain.points import points_json, users_json
from clientorg.domain.records import crossings_json, deactivation_json, meters_json
from clientorg.domain.termination import termination_json

Json = dict[str, Any]
_MAX_SUMMARY = 1024


def status_of(facts: Facts, previous: Mapping[str, Any], now: str) -> Json:
    """The whole status. The same facts give the same status, so that nothing is written when nothing changed."""
    licenses = _licenses(facts)
    states = [state for state in _states(facts) if state is not None]
    status: Json = {
        "observedGeneration": facts.generation,
        "state": state_of(facts).value,
        "orgID": facts.org_id,
        "workspace": _workspace(facts, previous, now),
        "licenses": licenses,
        "licenseSummary": _license_summary(licenses),
        "lastGrant": facts.holder.last_grant,
        "conditions": merge(previous.get("conditions") or (), states, facts.generation, now),
    }
    if facts.access is not None:
        status["access"] = facts.access
    if facts.waiting is not None and facts.pending_since is not None:
        status["pending"] = {"since": facts.pending_since, "position": shown_position(facts.waiting.position)}
    optional: dict[str, Any] = {
        "meters": meters_json(facts.usage),
        "thresholds": crossings_json(facts.crossings),
        "outbox": list(facts.outbox),
        "lastHandledReconcileAt": facts.reconcile_requested,
        "lastHandledResend": facts.resend_requested,
        "lastHandledPaymentLink": facts.payment_link_requested,
        "lastTransfer": facts.transferred,
        "standing": [status.value for status in facts.standing],
        "trends": facts.trends,
    }
    return status | contract_json(facts) | {name: value for name, value in optional.items() if value}


def contract_json(facts: Facts) -> Json:
    """The part of the status that tells of the contract, and of what follows from it."""
    parts: dict[str, Any] = {
        "pauseReasons": [reason.value for reason in facts.pause_reasons],
        "deactivation": deactivation_json(facts.deactivation) if facts.deactivation is not None else None,
        "approval": approval_json(facts.approval) if facts.approval is not None else None,
        "points": points_json(facts.points) if facts.points is not None else None,
        "users": users_json(facts.users) if facts.users is not None else None,
        "termination": termination_json(facts.termination) if facts.termination is not None else None,
    }
    return {name: value for name, value in parts.items() if value}


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
        if facts.is_purged:
            return OrgState.PURGED
        return OrgState.TERMINATED if facts.is_terminated else OrgState.DEACTIVATED
    if not facts.is_let_in:
        is_rejected = facts.approval is not None and facts.approval.is_rejected
        return OrgState.REJECTED if is_rejected else OrgState.PENDING_APPROVAL
    if facts.pause_reasons:
        return OrgState.PAUSED
    return OrgState.ACTIVE if facts.provisioned or facts.established else OrgState.PROVISIONING


def _workspace(facts: Facts, previous: Mapping[str, Any], now: str) -> Json:
    """Where the client works, since when, and what is there of the plan's blueprint."""
    before = previous.get("workspace") or {}
    ready, blueprint = before.get("readyTime"), facts.blueprint or before.get("blueprint")
    if ready is None and _is_up(facts):
        ready = now
    parts = {
        "namespace": facts.namespace,
        "url": facts.url,
        "readyTime": ready,
        "blueprint": None if facts.is_purged else blueprint,
    }
    return {name: value for name, value in parts.items() if value}


def is_first_ready(facts: Facts, previous: Mapping[str, Any]) -> bool:
    """Whether the workspace stands for the first time (FEATURES S4).

    A client that an operator without `readyTime` has brought up has the delivery notice in its outbox, or so many
    others that it has left it.
    """
    if not _is_up(facts) or (previous.get("workspace") or {}).get("readyTime"):
        return False
    outbox = previous.get("outbox") or ()
    return len(outbox) < MAX_OUTBOX and not any(entry["kind"] == NotificationKind.DELIVERY for entry in outbox)


def _is_up(facts: Facts) -> bool:
    return facts.provisioned and state_of(facts) in (OrgState.ACTIVE, OrgState.PAUSED)


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
        if name in facts.assigned:
            item["assigned"] = facts.assigned[name]
        items.append(item)
    return items


def _license_summary(licenses: Iterable[Json]) -> str:
    parts = [(item["name"], f"{item.get('used', '-')}/{item['granted']}") for item in licenses]
    text = parts[0][1] if len(parts) == 1 else ", ".join(f"{name} {text}" for name, text in parts)
    return text if len(text) <= _MAX_SUMMARY else text[: _MAX_SUMMARY - 1] + "…"


def _states(facts: Facts) -> list[State | None]:
    allocated, workspace = licenses_allocated(facts), workspace_ready(facts)
    parts = [
        allocated,
        workspace,
        paused(facts),
        pause_blocked(facts),
        usage_reported(facts),
        notification_failing(facts),
    ]
    ready, reconciling, stalled = summary(facts, allocated, workspace)
    contract = [approved(facts), on_target(facts), negative_balance(facts), over_limit(facts)]
    return [ready, reconciling, stalled, *parts, *contract]
