"""Works off the queue: one pass for a key, its outcome turned into retries, logs and metrics."""

from __future__ import annotations

import itertools
import logging
import time
from typing import Any, Protocol

from clientorg.cluster.rest import Api
from clientorg.control.clientpass import DONE, Result
from clientorg.control.clients import ClientReconciler
from clientorg.control.keys import RESOURCES, Key, Kind
from clientorg.control.logs import log_context
from clientorg.control.metrics import Metrics
from clientorg.control.objects import Name
from clientorg.control.queue import WorkQueue
from clientorg.control.sources import Sources
from clientorg.control.store import Store
from clientorg.control.timers import Timers
from clientorg.control.tracing import Tracing
from clientorg.errors import ApiError, ClientOrgError, ConflictError, NotFoundError, UnreachableError

logger = logging.getLogger(__name__)

_HUNG_SECONDS = 600.0


class Reconciler(Protocol):
    """A pass over one object of a kind."""

    async def reconcile(self, name: Name) -> Result | None:
        """One pass; None is DONE. Raises ApiError and UnreachableError, which pass."""


class Worker:
    """Runs passes. Nothing that goes wrong in one of them reaches another."""

    def __init__(
        self,
        api: Api,
        store: Store,
        queue: WorkQueue[Key],
        sources: Sources,
        timers: Timers[Key],
        metrics: Metrics,
        clients: ClientReconciler,
        others: dict[Kind, Reconciler],
        tracing: Tracing,
    ) -> None:
        self._api = api
        self._store = store
        self._queue = queue
        self._sources = sources
        self._timers = timers
        self._metrics = metrics
        self._clients = clients
        self._others = others
        self._tracing = tracing
        self._ids = itertools.count(1)
        self._started: dict[Key, float] = {}

    def hung(self) -> list[str]:
        """Passes that take so long that they will not end."""
        now = time.monotonic()
        return [
            f"a pass over {kind} {'/'.join(name)} hangs for {now - started:.0f} s"
            for (kind, name), started in self._started.items()
            if now - started > _HUNG_SECONDS
        ]

    async def work(self, key: Key) -> None:
        """One pass. Nothing escapes it."""
        kind, name = key
        started = self._started[key] = time.monotonic()
        outcome = "interrupted"
        failure: Exception | None = None
        fields = self._fields(key)
        with log_context(**fields), self._tracing.reconcile(fields) as finish:
            try:
                outcome = self._settle(key, await self._reconcile(kind, name))
            except (ConflictError, NotFoundError):
                outcome = "conflict"
                await self._refresh(key)
            except (ApiError, UnreachableError) as error:
                outcome, failure = "retry", error
                delay = self._queue.retry(key, getattr(error, "retry_after_seconds", None) or 0.0)
                logger.warning("%s %s, again in %.1f s: %s", kind, "/".join(name), delay, error)
            except Exception as error:
                outcome, failure = "error", error
                delay = self._queue.retry(key)
                logger.exception("%s %s, again in %.1f s", kind, "/".join(name), delay)
            finally:
                del self._started[key]
                finish(outcome, failure)
        self._metrics.reconciles.labels(kind.value, outcome).inc()
        self._metrics.reconcile_seconds.labels(kind.value).observe(time.monotonic() - started)

    async def _reconcile(self, kind: Kind, name: Name) -> Result:
        if kind is Kind.CLIENT:
            return await self._clients.reconcile(name)
        if kind is Kind.POOL:
            self._sources.pool_runs(name)
        return await self._others[kind].reconcile(name) or DONE

    def _settle(self, key: Key, result: Result) -> str:
        if key[0] in (Kind.CLIENT, Kind.SUBSCRIPTION):
            self._timers.set(key, result.next_due)
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
        known = self._store.get(kind, name)  # before we ask: one made anew meanwhile stays
        try:
            manifest = await self._api.get(RESOURCES[kind], *name)
        except NotFoundError:
            if known is not None:
                self._sources.gone(kind, name, known.uid)
            return
        except ClientOrgError:
            self._queue.retry(key)
            return
        self._sources.observe(kind, "MODIFIED", manifest)
        self._queue.retry(key)

    def _fields(self, key: Key) -> dict[str, Any]:
        kind, name = key
        fields: dict[str, Any] = {"kind": kind.value, "object": "/".join(name), "reconcile_id": next(self._ids)}
        client = self._store.clients.get(name) if kind is Kind.CLIENT else None
        if client is not None:
            fields |= {"org": client.org_id, "uid": client.uid, "generation": client.generation}
        return fields
