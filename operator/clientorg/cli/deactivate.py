"""`deactivate` and `reactivate`: the end of a client after a grace period, and the way back (FEATURES Z7-Z9)."""

from __future__ import annotations

from clientorg.cli.app import command
from clientorg.cli.options import (
    DataOutput,
    DryRun,
    DryRunFlag,
    NamesArgument,
    OutputFlag,
    ReasonFlag,
    Target,
    WaitFlag,
    YesFlag,
)


@command(
    "deactivate",
    examples="""
    # What stops, what returns to the pool, who is reminded when, when is everything deleted? Nothing is changed
    $ acme --dry-run
    $ acme --dry-run -o json
    # Do it, and wait until nothing runs
    $ acme --wait
    """,
)
async def deactivate_clients(
    target: Target,
    names: NamesArgument,
    reason: ReasonFlag = None,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Deactivate clients: delete them after a grace period.

    Everything stops at once and unused licenses return to the pool; the data stays for the plan's grace period. Shows
    what happens when, and asks on a terminal.
    """
    from clientorg.cli.statechange import Action
    from clientorg.cli.stateflow import change_states

    await change_states(
        target, Action.DEACTIVATE, names, reason=reason, output=output, yes=yes, wait=wait, dry_run=dry_run
    )


@command(
    "reactivate",
    examples="""
    # Does the pool have the licenses now, or would it wait?
    $ acme --dry-run
    # Bring it back, and wait until everything runs as before
    $ acme --wait=5m
    """,
)
async def reactivate_clients(
    target: Target,
    names: NamesArgument,
    reason: ReasonFlag = None,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Bring deactivated clients back.

    At any time before everything is deleted. Licenses are drawn from the pool again; a client waits for those that the
    pool does not have, and is not deleted meanwhile.
    """
    from clientorg.cli.statechange import Action
    from clientorg.cli.stateflow import change_states

    await change_states(
        target, Action.REACTIVATE, names, reason=reason, output=output, yes=yes, wait=wait, dry_run=dry_run
    )
