"""`points history`: what moved in an account, and what it had after each entry (FEATURES S6, X3)."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.api.pointtransaction import PERIOD_PATTERN
from clientorg.cli.app import command
from clientorg.cli.dates import Calendar, calendar_of
from clientorg.cli.options import ReportOutput, Target
from clientorg.cli.pointrows import (
    CSV_HEADER,
    HistoryRow,
    between,
    charge_in,
    csv_row,
    document,
    explain,
    header,
    history,
    row_cells,
)
from clientorg.cli.related import read_or_none
from clientorg.cli.session import connect
from clientorg.cli.table import as_csv, as_document, cells, table, without_managed_fields
from clientorg.cli.terminal import colored, note, say
from clientorg.cli.text import plain
from clientorg.cli.watching import list_objects
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]


@command(
    "points history",
    examples="""
    # All that moved in a client's account, with the balance after each entry
    $ acme
    # Why was so much charged in November?
    $ acme --explain 2026-11
    # The agency's own account, of a month, for a spreadsheet
    $ --pool tokyo --since 2026-11-01 --until 2026-12-01 -o csv
    """,
)
async def show_history(
    target: Target,
    client: Annotated[str | None, typer.Argument(metavar="CLIENT", help="Name of the client.")] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="NAME", help="The account of this pool instead.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="From then on.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then.")] = None,
    explained: Annotated[
        str | None,
        typer.Option("--explain", metavar="PERIOD", help="Why the charge of this period, for example 2026-11?"),
    ] = None,
    output: Annotated[ReportOutput, typer.Option("--output", "-o", help="How to print.")] = ReportOutput.TABLE,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Print no headings.")] = False,
) -> None:
    """Show the entries of an account.

    Each with its number, time, kind, period, amount, the balance after it, who asked for it and why; below them what
    is not posted yet. Times are those of the client's plan, or of the pool; TIME is a date or a time in that zone.
    """
    if (client is None) == (pool is None):
        raise InputError("say whose account: the name of a client, or --pool NAME")
    if explained is not None and (client is None or since or until):
        raise InputError("--explain: it is about one charge of a client; leave out --pool, --since and --until")
    if explained is not None and not re.fullmatch(PERIOD_PATTERN, explained):
        raise InputError(f"--explain: {plain(explained)!r} is not a period; write for example 2026-11")
    async with connect(target) as session:
        if client is not None:
            account, items, calendar = await _client(session, client)
        else:
            account, items, calendar = await _pool(session, pool or "")
    if explained is not None and client is not None:
        _print_charge(charge_in(items, client, explained), items, calendar, output)
        return
    span = parse_moment(since, "--since", calendar), parse_moment(until, "--until", calendar)
    rows = between(history(account, items), *span)
    _print(account, rows, calendar, output, headers=not no_headers)


async def _client(session: Session, name: str) -> tuple[str, list[Json], Calendar]:
    """The client's account, its transactions and its calendar; what another client of that name had is left out."""
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    account, org_id = f"org/{name}", (client.get("status") or {}).get("orgID")
    plan, items = await asyncio.gather(
        read_or_none(session, ORG_PLANS, client["spec"]["planRef"]["name"]), transactions_of(session, account)
    )
    mine = [t for t in items if _org_id(t) in (None, org_id)]
    if len(mine) < len(items):
        note(f"({len(items) - len(mine):,} transactions of an earlier client of that name are not shown)")
    return account, mine, calendar_of(plan)


def _org_id(item: Json) -> str | None:
    found: str | None = (item.get("status") or {}).get("orgID") or item["spec"].get("orgID")
    return found


async def _pool(session: Session, name: str) -> tuple[str, list[Json], Calendar]:
    from clientorg.cluster.resources import QUOTA_POOLS

    account = f"pool/{name}"
    pool, items = await asyncio.gather(
        session.api.get(QUOTA_POOLS, session.namespace, name), transactions_of(session, account)
    )
    zone = (pool["spec"].get("points") or {}).get("timeZone") or "UTC"
    return account, items, calendar_of({"spec": {"timeZone": zone}})


async def transactions_of(session: Session, account: str) -> list[Json]:
    """Every transaction from or to the account."""
    from clientorg.cluster.resources import POINT_TRANSACTIONS

    (out, _), (into, _) = await asyncio.gather(
        *(
            list_objects(session.api, POINT_TRANSACTIONS, session.namespace, field_selector=f"spec.{side}={account}")
            for side in ("from", "to")
        )
    )
    return [*out, *into]


def parse_moment(text: str | None, flag: str, calendar: Calendar) -> datetime | None:
    """A date, which is its midnight, or a time; without an offset it is in the calendar's zone.

    Raises:
        InputError: it is neither.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"{flag}: {plain(text)!r} is not a date; write for example 2026-11-25 or 2026-11-25T09:00:00Z"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=calendar.zone)


def _print(account: str, rows: list[HistoryRow], calendar: Calendar, output: ReportOutput, *, headers: bool) -> None:
    if output is ReportOutput.CSV:
        sys.stdout.write(as_csv(CSV_HEADER, (csv_row(account, row) for row in rows), headers=headers))
    elif output in (ReportOutput.JSON, ReportOutput.YAML):
        whole = {"account": account, "entries": [document(row) for row in rows]}
        sys.stdout.write(as_document(whole, yaml=output is ReportOutput.YAML))
    elif not rows:
        note(f"No entries in {account}.")
    else:
        wide = output is ReportOutput.WIDE
        body = [cells(*row_cells(row, calendar, wide=wide)) for row in rows]
        for text in table(header(wide=wide), body, color=colored(sys.stdout), headers=headers):
            say(text)


def _print_charge(item: Json, items: list[Json], calendar: Calendar, output: ReportOutput) -> None:
    if output in (ReportOutput.JSON, ReportOutput.YAML):
        sys.stdout.write(as_document(without_managed_fields(item), yaml=output is ReportOutput.YAML))
        return
    if output is ReportOutput.CSV:
        raise InputError("--explain: it is printed as text, json or yaml, not as csv")
    for text in explain(item, items, calendar):
        say(text)
