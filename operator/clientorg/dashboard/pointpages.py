"""Points: the pools' balances, the ledger, and replenishing everybody at once (FEATURES S6-S10)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clientorg.api.pointtransaction import TransactionKind
from clientorg.cli.options import DataOutput, DryRun
from clientorg.cli.replenishlook import Agency, Wish, agency_of, check_unchanged, plan_of
from clientorg.cli.replenishpage import document
from clientorg.cli.replenishplan import Plan
from clientorg.cli.replenishwrite import Writer
from clientorg.cli.selection import folded
from clientorg.cli.transactions import parse_points
from clientorg.dashboard.board import Movement
from clientorg.dashboard.forms import AGREED, check_right, fingerprint, read_form, refused
from clientorg.dashboard.overview import pool_cards
from clientorg.dashboard.query import page_of
from clientorg.dashboard.rights import TOP_UP
from clientorg.dashboard.view import View
from clientorg.errors import ClientOrgError

Json = dict[str, Any]

PAGE_SIZE = 50
MOST_LISTED = 200


async def ledger(request: Request) -> Response:
    """GET /points."""
    view = await View.of(request)
    shelf = await view.board.ledger()
    query = view.query
    kind, words = str(query.get("kind", "")), folded(str(query.get("q", ""))[:200]).split()
    key = (shelf.revision, kind, tuple(words))
    rows = view.board.kept("ledger", key, lambda: _matching(list(shelf.values()), kind, words))
    number = str(query.get("page", "1"))
    return view.render(
        "points.html.j2",
        active="points",
        shelf=shelf,
        page=page_of(rows, int(number) if number.isascii() and number.isdigit() else 1, PAGE_SIZE),
        kinds=[kind.value for kind in TransactionKind],
        cards=pool_cards(view.board),
        total=len(shelf.items),
    )


def _matching(movements: list[Movement], kind: str, words: list[str]) -> list[Movement]:
    """What is not posted first, then the newest entry."""
    found = [
        one
        for one in movements
        if (not kind or one.row.kind == kind) and (not words or all(word in _searched(one) for word in words))
    ]
    return sorted(found, key=lambda one: (one.row.entry is not None, -(one.row.entry or 0), one.created))


def _searched(one: Movement) -> str:
    row = one.row
    fields = (row.name, row.client, row.pool, row.reason, row.reference, row.period, row.requested_by, row.org_id)
    return folded("\n".join(fields))


async def replenish(request: Request) -> Response:
    """GET and POST /points/replenish."""
    view = await View.of(request)
    session = view.board.session
    fields = await read_form(view) if request.method == "POST" else view.query
    shown: Json = {
        "active": "points",
        "to": str(fields.get("to") or "0"),
        "plan": None,
        "agreed": "",
        "most": MOST_LISTED,
    }
    try:
        to = parse_points(shown["to"], view.speech("points.to"), least=0)
        wish = Wish((), None, to, False, DryRun.NONE, DataOutput.JSON, view.now)
        agency = await agency_of(session, wish)
        plan = await plan_of(session, wish, agency)
        agreed = fingerprint(_agreed(wish, plan))
        waits = {one.name for one in plan.later}
        shown |= {"plan": plan, "agreed": agreed, "waits": waits}
        if request.method == "GET":
            return view.render("replenish.html.j2", faults=[], is_stale=False, **shown)
        check_right(view, TOP_UP)
        if fields.get(AGREED) != agreed:
            return view.render("replenish.html.j2", status=409, faults=[], is_stale=True, **shown)
        done = await _carry_out(view, wish, agency, plan)
    except ClientOrgError as error:
        return refused(view, "replenish.html.j2", error, is_stale=False, **shown)
    return view.go("/points", "done.replenish", count=view.speech.number(done))


async def _carry_out(view: View, wish: Wish, agency: Agency, plan: Plan) -> int:
    """Create the top-ups; returns how many there are."""
    session = view.board.session
    check_unchanged(agency, await agency_of(session, wish))
    return len(await Writer(session, wish, view.house.user, len(plan.top_ups)).create(plan))


def _agreed(wish: Wish, plan: Plan) -> Json:
    """What a person agrees to: who gets what, and what the pools have left."""
    return document(wish, plan, [])
