"""The portfolio of the agency as the reports compute it (clientorg.reports), kept until something changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clientorg.api.clientorg import ClientStatus
from clientorg.dashboard.board import Board, Json
from clientorg.dashboard.view import View
from clientorg.reports.portfolio import LicenseRow, Summary, UsageRow
from clientorg.reports.portfolio_read import (
    ClientFacts,
    Holding,
    PlanFacts,
    Portfolio,
    portfolio,
    read_plan,
    read_subscriptions,
)
from clientorg.reports.portfolio_rows import license_rows, summary
from clientorg.reports.portfolio_trends import usage_rows

WITHIN_DAYS = 90
"""Rows W8 and W9 speak of so many."""
PATIENCE_SECONDS = 0.3


@dataclass(frozen=True)
class Outlook:
    """The portfolio now.

    Attributes:
        holdings: by the client's name.
        orders: orders without a client.
    """

    portfolio: Portfolio
    rows: Sequence[LicenseRow]
    summary: Summary
    usage: Sequence[UsageRow]
    holdings: Mapping[str, Holding]
    orders: Sequence[Holding]

    def statuses(self, name: str) -> tuple[ClientStatus, ...]:
        """Of a client, the most urgent first."""
        found = self.holdings.get(name)
        return found.statuses if found is not None else ()


async def outlook_of(view: View) -> Outlook:
    """The portfolio; computed again only after a change, or when a minute has passed."""
    board = view.board
    minute = int(view.now.timestamp()) // 60
    key = (board.clients.revision, board.plans.revision, board.subscriptions.revision, minute)
    clients = [client.facts for client in board.clients.values()]
    plans, items = list(board.plans.values()), list(board.subscriptions.values())
    return await board.kept_aside("outlook", key, lambda: outlook(clients, plans, items, view.now))


async def outlook_soon(view: View) -> Outlook | None:
    """The same for pages that do not wait for it: of 10,000 clients it takes seconds. None: not there yet."""
    return await view.board.soon("outlook", outlook_of(view), PATIENCE_SECONDS)


def outlook_of_one(view: View, client: ClientFacts) -> Outlook:
    """The portfolio of one client alone."""
    return outlook([client], list(view.board.plans.values()), subscriptions_of(view.board, client.name), view.now)


def outlook(
    clients: Sequence[ClientFacts], plans: Sequence[Json], subscriptions: Sequence[Json], now: datetime
) -> Outlook:
    """From the objects."""
    facts = {(plan["metadata"]["namespace"], plan["metadata"]["name"]): _plan(plan) for plan in plans}
    found = portfolio(clients, read_subscriptions(subscriptions), facts, now)
    rows = license_rows(found)
    return Outlook(
        found,
        rows,
        summary(found, rows, WITHIN_DAYS),
        usage_rows(found),
        {holding.client.name: holding for holding in found.holdings if holding.client is not None},
        [holding for holding in found.holdings if holding.client is None],
    )


def _plan(plan: Json) -> PlanFacts:
    """The plan's rules; the defaults where it is none that can be read (its own condition says what is wrong)."""
    try:
        return read_plan(plan)
    except ValueError:
        return PlanFacts(plan["metadata"]["name"])


def usage_of(found: Outlook, holding: Holding) -> list[UsageRow]:
    """One client's weeks."""
    return usage_rows(Portfolio(found.portfolio.as_of, is_past=False, holdings=(holding,)))


def subscriptions_of(board: Board, client: str) -> list[Json]:
    """A client's subscriptions, as they are on the server, the newest first."""
    mine = [
        item for item in board.subscriptions.values() if (item["spec"].get("clientRef") or {}).get("name") == client
    ]
    return sorted(mine, key=lambda item: str(item["spec"]["startDate"]), reverse=True)
