"""What `describe` shows of a client's life: why it is paused, since when deactivated, what comes (FEATURES Z6-Z9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clientorg.cli.dates import Calendar, relative
from clientorg.cli.options import CHANGE_CAUSE
from clientorg.cli.related import read_terms
from clientorg.cli.rows import condition
from clientorg.cli.schedule import agenda
from clientorg.cli.table import Cell, cells, table
from clientorg.cli.terminal import Color
from clientorg.cli.text import plain
from clientorg.domain import lifecycle
from clientorg.domain.records import deactivation_of
from clientorg.domain.timestamps import timestamp

Json = dict[str, Any]

_REMINDER_COLORS: dict[str, Color] = {"sent": "green", "skipped": "dim", "due": "yellow"}


def life_head(client: Json, calendar: Calendar, now: datetime) -> Iterator[tuple[str, str]]:
    """Lines for the top of the page; none for a client that simply works."""
    status = client.get("status") or {}
    paused = condition(client, "Paused")
    if status.get("pauseReasons"):
        since = timestamp(paused.get("lastTransitionTime"))
        when = f" since {calendar.with_distance(since, now)}" if since is not None else ""
        yield "Paused", f"{plain(', '.join(status['pauseReasons']))}{when}"
    record = deactivation_of(status)
    if record is not None:
        yield "Deactivated", calendar.with_distance(record.since, now)
        if record.purged is not None:
            yield "Deleted", calendar.with_distance(record.purged, now)
        elif record.purge_started is not None:
            yield "Deletion", f"began {calendar.with_distance(record.purge_started, now)}; no way back"
        else:
            yield "Deleted after", calendar.with_distance(record.purge_after, now)
    cause = (client["metadata"].get("annotations") or {}).get(CHANGE_CAUSE)
    if cause:
        yield "Reason given", plain(cause)


def reminder_lines(client: Json, plan: Json | None, calendar: Calendar, now: datetime, *, color: bool) -> Iterator[str]:
    """The reminders of the coming deletion, and the deletion; none for a client that is not deactivated."""
    record = deactivation_of(client.get("status") or {})
    if record is None or record.purge_started is not None or record.purged is not None:
        return
    terms = read_terms(plan)
    if terms is None:
        return
    body = [
        cells(calendar.text(time), relative(time, now), text, Cell(state, _REMINDER_COLORS.get(state)))
        for time, text, state in agenda(lifecycle.announce(record, terms), terms, now)
    ]
    yield from table([f"TIME ({calendar.name})", "WHEN", "WHAT", "STATE"], body, color=color)
