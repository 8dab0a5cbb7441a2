"""Watches the true state of the API server, write by write, for what must never happen to a pool's licenses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from clientorg.api.meta import ANNOTATION_TRANSFER, LABEL_ORG_ID
from clientorg.cluster.resources import CLIENT_ORGS, NAMESPACES, QUOTA_POOLS
from clientorg.domain.allocation import Holder, Transfer
from tests.unit.apiserver import Json, MemoryServer, WatchEvent


def holder_of(manifest: Json) -> Holder:
    """What a client holds by its own status."""
    status = manifest.get("status") or {}
    return Holder({item["name"]: item["granted"] for item in status.get("licenses", ())}, status.get("lastGrant", 0))


@dataclass
class Bookkeeping:
    """The invariants of DESIGN rule 3, for a server with one pool."""

    server: MemoryServer
    heard: int = 0
    holders: dict[str, Holder] = field(default_factory=dict)
    """By UID, of every client that lives."""
    capacity: dict[str, int] = field(default_factory=dict)
    in_flight: dict[tuple[str, str], Json] = field(default_factory=dict)
    """By UID and license."""
    last_grant: int = 0
    grants: int = 0
    adoptions: int = 0
    _status: Json = field(default_factory=dict)

    def check(self) -> None:
        """Go through what happened since the last check, one write after the other."""
        for event in self.server.since(self.heard):
            self.heard = event.version
            before = self.committed()
            if event.plural == CLIENT_ORGS.plural:
                self._client(event)
            elif event.plural == QUOTA_POOLS.plural:
                self._pool(event)
            after = self.committed()
            for license, quantity in after.items():
                if quantity > before[license]:
                    assert event.plural == QUOTA_POOLS.plural, f"{license}: given out past the pool"
                    assert quantity <= self.capacity.get(license, 0), f"{license}: over-allocated by a grant"

    def committed(self) -> Counter[str]:
        """License to what is given out: what each client has, or is about to have."""
        total: Counter[str] = Counter()
        for uid, holder in self.holders.items():
            coming = {
                license: item["to"]
                for (org, license), item in self.in_flight.items()
                if org == uid and item["grant"] > holder.last_grant
            }
            for license in holder.held.keys() | coming.keys():
                total[license] += max(holder.held.get(license, 0), coming.get(license, 0))
        return total

    def _client(self, event: WatchEvent) -> None:
        manifest = event.decoded()
        uid = manifest["metadata"]["uid"]
        if event.type == "DELETED":
            self.holders.pop(uid, None)
            return
        before, after = self.holders.get(uid, Holder({})), holder_of(manifest)
        self.holders[uid] = after
        assert after.last_grant >= before.last_grant, "a grant was taken back and could be adopted again"
        assert min(after.held.values(), default=0) >= 0
        self.adoptions += after.last_grant > before.last_grant
        used = {item["name"]: item.get("used", 0) for item in manifest["status"].get("licenses", ())}
        for license, quantity in before.held.items():
            left = after.held.get(license, 0)
            assert left >= min(quantity, used.get(license, 0)), f"{license}: took back what is used"
        for license, quantity in after.held.items():
            if quantity > before.held.get(license, 0):
                grant = self.in_flight.get((uid, license))
                assert grant is not None, f"{license}: adopted a grant that is not in flight"
                assert before.last_grant < grant["grant"] == after.last_grant, f"{license}: adopted a grant twice"
                assert quantity <= grant["to"]

    def _pool(self, event: WatchEvent) -> None:
        manifest = event.decoded()
        status = manifest["status"]
        before = self.in_flight
        self.capacity = {item["name"]: item["quantity"] for item in manifest["spec"]["licenses"]}
        self.in_flight = {(item["orgUID"], item["license"]): item for item in status.get("inFlight", ())}
        assert len(self.in_flight) == len(status.get("inFlight", ())), "two grants of one license in flight to a client"
        for key, item in self.in_flight.items():
            if before.get(key) != item:
                self.grants += 1
                holder = self.holders.get(key[0], Holder({}))
                assert item["grant"] > self.last_grant, "a serial was given out twice"
                assert item["grant"] > holder.last_grant, "a grant that its client can never adopt"
                assert item["to"] > item["from"] >= 0
        for key, item in before.items():
            if self.in_flight.get(key) != item:
                gone = key[0] not in self.holders
                assert gone or self.holders[key[0]].last_grant >= item["grant"], "a grant was cleared before its time"
        if status != self._status:
            self._published(status)
        self._status = status
        self.last_grant = status.get("lastGrant", 0)

    def _published(self, status: Json) -> None:
        committed = self.committed()
        for item in status.get("licenses", ()):
            assert item["allocated"] >= committed[item["name"]], (
                f"{item['name']}: the books show less than is given out"
            )
            assert item["allocated"] >= 0


def wanted_of(client: Json) -> dict[str, int]:
    """License to quantity, as the spec asks."""
    return {item["name"]: item["quantity"] for item in client["spec"]["licenses"]}


def raises_of(client: Json) -> dict[str, int]:
    """License to how many more the client wants than it has."""
    held = holder_of(client).held
    return {name: want - held.get(name, 0) for name, want in wanted_of(client).items() if want > held.get(name, 0)}


def check_outcome(pool: Json, clients: list[Json]) -> None:
    """What must hold when the operators have come to rest: nothing leaked, and nobody waits who could be served."""
    status = pool["status"]
    assert not [client for client in clients if "deletionTimestamp" in client["metadata"]], "a deletion is stuck"
    assert "inFlight" not in status, "a grant in flight leaked"
    for item in status["licenses"]:
        granted = sum(holder_of(client).held.get(item["name"], 0) for client in clients)
        assert item["allocated"] == granted, "the books and the clients differ"
    totals = {item["name"]: item["total"] for item in status["licenses"]}
    assert all(totals[item["name"]] == item["quantity"] for item in pool["spec"]["licenses"])
    waiting = [client for client in clients if raises_of(client)]
    assert (status["clients"], status["pendingClients"]) == (len(clients), len(waiting))
    for client in clients:
        _check_client(client)
    by_name = {client["metadata"]["name"]: client for client in clients}
    queue = [client for client in waiting if not _is_blocked(client, by_name)]
    _check_queue(queue, status, strict=pool["spec"]["queueing"] == "StrictFIFO")


def check_workspaces(server: MemoryServer, clients: list[Json]) -> None:
    """No workspace is left of a client that is gone."""
    marked = [
        item["metadata"] for item in server.found(NAMESPACES) if LABEL_ORG_ID in item["metadata"].get("labels", {})
    ]
    left = {item["name"] for item in marked} - {client["status"]["workspace"]["namespace"] for client in clients}
    assert not left, f"workspaces leaked: {left}"


def _check_client(client: Json) -> None:
    holder, wanted, status = holder_of(client), wanted_of(client), client["status"]
    used = {item["name"]: item.get("used", 0) for item in status["licenses"]}
    for license, granted in holder.held.items():
        assert granted <= max(wanted.get(license, 0), used[license]), "licenses were not given back"
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert status["observedGeneration"] == client["metadata"]["generation"]
    assert conditions["Ready"] == ("False" if raises_of(client) else "True")
    assert ("pending" in status) == bool(raises_of(client))


def _check_queue(waiting: list[Json], status: Json, *, strict: bool) -> None:
    """Nobody waits for what is there; with StrictFIFO only behind somebody who waits for what is not."""
    free = {item["name"]: max(item["available"], 0) for item in status["licenses"]}
    for client in waiting:
        fits = all(need <= free.get(license, 0) for license, need in raises_of(client).items())
        if fits and strict:
            fits = not any(
                other["status"]["pending"]["position"] < client["status"]["pending"]["position"]
                and raises_of(other).keys() & raises_of(client).keys()
                for other in waiting
            )
        assert not fits, f"{client['metadata']['name']} waits for what the pool has"


def _is_blocked(client: Json, others: Mapping[str, Json]) -> bool:
    """Whether the client waits for another one to let go, the other half of a move of licenses."""
    move = Transfer.parse(client["metadata"].get("annotations", {}).get(ANNOTATION_TRANSFER))
    if move is None or move.license not in raises_of(client) or wanted_of(client)[move.license] != move.to:
        return False
    source = others.get(move.source)
    return source is not None and holder_of(source).held.get(move.license, 0) > move.source_to
