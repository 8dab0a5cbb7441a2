"""Delivers what stands in the clients' outboxes, beside the passes: a slow mail server holds up nothing else.

The outbox in status says what is due; the outcome is written back onto the newest version, so that neither a pass in
between nor another operator loses it. A message whose outcome could not be written is sent again with the same
Message-ID (DESIGN rule 4 for what has no transaction).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.cluster.rest import Api
from clientorg.control.clock import Clock
from clientorg.control.queue import WorkQueue
from clientorg.control.store import Client, Name, Plan, Store
from clientorg.domain import outbox as box
from clientorg.domain.messages import Due, Outbox, from_status, to_status
from clientorg.errors import ApiError, ConflictError, NotFoundError, NotificationError, UnreachableError

logger = logging.getLogger(__name__)

_TRIES = 5


class Transport(Protocol):
    """How a message leaves."""

    async def deliver(self, client: Client, plan: Plan, due: Due) -> None:
        """Send one message on one channel.

        Raises:
            NotificationError: it could not be made or delivered.
        """


class Notifier:
    """Works off the outboxes of clients, one client at a time for each of its workers."""

    def __init__(
        self,
        api: Api,
        store: Store,
        clock: Clock,
        transport: Transport,
        client_changed: Callable[[Name, bool], None],
        count: Callable[[str, str], None],
    ) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._transport = transport
        self._client_changed = client_changed
        self._count = count
        self.queue: WorkQueue[Name] = WorkQueue(group_of=lambda name: name[0])

    def due(self, name: Name) -> None:
        """Something is to be sent to a client now or later; later comes again by the client's own pass."""
        self.queue.add(name)

    async def run(self, concurrency: int, gate: asyncio.Event) -> None:
        """Deliver until cancelled, while this process leads."""
        await self.queue.run(self._work, concurrency, gate)

    async def _work(self, name: Name) -> None:
        try:
            await self._deliver_all(name)
            self.queue.forget(name)
        except (ApiError, UnreachableError) as error:
            delay = self.queue.retry(name)
            logger.warning("messages of %s, again in %.1f s: %s", "/".join(name), delay, error)
        except Exception:
            delay = self.queue.retry(name)
            logger.exception("messages of %s, again in %.1f s", "/".join(name), delay)

    async def _deliver_all(self, name: Name) -> None:
        client = self._store.clients.get(name)
        if client is None:
            return
        plan = self._store.plans.get((name[0], client.plan))
        if plan is None:
            return
        due = box.due(from_status(client.status.get("outbox") or ()), self._clock.now())
        for one in due:
            error = await self._try(client, plan, one)
            await self._write(name, client.uid, one, error)
        if due:
            self._client_changed(name, True)  # a delivered reminder may start the notice; a failure is a condition

    async def _try(self, client: Client, plan: Plan, due: Due) -> NotificationError | None:
        try:
            await self._transport.deliver(client, plan, due)
        except NotificationError as error:
            logger.warning("message %s by %s not delivered: %s", due.entry.key, due.channel.value, error)
            self._count(due.channel.value, "failed")
            return error
        self._count(due.channel.value, "sent")
        return None

    async def _write(self, name: Name, uid: str, due: Due, error: NotificationError | None) -> None:
        """The outcome, onto the newest version."""
        for _ in range(_TRIES):
            client = self._store.clients.get(name)
            if client is None or client.uid != uid:
                return
            status = client.status
            outbox = self._outcome(from_status(status.get("outbox") or ()), due, error)
            patch = {
                "metadata": {"resourceVersion": str(client.version)},
                "status": {"outbox": to_status(outbox)},
            }
            try:
                self._store.put_client(await self._api.patch(CLIENT_ORGS, *name, patch, subresource="status"))
                return
            except NotFoundError:
                return
            except ConflictError:
                self._store.put_client(await self._api.get(CLIENT_ORGS, *name))
        raise ConflictError(409, "Conflict", f"{'/'.join(name)} changes faster than its outbox can be written")

    def _outcome(self, outbox: Outbox, due: Due, error: NotificationError | None) -> Outbox:
        now = self._clock.now()
        if error is None:
            return box.mark_sent(outbox, due, now)
        return box.mark_failed(outbox, due, str(error), permanent=error.permanent, now=now)
