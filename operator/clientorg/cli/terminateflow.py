"""How `terminate` goes about it: look, show the settlement, ask, write onto the version that was shown, wait."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from clientorg.cli import clock
from clientorg.cli.dates import calendar_of
from clientorg.cli.decidewait import how_it_stands
from clientorg.cli.gitguard import guard
from clientorg.cli.options import DataOutput, DryRun, Target
from clientorg.cli.planrules import rules_or_none
from clientorg.cli.related import read_or_none, read_terms
from clientorg.cli.rows import client_row
from clientorg.cli.running import Running, read_running
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.severally import show_previews
from clientorg.cli.table import as_document
from clientorg.cli.terminal import confirm, say
from clientorg.cli.terminatewait import is_reached
from clientorg.cli.termination import Consent, Mode, View, check, parse_moment, termination_patch
from clientorg.cli.terminationpreview import document, lines
from clientorg.cli.waiting import wait_until
from clientorg.errors import ClientOrgError, ConflictError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

TRIES = 5


@dataclass(frozen=True)
class Wish:
    """What the command line asks for. Times are as they were given: the plan's time zone reads them."""

    name: str
    mode: Mode
    at: str | None
    accepted_by: str | None
    accepted_time: str | None
    text: str | None
    output: DataOutput
    ask: bool
    dry_run: DryRun
    force: bool
    wait_seconds: float | None
    now: datetime


def wish_of(
    name: str,
    *,
    at: str | None,
    now: bool,
    withdraw: bool,
    accepted_by: str | None,
    accepted_time: str | None,
    text: str | None,
    **rest: Any,
) -> Wish:
    """What the flags ask for.

    Raises:
        InputError: they contradict each other, or one is missing.
    """
    if (at is not None) + now + withdraw != 1:
        raise InputError("say when: --at TIME or --now; or --withdraw to take a termination back; one of them")
    consent = {"--accepted-by": accepted_by, "--consent-text": text, "--accepted-time": accepted_time}
    if withdraw:
        given = [flag for flag, value in consent.items() if value is not None]
        if given:
            raise InputError(f"{given[0]}: a withdrawal needs no consent; leave it out")
        mode = Mode.WITHDRAW
    else:
        for flag, path in (("--accepted-by", "acceptedBy"), ("--consent-text", "text")):
            if not (consent[flag] or "").strip():
                raise InputError(
                    f"spec.termination.consent.{path} ({flag}): required; a contract ends with the recorded consent of "
                    "a person only: --accepted-by NAME --consent-text TEXT"
                )
        mode = Mode.NOW if now else Mode.SCHEDULE
    return Wish(name, mode, at, accepted_by, accepted_time, text, now=clock.now().replace(microsecond=0), **rest)


async def terminate(target: Target, wish: Wish) -> None:
    """Schedule, change, run at once or withdraw a termination.

    Raises:
        InputError: it cannot be, or the person declined; nothing was written.
        GitManagedError: Git manages the client; nothing was written.
        NotReachedError: waited in vain.
    """
    async with connect(target) as session:
        session.warnings.muted_policies.add(LICENSE_WARNINGS)  # what ends needs no licenses
        view = await look(session, wish)
        if not view.is_unchanged:
            changes = [(view.client, termination_patch(view))]
            guard(changes, force=wish.force, dry_run=wish.dry_run, output=wish.output)
            _show(wish, view)
            if wish.ask and not confirm(_question(wish)):
                raise InputError("nothing was changed")
        view, client = await _write(session, wish, view)
        if wish.output is not DataOutput.TABLE:
            data = document(view) | {"changed": not view.is_unchanged, "dryRun": wish.dry_run.value}
            sys.stdout.write(as_document(data, yaml=wish.output is DataOutput.YAML))
            sys.stdout.flush()
        if wish.wait_seconds is not None and wish.dry_run is DryRun.NONE:
            await _wait(session, wish, view, client, wish.wait_seconds)


async def look(session: Session, wish: Wish) -> View:
    """The client and what the preview needs; raises InputError where it cannot be."""
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS

    client = await session.api.get(CLIENT_ORGS, session.namespace, wish.name)
    row = client_row(client)
    plan, pool = await asyncio.gather(
        read_or_none(session, ORG_PLANS, row.plan), read_or_none(session, QUOTA_POOLS, row.pool)
    )
    rules = rules_or_none(plan)
    zone = rules.time_zone if rules is not None else None
    consent = None
    if wish.accepted_by is not None and wish.text is not None:
        accepted = parse_moment(wish.accepted_time, "--accepted-time", zone) if wish.accepted_time else None
        consent = Consent(wish.accepted_by.strip(), wish.text.strip(), accepted)
    running = await read_running(session, row.workspace) if wish.mode is not Mode.WITHDRAW else Running(row.workspace)
    view = View(
        mode=wish.mode,
        client=client,
        plan=plan,
        pool=pool,
        running=running,
        terms=read_terms(plan),
        rules=rules,
        now=wish.now,
        at=parse_moment(wish.at, "--at", zone) if wish.at is not None else None,
        consent=consent,
        calendar=calendar_of(plan),
    )
    check(view)
    return view


def _show(wish: Wish, view: View) -> None:
    show_previews(wish.output, wish.ask, [view], lines)


def _question(wish: Wish) -> str:
    if wish.mode is Mode.WITHDRAW:
        return f"Withdraw the termination of {wish.name}?"
    return f"Terminate the contract of {wish.name}{' now' if wish.mode is Mode.NOW else ''}?"


async def _write(session: Session, wish: Wish, view: View) -> tuple[View, Json]:
    """Write onto the very version that was judged; a client that changed meanwhile is judged anew."""
    from clientorg.cluster.resources import CLIENT_ORGS

    uid, agreed = view.row.uid, substance(view)
    for attempt in range(TRIES):
        if view.row.uid != uid:
            raise ClientOrgError(f"{wish.name} was deleted and created anew meanwhile; it was not changed")
        if view.is_unchanged:
            _tell_unchanged(wish)
            return view, view.client
        if substance(view) != agreed:
            _show(wish, view)
            if wish.ask and not confirm(_question(wish)):
                raise InputError(f"{wish.name} was not changed")
            agreed = substance(view)
        if wish.dry_run is DryRun.CLIENT:
            _check_by_model(view)
            client = view.client
        else:
            only_try = wish.dry_run is DryRun.SERVER
            try:
                client = await session.api.patch(
                    CLIENT_ORGS, session.namespace, wish.name, termination_patch(view), dry_run=only_try
                )
            except ConflictError:
                if attempt == TRIES - 1:
                    raise
                view = await look(session, wish)
                continue
        _tell_written(wish, view)
        return view, client
    raise AssertionError("unreachable")


def _check_by_model(view: View) -> None:
    """What the API's models say of it; a client-side dry run does not ask the server."""
    from clientorg.cli.checks import faults

    wanted = termination_patch(view)["spec"]["termination"]
    found = faults({**view.client["spec"], "termination": wanted})
    if found:
        raise InputError("\n  ".join(found))


def substance(view: View) -> Json:
    """What a person agreed to; what runs, and what else the status says, changes all the time."""
    return {key: value for key, value in document(view).items() if key not in ("stops", "state")}


def _tell_unchanged(wish: Wish) -> None:
    if wish.output is DataOutput.TABLE:
        why = "no termination is asked for" if wish.mode is Mode.WITHDRAW else "spec.termination says so already"
        say(f"clientorg.clientorg.dev/{wish.name} unchanged: {why}")


def _tell_written(wish: Wish, view: View) -> None:
    if wish.output is not DataOutput.TABLE:
        return
    done = {
        Mode.NOW: "termination requested",
        Mode.WITHDRAW: "termination withdrawn",
        Mode.SCHEDULE: f"termination scheduled for {view.calendar.full(view.ends)}",
    }[wish.mode]
    say(f"clientorg.clientorg.dev/{wish.name} {done}{wish.dry_run.suffix}")
    sys.stdout.flush()


# -- wait -------------------------------------------------------------------------------------------------------------


async def _wait(session: Session, wish: Wish, view: View, written: Json, seconds: float) -> None:
    from clientorg.cluster.resources import CLIENT_ORGS

    what = {
        Mode.NOW: f"{wish.name} to be terminated and settled",
        Mode.WITHDRAW: f"{wish.name} to be as before",
        Mode.SCHEDULE: f"{wish.name} to have its termination scheduled",
    }[wish.mode]
    await wait_until(
        session.api,
        CLIENT_ORGS,
        session.namespace,
        wish.name,
        partial(is_reached, view, written),
        timeout_seconds=seconds,
        what=what,
        tell=how_it_stands,
    )
