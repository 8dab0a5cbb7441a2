"""Watches the true state of the API server, write by write, for what must never happen to a ledger of points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from clientorg.cluster.resources import CLIENT_ORGS, ORG_APPROVALS, POINT_TRANSACTIONS, QUOTA_POOLS
from clientorg.domain.ledger_audit import Finding, Invariant, audit
from clientorg.domain.ledger_records import transaction_of
from tests.unit.apiserver import Json, MemoryServer, WatchEvent


@dataclass
class PointBooks:
    """The invariants of the posting protocol and of approval, for a server with one pool.

    Attributes:
        numbers: transaction UID to its number, of everything that was ever put in flight.
        lost: numbers of transactions that were deleted while they were in flight.
    """

    server: MemoryServer
    heard: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    _changes: dict[str, int] = field(default_factory=dict)
    """Transaction UID to what it adds to the pool."""
    _phases: dict[str, str | None] = field(default_factory=dict)
    """By UID, of every transaction that is there."""
    _in_flight: dict[str, int] = field(default_factory=dict)
    _balance: int = 0
    _approved: set[str] = field(default_factory=set)
    """UIDs of clients that somebody else than their requester has approved."""
    _manual: dict[str, str] = field(default_factory=dict)
    """Client UID to requester, of clients that have to be approved."""
    _charged: dict[tuple[str, str], str] = field(default_factory=dict)
    """Org ID and period to the UID of its charge."""

    def check(self) -> None:
        """Go through what happened since the last check, one write after the other."""
        for event in self.server.since(self.heard):
            self.heard = event.version
            if event.plural == POINT_TRANSACTIONS.plural:
                self._transaction(event)
            elif event.plural == QUOTA_POOLS.plural:
                self._pool(event.decoded())
            elif event.plural == CLIENT_ORGS.plural:
                self._client(event.decoded())
            elif event.plural == ORG_APPROVALS.plural:
                spec = event.decoded()["spec"]
                requester = self._manual.get(spec["clientUID"])
                if spec["decision"] == "Approve" and spec["approvedBy"] != requester:
                    self._approved.add(spec["clientUID"])

    def _transaction(self, event: WatchEvent) -> None:
        manifest = event.decoded()
        fact = transaction_of(manifest)
        phase = fact.phase.value if fact.phase is not None else None
        before = self._phases.get(fact.uid)
        if event.type == "DELETED":
            assert before != "Posted", f"{fact.name}: a posted transaction was deleted"
            del self._phases[fact.uid]
            return
        self._changes[fact.uid] = fact.pool_change
        self._phases[fact.uid] = phase
        if before == "Rejected":
            assert phase == "Rejected", f"{fact.name}: rejected for ever, and then {phase}"
        if phase == "Posted":
            assert self.numbers.get(fact.uid) == fact.entry, f"{fact.name}: posted under a number that is not its own"
        if phase == "Rejected":
            assert fact.uid not in self._in_flight, f"{fact.name}: rejected while it is in flight"
        if fact.kind == "Charge" and event.type == "ADDED":
            assert fact.org_id is not None
            assert fact.period is not None
            known = self._charged.setdefault((fact.org_id, fact.period), fact.uid)
            assert known == fact.uid, f"{fact.name}: a second charge of {fact.period}"

    def _pool(self, manifest: Json) -> None:
        points = (manifest.get("status") or {}).get("points") or {}
        balance, last = points.get("balance", 0), max(self.numbers.values(), default=0)
        assert balance >= 0, "the pool is below zero"
        in_flight = {item["uid"]: item["entry"] for item in points.get("inFlight") or ()}
        change = 0
        for uid, number in in_flight.items():
            if uid in self._in_flight:
                assert self._in_flight[uid] == number, "an entry in flight got another number"
                continue
            assert uid not in self.numbers, "a transaction was entered twice"
            assert number > last, "a number was given out twice"
            assert self._phases.get(uid) not in ("Posted", "Rejected"), "entered although it was decided already"
            self.numbers[uid] = number
            change += self._changes[uid]
        for uid in self._in_flight.keys() - in_flight.keys():
            if self._phases.get(uid) != "Posted":
                assert uid not in self._phases, "an entry was cleared before its transaction was posted"
                self.lost.add(self.numbers[uid])
                change -= self._changes[uid]
        assert balance - self._balance == change, (
            f"the balance went {self._balance} to {balance} by entries of {change}"
        )
        assert points.get("entries", 0) == max(self.numbers.values(), default=0)
        self._balance, self._in_flight = balance, in_flight
        for item in (manifest.get("status") or {}).get("inFlight") or ():
            uid = item["orgUID"]
            assert uid not in self._manual or uid in self._approved, f"{item['orgName']} was granted unapproved"

    def _client(self, manifest: Json) -> None:
        uid, status = manifest["metadata"]["uid"], manifest.get("status") or {}
        if manifest["spec"]["planRef"]["name"] == "manual":
            self._manual[uid] = manifest["spec"]["requestedBy"]
        if any(item["granted"] for item in status.get("licenses") or ()):
            assert uid not in self._manual or uid in self._approved, "licenses without an approval"


def findings(server: MemoryServer, agency: str, lost: set[int]) -> Iterator[Finding]:
    """What the audit finds, but for the gaps that transactions left which were deleted in flight."""
    found = audit(
        server.found(POINT_TRANSACTIONS, agency), server.found(QUOTA_POOLS, agency), server.found(CLIENT_ORGS, agency)
    )
    for finding in found.findings:
        if finding.invariant == Invariant.ENTRIES and lost and "are missing" in finding.message:
            continue
        yield finding


def balances(server: MemoryServer, agency: str) -> dict[str, int]:
    """Org ID to the balance of its account, of what is posted."""
    sums: dict[str, int] = defaultdict(int)
    for manifest in server.found(POINT_TRANSACTIONS, agency):
        fact = transaction_of(manifest)
        if fact.is_posted and fact.org_id is not None:
            sums[fact.org_id] += fact.org_change
    return dict(sums)
