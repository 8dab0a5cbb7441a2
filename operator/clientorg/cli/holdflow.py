"""How `hold` and `release` go about it: look, show, ask, write, wait."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from clientorg.api.meta import ANNOTATION_HOLD, MAX_HOLD
from clientorg.cli import clock
from clientorg.cli.dates import calendar_of
from clientorg.cli.exits import NotReachedError
from clientorg.cli.options import DataOutput, DryRun, Target
from clientorg.cli.related import read_or_none
from clientorg.cli.rows import ClientRow, client_row
from clientorg.cli.running import Running, read_running, running_lines
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.severally import all_or_none, each, print_documents, show_previews
from clientorg.cli.statewait import has_stopped, how_it_stands, may_run
from clientorg.cli.staying import stay_lines
from clientorg.cli.terminal import confirm, interactive, say, warn
from clientorg.cli.text import checked_text, joined, plain
from clientorg.cli.waiting import parse_wait, wait_until
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

FIELD_MANAGER: Final = "clientorg-hold"
"""Not the command's own: Flux takes back what managers whose names begin with `kubectl` have written (the
field managers that kustomize-controller replaces "to undo changes made with kubectl apply")."""


@dataclass(frozen=True)
class View:
    """A client that is to be held, or released.

    Attributes:
        reason: None releases it.
        stays: why it stays paused after a release, and what ends that.
    """

    client: Json
    reason: str | None
    running: Running
    stays: tuple[str, ...] = ()

    @property
    def row(self) -> ClientRow:
        """The client, flat."""
        return client_row(self.client)

    @property
    def before(self) -> str | None:
        """Why it is held now; None where it is not."""
        value = (self.client["metadata"].get("annotations") or {}).get(ANNOTATION_HOLD)
        return None if value is None else str(value)

    @property
    def is_unchanged(self) -> bool:
        """Whether it is so already."""
        return self.before == self.reason


async def change_holds(
    target: Target,
    names: Iterable[str],
    *,
    reason: str | None,
    output: DataOutput,
    yes: bool,
    wait: str,
    dry_run: DryRun,
) -> None:
    """Hold clients, or release them.

    Raises:
        InputError: it cannot be, or the person declined; nothing was written.
        NotReachedError: waited in vain.
    """
    if reason is not None:
        reason = checked_text("--reason", reason.strip(), MAX_HOLD)
        if not reason:
            raise InputError("--reason: say why, for those who look later")
    wanted, seconds, now = tuple(dict.fromkeys(names)), parse_wait(wait), clock.now()
    ask = not yes and interactive() and dry_run is DryRun.NONE
    async with connect(target, field_manager=FIELD_MANAGER) as session:
        session.warnings.muted_policies.add(LICENSE_WARNINGS)
        views = await all_or_none(wanted, lambda name: _look(session, name, reason, now))
        changing = [view for view in views if not view.is_unchanged]
        show_previews(output, ask, changing, lines)
        question = f"{'Release' if reason is None else 'Hold'} {joined(view.row.name for view in changing)}?"
        if ask and changing and not confirm(question):
            raise InputError("nothing was changed")
        written, failed = await each(views, lambda view: _write(session, view, output, dry_run))
        if output is not DataOutput.TABLE:
            print_documents(output, [document(view, dry_run) for view, _ in written], alone=len(wanted) == 1)
        if failed is not None:
            raise failed
        if seconds is not None and dry_run is DryRun.NONE:
            await _wait(session, written, seconds)


async def _look(session: Session, name: str, reason: str | None, now: datetime) -> View:
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    row = client_row(client)
    if client["metadata"].get("deletionTimestamp"):
        raise InputError(f"{name} is being deleted; nothing runs in it")
    if reason is not None:
        return View(client, reason, await read_running(session, row.workspace))
    plan, pool = await asyncio.gather(
        read_or_none(session, ORG_PLANS, row.plan), read_or_none(session, QUOTA_POOLS, row.pool)
    )
    return View(client, None, Running(row.workspace), tuple(_stays(client, pool, plan, now)))


def _stays(client: Json, pool: Json | None, plan: Json | None, now: datetime) -> Iterator[str]:
    """Why it stays paused when the hold has gone."""
    reasons = [reason for reason in client_row(client).pause_reasons if reason != "Hold"]
    rest = {**client, "status": {**(client.get("status") or {}), "pauseReasons": reasons}}
    if "Requested" in reasons:
        yield "It stays paused by wish: spec.state is Paused"
    yield from stay_lines(rest, pool, calendar_of(plan), now)


def lines(view: View, *, color: bool) -> Iterator[str]:
    """What would happen, for a person."""
    row = view.row
    title = f" ({plain(row.display_name)})" if row.display_name else ""
    why = f" ({', '.join(row.pause_reasons)})" if row.pause_reasons else ""
    state = row.state or "not seen by the operator yet"
    if view.reason is None:
        yield f"{row.name}{title} is {state}{why}; its hold ends: {plain(view.before or 'no reason was given')}"
        yield from view.stays
        return
    yield f"{row.name}{title} is {state}{why}; it is held until somebody releases it: {plain(view.reason)}"
    yield from running_lines(view.running, color=color)


def document(view: View, dry_run: DryRun) -> Json:
    """What happens, as data."""
    row = view.row
    out: Json = {"name": row.name, "namespace": row.namespace, "hold": view.reason, "before": view.before}
    if view.reason is not None:
        out["stops"] = view.running.document()
    else:
        out["staysPausedFor"] = [reason for reason in row.pause_reasons if reason != "Hold"]
    return out | {"changed": not view.is_unchanged, "dryRun": dry_run.value}


async def _write(session: Session, view: View, output: DataOutput, dry_run: DryRun) -> tuple[View, Json]:
    """Set or remove the annotation of this very object; what else changed meanwhile does not matter to it."""
    from clientorg.cluster.resources import CLIENT_ORGS

    name, client = view.row.name, view.client
    if view.is_unchanged:
        if output is DataOutput.TABLE:
            say(f"clientorg.clientorg.dev/{name} unchanged: it is {'not held' if view.reason is None else 'held so'}")
        return view, client
    if dry_run is not DryRun.CLIENT:
        patch = {"metadata": {"uid": view.row.uid, "annotations": {ANNOTATION_HOLD: view.reason}}}
        only_try = dry_run is DryRun.SERVER
        client = await session.api.patch(CLIENT_ORGS, session.namespace, name, patch, dry_run=only_try)
    if output is DataOutput.TABLE:
        say(f"clientorg.clientorg.dev/{name} {'released' if view.reason is None else 'held'}{dry_run.suffix}")
        sys.stdout.flush()
    if view.stays:
        warn(f"{name} stays paused for another reason")
    return view, client


async def _wait(session: Session, written: Iterable[tuple[View, Json]], seconds: float) -> None:
    from clientorg.cluster.resources import CLIENT_ORGS

    deadline = time.monotonic() + seconds
    for view, client in written:
        await wait_until(
            session.api,
            CLIENT_ORGS,
            session.namespace,
            view.row.name,
            partial(is_reached, view, client),
            timeout_seconds=max(0.1, deadline - time.monotonic()),
            what=f"{view.row.name} {'to run again' if view.reason is None else 'to be stopped'}",
            tell=how_it_stands,
        )


def is_reached(view: View, written: Json, item: Json | None) -> bool:
    """Whether status shows it.

    Raises:
        NotReachedError: it will not by itself.
    """
    name = view.row.name
    if item is None or item["metadata"]["uid"] != written["metadata"]["uid"]:
        raise NotReachedError(f"{name} was deleted meanwhile")
    status = item.get("status") or {}
    is_held = "Hold" in (status.get("pauseReasons") or ())
    if view.reason is not None:
        return is_held and has_stopped(item)
    return not is_held and may_run(name, item)
