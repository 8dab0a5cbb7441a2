"""Waiting until a status shows what was asked for, with a deadline and a line that tells how it goes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from clientorg.cli.exits import NotReachedError
from clientorg.cli.text import parse_duration, plain
from clientorg.cli.watching import follow_one
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.cluster.resources import Resource
    from clientorg.cluster.rest import Api

Json = dict[str, Any]

DEFAULT_WAIT_SECONDS = 60.0
PLAIN_INTERVAL_SECONDS = 10.0


def parse_wait(text: str | None, default_seconds: float = DEFAULT_WAIT_SECONDS) -> float | None:
    """Seconds to wait; None for not at all. `true` and `false` as kubectl has them, or a duration.

    Raises:
        InputError: it is none of these.
    """
    if text is None or text == "false":
        return None
    if text == "true":
        return default_seconds
    seconds = parse_duration(text, "--wait")
    if seconds <= 0:
        raise InputError("--wait: the duration must be more than zero")
    return seconds


class Progress:
    """One line on standard error: redrawn on a terminal, now and then a new one elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._started = self._last = time.monotonic()
        self._text = ""

    def update(self, text: str) -> None:
        """What is going on now."""
        self._text = plain(text)
        self.draw()

    def draw(self) -> None:
        """Show it, with the seconds since the start."""
        seconds = time.monotonic() - self._started
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{self._text} ({seconds:.0f}s)")
            sys.stderr.flush()
        elif time.monotonic() - self._last >= PLAIN_INTERVAL_SECONDS:
            self._last = time.monotonic()
            sys.stderr.write(f"{self._text} ({seconds:.0f}s)\n")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@asynccontextmanager
async def progress(text: str) -> AsyncIterator[Progress]:
    """A progress line that counts the seconds by itself."""
    shown = Progress()
    shown.update(text)

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            shown.draw()

    ticking = asyncio.create_task(tick())
    try:
        yield shown
    finally:
        ticking.cancel()
        shown.clear()


async def wait_until(
    api: Api,
    resource: Resource,
    namespace: str,
    name: str,
    done: Callable[[Json | None], bool],
    *,
    timeout_seconds: float,
    what: str,
    tell: Callable[[Json | None], str],
) -> None:
    """Wait until `done` says so of the object (None: it is gone).

    Args:
        what: what is waited for, for the error.
        tell: one line on how it stands, for the progress line and the error.

    Raises:
        NotReachedError: time ran out.
    """
    last: Json | None = None
    try:
        async with asyncio.timeout(timeout_seconds), progress(f"waiting for {what}") as line:
            async for item in follow_one(api, resource, namespace, name):
                last = item
                if done(item):
                    return
                line.update(f"waiting for {what}: {tell(item)}")
    except TimeoutError:
        raise NotReachedError(f"after {timeout_seconds:g} s still waiting for {what}: {plain(tell(last))}") from None
