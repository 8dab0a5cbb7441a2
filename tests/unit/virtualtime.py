"""An event loop whose time is a number: what waits for ten minutes is there at once, at exactly ten minutes."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


_MOST_TURNS = 20_000


class _Selector(selectors.DefaultSelector):
    """Where the loop would sleep, it says so instead."""

    def __init__(self) -> None:
        super().__init__()
        self.on_idle: Callable[[float | None], None] = lambda _: None
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._turns += 1
        if timeout is None or timeout > 0:
            self._turns = 0
            self.on_idle(timeout)
        if self._turns > _MOST_TURNS:
            raise RuntimeError("the work never ends: something wakes itself again and again")
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Time passes when there is nothing else to do, and then at once."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        selector.on_idle = self._idle
        self._seconds = 0.0
        self._until_idle = False

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._seconds

    def _idle(self, timeout: float | None) -> None:
        if self._until_idle:
            self.stop()
        elif timeout is None:
            raise RuntimeError("everything waits, and nothing is left that could happen")
        else:
            self._seconds += timeout

    def run_until_idle(self) -> None:
        """Run all that is ready, and what becomes ready by it. No time passes."""
        self._until_idle = True
        try:
            self.run_forever()
        finally:
            self._until_idle = False

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a plain function within the loop, then run what it set off."""

        async def inside() -> T:
            return function(*args, **kwargs)

        result = self.run_until_complete(inside())
        self.run_until_idle()
        return result

    def advance(self, seconds: float) -> None:
        """Let time pass, then run what became due."""
        self._seconds += seconds
        self.run_until_idle()


class VirtualClock:
    """The operator's clock, on the loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """The time, in UTC."""
        return EPOCH + timedelta(seconds=self._loop.time())


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Run an async test on a `VirtualTimeLoop`. One in which everything waits fails instead of hanging."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run
