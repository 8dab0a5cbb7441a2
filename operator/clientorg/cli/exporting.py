"""Exporting: from the API server's pages to rows, from rows to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from clientorg.cli.outfile import Destination
from clientorg.cli.progress import Progress
from clientorg.cli.session import Session
from clientorg.cli.terminal import interruptible, note
from clientorg.cli.text import plain, plural
from clientorg.cli.watching import LIST_TRIES, PAGE
from clientorg.errors import GoneError, InputError

if TYPE_CHECKING:
    from clientorg.cluster.resources import Resource
    from clientorg.reports.table import Table

Json = dict[str, Any]
T = TypeVar("T")


async def read_rows(
    session: Session,
    resource: Resource,
    namespace: str | None,
    selectors: dict[str, str | None],
    read: Callable[[Json], T | None],
) -> list[T]:
    """What `read` makes of each object, but None; of the objects themselves only one page is held."""
    for attempt in range(LIST_TRIES):
        rows: list[T] = []
        with Progress(f"Reading {resource.plural}") as progress:
            try:
                async for page in session.api.list_pages(resource, namespace, chunk=PAGE, **selectors):
                    rows.extend(row for item in page["items"] if (row := read(item)) is not None)
                    progress.add(len(page["items"]))
                return rows
            except GoneError:  # the list took so long that its snapshot expired: begin anew
                if attempt == LIST_TRIES - 1:
                    raise
    raise AssertionError("unreachable")


def write_table(table: Table[Any], as_: str, destination: Destination, *, bom: bool) -> int:
    """Write a table as csv or xlsx; returns the number of rows.

    Raises:
        InputError: it cannot be written there, or has more rows than a sheet.
    """
    with interruptible(), Progress("Writing rows") as progress, destination.open() as stream:
        counted = replace(table, rows=_counted(table.rows, progress))
        if as_ == "csv":
            from clientorg.reports.csvfile import write_csv

            return write_csv(counted, stream, mark=bom)
        from clientorg.reports.xlsxfile import TooManyRowsError, write_xlsx

        try:
            return write_xlsx(counted, stream)
        except TooManyRowsError as error:
            raise InputError(f"--format: {error}") from error


def _counted(rows: Iterable[Any], progress: Progress) -> Iterable[Any]:
    for row in rows:
        yield row
        progress.add(1)


def tell(count: int, noun: str, destination: Destination) -> None:
    """Say what was written where; or that there was nothing."""
    words = plural(count, noun) if noun != "entry" else "1 entry" if count == 1 else f"{count:,} entries"
    if destination.path is not None:
        note(f"Wrote {words} to {plain(str(destination.path))}.")
    elif not count:
        note(f"There are no {'entries' if noun == 'entry' else noun + 's'} that match.")
