"""`approvals`: who waits for an approval, since when, and until when it is due (FEATURES S2)."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.approvalrows import ApprovalRow, Standing, approval_row, by_urgency, document, header, row_cells
from clientorg.cli.listing import name_line
from clientorg.cli.options import Target
from clientorg.cli.related import list_or_none
from clientorg.cli.session import connect
from clientorg.cli.table import as_document, table
from clientorg.cli.terminal import colored, note, say
from clientorg.cli.text import plural
from clientorg.cli.watching import list_objects

if TYPE_CHECKING:
    from datetime import datetime

    from clientorg.cli.session import Session

Json = dict[str, Any]


class Output(StrEnum):
    """How approvals are printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@command(
    "approvals",
    examples="""
    # Who waits, the one that is due first before the others
    $
    # Those that were decided too, with who decided and why
    $ --all -o wide
    # Of every agency, for another program
    $ -A -o json
    """,
)
async def list_approvals(
    target: Target,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TABLE,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="The clients of all agencies.")
    ] = False,
    decided: Annotated[bool, typer.Option("--all", help="Those that were decided too.")] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Print no headings.")] = False,
) -> None:
    """List the clients that wait for approval.

    Who requested each, how many business days it has waited of those that the plan's approvalTarget allows, and what it
    asks for. Times are in the time zone of the client's plan.
    """
    async with connect(target) as session:
        namespace = None if all_namespaces else session.namespace
        found, plans_known = await _gather(session, namespace, clock.now())
    wanted = {Standing.WAITING, *([Standing.APPROVED, Standing.REJECTED] if decided else [])}
    rows = by_urgency(item for item in found if item.standing in wanted)
    _print(rows, output, headers=not no_headers, namespaces=all_namespaces)
    if not rows:
        where = "in any namespace" if namespace is None else f"in namespace {namespace}"
        note(f"No client {'was or is to be approved' if decided else 'waits for approval'} {where}.")
    unknown = sum(item.standing is Standing.UNKNOWN for item in found)
    if unknown:
        why = "their plans are not there or not readable" if plans_known else "there is no right to list plans"
        note(f"(of {plural(unknown, 'client')} it is not known whether it is to be approved: {why})")


async def _gather(session: Session, namespace: str | None, now: datetime) -> tuple[list[ApprovalRow], bool]:
    """Every client's approval, and whether plans could be read."""
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS

    (clients, _), plans = await asyncio.gather(
        list_objects(session.api, CLIENT_ORGS, namespace), list_or_none(session, ORG_PLANS, namespace)
    )
    known = {(plan["metadata"]["namespace"], plan["metadata"]["name"]): plan for plan in plans or ()}
    rows = [
        approval_row(client, known.get((client["metadata"]["namespace"], client["spec"]["planRef"]["name"])), now)
        for client in clients
    ]
    return rows, plans is not None


def _print(rows: list[ApprovalRow], output: Output, *, headers: bool, namespaces: bool) -> None:
    if output in (Output.JSON, Output.YAML):
        whole = {"approvals": [document(item) for item in rows]}
        sys.stdout.write(as_document(whole, yaml=output is Output.YAML))
    elif output is Output.NAME:
        for item in rows:
            say(name_line(item.row))
    elif rows:
        wide = output is Output.WIDE
        body = [row_cells(item, wide=wide, namespaces=namespaces) for item in rows]
        top = header(wide=wide, namespaces=namespaces)
        for text in table(top, body, color=colored(sys.stdout), headers=headers):
            say(text)
