"""One client as the operator keeps it.

Ten thousand of them have to fit into little memory, so that only what decides is kept as Python objects, and spec and
status as JSON.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import orjson

from clientorg.api.meta import (
    ANNOTATION_HOLD,
    ANNOTATION_PAYMENT_LINK,
    ANNOTATION_RECONCILE,
    ANNOTATION_RESEND,
    ANNOTATION_RESTORE,
    ANNOTATION_TRANSFER,
    FINALIZER,
    LABEL_ORG_ID,
    MAX_HOLD,
    MAX_REQUEST,
)
from clientorg.control.objects import Json, Name
from clientorg.domain.allocation import Holder, Transfer, raises
from clientorg.domain.identity import org_id, restored_org_id, workspace_namespace
from clientorg.domain.points_record import is_running


def _as_answered(request: str | None) -> str | None:
    """A request by annotation, as far as the status can repeat it for an answer."""
    return request[:MAX_REQUEST] if request else None


@dataclass(slots=True)
class Client:
    """One ClientOrg."""

    name: Name
    uid: str
    org_id: str
    """Derived from the UID, or taken over from a backup; the label is for people and selectors, and anybody may have
    set it."""
    is_restored: bool
    """Whether the Org ID was taken over."""
    version: int
    generation: int
    created: str
    deleting: bool
    finalizers: tuple[str, ...]
    org_label: str | None
    labels: dict[str, str]
    transfer: Transfer | None
    """A move of licenses that is not done yet."""
    reconcile_requested: str | None
    resend: str | None
    hold: str | None
    """Why somebody has put a hold on it; None where nobody has. Also without a reason it is one."""
    pool: str
    plan: str
    state: str
    asked: dict[str, int]
    """What the spec asks for."""
    wanted: dict[str, int]
    """What is drawn from the pool for it: nothing for a deactivated or terminated client."""
    contracted_users: int
    requested_by: str | None
    approval: str | None
    """The decision that status remembers."""
    is_terminated: bool
    next_charge: int
    shortfall: int
    """Points that keep it from falling below zero at its next charge."""
    charge_due: str | None
    purge_started: str | None
    held: dict[str, int]
    used: dict[str, int]
    assigned: dict[str, int]
    last_grant: int
    shown_state: str
    """status.state: for metrics only, never to decide."""
    standing: tuple[str, ...]
    """status.standing: for metrics only."""
    balance: int | None
    pending_since: str | None
    blueprint: str | None
    """Digest of the blueprint that its workspace has."""
    payment_link: str | None
    spec_json: bytes
    status_json: bytes

    @classmethod
    def of(cls, manifest: Json) -> Client:
        """Read an object of the API server."""
        metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
        annotations = metadata.get("annotations") or {}
        licenses = status.get("licenses") or []
        asked = {item["name"]: item["quantity"] for item in spec["licenses"]}
        state = spec.get("state", "Active")
        purge_started = (status.get("deactivation") or {}).get("purgeStartedTime")
        is_terminated = bool((status.get("termination") or {}).get("executedTime"))
        points = status.get("points") or {}
        restored = restored_org_id(annotations.get(ANNOTATION_RESTORE))
        projected = points.get("projectedBalance", points.get("balance", 0)) + points.get("pending", 0)
        return cls(
            name=(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            org_id=restored or org_id(metadata["uid"]),
            is_restored=restored is not None,
            version=int(metadata["resourceVersion"]),
            generation=metadata["generation"],
            created=metadata["creationTimestamp"],
            deleting="deletionTimestamp" in metadata,
            finalizers=tuple(metadata.get("finalizers") or ()),
            org_label=(metadata.get("labels") or {}).get(LABEL_ORG_ID),
            labels=metadata.get("labels") or {},
            transfer=_transfer(metadata["name"], annotations.get(ANNOTATION_TRANSFER), status.get("lastTransfer")),
            reconcile_requested=_as_answered(annotations.get(ANNOTATION_RECONCILE)),
            resend=_as_answered(annotations.get(ANNOTATION_RESEND)),
            hold=annotations[ANNOTATION_HOLD][:MAX_HOLD] if ANNOTATION_HOLD in annotations else None,
            pool=spec["poolRef"]["name"],
            plan=spec["planRef"]["name"],
            state=state,
            asked=asked,
            wanted=asked
            if is_running(state, is_purging=purge_started is not None, is_terminated=is_terminated)
            else {},
            contracted_users=spec.get("contractedUsers", 0),
            requested_by=spec.get("requestedBy"),
            approval=(status.get("approval") or {}).get("decision"),
            is_terminated=is_terminated,
            next_charge=points.get("nextCharge", 0),
            shortfall=max(0, -projected) if points and not is_terminated else 0,
            charge_due=points.get("nextChargeTime"),
            purge_started=purge_started,
            held={item["name"]: item["granted"] for item in licenses},
            used={item["name"]: item["used"] for item in licenses if "used" in item},
            assigned={item["name"]: item["assigned"] for item in licenses if "assigned" in item},
            last_grant=status.get("lastGrant", 0),
            shown_state=sys.intern(status.get("state", "Unknown")),
            standing=tuple(sys.intern(word) for word in status.get("standing") or ()),
            balance=points.get("balance"),
            pending_since=(status.get("pending") or {}).get("since"),
            blueprint=((status.get("workspace") or {}).get("blueprint") or {}).get("revision"),
            payment_link=_as_answered(annotations.get(ANNOTATION_PAYMENT_LINK)),
            spec_json=orjson.dumps(spec),
            status_json=orjson.dumps(status),
        )

    @property
    def is_new(self) -> bool:
        """Whether no operator has written its status yet."""
        return self.status_json == b"{}" or b'"observedGeneration":-1' in self.status_json

    @property
    def has_finalizer(self) -> bool:
        """Whether the object is held until its workspace is gone."""
        return FINALIZER in self.finalizers

    @property
    def spec(self) -> Json:
        """The spec, decoded."""
        return orjson.loads(self.spec_json)  # type: ignore[no-any-return]

    @property
    def status(self) -> Json:
        """The status, decoded."""
        return orjson.loads(self.status_json)  # type: ignore[no-any-return]

    @property
    def namespace(self) -> str:
        """Namespace of the client's workspace."""
        return workspace_namespace(self.name[1], self.org_id)

    @property
    def holder(self) -> Holder:
        """What the pool's books need to know."""
        return Holder(self.held, self.last_grant)

    @property
    def raises(self) -> dict[str, int]:
        """License to the quantity wanted beyond what is held."""
        return {} if self.deleting else raises(self.held, self.wanted)


def _transfer(name: str, annotation: str | None, done: str | None) -> Transfer | None:
    """The move that the annotation asks for. It counts once, and nobody moves licenses from itself: it is no way past
    the queue."""
    if annotation is None or annotation == done:
        return None
    transfer = Transfer.parse(annotation)
    return transfer if transfer is not None and transfer.source != name else None
