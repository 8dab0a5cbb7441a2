"""Everything the dashboard shows, kept up to date by watches, and who is to be told of changes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clientorg.cli.rows import ClientRow, client_row
from clientorg.cli.selection import folded
from clientorg.cli.session import Session
from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, POINT_TRANSACTIONS, QUOTA_POOLS, SUBSCRIPTIONS
from clientorg.dashboard.rights import Rights
from clientorg.dashboard.shelf import Health, Shelf
from clientorg.reports.ledger import LedgerRow, ledger_row
from clientorg.reports.portfolio_read import ClientFacts, read_client

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Client:
    """A client as lists and key figures need it.

    Attributes:
        item: the object, without what only field managers need.
        facts: what the portfolio is computed from.
        searched: all that a search looks into, folded.
    """

    item: Json
    row: ClientRow
    facts: ClientFacts
    searched: str


def client_of(item: Json) -> Client:
    """From the object."""
    item["metadata"].pop("managedFields", None)
    row = client_row(item)
    fields = (row.name, row.display_name, row.organization, row.contact, row.email, row.org_id, *row.tags)
    return Client(item, row, read_client(item), folded("\n".join(fields)))


@dataclass(frozen=True, slots=True)
class Movement:
    """A transaction, and where it stands."""

    row: LedgerRow
    phase: str
    created: str


def movement_of(item: Json) -> Movement:
    """From the object."""
    phase = (item.get("status") or {}).get("phase") or ""
    return Movement(ledger_row(item), phase, item["metadata"].get("creationTimestamp") or "")


@dataclass
class Board:
    """The shelves. A context, made by `open_board`.

    Attributes:
        movements: the ledger; watched from when it is first looked at.
    """

    session: Session
    rights: Rights
    clients: Shelf[Client]
    pools: Shelf[Json]
    plans: Shelf[Json]
    subscriptions: Shelf[Json]
    movements: Shelf[Movement]
    _listeners: set[asyncio.Event] = field(default_factory=set)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _kept: dict[str, tuple[object, Any]] = field(default_factory=dict)
    _late: int = 0
    _waited: set[asyncio.Future[Any]] = field(default_factory=set)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    @property
    def shelves(self) -> tuple[Shelf[Any], ...]:
        """Those that are watched."""
        every: tuple[Shelf[Any], ...] = (
            *(self.clients, self.pools, self.plans, self.subscriptions),
            self.movements,
        )
        return tuple(shelf for shelf in every if shelf.resource.plural in self._tasks)

    @property
    def lost(self) -> str:
        """Why what is shown may be old; empty while it is live."""
        return next((shelf.why for shelf in self.shelves if shelf.health is Health.LOST), "")

    @property
    def revision(self) -> int:
        """Counts all changes: a page that was made at another one is old."""
        return sum(shelf.revision for shelf in self.shelves) + self._late

    @property
    def is_loading(self) -> bool:
        """Whether clients are still being listed."""
        return not self.clients.synced.is_set()

    @property
    def orders(self) -> list[Json]:
        """Subscriptions that have no client yet."""
        return self.kept(
            "orders",
            self.subscriptions.revision,
            lambda: [item for item in self.subscriptions.values() if not item["spec"].get("clientRef")],
        )

    def watch(self, shelf: Shelf[Any]) -> None:
        """Begin to keep a shelf, if nobody did."""
        name = shelf.resource.plural
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(shelf.run(), name=f"watch {name}")

    async def ledger(self, seconds: float = 5.0) -> Shelf[Movement]:
        """The ledger; waited for a little when it was not watched yet."""
        self.watch(self.movements)
        try:
            async with asyncio.timeout(seconds):
                await self.movements.synced.wait()
        except TimeoutError:
            pass  # what is there so far is shown, and told to be incomplete
        return self.movements

    def kept(self, name: str, key: object, make: Callable[[], T]) -> T:
        """What `make` makes, made again only when `key` is another one."""
        found = self._kept.get(name)
        if found is None or found[0] != key:
            self._kept[name] = found = (key, make())
        value: T = found[1]
        return value

    async def kept_aside(self, name: str, key: object, make: Callable[[], T]) -> T:
        """The same, made in a thread, once for all who ask: other requests are served meanwhile."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            found = self._kept.get(name)
            if found is None or found[0] != key:
                self._kept[name] = found = (key, await asyncio.to_thread(make))
            value: T = found[1]
            return value

    async def soon(self, name: str, making: Awaitable[T], seconds: float) -> T | None:
        """What `kept_aside` makes if it is ready within so many seconds; else what it made last, None without any.

        Pages that were served without it are told when it is there.
        """
        task = asyncio.ensure_future(making)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if done:
            return task.result()
        self._waited.add(task)
        task.add_done_callback(self._ready)
        found = self._kept.get(name)
        return None if found is None else found[1]

    def _ready(self, task: asyncio.Future[Any]) -> None:
        self._waited.discard(task)
        self._late += 1
        self.told("")

    def told(self, _kind: str) -> None:
        """Wake everybody who listens."""
        for listener in self._listeners:
            listener.set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set after each change, while the block lasts."""
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)

    async def close(self) -> None:
        """End the watches."""
        tasks = [*self._tasks.values(), *self._waited]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def new_board(session: Session) -> Board:
    """The shelves, empty; nothing is asked of the server yet."""
    told: list[Board] = []

    def tell(kind: str) -> None:
        for board in told:
            board.told(kind)

    make: Callable[..., Any] = functools.partial(Shelf, session.api, namespace=session.namespace, on_change=tell)
    board = Board(
        session,
        Rights(session.api, session.namespace),
        clients=make(CLIENT_ORGS, make=client_of),
        pools=make(QUOTA_POOLS, make=_same),
        plans=make(ORG_PLANS, make=_same),
        subscriptions=make(SUBSCRIPTIONS, make=_same),
        movements=make(POINT_TRANSACTIONS, make=movement_of),
    )
    told.append(board)
    return board


def _same(item: Json) -> Json:
    item["metadata"].pop("managedFields", None)
    return item


@asynccontextmanager
async def open_board(session: Session) -> AsyncIterator[Board]:
    """The board, with clients, pools, plans and subscriptions watched."""
    board = new_board(session)
    for shelf in (board.clients, board.pools, board.plans, board.subscriptions):
        board.watch(shelf)
    try:
        yield board
    finally:
        await board.close()
