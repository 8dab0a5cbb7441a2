"""How `pause`, `resume`, `deactivate` and `reactivate` go about it: look, show, ask, write, wait.

All clients are looked at before the first is written, so that a mistyped name changes nothing.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clientorg.cli import clock
from clientorg.cli.dates import calendar_of
from clientorg.cli.gitguard import guard
from clientorg.cli.options import CHANGE_CAUSE, DataOutput, DryRun, Target
from clientorg.cli.related import read_or_none, read_terms
from clientorg.cli.rows import client_row
from clientorg.cli.running import Running, read_running
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.severally import all_or_none, each, print_documents, show_previews
from clientorg.cli.statechange import Action, View, check
from clientorg.cli.statepreview import date_lines, document, in_turn, lines, waits
from clientorg.cli.statewait import wait_for
from clientorg.cli.staying import stay_lines
from clientorg.cli.terminal import colored, confirm, interactive, say, warn
from clientorg.cli.text import checked_text, joined
from clientorg.cli.waiting import parse_wait
from clientorg.errors import ClientOrgError, ConflictError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

TRIES = 5
MOST_REASON = 1024


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    action: Action
    names: tuple[str, ...]
    reason: str | None
    output: DataOutput
    ask: bool
    dry_run: DryRun
    wait_seconds: float | None
    force: bool
    now: datetime


@dataclass(frozen=True)
class Written:
    """A client that was written, or needed no write.

    Attributes:
        view: what it was judged by.
        client: the server's answer; in a dry run what it would be.
    """

    view: View
    client: Json


async def change_states(
    target: Target,
    action: Action,
    names: Iterable[str],
    *,
    reason: str | None,
    output: DataOutput,
    yes: bool,
    wait: str,
    force: bool,
    dry_run: DryRun,
) -> None:
    """Bring clients to the action's state.

    Raises:
        InputError: it cannot be, or the person declined; nothing was written.
        GitManagedError: Git manages one of them; nothing was written.
        NotReachedError: waited in vain.
    """
    wish = Wish(
        action=action,
        names=tuple(dict.fromkeys(names)),
        reason=checked_text("--reason", reason, MOST_REASON),
        output=output,
        ask=not yes and interactive() and dry_run is DryRun.NONE,
        dry_run=dry_run,
        wait_seconds=parse_wait(wait),
        force=force,
        now=clock.now(),
    )
    async with connect(target) as session:
        # Of the licenses that the pool lacks the preview says more than the policy, and of other changes it is no news.
        session.warnings.muted_policies.add(LICENSE_WARNINGS)
        views = await _look_at_all(session, wish)
        changing = [view for view in views if not view.is_unchanged]
        patches = [(view.client, state_patch(view.client, action, wish.reason)) for view in changing]
        guard(patches, force=force, dry_run=dry_run, output=output)
        _show(wish, views)
        if wish.ask and changing and not confirm(_question(wish, changing)):
            raise InputError("nothing was changed")
        written, failed = await each(views, lambda view: _write(session, wish, view))
        if wish.output is not DataOutput.TABLE:
            _print_documents(wish, written)
        if failed is not None:
            raise failed
        if wish.wait_seconds is not None and dry_run is DryRun.NONE:
            await _wait_for_all(session, wish, written, wish.wait_seconds)


# -- look -------------------------------------------------------------------------------------------------------------


async def _look_at_all(session: Session, wish: Wish) -> list[View]:
    """Every client, if all of them can be changed; else each refusal is told and the last one raised."""
    return list(in_turn(await all_or_none(wish.names, lambda name: look(session, wish.action, name, wish.now))))


async def look(session: Session, action: Action, name: str, now: datetime) -> View:
    """A client and what the preview needs.

    Raises:
        InputError: the action cannot be.
    """
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    row = client_row(client)
    plan, pool = await asyncio.gather(
        read_or_none(session, ORG_PLANS, row.plan), read_or_none(session, QUOTA_POOLS, row.pool)
    )
    stops = action in (Action.PAUSE, Action.DEACTIVATE)
    running = await read_running(session, row.workspace) if stops else Running(row.workspace)
    view = View(action, client, plan, pool, running, read_terms(plan), now, calendar_of(plan))
    check(view)
    return view


# -- show -------------------------------------------------------------------------------------------------------------


def _show(wish: Wish, views: Sequence[View]) -> None:
    show_previews(wish.output, wish.ask, [view for view in views if not view.is_unchanged], lines)


def _question(wish: Wish, views: Sequence[View]) -> str:
    return f"{wish.action.value.capitalize()} {joined(view.row.name for view in views)}?"


def _print_documents(wish: Wish, written: Sequence[Written]) -> None:
    documents = [
        {**document(one.view), "changed": not one.view.is_unchanged, "dryRun": wish.dry_run.value} for one in written
    ]
    print_documents(wish.output, documents, alone=len(wish.names) == 1)


# -- write ------------------------------------------------------------------------------------------------------------


async def _write(session: Session, wish: Wish, view: View) -> Written:
    """Write one client, onto the very version that was judged; one that changed meanwhile is judged anew."""
    from clientorg.cluster.resources import CLIENT_ORGS

    name, uid, agreed = view.row.name, view.row.uid, substance(view)
    for attempt in range(TRIES):
        if view.row.uid != uid:
            raise ClientOrgError(f"{name} was deleted and created anew meanwhile; it was not changed: look at it first")
        if view.is_unchanged:
            _tell_unchanged(wish, view)
            return Written(view, view.client)
        if substance(view) != agreed:
            _show(wish, [view])
            if wish.ask and not confirm(_question(wish, [view])):
                raise InputError(f"{name} was not changed")
            agreed = substance(view)
        try:
            client = view.client
            if wish.dry_run is not DryRun.CLIENT:
                only_try = wish.dry_run is DryRun.SERVER
                patch = state_patch(view.client, wish.action, wish.reason)
                client = await session.api.patch(CLIENT_ORGS, session.namespace, name, patch, dry_run=only_try)
        except ConflictError:
            if attempt == TRIES - 1:
                raise
            view = replace(await look(session, wish.action, name, wish.now), taken=view.taken)
            continue
        _tell_written(wish, view)
        return Written(view, client)
    raise AssertionError("unreachable")


def substance(view: View) -> Json:
    """What a person agreed to; what runs changes all the time and is not part of it."""
    return {key: value for key, value in document(view).items() if key != "stops"}


def state_patch(client: Json, action: Action, reason: str | None) -> Json:
    """A merge patch of spec.state, for that very version of the client only; an earlier reason does not stay."""
    metadata: Json = {"resourceVersion": client["metadata"]["resourceVersion"]}
    if reason is not None or CHANGE_CAUSE in (client["metadata"].get("annotations") or {}):
        metadata["annotations"] = {CHANGE_CAUSE: reason}
    return {"metadata": metadata, "spec": {"state": action.wanted}}


def _tell_unchanged(wish: Wish, view: View) -> None:
    if wish.output is not DataOutput.TABLE:
        return
    say(f"clientorg.clientorg.dev/{view.row.name} unchanged: spec.state is {view.state} already")
    if wish.action is Action.DEACTIVATE and view.record is not None and view.record.purge_started is None:
        for text in date_lines(view, color=colored(sys.stdout)):
            say(text)


def _tell_written(wish: Wish, view: View) -> None:
    if wish.output is DataOutput.TABLE:
        say(f"clientorg.clientorg.dev/{view.row.name} {wish.action.done}{wish.dry_run.suffix}")
        sys.stdout.flush()
    if wish.action is Action.RESUME:
        if any(stay_lines(view.client, view.pool, view.calendar, wish.now)):
            warn(f"{view.row.name} stays paused for another reason")
    elif wish.action is Action.REACTIVATE and waits(view):
        warn(f"{view.row.name} waits for licenses that the pool does not have")


# -- wait -------------------------------------------------------------------------------------------------------------


async def _wait_for_all(session: Session, wish: Wish, written: Sequence[Written], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for one in written:
        left = max(0.1, deadline - time.monotonic())
        await wait_for(session, wish.action, one.view.row.name, one.client, left)
