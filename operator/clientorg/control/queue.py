"""A keyed work queue: one run at a time for a key, repeated adds folded, retries with backoff and jitter.

The semantics are those of client-go's workqueue, which the field knows: a key added while it is being worked on is
worked on once more afterwards; a key that fails waits longer each time; a key added while it waits for a later time
runs now. Within a lane the groups (agencies) take turns, so that one that creates a thousand clients does not hold up
another that creates one. Lanes keep a change made by a person ahead of bulk work (start-up, a plan that touches
everybody), and the pools, which everybody waits for, ahead of both. Bulk work may be kept to a part of the places: what
it has begun is ahead of everybody on its way to the API server, and a change made by a person would wait behind it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_EARLY_SECONDS = 1e-6
"""The event loop wakes who waits up to its clock's resolution early. What was due then is due, or we would ask again
and again until the clock has moved on."""


class Lane(IntEnum):
    """Which lane a key waits in; a lower one goes first."""

    POOL = 0
    PROMPT = 1
    BULK = 2


@dataclass(frozen=True)
class Backoff:
    """Delays between retries: doubling from `first_seconds` to `most_seconds`, each shortened at random by up to
    half, so that what failed together does not come back together."""

    first_seconds: float = 0.1
    most_seconds: float = 60.0

    def delay_seconds(self, failures: int, jitter: Callable[[], float] = random.random) -> float:
        """How long to wait after the n-th failure in a row (counted from 1)."""
        whole: float = min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, 30))
        return whole * (1 - jitter() / 2)


class WorkQueue(Generic[K]):
    """The queue. Not thread-safe: it lives in one event loop."""

    def __init__(
        self,
        backoff: Backoff | None = None,
        group_of: Callable[[K], Hashable] = lambda key: None,
        most_bulk: int | None = None,
    ) -> None:
        self._backoff = backoff or Backoff()
        self._group_of = group_of
        self._most_bulk = most_bulk
        """How many keys of the bulk lane are worked on at once; None: as many as there are places."""
        self._bulk_running = 0
        self._ready: tuple[dict[Hashable, deque[K]], ...] = tuple({} for _ in Lane)
        self._waiting: dict[K, Lane] = {}  # in one of the ready lanes
        self._running: dict[K, Lane] = {}  # with the lane it came from
        self._again: dict[K, Lane] = {}  # added while running
        self._due: dict[K, tuple[float, Lane]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._failures: dict[K, int] = {}
        self._wakeup = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._settled = asyncio.Event()

    # -- adding -------------------------------------------------------------------------------------------------

    def add(self, key: K, lane: Lane = Lane.PROMPT) -> None:
        """Work on the key as soon as possible. One that waits in the bulk lane moves ahead if now prompt."""
        self._due.pop(key, None)
        if key in self._running:
            self._again[key] = min(lane, self._again.get(key, lane))
            return
        before = self._waiting.get(key)
        if before is not None and before <= lane:
            return
        if before is None or lane < before:  # a bulk entry left behind is skipped when it comes up
            self._waiting[key] = lane
            self._ready[lane].setdefault(self._group_of(key), deque()).append(key)
        self._idle.clear()
        self._wakeup.set()

    def add_after(self, key: K, seconds: float, lane: Lane = Lane.PROMPT) -> None:
        """Work on the key after a while, unless it comes up earlier; of two delays the shorter one counts."""
        if seconds <= 0:
            self.add(key, lane)
            return
        if key in self._waiting:
            return
        due = self._now() + seconds
        if key not in self._due or due < self._due[key][0]:
            self._due[key] = (due, lane)
            heapq.heappush(self._heap, (due, next(self._order), key))
            self._wakeup.set()

    def retry(self, key: K, at_least_seconds: float = 0.0) -> float:
        """Work on a key again that failed, in its lane; returns the delay, which grows with every failure in a row."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(self._backoff.delay_seconds(self._failures[key]), at_least_seconds)
        self.add_after(key, delay, self._running.get(key, Lane.PROMPT))
        return delay

    def forget(self, key: K) -> None:
        """The key succeeded: the next failure is a first one again."""
        self._failures.pop(key, None)

    # -- working ------------------------------------------------------------------------------------------------

    async def get(self) -> K:
        """The next key to work on; call `done` with it afterwards."""
        while True:
            self._promote()
            for lane in Lane:
                if lane is Lane.BULK and self._most_bulk is not None and self._bulk_running >= self._most_bulk:
                    break  # `done` wakes us
                key = self._next(lane)
                if key is not None:
                    return key
            self._wakeup.clear()
            timeout = max(0.0, self._heap[0][0] - self._now()) if self._heap else None
            try:
                # Not wait_for: in Python 3.11 it can swallow a cancellation that comes with the event (gh-86296).
                async with asyncio.timeout(timeout):
                    await self._wakeup.wait()
            except TimeoutError:
                continue

    def _next(self, lane: Lane) -> K | None:
        """Take a key from the lane, the groups in turn."""
        groups = self._ready[lane]
        while groups:
            group = next(iter(groups))
            keys = groups.pop(group)
            key = keys.popleft()
            if keys:
                groups[group] = keys  # to the end: the next group is next
            if self._waiting.get(key) is lane:  # else it moved to a lane ahead meanwhile
                del self._waiting[key]
                self._running[key] = lane
                self._bulk_running += lane is Lane.BULK
                return key
        return None

    def done(self, key: K) -> None:
        """The work on the key has ended, well or not."""
        if self._running.pop(key, None) is Lane.BULK:
            self._bulk_running -= 1
            self._wakeup.set()
        self._settled.set()
        lane = self._again.pop(key, None)
        if lane is not None:
            self.add(key, lane)
        elif not self._waiting and not self._running:
            self._idle.set()

    async def run(
        self, work: Callable[[K], Awaitable[None]], concurrency: int, gate: asyncio.Event | None = None
    ) -> None:
        """Work on so many keys at once, until cancelled. While the gate is closed no new key is begun.

        `work` handles its own failures; what escapes it ends this call.
        """
        slots = asyncio.Semaphore(concurrency)

        async def one(key: K) -> None:
            try:
                await work(key)
            finally:
                self.done(key)
                slots.release()

        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                key = await self.get()
                while gate is not None and not gate.is_set():
                    lane = self._running[key]
                    self.done(key)
                    self.add(key, lane)
                    await gate.wait()
                    key = await self.get()
                group.create_task(one(key))

    async def drain(self, gate: asyncio.Event, timeout_seconds: float) -> bool:
        """Close the gate and let what is being worked on finish; whether all of it did in time."""
        gate.clear()
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._running:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
        return True

    async def wait_idle(self) -> None:
        """Until nothing is ready and nothing runs. Keys that wait for a later time do not count."""
        await self._idle.wait()

    def depth(self) -> int:
        """How many keys are ready and not begun."""
        return len(self._waiting)

    def running(self) -> int:
        """How many keys are being worked on."""
        return len(self._running)

    def delayed(self) -> int:
        """How many keys wait for a later time."""
        return len(self._due)

    def _promote(self) -> None:
        now = self._now() + _EARLY_SECONDS
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            pending = self._due.get(key)
            if pending is not None and pending[0] == due:  # not overtaken by an earlier add
                self.add(key, pending[1])

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
