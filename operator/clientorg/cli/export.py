"""`export clients` and `export ledger`: tables for spreadsheets (FEATURES S12)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from clientorg.cli import clock
from clientorg.cli.app import command, group
from clientorg.cli.exportflags import (
    BomFlag,
    FileFlag,
    ForceFlag,
    Format,
    FormatFlag,
    LanguageFlag,
    ZoneFlag,
    check_bom,
    check_month,
    chosen_format,
    language_for,
    local_zone,
    zone_of,
)
from clientorg.cli.exporting import read_rows, tell, write_table
from clientorg.cli.options import PlansFlag, PoolsFlag, SelectorFlag, StatesFlag, TagsFlag, Target
from clientorg.cli.outfile import Destination
from clientorg.cli.selection import Selection, known_values, several, sorter
from clientorg.cli.session import connect

if TYPE_CHECKING:
    from clientorg.reports.ledger import LedgerRow

Json = dict[str, Any]

AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all agencies.")]

group(
    "export",
    """Write clients, the ledger or a statement for spreadsheets and print.

    Numbers, dates and booleans are typed; no text can act as a formula. See docs/exports.md.""",
    examples="""
    $ clients --output clients.xlsx
    $ ledger --month 2026-11 --output ledger.xlsx
    $ statement acme --month 2026-11 --output acme-2026-11.html
    """,
)


@command(
    "export clients",
    examples="""
    # Everything about every client, for Excel
    $ --output clients.xlsx
    # Those in two states, of all agencies, with Japanese headings
    $ -A --state active --state paused --language ja --output clients.xlsx
    # For another program
    $ --time-zone UTC --language en > clients.csv
    """,
)
async def export_clients(
    target: Target,
    format_: FormatFlag = None,
    file: FileFlag = None,
    force: ForceFlag = False,
    all_namespaces: AllNamespaces = False,
    selector: SelectorFlag = None,
    state: StatesFlag = None,
    plan: PlansFlag = None,
    pool: PoolsFlag = None,
    tag: TagsFlag = None,
    search: Annotated[
        str, typer.Option("--search", metavar="WORDS", help="Only where all words occur, as `list` searches.")
    ] = "",
    sort_by: Annotated[
        str | None, typer.Option("--sort-by", metavar="COLUMN", help="Order, as that of `list`.")
    ] = None,
    language: LanguageFlag = None,
    time_zone: ZoneFlag = None,
    bom: BomFlag = False,
) -> None:
    """Export the clients with everything that is known of them.

    One line a client: contact, plan, state, users, licenses, points and dates; columns for each license.
    """
    from clientorg.api.clientorg import OrgState
    from clientorg.cli.rows import client_row as listed
    from clientorg.cluster.resources import CLIENT_ORGS
    from clientorg.reports.clients import client_row, clients_table

    as_ = chosen_format(format_, file, [*Format])
    check_bom(bom, as_)
    selection = Selection(
        states=known_values("--state", "state", several(state), [*OrgState]),
        plans=several(plan),
        pools=several(pool),
        tags=several(tag),
        search=search,
        label_selector=selector,
    )
    order, matches = sorter(sort_by), selection.matcher()
    reader = language_for(language, zone_of(time_zone) if time_zone else local_zone())
    destination = Destination(file, force=force, is_text=as_ == Format.CSV)

    def read(item: Json) -> tuple[Any, Any] | None:
        known = listed(item)
        return (known, client_row(item)) if matches(known) else None

    async with connect(target) as session:
        namespace = None if all_namespaces else session.namespace
        selectors = {"label_selector": selection.label_selector, "field_selector": selection.server_fields}
        found = await read_rows(session, CLIENT_ORGS, namespace, selectors, read)
    by_key = {known.key: row for known, row in found}
    rows = [by_key[known.key] for known in order([known for known, _ in found])]
    count = write_table(clients_table(rows, reader), as_, destination, bom=bom)
    tell(count, "client", destination)


@command(
    "export ledger",
    examples="""
    # Every posted transaction, in the order of the ledger
    $ --output ledger.xlsx
    # One month's charges; what one client had
    $ --month 2026-11 --kind charge --output charges.csv
    $ --client acme > acme.csv
    """,
)
async def export_ledger(
    target: Target,
    format_: FormatFlag = None,
    file: FileFlag = None,
    force: ForceFlag = False,
    all_namespaces: AllNamespaces = False,
    pool: Annotated[
        list[str] | None, typer.Option("--pool", metavar="NAME", help="Only this pool's ledger (repeatable).")
    ] = None,
    client: Annotated[
        list[str] | None, typer.Option("--client", metavar="NAME", help="Only of this client (repeatable).")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help="Only of this kind (repeatable).")
    ] = None,
    month: Annotated[
        str | None, typer.Option("--month", metavar="MONTH", help="Only posted in this month, for example 2026-11.")
    ] = None,
    language: LanguageFlag = None,
    time_zone: ZoneFlag = None,
    bom: BomFlag = False,
) -> None:
    """Export the points ledger: every posted transaction.

    One line an entry: accounts, amount, reason, reference, and what a charge was computed from.
    """
    from clientorg.api.pointtransaction import TransactionKind
    from clientorg.cluster.resources import POINT_TRANSACTIONS
    from clientorg.reports.ledger import is_posted, ledger_row, ledger_table

    as_ = chosen_format(format_, file, [*Format])
    check_bom(bom, as_)
    kinds = known_values("--kind", "kind", several(kind), [*TransactionKind])
    zone = zone_of(time_zone) if time_zone else local_zone()
    matches = _ledger_filter(several(pool), several(client), kinds, None if month is None else _bounds(month, zone))
    reader = language_for(language, zone)
    destination = Destination(file, force=force, is_text=as_ == Format.CSV)

    def read(item: Json) -> LedgerRow | None:
        row = ledger_row(item) if is_posted(item) else None
        return row if row is not None and matches(row) else None

    async with connect(target) as session:
        namespace = None if all_namespaces else session.namespace
        rows = await read_rows(session, POINT_TRANSACTIONS, namespace, _one("spec.kind", kinds), read)
    rows.sort(key=lambda row: row.order)
    count = write_table(ledger_table(rows, reader), as_, destination, bom=bom)
    tell(count, "entry", destination)


def _bounds(month: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    from clientorg.reports.statement import month_of

    check_month(month, zone, clock.now())
    return month_of(month, zone)[1:]


def _ledger_filter(
    pools: tuple[str, ...],
    clients: tuple[str, ...],
    kinds: tuple[str, ...],
    bounds: tuple[datetime, datetime] | None,
) -> Callable[[LedgerRow], bool]:
    def matches(row: LedgerRow) -> bool:
        return (
            (not pools or row.pool in pools)
            and (not clients or row.client in clients)
            and (not kinds or row.kind in kinds)
            and (bounds is None or (row.posted is not None and bounds[0] <= row.posted < bounds[1]))
        )

    return matches


def _one(path: str, values: tuple[str, ...]) -> dict[str, str | None]:
    """A selector for the server, which knows no "or"."""
    return {"field_selector": f"{path}={values[0]}" if len(values) == 1 else None}
