"""From objects seen to keys queued: what has to be looked at again when an object appears, changes or goes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from clientorg.api.meta import FINALIZER
from clientorg.api.pointtransaction import TransactionKind
from clientorg.control.allocations import Allocations
from clientorg.control.clientobject import Client
from clientorg.control.keys import Key, Kind
from clientorg.control.ledgerstore import Movement
from clientorg.control.objects import Name, Plan, Pool, name_of
from clientorg.control.queue import Lane, WorkQueue
from clientorg.control.rollouts import changed_shares
from clientorg.control.store import Store
from clientorg.control.subscriptionstore import SubscriptionObject

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_QUEUE_PER_INTERVAL = 200
_FEW = 8
"""Who wait for the pool. Beyond, many clients are being made, or a run of charges or top-ups is under way, and each
write of the pool costs the API server as much as that of a client, or ten times as much with hundreds of entries."""
_MANY_FACTOR = 6
_ENOUGH_ADOPTED = 8
"""Grants that were adopted since the last write of the pool; with so many, the next write is worth its price."""
_MOST_INTERVAL = 0.5
"""Seconds; with 64 grants in flight a pool still serves 128 clients a second."""


class Sources:
    """Takes objects into the store and queues what depends on them. Nothing here blocks."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[Key],
        allocations: Allocations,
        pool_interval_seconds: float,
        plan_interval_seconds: float,
    ) -> None:
        self._store = store
        self._queue = queue
        self._allocations = allocations
        self._pool_interval = pool_interval_seconds
        self._plan_interval = plan_interval_seconds
        self._pool_ran: dict[Name, float] = {}

    def observe(self, kind: Kind, event: str | None, manifest: Json) -> None:
        """Take in an object of ours, as Kopf's handlers and our own lists bring it.

        `event` is the watch event's type; anything but DELETED means that the object is there.
        """
        try:
            if event == "DELETED":
                self.gone(kind, name_of(manifest), manifest["metadata"]["uid"])
                if kind is Kind.CLIENT:
                    self._client_gone(manifest)
            elif kind is Kind.CLIENT:
                self._client_seen(manifest, Lane.BULK if event in (None, "LISTED") else Lane.PROMPT)
            elif kind is Kind.POOL:
                self._pool_seen(manifest)
            elif kind is Kind.PLAN:
                self._plan_seen(manifest)
            elif kind is Kind.REPORT:
                self._report_seen(manifest)
            elif kind is Kind.APPROVAL:
                self._approval_seen(manifest)
            elif kind is Kind.SUBSCRIPTION:
                self._subscription_changed(self._store.subscriptions.put(manifest))
            else:
                self.transaction_seen(manifest)
        except (ValidationError, KeyError, ValueError) as error:
            # The CRD admits nothing that we cannot read; an object from before its newest rules may be there.
            logger.exception("%s %s cannot be read: %s", kind, "/".join(name_of(manifest)), error)

    def _client_seen(self, manifest: Json, lane: Lane) -> None:
        before = self._store.clients.get(name_of(manifest))
        client = self._store.put_client(manifest)
        if client is None:
            return
        self._allocations.settle(client)
        namespace = client.name[0]
        is_new = before is None or before.uid != client.uid
        # Also a raise that was taken back: it leaves the queue, and those behind it move up. And a grant that was
        # adopted and given back at once: what is held is the same, but the pool has to clear it.
        is_settled = before is not None and before.holder == client.holder and before.raises == client.raises == {}
        if is_new or not is_settled or client.deleting:
            self.pool_changed((namespace, client.pool))
        if before is not None and before.plan != client.plan:
            self.plan_changed((namespace, client.plan))  # the client waits for its turn to change
            self._plan_changed((namespace, before.plan))
        elif before is None or is_new:
            self._plan_changed((namespace, client.plan))
        elif before.blueprint != client.blueprint:
            self.blueprint_changed((namespace, client.plan))
        if is_new or before is None or before.plan != client.plan:  # the plan has their time zone and days
            self._queue_all(Kind.SUBSCRIPTION, (item.name for item in self._store.subscriptions.of(client.name)))
        if is_new:
            self._queue_all(Kind.REPORT, (report.name for report in self._store.reports_of(client)))
            self._queue_all(Kind.APPROVAL, (item.name for item in self._store.approvals_of(client.name)))
            for movement in self._store.ledger.open_for(*client.name, client.org_id):
                self._open_changed(movement)
        elif before is not None and before.approval != client.approval:
            self._queue_all(Kind.APPROVAL, (item.name for item in self._store.approvals_of(client.name)))
        self._queue.add((Kind.CLIENT, client.name), lane)

    def _pool_seen(self, manifest: Json) -> None:
        before = self._store.pools.get(name_of(manifest))
        pool = self._store.put_pool(manifest)
        if pool is None:
            return
        self._queue.add((Kind.POOL, pool.name), Lane.POOL)
        if before is None or _identity(before) != _identity(pool):
            self._wake_members(pool.name)

    def _plan_seen(self, manifest: Json) -> None:
        before = self._store.plans.get(name_of(manifest))
        plan = self._store.put_plan(manifest)
        if plan is None:
            return
        self._queue.add((Kind.PLAN, plan.name))
        if before is None or _identity(before) != _identity(plan):
            names = list(self._store.clients_of_plan(plan.name))
            self._queue_all(Kind.CLIENT, names)
            for client in names:  # its time zone and days may be others
                self._queue_all(Kind.SUBSCRIPTION, (item.name for item in self._store.subscriptions.of(client)))
            for pool in {self._store.clients[name].pool for name in names}:  # it may ask for approval no more
                self.pool_changed((plan.name[0], pool))
        else:
            self._shares_changed(before, plan)

    def _approval_seen(self, manifest: Json) -> None:
        approval = self._store.put_approval(manifest)
        if approval is None:
            return
        client = (approval.name[0], approval.verdict.client)
        self._queue.add((Kind.APPROVAL, approval.name))
        if client in self._store.clients:
            self._queue.add((Kind.CLIENT, client))

    def _subscription_changed(self, subscription: SubscriptionObject | None) -> None:
        """Its client may be paused or resumed; the client's other subscriptions may overlap with it, or no more."""
        if subscription is None:
            return
        self._queue.add((Kind.SUBSCRIPTION, subscription.name))
        client = subscription.client
        if client is not None:
            others = self._store.subscriptions.of(client)
            self._queue_all(Kind.SUBSCRIPTION, (other.name for other in others if other.name != subscription.name))
            if client in self._store.clients:
                self._queue.add((Kind.CLIENT, client))

    def transaction_seen(self, manifest: Json) -> None:
        """Take in a point transaction: its pool may post it, its client's balance may have changed."""
        movement = self._store.ledger.put(manifest)
        if movement is None:
            return
        self._movement_changed(movement)
        if movement.is_open:
            self._open_changed(movement)

    def _open_changed(self, movement: Movement) -> None:
        """What is not posted has to be judged anew: by its pool's pass, or where there is no pool, by its own."""
        pool = self._pool_of(movement)
        if pool in self._store.pools:
            self.pool_changed(pool)
        else:
            self._queue.add((Kind.TRANSACTION, movement.name))

    def _movement_changed(self, movement: Movement) -> None:
        agency, org = movement.name[0], movement.fact.org
        pool = self._pool_of(movement)
        if pool in self._store.pools:
            self.pool_changed(pool)
        client = self._store.clients.get((agency, org)) if org is not None else None
        # A charge that is not posted yet is no news to the client's pass, which made it.
        is_ours = movement.fact.kind is TransactionKind.CHARGE and movement.is_open
        if client is not None and movement.fact.org_id in (None, client.org_id) and not is_ours:
            lane = Lane.BULK if movement.fact.kind is TransactionKind.CHARGE else Lane.PROMPT
            self._queue.add((Kind.CLIENT, client.name), lane)

    def _pool_of(self, movement: Movement) -> Name:
        return movement.name[0], self._store.ledger.pool_of(movement) or ""

    def _report_seen(self, manifest: Json) -> None:
        report = self._store.put_report(manifest)
        if report is None:
            return
        self._queue.add((Kind.REPORT, report.name))
        client = self._store.client_of_org(report.name[0], report.org_id)
        if client is not None:
            self._queue.add((Kind.CLIENT, client))

    def _wake_members(self, pool: Name) -> None:
        members = list(self._store.members(pool).clients.values())
        self._queue_all(Kind.CLIENT, (client.name for client in members))
        self._queue_all(Kind.REPORT, (report.name for client in members for report in self._store.reports_of(client)))

    def _queue_all(self, kind: Kind, names: Iterable[Name]) -> None:
        for name in names:
            self._queue.add((kind, name), Lane.BULK)

    # -- gone -----------------------------------------------------------------------------------------------------

    def gone(self, kind: Kind, name: Name, uid: str) -> None:
        """An object is not there any more; a newer one of the same name stays."""
        if kind is Kind.CLIENT:
            self.forget_client(name, uid)
        elif kind is Kind.POOL:
            self._store.drop_pool(name, uid)
            self._wake_members(name)
        elif kind is Kind.PLAN:
            self._store.drop_plan(name, uid)
            self._queue_all(Kind.CLIENT, self._store.clients_of_plan(name))
        elif kind is Kind.REPORT:
            self._store.drop_report(name, uid)
        elif kind is Kind.APPROVAL:
            self._store.drop_approval(name, uid)
        elif kind is Kind.SUBSCRIPTION:
            self._subscription_changed(self._store.subscriptions.drop(name, uid))
        else:
            movement = self._store.ledger.drop(name, uid)
            if movement is not None:
                self._movement_changed(movement)

    def _client_gone(self, manifest: Json) -> None:
        """A client that ends in order is first marked for deletion, and goes when we take our finalizer off. The API
        server looks for finalizers once, at the beginning of a deletion: one that is put on in that moment is no
        hindrance any more, and the client goes unmarked."""
        metadata = manifest["metadata"]
        if FINALIZER in (metadata.get("finalizers") or ()) and "deletionTimestamp" not in metadata:
            client = Client.of(manifest)
            self._store.leave_behind(client)
            self._queue.add((Kind.CLIENT, client.name))

    def forget_client(self, name: Name, uid: str) -> None:
        """A client is gone: its pool has more, its plan one fewer, its reports and approvals count for nobody."""
        client = self._store.drop_client(name, uid)
        if client is None:
            return
        self._allocations.drop(uid)
        self.pool_changed((name[0], client.pool))
        self._plan_changed((name[0], client.plan))
        self._queue_all(Kind.REPORT, (report.name for report in self._store.reports_of(client)))
        self._queue_all(Kind.APPROVAL, (item.name for item in self._store.approvals_of(name)))
        self._queue_all(Kind.SUBSCRIPTION, (item.name for item in self._store.subscriptions.of(name)))
        for movement in self._store.ledger.open_for(*name, client.org_id):
            self._open_changed(movement)

    def drop_phantoms(self, kind: Kind, found: set[str], listed_at: int) -> None:
        """Forget the objects that a complete list, as of that resourceVersion, did not name."""
        for item in self._store.all_of(kind):
            if item.uid not in found and item.version <= listed_at:
                self.gone(kind, item.name, item.uid)

    # -- what passes and informers ask for --------------------------------------------------------------------------

    def workspace_changed(self, namespace: str) -> None:
        """Something in a workspace is not what it was."""
        name = self._store.by_namespace.get(namespace)
        if name is not None:
            self._queue.add((Kind.CLIENT, name))

    def client_changed(self, name: Name, prompt: bool) -> None:
        """The pool decided something for a client."""
        self._queue.add((Kind.CLIENT, name), Lane.PROMPT if prompt else Lane.BULK)

    def pool_changed(self, name: Name) -> None:
        """Ask for a pass over a pool: at once when it is idle, else folded with what comes within the interval.

        A pass looks at everybody who waits, so that a long queue is looked at less often: together the passes must not
        cost the square of its length.
        """
        open_ = self._store.ledger.open_count(name[0])
        queue = len(self._store.members(name).unsatisfied) + open_
        least, most = self._pool_interval, max(self._pool_interval, _MOST_INTERVAL)
        interval = min(least * (1 + queue / _QUEUE_PER_INTERVAL), most)
        if queue > _FEW and self._adopted(name) < _ENOUGH_ADOPTED:
            interval = max(interval, min(least * _MANY_FACTOR, most))
        wait = self._pool_ran.get(name, 0.0) + interval - time.monotonic()
        self._queue.add_after((Kind.POOL, name), wait, Lane.POOL)

    def _adopted(self, name: Name) -> int:
        """How many of the pool's grants in flight are adopted, as far as we have seen."""
        pool, clients = self._store.pools.get(name), self._store.members(name).clients
        if pool is None:
            return 0
        return sum(
            1 for uid, (*_, last) in pool.grants.items() if uid in clients and clients[uid].last_grant >= last.serial
        )

    def pool_runs(self, name: Name) -> None:
        """A pass over a pool begins."""
        self._pool_ran[name] = time.monotonic()

    def plan_seen(self, manifest: Json) -> None:
        """Take in what a pass over a plan wrote: whose turn it is to change to its blueprint."""
        before = self._store.plans.get(name_of(manifest))
        plan = self._store.put_plan(manifest)
        if plan is not None and before is not None:
            self._shares_changed(before, plan)

    def _shares_changed(self, before: Plan, plan: Plan) -> None:
        if before.status.get("blueprint") != plan.status.get("blueprint"):
            clients = [self._store.clients[name] for name in self._store.clients_of_plan(plan.name)]
            self._queue_all(Kind.CLIENT, changed_shares(before, plan, clients))

    def plan_changed(self, name: Name) -> None:
        """Ask for a pass over a plan, now."""
        self._queue.add((Kind.PLAN, name))

    def blueprint_changed(self, name: Name) -> None:
        """A workspace has another blueprint: the next one's turn comes at once while it is rolled out."""
        plan = self._store.plans.get(name)
        if plan is not None and plan.blueprint is not None and plan.blueprint.changing:
            self.plan_changed(name)
        else:
            self._plan_changed(name)

    def _plan_changed(self, name: Name) -> None:
        self._queue.add_after((Kind.PLAN, name), self._plan_interval, Lane.BULK)


def _identity(item: Pool | Plan) -> tuple[str, int, bool]:
    """What changes when those that refer to it have to look again."""
    return item.uid, item.generation, item.deleting
