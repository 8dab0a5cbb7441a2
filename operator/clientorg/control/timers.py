"""What is due at a time of day: one heap for all objects, on the operator's clock, so that time can be stepped.

The queue's own delays are on the machine's monotonic clock; they are for retries, not for dates.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Generic, TypeVar

from clientorg.control.clock import Clock

K = TypeVar("K", bound=Hashable)
_LOOK_SECONDS = 0.5
"""How often the clock is looked at: dates are kept to the second, and a stepped clock jumps."""


class Timers(Generic[K]):
    """The due times, one for a key; a new one replaces the old."""

    def __init__(self, clock: Clock, is_due: Callable[[K], None]) -> None:
        self._clock = clock
        self._is_due = is_due
        self._due: dict[K, datetime] = {}
        self._heap: list[tuple[datetime, int, K]] = []
        self._order = itertools.count()

    def set(self, key: K, due: datetime | None) -> None:
        """Call for the key at that time; None: not at all."""
        if self._due.get(key) == due:
            return
        if due is None:
            self._due.pop(key, None)
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))

    def __len__(self) -> int:
        return len(self._due)

    def look(self) -> None:
        """Call for everything that is due now."""
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self._is_due(key)

    async def run(self) -> None:
        """Look at the clock now and then, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)
