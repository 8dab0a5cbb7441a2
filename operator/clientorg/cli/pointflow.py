"""How `points add`, `remove`, `purchase` and `reverse` go about it: look, show, ask, write, wait (FEATURES S6, S10)."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from clientorg.api.pointtransaction import TransactionKind
from clientorg.cli import clock
from clientorg.cli.dates import calendar_of
from clientorg.cli.exits import NotReachedError
from clientorg.cli.forecast import Forecast, forecast, position_of
from clientorg.cli.options import DryRun
from clientorg.cli.planrules import terms_or_none
from clientorg.cli.pointpreview import HEADER, Movement, check, document, rows, warnings
from clientorg.cli.related import read_or_none
from clientorg.cli.rows import condition
from clientorg.cli.table import as_document, table, without_managed_fields
from clientorg.cli.terminal import colored, confirm, interactive, note, say, warn
from clientorg.cli.text import number
from clientorg.cli.transactions import Outcome, check_same, generated_name, manifest, whoami, write
from clientorg.cli.waiting import wait_until
from clientorg.domain.points_record import points_record
from clientorg.errors import InputError, UnreachableError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]


class Output(StrEnum):
    """How a transaction is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True)
class How:
    """What the flags that all these commands share say.

    Attributes:
        name: of the transaction; None: one is generated.
        wait_seconds: None: not at all.
    """

    name: str | None
    output: Output
    yes: bool
    dry_run: DryRun
    wait_seconds: float | None

    @property
    def asks(self) -> bool:
        """Whether there is a person to ask."""
        return not self.yes and interactive() and self.dry_run is DryRun.NONE


async def carry_out(session: Session, spec: Json, how: How, client: Json | None, pool_name: str | None) -> None:
    """Write one movement.

    Args:
        spec: without requestedBy, which is filled in here.
        client: the ClientOrg whose balance it changes.
        pool_name: the pool whose balance it changes.

    Raises:
        InputError: it cannot be, or the person declined; nothing was written.
        NotReachedError: waited in vain.
    """
    about = (client["metadata"]["name"] if client is not None else pool_name) or "points"
    wanted = manifest(how.name or generated_name(TransactionKind(spec["kind"]), about), session.namespace, spec)
    if how.name is not None:
        found = await _existing(session, how.name)
        if found is not None:
            check_same(wanted, found)
            await _finish(session, how, Outcome(found, is_new=False))
            return
    movement, texts = await look(session, spec, client, pool_name)
    check(movement)
    _show(how, movement, texts)
    if how.asks and not confirm(f"{_title(spec)}?"):
        raise InputError("nothing was written")
    if how.dry_run is DryRun.CLIENT:
        _tell(how, Outcome(wanted, is_new=True), movement)
        return
    wanted["spec"]["requestedBy"] = await whoami(session)
    if how.name is None and how.dry_run is DryRun.NONE:
        note(f"transaction {wanted['metadata']['name']}; after a lost answer repeat it with --name "
             f"{wanted['metadata']['name']}, and nothing is made twice")  # fmt: skip
    try:
        outcome = await write(session, wanted, dry_run=how.dry_run is DryRun.SERVER)
    except UnreachableError:
        note(f"it is not known whether it was written: repeat the command with --name {wanted['metadata']['name']}")
        raise
    await _finish(session, how, outcome, movement)


def _title(spec: Json) -> str:
    verb = {"TopUp": "Add", "Withdrawal": "Remove", "Purchase": "Record a purchase of", "Reversal": "Reverse"}
    return f"{verb[spec['kind']]} {number(spec['amount'])} points"


async def _existing(session: Session, name: str) -> Json | None:
    from clientorg.cluster.resources import POINT_TRANSACTIONS
    from clientorg.errors import NotFoundError

    try:
        return await session.api.get(POINT_TRANSACTIONS, session.namespace, name)
    except NotFoundError:
        return None


async def look(session: Session, spec: Json, client: Json | None, pool_name: str | None) -> tuple[Movement, list[str]]:
    """The accounts as they are, and what to warn of."""
    from clientorg.cluster.resources import ORG_PLANS, QUOTA_POOLS

    plan, pool = await asyncio.gather(
        read_or_none(session, ORG_PLANS, client["spec"]["planRef"]["name"] if client is not None else ""),
        read_or_none(session, QUOTA_POOLS, pool_name or ""),
    )
    now = clock.now()
    view = forecast_of(client, plan, now) if client is not None else None
    movement = Movement(spec, view, pool)
    account = points_record(client)
    since = account.negative_since if account is not None else None
    texts = list(warnings(movement, since, calendar_of(plan), now))
    if pool_name and pool is None:
        texts.append(f"pool {pool_name}: not there, or no right to read it; its numbers are not shown")
    return movement, texts


def forecast_of(client: Json, plan: Json | None, now: datetime) -> Forecast:
    """The client's points by its status; without a plan that can be read nothing is foretold."""
    found = forecast(client, terms_or_none(plan), position_of(client), now)
    return found if plan is not None else replace(found, why_none=found.why_none and "its plan cannot be read")


def _show(how: How, movement: Movement, texts: list[str]) -> None:
    if how.output is Output.TABLE or how.asks:
        tell, stream = (say, sys.stdout) if how.output is Output.TABLE else (note, sys.stderr)
        body = list(rows(movement))
        if body:
            for text in table(HEADER, body, color=colored(stream)):
                tell(text)
            tell("")
        sys.stdout.flush()
    for text in texts:
        warn(text)


def _tell(how: How, outcome: Outcome, movement: Movement | None) -> None:
    item = without_managed_fields(outcome.item)
    name = f"pointtransaction.clientorg.dev/{item['metadata']['name']}"
    if how.output is Output.NAME:
        say(name)
    elif how.output is Output.TABLE:
        did = "created" if outcome.is_new else f"unchanged: it is there already{_phase_text(item)}"
        say(f"{name} {did}{how.dry_run.suffix}")
    else:
        whole = {
            "transaction": item,
            "created": outcome.is_new and how.dry_run is DryRun.NONE,
            "dryRun": how.dry_run.value,
            **(document(movement) if movement is not None else {}),
        }
        sys.stdout.write(as_document(whole, yaml=how.output is Output.YAML))
    sys.stdout.flush()


def _phase_text(item: Json) -> str:
    status = item.get("status") or {}
    if status.get("phase") == "Posted":
        return f" (Posted, entry {status.get('entry')})"
    return f" ({status['phase']})" if status.get("phase") else ""


async def _finish(session: Session, how: How, outcome: Outcome, movement: Movement | None = None) -> None:
    _tell(how, outcome, movement)
    if how.wait_seconds is not None and how.dry_run is DryRun.NONE:
        await _wait(session, outcome.item, how.wait_seconds)
        if how.output is Output.TABLE:
            say(f"pointtransaction.clientorg.dev/{outcome.item['metadata']['name']} posted")


async def _wait(session: Session, item: Json, seconds: float) -> None:
    from clientorg.cluster.resources import POINT_TRANSACTIONS

    name, uid = item["metadata"]["name"], item["metadata"]["uid"]

    def posted(found: Json | None) -> bool:
        if found is None or found["metadata"]["uid"] != uid:
            raise NotReachedError(f"{name} was deleted meanwhile")
        phase = (found.get("status") or {}).get("phase")
        if phase == "Rejected":
            raise NotReachedError(f"{name} was rejected, and is never posted: {how_it_stands(found)}")
        return bool(phase == "Posted")

    await wait_until(
        session.api,
        POINT_TRANSACTIONS,
        session.namespace,
        name,
        posted,
        timeout_seconds=seconds,
        what=f"{name} to be posted",
        tell=how_it_stands,
    )


def how_it_stands(item: Json | None) -> str:
    """One line for the progress and the error: what it waits for."""
    for kind in ("Stalled", "Reconciling", "Ready"):
        found = condition(item or {}, kind)
        if found.get("status") == ("False" if kind == "Ready" else "True"):
            return f"{found.get('reason', '')}: {found.get('message', '')}"
    return "the operator has not answered yet (does it run?)"
