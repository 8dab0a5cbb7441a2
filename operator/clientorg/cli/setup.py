"""`setup`: from an order to a client in one step (FEATURES W13)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from clientorg.cli.app import command
from clientorg.cli.create import checked, requester, wait_ready, warn_of_what_is_missing
from clientorg.cli.options import DataOutput, DryRun, DryRunFlag, Target, WaitFlag
from clientorg.cli.session import connect
from clientorg.cli.setupflow import bind, check_not_set_up, client_of, create, order_of
from clientorg.cli.table import as_document, without_managed_fields
from clientorg.cli.terminal import say
from clientorg.cli.text import plain
from clientorg.cli.waiting import parse_wait

Json = dict[str, Any]


@command(
    "setup",
    examples="""
    # What would be made from the order, checked by the server; then make it
    $ PO-2026-118 --dry-run
    $ PO-2026-118
    # By the Subscription's own name, under a name of its own, with another plan than the order says
    $ acme-2026 --name acme --plan premium --pool tokyo --wait
    """,
)
async def setup_client(
    target: Target,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Order ID, or name of the Subscription.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the client. Default: from its display name.")
    ] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="NAME", help="Pool the licenses come from. Default: the order's.")
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="NAME", help="Plan with the terms. Default: the order's.")
    ] = None,
    output: Annotated[
        DataOutput | None, typer.Option("--output", "-o", help="Print the client in this form (json, yaml).")
    ] = None,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Make the client from an order, and bind the order to it.

    The client gets the order's customer, its licenses, pool and plan. Run again after a failure, it finishes what is
    left: an order is set up once.
    """
    seconds = parse_wait(wait)
    async with connect(target) as session:
        found = await order_of(session, order)
        check_not_set_up(found)
        manifest = client_of(found, name=name, pool=pool, plan=plan)
        if dry_run is DryRun.CLIENT:
            _show(checked(manifest), found, output, dry_run)
            return
        requested_by = await requester(session)
        if requested_by is not None:
            manifest["spec"]["requestedBy"] = requested_by
        created = await create(session, manifest, found, dry_run)
        await warn_of_what_is_missing(session, manifest["spec"])
        await bind(session, found, created["metadata"]["name"], dry_run)
        _show(without_managed_fields(created), found, output, dry_run)
        if seconds is not None and dry_run is DryRun.NONE:
            await wait_ready(session, created, seconds)


def _show(client: Json, order: Json, output: DataOutput | None, dry_run: DryRun) -> None:
    if output in (DataOutput.JSON, DataOutput.YAML):
        say(as_document(client, yaml=output is DataOutput.YAML).rstrip("\n"))
        return
    name = client["metadata"]["name"]
    licenses = ", ".join(f"{item['name']} {item['quantity']:,}" for item in client["spec"]["licenses"])
    say(f"clientorg.clientorg.dev/{name} created from order {plain(order['spec']['order']['id'])}{dry_run.suffix}")
    say(f"  {licenses}; pool {client['spec']['poolRef']['name']}, plan {client['spec']['planRef']['name']}")
