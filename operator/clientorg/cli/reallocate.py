"""`reallocate`: adjust a client's licenses, or move them from another client in one step (FEATURES Z4, Z5)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.cli.allocation import (
    CLIENT_HEADER,
    POOL_HEADER,
    Change,
    Plan,
    client_cells,
    licenses_patch,
    move,
    pool_cells,
    set_quantity,
)
from clientorg.cli.app import command
from clientorg.cli.exits import NotReachedError
from clientorg.cli.gitguard import guard
from clientorg.cli.options import DryRun, DryRunFlag, ForceFlag, Target, WaitFlag, YesFlag
from clientorg.cli.rows import condition
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.table import table
from clientorg.cli.terminal import colored, confirm, interactive, note, say, warn
from clientorg.cli.text import number, parse_count
from clientorg.cli.waiting import parse_wait, wait_until
from clientorg.errors import ConflictError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

TRIES = 5


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    client: str
    license: str
    to: int | None
    by: int | None
    source: str | None
    force: bool = False


@dataclass(frozen=True)
class Read:
    """The objects that a plan was computed from, and the plan."""

    receiver: Json
    source: Json | None
    plan: Plan

    def client(self, change: Change) -> Json:
        """The object of a change."""
        return self.receiver if change is self.plan.changes[0] or self.source is None else self.source


@command(
    "reallocate",
    examples="""
    # Give a client exactly 80,000 visitors; see what would happen first
    $ acme --license visitors --to 80000 --dry-run
    # 5,000 more, 5,000 fewer
    $ acme --license visitors --by +5000
    $ acme --license visitors --by -5000
    # Move 10,000 from globex to acme in one step, without a question, and wait until both show it
    $ acme --license visitors --from globex --by 10000 --yes --wait=2m
    """,
)
async def reallocate(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.")],
    license_name: Annotated[str, typer.Option("--license", metavar="LICENSE", help="Name of the license.")],
    to: Annotated[str | None, typer.Option("--to", metavar="N", help="The quantity it is to have.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="±N", help="How many more or fewer; with --from how many move.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="CLIENT", help="Move them from this client of the same pool.")
    ] = None,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    force: ForceFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Adjust licenses, or move them between clients.

    Shows a table of before and after, and asks on a terminal. Never below what is used.
    """
    wish = Wish(name, license_name, *_amounts(to, by, source), source, force)
    seconds = parse_wait(wait)
    async with connect(target) as session:
        await _reallocate(session, wish, ask=not yes and interactive(), dry_run=dry_run, wait_seconds=seconds)


def _amounts(to: str | None, by: str | None, source: str | None) -> tuple[int | None, int | None]:
    """--to and --by as numbers.

    Raises:
        InputError: not exactly what one of the three ways needs.
    """
    if source is not None and (to is not None or by is None):
        raise InputError("--from: say with --by how many licenses move (and not --to)")
    if (to is None) == (by is None):
        raise InputError("say how many: --to N for exactly so many, or --by +N or -N; and --from CLIENT to move them")
    if to is not None:
        return parse_count(to, "--to"), None
    assert by is not None
    text = by.strip()
    sign = -1 if text[:1] in ("-", "−") else 1
    return None, sign * parse_count(text[1:] if text[:1] in ("+", "-", "−") else text, "--by")


async def _reallocate(session: Session, wish: Wish, *, ask: bool, dry_run: DryRun, wait_seconds: float | None) -> None:
    agreed: Plan | None = None
    for attempt in range(TRIES):
        read = await look(session, wish)
        if read.plan.is_move or read.plan.available_after is not None:
            # What the pool lacks we say ourselves; of a move the policy sees only the receiver's half.
            session.warnings.muted_policies.add(LICENSE_WARNINGS)
        if read.plan.changes_nothing:
            say(f"clientorg.clientorg.dev/{wish.client} unchanged: it has {number(read.plan.changes[0].after)} "
                f"{wish.license} already")  # fmt: skip
            break
        if attempt == 0:
            guard(_patches(read), force=wish.force, dry_run=dry_run)
        if agreed is None or _numbers(agreed) != _numbers(read.plan):
            _show(read.plan)
        try:
            if dry_run is not DryRun.NONE or read.plan.is_move:
                await _rehearse(session, read, dry_run)
            if dry_run is not DryRun.NONE:
                _report(read.plan, dry_run)
                return
            # Asked again only when somebody else's change made other numbers of the same wish.
            if ask and (agreed is None or _numbers(agreed) != _numbers(read.plan)) and not confirm("Go on?"):
                raise InputError("nothing was changed")
            agreed = read.plan
            await carry_out(session, read)
        except ConflictError:
            if attempt == TRIES - 1:
                raise
            continue
        _report(read.plan, dry_run)
        break
    if wait_seconds is not None and dry_run is DryRun.NONE:
        await _wait(session, read.plan, wait_seconds)


async def look(session: Session, wish: Wish) -> Read:
    """The clients and the pool, and what the wish makes of them.

    Raises:
        InputError: it cannot be.
    """
    import asyncio

    from clientorg.cluster.resources import CLIENT_ORGS, QUOTA_POOLS
    from clientorg.errors import ApiError

    async def client(name: str | None) -> Json | None:
        return None if name is None else await session.api.get(CLIENT_ORGS, session.namespace, name)

    receiver, source = await asyncio.gather(client(wish.client), client(wish.source))
    assert receiver is not None
    try:
        pool = await session.api.get(QUOTA_POOLS, session.namespace, receiver["spec"]["poolRef"]["name"])
    except ApiError as error:
        note(f"(the pool's numbers are not shown: {error.message})")
        pool = None
    if source is None:
        plan = set_quantity(receiver, pool, wish.license, to=wish.to, by=wish.by)
    else:
        plan = move(receiver, source, pool, wish.license, wish.by or 0)
    return Read(receiver, source, plan)


def _numbers(plan: Plan) -> list[tuple[int, int]]:
    return [(change.before, change.after) for change in plan.changes]


def _show(plan: Plan) -> None:
    color = colored(sys.stdout)
    for header, rows in ((CLIENT_HEADER, list(client_cells(plan))), (POOL_HEADER, list(pool_cells(plan)))):
        if rows:
            for text in table(header, rows, color=color):
                say(text)
            say("")
    if plan.filled:
        receiver = plan.changes[0].client
        say(f"{receiver} waits already; {number(plan.filled)} of the {plan.license} that move fill what it asked for.")
    sys.stdout.flush()
    if plan.shortage and plan.stock:
        warn(
            f"pool {plan.stock.pool} lacks {number(plan.shortage)} {plan.license}: {plan.changes[0].client} will wait "
            "for them (QuotaPending); raise the pool, or move licenses with --from"
        )


def _report(plan: Plan, dry_run: DryRun) -> None:
    for change in plan.changes:
        say(
            f"clientorg.clientorg.dev/{change.client} reallocated: {number(change.before)} → {number(change.after)} "
            f"{plan.license}{dry_run.suffix}"
        )


def _patches(read: Read) -> Iterator[tuple[Json, Json]]:
    """Each client that changes, and what is written into it."""
    from clientorg.cli.transfer import receiver_patch

    for change in read.plan.changes:
        is_raised = read.source is not None and change is read.plan.changes[0]
        client = read.client(change)
        yield client, receiver_patch(client, read.plan) if is_raised else licenses_patch(client, change)


async def _rehearse(session: Session, read: Read, dry_run: DryRun) -> None:
    """Have the server check every write before the first is made."""
    from clientorg.cluster.resources import CLIENT_ORGS

    if dry_run is DryRun.CLIENT:
        return
    for client, patch in _patches(read):
        await session.api.patch(CLIENT_ORGS, session.namespace, client["metadata"]["name"], patch, dry_run=True)


async def carry_out(session: Session, read: Read) -> None:
    """Carry it out, on the very versions that were read. Raises ConflictError when they are not there any more."""
    from clientorg.cli.transfer import Transfer
    from clientorg.cluster.resources import CLIENT_ORGS

    if read.source is not None:
        await Transfer(session, read.receiver, read.source, read.plan).carry_out()
        return
    change = read.plan.changes[0]
    patch = licenses_patch(read.receiver, change)
    await session.api.patch(CLIENT_ORGS, session.namespace, change.client, patch)


async def _wait(session: Session, plan: Plan, seconds: float) -> None:
    """Wait until each client's status answers its newest version and shows the new quantity as granted."""
    from clientorg.cluster.resources import CLIENT_ORGS

    deadline = time.monotonic() + seconds
    for change in plan.changes:
        await wait_until(
            session.api,
            CLIENT_ORGS,
            session.namespace,
            change.client,
            partial(_shows, change),
            timeout_seconds=max(0.1, deadline - time.monotonic()),
            what=f"{change.client} to have {number(change.after)} {plan.license}",
            tell=_how_it_stands,
        )


def _shows(change: Change, item: Json | None) -> bool:
    if item is None:
        raise NotReachedError(f"{change.client} was deleted meanwhile")
    status = item.get("status") or {}
    granted = {entry["name"]: entry.get("granted") for entry in status.get("licenses") or ()}
    observed: int = status.get("observedGeneration") or -1
    return observed >= item["metadata"]["generation"] and (granted.get(change.holds.name) or 0) == change.after


def _how_it_stands(item: Json | None) -> str:
    ready = condition(item or {}, "Ready")
    if not ready:
        return "the operator has not answered yet (does it run?)"
    return f"{ready.get('reason', '')}: {ready.get('message', '')}"
