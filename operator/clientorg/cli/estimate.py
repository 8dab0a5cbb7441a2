"""`points estimate`: what is left after the next charge, for each client and for the agency (FEATURES S8, X4)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.dates import Calendar, calendar_of
from clientorg.cli.forecast import Forecast, forecast, position_of
from clientorg.cli.history import parse_moment
from clientorg.cli.options import DataOutput, OutputFlag, Target
from clientorg.cli.planrules import terms_or_none
from clientorg.cli.related import list_or_none
from clientorg.cli.session import connect
from clientorg.cli.table import Cell, as_document, cells, table
from clientorg.cli.terminal import colored, note, paint, say, warn
from clientorg.cli.text import joined, number, plain, plural
from clientorg.cli.watching import list_objects
from clientorg.domain.points_record import status_points
from clientorg.domain.timestamps import rfc3339
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session
    from clientorg.domain.billing import Charge

Json = dict[str, Any]


@dataclass(frozen=True)
class Need:
    """What the clients of a pool need so that none is below zero after the charges.

    Attributes:
        has: points of the pool; None: not there, or no right to read it.
        waiting: points that transactions ask for which are not posted.
        by: the earliest charge of a client that needs points.
    """

    pool: str
    has: int | None
    waiting: int
    charges: int
    needed: int
    clients: int
    by: datetime | None

    @property
    def missing(self) -> int:
        """Points that the pool lacks for it."""
        return max(0, self.needed + self.waiting - (self.has or 0))


@command(
    "points estimate",
    examples="""
    # Who is below zero after the next charge, and does the pool have enough?
    $
    # Two clients, at the end of March, if nothing changes
    $ acme globex --as-of 2027-03-31
    # For a script
    $ --pool tokyo -o json
    """,
)
async def estimate(
    target: Target,
    names: Annotated[list[str] | None, typer.Argument(metavar="CLIENT", help="Names; absent: all.")] = None,
    pool: Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Only the clients of this pool.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="TIME", help="All charges until then, instead of the next one.")
    ] = None,
    output: OutputFlag = DataOutput.TABLE,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Print no headings.")] = False,
) -> None:
    """Show what is left after the next charge.

    For each client its balance, what is pending, the next charge, the balance after it and how many such charges it
    covers; for the agency what its pool has, what all need, what is missing and by when. Computed by the function that
    charges.
    """
    now = clock.now()
    async with connect(target) as session:
        clients, plans, pools = await _read(session, tuple(dict.fromkeys(names or ())), pool)
    calendars = {name: calendar_of(plan) for name, plan in plans.items()}
    terms = {name: terms_or_none(plans.get(name)) for name in {item["spec"]["planRef"]["name"] for item in clients}}
    forecasts = []
    for client in clients:
        plan = client["spec"]["planRef"]["name"]
        until = _future(as_of, calendars.get(plan, Calendar()), now)
        forecasts.append(forecast(client, terms[plan], position_of(client), now, until))
    needs = list(needs_of(forecasts, pools))
    if output is not DataOutput.TABLE:
        whole = document(forecasts, needs, as_of)
        sys.stdout.write(as_document(whole, yaml=output is DataOutput.YAML))
        return
    for text in lines(forecasts, needs, calendars, as_of=as_of, headers=not no_headers, color=colored(sys.stdout)):
        say(text)
    if not forecasts:
        note(f"No clients in namespace {session.namespace}{f' in pool {pool}' if pool else ''}.")
    absent = sorted({one.plan for one in forecasts} - plans.keys())
    if absent:
        warn(f"plan {joined(absent)}: not there, or no right to read it; the charges of its clients are not known")


async def _read(
    session: Session, names: tuple[str, ...], pool: str | None
) -> tuple[list[Json], dict[str, Json], dict[str, Json]]:
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS

    async def clients() -> list[Json]:
        if names:
            found = await asyncio.gather(*(session.api.get(CLIENT_ORGS, session.namespace, name) for name in names))
            return [item for item in found if pool in (None, item["spec"]["poolRef"]["name"])]
        selector = f"spec.poolRef.name={pool}" if pool else None
        return (await list_objects(session.api, CLIENT_ORGS, session.namespace, field_selector=selector))[0]

    found, plans, pools = await asyncio.gather(
        clients(),
        list_or_none(session, ORG_PLANS, session.namespace),
        list_or_none(session, QUOTA_POOLS, session.namespace),
    )
    by_name = {item["metadata"]["name"]: item for item in pools or ()}
    if pool is not None and pools is not None and pool not in by_name:
        raise InputError(f"--pool: there is no pool {plain(pool)!r} in namespace {session.namespace}")
    return found, {plan["metadata"]["name"]: plan for plan in plans or ()}, by_name


def _future(as_of: str | None, calendar: Calendar, now: datetime) -> datetime | None:
    """--as-of in the calendar of a client's plan."""
    until = parse_moment(as_of, "--as-of", calendar)
    if until is not None and until < now:
        raise InputError(f"--as-of: {plain(as_of or '')} is in the past; for what was, see points history")
    return until


def needs_of(forecasts: Sequence[Forecast], pools: Mapping[str, Json]) -> Iterator[Need]:
    """What each pool's clients need together, by the pool's name."""
    for name in sorted({one.pool for one in forecasts}):
        mine = [one for one in forecasts if one.pool == name]
        short = [one for one in mine if one.accepts and one.needs(0)]
        points = status_points(pools.get(name))
        yield Need(
            pool=name,
            has=(points.get("balance") or 0) if name in pools else None,
            waiting=points.get("waiting") or 0,
            charges=sum(one.coming for one in mine),
            needed=sum(one.needs(0) for one in short),
            clients=len(short),
            by=min((one.charges[0].due for one in short if one.charges), default=None),
        )


def lines(
    forecasts: Sequence[Forecast],
    needs: Sequence[Need],
    calendars: Mapping[str, Calendar],
    *,
    as_of: str | None,
    headers: bool,
    color: bool,
) -> Iterator[str]:
    """The table of the clients, and a line for each pool."""
    if forecasts:
        points = "CHARGES UNTIL THEN" if as_of else "POINTS"
        top = ["CLIENT", "PLAN", "BALANCE", "PENDING", "NEXT CHARGE", "PERIOD", points, "PROJECTED", "RUNWAY"]
        body = [_row(one, calendars.get(one.plan, Calendar()), several=as_of is not None) for one in forecasts]
        yield from table(top, body, color=color, headers=headers)
        yield ""
    earliest = calendars.get(forecasts[0].plan, Calendar()) if forecasts else Calendar()
    for need in needs:
        yield _sentence(need, earliest, color=color)


def _row(one: Forecast, calendar: Calendar, *, several: bool) -> list[Cell]:
    charge, runway = one.next, one.runway
    taken = f"{len(one.charges)} × = {number(one.coming)}" if several else number(one.coming)
    return cells(
        one.name,
        one.plan,
        Cell(number(one.balance), "red" if one.balance < 0 else None, right=True),
        Cell(number(one.position.pending), right=True),
        calendar.full(charge.due) if charge is not None else f"- ({one.why_none})" if one.why_none else "-",
        charge.period if charge is not None else "-",
        Cell(taken if charge is not None else "-", right=True),
        Cell(number(one.projected), "red" if one.projected < 0 else None, right=True),
        Cell("-" if runway is None else str(runway), "yellow" if runway == 0 else None, right=True),
    )


def _sentence(need: Need, calendar: Calendar, *, color: bool) -> str:
    has = "an unknown number of" if need.has is None else number(need.has)
    waiting = f", {number(need.waiting)} of them asked for by what waits" if need.waiting else ""
    text = f"Pool {plain(need.pool)} has {has} points{waiting}; charges of all together: {number(need.charges)}. "
    if not need.needed:
        return text + "No client is below zero after them."
    by = f" by {calendar.full(need.by)}" if need.by is not None else ""
    text += (
        f"{plural(need.clients, 'client')} of it {'needs' if need.clients == 1 else 'need'} {number(need.needed)}{by}"
    )
    if need.has is None:
        return text + "."
    if not need.missing:
        return text + "; the pool has them: kubectl clientorg points replenish --all"
    lack = paint(f"{number(need.missing)} are missing", "red", enabled=color)
    return f"{text}; {lack}: kubectl clientorg points purchase {plain(need.pool)} {need.missing} --reference …"


def document(forecasts: Sequence[Forecast], needs: Sequence[Need], as_of: str | None) -> Json:
    """For -o json and yaml."""
    return {
        "asOf": as_of,
        "clients": [_client(one) for one in forecasts],
        "pools": [
            {
                "name": need.pool,
                "balance": need.has,
                "waiting": need.waiting,
                "charges": need.charges,
                "clientsInNeed": need.clients,
                "needed": need.needed,
                "missing": need.missing if need.has is not None else None,
                "neededBy": rfc3339(need.by) if need.by is not None else None,
            }
            for need in needs
        ],
    }


def _client(one: Forecast) -> Json:
    return {
        "name": one.name,
        "orgID": one.org_id or None,
        "pool": one.pool,
        "plan": one.plan,
        "contractedUsers": one.users,
        "balance": one.balance,
        "pending": one.position.pending,
        "charges": [_charge(charge) for charge in one.charges],
        "projected": one.projected,
        "runwayMonths": one.runway,
        "notCharged": one.why_none or None,
    }


def _charge(charge: Charge) -> Json:
    return {"period": charge.period, "due": rfc3339(charge.due), "points": charge.amount}
