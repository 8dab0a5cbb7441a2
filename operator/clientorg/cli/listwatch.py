"""`list --watch`: a live table on a terminal, appended lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from clientorg.cli import clock
from clientorg.cli.columns import csv_text
from clientorg.cli.listing import Output, View, name_line, nothing_found, print_rows
from clientorg.cli.rows import ClientRow, client_row
from clientorg.cli.table import Cell, as_json, as_yaml, column_widths, line, table, without_managed_fields
from clientorg.cli.terminal import colored, note, say
from clientorg.cli.watching import Change, follow

if TYPE_CHECKING:
    from rich.text import Text

    from clientorg.cluster.rest import Api

Json = dict[str, Any]


class Board:
    """The rows as they stand."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._wanted = view.selection.matcher()
        self._rows: dict[tuple[str, str], ClientRow] = {}

    def take(self, change: Change) -> list[ClientRow]:
        """Take a change in; returns the rows that are worth telling of, those that left included."""
        if change.kind == "SNAPSHOT":
            # After a break this is everything anew; told is only what differs.
            before, now = self._rows, {}
            for item in change.items:
                row = client_row(item)
                if self._wanted(row):
                    now[row.key] = row
            self._rows = now
            return [row for key, row in now.items() if before.get(key) != row]
        told = []
        for item in change.items:
            row = client_row(item)
            if change.kind == "DELETED":
                if self._rows.pop(row.key, None) is not None:
                    told.append(_left(row, item, self._view))
            elif self._wanted(row):
                self._rows[row.key] = row
                told.append(row)
            elif self._rows.pop(row.key, None) is not None:
                told.append(row)  # no longer matches: its last line shows why
        return told

    def rows(self) -> list[ClientRow]:
        """All rows, in order."""
        rows = list(self._rows.values())  # at once, because the live table is drawn by a thread of its own
        rows.sort(key=lambda row: row.key)
        return self._view.order(rows)


def _left(row: ClientRow, item: Json, view: View) -> ClientRow:
    """The last line of a client: a server-side selector reports as deleted also what only stopped to match."""
    from dataclasses import replace

    gone = item["metadata"].get("deletionTimestamp") or not view.selection.is_narrow
    return replace(row, state="Deleted") if gone else row


async def watch_clients(api: Api, view: View) -> None:
    """Show the clients and every change until Ctrl-C."""
    if sys.stdout.isatty() and view.output in (Output.TABLE, Output.WIDE):
        await _live(api, view)
    else:
        await _lines(api, view)


def _changes(api: Api, view: View) -> AsyncIterator[Change]:
    from clientorg.cluster.resources import CLIENT_ORGS

    selection = view.selection
    return follow(
        api,
        CLIENT_ORGS,
        view.namespace,
        label_selector=selection.label_selector,
        field_selector=selection.server_fields,
    )


async def _live(api: Api, view: View) -> None:
    from rich.console import Console
    from rich.live import Live

    board, console, lost = Board(view), Console(highlight=False), False

    def picture() -> Text:
        return _picture(board.rows(), view, height=console.size.height, lost=lost)

    with Live(get_renderable=picture, console=console, refresh_per_second=4, vertical_overflow="crop"):
        async for change in _changes(api, view):
            lost = change.kind == "LOST"
            board.take(change)


def _picture(rows: list[ClientRow], view: View, *, height: int, lost: bool) -> Text:
    """What fits on the screen, and below it how much does not."""
    from rich.text import Text

    room = max(1, height - 3)
    now = clock.now()
    body = [view.cells(row, now) for row in rows[:room]]
    lines = list(table(view.header(), body, color=colored(sys.stdout), headers=view.headers)) if rows else []
    if not rows:
        lines.append(nothing_found(view))
    elif len(rows) > room:
        lines.append(f"… and {len(rows) - room:,} more (of {len(rows):,}); narrow it with --state, --search …")
    if lost:
        lines.append("Connection lost; trying again …")
    return Text.from_ansi("\n".join(lines), no_wrap=True, overflow="ellipsis")


async def _lines(api: Api, view: View) -> None:
    board, printer, begun, lost = Board(view), Printer(view), False, False
    async for change in _changes(api, view):
        if change.kind == "LOST":
            if not lost:
                note("Connection lost; trying again …")
            lost = True
            continue
        lost = False
        told = board.take(change)
        objects = {client_row(item).key: without_managed_fields(item) for item in change.items}
        if begun:
            printer.more(told, objects)
        else:
            printer.first(board.rows(), objects)
            begun = True
        sys.stdout.flush()


class Printer:
    """Lines one after the other, in columns that stay where the first lines put them."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._widths: list[int] = []
        self._licenses: list[str] = []

    def first(self, rows: list[ClientRow], objects: dict[tuple[str, str], Json]) -> None:
        """The headings and the rows there are."""
        view = self._view
        self._licenses = sorted({item.name for row in rows for item in row.licenses})
        top = [[Cell(text) for text in view.header()]]
        now = clock.now()
        self._widths = column_widths([*top, *(view.cells(row, now) for row in rows)])
        if view.wants_objects:
            self.more(rows, objects)
        else:
            if not rows and view.headers and view.output in (Output.TABLE, Output.WIDE):
                say(line(top[0], self._widths, color=False))
            print_rows(rows, objects, view)
        if not rows:
            note(nothing_found(view))

    def more(self, rows: list[ClientRow], objects: dict[tuple[str, str], Json]) -> None:
        """Rows that changed."""
        view, now = self._view, clock.now()
        for row in rows:
            if view.output is Output.JSON:
                say(as_json(objects[row.key], indent=False))
            elif view.output is Output.YAML:
                say("---\n" + as_yaml(objects[row.key]).rstrip())
            elif view.output is Output.CSV:
                say(csv_text([row], headers=False, licenses=self._licenses).rstrip("\n"))
            elif view.output is Output.NAME:
                say(name_line(row))
            else:
                cells = view.cells(row, now)
                self._widths = column_widths([cells], self._widths)
                say(line(cells, self._widths, color=colored(sys.stdout)))
