"""The running operator: sources feed the queue, the queue feeds the passes, and all of it ends together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from operator import attrgetter
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from clientorg.api.meta import API_VERSION, FIELD_MANAGER, GROUP, LABEL_ORG_ID
from clientorg.api.orgapproval import ApprovalDecision
from clientorg.cluster.credentials import Source, is_of_pod
from clientorg.cluster.events import Recorder
from clientorg.cluster.informer import Informer
from clientorg.cluster.lease import Elector
from clientorg.cluster.resources import BLUEPRINT_RESOURCES, WORKSPACE_RESOURCES
from clientorg.cluster.rest import Api
from clientorg.control.accounts import Accounts
from clientorg.control.allocations import Allocations
from clientorg.control.approvals import ApprovalReconciler
from clientorg.control.children import Children, Item
from clientorg.control.clientpass import Surroundings
from clientorg.control.clients import ClientReconciler
from clientorg.control.clock import Clock, FileClock, SystemClock
from clientorg.control.contract import Contracts
from clientorg.control.deletion import Deleter
from clientorg.control.delivery import Delivery
from clientorg.control.health import HealthServer
from clientorg.control.keys import RESOURCES, Key, Kind
from clientorg.control.metrics import Metrics
from clientorg.control.newest import Newest
from clientorg.control.notifier import Notifier
from clientorg.control.plans import PlanReconciler
from clientorg.control.pools import PoolReconciler
from clientorg.control.portfoliometrics import PortfolioMetrics
from clientorg.control.posting import Postings
from clientorg.control.prometheus import Poller
from clientorg.control.queue import Lane, WorkQueue
from clientorg.control.reports import ReportReconciler
from clientorg.control.rollouts import Rollouts
from clientorg.control.samples import Samples
from clientorg.control.settings import Settings
from clientorg.control.sources import Sources
from clientorg.control.store import Store
from clientorg.control.subscriptions import SubscriptionReconciler
from clientorg.control.timers import Timers
from clientorg.control.tracing import tracing_to
from clientorg.control.transactions import TransactionReconciler
from clientorg.control.worker import Worker
from clientorg.control.workspaces import Workspaces
from clientorg.domain.pool_notices import missing_points
from clientorg.domain.rollout import blueprint_numbers
from clientorg.errors import ApiError, ClientOrgError, ConfigurationError
from clientorg.notify.destinations import Destinations

logger = logging.getLogger(__name__)

_END_SECONDS = 10.0
_PLURALS = frozenset(resource.plural for resource in RESOURCES.values())

Json = dict[str, Any]


class Runtime:
    """Everything that runs in one operator process. `start` it, feed it events, `stop` it."""

    def __init__(self, settings: Settings, api: Api, clock: Clock | None = None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._portfolio = PortfolioMetrics(self.metrics.registry, per_client=settings.client_metrics)
        self.on_failure: Callable[[BaseException], None] = lambda _: None
        self._api = api
        self._clock = clock = clock or _clock(settings)
        self._store = Store()
        self._queue: WorkQueue[Key] = WorkQueue(
            group_of=lambda key: key[1][0], most_bulk=max(1, settings.concurrency // 2)
        )
        allocations, samples = Allocations(clock), Samples()
        self._sources = Sources(
            self._store, self._queue, allocations, settings.pool_interval_seconds, settings.plan_interval_seconds
        )
        self.observe = self._sources.observe
        self.knows = self._store.knows
        self._children = children = Children(self._sources.workspace_changed)
        self._events = Recorder(api, settings.identity)
        destinations = Destinations(allow_loopback=settings.allow_loopback)
        self._poller = Poller(
            self._store, samples, clock, self._sources.client_changed, self._sources.pool_changed, destinations
        )
        self._delivery = Delivery(api, self._store, clock, destinations)
        self._notifier = Notifier(
            api,
            self._store,
            clock,
            self._delivery,
            self._sources.client_changed,
            lambda channel, outcome: self.metrics.messages.labels(channel, outcome).inc(),
        )
        self._tracing = tracing_to(settings.tracing_endpoint, settings.tracing_ratio, settings.identity)
        self._timers: Timers[Key] = Timers(clock, lambda key: self._queue.add(key, Lane.BULK))
        postings = Postings()
        accounts = Accounts(api, self._store, self._sources.transaction_seen)
        newest = Newest(
            api,
            lambda manifest: self.observe(Kind.PLAN, "MODIFIED", manifest),
            lambda name, uid: self._sources.gone(Kind.PLAN, name, uid),
        )
        workspaces = Workspaces(api, children, clock)
        rollouts = Rollouts(self._store, workspaces.exists, self._sources.plan_changed, self._sources.blueprint_changed)
        clients = ClientReconciler(
            Surroundings(
                api=api,
                store=self._store,
                workspaces=workspaces,
                deleter=Deleter(api),
                allocations=allocations,
                samples=samples,
                events=self._events,
                clock=clock,
                pool_changed=self._sources.pool_changed,
                became_ready=self.metrics.time_to_ready_seconds.observe,
                decided=self._count_decision,
                onboarded=lambda met: self.metrics.onboarded.labels("met" if met else "missed").inc(),
                mail_due=self._notifier.due,
                contracts=Contracts(self._store, accounts, newest),
                accounts=accounts,
                newest=newest,
                rollouts=rollouts,
                purges_per_hour=settings.purges_per_hour,
            )
        )
        self._worker = Worker(
            api,
            self._store,
            self._queue,
            self._sources,
            self._timers,
            self.metrics,
            clients,
            {
                Kind.POOL: PoolReconciler(
                    api,
                    self._store,
                    allocations,
                    clock,
                    settings.identity,
                    self._sources.client_changed,
                    lambda manifest: self.observe(Kind(manifest["kind"]), "LISTED", manifest),
                    self._sources.forget_client,
                    self._poller.states,
                    postings,
                    lambda name: self._queue.add((Kind.TRANSACTION, name), Lane.BULK),
                    lambda name: self._notifier.due(name, Kind.POOL),
                    self._events,
                    settings.concurrency,
                ),
                Kind.PLAN: PlanReconciler(
                    api,
                    self._store,
                    clock,
                    rollouts,
                    self._events,
                    self._sources.plan_seen,
                    lambda name, seconds: self._queue.add_after((Kind.PLAN, name), seconds),
                ),
                Kind.REPORT: ReportReconciler(api, self._store, clock),
                Kind.APPROVAL: ApprovalReconciler(api, self._store, clock),
                Kind.SUBSCRIPTION: SubscriptionReconciler(api, self._store, clock),
                Kind.TRANSACTION: TransactionReconciler(
                    api, self._store, postings, clock, self._sources.transaction_seen, self._sources.pool_changed
                ),
            },
            self._tracing,
        )
        # A connection of its own: renewing must not wait behind the work, or the work would cost the lease.
        self._lease_api = Api(api.credentials, concurrency=1, timeout_seconds=5.0, component=FIELD_MANAGER)
        self._elector = Elector(
            self._lease_api, settings.lease_namespace, settings.lease_name, settings.identity, settings.lease_times
        )
        self._gate = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._missing = _PLURALS
        self._primed = asyncio.Event()
        self._listed = {kind: asyncio.Event() for kind in RESOURCES}
        self._stopping = False
        self._answers: dict[tuple[str, int], Counter] = {}
        version_of = attrgetter("metadata.resourceVersion")
        self._informers = [
            Informer(api, resource, Item, version_of, children.sink(resource.kind), LABEL_ORG_ID)
            for resource in dict.fromkeys((*WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES))
        ]
        self.health = HealthServer(self._live, self._ready, self.metrics.registry, self._refresh_metrics)
        api.on_answer = self._count_request
        api.on_request = self._tracing.request

    # -- lifecycle --------------------------------------------------------------------------------------------------

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
        self._spawn(self._queue.run(self._worker.work, self.settings.concurrency, self._gate), "queue")
        self._spawn(self._timers.run(), "timers")
        self._spawn(self._poller.run(self._gate), "usage")
        self._spawn(self._notify(), "notifications")
        self._spawn(self._audit(), "audit")

    async def wait_for_kinds(self) -> None:
        """Until the API server serves our kinds. Kopf looks for them once; without this it would be deaf for ever."""
        delay = 0.2
        while self._missing:
            try:
                served = await self._api.request("GET", f"/apis/{API_VERSION}")
                missing = _PLURALS - {item["name"] for item in served["resources"]}
                if not missing:
                    await self._wait_for_storage()
                self._missing = missing
            except ClientOrgError as error:
                logger.warning("cannot ask for the kinds of %s, again in %.1f s: %s", API_VERSION, delay, error)
            if self._missing:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)

    async def _wait_for_storage(self) -> None:
        """Right after a definition is made, its objects cannot be listed yet: 429, which Kopf logs as an error."""
        for resource in RESOURCES.values():
            while True:
                try:
                    await self._api.request("GET", resource.path(), {"limit": "1"})
                except ApiError as error:
                    if error.code == HTTPStatus.TOO_MANY_REQUESTS:
                        await asyncio.sleep(error.retry_after_seconds or 1.0)
                        continue
                break  # also where rights are missing: that is told where it matters

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
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=_END_SECONDS)
            for task in left:  # it must not hold up the end; nothing it could still do is lost with it
                logger.error("task %r does not end", task.get_name())
        await self._elector.release()
        await asyncio.to_thread(self._tracing.close)
        await self.health.stop()
        await self._lease_api.close()
        await self._api.close()

    async def _notify(self) -> None:
        async with self._delivery:
            await self._notifier.run(self.settings.notify_concurrency, self._gate)

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
        for listed in self._listed.values():
            await listed.wait()
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
        store = self._store
        counts = {"clients": len(store.clients), "pools": len(store.pools), "plans": len(store.plans)}
        logger.info("working", extra=counts)

    async def list_kind(self, kind: Kind) -> None:
        """List a kind completely, and forget what is not there any more. Kopf watches from before this list.

        Raises:
            ApiError: the server refuses.
            UnreachableError: no answer.
        """
        found: set[str] = set()
        listed_at = 0
        async for page in self._api.list_pages(RESOURCES[kind]):
            listed_at = int(page["metadata"]["resourceVersion"])
            for item in page["items"]:
                found.add(item["metadata"]["uid"])
                self.observe(kind, "LISTED", item)
        self._sources.drop_phantoms(kind, found, listed_at)
        self._listed[kind].set()

    async def _audit(self) -> None:
        """Now and then list the clients, and drop those whose deletion no event told (DESIGN section 8)."""
        await self._primed.wait()
        while True:
            await asyncio.sleep(self.settings.audit_seconds)
            try:
                await self.list_kind(Kind.CLIENT)
            except ClientOrgError as error:
                logger.warning("audit postponed: %s", error)

    # -- health and metrics -----------------------------------------------------------------------------------------

    def _live(self) -> list[str]:
        ended = [task for task in self._tasks if task.done() and not self._may_end(task)]
        return [*self._worker.hung(), *(f"task {task.get_name()!r} ended" for task in ended)]

    def _may_end(self, task: asyncio.Task[None]) -> bool:
        return task.get_name() == "election" and not self.settings.leader_election

    def _ready(self) -> list[str]:
        problems = []
        if self._missing:
            names = ", ".join(sorted(f"{plural}.{GROUP}" for plural in self._missing))
            problems.append(f"no CustomResourceDefinition {names}: kubectl apply -k manifests")
        if not self._primed.is_set():
            waiting = [informer.resource.plural for informer in self._informers if not informer.synced.is_set()]
            waiting += [RESOURCES[kind].plural for kind, listed in self._listed.items() if not listed.is_set()]
            problems.append(f"caches are being filled: {', '.join(waiting)}")
        elif broken := [informer.resource.plural for informer in self._informers if not informer.healthy]:
            problems.append(f"no watch of {', '.join(broken)}: the API server is out of reach, or rights are missing")
        if self._stopping:
            problems.append("stopping")
        return problems

    def _refresh_metrics(self) -> None:
        metrics, store = self.metrics, self._store
        metrics.queue_depth.set(self._queue.depth())
        metrics.queue_running.set(self._queue.running())
        metrics.queue_delayed.set(self._queue.delayed())
        metrics.timers.set(len(self._timers))
        for kind in RESOURCES:
            metrics.objects.labels(kind.value).set(len(store.all_of(kind)))
        metrics.orphans.set(len(self._children.namespaces() - store.by_namespace.keys()))
        metrics.events_dropped.set(self._events.dropped)
        metrics.leader.set(self._elector.is_leader or not self.settings.leader_election)
        metrics.synced.set(self._primed.is_set())
        self._portfolio.refresh(store, self._clock.now())
        metrics.licenses.clear()
        metrics.points.clear()
        for (namespace, pool_name), pool in store.pools.items():
            for item in pool.status.get("licenses") or ():
                for state in ("total", "allocated", "pending"):
                    metrics.licenses.labels(namespace, pool_name, item["name"], state).set(item.get(state, 0))
            points = pool.status.get("points")
            if points is not None:
                for state in ("balance", "waiting", "needed"):
                    metrics.points.labels(namespace, pool_name, state).set(points.get(state, 0))
                metrics.points.labels(namespace, pool_name, "missing").set(missing_points(points))
        metrics.blueprints.clear()
        for (namespace, plan_name), plan in store.plans.items():
            for state, number in blueprint_numbers(plan.status.get("blueprint") or {}).items():
                metrics.blueprints.labels(namespace, plan_name, state).set(number)

    def _count_decision(self, decision: ApprovalDecision, seconds: float) -> None:
        self.metrics.approval_seconds.labels(decision.value).observe(seconds)

    def _count_request(self, method: str, code: int) -> None:
        counter = self._answers.get((method, code))
        if counter is None:
            counter = self._answers[method, code] = self.metrics.api_requests.labels(method, str(code))
        counter.inc()


def _clock(settings: Settings) -> Clock:
    if settings.dev_clock is None:
        return SystemClock()
    logger.warning("the time comes from %s: for development and tests only", settings.dev_clock)
    return FileClock(Path(settings.dev_clock))


async def connect(settings: Settings) -> Runtime:
    """A runtime on a new connection.

    Raises:
        ConfigurationError: there are no credentials, or the election is off where more than one may run.
    """
    source = Source(settings.kubeconfig, settings.context)
    if not settings.leader_election and is_of_pod(source):
        # Two at once stay correct (DESIGN rule 3), but do the work twice: each rolling update would have two.
        raise ConfigurationError(
            "--leader-election: it can be turned off outside a cluster only, for development and tests; remove the "
            "flag and CLIENTORG_LEADER_ELECTION"
        )
    api = await Api.connect(
        source,
        concurrency=settings.api_concurrency,
        component=FIELD_MANAGER,
        field_manager=FIELD_MANAGER,
    )
    return Runtime(settings, api)
