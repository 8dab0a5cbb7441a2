"""The end of a client: its deletion, and the purge after the grace period."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

from clientorg.api.conditions import Reason
from clientorg.control.clientfinish import Finisher
from clientorg.control.clientobject import Client
from clientorg.control.clientpass import DONE, SETTLEMENT_POLL_SECONDS, Result, Surroundings
from clientorg.control.clientstatus import REMEMBERED, StatusWriter
from clientorg.control.gather import org_of
from clientorg.control.objects import Name, Plan
from clientorg.control.workspaces import Outcome
from clientorg.domain.client_facts import Facts, Problem
from clientorg.domain.decision import Decision
from clientorg.domain.lifecycle import brake_ends
from clientorg.errors import ConflictError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_DELETION_POLL_SECONDS = 10.0


class Ends:
    """Deletes and purges clients."""

    def __init__(self, surroundings: Surroundings, writer: StatusWriter, finisher: Finisher) -> None:
        self._with = surroundings
        self._writer = writer
        self._finisher = finisher
        self._purge_begins = asyncio.Lock()

    async def clear(self, name: Name) -> Result:
        """Clients of that name that were gone before they could be deleted in order leave nothing either (Z10)."""
        result = DONE
        for client in self._with.store.left_behind(name):
            if await self._with.workspaces.delete(org_of(client)) is None:
                self._with.store.cleared(client)
                logger.info("workspace %s removed: its client was gone before it was marked", client.namespace)
            else:
                result = Result(retry_after_seconds=_DELETION_POLL_SECONDS)
        return result

    async def delete(self, client: Client) -> Result:
        """Everything of the client goes; the finalizer is released when the server says that it is gone (Z10)."""
        if not client.has_finalizer:
            return DONE
        left = await self._with.workspaces.delete(org_of(client))
        if left is None:
            settlement = await self._with.accounts.settle(client)
            if not settlement.is_made:
                return Result(retry_after_seconds=SETTLEMENT_POLL_SECONDS)
            answer = await self._with.deleter.release(client)
            if answer is not None:
                self._writer.take(answer, client)
            return DONE
        facts = Facts(
            generation=client.generation,
            org_id=client.org_id,
            namespace=client.namespace,
            url=None,
            holder=client.holder,
            asked=client.asked,
            wanted=client.wanted,
            used=client.used,
            reconcile_requested=client.reconcile_requested,
            deleting=_deleting(client, left),
        )
        await self._writer.patch(client, client.status, facts, keep=REMEMBERED)
        return Result(retry_after_seconds=_DELETION_POLL_SECONDS)

    async def purge(self, client: Client, before: Json, plan: Plan, facts: Facts, decision: Decision) -> Result:
        """The end of the grace period: everything goes but the record (FEATURES Z9, DESIGN rules 7 and 8).

        That the purge begins is written down first, onto the version that was judged: a reactivation in the meantime
        makes that write fail. Only then, and after a look at the newest state, is anything deleted.
        """
        record = decision.deactivation
        if record is None or client.purge_started is None:
            return await self._begin_purge(client, before, plan, facts, decision)
        if not await self._with.deleter.is_still_to_be_purged(client):
            raise ConflictError(409, "Conflict", "the client changed before its purge")
        left = await self._with.workspaces.delete(org_of(client))
        if left is not None:
            facts = replace(facts, note=Problem(Reason.PURGING, _deleting(client, left)))
            await self._writer.patch(client, before, facts, decision, keep=("outbox",))
            return Result(retry_after_seconds=_DELETION_POLL_SECONDS)
        record = replace(record, purged=self._with.clock.now())
        facts = replace(facts, deactivation=record, holder=replace(facts.holder, held={}), used={})
        return await self._finisher.finish(client, before, plan, facts, decision, Outcome())

    async def _begin_purge(self, client: Client, before: Json, plan: Plan, facts: Facts, decision: Decision) -> Result:
        """Write down that the purge begins; one client at a time, so that each is counted before the next one."""
        async with self._purge_begins:
            begun = self._with.store.purges_started(client.name[0])
            if brake_ends(begun, self._with.clock.now(), self._with.purges_per_hour) is not None:
                return Result(0.0)  # others began since this was decided: decide again
            await self._with.newest.confirm_plan(plan, self._with.clock.now())  # the grace period may be longer now
            facts = self._finisher.with_messages(client, before, plan, facts, decision)[0]
            after = await self._writer.patch(client, before, facts, decision)
        return Result(0.0 if after.version != client.version else 1.0)


def _deleting(client: Client, left: str) -> str:
    text = f"deleting namespace {client.namespace} with everything in it"
    return f"{text}; in the way: {left}" if left else text
