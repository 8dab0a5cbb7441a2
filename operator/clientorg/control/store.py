"""What the operator knows of its kinds: the newest version of each object, and the indexes the rules ask for.

Fed by Kopf's events and by the answers to our own writes, whichever is newer. Ten thousand clients have to fit into
little memory, so that of a client only what decides is kept as Python objects, and its spec and status as JSON.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from clientorg.api.meta import (
    ANNOTATION_RECONCILE,
    ANNOTATION_RESEND,
    ANNOTATION_TRANSFER,
    FINALIZER,
    LABEL_ORG_ID,
    MAX_REQUEST,
)
from clientorg.api.orgplan import OrgPlanSpec
from clientorg.api.quotapool import PoolUsage, UsePeriod
from clientorg.domain.allocation import Grant, Holder, Transfer, raises
from clientorg.domain.identity import org_id, workspace_namespace
from clientorg.domain.timestamps import parse_time
from clientorg.domain.workspace import PlanTemplate

_MOST_GONE = 10_000

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


def _as_answered(request: str | None) -> str | None:
    """A request by annotation, as far as the status can repeat it for an answer."""
    return request[:MAX_REQUEST] if request else None


@dataclass(slots=True)
class Client:
    """One ClientOrg."""

    name: Name
    uid: str
    org_id: str
    """Derived from the UID; the label is for people and selectors, and anybody may have set it."""
    version: int
    generation: int
    created: str
    deleting: bool
    finalizers: tuple[str, ...]
    org_label: str | None
    transfer: Transfer | None
    """A move of licenses that is not done yet."""
    reconcile_requested: str | None
    resend: str | None
    pool: str
    plan: str
    state: str
    asked: dict[str, int]
    """What the spec asks for."""
    wanted: dict[str, int]
    """What is drawn from the pool for it: nothing for a deactivated client."""
    purge_started: str | None
    held: dict[str, int]
    used: dict[str, int]
    last_grant: int
    pending_since: str | None
    spec_json: bytes
    status_json: bytes

    @classmethod
    def of(cls, manifest: Json) -> Client:
        """Read an object of the API server."""
        metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
        annotations = metadata.get("annotations") or {}
        licenses = status.get("licenses") or []
        asked = {item["name"]: item["quantity"] for item in spec["licenses"]}
        purge_started = (status.get("deactivation") or {}).get("purgeStartedTime")
        is_deactivated = spec.get("state") == "Deactivated" or purge_started is not None
        return cls(
            name=(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            org_id=org_id(metadata["uid"]),
            version=int(metadata["resourceVersion"]),
            generation=metadata["generation"],
            created=metadata["creationTimestamp"],
            deleting="deletionTimestamp" in metadata,
            finalizers=tuple(metadata.get("finalizers") or ()),
            org_label=(metadata.get("labels") or {}).get(LABEL_ORG_ID),
            transfer=_transfer(metadata["name"], annotations.get(ANNOTATION_TRANSFER), status.get("lastTransfer")),
            reconcile_requested=_as_answered(annotations.get(ANNOTATION_RECONCILE)),
            resend=_as_answered(annotations.get(ANNOTATION_RESEND)),
            pool=spec["poolRef"]["name"],
            plan=spec["planRef"]["name"],
            state=spec.get("state", "Active"),
            asked=asked,
            wanted={} if is_deactivated else asked,
            purge_started=purge_started,
            held={item["name"]: item["granted"] for item in licenses},
            used={item["name"]: item["used"] for item in licenses if "used" in item},
            last_grant=status.get("lastGrant", 0),
            pending_since=(status.get("pending") or {}).get("since"),
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


@dataclass(slots=True)
class Pool:
    """One QuotaPool."""

    name: Name
    uid: str
    version: int
    generation: int
    deleting: bool
    finalizers: tuple[str, ...]
    capacity: dict[str, int]
    display_names: dict[str, str]
    use_periods: dict[str, UsePeriod]
    usage: PoolUsage
    strict: bool
    grants: dict[str, tuple[Grant, ...]]
    """Grants in flight by client UID."""
    status: Json

    @classmethod
    def of(cls, manifest: Json) -> Pool:
        """Read an object of the API server."""
        metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
        grants: dict[str, list[Grant]] = defaultdict(list)
        for item in status.get("inFlight") or ():
            grant = Grant(item["orgUID"], item["orgName"], item["grant"], item["license"], item["from"], item["to"])
            grants[grant.uid].append(grant)
        return cls(
            name=(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            generation=metadata["generation"],
            deleting="deletionTimestamp" in metadata,
            finalizers=tuple(metadata.get("finalizers") or ()),
            capacity={item["name"]: item["quantity"] for item in spec["licenses"]},
            display_names={item["name"]: item["displayName"] for item in spec["licenses"] if "displayName" in item},
            use_periods={item["name"]: UsePeriod(item.get("usePeriod", "Never")) for item in spec["licenses"]},
            usage=PoolUsage.model_validate(spec.get("usage") or {}),
            strict=spec.get("queueing") == "StrictFIFO",
            grants={uid: tuple(items) for uid, items in grants.items()},
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


@dataclass(slots=True)
class Plan:
    """One OrgPlan, compiled."""

    name: Name
    uid: str
    version: int
    generation: int
    deleting: bool
    template: PlanTemplate
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
            values={item["license"]: item["value"] for item in spec["meters"]},
            status=manifest.get("status") or {},
        )


@dataclass(slots=True)
class PoolMembers:
    """The clients of one pool, summed up as they come and go."""

    clients: dict[str, Client] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    unsatisfied: dict[str, Client] = field(default_factory=dict)

    def put(self, client: Client) -> None:
        """A client of the pool in its newest version."""
        self.drop(client.uid)
        self.clients[client.uid] = client
        self.held.update(client.held)
        if client.raises:
            self.unsatisfied[client.uid] = client

    def drop(self, uid: str) -> None:
        """A client that left the pool, or is about to be put anew."""
        before = self.clients.pop(uid, None)
        if before is not None:
            self.held.subtract(before.held)
            self.unsatisfied.pop(uid, None)


class Store:
    """The newest version of every object, with indexes."""

    def __init__(self) -> None:
        self.clients: dict[Name, Client] = {}
        self.pools: dict[Name, Pool] = {}
        self.plans: dict[Name, Plan] = {}
        self.by_namespace: dict[str, Name] = {}
        self.reports: dict[Name, Report] = {}
        self._reports_of: dict[Name, dict[Name, Report]] = defaultdict(dict)
        self._gone: dict[str, None] = {}
        """UIDs of clients that are gone, the newest last; a UID is never used again."""
        self._client_of_org: dict[Name, Name] = {}
        self._members: dict[Name, PoolMembers] = {}
        self._by_plan: dict[Name, set[Name]] = defaultdict(set)

    def _of(self, kind: str) -> Mapping[Name, Client | Pool | Plan | Report]:
        known: dict[str, Mapping[Name, Client | Pool | Plan | Report]] = {
            "ClientOrg": self.clients,
            "QuotaPool": self.pools,
            "OrgPlan": self.plans,
            "UsageReport": self.reports,
        }
        return known[kind]

    def all_of(self, kind: str) -> list[Client | Pool | Plan | Report]:
        """Every object of a kind."""
        return list(self._of(kind).values())

    def get(self, kind: str, name: Name) -> Client | Pool | Plan | Report | None:
        """One object, if it is known."""
        return self._of(kind).get(name)

    def put_client(self, manifest: Json) -> Client | None:
        """Take in a client, unless a newer version is known. Returns what is new, or None."""
        known = self.clients.get(name_of(manifest))
        if known is not None and known.version >= version_of(manifest):
            return None
        if manifest["metadata"]["uid"] in self._gone:
            return None  # a list from before its deletion, read after: a pass over it would build its workspace anew
        client = Client.of(manifest)
        if known is not None:
            if known.uid == client.uid and client.spec_json == known.spec_json:
                client.spec_json = known.spec_json  # the same bytes once
            self._forget(known)
        self.clients[client.name] = client
        self.by_namespace[client.namespace] = client.name
        self._client_of_org[client.name[0], client.org_id] = client.name
        self._by_plan[client.name[0], client.plan].add(client.name)
        self.members((client.name[0], client.pool)).put(client)
        return client

    def drop_client(self, name: Name, uid: str) -> Client | None:
        """A client is gone; a newer one of the same name stays. Returns what was dropped."""
        self._gone[uid] = None
        if len(self._gone) > _MOST_GONE:
            del self._gone[next(iter(self._gone))]
        known = self.clients.get(name)
        if known is None or known.uid != uid:
            return None
        del self.clients[name]
        self._forget(known)
        return known

    def _forget(self, client: Client) -> None:
        self.by_namespace.pop(client.namespace, None)
        self._client_of_org.pop((client.name[0], client.org_id), None)
        namespace = client.name[0]
        plan = (namespace, client.plan)
        self._by_plan[plan].discard(client.name)
        if not self._by_plan[plan]:
            del self._by_plan[plan]
        self.members((namespace, client.pool)).drop(client.uid)

    def members(self, pool: Name) -> PoolMembers:
        """The clients of a pool, whether the pool exists or not."""
        members = self._members.get(pool)
        if members is None:
            members = self._members[pool] = PoolMembers()
        return members

    def clients_of_plan(self, plan: Name) -> Iterator[Name]:
        """Names of the clients on a plan."""
        return iter(tuple(self._by_plan.get(plan, ())))

    def count_of_plan(self, plan: Name) -> int:
        """How many clients are on a plan."""
        return len(self._by_plan.get(plan, ()))

    def put_pool(self, manifest: Json) -> Pool | None:
        """Take in a pool, unless a newer version is known."""
        known = self.pools.get(name_of(manifest))
        if known is not None and known.version >= version_of(manifest):
            return None
        pool = self.pools[name_of(manifest)] = Pool.of(manifest)
        return pool

    def drop_pool(self, name: Name, uid: str) -> None:
        """A pool is gone; a newer one of the same name stays."""
        if name in self.pools and self.pools[name].uid == uid:
            del self.pools[name]

    def client_of_org(self, agency: str, org_id: str) -> Name | None:
        """The agency's client with that Org ID; one of another agency is none of its."""
        return self._client_of_org.get((agency, org_id))

    def reports_of(self, client: Client) -> list[Report]:
        """The usage reports for a client."""
        return list(self._reports_of.get((client.name[0], client.org_id), {}).values())

    def sources_of(self, client: Client) -> list[str]:
        """Who reports for a client: those counted already first, then by name."""
        counted = {item["source"] for item in client.status.get("meters") or ()}
        sources = {report.source for report in self.reports_of(client)} | counted
        return sorted((name for name in sources if not name.startswith("@")), key=lambda n: (n not in counted, n))

    def put_report(self, manifest: Json) -> Report | None:
        """Take in a usage report, unless a newer version is known.

        Raises:
            ValueError: its time cannot be read.
        """
        known = self.reports.get(name_of(manifest))
        if known is not None and known.version >= version_of(manifest):
            return None
        report = Report.of(manifest)
        if known is not None:
            self.drop_report(known.name, known.uid)
        self.reports[report.name] = report
        self._reports_of[report.name[0], report.org_id][report.name] = report
        return report

    def drop_report(self, name: Name, uid: str) -> None:
        """A usage report is gone; what it counted stays counted."""
        known = self.reports.get(name)
        if known is None or known.uid != uid:
            return
        del self.reports[name]
        of_org = self._reports_of[name[0], known.org_id]
        of_org.pop(name, None)
        if not of_org:
            del self._reports_of[name[0], known.org_id]

    def purges_started(self, agency: str) -> list[datetime]:
        """When purges of the agency's clients began."""
        return [
            parse_time(client.purge_started)
            for client in self.clients.values()
            if client.name[0] == agency and client.purge_started is not None
        ]

    def put_plan(self, manifest: Json) -> Plan | None:
        """Take in a plan, unless a newer version is known.

        Raises:
            pydantic.ValidationError: the spec is none that the CRD admits.
        """
        known = self.plans.get(name_of(manifest))
        if known is not None and known.version >= version_of(manifest):
            return None
        plan = self.plans[name_of(manifest)] = Plan.of(manifest, known)
        return plan

    def drop_plan(self, name: Name, uid: str) -> None:
        """A plan is gone; a newer one of the same name stays."""
        if name in self.plans and self.plans[name].uid == uid:
            del self.plans[name]
