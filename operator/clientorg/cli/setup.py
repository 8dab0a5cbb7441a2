"""`setup`: from an order to a client in one step (FEATURES W13)."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.api.meta import ANNOTATION_ORDER, API_VERSION, MAX_CLIENT_NAME_LENGTH
from clientorg.cli.app import command
from clientorg.cli.create import checked, requester, wait_ready, warn_of_what_is_missing
from clientorg.cli.options import PROGRAM, DataOutput, DryRun, DryRunFlag, Target, WaitFlag
from clientorg.cli.session import Session, connect
from clientorg.cli.table import as_document, without_managed_fields
from clientorg.cli.terminal import say
from clientorg.cli.text import joined, plain
from clientorg.cli.waiting import parse_wait
from clientorg.errors import ConflictError, InputError, NotFoundError

if TYPE_CHECKING:
    from clientorg.cluster.resources import Resource

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
        found = await _order(session, order)
        bound = (found["spec"].get("clientRef") or {}).get("name")
        if bound is not None:
            raise InputError(
                f"ORDER: Subscription {found['metadata']['name']} is set up already: its client is {plain(bound)}"
            )
        manifest = client_of(found, name=name, pool=pool, plan=plan)
        if dry_run is DryRun.CLIENT:
            _show(checked(manifest), found, output, dry_run)
            return
        requested_by = await requester(session)
        if requested_by is not None:
            manifest["spec"]["requestedBy"] = requested_by
        created = await _create(session, manifest, found, dry_run)
        await _bind(session, found, created["metadata"]["name"], dry_run)
        _show(without_managed_fields(created), found, output, dry_run)
        if seconds is not None and dry_run is DryRun.NONE:
            await wait_ready(session, created, seconds)


async def _order(session: Session, order: str) -> Json:
    """The Subscription of that order ID, or of that name.

    Raises:
        InputError: there is none, or several have the order ID.
    """
    from clientorg.cluster.resources import SUBSCRIPTIONS

    items = await session.api.list_all(
        SUBSCRIPTIONS, session.namespace, field_selector=f"spec.order.id={_escaped(order)}"
    )
    if len(items) > 1:
        names = joined(sorted(item["metadata"]["name"] for item in items), "or")
        raise InputError(f"ORDER: {plain(order)!r} is the order ID of several; give the Subscription's name: {names}")
    if items:
        return items[0]
    try:
        return await session.api.get(SUBSCRIPTIONS, session.namespace, order)
    except NotFoundError:
        raise InputError(
            f"ORDER: no Subscription in namespace {session.namespace} has the order ID or the name {plain(order)!r}; "
            f"those that wait: kubectl get subscriptions -n {session.namespace} --field-selector "
            "status.state=ReadyToSetUp"
        ) from None


def _escaped(value: str) -> str:
    """A value of a field selector: backslash, comma and equals sign have a meaning there."""
    return re.sub(r"([\\,=])", r"\\\1", value)


def client_of(order: Json, *, name: str | None, pool: str | None, plan: str | None) -> Json:
    """The ClientOrg that an order asks for.

    Raises:
        InputError: the order does not say everything, and the flags neither.
    """
    spec = order["spec"]
    customer = spec.get("customer") or {}
    pool = pool or (spec.get("poolRef") or {}).get("name")
    plan = plan or (spec.get("planRef") or {}).get("name")
    missing = [
        *(["spec.customer (kubectl edit subscription)"] if not customer else []),
        *(["spec.poolRef or --pool"] if not pool else []),
        *(["spec.planRef or --plan"] if not plan else []),
    ]
    if missing:
        raise InputError(f"ORDER: {order['metadata']['name']} does not say enough to make a client: {joined(missing)}")
    fields = ("displayName", "contact", "organization", "industry", "address", "contractedUsers")
    return {
        "apiVersion": API_VERSION,
        "kind": "ClientOrg",
        "metadata": {
            "name": name or name_of(customer["displayName"], order["metadata"]["name"]),
            "namespace": order["metadata"]["namespace"],
            "annotations": {ANNOTATION_ORDER: order["metadata"]["name"]},
        },
        "spec": {
            **{key: customer[key] for key in fields if customer.get(key)},
            "poolRef": {"name": pool},
            "planRef": {"name": plan},
            "licenses": [{"name": item["name"], "quantity": item["licenses"]} for item in spec["products"]],
        },
    }


def name_of(display_name: str, otherwise: str) -> str:
    """A name for the client's object: `Acme K.K.` is acme-k-k; one that has no Latin letters is called as its order."""
    ascii_ = unicodedata.normalize("NFKD", display_name).encode("ascii", "ignore").decode().casefold()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_).strip("-") or re.sub(r"[^a-z0-9]+", "-", otherwise)
    return name[:MAX_CLIENT_NAME_LENGTH].strip("-")


async def _create(session: Session, manifest: Json, order: Json, dry_run: DryRun) -> Json:
    """The client; one that an earlier run made from this order and could not bind is taken as it is.

    Raises:
        InputError: another client has the name.
    """
    from clientorg.cluster.resources import CLIENT_ORGS

    resource: Resource = CLIENT_ORGS
    name = manifest["metadata"]["name"]
    try:
        created = await session.api.create(resource, session.namespace, manifest, dry_run=dry_run is DryRun.SERVER)
    except ConflictError:
        found = await session.api.get(resource, session.namespace, name)
        if (found["metadata"].get("annotations") or {}).get(ANNOTATION_ORDER) == order["metadata"]["name"]:
            return found
        raise InputError(
            f"--name: there is another client {name} in namespace {session.namespace}; give another name, or bind the "
            f"order to it: kubectl patch subscription {order['metadata']['name']} -n {session.namespace} --type=merge "
            f"""-p '{{"spec":{{"clientRef":{{"name":"{name}"}}}}}}'"""
        ) from None
    await warn_of_what_is_missing(session, manifest["spec"])
    return created


async def _bind(session: Session, order: Json, client: str, dry_run: DryRun) -> None:
    """Write the client into the order, only into the version that was read."""
    from clientorg.cluster.resources import SUBSCRIPTIONS

    metadata = order["metadata"]
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"clientRef": {"name": client}}}
    try:
        await session.api.patch(
            SUBSCRIPTIONS, session.namespace, metadata["name"], patch, dry_run=dry_run is DryRun.SERVER
        )
    except ConflictError as error:
        raise InputError(
            f"ORDER: the order was changed meanwhile, and is not bound to client {client} yet; look at it, and run "
            f"{PROGRAM} setup {metadata['name']} again"
        ) from error


def _show(client: Json, order: Json, output: DataOutput | None, dry_run: DryRun) -> None:
    if output in (DataOutput.JSON, DataOutput.YAML):
        say(as_document(client, yaml=output is DataOutput.YAML).rstrip("\n"))
        return
    name = client["metadata"]["name"]
    licenses = ", ".join(f"{item['name']} {item['quantity']:,}" for item in client["spec"]["licenses"])
    say(f"clientorg.clientorg.dev/{name} created from order {plain(order['spec']['order']['id'])}{dry_run.suffix}")
    say(f"  {licenses}; pool {client['spec']['poolRef']['name']}, plan {client['spec']['planRef']['name']}")
