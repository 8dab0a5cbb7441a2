"""The running operator: sources feed the queue, the queue feeds the reconcilers, and all of it ends together."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any

from pydantic import ValidationError

from clientorg.api.meta import FIELD_MANAGER, LABEL_ORG_ID
from clientorg.cluster.credentials import Source
from clientorg.cluster.events import Recorder
from clientorg.cluster.informer import Informer
from clientorg.cluster.lease import Elector
from clientorg.cluster.resources import (
    BLUEPRINT_RESOURCES,
    CLIENT_ORGS,
    ORG_PLANS,
    QUOTA_POOLS,
    WORKSPACE_RESOURCES,
    Resource,
)
from clientorg.cluster.rest import Api
from clientorg.control.allocations import Allocations
from clientorg.control.children import Children, Item
from clientorg.control.clients import DONE, ClientReconciler, Result
from clientorg.control.clock import Clock, SystemClock
from clientorg.control.health import HealthServer
from clientorg.control.logs import log_context
from clientorg.control.metrics import Metrics
from clientorg.control.plans import PlanReconciler
from clientorg.control.pools import PoolReconciler
from clientorg.control.queue import Lane, WorkQueue
from clientorg.control.settings import Settings
from clientorg.control.store import Name, Plan, Pool, Store, name_of
from clientorg.errors import ApiError, ClientOrgError, ConflictError, NotFoundError, UnreachableError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_HUNG_SECONDS = 600.0


class Kind(StrEnum):
    """What a key of the queue is about."""

    CLIENT = "ClientOrg"
    POOL = "QuotaPool"
    PLAN = "OrgPlan"


Key = tuple[Kind, Name]

_RESOURCES: dict[Kind, Resource] = {Kind.CLIENT: CLIENT_ORGS, Kind.POOL: QUOTA_POOLS, Kind.PLAN: ORG_PLANS}


@dataclass
class _Pass:
    """A pass under way, for the liveness probe."""

    key: Key
    started: float


class Runtime:
    """Everything that runs in one operator process. `start` it, feed it events, `stop` it."""

    def __init__(self, settings: Settings, api: Api, clock: Clock | None = None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._api = api
        self._clock = clock or SystemClock()
        self._store = Store()
        self._queue: WorkQueue[Key] = WorkQueue(group_of=lambda key: key[1][0])
        self._children = Children(self._workspace_changed)
        self._allocations = Allocations()
        self._events = Recorder(api, settings.identity)
        self._clients = ClientReconciler(
            api,
            self._store,
            self._children,
            self._allocations,
            self._events,
            self._clock,
            self._pool_changed,
            self.metrics.time_to_ready_seconds.observe,
        )
        self._pools = PoolReconciler(
            api, self._store, self._allocations, self._clock, settings.identity, self._client_changed
        )
        self._plans = PlanReconciler(api, self._store, self._clock)
        # A connection of its own: renewing must not wait behind the work, or the work would cost the lease.
        self._lease_api = Api(api.credentials, concurrency=1, timeout_seconds=5.0, component=FIELD_MANAGER)
        self._elector = Elector(
            self._lease_api, settings.lease_namespace, settings.lease_name, settings.identity, settings.lease_times
        )
        self._gate = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._passes: dict[Key, _Pass] = {}
        self._ids = itertools.count(1)
        self._pool_ran: dict[Name, float] = {}
        self._primed = asyncio.Event()
        self._stopping = False
        self.on_failure: Callable[[BaseException], None] = lambda _: None
        kinds = dict.fromkeys((*WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES))
        self._informers = [
            Informer(
                api,
                resource,
                Item,
                attrgetter("metadata.resourceVersion"),
                self._children.sink(resource.kind),
                LABEL_ORG_ID,
            )
            for resource in kinds
        ]
        self.health = HealthServer(self._live, self._ready, self.metrics.registry, self._refresh_metrics)
        api.on_answer = self._count_request

    # -- lifecycle ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen for probes, fill the caches, take part in the election. Returns before the caches are filled.

        Raises:
            ConfigurationError: an address is taken.
        """
        await self.health.start(self.settings.health_address, self.settings.metrics_address)
        for informer in self._informers:
            self._spawn(informer.run(), f"informer {informer.resource.plural}")
        self._spawn(self._events.run(), "events")
        self._spawn(self._lead(), "election")
        self._spawn(self._queue.run(self._work, self.settings.concurrency, self._gate), "queue")
        self._spawn(self._audit(), "audit")

    async def stop(self) -> None:
        """Finish what is under way, post the last Events, give the lease up."""
        if self._stopping:
            return
        self._stopping = True
        if not await self._queue.drain(self._gate, self.settings.drain_seconds):
            logger.warning("%d passes did not end in time; they are resumed by the next leader", self._queue.running())
        await self._events.flush(5.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._elector.release()
        await self.health.stop()
        await self._lease_api.close()
        await self._api.close()

    def _spawn(self, work: Awaitable[None], name: str) -> None:
        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                logger.critical("%s ended: %s", name, error, exc_info=not isinstance(error, ClientOrgError))
                self.on_failure(error)
                raise

        self._tasks.append(asyncio.create_task(guarded(), name=name))

    async def _lead(self) -> None:
        """Open the gate when the caches are filled and this process leads."""
        await self._prime()
        for informer in self._informers:
            await informer.synced.wait()
        self._primed.set()
        if not self.settings.leader_election:
            self._open()
            return
        await self._elector.run(self._open)

    def _open(self) -> None:
        if self._stopping:
            return
        self._gate.set()
        logger.info(
            "working",
            extra={
                "clients": len(self._store.clients),
                "pools": len(self._store.pools),
                "plans": len(self._store.plans),
            },
        )

    async def _prime(self) -> None:
        """Fill the store by our own paged lists. Kopf's listing brings the same objects again, which costs little."""
        delay = 0.5
        while True:
            try:
                for kind in (Kind.PLAN, Kind.POOL, Kind.CLIENT):
                    async for page in self._api.list_pages(_RESOURCES[kind]):
                        for item in page["items"]:
                            self.observe(kind, "LISTED", item)
                return
            except ClientOrgError as error:
                logger.warning("cannot list, again in %.1f s: %s", delay, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 15.0)

    async def _audit(self) -> None:
        """Now and then list the clients, and drop those whose deletion no event told (DESIGN section 8)."""
        await self._primed.wait()
        while True:
            await asyncio.sleep(self.settings.audit_seconds)
            try:
                await self._drop_phantoms()
            except ClientOrgError as error:
                logger.warning("audit postponed: %s", error)

    async def _drop_phantoms(self) -> None:
        found: set[str] = set()
        listed_at = 0
        async for page in self._api.list_pages(CLIENT_ORGS):
            listed_at = int(page["metadata"]["resourceVersion"])
            for item in page["items"]:
                found.add(item["metadata"]["uid"])
                self.observe(Kind.CLIENT, "LISTED", item)
        for client in list(self._store.clients.values()):
            if client.uid not in found and client.version <= listed_at:
                self._forget_client(client.name, client.uid)

    # -- sources ------------------------------------------------------------------------------------------------

    def observe(self, kind: Kind, event: str | None, manifest: Json) -> None:
        """Take in an object of ours, as Kopf's handlers and our own lists bring it. Must not block.

        `event` is the watch event's type; anything but DELETED means that the object is there.
        """
        if event == "DELETED":
            self._gone(kind, manifest)
        elif kind is Kind.CLIENT:
            self._client_seen(manifest, Lane.BULK if event in (None, "LISTED") else Lane.PROMPT)
        elif kind is Kind.POOL:
            self._pool_seen(manifest)
        else:
            self._plan_seen(manifest)

    def _client_seen(self, manifest: Json, lane: Lane) -> None:
        before = self._store.clients.get(name_of(manifest))
        client = self._store.put_client(manifest)
        if client is None:
            return
        self._allocations.settle(client)
        is_new = before is None or before.uid != client.uid
        if is_new or client.raises or before is None or before.held != client.held or client.deleting:
            self._pool_changed((client.name[0], client.pool))
        if is_new or before is None or before.plan != client.plan:
            self._plan_changed((client.name[0], client.plan))
            if before is not None and before.plan != client.plan:
                self._plan_changed((client.name[0], before.plan))
        self._queue.add((Kind.CLIENT, client.name), lane)

    def _pool_seen(self, manifest: Json) -> None:
        before = self._store.pools.get(name_of(manifest))
        pool = self._store.put_pool(manifest)
        if pool is None:
            return
        self._queue.add((Kind.POOL, pool.name), Lane.POOL)
        if before is None or _identity(before) != _identity(pool):
            self._wake_members(pool.name)

    def _wake_members(self, pool: Name) -> None:
        for client in self._store.members(pool).clients.values():
            self._queue.add((Kind.CLIENT, client.name), Lane.BULK)

    def _plan_seen(self, manifest: Json) -> None:
        before = self._store.plans.get(name_of(manifest))
        try:
            plan = self._store.put_plan(manifest)
        except ValidationError as error:
            logger.error("OrgPlan %s cannot be read: %s", "/".join(name_of(manifest)), error)
            return
        if plan is None:
            return
        self._queue.add((Kind.PLAN, plan.name))
        if before is None or _identity(before) != _identity(plan):
            for name in self._store.clients_of_plan(plan.name):
                self._queue.add((Kind.CLIENT, name), Lane.BULK)

    def _gone(self, kind: Kind, manifest: Json) -> None:
        name, uid = name_of(manifest), manifest["metadata"]["uid"]
        if kind is Kind.CLIENT:
            self._forget_client(name, uid)
        elif kind is Kind.POOL:
            self._store.drop_pool(name, uid)
            self._wake_members(name)
        else:
            self._store.drop_plan(name, uid)
            for client in self._store.clients_of_plan(name):
                self._queue.add((Kind.CLIENT, client), Lane.BULK)

    def _forget_client(self, name: Name, uid: str) -> None:
        client = self._store.drop_client(name, uid)
        if client is None:
            return
        self._allocations.drop(uid)
        self._pool_changed((name[0], client.pool))
        self._plan_changed((name[0], client.plan))

    def _workspace_changed(self, namespace: str) -> None:
        name = self._store.by_namespace.get(namespace)
        if name is not None:
            self._queue.add((Kind.CLIENT, name))

    def _client_changed(self, name: Name, prompt: bool) -> None:
        self._queue.add((Kind.CLIENT, name), Lane.PROMPT if prompt else Lane.BULK)

    def _pool_changed(self, name: Name) -> None:
        """Ask for a pass over a pool: at once when it is idle, else folded with what comes within the interval."""
        wait = self._pool_ran.get(name, 0.0) + self.settings.pool_interval_seconds - time.monotonic()
        self._queue.add_after((Kind.POOL, name), wait, Lane.POOL)

    def _plan_changed(self, name: Name) -> None:
        self._queue.add_after((Kind.PLAN, name), self.settings.plan_interval_seconds, Lane.BULK)

    # -- work ---------------------------------------------------------------------------------------------------

    async def _work(self, key: Key) -> None:
        """One pass, with its outcome turned into retries, logs and metrics. Nothing escapes it."""
        kind, name = key
        started = time.monotonic()
        self._passes[key] = _Pass(key, started)
        outcome = "success"
        with log_context(**self._fields(key)):
            try:
                result = await self._reconcile(key)
                outcome = self._settle(key, result)
            except (ConflictError, NotFoundError):
                outcome = "conflict"
                await self._refresh(key)
            except (ApiError, UnreachableError) as error:
                outcome = "retry"
                wait = getattr(error, "retry_after_seconds", None) or 0.0
                delay = self._queue.retry(key, wait)
                logger.warning("%s %s, again in %.1f s: %s", kind, "/".join(name), delay, error)
            except Exception:
                outcome = "error"
                delay = self._queue.retry(key)
                logger.exception("%s %s, again in %.1f s", kind, "/".join(name), delay)
            finally:
                del self._passes[key]
        self.metrics.reconciles.labels(kind.value, outcome).inc()
        self.metrics.reconcile_seconds.labels(kind.value).observe(time.monotonic() - started)

    async def _reconcile(self, key: Key) -> Result:
        kind, name = key
        if kind is Kind.CLIENT:
            return await self._clients.reconcile(name)
        if kind is Kind.POOL:
            self._pool_ran[name] = time.monotonic()
            await self._pools.reconcile(name)
        else:
            await self._plans.reconcile(name)
        return DONE

    def _settle(self, key: Key, result: Result) -> str:
        if result.failed:
            self._queue.retry(key, result.retry_after_seconds or 0.0)
            return "retry"
        self._queue.forget(key)
        if result.retry_after_seconds is not None:
            self._queue.add_after(key, result.retry_after_seconds)
        return "success"

    async def _refresh(self, key: Key) -> None:
        """What we judged was not the newest: read it and come again. Its event may be late, or never come."""
        kind, name = key
        try:
            manifest = await self._api.get(_RESOURCES[kind], *name)
        except NotFoundError:
            known = {Kind.CLIENT: self._store.clients, Kind.POOL: self._store.pools, Kind.PLAN: self._store.plans}
            item = known[kind].get(name)  # type: ignore[attr-defined]
            if item is not None:
                self._gone(kind, {"metadata": {"namespace": name[0], "name": name[1], "uid": item.uid}})
            return
        except ClientOrgError:
            self._queue.retry(key)
            return
        self.observe(kind, "MODIFIED", manifest)
        self._queue.retry(key)

    def _fields(self, key: Key) -> Json:
        kind, name = key
        fields: Json = {"kind": kind.value, "object": "/".join(name), "reconcile_id": next(self._ids)}
        client = self._store.clients.get(name) if kind is Kind.CLIENT else None
        if client is not None:
            fields |= {"org": client.org_id, "uid": client.uid, "generation": client.generation}
        return fields

    # -- health and metrics -------------------------------------------------------------------------------------

    def _live(self) -> list[str]:
        now = time.monotonic()
        problems = [
            f"a pass over {one.key[0]} {'/'.join(one.key[1])} hangs for {now - one.started:.0f} s"
            for one in self._passes.values()
            if now - one.started > _HUNG_SECONDS
        ]
        problems += [
            f"task {task.get_name()!r} ended" for task in self._tasks if task.done() and not self._may_end(task)
        ]
        return problems

    def _may_end(self, task: asyncio.Task[None]) -> bool:
        return task.get_name() == "election" and not self.settings.leader_election

    def _ready(self) -> list[str]:
        problems = []
        if not self._primed.is_set():
            waiting = [informer.resource.plural for informer in self._informers if not informer.synced.is_set()]
            problems.append(f"caches are being filled: {', '.join(waiting) or 'clientorgs'}")
        elif broken := [informer.resource.plural for informer in self._informers if not informer.healthy]:
            problems.append(f"no watch of {', '.join(broken)}: the API server is out of reach, or rights are missing")
        if self._stopping:
            problems.append("stopping")
        return problems

    def _refresh_metrics(self) -> None:
        metrics = self.metrics
        metrics.queue_depth.set(self._queue.depth())
        metrics.queue_running.set(self._queue.running())
        metrics.queue_delayed.set(self._queue.delayed())
        metrics.objects.labels("ClientOrg").set(len(self._store.clients))
        metrics.objects.labels("QuotaPool").set(len(self._store.pools))
        metrics.objects.labels("OrgPlan").set(len(self._store.plans))
        metrics.events_dropped.set(self._events.dropped)
        metrics.leader.set(self._elector.is_leader or not self.settings.leader_election)
        metrics.synced.set(self._primed.is_set())
        metrics.licenses.clear()
        for (namespace, pool_name), pool in self._store.pools.items():
            for item in pool.status.get("licenses") or ():
                for state in ("total", "allocated", "pending"):
                    metrics.licenses.labels(namespace, pool_name, item["name"], state).set(item.get(state, 0))

    def _count_request(self, method: str, code: int) -> None:
        self.metrics.api_requests.labels(method, str(code)).inc()


def _identity(item: Pool | Plan) -> tuple[str, int, bool]:
    """What changes when those that refer to it have to look again."""
    return item.uid, item.generation, item.deleting


async def connect(settings: Settings) -> Runtime:
    """A runtime on a new connection.

    Raises:
        ConfigurationError: there are no credentials.
    """
    api = await Api.connect(
        Source(settings.kubeconfig, settings.context),
        concurrency=settings.api_concurrency,
        component=FIELD_MANAGER,
        field_manager=FIELD_MANAGER,
    )
    return Runtime(settings, api)
