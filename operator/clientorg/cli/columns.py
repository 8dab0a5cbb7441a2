"""The columns of `list`: table, wide and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from clientorg.cli.dates import relative
from clientorg.cli.rows import ClientRow, remaining_text, usage_text
from clientorg.cli.table import Cell, as_csv, cells
from clientorg.cli.terminal import Color
from clientorg.cli.text import age, number, plain
from clientorg.domain.timestamps import rfc3339

STATE_COLORS: dict[str, Color] = {
    "Active": "green",
    "Provisioning": "yellow",
    "PendingApproval": "yellow",
    "Paused": "yellow",
    "Deactivated": "dim",
    "Terminated": "dim",
    "Purged": "dim",
    "Deleting": "red",
    "Deleted": "red",
    "Rejected": "red",
}
HIGH_PERCENT = 80
"""The first threshold of a plan that names none."""
READY_COLORS: dict[str, Color] = {"True": "green", "False": "red", "Unknown": "yellow"}


def percent_cell(percent: int | None) -> Cell:
    """A percentage; yellow when it is high, red when nothing is left."""
    if percent is None:
        return Cell("-", right=True)
    tint: Color | None = "red" if percent >= 100 else "yellow" if percent >= HIGH_PERCENT else None
    return Cell(f"{percent}%", tint, right=True)


def header(*, wide: bool, namespaces: bool) -> list[str]:
    """Headings of the table."""
    return [
        *(["NAMESPACE"] if namespaces else []),
        "NAME",
        "STATE",
        "READY",
        "REASON",
        "PLAN",
        "USED/GRANTED",
        "REMAINING",
        "PERCENT",
        "AGE",
        *(_WIDE if wide else []),
    ]


_WIDE = (
    *("DISPLAY NAME", "STATUS", "POOL", "ORG ID", "WORKSPACE", "CONTACT", "TAGS", "USERS", "BALANCE", "QUEUE"),
    *("ENDS", "PURGE AFTER", "MESSAGE"),
)
_ENDED = ("Terminated", "Purged")
"""States of clients that stay in lists, greyed (FEATURES S11)."""


def row_cells(row: ClientRow, now: datetime, *, wide: bool, namespaces: bool) -> list[Cell]:
    """A client's cells, under `header`. A dash stands for what is not known yet."""
    shown: list[str | Cell] = [
        *([row.namespace] if namespaces else []),
        row.name,
        Cell(plain(row.state or "-"), STATE_COLORS.get(row.state)),
        Cell(plain(row.ready or "-"), READY_COLORS.get(row.ready)),
        row.shown_reason or "-",
        row.plan or "-",
        usage_text(row.licenses) or "-",
        remaining_text(row.licenses) or "-",
        percent_cell(row.percent),
        age(row.created, now),
    ]
    if wide:
        shown += [
            row.display_name or "-",
            ",".join(row.statuses) or "-",
            row.pool or "-",
            row.org_id or "-",
            row.workspace or "-",
            row.email or "-",
            ",".join(row.tags) or "-",
            users_cell(row),
            Cell(number(row.balance), "red" if (row.balance or 0) < 0 else None, right=True),
            "-" if row.queue_position is None else str(row.queue_position),
            "-" if row.ends is None else f"{rfc3339(row.ends)} ({relative(row.ends, now)})",
            "-" if row.purge_after is None else f"{rfc3339(row.purge_after)} ({relative(row.purge_after, now)})",
            row.message or "-",
        ]
    line = cells(*shown)
    return [replace(cell, color="dim") for cell in line] if row.state in _ENDED else line


def users_cell(row: ClientRow) -> Cell:
    """`12/25`: users of those under contract; red when there are more."""
    if row.users_contracted is None:
        return Cell("-", right=True)
    over = (row.users_used or 0) > row.users_contracted
    return Cell(f"{number(row.users_used)}/{number(row.users_contracted)}", "red" if over else None, right=True)


CSV_COLUMNS = (
    "namespace",
    "name",
    "displayName",
    "state",
    "ready",
    "reason",
    "message",
    "plan",
    "pool",
    "orgID",
    "workspace",
    "url",
    "organization",
    "industry",
    "contact",
    "email",
    "tags",
    "created",
    "queuePosition",
    "pauseReasons",
    "percentUsed",
    "deactivatedSince",
    "purgeAfter",
    "statuses",
)


def csv_text(rows: Sequence[ClientRow], *, headers: bool = True, licenses: Iterable[str] | None = None) -> str:
    """CSV with three columns for every license that any client has (FEATURES S12).

    Args:
        licenses: the licenses that get columns, for output that comes in pieces; absent: those of the rows.
    """
    names = sorted({item.name for row in rows for item in row.licenses}) if licenses is None else list(licenses)
    top = [*CSV_COLUMNS, *(f"{name}.{what}" for name in names for what in ("granted", "used", "remaining"))]
    return as_csv(top, [_csv_row(row, names) for row in rows], headers=headers)


def _csv_row(row: ClientRow, names: Sequence[str]) -> list[str | int | None]:
    held = {item.name: item for item in row.licenses}
    licenses: list[str | int | None] = []
    for name in names:
        item = held.get(name)
        licenses += [item.granted, item.used, item.remaining] if item else [None, None, None]
    return [
        row.namespace,
        row.name,
        row.display_name,
        row.state,
        row.ready,
        row.reason,
        row.message,
        row.plan,
        row.pool,
        row.org_id,
        row.workspace,
        row.url,
        row.organization,
        row.industry,
        row.contact,
        row.email,
        " ".join(row.tags),
        row.created.isoformat().replace("+00:00", "Z") if row.created else None,
        row.queue_position,
        " ".join(row.pause_reasons),
        row.percent,
        rfc3339(row.deactivated_since) if row.deactivated_since else None,
        rfc3339(row.purge_after) if row.purge_after else None,
        " ".join(row.statuses),
        *licenses,
    ]
