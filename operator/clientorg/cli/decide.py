"""`approve`, `reject`: decide on clients of plans with manual approval (FEATURES S2)."""

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
    "approve",
    examples="""
    # What is asked for, and does the pool have it? Nothing is changed
    $ acme --dry-run
    # Approve it, and wait until the client can work
    $ acme --wait=2m
    # Several, without a question, with a word for those who look later
    $ acme globex --yes --reason 'contract 2026-118'
    """,
)
async def approve_clients(
    target: Target,
    names: NamesArgument,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the decision.")] = None,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Approve clients, so that they get licenses and workspace.

    Shows what they draw from the pool, and asks on a terminal. The decision is recorded with your name, for this very
    object; what you requested yourself somebody else has to approve.
    """
    from clientorg.cli.decideflow import decide
    from clientorg.cli.decision import Choice

    await decide(target, Choice.APPROVE, names, reason=reason, output=output, yes=yes, wait=wait, dry_run=dry_run)


@command(
    "reject",
    examples="""
    # Say why; whoever requested it reads it
    $ acme --reason 'the company is in liquidation'
    """,
)
async def reject_clients(
    target: Target,
    names: NamesArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; required.")],
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Reject clients that wait for approval.

    Final for this object: to ask once more, it is deleted and created anew. Nothing was allocated or built for it.
    """
    from clientorg.cli.decideflow import decide
    from clientorg.cli.decision import Choice

    await decide(target, Choice.REJECT, names, reason=reason, output=output, yes=yes, wait=wait, dry_run=dry_run)
