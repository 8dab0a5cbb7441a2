"""From objects seen to keys queued: what has to be looked at again when an object appears, changes or goes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from clientorg.control.allocations import Allocations
from clientorg.control.keys import Key, Kind
from clientorg.control.queue import Lane, WorkQueue
from clientorg.control.store import Name, Plan, Pool, Store, name_of

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_QUEUE_PER_INTERVAL = 200
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
            elif kind is Kind.CLIENT:
                self._client_seen(manifest, Lane.BULK if event in (None, "LISTED") else Lane.PROMPT)
            elif kind is Kind.POOL:
                self._pool_seen(manifest)
            elif kind is Kind.PLAN:
                self._plan_seen(manifest)
            else:
                self._report_seen(manifest)
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
        if is_new or before is None or before.plan != client.plan:
            self._plan_changed((namespace, client.plan))
            if before is not None and before.plan != client.plan:
                self._plan_changed((namespace, before.plan))
        if is_new:
            self._queue_all(Kind.REPORT, (report.name for report in self._store.reports_of(client)))
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
            self._queue_all(Kind.CLIENT, self._store.clients_of_plan(plan.name))

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
        else:
            self._store.drop_report(name, uid)

    def forget_client(self, name: Name, uid: str) -> None:
        """A client is gone: its pool has more, its plan one fewer, its reports count for nobody."""
        client = self._store.drop_client(name, uid)
        if client is None:
            return
        self._allocations.drop(uid)
        self.pool_changed((name[0], client.pool))
        self._plan_changed((name[0], client.plan))
        self._queue_all(Kind.REPORT, (report.name for report in self._store.reports_of(client)))

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
        queue = len(self._store.members(name).unsatisfied)
        most = max(self._pool_interval, _MOST_INTERVAL)
        interval = min(self._pool_interval * (1 + queue / _QUEUE_PER_INTERVAL), most)
        wait = self._pool_ran.get(name, 0.0) + interval - time.monotonic()
        self._queue.add_after((Kind.POOL, name), wait, Lane.POOL)

    def pool_runs(self, name: Name) -> None:
        """A pass over a pool begins."""
        self._pool_ran[name] = time.monotonic()

    def _plan_changed(self, name: Name) -> None:
        self._queue.add_after((Kind.PLAN, name), self._plan_interval, Lane.BULK)


def _identity(item: Pool | Plan) -> tuple[str, int, bool]:
    """What changes when those that refer to it have to look again."""
    return item.uid, item.generation, item.deleting
