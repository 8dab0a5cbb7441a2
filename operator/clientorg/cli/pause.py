"""`pause` and `resume`: stop what runs in a client's workspace, and let it go on (FEATURES Z6)."""

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
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Pause clients: nothing runs, everything stays.

    Shows what would stop, and asks on a terminal. What ran before runs again after resume; licenses stay granted.
    """
    from clientorg.cli.statechange import Action
    from clientorg.cli.stateflow import change_states

    await change_states(target, Action.PAUSE, names, reason=reason, output=output, yes=yes, wait=wait, dry_run=dry_run)


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
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Let paused clients go on.

    A client whose licenses are used up stays paused; this says so, and what to do. A deactivated one is brought back
    with reactivate.
    """
    from clientorg.cli.statechange import Action
    from clientorg.cli.stateflow import change_states

    await change_states(target, Action.RESUME, names, reason=reason, output=output, yes=yes, wait=wait, dry_run=dry_run)
