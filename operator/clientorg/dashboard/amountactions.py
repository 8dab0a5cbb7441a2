"""Reallocate licenses and top up points: a number, what it does while it is typed, and the confirmation (Z5, S6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clientorg.api.pointtransaction import TransactionKind
from clientorg.cli.allocation import holding, stock_of
from clientorg.cli.pointflow import look as look_at_points
from clientorg.cli.pointpreview import Movement, document
from clientorg.cli.pointpreview import check as check_movement
from clientorg.cli.reallocate import Read, Wish, carry_out
from clientorg.cli.reallocate import look as look_at_licenses
from clientorg.cli.related import read_or_none
from clientorg.cli.rows import client_row
from clientorg.cli.text import checked_text, parse_count
from clientorg.cli.transactions import check_same, generated_name, manifest, parse_points, write
from clientorg.cluster.resources import CLIENT_ORGS, POINT_TRANSACTIONS, QUOTA_POOLS
from clientorg.dashboard.forms import (
    AGREED,
    check_not_in_git,
    check_right,
    fingerprint,
    form_or_address,
    is_preview,
    refused,
    text_or_none,
)
from clientorg.dashboard.rights import CHANGE_CLIENTS, TOP_UP
from clientorg.dashboard.view import View
from clientorg.errors import ClientOrgError, ConflictError

Json = dict[str, Any]


# -- licenses ---------------------------------------------------------------------------------------------------------


async def reallocate(request: Request) -> Response:
    """GET and POST /clients/{name}/reallocate."""
    view, name = await View.of(request), request.path_params["name"]
    session, fields = view.board.session, await form_or_address(view)
    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    pool = await read_or_none(session, QUOTA_POOLS, client_row(client).pool)
    license_name = fields.get("license") or _first_license(client)
    shown: Json = {
        "active": "clients",
        "name": name,
        "row": client_row(client),
        "licenses": _licenses(client, pool),
        "license": license_name,
        "quantity": fields.get("quantity", ""),
        "plan": None,
        "agreed": "",
        "is_part": is_preview(request),
    }
    if not fields.get("quantity"):
        return view.render("reallocate.html.j2", faults=[], is_stale=False, **shown)
    try:
        quantity = parse_count(fields["quantity"], view.speech("license.quantity"))
        read = await look_at_licenses(session, Wish(name, license_name, quantity, None, None, force=False))
        if not read.plan.changes_nothing:
            check_not_in_git(view, client)
        agreed = fingerprint(_numbers(read))
        shown |= {"plan": read.plan, "agreed": agreed}
        if request.method == "GET":
            return view.render("reallocate.html.j2", faults=[], is_stale=False, **shown)
        check_right(view, CHANGE_CLIENTS)
        if fields.get(AGREED) != agreed:
            return view.render("reallocate.html.j2", status=409, faults=[], is_stale=True, **shown)
        if not read.plan.changes_nothing:
            await carry_out(session, read)
    except ConflictError:
        return view.render("reallocate.html.j2", status=409, faults=[], is_stale=True, **shown)
    except ClientOrgError as error:
        return refused(view, "reallocate.html.j2", error, is_stale=False, **shown)
    return view.go(f"/clients/{name}", "done.reallocate", name=name)


def _first_license(client: Json) -> str:
    return next((str(entry["name"]) for entry in client["spec"].get("licenses") or ()), "")


def _licenses(client: Json, pool: Json | None) -> list[tuple[Any, Any]]:
    """What the client holds of each license that it or its pool has, and what the pool has of it."""
    owned = [entry["name"] for entry in ((pool or {}).get("spec") or {}).get("licenses") or ()]
    names = dict.fromkeys([*(entry.name for entry in client_row(client).licenses), *owned])
    return [(holding(client, name), stock_of(pool, name) if name in owned else None) for name in names]


def _numbers(read: Read) -> list[Any]:
    plan = read.plan
    return [[change.client, change.before, change.after] for change in plan.changes] + [plan.shortage]


# -- points -----------------------------------------------------------------------------------------------------------


async def top_up(request: Request) -> Response:
    """GET and POST /clients/{name}/top-up.

    The transaction's name is made with the form: a form that is sent twice moves the points once.
    """
    view, name = await View.of(request), request.path_params["name"]
    session, fields = view.board.session, await form_or_address(view)
    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    row = client_row(client)
    shown: Json = {
        "active": "clients",
        "name": name,
        "row": row,
        "amount": fields.get("amount", ""),
        "reason": fields.get("reason", ""),
        "key": fields.get("key") or generated_name(TransactionKind.TOP_UP, name),
        "movement": None,
        "agreed": "",
        "is_part": is_preview(request),
    }
    try:
        movement, _ = await look_at_points(session, _spec(view, client, fields, amount=1), client, row.pool)
        shown["before"] = movement
        check_movement(movement)
        if not fields.get("amount"):
            return view.render("topup.html.j2", faults=[], is_stale=False, **shown)
        amount = parse_points(fields["amount"], view.speech("points.amount"))
        spec = _spec(view, client, fields, amount)
        movement, _ = await look_at_points(session, spec, client, row.pool)
        agreed = fingerprint({"amount": amount, **_agreed(movement)})
        shown |= {"movement": movement, "agreed": agreed}
        if request.method == "GET":
            return view.render("topup.html.j2", faults=[], is_stale=False, **shown)
        check_right(view, TOP_UP)
        wanted = manifest(shown["key"], session.namespace, {**spec, "requestedBy": view.house.user})
        there = await read_or_none(session, POINT_TRANSACTIONS, shown["key"])
        if there is not None:
            check_same(wanted, there)
        elif fields.get(AGREED) != agreed:
            return view.render("topup.html.j2", status=409, faults=[], is_stale=True, **shown)
        else:
            await write(session, wanted)
    except ClientOrgError as error:
        return refused(view, "topup.html.j2", error, is_stale=False, **{"before": None, **shown})
    return view.go(f"/clients/{name}", "done.top-up", name=name, amount=view.speech.number(amount))


def _spec(view: View, client: Json, fields: Mapping[str, str], amount: int) -> Json:
    row = client_row(client)
    reason = checked_text(view.speech("action.reason"), text_or_none(fields.get("reason")), 256)
    spec: Json = {
        "kind": TransactionKind.TOP_UP.value,
        "from": f"pool/{row.pool}",
        "to": f"org/{row.name}",
        "amount": amount,
        "orgID": row.org_id or None,
        "reason": reason,
    }
    return {key: value for key, value in spec.items() if value is not None}


def _agreed(movement: Movement) -> Json:
    return document(movement)
