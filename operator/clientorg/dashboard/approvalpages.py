"""Who waits for an approval, and what was decided lately (FEATURES S2)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from clientorg.cli.approvalrows import ApprovalRow, Standing, approval_row, by_urgency
from clientorg.dashboard.view import View

MOST_DECIDED = 25


async def show(request: Request) -> Response:
    """GET /approvals."""
    view = await View.of(request)
    board = view.board
    minute = int(view.now.timestamp()) // 60
    key = (board.clients.revision, board.plans.revision, minute)
    waiting, decided = board.kept("approvals", key, lambda: _rows(view))
    return view.render("approvals.html.j2", active="approvals", waiting=waiting, decided=decided)


def _rows(view: View) -> tuple[list[ApprovalRow], list[ApprovalRow]]:
    """Those that wait, the most urgent first; and the last decisions, the newest first."""
    board = view.board
    candidates = [
        client.item
        for client in board.clients.values()
        if client.row.state in ("PendingApproval", "") or (client.item.get("status") or {}).get("approval")
    ]
    rows = [approval_row(item, board.plans.items.get(item["spec"]["planRef"]["name"]), view.now) for item in candidates]
    waiting = [row for row in rows if row.standing is Standing.WAITING]
    decided = [row for row in rows if row.decided is not None]
    decided.sort(key=lambda row: row.decided.timestamp() if row.decided else 0.0, reverse=True)
    return by_urgency(waiting), decided[:MOST_DECIDED]
