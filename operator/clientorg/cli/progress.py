"""How far long work is, on standard error, where somebody looks at it."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

QUIET_SECONDS = 1.0
"""Work that takes less is not told of."""
EVERY_SECONDS = 0.25
_CLEAR = "\r\x1b[K"


class Progress:
    """One line on a terminal that counts, and is gone when the work is done. Elsewhere nothing is written."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._shown = False
        self._next = time.monotonic() + QUIET_SECONDS
        self._is_seen = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()

    def add(self, count: int) -> None:
        """So many more are done."""
        self._count += count
        if self._is_seen and (now := time.monotonic()) >= self._next:
            self._next = now + EVERY_SECONDS
            self._shown = True
            sys.stderr.write(f"{_CLEAR}{self._what}: {self._count:,}")
            sys.stderr.flush()
