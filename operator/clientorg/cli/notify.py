"""`notify`: the messages to a client's contact, and sending one again (FEATURES S4, Z9)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.api.meta import ANNOTATION_RESEND
from clientorg.api.notifications import NotificationKind
from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.options import PROGRAM, DataOutput, DryRun, DryRunFlag, OutputFlag, Target, WaitFlag, YesFlag
from clientorg.cli.related import read_or_none
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.table import as_document, table
from clientorg.cli.terminal import colored, confirm, interactive, note, say
from clientorg.cli.text import plain
from clientorg.cli.waiting import parse_wait
from clientorg.errors import ClientOrgError, ConflictError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

TRIES = 5


@dataclass(frozen=True)
class Asked:
    """What the operator was asked to send again.

    Attributes:
        stamp: the annotation's value, by which the operator's answer is known.
        ways: the channels of the plan; None when the plan could not be read.
    """

    key: str
    stamp: str
    ways: tuple[str, ...] | None


@command(
    "notify",
    examples="""
    # What was sent, what waits, what failed and why
    $ acme
    # Send the delivery notice again: the newest message of a kind, or the one with that key
    $ acme --resend delivery
    $ acme --resend reminder-20261125T000000Z-20270225-7 --wait
    # What would be sent again, and to whom? Nothing is sent
    $ acme --resend delivery --dry-run
    """,
)
async def notify_client(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.")],
    resend: Annotated[
        str | None,
        typer.Option("--resend", metavar="KEY|KIND", help="Send this message, or the newest of this kind, again."),
    ] = None,
    output: OutputFlag = DataOutput.TABLE,
    yes: YesFlag = False,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Show the messages to a client, or send one again.

    Each with its state by mail and by webhook, the tries so far, the next one and the last error. --resend shows what
    would be sent to whom, and asks on a terminal; --wait waits until it is sent or has failed.
    """
    seconds = parse_wait(wait)
    if resend is None:
        if seconds is not None or dry_run is not DryRun.NONE:
            flag = "--wait" if seconds is not None else "--dry-run"
            raise InputError(f"{flag}: say with --resend which message to send again; see {PROGRAM} notify --help")
        async with connect(target) as session:
            await _list(session, name, output)
        return
    async with connect(target) as session:
        session.warnings.muted_policies.add(LICENSE_WARNINGS)
        ask = not yes and interactive() and dry_run is DryRun.NONE
        asked = await _resend(session, name, resend, ask=ask, dry_run=dry_run, output=output)
        if seconds is not None and dry_run is DryRun.NONE:
            from clientorg.cli.notifywait import wait_until_sent

            await wait_until_sent(session, name, asked.stamp, asked.key, asked.ways, seconds)


async def _list(session: Session, name: str, output: DataOutput) -> None:
    from clientorg.cli.messagerows import HEADER, channels_of, document, message_cells
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS
    from clientorg.domain.messages import from_status

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    outbox = from_status((client.get("status") or {}).get("outbox") or ())
    if output is not DataOutput.TABLE:
        whole = {"namespace": session.namespace, "name": name, "messages": [document(entry) for entry in outbox]}
        sys.stdout.write(as_document(whole, yaml=output is DataOutput.YAML))
        return
    now = clock.now()
    body = [row for entry in outbox for row in message_cells(entry, now)]
    for text in table(HEADER, body, color=colored(sys.stdout)) if body else ():
        say(text)
    if not outbox:
        note(f"No messages to {name} so far.")
    plan_name = client["spec"]["planRef"]["name"]
    if channels_of(await read_or_none(session, ORG_PLANS, plan_name)) == ():
        note(f"({_silent(plan_name)}; Events are posted always)")


def _silent(plan_name: str) -> str:
    return f"the plan {plain(plan_name)} sends nothing: set its spec.notifications.fromAddress or .webhook"


async def _resend(session: Session, name: str, wanted: str, *, ask: bool, dry_run: DryRun, output: DataOutput) -> Asked:
    """Show, ask, and write the annotation that the operator answers; onto the very version that was shown."""
    from clientorg.cli.messagerows import addressees
    from clientorg.cluster.resources import CLIENT_ORGS

    agreed: tuple[str, str] | None = None
    uid: str | None = None
    for attempt in range(TRIES):
        client = await session.api.get(CLIENT_ORGS, session.namespace, name)
        if uid not in (None, client["metadata"]["uid"]):
            raise ClientOrgError(f"{name} was deleted and created anew meanwhile; nothing was sent: look at it first")
        uid = client["metadata"]["uid"]
        key, ways = await _chosen(session, client, wanted)
        shown = (key, addressees(client, ways))
        if agreed != shown:
            (say if output is DataOutput.TABLE else note)(f"{key} goes {shown[1]} again.")
            if ask and not confirm("Send it?"):
                raise InputError("nothing was sent")
            agreed = shown
        # Any new value asks anew, so it is the machine's clock, which never stands still.
        stamp = f"{key}@{datetime.now(UTC).isoformat(timespec='microseconds').replace('+00:00', 'Z')}"
        metadata = {"resourceVersion": client["metadata"]["resourceVersion"], "annotations": {ANNOTATION_RESEND: stamp}}
        try:
            if dry_run is not DryRun.CLIENT:
                patch, only_try = {"metadata": metadata}, dry_run is DryRun.SERVER
                await session.api.patch(CLIENT_ORGS, session.namespace, name, patch, dry_run=only_try)
        except ConflictError:
            if attempt == TRIES - 1:
                raise
            continue
        asked = Asked(key, stamp, ways)
        _report(name, asked, dry_run, output)
        return asked
    raise AssertionError("unreachable")


async def _chosen(session: Session, client: Json, wanted: str) -> tuple[str, tuple[str, ...] | None]:
    """The message's key, and the ways it goes as far as they are known.

    Raises:
        InputError: there is no such message, or the plan sends nothing.
    """
    from clientorg.cli.messagerows import channels_of, find
    from clientorg.cluster.resources import ORG_PLANS
    from clientorg.domain.messages import from_status

    plan_name = client["spec"]["planRef"]["name"]
    ways = channels_of(await read_or_none(session, ORG_PLANS, plan_name))
    if ways == ():
        raise InputError(f"--resend: {_silent(plan_name)}")
    outbox = from_status((client.get("status") or {}).get("outbox") or ())
    entry = find(outbox, wanted)
    if entry is None and wanted == NotificationKind.DELIVERY and _was_delivered(client):
        return wanted, ways  # the operator writes it anew
    if entry is None:
        listed = ", ".join(dict.fromkeys([*(e.kind for e in outbox), *(e.key for e in outbox)]))
        there_are = f"give one of: {listed}" if listed else "nothing was sent to it so far"
        raise InputError(f"--resend: there is no message {plain(wanted)!r}; {there_are}")
    return entry.key, ways


def _was_delivered(client: Json) -> bool:
    return bool(((client.get("status") or {}).get("workspace") or {}).get("readyTime"))


def _report(name: str, asked: Asked, dry_run: DryRun, output: DataOutput) -> None:
    if output is DataOutput.TABLE:
        say(f"clientorg.clientorg.dev/{name} annotated: {asked.key} requested again{dry_run.suffix}")
    else:
        ways = None if asked.ways is None else list(asked.ways)
        whole = {"name": name, "message": asked.key, "channels": ways, "request": asked.stamp, "dryRun": dry_run.value}
        sys.stdout.write(as_document(whole, yaml=output is DataOutput.YAML))
    sys.stdout.flush()
