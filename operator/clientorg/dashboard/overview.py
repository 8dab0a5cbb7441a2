"""The first page: how the agency stands, what waits for somebody, and what comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clientorg.cli.poolrows import StockRow, stock_rows
from clientorg.dashboard.board import Board, Client
from clientorg.dashboard.charts import usage_charts
from clientorg.dashboard.outlook import WITHIN_DAYS, outlook_soon
from clientorg.dashboard.query import SPECIAL
from clientorg.dashboard.view import View
from clientorg.domain.points_record import points_record, status_points
from clientorg.domain.timestamps import timestamp

Json = dict[str, Any]

MOST_SHOWN = 8
SOON_DAYS = 45
STATES = (
    *("Active", "Paused", "PendingApproval", "Provisioning", "Deactivated"),
    *("Terminated", "Rejected", "Purged", "Deleting"),
)


@dataclass(frozen=True)
class Trouble:
    """A client that somebody should look at, and why: a key of the words."""

    client: Client
    why: str
    value: int | None = None
    moment: datetime | None = None


@dataclass(frozen=True)
class Coming:
    """What is due: clients that share the day and the cause.

    Attributes:
        points: of charges: all of them together.
    """

    time: datetime
    what: str
    clients: tuple[Client, ...]
    points: int = 0


@dataclass(frozen=True)
class PoolCard:
    """A pool; its points as the status of it has them, 0 where it does not say."""

    name: str
    title: str
    licenses: Sequence[StockRow]
    has_points: bool
    balance: int
    waiting: int
    next_charges: int
    needed: int
    needed_by: datetime | None

    @property
    def lacks(self) -> int:
        """Points that it lacks for the next charges and for what waits."""
        return max(0, self.needed + self.waiting - self.balance)


@dataclass(frozen=True)
class Summary:
    """What is computed from all clients, once for each change of them."""

    total: int
    states: Counter[str]
    special: dict[str, int]
    troubles: Sequence[Trouble]
    coming: Sequence[Coming]


def summary(clients: Iterable[Client], now: datetime) -> Summary:
    """Key figures, the most urgent troubles, and the next dates."""
    clients = list(clients)
    return Summary(
        total=len(clients),
        states=Counter(client.row.state or "New" for client in clients),
        special={name: sum(map(test, clients)) for name, test in SPECIAL.items()},
        troubles=sorted(filter(None, map(_trouble, clients)), key=lambda found: _ORDER.index(found.why)),
        coming=_coming(clients, now),
    )


_ORDER = ("stalled", "below_zero", "used_up", "waits_for_licenses", "is_purged", "nearly_used_up")


def _trouble(client: Client) -> Trouble | None:
    """The most urgent one of a client."""
    row = client.row
    conditions = (client.item.get("status") or {}).get("conditions") or ()
    if any(c.get("type") == "Stalled" and c.get("status") == "True" for c in conditions):
        return Trouble(client, "stalled")
    if (row.balance or 0) < 0:
        return Trouble(client, "below_zero", value=row.balance)
    if (row.percent or 0) >= 100:
        return Trouble(client, "used_up", value=row.percent)
    if row.queue_position is not None:
        return Trouble(client, "waits_for_licenses", value=row.queue_position)
    if row.purge_after is not None:
        return Trouble(client, "is_purged", moment=row.purge_after)
    if (row.percent or 0) >= 80:
        return Trouble(client, "nearly_used_up", value=row.percent)
    return None


def _coming(clients: Iterable[Client], now: datetime) -> list[Coming]:
    """Charges, deletions, contracts' ends and due approvals of the next weeks, by day."""
    horizon = now + timedelta(days=SOON_DAYS)
    found: dict[tuple[datetime, str], list[tuple[Client, int]]] = {}

    def note(moment: datetime | None, what: str, client: Client, points: int = 0) -> None:
        if moment is not None and moment <= horizon:
            found.setdefault((moment, what), []).append((client, points))

    for client in clients:
        record, status = points_record(client.item), client.item.get("status") or {}
        if record is not None and record.next_due is not None:
            note(record.next_due, "charge", client, record.next_charge or 0)
        note(client.row.purge_after, "purge", client)
        if client.row.ends is not None and client.row.ends > now:
            note(client.row.ends, "end", client)
        approval = status.get("approval") or {}
        if not approval.get("decision"):
            note(timestamp(approval.get("dueTime")), "approval", client)
    entries = [
        Coming(moment, what, tuple(client for client, _ in group), sum(points for _, points in group))
        for (moment, what), group in found.items()
    ]
    return sorted(entries, key=lambda entry: entry.time)[:MOST_SHOWN]


def pool_cards(board: Board) -> list[PoolCard]:
    """Every pool."""
    cards = []
    for pool in sorted(board.pools.values(), key=lambda item: str(item["metadata"]["name"])):
        points = status_points(pool)
        name = pool["metadata"]["name"]
        title = pool["spec"].get("displayName") or name
        cards.append(
            PoolCard(
                name,
                title,
                licenses=stock_rows(pool),
                has_points=bool(points),
                balance=points.get("balance") or 0,
                waiting=points.get("waiting") or 0,
                next_charges=points.get("nextCharges") or 0,
                needed=points.get("needed") or 0,
                needed_by=timestamp(points.get("neededBy")),
            )
        )
    return cards


def board_summary(view: View) -> Summary:
    """The summary, computed again only after a change, or when a minute has passed."""
    board = view.board
    minute = int(view.now.timestamp()) // 60
    return board.kept("summary", (board.clients.revision, minute), lambda: summary(board.clients.values(), view.now))


async def show(request: Request) -> Response:
    """GET /."""
    view = await View.of(request)
    found, outlook = board_summary(view), await outlook_soon(view)
    return view.render(
        "overview.html.j2",
        active="overview",
        summary=found,
        portfolio=outlook.summary if outlook is not None else None,
        days=WITHIN_DAYS,
        charts=usage_charts(outlook.usage, view.speech) if outlook is not None else [],
        states=[state for state in (*STATES, "New") if found.states.get(state)],
        most=MOST_SHOWN,
        cards=pool_cards(view.board),
    )
