"""Waiting with a deadline: the one way tests and tools wait, so that nothing sleeps for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class DeadlineExceededError(TimeoutError):
    """What was waited for did not happen in time; the text says what, how long, and what was seen last."""


def wait_until(
    predicate: Callable[[], T | None],
    deadline_seconds: float,
    what: str,
    *,
    ignore: type[Exception] | tuple[type[Exception], ...] = (),
    interval_seconds: float = 0.02,
    max_interval_seconds: float = 0.25,
) -> T:
    """Call `predicate` until it returns something truthy, and return that.

    Polling starts at `interval_seconds` and slows down to `max_interval_seconds`, so that a quick answer is
    seen at once and a slow one costs little CPU on a small machine. Exceptions of the types in `ignore` count as
    "not yet"; any other one ends the wait. Raises DeadlineExceededError after `deadline_seconds`; the predicate is
    always asked at least once, and once more after the deadline, so that a starved process is not blamed.
    """
    deadline = time.monotonic() + deadline_seconds
    interval = interval_seconds
    while True:
        last_try = time.monotonic() >= deadline
        seen: object
        try:
            value = predicate()
            if value:
                return value
            seen = value
        except ignore as error:
            seen = error
        if last_try:
            raise DeadlineExceededError(f"waited {deadline_seconds:g} s for {what}; seen last: {seen!r}")
        time.sleep(max(0.0, min(interval, deadline - time.monotonic())))
        interval = min(interval * 1.3, max_interval_seconds)
