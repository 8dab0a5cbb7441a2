"""From an order to a client: what is made from it, and the two writes (FEATURES W13)."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from clientorg.api.meta import ANNOTATION_ORDER, API_VERSION, MAX_CLIENT_NAME_LENGTH
from clientorg.cli.options import PROGRAM, DryRun
from clientorg.cli.text import joined, plain
from clientorg.errors import ConflictError, InputError, NotFoundError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]


async def order_of(session: Session, order: str) -> Json:
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


def check_not_set_up(order: Json) -> None:
    """Raise InputError where the order has its client already."""
    bound = (order["spec"].get("clientRef") or {}).get("name")
    if bound is not None:
        name = order["metadata"]["name"]
        raise InputError(f"ORDER: Subscription {name} is set up already: its client is {plain(bound)}")


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


async def create(session: Session, manifest: Json, order: Json, dry_run: DryRun) -> Json:
    """The client; one that an earlier run made from this order and could not bind is taken as it is.

    Raises:
        InputError: another client has the name.
    """
    from clientorg.cluster.resources import CLIENT_ORGS

    name = manifest["metadata"]["name"]
    try:
        created = await session.api.create(CLIENT_ORGS, session.namespace, manifest, dry_run=dry_run is DryRun.SERVER)
    except ConflictError:
        found = await session.api.get(CLIENT_ORGS, session.namespace, name)
        if (found["metadata"].get("annotations") or {}).get(ANNOTATION_ORDER) == order["metadata"]["name"]:
            return found
        raise InputError(
            f"--name: there is another client {name} in namespace {session.namespace}; give another name, or bind the "
            f"order to it: kubectl patch subscription {order['metadata']['name']} -n {session.namespace} --type=merge "
            f"""-p '{{"spec":{{"clientRef":{{"name":"{name}"}}}}}}'"""
        ) from None
    return created


async def bind(session: Session, order: Json, client: str, dry_run: DryRun) -> None:
    """Write the client into the order, only into the version that was read.

    Raises:
        InputError: the order was changed meanwhile.
    """
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
