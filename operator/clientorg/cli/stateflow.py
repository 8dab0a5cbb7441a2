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
from clientorg.cli.options import CHANGE_CAUSE, DataOutput, DryRun, Target
from clientorg.cli.related import read_or_none, read_terms
from clientorg.cli.rows import client_row
from clientorg.cli.running import Running, read_running
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.statechange import Action, View, check
from clientorg.cli.statepreview import date_lines, document, in_turn, lines, waits
from clientorg.cli.statewait import wait_for
from clientorg.cli.staying import stay_lines
from clientorg.cli.table import as_document
from clientorg.cli.terminal import colored, complain, confirm, interactive, note, say, warn
from clientorg.cli.text import joined, plain
from clientorg.cli.waiting import parse_wait
from clientorg.errors import ClientOrgError, ConflictError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

TRIES = 5


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
    dry_run: DryRun,
) -> None:
    """Bring clients to the action's state.

    Raises:
        InputError: it cannot be, or the person declined; nothing was written.
        NotReachedError: waited in vain.
    """
    wish = Wish(
        action=action,
        names=tuple(dict.fromkeys(names)),
        reason=_checked_reason(reason),
        output=output,
        ask=not yes and interactive() and dry_run is DryRun.NONE,
        dry_run=dry_run,
        wait_seconds=parse_wait(wait),
        now=clock.now(),
    )
    async with connect(target) as session:
        # Of the licenses that the pool lacks the preview says more than the policy, and of other changes it is no news.
        session.warnings.muted_policies.add(LICENSE_WARNINGS)
        views = await _look_at_all(session, wish)
        _show(wish, views)
        changing = [view for view in views if not view.is_unchanged]
        if wish.ask and changing and not confirm(_question(wish, changing)):
            raise InputError("nothing was changed")
        written, failed = await _write_all(session, wish, views)
        if wish.output is not DataOutput.TABLE:
            _print_documents(wish, written)
        if failed is not None:
            raise failed
        if wish.wait_seconds is not None and dry_run is DryRun.NONE:
            await _wait_for_all(session, wish, written, wish.wait_seconds)


def _checked_reason(reason: str | None) -> str | None:
    if reason is None:
        return None
    text = plain(reason).strip()
    if not text or len(text) > 1024:
        raise InputError("--reason: a line of text of at most 1,024 characters")
    return text


# -- look -------------------------------------------------------------------------------------------------------------


async def _look_at_all(session: Session, wish: Wish) -> list[View]:
    """Every client, if all of them can be changed; else each refusal is told and the last one raised."""
    views: list[View] = []
    refused: list[ClientOrgError] = []
    for name in wish.names:
        try:
            views.append(await _look(session, wish, name))
        except ClientOrgError as error:
            refused.append(error)
    if refused:
        from clientorg.cli.failures import explain

        for refusal in refused[:-1]:
            complain("\n".join(explain(refusal)))
        raise refused[-1]
    return list(in_turn(views))


async def _look(session: Session, wish: Wish, name: str) -> View:
    """A client and what the preview needs; raises InputError where the action cannot be."""
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    row = client_row(client)
    plan, pool = await asyncio.gather(
        read_or_none(session, ORG_PLANS, row.plan), read_or_none(session, QUOTA_POOLS, row.pool)
    )
    stops = wish.action in (Action.PAUSE, Action.DEACTIVATE)
    running = await read_running(session, row.workspace) if stops else Running(row.workspace)
    view = View(wish.action, client, plan, pool, running, read_terms(plan), wish.now, calendar_of(plan))
    check(view)
    return view


# -- show -------------------------------------------------------------------------------------------------------------


def _show(wish: Wish, views: Sequence[View]) -> None:
    """What would happen; beside the data that was asked for only where a person is about to be asked."""
    if wish.output is not DataOutput.TABLE and not wish.ask:
        return
    tell, stream = (say, sys.stdout) if wish.output is DataOutput.TABLE else (note, sys.stderr)
    for view in views:
        if view.is_unchanged:
            continue
        for text in lines(view, color=colored(stream)):
            tell(text)
        tell("")
    sys.stdout.flush()


def _question(wish: Wish, views: Sequence[View]) -> str:
    return f"{wish.action.value.capitalize()} {joined(view.row.name for view in views)}?"


def _print_documents(wish: Wish, written: Sequence[Written]) -> None:
    documents = [
        {**document(one.view), "changed": not one.view.is_unchanged, "dryRun": wish.dry_run.value} for one in written
    ]
    whole = documents[0] if len(wish.names) == 1 and documents else {"clients": documents}
    sys.stdout.write(as_document(whole, yaml=wish.output is DataOutput.YAML))
    sys.stdout.flush()


# -- write ------------------------------------------------------------------------------------------------------------


async def _write_all(
    session: Session, wish: Wish, views: Sequence[View]
) -> tuple[list[Written], ClientOrgError | None]:
    """Write each client; a failure of one does not keep the others from it. The last failure is the caller's."""
    from clientorg.cli.failures import explain

    written: list[Written] = []
    failed: ClientOrgError | None = None
    for view in views:
        try:
            written.append(await _write(session, wish, view))
        except ClientOrgError as error:
            if failed is not None:
                complain("\n".join(explain(failed)))
            failed = error
    return written, failed


async def _write(session: Session, wish: Wish, view: View) -> Written:
    """Write one client, onto the very version that was judged; one that changed meanwhile is judged anew."""
    from clientorg.cluster.resources import CLIENT_ORGS

    name, uid, agreed = view.row.name, view.row.uid, _substance(view)
    for attempt in range(TRIES):
        if view.row.uid != uid:
            raise ClientOrgError(f"{name} was deleted and created anew meanwhile; it was not changed: look at it first")
        if view.is_unchanged:
            _tell_unchanged(wish, view)
            return Written(view, view.client)
        if _substance(view) != agreed:
            _show(wish, [view])
            if wish.ask and not confirm(_question(wish, [view])):
                raise InputError(f"{name} was not changed")
            agreed = _substance(view)
        try:
            client = view.client
            if wish.dry_run is not DryRun.CLIENT:
                only_try = wish.dry_run is DryRun.SERVER
                patch = state_patch(view.client, wish.action, wish.reason)
                client = await session.api.patch(CLIENT_ORGS, session.namespace, name, patch, dry_run=only_try)
        except ConflictError:
            if attempt == TRIES - 1:
                raise
            view = replace(await _look(session, wish, name), taken=view.taken)
            continue
        _tell_written(wish, view)
        return Written(view, client)
    raise AssertionError("unreachable")


def _substance(view: View) -> Json:
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
