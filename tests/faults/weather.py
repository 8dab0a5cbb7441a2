"""Faults by seed: what a busy, restarting or badly connected API server does to its clients, for a few seconds.

Whether a request meets with a fault follows from the seed, the request and how many of its kind there were before, so
that a seed does the same each time, in whatever order the operator asks.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from clientorg.cluster.resources import SECRETS
from tests.faults.meddling import Fault, Meddler
from tests.faults.recording import Record, kind_of

SEEDS: Final = 200
STORM_SECONDS: Final = 4.0
"""For so long after its beginning, and after each step of the clock."""
_LIKELIHOODS: Final = (0.1, 0.2, 0.35, 0.5)

CONFLICT: Final = Fault(409, "Conflict")
BUSY: Final = Fault(429, "TooManyRequests", headers={"Retry-After": "1"})
BROKEN: Final = Fault(500, "InternalError")
BROKEN_AFTER: Final = Fault(500, "InternalError", is_forwarded=True)
AWAY: Final = Fault(503, "ServiceUnavailable")
CUT: Final = Fault()
CUT_AFTER: Final = Fault(is_forwarded=True)
EXPIRED: Final = Fault(410, "Expired")
SILENT: Final = Fault(hangs=True)
SILENT_AFTER: Final = Fault(hangs=True, is_forwarded=True)

_READING: Final = (BUSY, BROKEN, AWAY, CUT)
_WRITING: Final = (*_READING, BROKEN_AFTER, CUT_AFTER)
_EVENTS: Final = (CUT, EXPIRED)


class Weather(Meddler):
    """The faults of one seed. Every second seed has some that take the operator long to notice: no answer at all, or a
    watch that stays open and tells nothing.

    Reads of Secrets are spared: a mail whose Secret cannot be read is tried again after a minute of the clock, which
    stands still here.

    Args:
        plain: takes out of a path what differs from one telling of a story to the next.
    """

    def __init__(self, seed: int, plain: Callable[[str], str]) -> None:
        chance = random.Random(seed)
        self._seed = seed
        self._plain = plain
        self._likelihood = chance.choice(_LIKELIHOODS)
        self._has_silence, self._has_deafness = seed % 4 == 1, seed % 4 == 3
        self._asked: Counter[str] = Counter()
        self._until = 0.0
        self._lock = threading.Lock()
        self.faults: Counter[str] = Counter()
        """How many of each there were."""

    def storm(self, seconds: float = STORM_SECONDS) -> None:
        """Faults from now on, for so long."""
        self._until = time.monotonic() + seconds

    def end(self) -> None:
        """No fault from now on."""
        self._until = min(self._until, time.monotonic())

    @property
    def ended(self) -> float:
        """When the last faults end, on the monotonic clock."""
        return self._until

    def request(self, record: Record) -> Fault | None:
        """A fault in place of the answer, or none."""
        if kind_of(record.path) == SECRETS.plural:
            return None
        if record.is_watch:
            return self._choose(f"open {record.path}", (*_READING, EXPIRED))
        kinds: Sequence[Fault] = _WRITING if record.is_write else _READING
        if record.is_list:
            kinds = (*kinds, EXPIRED)
        if record.method in ("PATCH", "PUT", "DELETE"):
            kinds = (*kinds, CONFLICT)
        if self._has_silence:
            kinds = (*kinds, SILENT, SILENT_AFTER) if record.is_write else (*kinds, SILENT)
        return self._choose(f"{record.method} {record.path}", kinds)

    def event(self, record: Record, line: bytes) -> Fault | None:
        """A watch may be cut, may expire, or go on without telling anything."""
        return self._choose(f"watch {record.path}", (*_EVENTS, SILENT) if self._has_deafness else _EVENTS)

    def _choose(self, what: str, kinds: Sequence[Fault]) -> Fault | None:
        if time.monotonic() >= self._until:
            return None
        key = self._plain(what)
        with self._lock:
            self._asked[key] += 1
            chance = random.Random(f"{self._seed} {key} {self._asked[key]}")
            if chance.random() >= self._likelihood:
                return None
            fault = chance.choice(kinds)
            self.faults[str(fault)] += 1
        return fault

    def __str__(self) -> str:
        return json.dumps(dict(sorted(self.faults.items())))
