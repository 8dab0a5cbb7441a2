"""`points replenish`: top everybody up for the next charge, in one action (FEATURES S9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.options import DataOutput, DryRun, DryRunFlag, OutputFlag, Target, YesFlag
from clientorg.cli.replenishlook import Wish, agency_of, check_unchanged, plan_of
from clientorg.cli.replenishpage import report, show
from clientorg.cli.replenishwrite import Writer
from clientorg.cli.session import connect
from clientorg.cli.terminal import confirm, interactive
from clientorg.cli.text import plural
from clientorg.cli.transactions import parse_points, whoami
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session


@command(
    "points replenish",
    examples="""
    # Who needs what, and what will the pool have left? Nothing is created
    $ --all --dry-run
    # Top everybody up so that nobody is below zero after the next charge; asks once
    $ --all
    # At least 1,000 points each, two clients, without a question
    $ acme globex --to 1000 --yes
    # All or nothing: refused if the pool cannot serve everybody
    $ --all --atomic --yes
    """,
)
async def replenish(
    target: Target,
    names: Annotated[list[str] | None, typer.Argument(metavar="CLIENT", help="Names of the clients.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All clients of the agency.")] = False,
    selector: Annotated[
        str | None, typer.Option("--selector", "-l", metavar="LABELS", help="Clients with these labels.")
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="N", help="Nobody is below this after the next charge.")] = "0",
    atomic: Annotated[
        bool, typer.Option("--atomic", help="All or nothing. Without it: as far as the pool reaches; the rest waits.")
    ] = False,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Top up whoever needs it for the next charge.

    Shows who gets what and what the pool will have left, asks once, and creates the top-ups. Run it again after an
    interruption: what is there already is not made twice. Points that are on their way count as if they had arrived.
    """
    chosen = tuple(dict.fromkeys(names or ()))
    if sum((bool(chosen), everybody, bool(selector))) != 1:
        raise InputError("say which clients: their names, or --all, or --selector LABELS")
    wish = Wish(chosen, selector, parse_points(to, "--to", least=0), atomic, dry_run, output, clock.now())
    async with connect(target, timeout_seconds=120) as session:
        await _replenish(session, wish, ask=not yes and interactive() and dry_run is DryRun.NONE)


async def _replenish(session: Session, wish: Wish, *, ask: bool) -> None:
    agency = await agency_of(session, wish)
    plan = await plan_of(session, wish, agency)
    if wish.output is DataOutput.TABLE or ask:
        show(wish, plan, agency)
    if not plan.top_ups or wish.dry_run is DryRun.CLIENT:
        report(wish, plan, [])
        return
    if ask and not confirm(f"Create {plural(len(plan.top_ups), 'top-up')}?"):
        raise InputError("nothing was created")
    if wish.dry_run is DryRun.NONE:
        check_unchanged(agency, await agency_of(session, wish))
    report(wish, plan, await Writer(session, wish, await whoami(session), len(plan.top_ups)).create(plan))
