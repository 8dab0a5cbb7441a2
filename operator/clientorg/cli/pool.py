"""`pool`: an agency's stock of licenses, who waits for them and who holds most (FEATURES Z2, Z5)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.columns import READY_COLORS
from clientorg.cli.options import Target
from clientorg.cli.poolrows import StockRow, bar, biggest, missing_text, queue, stock_rows
from clientorg.cli.rows import ClientRow, client_row, condition
from clientorg.cli.session import connect
from clientorg.cli.table import Cell, as_csv, as_document, as_list, cells, table, without_managed_fields
from clientorg.cli.terminal import Color, colored, note, paint, say
from clientorg.cli.text import age, number, plain, plural
from clientorg.cli.watching import list_objects

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

MOST_WAITING = 20


class Output(StrEnum):
    """How pools are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    NAME = "name"


@command(
    "pool",
    examples="""
    # Every pool of the agency, with its queue and its biggest clients
    $
    # One pool, its ten biggest clients
    $ tokyo --top 10
    # Available licenses for a spreadsheet, of all agencies
    $ -A -o csv
    """,
)
async def show_pools(
    target: Target,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the pool; absent: all.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TABLE,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="The pools of all agencies.")] = False,
    top: Annotated[int, typer.Option("--top", min=0, metavar="N", help="So many of the biggest clients.")] = 5,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Print no headings (csv).")] = False,
) -> None:
    """Show the stock of licenses, and who waits.

    Total, allocated, available and pending of each license, the queue, and the clients that hold most.
    """
    from clientorg.errors import InputError

    if name is not None and all_namespaces:
        raise InputError("--all-namespaces: a pool's name belongs to one namespace; give -n, or no name")
    async with connect(target) as session:
        namespace = None if all_namespaces else session.namespace
        pools = await _pools(session, name, namespace)
        if output is not Output.TABLE:
            _print(pools, output, single=name is not None, headers=not no_headers)
        else:
            await _print_pages(session, pools, top)
        if not pools:
            note(f"No pools in {'any namespace' if all_namespaces else f'namespace {namespace}'}.")


async def _pools(session: Session, name: str | None, namespace: str | None) -> list[Json]:
    from clientorg.cluster.resources import QUOTA_POOLS

    if name is not None:
        return [await session.api.get(QUOTA_POOLS, namespace, name)]
    return (await list_objects(session.api, QUOTA_POOLS, namespace))[0]


def _print(pools: Sequence[Json], output: Output, *, single: bool, headers: bool) -> None:
    if output is Output.NAME:
        for pool in pools:
            say(f"quotapool.clientorg.dev/{pool['metadata']['name']}")
    elif output is Output.CSV:
        header = ("namespace", "pool", "license", "total", "allocated", "available", "pending")
        rows = [
            (r.namespace, r.pool, r.license, r.total, r.allocated, r.available, r.pending)
            for pool in pools
            for r in stock_rows(pool)
        ]
        sys.stdout.write(as_csv(header, rows, headers=headers))
    else:
        shown = [without_managed_fields(pool) for pool in pools]
        whole = shown[0] if single else as_list(shown)
        sys.stdout.write(as_document(whole, yaml=output is Output.YAML))


async def _print_pages(session: Session, pools: Sequence[Json], top: int) -> None:
    for index, pool in enumerate(pools):
        if index:
            say("")
        clients = await _clients_of(session, pool)
        for text in page(pool, clients, clock.now(), top=top, color=colored(sys.stdout), unicode=_unicode()):
            say(text)


async def _clients_of(session: Session, pool: Json) -> list[ClientRow] | None:
    """The pool's clients as rows; None without the right to list them."""
    from clientorg.cluster.resources import CLIENT_ORGS
    from clientorg.errors import ForbiddenError

    metadata = pool["metadata"]
    try:
        items, _ = await list_objects(
            session.api, CLIENT_ORGS, metadata["namespace"], field_selector=f"spec.poolRef.name={metadata['name']}"
        )
    except ForbiddenError:
        return None
    return [client_row(item) for item in items]


def _unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()


def page(
    pool: Json, clients: list[ClientRow] | None, now: datetime, *, top: int, color: bool, unicode: bool
) -> Iterator[str]:
    """The lines that show a pool."""
    metadata, spec, status = pool["metadata"], pool["spec"], pool.get("status") or {}
    title = f"Pool {plain(metadata['name'])}" + (f" ({plain(spec['displayName'])})" if spec.get("displayName") else "")
    count = plural(len(clients), "client") if clients is not None else plural(status.get("clients") or 0, "client")
    policy = spec.get("queueing", "BestEffortFIFO")
    yield f"{paint(title, 'bold', enabled=color)}  namespace {plain(metadata['namespace'])}, {count}, queue {policy}"
    ready = condition(pool, "Ready")
    if ready:
        state = paint(ready.get("status", ""), READY_COLORS.get(ready.get("status", "")), enabled=color)
        yield f"Ready: {state} ({plain(ready.get('reason', ''))}) {plain(ready.get('message', ''))}".rstrip()
    over = condition(pool, "OverCommitted")
    if over.get("status") == "True":
        yield paint(f"OverCommitted: {plain(over.get('message', ''))}", "red", enabled=color)
    yield from table(
        ["LICENSE", "TOTAL", "ALLOCATED", "AVAILABLE", "PENDING", "ALLOCATION"],
        [_stock_cells(row, unicode=unicode) for row in stock_rows(pool)],
        color=color,
    )
    if clients is None:
        yield "(its clients are not shown: no right to list them)"
        return
    yield from _queue(queue(clients), now, color=color)
    if top:
        yield from _biggest(pool, clients, top, color=color)


def _stock_cells(row: StockRow, *, unicode: bool) -> list[Cell]:
    share = row.share
    tint: Color | None = None if share is None else "red" if share >= 1 else "yellow" if share >= 0.8 else "green"
    return cells(
        row.license,
        Cell(number(row.total), right=True),
        Cell(number(row.allocated), right=True),
        Cell(number(row.available), "red" if (row.available or 0) < 0 else None, right=True),
        Cell(number(row.pending), "yellow" if row.pending else None, right=True),
        Cell(bar(share, unicode=unicode), tint),
    )


def _queue(waiting: list[ClientRow], now: datetime, *, color: bool) -> Iterator[str]:
    if not waiting:
        return
    yield ""
    yield paint(f"Waiting ({len(waiting):,})", "bold", enabled=color)
    body = [
        cells(
            str(row.queue_position), row.name, missing_text(row) or "-", age(row.waiting_since, now), row.display_name
        )
        for row in waiting[:MOST_WAITING]
    ]
    yield from table(["POSITION", "CLIENT", "MISSING", "FOR", "DISPLAY NAME"], body, color=color)
    if len(waiting) > MOST_WAITING:
        yield f"… and {len(waiting) - MOST_WAITING:,} more"


def _biggest(pool: Json, clients: list[ClientRow], count: int, *, color: bool) -> Iterator[str]:
    body = [
        cells(
            stock.license,
            row.name,
            Cell(number(item.granted), right=True),
            Cell(number(item.used), right=True),
            Cell(number(item.remaining), right=True),
            row.display_name,
        )
        for stock in stock_rows(pool)
        for row, item in biggest(clients, stock.license, count)
    ]
    if body:
        yield ""
        yield paint("Biggest clients", "bold", enabled=color)
        yield from table(["LICENSE", "CLIENT", "GRANTED", "USED", "REMAINING", "DISPLAY NAME"], body, color=color)
