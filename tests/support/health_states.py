"""Objects of clientorg.dev in every state, and what Argo CD and Flux are to make of them (FEATURES X1).

Their statuses are the operator's own, computed by `clientorg.domain`. The same objects are the test data of the health
scripts in argocd/, in Argo CD's own layout: `python -m tests.support.health_states` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from clientorg.api.clientorg import PauseReason, WantedState
from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.orgapproval import ApprovalDecision
from clientorg.domain.allocation import Holder, Waiting
from clientorg.domain.approval import Approval
from clientorg.domain.client_facts import Facts, Problem, Run
from clientorg.domain.client_status import status_of
from clientorg.domain.conditions import false, merge, true
from clientorg.domain.lifecycle import Deactivation
from clientorg.domain.termination import Termination
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
    ("resuming", "Progressing", IN_PROGRESS, {"run": Run.RESUMING}),
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
_READY: Final = {
    "QuotaPool": Reason.READY,
    "OrgPlan": Reason.READY,
    "OrgApproval": Reason.ACCEPTED,
    "PointTransaction": Reason.POSTED,
    "Subscription": Reason.ACCEPTED,
    "UsageReport": Reason.ACCEPTED,
}
_STALLED: Final = {
    "OrgPlan": Reason.PLAN_INVALID,
    "OrgApproval": Reason.SELF_APPROVAL,
    "PointTransaction": Reason.CLIENT_NOT_FOUND,
    "Subscription": Reason.CLIENT_NOT_FOUND,
    "UsageReport": Reason.CLIENT_NOT_FOUND,
}
_WORKING: Final = {"PointTransaction": Reason.POOL_SHORT, "QuotaPool": Reason.IN_USE}


def _others() -> Iterator[State]:
    for kind, spec in _SPECS.items():
        manifest: Json = {
            "apiVersion": builders.API_VERSION,
            "kind": kind,
            "metadata": {"name": kind.lower(), "namespace": AGENCY},
            "spec": spec,
        }
        yield State(kind, "ready", "Healthy", CURRENT, _object(manifest, _summed_up(_READY[kind], "all is well")))
        if kind in _WORKING:
            status = _summed_up(_WORKING[kind], "waits", ConditionType.RECONCILING)
            yield State(kind, "under-way", "Progressing", IN_PROGRESS, _object(manifest, status))
        if kind in _STALLED:
            status = _summed_up(_STALLED[kind], "correct it", ConditionType.STALLED)
            yield State(kind, "stalled", "Degraded", FAILED, _object(manifest, status))


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
