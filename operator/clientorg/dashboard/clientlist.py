"""The list of clients, with filters, search and pages."""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response

from clientorg.api.clientorg import ClientStatus
from clientorg.dashboard.outlook import Outlook, outlook_of, outlook_soon
from clientorg.dashboard.overview import STATES
from clientorg.dashboard.query import PAGE_SIZES, SPECIAL, matching, page_of, wanted
from clientorg.dashboard.view import View
from clientorg.domain.points_record import points_record

MOST_CHOICES = 50


async def show(request: Request) -> Response:
    """GET /clients."""
    view = await View.of(request)
    board, wish = view.board, wanted(view.query)
    outlook = await (outlook_of(view) if wish.portfolio.is_narrow else outlook_soon(view))
    as_of = outlook.portfolio.as_of if outlook is not None and wish.portfolio.is_narrow else None  # statuses pass
    key = (board.clients.revision, board.subscriptions.revision, as_of, wish.key)
    found = board.kept(
        "list", key, lambda: matching(board.clients.values(), wish, outlook.portfolio if outlook else None)
    )
    choices = board.kept("choices", (*key[:2], id(outlook)), lambda: _choices(view, outlook))
    page = page_of(found, wish.page, wish.size)
    return view.render(
        "clients.html.j2",
        active="clients",
        wish=wish,
        page=page,
        records={client.row.name: points_record(client.item) for client in page.rows},
        choices=choices,
        outlook=outlook,
        specials=tuple(SPECIAL),
        sizes=PAGE_SIZES,
        total=len(board.clients.items),
    )


def _choices(view: View, outlook: Outlook | None) -> dict[str, list[str]]:
    """What there is to filter by, under the name of the parameter."""
    rows = [client.row for client in view.board.clients.values()]
    states = {row.state for row in rows}
    holdings = outlook.holdings.values() if outlook is not None else ()
    portfolio_rows = outlook.rows if outlook is not None else ()
    statuses = {status for holding in holdings for status in holding.statuses}
    managers = {name for client in view.board.clients.values() for name in client.facts.admins}
    return {
        "state": [state for state in STATES if state in states],
        "status": [status.value for status in ClientStatus if status in statuses],
        "product": sorted({row.product for row in portfolio_rows}),
        "type": sorted({row.type.value for row in portfolio_rows if row.type is not None}),
        "managed": ["own", "external", *sorted(managers)[:MOST_CHOICES]] if managers else [],
        "plan": sorted({row.plan for row in rows}),
        "pool": sorted({row.pool for row in rows}),
        "tag": [tag for tag, _ in Counter(tag for row in rows for tag in row.tags).most_common(MOST_CHOICES)],
    }
