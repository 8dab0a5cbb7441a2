"""`notify`: the messages to a client's contact, and sending one again (FEATURES S4, Z9)."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.api.meta import ANNOTATION_RESEND
from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.options import PROGRAM, DataOutput, DryRun, DryRunFlag, OutputFlag, Target, WaitFlag, YesFlag
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.table import as_json, as_yaml, table
from clientorg.cli.terminal import colored, confirm, interactive, note, say
from clientorg.cli.text import joined, plain
from clientorg.cli.waiting import parse_wait
from clientorg.errors import ConflictError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

TRIES = 5


@command(
    "notify",
    examples="""
    # What was sent, what waits, what failed and why
    $ acme
    # Send the delivery notice again: the newest message of a kind, or the one with that key
    $ acme --resend delivery
    $ acme --resend reminder-20261125T000000Z-20270225-7 --wait
    """,
)
async def notify_client(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.")],
    resend: Annotated[
        str | None,
        typer.Option("--resend", metavar="KEY|KIND", help="Send this message, or the newest of this kind, again."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the messages; so it does without --resend.")] = False,
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
            raise InputError(f"say with --resend which message to send again; see {PROGRAM} notify --help")
        async with connect(target) as session:
            await _list(session, name, output)
        return
    if list_:
        raise InputError("--list and --resend: give one of them")
    async with connect(target) as session:
        session.warnings.muted_policies.add(LICENSE_WARNINGS)
        ask = not yes and interactive() and dry_run is DryRun.NONE
        stamp, key, ways = await _resend(session, name, resend, ask=ask, dry_run=dry_run, output=output)
        if seconds is not None and dry_run is DryRun.NONE:
            from clientorg.cli.notifywait import wait_until_sent

            await wait_until_sent(session, name, stamp, key, ways, seconds)


async def _list(session: Session, name: str, output: DataOutput) -> None:
    from clientorg.cli.messagerows import HEADER, document, message_cells
    from clientorg.cli.related import read_or_none
    from clientorg.cli.statepreview import channels_of
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS
    from clientorg.domain.messages import from_status

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    outbox = from_status((client.get("status") or {}).get("outbox") or ())
    if output is not DataOutput.TABLE:
        whole = {"namespace": session.namespace, "name": name, "messages": [document(entry) for entry in outbox]}
        sys.stdout.write(as_yaml(whole) if output is DataOutput.YAML else as_json(whole) + "\n")
        return
    now = clock.now()
    body = [row for entry in outbox for row in message_cells(entry, now)]
    for text in table(HEADER, body, color=colored(sys.stdout)) if body else ():
        say(text)
    sys.stdout.flush()
    if not outbox:
        note(f"No messages to {name} so far.")
    if channels_of(await read_or_none(session, ORG_PLANS, client["spec"]["planRef"]["name"])) == ():
        plan = plain(client["spec"]["planRef"]["name"])
        note(
            f"(the plan {plan} sends nothing: set spec.notifications.fromAddress or .webhook; Events are posted always)"
        )


async def _resend(
    session: Session, name: str, wanted: str, *, ask: bool, dry_run: DryRun, output: DataOutput
) -> tuple[str, str, tuple[str, ...]]:
    """Ask the operator; returns the annotation's value, the key of the message and the ways it goes."""
    from clientorg.cluster.resources import CLIENT_ORGS

    agreed: str | None = None
    for attempt in range(TRIES):
        client = await session.api.get(CLIENT_ORGS, session.namespace, name)
        key, ways = await _chosen(session, client, wanted)
        if agreed != key:
            contact = client["spec"].get("contact") or {}
            told = [f"to {plain(contact.get('email', '?'))} by mail"] if "mail" in ways else []
            told += ["to the agency's webhook"] if "webhook" in ways else []
            (say if output is DataOutput.TABLE else note)(f"{key} goes {joined(told)} again.")
            sys.stdout.flush()
            if ask and not confirm("Send it?"):
                raise InputError("nothing was sent")
            agreed = key
        # Any new value asks anew, so it is the machine's clock, which never stands still.
        stamp = f"{wanted}@{datetime.now(UTC).isoformat(timespec='microseconds').replace('+00:00', 'Z')}"
        metadata = {"resourceVersion": client["metadata"]["resourceVersion"], "annotations": {ANNOTATION_RESEND: stamp}}
        try:
            if dry_run is not DryRun.CLIENT:
                patch, only_try = {"metadata": metadata}, dry_run is DryRun.SERVER
                await session.api.patch(CLIENT_ORGS, session.namespace, name, patch, dry_run=only_try)
        except ConflictError:
            if attempt == TRIES - 1:
                raise
            continue
        _report(name, key, ways, stamp, dry_run, output)
        return stamp, key, ways
    raise AssertionError("unreachable")


async def _chosen(session: Session, client: Json, wanted: str) -> tuple[str, tuple[str, ...]]:
    """The message's key and the ways it goes, by the operator's own rule.

    Raises:
        InputError: there is no such message, or the plan sends nothing.
    """
    from clientorg.api.notifications import Channel
    from clientorg.cli.related import read_or_none
    from clientorg.cli.statepreview import channels_of
    from clientorg.cluster.resources import ORG_PLANS
    from clientorg.domain import outbox as box
    from clientorg.domain.messages import from_status

    plan_name = client["spec"]["planRef"]["name"]
    ways = channels_of(await read_or_none(session, ORG_PLANS, plan_name))
    if ways == ():
        raise InputError(
            f"--resend: the plan {plain(plan_name)} sends nothing; set its spec.notifications.fromAddress or .webhook"
        )
    outbox = from_status((client.get("status") or {}).get("outbox") or ())
    is_key = any(entry.key == wanted for entry in outbox)
    try:
        after = box.resend(
            outbox,
            datetime.now(UTC),
            key=wanted if is_key else None,
            kind=None if is_key else wanted,
            channels=[*Channel],
        )
    except InputError as error:
        raise InputError(f"--resend: {plain(str(error))}") from error
    (changed,) = (new for new, old in zip(after, outbox, strict=True) if new != old)
    return changed.key, ways if ways is not None else tuple(channel.value for channel in Channel)


def _report(name: str, key: str, ways: tuple[str, ...], stamp: str, dry_run: DryRun, output: DataOutput) -> None:
    if output is DataOutput.TABLE:
        say(f"clientorg.clientorg.dev/{name} annotated: {key} requested again{dry_run.suffix}")
    else:
        whole = {"name": name, "message": key, "channels": list(ways), "request": stamp, "dryRun": dry_run.value}
        sys.stdout.write(as_yaml(whole) if output is DataOutput.YAML else as_json(whole) + "\n")
    sys.stdout.flush()
