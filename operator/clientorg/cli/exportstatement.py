"""`export statement`: a client's month on paper (FEATURES S12)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.exportflags import (
    BomFlag,
    FileFlag,
    ForceFlag,
    LanguageFlag,
    PlanZoneFlag,
    StatementFormat,
    StatementFormatFlag,
    check_bom,
    check_month,
    chosen_format,
    language_for,
    local_zone,
    zone_of,
)
from clientorg.cli.exporting import read_rows, write_table
from clientorg.cli.options import Target
from clientorg.cli.outfile import Destination
from clientorg.cli.session import Session, connect
from clientorg.cli.terminal import note
from clientorg.cli.text import plain

Json = dict[str, Any]


@command(
    "export statement",
    examples="""
    # To print, or to save as PDF from the browser
    $ acme --month 2026-11 --output acme-2026-11.html
    # In the client's language
    $ acme --month 2026-11 --language ja --output acme-2026-11.html
    # For a spreadsheet
    $ acme --month 2026-11 --output acme-2026-11.xlsx
    """,
)
async def export_statement(
    target: Target,
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="Name of the client.")],
    month: Annotated[str, typer.Option("--month", metavar="MONTH", help="Calendar month, for example 2026-11.")],
    format_: StatementFormatFlag = None,
    file: FileFlag = None,
    force: ForceFlag = False,
    language: LanguageFlag = None,
    time_zone: PlanZoneFlag = None,
    bom: BomFlag = False,
) -> None:
    """Export a client's statement of a month: balances, entries, and how each charge was computed.

    As HTML it is one page for itself that prints on A4.
    """
    from clientorg.cli.dates import calendar_of
    from clientorg.cli.related import read_or_none
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS
    from clientorg.reports.page import statement_page
    from clientorg.reports.statement import statement_of
    from clientorg.reports.statementlines import statement_table

    as_ = chosen_format(format_, file, [*StatementFormat])
    check_bom(bom, as_)
    zone = zone_of(time_zone) if time_zone else None
    now = clock.now()
    if zone is not None:
        check_month(month, zone, now)
    destination = Destination(file, force=force, is_text=as_ != StatementFormat.XLSX)
    async with connect(target) as session:
        found = await session.api.get(CLIENT_ORGS, session.namespace, client)
        plan = await read_or_none(session, ORG_PLANS, found["spec"]["planRef"]["name"])
        if zone is None:
            zone = zone_of(calendar_of(plan).name) if plan is not None else local_zone()
            check_month(month, zone, now)
        transactions = await _posted_for(session, found)
    sender = (((plan or {}).get("spec") or {}).get("notifications") or {}).get("senderName")
    reader = language_for(language, zone)
    statement = statement_of(found, transactions, month=month, zone=zone, agency=sender or session.namespace, now=now)
    if as_ == StatementFormat.HTML:
        with destination.open() as stream:
            stream.write(statement_page(statement, reader).encode())
    else:
        write_table(statement_table(statement, reader), as_, destination, bom=bom)
    if destination.path is not None:
        note(f"Wrote the statement of {plain(client)} for {month} to {plain(str(destination.path))}.")


async def _posted_for(session: Session, client: Json) -> list[Json]:
    """The transactions that were ever posted for a client; the server selects them by its Org ID."""
    from clientorg.cluster.resources import POINT_TRANSACTIONS

    org_id = (client.get("status") or {}).get("orgID")
    if not org_id:
        return []
    selectors: dict[str, str | None] = {"field_selector": f"status.orgID={org_id}"}
    return await read_rows(session, POINT_TRANSACTIONS, session.namespace, selectors, lambda item: item)
