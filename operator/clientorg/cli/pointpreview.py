"""What a movement of points does to the accounts it touches, before it is written (FEATURES S6, X4). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clientorg.cli.dates import Calendar
from clientorg.cli.forecast import Forecast
from clientorg.cli.table import Cell, cells
from clientorg.cli.text import number, signed
from clientorg.domain.points_record import NotCharged, status_points
from clientorg.errors import InputError

Json = dict[str, Any]

HEADER = ["ACCOUNT", "BALANCE", "CHANGE", "AFTER", "PENDING", "AFTER NEXT CHARGE"]


@dataclass(frozen=True)
class Movement:
    """A movement and the accounts it touches.

    Attributes:
        spec: of the PointTransaction.
        client: the client, if it touches one that is there.
        pool: the pool, likewise; None also without the right to read it.
    """

    spec: Json
    client: Forecast | None
    pool: Json | None

    @property
    def amount(self) -> int:
        """Points that move."""
        return int(self.spec["amount"])

    def change_of(self, account: str) -> int:
        """What it adds to an account."""
        sign: int = (self.spec["to"] == account) - (self.spec["from"] == account)
        return self.amount * sign

    @property
    def client_change(self) -> int:
        """What it adds to the client's balance."""
        return 0 if self.client is None else self.change_of(f"org/{self.client.name}")

    @property
    def pool_account(self) -> str | None:
        """The pool's account, if it touches one."""
        return next((a for a in (self.spec["from"], self.spec["to"]) if a.startswith("pool/")), None)

    @property
    def pool_points(self) -> Json:
        """The pool's points, as its status has them."""
        return dict(status_points(self.pool))

    @property
    def pool_lacks(self) -> int:
        """Points that the pool lacks for it, what waits before it included."""
        account = self.pool_account
        if account is None or self.pool is None or self.change_of(account) >= 0:
            return 0
        points = self.pool_points
        return max(0, self.amount - ((points.get("balance") or 0) - (points.get("waiting") or 0)))


def check(movement: Movement) -> None:
    """Raise InputError for what the operator would never post."""
    client = movement.client
    if client is not None and client.why_none == NotCharged.TERMINATED:
        raise InputError(
            f"the contract of {client.name} was terminated: its account is settled, and nothing is added or taken "
            "any more"
        )


def rows(movement: Movement) -> Iterator[list[Cell]]:
    """A row for each account, under HEADER."""
    client = movement.client
    if client is not None:
        change = movement.client_change
        yield _row(
            f"org/{client.name}",
            client.balance,
            change,
            client.position.pending,
            client.projected + change if client.next is not None else None,
        )
    account = movement.pool_account
    if account is not None and movement.pool is not None:
        points = movement.pool_points
        waiting = points.get("waiting") or 0
        yield _row(account, points.get("balance") or 0, movement.change_of(account), -waiting, None)


def _row(account: str, balance: int, change: int, pending: int, projected: int | None) -> list[Cell]:
    after = balance + change
    return cells(
        account,
        Cell(number(balance), right=True),
        Cell(signed(change), "green" if change > 0 else "yellow", right=True),
        Cell(number(after), "red" if after < 0 else "bold", right=True),
        Cell(signed(pending), right=True),
        Cell(number(projected), "red" if (projected or 0) < 0 else None, right=True),
    )


def warnings(movement: Movement, since: datetime | None, calendar: Calendar, now: datetime) -> Iterator[str]:
    """What a person should know before agreeing.

    Args:
        since: since when the client's balance is below zero, if it is.
    """
    client, lacks = movement.client, movement.pool_lacks
    if lacks:
        account = (movement.pool_account or "").removeprefix("pool/")
        yield (
            f"pool {account} lacks {number(lacks)} points, so the transaction waits until it has them: "
            f"kubectl clientorg points purchase {account} {lacks} --reference …"
        )
    if client is None:
        return
    after = client.balance + movement.client_change
    if after < 0 and movement.client_change < 0:
        yield f"{client.name} is below zero then ({number(after)}){_pause(client, since, calendar, now)}"
    elif client.next is not None and client.projected + movement.client_change < 0:
        yield (
            f"{client.name} is below zero after its next charge on {calendar.full(client.next.due)}: "
            f"{number(client.projected + movement.client_change)}"
        )


def _pause(client: Forecast, since: datetime | None, calendar: Calendar, now: datetime) -> str:
    if client.terms is None:
        return ""
    from clientorg.domain.points import suspension

    when = suspension(since or now, client.terms)
    if when <= now:
        return ", and paused at once (NegativeBalance), because its plan tolerates that for no longer"
    return f", and paused from {calendar.full(when)} on (NegativeBalance), unless it gets points before"


def document(movement: Movement) -> Json:
    """The accounts, for -o json."""
    accounts: list[Json] = []
    if movement.client is not None:
        client = movement.client
        accounts.append(_entry(f"org/{client.name}", client.balance, movement.client_change))
    account = movement.pool_account
    if account is not None and movement.pool is not None:
        accounts.append(_entry(account, movement.pool_points.get("balance") or 0, movement.change_of(account)))
    return {"accounts": accounts, "poolLacks": movement.pool_lacks}


def _entry(account: str, balance: int, change: int) -> Json:
    return {"account": account, "balance": balance, "change": change, "after": balance + change}
