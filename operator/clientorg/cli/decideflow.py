"""How `approve` and `reject` go about it: look, show, ask, write, wait.

All clients are looked at before the first is decided on, so that a mistyped name changes nothing. A decision is bound
to the UID that was looked at: of a client that is made anew meanwhile it says nothing.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from clientorg.cli import clock
from clientorg.cli.decidewait import how_it_stands, is_reached
from clientorg.cli.decision import (
    Choice,
    View,
    check,
    document,
    in_turn,
    lines,
    manifest,
    question,
    says_the_same,
    verdict_of,
)
from clientorg.cli.options import DataOutput, DryRun, Target
from clientorg.cli.related import list_or_none, read_or_none
from clientorg.cli.rows import client_row
from clientorg.cli.session import connect
from clientorg.cli.severally import all_or_none, each, print_documents, show_previews
from clientorg.cli.terminal import confirm, interactive, say
from clientorg.cli.text import checked_text, plain
from clientorg.cli.waiting import parse_wait, wait_until
from clientorg.cli.whoami import authenticated_user
from clientorg.errors import AlreadyExistsError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

MOST_REASON = 256


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    choice: Choice
    names: tuple[str, ...]
    reason: str | None
    output: DataOutput
    ask: bool
    dry_run: DryRun
    wait_seconds: float | None
    now: datetime


async def decide(
    target: Target,
    choice: Choice,
    names: Iterable[str],
    *,
    reason: str | None,
    output: DataOutput,
    yes: bool,
    wait: str,
    dry_run: DryRun,
) -> None:
    """Approve or reject clients.

    Raises:
        InputError: it cannot be, or the person declined; nothing was written.
        NotReachedError: waited in vain.
    """
    wish = Wish(
        choice=choice,
        names=tuple(dict.fromkeys(names)),
        reason=checked_text("--reason", reason, MOST_REASON),
        output=output,
        ask=not yes and interactive() and dry_run is DryRun.NONE,
        dry_run=dry_run,
        wait_seconds=parse_wait(wait),
        now=clock.now(),
    )
    async with connect(target) as session:
        views = await _look_at_all(session, wish)
        changing = [view for view in views if not view.is_unchanged]
        _show(wish, changing)
        if wish.ask and changing and not confirm(question(choice, changing)):
            raise InputError("nothing was decided")
        decided, failed = await each(views, lambda view: _decided(session, wish, view))
        if output is not DataOutput.TABLE:
            _print_documents(wish, decided)
        if failed is not None:
            raise failed
        if wish.wait_seconds is not None and dry_run is DryRun.NONE:
            await _wait_for_all(session, wish, views, wish.wait_seconds)


# -- look -------------------------------------------------------------------------------------------------------------


async def _look_at_all(session: Session, wish: Wish) -> list[View]:
    """Every client, if all of them can be decided on; else each refusal is told and the last one raised."""
    user = await authenticated_user(session)
    return list(
        in_turn(
            await all_or_none(wish.names, lambda name: look(session, wish.choice, name, user, wish.reason, wish.now))
        )
    )


async def look(session: Session, choice: Choice, name: str, user: str, reason: str | None, now: datetime) -> View:
    """A client and what the preview needs.

    Raises:
        InputError: it cannot be decided on, or not so.
    """
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_APPROVALS, ORG_PLANS, QUOTA_POOLS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    row = client_row(client)
    plan, pool, approvals = await asyncio.gather(
        read_or_none(session, ORG_PLANS, row.plan),
        read_or_none(session, QUOTA_POOLS, row.pool),
        list_or_none(session, ORG_APPROVALS, session.namespace, field_selector=f"spec.clientUID={row.uid}"),
    )
    verdicts = None if approvals is None else tuple(verdict_of(item) for item in approvals)
    view = View(choice, client, plan, pool, verdicts, user, reason, now)
    check(view)
    return view


# -- show -------------------------------------------------------------------------------------------------------------


def _show(wish: Wish, views: Sequence[View]) -> None:
    show_previews(wish.output, wish.ask, views, lines)


def _print_documents(wish: Wish, decided: Sequence[tuple[View, Json | None]]) -> None:
    documents = [
        {**document(view, written), "changed": written is not None, "dryRun": wish.dry_run.value}
        for view, written in decided
    ]
    print_documents(wish.output, documents, alone=len(wish.names) == 1)


# -- write ------------------------------------------------------------------------------------------------------------


async def _decided(session: Session, wish: Wish, view: View) -> tuple[View, Json | None]:
    return view, await _write(session, wish, view)


async def _write(session: Session, wish: Wish, view: View) -> Json | None:
    """The OrgApproval that was written, or in a dry run would be; None where it is decided so already."""
    if view.is_unchanged:
        decided = view.decided
        by = f" by {plain(decided.by)}" if decided is not None else ""
        _tell(wish, view, f"unchanged: it was {wish.choice.done} already{by}")
        return None
    approval: Json | None = manifest(view)
    if wish.dry_run is not DryRun.CLIENT:
        approval = await record(session, view, dry_run=wish.dry_run is DryRun.SERVER)
    if approval is None:
        _tell(wish, view, f"unchanged: you have {wish.choice.done} it already")
        return None
    _tell(wish, view, f"{wish.choice.done}{wish.dry_run.suffix}")
    return approval


async def record(session: Session, view: View, *, dry_run: bool = False) -> Json | None:
    """Write the OrgApproval; None where it is there already."""
    from clientorg.cluster.resources import ORG_APPROVALS

    approval = manifest(view)
    try:
        return await session.api.create(ORG_APPROVALS, session.namespace, approval, dry_run=dry_run)
    except AlreadyExistsError:
        there = await session.api.get(ORG_APPROVALS, session.namespace, approval["metadata"]["name"])
        if not says_the_same(there, approval):
            raise
        return None


def _tell(wish: Wish, view: View, what: str) -> None:
    if wish.output is DataOutput.TABLE:
        say(f"clientorg.clientorg.dev/{view.row.name} {what}")
        sys.stdout.flush()


# -- wait -------------------------------------------------------------------------------------------------------------


async def _wait_for_all(session: Session, wish: Wish, views: Sequence[View], seconds: float) -> None:
    from clientorg.cluster.resources import CLIENT_ORGS

    deadline = time.monotonic() + seconds
    for view in views:
        name = view.row.name
        await wait_until(
            session.api,
            CLIENT_ORGS,
            session.namespace,
            name,
            partial(is_reached, wish.choice, name, view.row.uid),
            timeout_seconds=max(0.1, deadline - time.monotonic()),
            what=f"{name} to become Ready" if wish.choice is Choice.APPROVE else f"{name} to be rejected",
            tell=how_it_stands,
        )
