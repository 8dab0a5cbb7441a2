"""Which clients a list shows, in which order, and which page of them (FEATURES W4, Z12). Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from clientorg.api.clientorg import ClientStatus
from clientorg.api.subscription import SubscriptionType
from clientorg.cli.selection import SORT_KEYS, Selection, folded
from clientorg.dashboard.board import Client
from clientorg.reports.portfolio import Filter
from clientorg.reports.portfolio_filter import filtered
from clientorg.reports.portfolio_read import Portfolio

T = TypeVar("T")

PAGE_SIZES = (50, 100, 200)
SORTS = ("name", "display-name", "state", "plan", "percent", "remaining", "balance", "created", "purge-after", "ends")


@dataclass(frozen=True)
class Wanted:
    """The parameters of a list.

    Attributes:
        sort: a column, with a - before it for the other way round.
        page: from 1.
    """

    selection: Selection
    sort: str = "name"
    page: int = 1
    size: int = PAGE_SIZES[0]
    special: str = ""
    portfolio: Filter = field(default_factory=Filter)

    @property
    def key(self) -> object:
        """What the rows and their order depend on."""
        return self.selection, self.sort, self.special, self.portfolio


SPECIAL: Mapping[str, Callable[[Client], bool]] = {
    "waiting": lambda client: client.row.queue_position is not None,
    "over": lambda client: (client.row.percent or 0) >= 100,
    "low": lambda client: 80 <= (client.row.percent or 0) < 100,
    "negative": lambda client: (client.row.balance or 0) < 0,
    "leaving": lambda client: client.row.purge_after is not None,
}
"""What a key figure counts and its link lists."""


def wanted(params: Mapping[str, Any]) -> Wanted:
    """From the address; what makes no sense there is as if it were not there."""

    def several(key: str) -> tuple[str, ...]:
        found = params.get(key, ())
        values = [found] if isinstance(found, str) else list(found)
        return tuple(value for value in values if value)

    sort = str(params.get("sort", "name"))
    size = _whole(params.get("size"), PAGE_SIZES[0])
    special = str(params.get("only", ""))
    return Wanted(
        Selection(
            states=several("state"),
            plans=several("plan"),
            pools=several("pool"),
            tags=several("tag"),
            search=str(params.get("q", ""))[:200],
        ),
        sort if sort.removeprefix("-") in SORTS else "name",
        max(1, _whole(params.get("page"), 1)),
        size if size in PAGE_SIZES else PAGE_SIZES[0],
        special if special in SPECIAL else "",
        Filter(
            managed_by=several("managed"),
            products=several("product"),
            statuses=tuple(ClientStatus(value) for value in several("status") if value in [*ClientStatus]),
            types=tuple(SubscriptionType(value) for value in several("type") if value in [*SubscriptionType]),
        ),
    )


def _whole(value: object, otherwise: int) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else otherwise


def matching(clients: Iterable[Client], wish: Wanted, portfolio: Portfolio | None) -> list[Client]:
    """The clients that are wanted, in their order.

    Args:
        portfolio: what its filters choose from.
    """
    chosen: Collection[str] | None = None
    if portfolio is not None and wish.portfolio.is_narrow:
        kept = filtered(portfolio, wish.portfolio).holdings
        chosen = {holding.client.name for holding in kept if holding.client is not None}
    selection = wish.selection
    states, plans, pools, tags = map(set, (selection.states, selection.plans, selection.pools, selection.tags))
    words, special = folded(selection.search).split(), SPECIAL.get(wish.special)
    found = [
        client
        for client in clients
        if (not states or client.row.state in states)
        and (not plans or client.row.plan in plans)
        and (not pools or client.row.pool in pools)
        and tags.issubset(client.row.tags)
        and all(word in client.searched for word in words)
        and (special is None or special(client))
        and (chosen is None or client.row.name in chosen)
    ]
    found.sort(key=lambda client: client.row.name)
    key = SORT_KEYS[wish.sort.removeprefix("-")]
    if wish.sort != "name":
        found.sort(key=lambda client: key(client.row), reverse=wish.sort.startswith("-"))
    return found


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        first, last: numbers of its rows, from 1; 0 where there are none.
    """

    rows: Sequence[T]
    number: int
    pages: int
    total: int
    first: int
    last: int


def page_of(rows: Sequence[T], number: int, size: int) -> Page[T]:
    """The page of that number; the last one where there are not so many."""
    pages = max(1, -(-len(rows) // size))
    number = min(max(1, number), pages)
    begin = (number - 1) * size
    part = rows[begin : begin + size]
    return Page(part, number, pages, len(rows), begin + 1 if part else 0, begin + len(part))
