"""Objects of the operator's kinds as it keeps them: pools, compiled plans, reports and decisions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clientorg.api.orgplan import OrgPlanSpec
from clientorg.api.quotapool import PoolPoints, PoolUsage, UsePeriod
from clientorg.domain.allocation import Grant
from clientorg.domain.approval import Verdict
from clientorg.domain.ledger import Entry, GroupState, Head
from clientorg.domain.rollout import Record, record_of
from clientorg.domain.timestamps import parse_time
from clientorg.domain.workspace import PlanTemplate

Json = dict[str, Any]
Name = tuple[str, str]
"""Namespace and name."""


def name_of(manifest: Json) -> Name:
    """Namespace and name of an object."""
    metadata = manifest["metadata"]
    return metadata["namespace"], metadata["name"]


def version_of(manifest: Json) -> int:
    """The resourceVersion as a number; comparable within and across kinds since Kubernetes 1.35 (KEP-5504)."""
    return int(manifest["metadata"]["resourceVersion"])


@dataclass(slots=True)
class Pool:
    """One QuotaPool."""

    name: Name
    uid: str
    version: int
    generation: int
    deleting: bool
    finalizers: tuple[str, ...]
    display_name: str | None
    capacity: dict[str, int]
    display_names: dict[str, str]
    use_periods: dict[str, UsePeriod]
    usage: PoolUsage
    points: PoolPoints
    strict: bool
    grants: dict[str, tuple[Grant, ...]]
    """Grants in flight by client UID."""
    head: Head | None
    """Of its ledger; None while there is no entry."""
    entries: tuple[Entry, ...]
    """Of the ledger, in flight."""
    status: Json

    @classmethod
    def of(cls, manifest: Json) -> Pool:
        """Read an object of the API server."""
        metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
        grants: dict[str, list[Grant]] = defaultdict(list)
        for item in status.get("inFlight") or ():
            grant = Grant(item["orgUID"], item["orgName"], item["grant"], item["license"], item["from"], item["to"])
            grants[grant.uid].append(grant)
        head, entries = _ledger(status.get("points"))
        return cls(
            name=(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            generation=metadata["generation"],
            deleting="deletionTimestamp" in metadata,
            finalizers=tuple(metadata.get("finalizers") or ()),
            display_name=spec.get("displayName"),
            capacity={item["name"]: item["quantity"] for item in spec["licenses"]},
            display_names={item["name"]: item["displayName"] for item in spec["licenses"] if "displayName" in item},
            use_periods={item["name"]: UsePeriod(item.get("usePeriod", "Never")) for item in spec["licenses"]},
            usage=PoolUsage.model_validate(spec.get("usage") or {}),
            points=PoolPoints.model_validate(spec.get("points") or {}),
            strict=spec.get("queueing") == "StrictFIFO",
            grants={uid: tuple(items) for uid, items in grants.items()},
            head=head,
            entries=entries,
            status=status,
        )

    @property
    def last_grant(self) -> int:
        """Highest serial given out."""
        return int(self.status.get("lastGrant", 0))

    @property
    def writer(self) -> str | None:
        """Who wrote the books last."""
        return self.status.get("writer")


def _ledger(points: Json | None) -> tuple[Head | None, tuple[Entry, ...]]:
    """Head and entries in flight of a pool's ledger, as its status has them."""
    if points is None:
        return None, ()
    groups = tuple(GroupState(item["name"], item["left"], item["reserved"]) for item in points.get("groups") or ())
    entries = tuple(
        Entry(item["uid"], item["name"], item["entry"], item.get("orgID"), item.get("poolChange", 0))
        for item in points.get("inFlight") or ()
    )
    return Head(points["balance"], points["entries"], groups), entries


@dataclass(slots=True)
class Plan:
    """One OrgPlan, compiled."""

    name: Name
    uid: str
    version: int
    generation: int
    deleting: bool
    template: PlanTemplate
    blueprint: Record | None
    """How far its blueprint is; None while nobody has looked at it."""
    status: Json

    @classmethod
    def of(cls, manifest: Json, before: Plan | None = None) -> Plan:
        """Read an object of the API server; the compiled template is kept while the spec's generation is."""
        metadata = manifest["metadata"]
        uid, generation = metadata["uid"], metadata["generation"]
        if before is not None and (before.uid, before.generation) == (uid, generation):
            template = before.template
        else:
            template = PlanTemplate(OrgPlanSpec.model_validate(manifest.get("spec") or {}))
        return cls(
            name=(metadata["namespace"], metadata["name"]),
            uid=uid,
            version=int(metadata["resourceVersion"]),
            generation=generation,
            deleting="deletionTimestamp" in metadata,
            template=template,
            blueprint=record_of((manifest.get("status") or {}).get("blueprint")),
            status=manifest.get("status") or {},
        )


@dataclass(slots=True)
class Report:
    """One UsageReport."""

    name: Name
    uid: str
    version: int
    generation: int
    org_id: str
    source: str
    observed: datetime
    values: dict[str, int]
    users: int | None
    """Users without administrators, where the source knows them."""
    assigned: dict[str, int]
    metrics: dict[str, int]
    status: Json

    @classmethod
    def of(cls, manifest: Json) -> Report:
        """Read an object of the API server."""
        metadata, spec = manifest["metadata"], manifest["spec"]
        return cls(
            name=(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            generation=metadata["generation"],
            org_id=spec["orgID"],
            source=spec.get("source", "default"),
            observed=parse_time(spec["observedTime"]),
            values={item["license"]: item["value"] for item in spec.get("meters") or ()},
            assigned={item["license"]: item["assigned"] for item in spec.get("meters") or () if "assigned" in item},
            metrics={item["name"]: item["value"] for item in spec.get("metrics") or ()},
            users=_users(spec.get("users")),
            status=manifest.get("status") or {},
        )


def _users(reading: Json | None) -> int | None:
    return None if reading is None else max(0, reading["total"] - reading.get("administrators", 0))


@dataclass(slots=True)
class ApprovalObject:
    """One OrgApproval."""

    name: Name
    uid: str
    version: int
    generation: int
    verdict: Verdict
    status: Json

    @classmethod
    def of(cls, manifest: Json) -> ApprovalObject:
        """Read an object of the API server."""
        metadata = manifest["metadata"]
        return cls(
            name=(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            generation=metadata.get("generation", 1),
            verdict=Verdict.of(manifest),
            status=manifest.get("status") or {},
        )
