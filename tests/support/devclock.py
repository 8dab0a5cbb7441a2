"""The development clock as tests and the demo step it (FEATURES X7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from clientorg.domain.timestamps import rfc3339

START: Final = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
"""When every test's story begins; three calendar months later it is 25 February."""


class DevClock:
    """A clock that stands still until it is set; the operator and the plugin read it from its file."""

    def __init__(self, path: Path, begin: datetime = START) -> None:
        self.path = path
        self.set(begin)

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return self._now

    def set(self, moment: datetime) -> datetime:
        """Set it, forward or back; by renaming, so that nobody reads half a time."""
        self._now = moment
        new = self.path.with_suffix(".new")
        new.write_text(rfc3339(moment), encoding="utf-8")
        new.replace(self.path)
        return moment

    def step(self, days: float = 0, hours: float = 0, seconds: float = 0) -> datetime:
        """Move it by so much."""
        return self.set(self._now + timedelta(days=days, hours=hours, seconds=seconds))
