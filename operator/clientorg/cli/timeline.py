"""`timeline`: what happened to a client, and what will happen when (FEATURES Z6-Z9)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.dates import Calendar, calendar_of, relative
from clientorg.cli.options import DataOutput, OutputFlag, Target
from clientorg.cli.planrules import rules_or_none
from clientorg.cli.related import read_terms
from clientorg.cli.session import connect
from clientorg.cli.table import Cell, as_document, cells, table
from clientorg.cli.terminal import Color, colored, note, paint, say
from clientorg.cli.text import plain
from clientorg.domain.timestamps import rfc3339

if TYPE_CHECKING:
    from clientorg.cli.timelinerows import Entry

Json = dict[str, Any]

_COLORS: dict[str, Color] = {
    "Purge": "red",
    "PurgeStarted": "red",
    "Purged": "red",
    "Deleting": "red",
    "Stalled": "red",
    "PauseBlocked": "red",
    "MessagesFail": "red",
    "Rejected": "red",
    "BalanceNegative": "red",
    "PausedForBalance": "red",
    "ApprovalOverdue": "red",
    "TooManyUsers": "red",
    "Terminated": "red",
    "Termination": "red",
    "ApprovalDue": "yellow",
    "Charge": "cyan",
    "Approved": "green",
    "Deactivated": "yellow",
    "Paused": "yellow",
    "NotReady": "yellow",
    "GraceEnds": "yellow",
    "Reminder": "yellow",
    "ThresholdReached": "yellow",
    "LicensesMissing": "yellow",
    "WorkspaceNotReady": "yellow",
    "UsageStale": "yellow",
    "Ready": "green",
    "Resumed": "green",
    "WorkspaceReady": "green",
    "LicensesGranted": "green",
}


@command(
    "timeline",
    examples="""
    # In the time zone of the client's plan: what was, and what comes
    $ acme
    # What was and what comes, in UTC
    $ acme --utc
    # For another program
    $ acme -o json
    """,
)
async def show_timeline(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.")],
    utc: Annotated[bool, typer.Option("--utc", help="Times in UTC. Default: in the time zone of the plan.")] = False,
    output: OutputFlag = DataOutput.TABLE,
) -> None:
    """Show what happened to a client and what comes.

    Approval, grants, pauses, thresholds, charges, messages, Events, contract's end, reminders and deletion: what was
    and what will be in one list. The API server keeps Events for an hour by default; the rest is from the client's
    status.
    """
    from clientorg.cli.accountentries import account_entries
    from clientorg.cli.describe import gather
    from clientorg.cli.timelinerows import timeline

    now = clock.now()
    async with connect(target) as session:
        facts = await gather(session, name)
    calendar, rules = calendar_of(facts.plan, utc=utc), rules_or_none(facts.plan)
    entries = timeline(
        facts.client,
        facts.pool,
        read_terms(facts.plan),
        facts.events or (),
        calendar_of(facts.plan),
        now,
        account_entries(facts.client, rules.billing if rules is not None else None, now),
    )
    if output is DataOutput.TABLE:
        for text in page(entries, calendar, now, color=colored(sys.stdout)):
            say(text)
    else:
        whole = document(facts.client, entries, calendar, now)
        sys.stdout.write(as_document(whole, yaml=output is DataOutput.YAML))
        sys.stdout.flush()
    if facts.events is None:
        note("(Events are not shown: no right to read them)")
    if facts.plan is None:
        why = "the plan is not there, or there is no right to read it"
        note(f"(times are in UTC, reminders and charges not shown: {why})")
    if facts.pool is None:
        note("(when counts begin anew is not shown: the pool is not there, or there is no right to read it)")


def page(entries: Sequence[Entry], calendar: Calendar, now: datetime, *, color: bool) -> Iterator[str]:
    """The table, with a line for now between what was and what comes."""
    past = [entry for entry in entries if not entry.is_coming]
    coming = [entry for entry in entries if entry.is_coming]
    body = [
        *(_row(entry, calendar, now) for entry in past),
        cells(Cell(calendar.text(now), "bold"), Cell("now", "bold"), Cell("-" * 8, "bold"), "", ""),
        *(_row(entry, calendar, now) for entry in coming),
    ]
    header = [f"TIME ({calendar.name})", "WHEN", "WHAT", "SOURCE", "DETAIL"]
    yield from table(header, body, color=color)
    if not coming:
        yield paint("Nothing is due.", "dim", enabled=color)


def _row(entry: Entry, calendar: Calendar, now: datetime) -> list[Cell]:
    when = "due" if entry.when(now) == "due" else relative(entry.time if entry.is_coming else min(entry.time, now), now)
    what = Cell(plain(entry.what), _COLORS.get(entry.what))
    return cells(calendar.text(entry.time), when, what, entry.source.value, entry.detail)


def document(client: Json, entries: Sequence[Entry], calendar: Calendar, now: datetime) -> Json:
    """The list as data; times are in UTC, the zone is said beside them."""
    return {
        "namespace": client["metadata"]["namespace"],
        "name": client["metadata"]["name"],
        "now": rfc3339(now),
        "timeZone": calendar.name,
        "entries": [entry.document(now) for entry in entries],
    }
