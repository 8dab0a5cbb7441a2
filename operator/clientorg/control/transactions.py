"""One pass over one point transaction: its status. What it moves was decided by its pool's pass."""

from __future__ import annotations

from collections.abc import Callable

from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.pointtransaction import Phase
from clientorg.cluster.resources import POINT_TRANSACTIONS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clock import Clock
from clientorg.control.ledgerstore import Movement
from clientorg.control.objects import Name, Pool
from clientorg.control.posting import Postings, judged
from clientorg.control.store import Store
from clientorg.domain.conditions import State, false, merge, true
from clientorg.domain.ledger import Entry
from clientorg.domain.ledger_rules import Refusal
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.timestamps import rfc3339
from clientorg.errors import NotFoundError


class TransactionReconciler:
    """Marks what was entered as posted, and says of the rest why not.

    Args:
        taken: takes in a transaction in its newest version, and wakes whom it concerns.
        pool_changed: asks for a pass over a pool.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        postings: Postings,
        clock: Clock,
        taken: Callable[[Json], None],
        pool_changed: Callable[[Name], None],
    ) -> None:
        self._api = api
        self._store = store
        self._postings = postings
        self._clock = clock
        self._taken = taken
        self._pool_changed = pool_changed

    async def reconcile(self, name: Name) -> None:
        """One pass. Raises ApiError and UnreachableError."""
        await self._look_for(name)
        movement = self._store.ledger.movements.get(name)
        if movement is None or movement.fact.is_posted:
            return
        pool_name = self._store.ledger.pool_of(movement)
        pool = self._store.pools.get((name[0], pool_name)) if pool_name is not None else None
        entry = next((item for item in pool.entries if item.uid == movement.uid), None) if pool is not None else None
        if pool is not None and entry is not None:
            await self._patch(movement, self._posted(movement, pool, entry))
            return
        refusal = self._postings.refused.get(movement.uid) if pool is not None else self._without_pool(movement)
        if refusal is not None and not movement.fact.is_rejected:
            await self._patch(movement, self._refused(movement, refusal))

    async def _look_for(self, name: Name) -> None:
        """An entry is in flight whose transaction we do not know: it is not told yet, or was deleted meanwhile.

        Also where we know another one of that name, which may have been made anew.
        """
        known = self._store.ledger.movements.get(name)
        pools = [pool for pool in self._store.pools.values() if pool.name[0] == name[0]]
        found = [
            (pool, entry)
            for pool in pools
            for entry in pool.entries
            if entry.name == name[1]
            and entry.uid not in self._postings.lost
            and (known is None or known.uid != entry.uid)
        ]
        if not found:
            return
        try:
            manifest = await self._api.get(POINT_TRANSACTIONS, *name)
        except NotFoundError:
            manifest = None
        if manifest is not None:
            self._taken(manifest)
        for pool, entry in found:
            if manifest is None or manifest["metadata"]["uid"] != entry.uid:
                self._postings.lost.add(entry.uid)
                self._pool_changed(pool.name)

    async def _patch(self, movement: Movement, status: Json) -> None:
        patch = merge_patch(movement.status or {}, status)
        if not patch:
            return
        body = {"metadata": {"resourceVersion": str(movement.version)}, "status": patch}
        self._taken(await self._api.patch(POINT_TRANSACTIONS, *movement.name, body, subresource="status"))

    def _posted(self, movement: Movement, pool: Pool, entry: Entry) -> Json:
        status = self._status(
            movement,
            Phase.POSTED,
            [
                true(ConditionType.READY, Reason.POSTED, f"entry {entry.number} of pool {pool.name[1]}"),
                false(ConditionType.RECONCILING, Reason.POSTED),
                false(ConditionType.STALLED, Reason.POSTED),
            ],
        )
        status |= {"entry": entry.number, "pool": pool.name[1], "postedTime": rfc3339(self._clock.now())}
        if entry.org_id is not None:
            status["orgID"] = entry.org_id
        return status

    def _refused(self, movement: Movement, refusal: Refusal) -> Json:
        reason, message = refusal.reason, refusal.message
        ready = false(ConditionType.READY, reason, message)
        if refusal.is_final:
            states = [ready, false(ConditionType.RECONCILING, reason), true(ConditionType.STALLED, reason, message)]
            return self._status(movement, Phase.REJECTED, states)
        states = [ready, true(ConditionType.RECONCILING, reason, message), false(ConditionType.STALLED, reason)]
        return self._status(movement, Phase.WAITING, states)

    def _status(self, movement: Movement, phase: Phase, states: list[State]) -> Json:
        before = (movement.status or {}).get("conditions") or ()
        return {
            "observedGeneration": movement.generation,
            "phase": phase.value,
            "conditions": merge(before, states, movement.generation, rfc3339(self._clock.now())),
        }

    def _without_pool(self, movement: Movement) -> Refusal:
        pool = self._store.ledger.pool_of(movement)
        refusal = judged(self._store, pool, movement) if pool is not None else None
        return refusal if refusal is not None and refusal.is_final else _no_pool(movement, pool)


def _no_pool(movement: Movement, pool: str | None) -> Refusal:
    if pool is None:
        return Refusal(
            Reason.CLIENT_NOT_FOUND,
            f"spec.from, spec.to: no client {movement.fact.org!r} in namespace {movement.name[0]!r}; create it, or "
            "delete this transaction",
        )
    return Refusal(
        Reason.POOL_NOT_FOUND,
        f"spec.from, spec.to: no QuotaPool {pool!r} in namespace {movement.name[0]!r}; create it, or delete this "
        "transaction",
    )
