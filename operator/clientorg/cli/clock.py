"""The time of day, for ages and for dates that are computed here."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from clientorg.domain.timestamps import parse_time
from clientorg.errors import ConfigurationError

DEV_CLOCK = "CLIENTORG_DEV_CLOCK"
"""The operator's development clock (FEATURES X7): where it is set, both read the same time from the same file."""


def now() -> datetime:
    """The time, in UTC.

    Raises:
        ConfigurationError: the development clock cannot be read.
    """
    path = os.environ.get(DEV_CLOCK)
    if not path:
        return datetime.now(UTC)
    try:
        return parse_time(Path(path).read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"${DEV_CLOCK}: {error}; write a time such as 2026-11-25T00:00:00Z into that file, or unset the variable"
        ) from error
