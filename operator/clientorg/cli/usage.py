"""`usage`: what clients use of what they have, who counted it, and how old that is (FEATURES Z5, Z6)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.columns import STATE_COLORS, percent_cell
from clientorg.cli.dates import Calendar, calendar_of
from clientorg.cli.options import ReportOutput, Target
from clientorg.cli.related import list_or_none, read_or_none
from clientorg.cli.session import connect
from clientorg.cli.table import Cell, as_csv, as_document, cells, table
from clientorg.cli.terminal import colored, note, paint, say
from clientorg.cli.text import joined, number, plain
from clientorg.cli.usagerows import (
    CSV_HEADER,
    ClientUse,
    LicenseUse,
    by_org_id,
    by_use,
    client_use,
    csv_rows,
    document,
)
from clientorg.cli.watching import list_objects

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]


@command(
    "usage",
    examples="""
    # Who has used up most? All clients of the agency
    $
    # One client: its licenses, thresholds, who counted and when
    $ acme
    # For a spreadsheet, of all agencies
    $ -A -o csv > usage.csv
    """,
)
async def show_usage(
    target: Target,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of the client; absent: all.")] = None,
    output: Annotated[ReportOutput, typer.Option("--output", "-o", help="How to print.")] = ReportOutput.TABLE,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="The clients of all agencies.")
    ] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Print no headings.")] = False,
) -> None:
    """Show what clients use of their licenses.

    Used, granted, remaining, the running period, the thresholds that were reached, and when it was last reported; the
    fullest first. Of one client also who has counted.
    """
    from clientorg.errors import InputError

    if name is not None and all_namespaces:
        raise InputError("--all-namespaces: a client's name belongs to one namespace; give -n, or no name")
    now = clock.now()
    async with connect(target) as session:
        if name is not None:
            use, hidden = await _one(session, name, now)
            uses = [use]
        else:
            uses, hidden = await _all(session, None if all_namespaces else session.namespace, now)
    if name is not None and output in (ReportOutput.TABLE, ReportOutput.WIDE):
        for text in page(uses[0], now, color=colored(sys.stdout), headers=not no_headers):
            say(text)
    else:
        _print(uses, output, now, single=name is not None, headers=not no_headers, namespaces=all_namespaces)
    if hidden:
        note(f"(not everything is shown: {joined(hidden)} are not there, or there is no right to read them)")
    if not uses:
        note(f"No clients in {'any namespace' if all_namespaces else f'namespace {session.namespace}'}.")


async def _one(session: Session, name: str, now: datetime) -> tuple[ClientUse, list[str]]:
    """The use of a client, and what could not be read for it."""
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS, USAGE_REPORTS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    spec, org_id = client["spec"], (client.get("status") or {}).get("orgID")
    selector = f"spec.orgID={org_id or '-'}"
    plan, pool, reports = await asyncio.gather(
        read_or_none(session, ORG_PLANS, spec["planRef"]["name"]),
        read_or_none(session, QUOTA_POOLS, spec["poolRef"]["name"]),
        list_or_none(session, USAGE_REPORTS, session.namespace, field_selector=selector),
    )
    hidden = _hidden(plans=plan, pools=pool, usagereports=reports)
    return client_use(client, reports or (), pool, calendar_of(plan), now), hidden


def _hidden(**found: Any) -> list[str]:
    return [what for what, items in found.items() if items is None]


async def _all(session: Session, namespace: str | None, now: datetime) -> tuple[list[ClientUse], list[str]]:
    """The use of every client, the fullest first, and what could not be read for it."""
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS, USAGE_REPORTS

    (clients, _), plans, pools, reports = await asyncio.gather(
        list_objects(session.api, CLIENT_ORGS, namespace),
        list_or_none(session, ORG_PLANS, namespace),
        list_or_none(session, QUOTA_POOLS, namespace),
        list_or_none(session, USAGE_REPORTS, namespace),
    )
    calendars = {_key(plan): calendar_of(plan) for plan in plans or ()}
    stock = {_key(pool): pool for pool in pools or ()}
    of_org = by_org_id(reports or ())
    uses = []
    for client in clients:
        where, spec = client["metadata"]["namespace"], client["spec"]
        own = of_org.get((client.get("status") or {}).get("orgID") or "", ())
        mine = [report for report in own if report["metadata"]["namespace"] == where]
        calendar = calendars.get((where, spec["planRef"]["name"]), Calendar())
        uses.append(client_use(client, mine, stock.get((where, spec["poolRef"]["name"])), calendar, now))
    return by_use(uses), _hidden(plans=plans, pools=pools, usagereports=reports)


def _key(item: Json) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _print(
    uses: Sequence[ClientUse], output: ReportOutput, now: datetime, *, single: bool, headers: bool, namespaces: bool
) -> None:
    if output is ReportOutput.CSV:
        rows = [row for use in uses for row in csv_rows(use)]
        sys.stdout.write(as_csv(CSV_HEADER, rows, headers=headers))
    elif output in (ReportOutput.JSON, ReportOutput.YAML):
        whole = document(uses[0]) if single else {"clients": [document(use) for use in uses]}
        sys.stdout.write(as_document(whole, yaml=output is ReportOutput.YAML))
    elif uses:
        wide = output is ReportOutput.WIDE
        body = [_row(use, item, now, wide=wide, namespaces=namespaces) for use in uses for item in use.licenses]
        for text in table(_header(wide=wide, namespaces=namespaces), body, color=colored(sys.stdout), headers=headers):
            say(text)


_NUMBERS = ("LICENSE", "USED", "GRANTED", "REMAINING", "PERCENT", "PERIOD", "THRESHOLDS", "REPORTED")


def _header(*, wide: bool, namespaces: bool) -> list[str]:
    front = [*(["NAMESPACE"] if namespaces else []), "CLIENT", "STATE"]
    return [*front, *_NUMBERS, *(["NEXT PERIOD", "SOURCES", "ORG ID", "DISPLAY NAME"] if wide else [])]


def _row(use: ClientUse, item: LicenseUse, now: datetime, *, wide: bool, namespaces: bool) -> list[Cell]:
    return cells(
        *([use.namespace] if namespaces else []),
        use.name,
        Cell(plain(use.state or "-"), STATE_COLORS.get(use.state)),
        *_license_cells(use, item, now),
        *(
            (
                use.calendar.full(item.next_period) if item.next_period else "-",
                ",".join(use.sources_of(item.name)) or "-",
                use.org_id or "-",
                use.display_name or "-",
            )
            if wide
            else ()
        ),
    )


def _license_cells(use: ClientUse, item: LicenseUse, now: datetime) -> list[str | Cell]:
    source = use.newest(item.name)
    ago = "never" if source is None else source.text(now)
    return [
        item.name,
        Cell(number(item.used), right=True),
        Cell(number(item.granted), right=True),
        Cell(number(item.remaining), "red" if (item.remaining or 0) < 0 else None, right=True),
        percent_cell(item.percent),
        item.period or "-",
        ",".join(f"{percent}%" for percent, _ in item.thresholds) or "-",
        Cell(f"{ago} (stale)", "yellow") if use.stale and source else ago,
    ]


def page(use: ClientUse, now: datetime, *, color: bool, headers: bool = True) -> Iterator[str]:
    """The lines on one client."""
    title = f"{plain(use.name)}" + (f" ({plain(use.display_name)})" if use.display_name else "")
    state = paint(plain(use.state) or "-", STATE_COLORS.get(use.state), enabled=color)
    yield f"{paint(title, 'bold', enabled=color)}  {state}, pool {plain(use.pool)}, Org ID {plain(use.org_id) or '-'}"
    body = [cells(*_license_cells(use, item, now)) for item in use.licenses]
    yield from table(_NUMBERS, body, color=color, headers=headers)
    for item in use.licenses:
        if item.next_period is not None:
            anew = use.calendar.with_distance(item.next_period, now)
            yield f"The count of {plain(item.name)} begins anew {anew}."
    if use.sources:
        yield ""
        yield paint("Sources", "bold", enabled=color)
        body = [
            cells(
                source.source,
                source.license,
                Cell(number(source.value), right=True),
                Cell(number(source.total), right=True),
                source.text(now),
            )
            for source in use.sources
        ]
        yield from table(["SOURCE", "LICENSE", "COUNTER", "COUNTED", "REPORTED"], body, color=color)
    else:
        yield "Nothing was reported yet."
    if use.stale:
        yield ""
        yield paint(f"Stale: {plain(use.stale)}", "yellow", enabled=color)
    for name, why in use.refused:
        yield paint(f"Not counted: usagereport {plain(name)}: {plain(why)}", "yellow", enabled=color)
