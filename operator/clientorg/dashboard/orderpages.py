"""Orders that nobody has set up yet, and the step from an order to a client (FEATURES W13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clientorg.cli.allocation import Stock, stock_of
from clientorg.cli.options import DryRun
from clientorg.cli.setupflow import bind, check_not_set_up, client_of, create, name_of
from clientorg.cluster.resources import SUBSCRIPTIONS
from clientorg.dashboard.board import Board
from clientorg.dashboard.forms import (
    AGREED,
    check_not_in_git,
    check_right,
    fingerprint,
    form_or_address,
    refused,
    text_or_none,
)
from clientorg.dashboard.rights import BIND_ORDERS, CREATE_CLIENTS
from clientorg.dashboard.view import View
from clientorg.domain import subscription
from clientorg.domain.subscription import Subscription, Term, term_at
from clientorg.errors import ClientOrgError
from clientorg.reports.portfolio_read import PlanFacts

Json = dict[str, Any]


@dataclass(frozen=True)
class OrderRow:
    """An order without a client.

    Attributes:
        read, term: None where it is none that can be read.
    """

    name: str
    order_id: str
    customer: str
    plan: str
    pool: str
    read: Subscription | None
    term: Term | None


async def show(request: Request) -> Response:
    """GET /orders."""
    view = await View.of(request)
    found = sorted(view.board.orders, key=lambda item: (str(item["spec"]["startDate"]), item["metadata"]["name"]))
    return view.render("orders.html.j2", active="orders", rows=[_row(view, item) for item in found])


def _row(view: View, order: Json) -> OrderRow:
    spec = order["spec"]
    read: Subscription | None
    term: Term | None
    try:
        read = subscription.read(order)
        term = term_at(read, view.now, PlanFacts().attention.time_zone)
    except (KeyError, ValueError, ArithmeticError):
        read = term = None
    return OrderRow(
        name=order["metadata"]["name"],
        order_id=spec["order"]["id"],
        customer=(spec.get("customer") or {}).get("displayName") or "",
        plan=(spec.get("planRef") or {}).get("name") or "",
        pool=(spec.get("poolRef") or {}).get("name") or "",
        read=read,
        term=term,
    )


async def set_up(request: Request) -> Response:
    """GET and POST /orders/{name}."""
    view, name = await View.of(request), request.path_params["name"]
    session, fields = view.board.session, await form_or_address(view)
    order = await session.api.get(SUBSCRIPTIONS, session.namespace, name)
    shown: Json = {
        "active": "orders",
        "row": _row(view, order),
        "fields": _fields(order, fields),
        "plans": sorted(view.board.plans.items),
        "pools": sorted(view.board.pools.items),
        "client": None,
        "stocks": {},
        "agreed": "",
    }
    chosen: Mapping[str, str] = shown["fields"]
    try:
        check_not_set_up(order)
        check_not_in_git(view, order)
        client = client_of(order, name=chosen["name"] or None, pool=chosen["pool"] or None, plan=chosen["plan"] or None)
        client["spec"]["requestedBy"] = view.house.user
        stocks = _stocks(view.board, client)
        agreed = fingerprint([client, order["metadata"]["uid"], [_short(*pair) for pair in stocks]])
        shown |= {"client": client, "agreed": agreed, "stocks": stocks, "is_approved": _is_approved(view, client)}
        if request.method == "GET":
            return view.render("order.html.j2", faults=[], is_stale=False, **shown)
        for right in (CREATE_CLIENTS, BIND_ORDERS):
            check_right(view, right)
        if fields.get(AGREED) != agreed:
            return view.render("order.html.j2", status=409, faults=[], is_stale=True, **shown)
        created = await create(session, client, order, DryRun.NONE)
        await bind(session, order, created["metadata"]["name"], DryRun.NONE)
    except ClientOrgError as error:
        return refused(view, "order.html.j2", error, is_stale=False, **shown)
    made = created["metadata"]["name"]
    return view.go(f"/clients/{made}", "done.set-up", name=made, order=shown["row"].order_id)


def _fields(order: Json, given: Mapping[str, str]) -> dict[str, str]:
    """What is chosen: as it was given, or else as the order says."""
    spec, name = order["spec"], order["metadata"]["name"]
    customer = (spec.get("customer") or {}).get("displayName")
    usual = {
        "name": name_of(customer, name) if customer else "",
        "pool": (spec.get("poolRef") or {}).get("name") or "",
        "plan": (spec.get("planRef") or {}).get("name") or "",
    }
    return {key: text_or_none(given.get(key)) or value for key, value in usual.items()}


def _stocks(board: Board, client: Json) -> list[tuple[Json, Stock | None]]:
    """The licenses that the client asks for, and what its pool has of each; None where that is not known."""
    pool = board.pools.items.get(client["spec"]["poolRef"]["name"])
    names = {entry["name"] for entry in ((pool or {}).get("spec") or {}).get("licenses") or ()}
    return [
        (item, stock_of(pool, item["name"]) if pool is not None and item["name"] in names else None)
        for item in client["spec"]["licenses"]
    ]


def _short(item: Json, stock: Stock | None) -> int:
    """Licenses that the pool lacks."""
    available = stock.available if stock is not None else None
    return 0 if available is None else max(0, int(item["quantity"]) - max(0, available))


def _is_approved(view: View, client: Json) -> bool:
    """Whether the client needs no approval by somebody else."""
    plan = view.board.plans.items.get(client["spec"]["planRef"]["name"]) or {}
    return (plan.get("spec") or {}).get("approval") != "Manual"
