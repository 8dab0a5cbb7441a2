"""The one clock of the operator. Everything that asks for the time is given it, so that tests can step it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from clientorg.domain.timestamps import parse_time
from clientorg.errors import ConfigurationError


class Clock(Protocol):
    """Where the time of day comes from."""

    def now(self) -> datetime:
        """The time, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)


class FileClock:
    """A development clock: the time stands in a file and is stepped by writing another (FEATURES X7).

    Write the file by renaming, so that it is never seen half written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._now = self._read()

    def now(self) -> datetime:
        """The time in the file; the last readable one while the file is not."""
        try:
            self._now = self._read()
        except ConfigurationError:
            return self._now
        return self._now

    def _read(self) -> datetime:
        try:
            stat = self._path.stat()
            if self._seen == (stat.st_mtime_ns, stat.st_ino):
                return self._now
            moment = parse_time(self._path.read_text(encoding="utf-8").strip())
            self._seen = (stat.st_mtime_ns, stat.st_ino)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"development clock {self._path}: {error}; write a time such as 2026-11-25T00:00:00Z into it"
            ) from error
        return moment
