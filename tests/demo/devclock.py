"""The operator's development clock, as the story turns it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from tests.support.devclock import DevClock


class SteppedClock:
    """A time that stands in a file until it is stepped, forward only; the operator and the plugin read it there."""

    def __init__(self, file: Path, begin: datetime) -> None:
        self.file = file
        self._clock = DevClock(file, begin)

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return self._clock.now

    def step(self, to: datetime) -> None:
        """Turn it. It goes forward only, as clocks do."""
        if to < self.now:
            raise ValueError(f"{to} is before {self.now}")
        self._clock.set(to)
