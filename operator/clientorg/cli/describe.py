"""`describe`: everything about a client on one page, and what to do when it is not Ready (FEATURES W6, Z9)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clientorg.cli import clock
from clientorg.cli.advice import advice
from clientorg.cli.app import command
from clientorg.cli.columns import READY_COLORS, STATE_COLORS, percent_cell
from clientorg.cli.dates import calendar_of
from clientorg.cli.options import NamesArgument, Target
from clientorg.cli.related import list_or_none, read_or_none
from clientorg.cli.rows import ClientRow, client_row
from clientorg.cli.session import connect
from clientorg.cli.table import Cell, cells, pairs, table
from clientorg.cli.terminal import Color, colored, complain, paint, say
from clientorg.cli.text import age, number, plain
from clientorg.domain.timestamps import timestamp

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

INDENT = "  "
MOST_EVENTS = 15


@dataclass(frozen=True)
class Facts:
    """What the page is made of. None: could not be read (no right, or not there)."""

    client: Json
    plan: Json | None
    pool: Json | None
    events: Sequence[Json] | None


@command(
    "describe",
    examples="""
    # All about a client
    $ acme
    # Several at once, of another agency
    $ acme globex -n agency-osaka
    """,
)
async def describe_clients(
    target: Target,
    names: NamesArgument,
) -> None:
    """Show all about clients, and what to do.

    Contact, plan, licenses used and granted, approval, users, points, the end of the contract, workspace, admins,
    conditions, recent events; and, for a client that is not Ready, the commands that help.
    """
    from clientorg.cli.failures import explain
    from clientorg.errors import NotFoundError

    missing: NotFoundError | None = None
    async with connect(target) as session:
        for index, name in enumerate(dict.fromkeys(names)):
            try:
                facts = await gather(session, name)
            except NotFoundError as error:
                if missing is not None:
                    complain(explain(missing)[0])
                missing = error  # the others are shown all the same
                continue
            if index:
                say("\n")
            for text in page(facts, clock.now(), color=colored(sys.stdout)):
                say(text)
    if missing is not None:
        raise missing


async def gather(session: Session, name: str) -> Facts:
    """Read the client and what belongs to it; only the client itself must be readable."""
    from clientorg.cluster.resources import CLIENT_ORGS, EVENTS, ORG_PLANS, QUOTA_POOLS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    row = client_row(client)
    plan, pool, events = await asyncio.gather(
        read_or_none(session, ORG_PLANS, row.plan),
        read_or_none(session, QUOTA_POOLS, row.pool),
        list_or_none(session, EVENTS, session.namespace, field_selector=f"regarding.uid={row.uid}"),
    )
    return Facts(client, plan, pool, events)


def page(facts: Facts, now: datetime, *, color: bool) -> Iterator[str]:
    """The lines of the page."""
    from clientorg.cli.accountpage import sections
    from clientorg.cli.lifepage import reminder_lines

    row, calendar = client_row(facts.client), calendar_of(facts.plan)
    yield from pairs(_head(facts, row, now, color=color))
    for title, lines in (
        ("Contact", list(pairs(_contact(facts.client.get("spec") or {}), INDENT))),
        ("Licenses", list(_licenses(row, facts.pool, color=color))),
        *sections(facts.client, facts.plan, calendar, now, color=color),
        ("Deactivation", list(_indented(reminder_lines(facts.client, facts.plan, calendar, now, color=color)))),
        ("Admins", list(_admins(facts.client, color=color))),
        ("Conditions", list(_conditions(facts.client, now, color=color))),
        ("Events", list(_events(facts.events, now, color=color))),
        ("What to do", [INDENT + plain(text) for text in advice(facts.client, facts.pool, now, facts.plan)]),
    ):
        if lines:
            yield ""
            yield paint(title, "bold", enabled=color)
            yield from lines


def _head(facts: Facts, row: ClientRow, now: datetime, *, color: bool) -> Iterator[tuple[str, str]]:
    from clientorg.cli.lifepage import life_head

    def tinted(text: str, colors: dict[str, Any]) -> str:
        return paint(plain(text) or "-", colors.get(text), enabled=color)

    yield "Name", plain(row.name)
    yield "Namespace", plain(row.namespace)
    yield "Display name", plain(row.display_name)
    yield "State", tinted(row.state, STATE_COLORS)
    ready = f"{tinted(row.ready, READY_COLORS)} ({plain(row.reason)})" if row.ready else "- (not seen by the operator)"
    yield "Ready", ready
    if row.message:
        yield "", plain(row.message)
    yield from life_head(facts.client, calendar_of(facts.plan), now)
    if row.queue_position is not None:
        yield "Queue", f"position {row.queue_position} in pool {row.pool}, for {age(row.waiting_since, now)}"
    yield "Plan", plain(row.plan) + _aside(facts.plan)
    yield "Pool", plain(row.pool) + _aside(facts.pool)
    yield "Org ID", plain(row.org_id) or "-"
    yield "Workspace", plain(row.workspace) or "-"
    if row.url:
        yield "URL", plain(row.url)
    if row.tags:
        yield "Tags", plain(", ".join(row.tags))
    created = row.created.strftime("%Y-%m-%d %H:%M UTC") if row.created else "-"
    yield "Created", f"{created} ({age(row.created, now)} ago)"


def _aside(item: Json | None) -> str:
    if item is None:
        return " (not found, or no right to read it)"
    name = (item.get("spec") or {}).get("displayName")
    return f" ({plain(name)})" if name else ""


def _contact(spec: Json) -> Iterator[tuple[str, str]]:
    contact, address = spec.get("contact") or {}, spec.get("address") or {}
    lines = (
        ("Name", f"{contact.get('firstName', '')} {contact.get('lastName', '')}".strip()),
        ("Email", contact.get("email")),
        ("Language", contact.get("language")),
        ("Phone", contact.get("phone")),
        ("Organization", spec.get("organization")),
        ("Industry", spec.get("industry")),
        ("Street", address.get("street")),
        ("City", " ".join(part for part in (address.get("postalCode"), address.get("city")) if part)),
        ("Region", address.get("region")),
        ("Country", address.get("country")),
    )
    return ((label, plain(value)) for label, value in lines if value)


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (INDENT + text for text in lines)


def _licenses(row: ClientRow, pool: Json | None, *, color: bool) -> Iterator[str]:
    books = {e["name"]: e for e in ((pool or {}).get("status") or {}).get("licenses") or ()}
    body = []
    for item in row.licenses:
        remaining = item.remaining
        low = remaining is not None and bool(item.granted) and remaining <= (item.granted or 0) // 10
        body.append(
            cells(
                item.name,
                Cell(number(item.wanted), "yellow" if item.missing else None, right=True),
                Cell(number(item.granted), right=True),
                Cell(number(item.used), right=True),
                Cell(number(remaining), "yellow" if low else None, right=True),
                Cell(number(books.get(item.name, {}).get("available")), right=True),
                percent_cell(item.percent),
            )
        )
    header = ["LICENSE", "WANTED", "GRANTED", "USED", "REMAINING", "LEFT IN POOL", "PERCENT"]
    return _indented(table(header, body, color=color)) if body else iter(())


def _admins(client: Json, *, color: bool) -> Iterator[str]:
    admins = (client.get("spec") or {}).get("admins") or ()
    body = [cells(a["name"], a.get("kind", "User"), a.get("role", "ReadOnly"), a.get("email") or "-") for a in admins]
    return _indented(table(["NAME", "KIND", "ROLE", "EMAIL"], body, color=color)) if body else iter(())


def _conditions(client: Json, now: datetime, *, color: bool) -> Iterator[str]:
    body = []
    for entry in (client.get("status") or {}).get("conditions") or ():
        kind, status = entry.get("type", ""), entry.get("status", "")
        tint: Color = "green" if status == _GOOD.get(kind, "True") else "yellow" if _is_mild(kind, status) else "red"
        body.append(
            cells(
                kind,
                Cell(plain(status), tint),
                age(entry.get("lastTransitionTime"), now),
                entry.get("reason", ""),
                entry.get("message", ""),
            )
        )
    return _indented(table(["TYPE", "STATUS", "AGE", "REASON", "MESSAGE"], body, color=color)) if body else iter(())


_GOOD = {
    "Reconciling": "False",
    "Stalled": "False",
    "OverCommitted": "False",
    "Paused": "False",
    "PauseBlocked": "False",
    "NotificationFailing": "False",
    "BalanceNegative": "False",
    "UsersOverLimit": "False",
}
"""By condition: the status that is well, where it is not True."""


def _is_mild(kind: str, status: str) -> bool:
    return status == "Unknown" or kind in ("Reconciling", "Paused", "UsageReported", "Approved")


def _events(events: Sequence[Json] | None, now: datetime, *, color: bool) -> Iterator[str]:
    if events is None:
        return iter((f"{INDENT}(no right to read them)",))

    def last_seen(event: Json) -> str:
        series = event.get("series") or {}
        times = (series.get("lastObservedTime"), event.get("eventTime"), event.get("deprecatedLastTimestamp"))
        return next((t for t in times if t), event["metadata"].get("creationTimestamp") or "")

    recent = sorted(events, key=lambda event: timestamp(last_seen(event)) or datetime.min.replace(tzinfo=UTC))
    body = [
        cells(
            age(last_seen(event), now),
            Cell(plain(event.get("type", "")), "yellow" if event.get("type") == "Warning" else None),
            event.get("reason", ""),
            str((event.get("series") or {}).get("count") or event.get("deprecatedCount") or 1),
            event.get("note", ""),
        )
        for event in recent[-MOST_EVENTS:]
    ]
    return _indented(table(["AGE", "TYPE", "REASON", "COUNT", "NOTE"], body, color=color)) if body else iter(())
