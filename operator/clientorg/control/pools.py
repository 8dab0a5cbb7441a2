"""One pass over one pool: settle what was adopted, grant what fits, write the books once (DESIGN rule 3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clientorg.api.meta import LABEL_AGENCY, POOL_FINALIZER
from clientorg.cluster.resources import CLIENT_ORGS, NAMESPACES, QUOTA_POOLS
from clientorg.cluster.rest import Api
from clientorg.control.allocations import Allocations
from clientorg.control.clock import Clock
from clientorg.control.prometheus import SourceState
from clientorg.control.store import Client, Name, Pool, PoolMembers, Store, version_of
from clientorg.domain.allocation import Books, Grant, Outcome, Request, Waiting, allocate, shown_position, unsettled
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.pool_status import PoolFacts, pool_status
from clientorg.domain.timestamps import rfc3339
from clientorg.errors import ApiError, ConflictError, NotFoundError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
MOST_IN_FLIGHT = 64
"""Grants in flight at once: bounds the pool object, which the admission policies read at each write of a client (with
a thousand in flight that alone cost 2 ms a client), and the batch that a crash leaves behind."""


class PoolReconciler:
    """Keeps the pools' books.

    Args:
        identity: of this process; a pool that another one wrote last is recounted before anything is granted.
        client_changed: asks for a pass over a client; the flag says whether somebody waits for it.
        seen: takes in a pool or client that was read on the way, and wakes whoever has to know: its event, when it
            comes, is no news any more.
        client_gone: takes in that a client is not there any more.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        allocations: Allocations,
        clock: Clock,
        identity: str,
        client_changed: Callable[[Name, bool], None],
        seen: Callable[[Json], None],
        client_gone: Callable[[Name, str], None],
        sources: Mapping[Name, SourceState],
    ) -> None:
        self._api = api
        self._store = store
        self._allocations = allocations
        self._clock = clock
        self._identity = identity
        self._client_changed = client_changed
        self._usage_sources = sources
        self._seen = seen
        self._client_gone = client_gone
        self._labelled: set[str] = set()
        self._counted: dict[Name, object] = {}
        self._announced: dict[str, int] = {}
        """By pool UID, the highest serial whose clients were woken by this process."""

    async def reconcile(self, name: Name) -> None:
        """One pass. Raises ApiError (ConflictError: somebody else wrote the pool) and UnreachableError."""
        pool = self._store.pools.get(name)
        if pool is None:
            return
        if pool.deleting and not self._store.members(name).clients:
            await self._release(pool)
            return
        await self._prepare(pool)
        pool = self._store.pools.get(name, pool)
        if pool.writer != self._identity and self._counted.get(name) != _books_of(pool):
            pool = await self._recount(name)
            if pool is None:
                return
            self._counted[name] = _books_of(pool)
        members = self._store.members(name)
        holders = {uid: client.holder for uid in pool.grants if (client := members.clients.get(uid))}
        in_flight = unsettled((grant for grants in pool.grants.values() for grant in grants), holders)
        flying = {grant.uid for grant in in_flight}
        allocated = Books(members.held, in_flight).allocated(holders)
        requests = self._requests(pool, members, flying)
        outcome = Outcome((), ())
        if not pool.deleting:
            outcome = allocate(
                capacity=pool.capacity,
                allocated=allocated,
                requests=requests,
                # Above what any of them has adopted: a pool may have lost its books (made anew, restored from Git).
                serial=1 + max([pool.last_grant, *(client.last_grant for client in members.unsatisfied.values())]),
                strict=pool.strict,
                most_grants=MOST_IN_FLIGHT - len(in_flight),
            )
        # Grants of another process, and of our own write whose answer was lost, have still to be announced.
        announced = self._announced.get(pool.uid, 0)
        grants = (*(grant for grant in in_flight if grant.serial > announced), *outcome.grants)
        await self._write(pool, members, (*in_flight, *outcome.grants), outcome, allocated)
        self._announce(members, grants, outcome.waiting)
        self._announced[pool.uid] = max([announced, *(grant.serial for grant in grants)])

    # -- gather -------------------------------------------------------------------------------------------------

    def _requests(self, pool: Pool, members: PoolMembers, flying: set[str]) -> list[Request]:
        """What clients ask for beyond what they hold, but for those with a grant still to be adopted."""
        requests = []
        for uid, client in members.unsatisfied.items():
            wanted = client.raises
            if uid in flying or not wanted or any(name not in pool.capacity for name in client.wanted):
                continue
            first, blocked_by = self._transfer(client, wanted)
            since = self._allocations.since(client)
            requests.append(Request(uid, client.name[1], since, client.held, wanted, first, blocked_by))
        return requests

    def _transfer(self, client: Client, wanted: dict[str, int]) -> tuple[bool, str | None]:
        """Whether the request is the second half of a move, and whom it has to wait for (FEATURES Z5)."""
        transfer = client.transfer
        if transfer is None or wanted.get(transfer.license) != transfer.to:
            return False, None
        source = self._store.clients.get((client.name[0], transfer.source))
        if source is None or source.pool != client.pool or source.deleting:
            return True, None
        has_let_go = source.held.get(transfer.license, 0) <= transfer.source_to
        return has_let_go, None if has_let_go else transfer.source

    async def _recount(self, name: Name) -> Pool | None:
        """Read the pool, then every client of it, from the server's newest state.

        After this, and as long as only this process writes the pool, what the store sums up is never less than what
        is given out: raises come only from grants in the pool, and those we count.
        """
        namespace, pool_name = name
        try:
            manifest = await self._api.get(QUOTA_POOLS, namespace, pool_name)
        except NotFoundError:
            return None
        self._seen(manifest)
        found: set[str] = set()
        listed_at = 0
        async for page in self._api.list_pages(CLIENT_ORGS, namespace, field_selector=f"spec.poolRef.name={pool_name}"):
            listed_at = int(page["metadata"]["resourceVersion"])
            for item in page["items"]:
                item.setdefault("kind", CLIENT_ORGS.kind)
                found.add(item["metadata"]["uid"])
                self._seen(item)
        for uid, client in list(self._store.members(name).clients.items()):
            if uid not in found and client.version <= listed_at:
                self._client_gone(client.name, uid)  # its deletion was missed
        pool = self._store.pools.get(name)
        if pool is not None and pool.version != version_of(manifest):
            raise ConflictError(409, "Conflict", f"QuotaPool {pool_name} changed while its clients were counted")
        logger.info("recounted pool", extra={"pool": "/".join(name), "clients": len(found)})
        return pool

    # -- apply --------------------------------------------------------------------------------------------------

    async def _prepare(self, pool: Pool) -> None:
        """The finalizer that holds a pool in use, and the label that guards the agency's namespace (DESIGN rule 8)."""
        namespace, name = pool.name
        if POOL_FINALIZER not in pool.finalizers and not pool.deleting:
            patch = {
                "metadata": {"resourceVersion": str(pool.version), "finalizers": [*pool.finalizers, POOL_FINALIZER]}
            }
            self._store.put_pool(await self._api.patch(QUOTA_POOLS, namespace, name, patch))
        if namespace not in self._labelled:
            try:
                await self._label_agency(namespace)
            except ApiError as error:  # a guard less; no reason to hand out nothing
                logger.warning("namespace %s is not marked as an agency: %s", namespace, error)
            self._labelled.add(namespace)

    async def _label_agency(self, namespace: str) -> None:
        found = await self._api.get(NAMESPACES, None, namespace)
        if (found["metadata"].get("labels") or {}).get(LABEL_AGENCY) != "true":
            metadata = {"name": namespace, "labels": {LABEL_AGENCY: "true"}}
            await self._api.apply(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    async def _release(self, pool: Pool) -> None:
        """A deleted pool that no client uses may go."""
        namespace, name = pool.name
        if POOL_FINALIZER not in pool.finalizers:
            return
        in_use = [
            item
            async for page in self._api.list_pages(
                CLIENT_ORGS, namespace, field_selector=f"spec.poolRef.name={name}", chunk=1
            )
            for item in page["items"]
        ]
        if in_use:
            return  # not in the store yet; its event brings us back
        rest = [item for item in pool.finalizers if item != POOL_FINALIZER]
        patch = {"metadata": {"resourceVersion": str(pool.version), "finalizers": rest or None}}
        await self._api.patch(QUOTA_POOLS, namespace, name, patch)

    async def _write(
        self,
        pool: Pool,
        members: PoolMembers,
        in_flight: tuple[Grant, ...],
        outcome: Outcome,
        allocated: dict[str, int],
    ) -> None:
        """The books, once, onto the version that they were computed from; nothing when nothing changed."""
        for grant in outcome.grants:
            allocated[grant.license] = allocated.get(grant.license, 0) + grant.to - grant.held
        facts = PoolFacts(
            generation=pool.generation,
            deleting=pool.deleting,
            capacity=pool.capacity,
            allocated=allocated,
            in_flight=in_flight,
            waiting=outcome.waiting,
            wanted_more=_wanted_more(members, outcome),
            clients=len(members.clients),
            last_grant=max([pool.last_grant, *(grant.serial for grant in outcome.grants)]),
            writer=self._identity,
            source=self._source(pool),
        )
        before = dict(pool.status)
        if pool.writer is not None and not outcome.grants and not pool.grants:
            facts = facts.with_writer(pool.writer)  # to take over the books alone is no reason to write
        status = pool_status(facts, before, rfc3339(self._clock.now()))
        patch = merge_patch(before, status)
        if not patch:
            return
        namespace, name = pool.name
        body = {"metadata": {"resourceVersion": str(pool.version)}, "status": patch}
        self._store.put_pool(await self._api.patch(QUOTA_POOLS, namespace, name, body, subresource="status"))

    def _source(self, pool: Pool) -> tuple[str, str] | None:
        """How the pool's usage source does: what is wrong, and what is well; None where it has none."""
        state = self._usage_sources.get(pool.name)
        if pool.usage.prometheus is None or state is None:
            return None
        note = f"usage of {state.clients} clients"
        if state.ignored:
            shown = "; ".join(state.ignored[:5]) + (f"; and {len(state.ignored) - 5} more" if state.ignored[5:] else "")
            note += f"; not counted: {shown}"
        return state.error, note

    def _announce(self, members: PoolMembers, grants: Sequence[Grant], queue: Sequence[Waiting]) -> None:
        """Wake the clients that were granted something, and those whose place in the queue shows differently."""
        waiting = self._allocations.waiting
        for grant in grants:
            self._allocations.drop(grant.uid)
            if (client := members.clients.get(grant.uid)) is not None:
                self._client_changed(client.name, True)
        for entry in queue:
            client = members.clients.get(entry.uid)
            if client is None:
                continue  # deleted while the books were written
            before = waiting.get(entry.uid)
            waiting[entry.uid] = entry
            if before is None or _shown(before) != _shown(entry):
                self._client_changed(client.name, before is None)


def _books_of(pool: Pool) -> object:
    """What changes whenever a client may have been granted something: the same books need no second count."""
    return pool.uid, pool.writer, pool.last_grant, tuple(sorted(pool.grants))


def _shown(entry: Waiting) -> tuple[object, ...]:
    return shown_position(entry.position), dict(entry.missing), entry.blocked_by


def _wanted_more(members: PoolMembers, outcome: Outcome) -> dict[str, int]:
    """License to what the waiting clients ask for beyond what they hold."""
    total: dict[str, int] = {}
    for entry in outcome.waiting:
        client = members.clients[entry.uid]
        for name, quantity in client.raises.items():
            total[name] = total.get(name, 0) + quantity - client.held.get(name, 0)
    return total
