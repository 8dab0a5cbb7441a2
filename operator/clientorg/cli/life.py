"""`pause`, `resume`, `deactivate`, `reactivate`: stop what a client runs, end it, bring it back (FEATURES Z6-Z9)."""

from __future__ import annotations

from clientorg.cli.app import command
from clientorg.cli.options import (
    DataOutput,
    DryRun,
    DryRunFlag,
    ForceFlag,
    NamesArgument,
    OutputFlag,
    ReasonFlag,
    Target,
    WaitFlag,
    YesFlag,
)


@command(
    "pause",
    examples="""
    # What runs now and would stop? Nothing is changed
    $ acme --dry-run
    # Stop it, and wait until nothing runs
    $ acme --wait
    # Several, without a question, with a word for those who look later
    $ acme globex --yes --reason 'maintenance of the database'
    """,
)
async def pause_clients(
    target: Target,
    names: NamesArgument,
    reason: ReasonFlag = None,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    force: ForceFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Pause clients: nothing runs, everything stays.

    Shows what would stop, and asks on a terminal. What ran before runs again after resume; licenses stay granted.
    """
    from clientorg.cli.statechange import Action
    from clientorg.cli.stateflow import change_states

    await change_states(
        target,
        Action.PAUSE,
        names,
        reason=reason,
        output=output,
        yes=yes,
        wait=wait,
        force=force,
        dry_run=dry_run,
    )


@command(
    "resume",
    examples="""
    # Let it go on, and wait until everything runs again
    $ acme --wait
    # Would it run, or does it stay paused because its licenses are used up?
    $ acme --dry-run
    """,
)
async def resume_clients(
    target: Target,
    names: NamesArgument,
    reason: ReasonFlag = None,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    force: ForceFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Let paused clients go on.

    A client whose licenses are used up stays paused; this says so, and what to do. A deactivated one is brought back
    with reactivate.
    """
    from clientorg.cli.statechange import Action
    from clientorg.cli.stateflow import change_states

    await change_states(
        target,
        Action.RESUME,
        names,
        reason=reason,
        output=output,
        yes=yes,
        wait=wait,
        force=force,
        dry_run=dry_run,
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
    force: ForceFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Deactivate clients: delete them after a grace period.

    Everything stops at once and unused licenses return to the pool; the data stays for the plan's grace period. Shows
    what happens when, and asks on a terminal.
    """
    from clientorg.cli.statechange import Action
    from clientorg.cli.stateflow import change_states

    await change_states(
        target,
        Action.DEACTIVATE,
        names,
        reason=reason,
        output=output,
        yes=yes,
        wait=wait,
        force=force,
        dry_run=dry_run,
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
    force: ForceFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Bring deactivated clients back.

    At any time before everything is deleted. Licenses are drawn from the pool again; a client waits for those that the
    pool does not have, and is not deleted meanwhile.
    """
    from clientorg.cli.statechange import Action
    from clientorg.cli.stateflow import change_states

    await change_states(
        target,
        Action.REACTIVATE,
        names,
        reason=reason,
        output=output,
        yes=yes,
        wait=wait,
        force=force,
        dry_run=dry_run,
    )
