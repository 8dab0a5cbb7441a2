"""The operator's development clock, as the story turns it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path


class SteppedClock:
    """A time that stands in a file until it is stepped; the operator and the plugin read it there.

    Args:
        file: made with that time, or with the one that is in it already.
    """

    def __init__(self, file: Path, begin: datetime | None = None) -> None:
        self.file = file
        if begin is not None:
            self._write(begin)

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromisoformat(self.file.read_text(encoding="utf-8"))

    def step(self, to: datetime) -> None:
        """Turn it. It goes forward only, as clocks do."""
        if to < self.now:
            raise ValueError(f"{to} is before {self.now}")
        self._write(to)

    def _write(self, moment: datetime) -> None:
        """By renaming: it is never seen half written."""
        new = self.file.with_suffix(".new")
        new.write_text(moment.astimezone(UTC).isoformat(), encoding="utf-8")
        new.replace(self.file)
