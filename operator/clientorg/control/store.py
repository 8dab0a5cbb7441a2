"""What the operator knows of its kinds: the newest version of each object, and the indexes the rules ask for.

Fed by Kopf's events and by the answers to our own writes, whichever is newer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from clientorg.api.orgapproval import ApprovalDecision
from clientorg.api.orgplan import ApprovalMode
from clientorg.control.clientobject import Client
from clientorg.control.ledgerstore import LedgerStore, Movement
from clientorg.control.objects import ApprovalObject, Json, Name, Plan, Pool, Report, name_of, version_of
from clientorg.control.subscriptionstore import SubscriptionObject, SubscriptionStore
from clientorg.domain.timestamps import parse_time

_MOST_GONE = 10_000

Item: TypeAlias = Client | Pool | Plan | Report | ApprovalObject | Movement | SubscriptionObject


@dataclass(slots=True)
class PoolMembers:
    """The clients of one pool, summed up as they come and go."""

    clients: dict[str, Client] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    unsatisfied: dict[str, Client] = field(default_factory=dict)
    next_charges: int = 0
    """Points of all next charges."""
    short: dict[str, Client] = field(default_factory=dict)
    """Those that fall below zero at the next charge, by their status."""

    def put(self, client: Client) -> None:
        """A client of the pool in its newest version."""
        self.drop(client.uid)
        self.clients[client.uid] = client
        self.held.update(client.held)
        if client.raises:
            self.unsatisfied[client.uid] = client
        if _is_charged(client):
            self.next_charges += client.next_charge
            if client.shortfall:
                self.short[client.uid] = client

    def drop(self, uid: str) -> None:
        """A client that left the pool, or is about to be put anew."""
        before = self.clients.pop(uid, None)
        if before is not None:
            self.held.subtract(before.held)
            if _is_charged(before):
                self.next_charges -= before.next_charge
            self.short.pop(uid, None)
            self.unsatisfied.pop(uid, None)


def _is_charged(client: Client) -> bool:
    return not client.deleting and client.charge_due is not None


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
        self._left_behind: dict[Name, dict[str, Client]] = defaultdict(dict)
        self._client_of_org: dict[Name, Name] = {}
        self._holders: dict[str, tuple[Name, ...]] = {}
        """By Org ID, of all agencies: one, but where somebody restores a client that is still there."""
        self.approvals: dict[Name, ApprovalObject] = {}
        self._approvals_of: dict[Name, dict[Name, ApprovalObject]] = defaultdict(dict)
        self.ledger = LedgerStore(self._org_id_of, self._pool_of)
        self.subscriptions = SubscriptionStore()
        self._members: dict[Name, PoolMembers] = {}
        self._by_plan: dict[Name, set[Name]] = defaultdict(set)

    def _org_id_of(self, name: Name) -> str | None:
        client = self.clients.get(name)
        return client.org_id if client is not None else None

    def _pool_of(self, name: Name) -> str | None:
        client = self.clients.get(name)
        return client.pool if client is not None else None

    def _of(self, kind: str) -> Mapping[Name, Item]:
        known: dict[str, Mapping[Name, Item]] = {
            "ClientOrg": self.clients,
            "QuotaPool": self.pools,
            "OrgPlan": self.plans,
            "UsageReport": self.reports,
            "OrgApproval": self.approvals,
            "PointTransaction": self.ledger.movements,
            "Subscription": self.subscriptions.all,
        }
        return known[kind]

    def all_of(self, kind: str) -> list[Item]:
        """Every object of a kind."""
        return list(self._of(kind).values())

    def get(self, kind: str, name: Name) -> Item | None:
        """One object, if it is known."""
        return self._of(kind).get(name)

    def knows(self, kind: str, name: Name, version: int) -> bool:
        """Whether the object is known in that version or a newer one, so that taking it in would change nothing."""
        known = self._of(kind).get(name)
        return known is not None and known.version >= version

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
        self._holders[client.org_id] = (*self._holders.get(client.org_id, ()), client.name)
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
        holders = tuple(name for name in self._holders.get(client.org_id, ()) if name != client.name)
        if holders:
            self._holders[client.org_id] = holders
        else:
            self._holders.pop(client.org_id, None)
        namespace = client.name[0]
        plan = (namespace, client.plan)
        self._by_plan[plan].discard(client.name)
        if not self._by_plan[plan]:
            del self._by_plan[plan]
        self.members((namespace, client.pool)).drop(client.uid)

    def leave_behind(self, client: Client) -> None:
        """A client is gone although our finalizer was on it: nobody has taken its workspace away."""
        self._left_behind[client.name][client.uid] = client

    def left_behind(self, name: Name) -> list[Client]:
        """The clients of that name that are gone, and whose workspaces still have to go."""
        return list(self._left_behind.get(name, {}).values())

    def cleared(self, client: Client) -> None:
        """Nothing is left of a client that is gone."""
        of_name = self._left_behind[client.name]
        of_name.pop(client.uid, None)
        if not of_name:
            del self._left_behind[client.name]

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

    def holder_of_org(self, client: Client) -> Name | None:
        """The living client whose Org ID this restored one names; None where it may have it."""
        for name in self._holders.get(client.org_id, ()) if client.is_restored else ():
            other = self.clients.get(name)
            if other is None or other.uid == client.uid:
                continue
            if not other.is_restored or (other.created, other.uid) < (client.created, client.uid):
                return name
        return None

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

    def is_let_in(self, client: Client) -> bool:
        """Whether licenses may be granted to a client: it has had some, its plan asks nobody, or somebody said yes."""
        if client.approval is not None:
            return client.approval == ApprovalDecision.APPROVE
        plan = self.plans.get((client.name[0], client.plan))
        is_asked = plan is None or plan.template.spec.approval != ApprovalMode.AUTOMATIC  # a plan may still come
        return client.last_grant > 0 or not is_asked

    def put_approval(self, manifest: Json) -> ApprovalObject | None:
        """Take in a decision, unless a newer version is known."""
        known = self.approvals.get(name_of(manifest))
        if known is not None and known.version >= version_of(manifest):
            return None
        approval = ApprovalObject.of(manifest)
        if known is not None:
            self.drop_approval(known.name, known.uid)
        self.approvals[approval.name] = approval
        self._approvals_of[approval.name[0], approval.verdict.client][approval.name] = approval
        return approval

    def drop_approval(self, name: Name, uid: str) -> ApprovalObject | None:
        """A decision is gone; what it decided stays decided. Returns what was dropped."""
        known = self.approvals.get(name)
        if known is None or known.uid != uid:
            return None
        del self.approvals[name]
        of_client = self._approvals_of[name[0], known.verdict.client]
        of_client.pop(name, None)
        if not of_client:
            del self._approvals_of[name[0], known.verdict.client]
        return known

    def approvals_of(self, client: Name) -> list[ApprovalObject]:
        """The decisions on clients of that name."""
        return list(self._approvals_of.get(client, {}).values())

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
