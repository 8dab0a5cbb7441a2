"""Delivers what stands in the outboxes of clients and pools, beside the passes: a slow server holds up nothing else.

The outbox in status says what is due; the outcome is written back onto the newest version, so that neither a pass in
between nor another operator loses it. A message that was taken is not sent again for as long as this process knows,
however often its outcome cannot be written; after a crash it is, with the same Message-ID (DESIGN rule 4 for what has
no transaction).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from clientorg.api.notifications import Channel
from clientorg.cluster.rest import Api
from clientorg.control import mailboxes
from clientorg.control.clock import Clock
from clientorg.control.keys import RESOURCES, Key, Kind
from clientorg.control.mailboxes import Mailbox
from clientorg.control.objects import Name
from clientorg.control.queue import WorkQueue
from clientorg.control.store import Store
from clientorg.control.timers import Timers
from clientorg.domain import outbox as box
from clientorg.domain.messages import Due, Outbox, to_status
from clientorg.errors import ApiError, ConflictError, NotFoundError, NotificationError, UnreachableError

logger = logging.getLogger(__name__)

_TRIES = 5


class Transport(Protocol):
    """How a message leaves."""

    async def deliver(self, mailbox: Mailbox, due: Due) -> None:
        """Send one message on one channel.

        Raises:
            NotificationError: it could not be made or delivered.
        """


class Notifier:
    """Works off the outboxes, one client or pool at a time for each of its workers.

    Args:
        client_changed: asks for a pass over a client; the flag says whether somebody waits for it.
        count: takes channel and outcome (sent, failed) of each try.
    """

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
        self._taken: dict[Key, set[tuple[str, str, Channel]]] = {}
        """Owner's UID, `Due.delivery_id` and channel of what was sent and is not written down yet."""
        self.queue: WorkQueue[Key] = WorkQueue(group_of=lambda key: key[1][0])
        self.timers: Timers[Key] = Timers(clock, self.queue.add)

    def due(self, name: Name, kind: Kind = Kind.CLIENT) -> None:
        """Something is to be sent to a client, or an agency about its pool, now or later.

        Later comes again by the client's own pass; for a pool, which has none at that time, it is seen to here.
        """
        self.queue.add((kind, name))

    async def run(self, concurrency: int, gate: asyncio.Event) -> None:
        """Deliver until cancelled, while this process leads."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.timers.run())
            group.create_task(self.queue.run(self._work, concurrency, gate))

    async def _work(self, key: Key) -> None:
        try:
            await self._deliver_all(key)
            self.queue.forget(key)
        except (ApiError, UnreachableError) as error:
            delay = self.queue.retry(key)
            logger.warning("messages of %s, again in %.1f s: %s", _text(key), delay, error)
        except Exception:
            delay = self.queue.retry(key)
            logger.exception("messages of %s, again in %.1f s", _text(key), delay)

    async def _deliver_all(self, key: Key) -> None:
        kind, name = key
        mailbox = mailboxes.find(self._store, key)
        if mailbox is None:
            self._taken.pop(key, None)
        if mailbox is None or not mailbox.has_terms:
            return
        due = box.due(mailbox.outbox, self._clock.now())
        for one in due:
            error = await self._send_once(key, mailbox, one)
            if not await self._write(key, mailbox.uid, one, error):
                self._taken.pop(key, None)
                return  # it is gone, and what is not written down would be sent again and again
        self._taken.pop(key, None)
        if kind is Kind.POOL:
            self._come_again(key)
        elif due:
            self._client_changed(name, True)  # a delivered reminder may start the notice; a failure is a condition

    def _come_again(self, key: Key) -> None:
        """At the time of the next try."""
        mailbox = mailboxes.find(self._store, key)
        self.timers.set(key, box.next_due(mailbox.outbox, self._clock.now()) if mailbox is not None else None)

    async def _send_once(self, key: Key, mailbox: Mailbox, due: Due) -> NotificationError | None:
        """Send it, unless it was taken before and only the outcome could not be written."""
        taken = self._taken.setdefault(key, set())
        mark = (mailbox.uid, due.delivery_id, due.channel)
        if mark in taken:
            return None
        error = await self._try(mailbox, due)
        if error is None:
            taken.add(mark)
        return error

    async def _try(self, mailbox: Mailbox, due: Due) -> NotificationError | None:
        try:
            await self._transport.deliver(mailbox, due)
        except NotificationError as error:
            logger.warning("message %s by %s not delivered: %s", due.entry.key, due.channel.value, error)
            self._count(due.channel.value, "failed")
            return error
        self._count(due.channel.value, "sent")
        return None

    async def _write(self, key: Key, uid: str, due: Due, error: NotificationError | None) -> bool:
        """The outcome, onto the newest version. Whether it was written: not when there is no such object any more."""
        kind, name = key
        for _ in range(_TRIES):
            mailbox = mailboxes.find(self._store, key)
            if mailbox is None or mailbox.uid != uid:
                return False
            outbox = self._outcome(mailbox.outbox, due, error)
            patch = {
                "metadata": {"resourceVersion": str(mailbox.version)},
                "status": {"outbox": to_status(outbox)},
            }
            try:
                answer = await self._api.patch(RESOURCES[kind], *name, patch, subresource="status")
                mailboxes.put(self._store, kind, answer)
                return True
            except NotFoundError:
                return False
            except ConflictError:
                mailboxes.put(self._store, kind, await self._api.get(RESOURCES[kind], *name))
        raise ConflictError(409, "Conflict", f"{_text(key)} changes faster than its outbox can be written")

    def _outcome(self, outbox: Outbox, due: Due, error: NotificationError | None) -> Outbox:
        now = self._clock.now()
        if error is None:
            return box.mark_sent(outbox, due, now)
        return box.mark_failed(outbox, due, str(error), permanent=error.permanent, now=now)


def _text(key: Key) -> str:
    kind, name = key
    return f"{kind.value} {'/'.join(name)}"
