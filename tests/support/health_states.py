"""Objects of clientorg.dev in every state, and what Argo CD and Flux are to make of them (FEATURES X1).

Their statuses are the operator's own, computed by `clientorg.domain`. The same objects are the test data of the health
scripts in argocd/, in Argo CD's own layout: `python -m tests.support.health_states` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from clientorg.api.clientorg import PauseReason, WantedState
from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.orgapproval import ApprovalDecision
from clientorg.domain.allocation import Holder, Waiting
from clientorg.domain.approval import Approval
from clientorg.domain.billing import Account
from clientorg.domain.client_facts import Facts, Problem, Run
from clientorg.domain.client_status import refused_status, status_of
from clientorg.domain.conditions import false, merge, true
from clientorg.domain.ledger import Head
from clientorg.domain.lifecycle import Deactivation
from clientorg.domain.points import Points, Users
from clientorg.domain.pool_status import LedgerFacts, PoolFacts, pool_status
from clientorg.domain.termination import Termination
from clientorg.domain.usage import Meter, Usage
from tests.support import builders
from tests.support.kstatus import KStatus

Json = dict[str, Any]

CUSTOMIZATIONS: Final = Path(__file__).parents[2] / "argocd" / "resource_customizations" / "clientorg.dev"
AGENCY: Final = "agency-tokyo"
NOW: Final = "2026-11-25T09:00:00Z"
DAY: Final = datetime(2026, 11, 25, 9, tzinfo=UTC)
LATER: Final = datetime(2027, 2, 25, 9, tzinfo=UTC)
NEW_GENERATION: Final = 2


@dataclass(frozen=True)
class State:
    """An object in one state.

    Attributes:
        name: of the file of the test data.
        argocd: status of Argo CD's health.
        kstatus: what `kubectl wait`-like readers and Flux make of it.
    """

    kind: str
    name: str
    argocd: str
    kstatus: KStatus
    manifest: Json


def client_facts(**fields: Any) -> Facts:
    """A client that has what it asked for."""
    default: Json = {
        "generation": 1,
        "org_id": "7k2m9q4xta",
        "namespace": "acme-7k2m9q4xta",
        "url": None,
        "holder": Holder({"visitors": 10}, 1),
        "asked": {"visitors": 10},
        "wanted": {"visitors": 10},
        "used": {},
        "provisioned": True,
        "established": True,
    }
    return Facts(**default | fields)


_NOTHING: Final[Json] = {"holder": Holder({}, 0), "provisioned": False, "established": False}
_ASKED = Approval(DAY, LATER)
_REJECTED = Approval(DAY, LATER, decision=ApprovalDecision.REJECT, decided=DAY, by="aya@platform.example", reason="no")
_ENDING = Deactivation(DAY, LATER)
_PURGING = Deactivation(DAY, DAY, purge_started=DAY)
_PURGED = Deactivation(DAY, DAY, purge_started=DAY, purged=DAY)
_ENDED = Termination(DAY, executed=DAY, settled=DAY)
_APPROVED: Final = replace(_REJECTED, due=DAY, decision=ApprovalDecision.APPROVE, reason=None, ready=LATER)
_NEGATIVE: Final = Points(-300, 0, Account("2026-11"), None, negative_since=DAY, suspends=DAY)
_TOO_MANY: Final = Users(10, 12, DAY)
_REPORTED: Final = Usage({("default", "visitors"): Meter("default", "visitors", 5, 5, DAY)}, {})
_STOPPED: Final[Json] = {"run": Run.STOPPED}
_OFF: Final[Json] = {"state": WantedState.DEACTIVATED}

IN_PROGRESS, CURRENT, FAILED = KStatus.IN_PROGRESS, KStatus.CURRENT, KStatus.FAILED

CLIENTS: Final[tuple[tuple[str, str, KStatus, Json], ...]] = (
    ("provisioning", "Progressing", IN_PROGRESS, _NOTHING),
    (
        "waits-for-licenses",
        "Progressing",
        IN_PROGRESS,
        _NOTHING | {"waiting": Waiting("u", "acme", 3, missing={"visitors": 4}), "pending_since": NOW},
    ),
    ("waits-for-approval", "Progressing", IN_PROGRESS, _NOTHING | {"approval": _ASKED, "is_let_in": False}),
    ("rejected", "Degraded", FAILED, _NOTHING | {"approval": _REJECTED, "is_let_in": False}),
    ("active", "Healthy", CURRENT, {}),
    ("reduction-waits", "Healthy", CURRENT, {"kept_back": {"visitors": (5, 8)}}),
    (
        "fault-that-passes",
        "Progressing",
        IN_PROGRESS,
        {"provisioned": False, "workspace": Problem(Reason.APPLY_FAILED, "tried again by itself")},
    ),
    (
        "plan-not-found",
        "Degraded",
        FAILED,
        {"provisioned": False, "workspace": Problem(Reason.PLAN_NOT_FOUND, "spec.planRef.name: no OrgPlan 'none'")},
    ),
    ("pausing", "Progressing", IN_PROGRESS, {"pause_reasons": (PauseReason.REQUESTED,), "run": Run.STOPPING}),
    ("paused-on-request", "Suspended", CURRENT, _STOPPED | {"pause_reasons": (PauseReason.REQUESTED,)}),
    (
        "paused-quota-exhausted",
        "Suspended",
        CURRENT,
        _STOPPED | {"pause_reasons": (PauseReason.QUOTA_EXHAUSTED,), "exhausted": ("visitors",)},
    ),
    ("held", "Suspended", CURRENT, _STOPPED | {"pause_reasons": (PauseReason.HOLD,), "hold": "sends spam"}),
    (
        "paused-negative-balance",
        "Suspended",
        CURRENT,
        _STOPPED | {"pause_reasons": (PauseReason.NEGATIVE_BALANCE,), "points": _NEGATIVE},
    ),
    (
        "paused-payment-overdue",
        "Suspended",
        CURRENT,
        _STOPPED | {"pause_reasons": (PauseReason.PAYMENT_OVERDUE,), "unpaid": "invoice R-1 was due on 2026-11-01"},
    ),
    (
        "paused-trial-expired",
        "Suspended",
        CURRENT,
        _STOPPED | {"pause_reasons": (PauseReason.TRIAL_EXPIRED,), "trial_over": "trial A-1 ended on 2026-11-20"},
    ),
    (
        "paused-for-several-reasons",
        "Suspended",
        CURRENT,
        _STOPPED
        | {"pause_reasons": (PauseReason.REQUESTED, PauseReason.NEGATIVE_BALANCE), "points": _NEGATIVE}
        | {"overdue": True, "approval": _APPROVED, "users": _TOO_MANY},
    ),
    (
        "pause-blocked",
        "Progressing",
        IN_PROGRESS,
        {"pause_reasons": (PauseReason.REQUESTED,), "run": Run.STOPPING, "blocked": "Pod web-0 does not end"},
    ),
    ("resuming", "Progressing", IN_PROGRESS, {"run": Run.RESUMING}),
    # What somebody should know, and which keeps nothing from working.
    ("balance-negative", "Healthy", CURRENT, {"points": replace(_NEGATIVE, suspends=LATER)}),
    ("users-over-limit", "Healthy", CURRENT, {"users": _TOO_MANY}),
    ("usage-not-reported", "Healthy", CURRENT, {"usage": _REPORTED, "staleness": "last reported on 2026-11-01"}),
    ("notification-failing", "Healthy", CURRENT, {"undelivered": "mail.example: connection refused"}),
    ("ready-after-the-target", "Healthy", CURRENT, {"approval": _APPROVED, "overdue": True}),
    ("contract-ends", "Healthy", CURRENT, {"termination": Termination(LATER)}),
    ("deactivating", "Progressing", IN_PROGRESS, _OFF | {"deactivation": _ENDING, "run": Run.STOPPING}),
    ("deactivated", "Suspended", CURRENT, _OFF | _STOPPED | {"deactivation": _ENDING}),
    ("terminated", "Suspended", CURRENT, _STOPPED | {"deactivation": _ENDING, "termination": _ENDED}),
    (
        "settling",
        "Progressing",
        IN_PROGRESS,
        _STOPPED | {"deactivation": _ENDING, "termination": _ENDED, "settling": "charges are being made"},
    ),
    ("purging", "Progressing", IN_PROGRESS, _OFF | _STOPPED | {"deactivation": _PURGING}),
    (
        "purged",
        "Healthy",
        CURRENT,
        _OFF | _STOPPED | {"deactivation": _PURGED},
    ),
    ("wanted-after-purge", "Degraded", FAILED, _STOPPED | {"deactivation": _PURGED}),
)
"""Name, Argo CD's health, kstatus, and what is special about the facts."""


def _object(manifest: Json, status: Json | None, generation: int = 1) -> Json:
    metadata = manifest["metadata"] | {"generation": generation, "creationTimestamp": NOW}
    return manifest | {"metadata": metadata} | ({"status": status} if status is not None else {})


def _clients() -> Iterator[State]:
    manifest = builders.client(AGENCY)
    for name, argocd, expected, fields in CLIENTS:
        yield State("ClientOrg", name, argocd, expected, _object(manifest, status_of(client_facts(**fields), {}, NOW)))
    active = status_of(client_facts(), {}, NOW)
    refused = refused_status(1, "status.trends: Too many", active, NOW)
    yield State("ClientOrg", "status-refused", "Degraded", FAILED, _object(manifest, refused))
    yield State("ClientOrg", "edited", "Progressing", IN_PROGRESS, _object(manifest, active, NEW_GENERATION))


_SPECS: Final[Mapping[str, Json]] = {
    "QuotaPool": {"licenses": [{"name": "visitors", "quantity": 1000}]},
    "OrgPlan": {},
    "OrgApproval": {"clientRef": {"name": "acme"}, "decision": "Approve"},
    "PointTransaction": {"kind": "Purchase", "amount": 100, "poolRef": {"name": "tokyo"}},
    "Subscription": {"clientRef": {"name": "acme"}, "order": {"id": "A-1"}, "type": "Trial", "startDate": "2026-11-01"},
    "UsageReport": {"orgID": "7k2m9q4xta", "observedTime": NOW, "meters": [{"license": "visitors", "value": 1}]},
}
"""What health does not look at, for people who read the test data."""
_HEALTH: Final = {
    ConditionType.READY: ("Healthy", CURRENT),
    ConditionType.RECONCILING: ("Progressing", IN_PROGRESS),
    ConditionType.STALLED: ("Degraded", FAILED),
}
"""What is shown where this one of the three is True."""
OTHERS: Final[tuple[tuple[str, str, ConditionType, Reason, Json], ...]] = (
    ("OrgPlan", "ready", ConditionType.READY, Reason.READY, {}),
    ("OrgPlan", "rolling-out", ConditionType.RECONCILING, Reason.ROLLING_OUT, {}),
    ("OrgPlan", "stalled", ConditionType.STALLED, Reason.PLAN_INVALID, {}),
    ("OrgApproval", "ready", ConditionType.READY, Reason.ACCEPTED, {}),
    ("OrgApproval", "stalled", ConditionType.STALLED, Reason.SELF_APPROVAL, {}),
    ("OrgApproval", "already-decided", ConditionType.STALLED, Reason.ALREADY_DECIDED, {}),
    ("PointTransaction", "ready", ConditionType.READY, Reason.POSTED, {"phase": "Posted", "entry": 1}),
    ("PointTransaction", "waiting", ConditionType.RECONCILING, Reason.POOL_SHORT, {"phase": "Waiting"}),
    ("PointTransaction", "rejected", ConditionType.STALLED, Reason.CLIENT_TERMINATED, {"phase": "Rejected"}),
    ("Subscription", "ready", ConditionType.READY, Reason.ACCEPTED, {"state": "Active"}),
    # What is due, or over, is a matter of business: the client says whether it is paused for that.
    (
        "Subscription",
        "unpaid",
        ConditionType.READY,
        Reason.ACCEPTED,
        {"state": "SuspendedUnpaid", "unpaidSince": "2026-11-01"},
    ),
    ("Subscription", "expired", ConditionType.READY, Reason.ACCEPTED, {"state": "Expired"}),
    ("Subscription", "ready-to-set-up", ConditionType.READY, Reason.ACCEPTED, {"state": "ReadyToSetUp"}),
    ("Subscription", "stalled", ConditionType.STALLED, Reason.CLIENT_NOT_FOUND, {}),
    ("Subscription", "term-overlaps", ConditionType.STALLED, Reason.TERM_OVERLAPS, {}),
    ("UsageReport", "ready", ConditionType.READY, Reason.ACCEPTED, {}),
    ("UsageReport", "stalled", ConditionType.STALLED, Reason.CLIENT_NOT_FOUND, {}),
)
"""Kind, name, which of the three conditions is True, its reason, and what else the status says."""
_SHORT: Final = LedgerFacts(Head(10, 1), (), 300, 1, 1100, 1100, NOW, low_below=100)
POOLS: Final[tuple[tuple[str, str, KStatus, Json], ...]] = (
    ("ready", "Healthy", CURRENT, {}),
    ("under-way", "Progressing", IN_PROGRESS, {"deleting": True}),
    ("over-committed", "Healthy", CURRENT, {"allocated": {"visitors": 1200}}),
    ("points-short", "Healthy", CURRENT, {"ledger": _SHORT}),
    ("usage-source-failed", "Healthy", CURRENT, {"source": ("prometheus.example: connection refused", "")}),
)
"""Name, Argo CD's health, kstatus, and what is special about the pool's books."""


def _others() -> Iterator[State]:
    for kind, name, which, reason, fields in OTHERS:
        argocd, expected = _HEALTH[which]
        status = {**_summed_up(reason, "what to know of it", which), **fields}
        yield State(kind, name, argocd, expected, _object(_manifest(kind), status))
    for name, argocd, expected, fields in POOLS:
        status = pool_status(pool_facts(**fields), {}, NOW)
        yield State("QuotaPool", name, argocd, expected, _object(_manifest("QuotaPool"), status))


def pool_facts(**fields: Any) -> PoolFacts:
    """A pool of which little is allocated."""
    default: Json = {
        "generation": 1,
        "deleting": False,
        "capacity": {"visitors": 1000},
        "allocated": {"visitors": 10},
        "in_flight": (),
        "waiting": (),
        "wanted_more": {},
        "clients": 1,
        "last_grant": 1,
        "writer": "operator-0",
    }
    return PoolFacts(**default | fields)


def _manifest(kind: str) -> Json:
    metadata = {"name": kind.lower(), "namespace": AGENCY}
    return {"apiVersion": builders.API_VERSION, "kind": kind, "metadata": metadata, "spec": _SPECS[kind]}


def _summed_up(reason: Reason, message: str, kind: ConditionType = ConditionType.READY) -> Json:
    """Ready, Reconciling and Stalled as the operator writes them of every kind."""
    states = [
        (true if each is kind else false)(each, reason, message)
        for each in (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    ]
    return {"observedGeneration": 1, "conditions": merge((), states, 1, NOW)}


def _new() -> Iterator[State]:
    """As the API server's defaults have them before the first pass."""
    for kind, spec in {"ClientOrg": builders.client(AGENCY)["spec"], **_SPECS}.items():
        manifest: Json = {
            "apiVersion": builders.API_VERSION,
            "kind": kind,
            "metadata": {"name": "new", "namespace": AGENCY},
            "spec": spec,
        }
        yield State(kind, "new", "Progressing", IN_PROGRESS, _object(manifest, {"observedGeneration": -1}))


STATES: Final = (*_clients(), *_others(), *_new())


def files() -> dict[Path, str]:
    """The test data of the health scripts and their health_test.yaml, as they are to be."""
    from tests.support.argocd_health import health_of

    found: dict[Path, str] = {}
    tests: dict[str, list[Json]] = {}
    for state in STATES:
        path = f"testdata/{state.argocd.lower()}_{state.name}.yaml"
        found[CUSTOMIZATIONS / state.kind / path] = _yaml(state.manifest)
        health = health_of((CUSTOMIZATIONS / state.kind / "health.lua").read_text(), state.manifest)
        expected = {"status": state.argocd, "message": health["message"]}
        tests.setdefault(state.kind, []).append({"healthStatus": expected, "inputPath": path})
    for kind, cases in tests.items():
        found[CUSTOMIZATIONS / kind / "health_test.yaml"] = _yaml({"tests": cases})
    return found


def _yaml(data: Json) -> str:
    return yaml.safe_dump(data, sort_keys=False, width=120)


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"wrote {len(files())} files below {CUSTOMIZATIONS}")
