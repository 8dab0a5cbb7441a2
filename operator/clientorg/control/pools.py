"""One pass over one pool: settle what was adopted, grant what fits, write the books once (DESIGN rule 3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from clientorg.api.conditions import ConditionType
from clientorg.api.meta import LABEL_AGENCY, POOL_FINALIZER
from clientorg.api.pointtransaction import Phase, TransactionKind
from clientorg.cluster.events import Happening, Records, Regarding
from clientorg.cluster.resources import CLIENT_ORGS, NAMESPACES, POINT_TRANSACTIONS, QUOTA_POOLS
from clientorg.cluster.rest import Api
from clientorg.control.allocations import Allocations
from clientorg.control.clientobject import Client
from clientorg.control.clock import Clock
from clientorg.control.objects import Name, Pool, version_of
from clientorg.control.poolmessages import with_pool_messages
from clientorg.control.posting import LedgerRound, Postings, changed, is_behind, plan_round
from clientorg.control.prometheus import SourceState
from clientorg.control.shortfalls import needed_points
from clientorg.control.store import PoolMembers, Store
from clientorg.domain.allocation import Books, Grant, Outcome, Request, Waiting, allocate, shown_position, unsettled
from clientorg.domain.conditions import find
from clientorg.domain.ledger import Entry
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.pool_status import LedgerFacts, PoolFacts, pool_status
from clientorg.domain.timestamps import rfc3339, rfc3339_micro
from clientorg.errors import ApiError, ConflictError, NotFoundError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
MOST_IN_FLIGHT = 64
"""Grants in flight at once, at most: bounds the batch that a crash leaves behind."""
_LARGEST_REQUEST = 16
"""Licenses of one client, which are granted at once or not at all."""
_ALWAYS = 4
"""Grants of one round, also while as many clients as are worked on at once cannot adopt theirs."""


class PoolReconciler:
    """Keeps the pools' books.

    Args:
        identity: of this process; a pool that another one wrote last is recounted before anything is granted.
        client_changed: asks for a pass over a client; the flag says whether somebody waits for it.
        seen: takes in a pool or client that was read on the way, and wakes whoever has to know: its event, when it
            comes, is no news any more.
        client_gone: takes in that a client is not there any more.
        postings: where the decisions on transactions go.
        transaction_changed: asks for a pass over a transaction.
        mail_due: something is to be sent to the agency.
        concurrency: how many clients are worked on at once.
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
        postings: Postings,
        transaction_changed: Callable[[Name], None],
        mail_due: Callable[[Name], None],
        events: Records,
        concurrency: int = MOST_IN_FLIGHT,
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
        self._postings = postings
        self._transaction_changed = transaction_changed
        self._mail_due = mail_due
        self._events = events
        self._most_in_flight = max(_LARGEST_REQUEST, min(concurrency, MOST_IN_FLIGHT))
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
                most_grants=self._room(len(in_flight)),
            )
        ledger = await self._plan_entries(pool)
        # Grants of another process, and of our own write whose answer was lost, have still to be announced.
        announced = self._announced.get(pool.uid, 0)
        grants = (*(grant for grant in in_flight if grant.serial > announced), *outcome.grants)
        await self._write(pool, members, (*in_flight, *outcome.grants), outcome, allocated, ledger)
        self._announce(members, grants, outcome.waiting)
        self._announce_entries(pool, ledger)
        self._announced[pool.uid] = max([announced, *(grant.serial for grant in grants)])

    # -- gather -------------------------------------------------------------------------------------------------

    def _room(self, in_flight: int) -> int:
        """How many grants may be added to those in flight.

        More than are worked on at once would only make the pool larger, and the API server writes it out and reads it
        in again for each policy that has it as a parameter (client-warnings): with 6 kB that was a tenth of its work
        while clients were made.
        """
        return max(self._most_in_flight - in_flight, min(_ALWAYS, MOST_IN_FLIGHT - in_flight))

    def _requests(self, pool: Pool, members: PoolMembers, flying: set[str]) -> list[Request]:
        """What clients ask for beyond what they hold, but for those with a grant still to be adopted."""
        requests = []
        for uid, client in members.unsatisfied.items():
            wanted = client.raises
            if uid in flying or not wanted or any(name not in pool.capacity for name in client.wanted):
                continue
            if not self._store.is_let_in(client):
                continue  # nobody has approved it (FEATURES S2)
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
        await self._recount_ledger(name)
        pool = self._store.pools.get(name)
        if pool is not None and pool.version != version_of(manifest):
            raise ConflictError(409, "Conflict", f"QuotaPool {pool_name} changed while its clients were counted")
        logger.info("recounted pool", extra={"pool": "/".join(name), "clients": len(found)})
        return pool

    async def _recount_ledger(self, name: Name) -> None:
        """Read the transactions that are not posted: one that another process has posted must not be posted again.

        Also where none is known: its event may come later than that of what became of it. The pool's balance needs no
        count: it is written with the entries that changed it. Only where the pool has no ledger, or has lost it with
        its status, or has entries that we have not heard of (a list may lag behind), everything is read: what a client
        has is the sum of its entries, and nobody is told that it is short for want of some.
        """
        namespace = name[0]
        pool = self._store.pools.get(name)
        ledger = self._store.ledger
        open_before = {item.uid: item for item in ledger.open_in(namespace)}
        found: set[str] = set()
        listed_at = 0
        is_known = pool is not None and not is_behind(self._store, pool, self._postings)
        selector = f"status.phase!={Phase.POSTED.value}" if is_known else None
        async for page in self._api.list_pages(POINT_TRANSACTIONS, namespace, field_selector=selector):
            listed_at = int(page["metadata"]["resourceVersion"])
            for item in page["items"]:
                item.setdefault("kind", POINT_TRANSACTIONS.kind)
                found.add(item["metadata"]["uid"])
                self._seen(item)
        for uid, movement in open_before.items():
            if uid in found:
                continue
            try:
                manifest = await self._api.get(POINT_TRANSACTIONS, *movement.name)
            except NotFoundError:
                self._store.ledger.drop(movement.name, uid)
            else:
                manifest.setdefault("kind", POINT_TRANSACTIONS.kind)
                self._seen(manifest)
        ledger.counted(namespace, listed_at)

    async def _plan_entries(self, pool: Pool) -> LedgerRound:
        """What is entered in the ledger next, by the newest state of the clients whose accounts people move points of.

        A settlement waits for every transaction that was there when it was computed. So one that comes later must not
        be posted by a process that has not heard of the end; what is read after the transaction was made knows of it.
        """
        confirmed: set[Name] = set()
        while True:
            ledger = plan_round(self._store, pool, self._postings)
            names = {name for entry in ledger.outcome.posted if (name := self._moved_by_people(pool, entry))}
            if names <= confirmed:
                return ledger
            await asyncio.gather(*(self._confirm(name) for name in names - confirmed))
            confirmed |= names

    def _moved_by_people(self, pool: Pool, entry: Entry) -> Name | None:
        """The client whose account the entry changes; None where it is none's, or a charge or settlement."""
        fact = self._store.ledger.movements[pool.name[0], entry.name].fact
        is_ours = fact.kind in (TransactionKind.CHARGE, TransactionKind.SETTLEMENT)
        return (pool.name[0], fact.org) if fact.org is not None and not is_ours else None

    async def _confirm(self, name: Name) -> None:
        """Take in the newest state of a client."""
        known = self._store.clients.get(name)
        try:
            manifest = await self._api.get(CLIENT_ORGS, *name)
        except NotFoundError:
            if known is not None:
                self._client_gone(name, known.uid)
        else:
            manifest.setdefault("kind", CLIENT_ORGS.kind)
            self._seen(manifest)

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
        ledger: LedgerRound,
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
            ledger=self._ledger_facts(pool, members, ledger),
        )
        before = dict(pool.status)
        # What is never posted is said only by who has the newest books: else another one may have it in flight.
        rejects = any(
            refusal.is_final and self._postings.refused.get(uid) != refusal
            for uid, refusal in ledger.outcome.refused.items()
        )
        is_idle = not (outcome.grants or pool.grants or pool.entries or ledger.outcome.posted or rejects)
        if pool.writer is not None and is_idle:
            facts = facts.with_writer(pool.writer)  # to take over the books alone is no reason to write
        now = self._clock.now()
        status = pool_status(facts, before, rfc3339(now))
        outbox = with_pool_messages(pool, before, status, now)
        if outbox:
            status["outbox"] = outbox
        patch = merge_patch(before, status)
        if patch or rejects:
            body = {"metadata": {"resourceVersion": str(pool.version)}, "status": patch or {}}
            self._store.put_pool(await self._api.patch(QUOTA_POOLS, *pool.name, body, subresource="status"))
        if patch:
            self._tell(pool, before, status, now)
        if outbox:
            self._mail_due(pool.name)  # also what was left by the process before this one

    def _tell(self, pool: Pool, before: Json, after: Json, now: datetime) -> None:
        """An Event when the agency's points become low or short, and when they are not any more."""
        for kind in (ConditionType.POINTS_LOW, ConditionType.POINTS_SHORT):
            old, new = find(before.get("conditions") or (), kind), find(after["conditions"], kind)
            if new is None or (old["status"] if old is not None else "False") == new["status"]:
                continue
            note = new["message"] or "the pool has enough points"
            level: Literal["Normal", "Warning"] = "Warning" if new["status"] == "True" else "Normal"
            about = Regarding("QuotaPool", *pool.name, pool.uid)
            once = f"{kind.value}/{new['lastTransitionTime']}"
            self._events.record(Happening(about, level, kind.value, "Reconcile", note, once, rfc3339_micro(now)))

    def _ledger_facts(self, pool: Pool, members: PoolMembers, ledger: LedgerRound) -> LedgerFacts | None:
        outcome = ledger.outcome
        needed, needed_by = needed_points(self._store.ledger, pool.name[0], members.short.values())
        has_ledger = pool.head is not None or outcome.head.entries or outcome.waiting or members.next_charges
        if not has_ledger and not pool.points.low_below:
            return None
        return LedgerFacts(
            head=outcome.head,
            in_flight=ledger.entries,
            waiting_points=outcome.waiting_points,
            waiting=outcome.waiting,
            next_charges=members.next_charges,
            needed=needed,
            needed_by=needed_by,
            low_below=pool.points.low_below,
        )

    def _announce_entries(self, pool: Pool, ledger: LedgerRound) -> None:
        """Wake the transactions that were entered, and those whose status has to say something else."""
        agency = pool.name[0]
        names = {entry.name for entry in ledger.entries}
        told = set(changed(self._postings, ledger.outcome))
        names |= {item.fact.name for item in self._store.ledger.open_in(agency) if item.uid in told} if told else set()
        for name in names:
            self._transaction_changed((agency, name))

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
            if entry.is_next and entry.uid not in waiting:
                continue  # its grant comes before anybody could read that it waits
            before = waiting.get(entry.uid)
            waiting[entry.uid] = entry
            if before is None or _shown(before) != _shown(entry):
                self._client_changed(client.name, before is None)


def _books_of(pool: Pool) -> object:
    """What changes whenever a client may have been granted something: the same books need no second count."""
    entries = pool.head.entries if pool.head is not None else 0
    return pool.uid, pool.writer, pool.last_grant, tuple(sorted(pool.grants)), entries, pool.entries


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
