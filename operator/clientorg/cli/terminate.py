"""`terminate`: end a client's contract, now or at a time, with recorded consent (FEATURES S11)."""

from __future__ import annotations

from typing import Annotated

import typer

from clientorg.cli.app import command
from clientorg.cli.options import DataOutput, DryRun, DryRunFlag, ForceFlag, OutputFlag, Target, WaitFlag, YesFlag


@command(
    "terminate",
    examples="""
    # What is settled, what stops, when is everything deleted? Nothing is changed
    $ acme --at 2027-01-31 --accepted-by yuki@acme.example --consent-text 'ends with January' --dry-run
    # On a date in the plan's time zone; given once more with another date it is changed
    $ acme --at '2027-01-31 18:00' --accepted-by yuki@acme.example --consent-text 'letter of 20 November'
    # At once; there is no way back
    $ acme --now --accepted-by 'Yuki Sato' --consent-text 'by telephone' --accepted-time 2026-11-20T09:00:00Z --wait
    # Take it back, while it has not run
    $ acme --withdraw
    """,
)
async def terminate_client(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="When: a date or time in the plan's time zone, or with an offset."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="At once; there is no way back.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take back a termination that has not run.")] = False,
    accepted_by: Annotated[
        str | None, typer.Option("--accepted-by", metavar="PERSON", help="Who agreed, by name or email address.")
    ] = None,
    consent_text: Annotated[
        str | None, typer.Option("--consent-text", metavar="TEXT", help="What was agreed to.")
    ] = None,
    accepted_time: Annotated[
        str | None, typer.Option("--accepted-time", metavar="TIME", help="When it was agreed to. Default: now.")
    ] = None,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    force: ForceFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """End a client's contract, now or at a time.

    Shows how its points are settled (a shortfall is made up from the pool, a surplus is consumed), what stops, and when
    everything is deleted; then asks on a terminal. Every date needs its consent.
    """
    from clientorg.cli.terminal import interactive
    from clientorg.cli.terminateflow import terminate, wish_of
    from clientorg.cli.waiting import parse_wait

    wish = wish_of(
        name,
        at=at,
        now=now,
        withdraw=withdraw,
        accepted_by=accepted_by,
        accepted_time=accepted_time,
        text=consent_text,
        output=output,
        ask=not yes and interactive() and dry_run is DryRun.NONE,
        dry_run=dry_run,
        force=force,
        wait_seconds=parse_wait(wait),
    )
    await terminate(target, wish)
