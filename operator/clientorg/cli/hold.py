"""`hold` and `release`: stop a client in an emergency, in a way that Git does not undo (FEATURES X1)."""

from __future__ import annotations

from typing import Annotated

import typer

from clientorg.cli.app import command
from clientorg.cli.options import (
    DataOutput,
    DryRun,
    DryRunFlag,
    NamesArgument,
    OutputFlag,
    Target,
    WaitFlag,
    YesFlag,
)


@command(
    "hold",
    examples="""
    # What runs now and would stop? Nothing is changed
    $ acme --reason 'sends spam' --dry-run
    # Stop it, whatever Git says, and wait until nothing runs
    $ acme --reason 'sends spam, ticket 4711' --wait
    # Several, without a question
    $ acme globex --reason 'intrusion in region 2' --yes
    """,
)
async def hold_clients(
    target: Target,
    names: NamesArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; required, and seen by all who see the client.")
    ],
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Stop clients in an emergency; Git does not undo it.

    As pause, but by the annotation clientorg.dev/hold and not by spec.state, so that Argo CD and Flux leave it alone.
    Takes the right to `hold` clientorgs. Ends with release, and with nothing else.
    """
    from clientorg.cli.holdflow import change_holds

    await change_holds(target, names, reason=reason, output=output, yes=yes, wait=wait, dry_run=dry_run)


@command(
    "release",
    examples="""
    # End the hold, and wait until everything runs again
    $ acme --wait
    # Would it run, or does it stay paused for another reason?
    $ acme --dry-run
    """,
)
async def release_clients(
    target: Target,
    names: NamesArgument,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """End the hold of clients.

    What ran before runs again, unless there is another reason to be paused; this says so, and what to do.
    """
    from clientorg.cli.holdflow import change_holds

    await change_holds(target, names, reason=None, output=output, yes=yes, wait=wait, dry_run=dry_run)
