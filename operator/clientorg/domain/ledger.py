"""The points ledger: double entry, posted through the pool (FEATURES S6, S10, X3; DESIGN section 4, rule 3). Pure.

An entry moves points from one account to another; what counts is what is posted, and a balance is the sum of that.
`ledger_rules` says what may be posted at all, `ledger_posting` what is posted when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clientorg.api.pointtransaction import REVERSAL_SUFFIX, Phase, TransactionKind

ORG_PREFIX: Final = "org/"
POOL_PREFIX: Final = "pool/"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A PointTransaction as the rules see it.

    Attributes:
        source: account that the points leave.
        target: account that they go to.
        created: RFC 3339 creation time; earlier ones are served first.
        org_id: Org ID that the spec names, or that it was posted for; None where neither is.
        group: (name, size) of what is posted together.
        entry: number in the ledger, once it is posted.
        ledger: name of the pool in whose ledger it is entered, where neither account is a pool's.
        users: users that a charge was computed from.
        due: when a charge was due, while it is not posted.
    """

    uid: str
    name: str
    kind: TransactionKind
    source: str
    target: str
    amount: int
    created: str
    org_id: str | None = None
    reverses: str | None = None
    period: str | None = None
    group: tuple[str, int] | None = None
    phase: Phase | None = None
    entry: int | None = None
    ledger: str | None = None
    users: int | None = None
    due: datetime | None = None

    @property
    def is_rejected(self) -> bool:
        """Whether it never will count."""
        return self.phase is Phase.REJECTED

    @property
    def is_posted(self) -> bool:
        """Whether it counts."""
        return self.phase is Phase.POSTED

    @property
    def org(self) -> str | None:
        """Name of the client whose balance it changes, if it is one's."""
        return next((a.removeprefix(ORG_PREFIX) for a in (self.source, self.target) if a.startswith(ORG_PREFIX)), None)

    @property
    def pool(self) -> str | None:
        """Name of the pool in whose ledger it is entered, as far as it says so: its account, or `ledger`."""
        return next(
            (a.removeprefix(POOL_PREFIX) for a in (self.source, self.target) if a.startswith(POOL_PREFIX)), self.ledger
        )

    @property
    def pool_change(self) -> int:
        """What it adds to its pool's balance."""
        return self._change(POOL_PREFIX)

    @property
    def org_change(self) -> int:
        """What it adds to its client's balance."""
        return self._change(ORG_PREFIX)

    def _change(self, prefix: str) -> int:
        return self.amount * (self.target.startswith(prefix) - self.source.startswith(prefix))


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group that is being posted: its points are reserved.

    Attributes:
        left: how many of it are still to be posted.
        reserved: the points that those take from the pool, without what others of them add to it.
    """

    name: str
    left: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction that is committed: its number, whose balance it changes, and how the pool's did."""

    uid: str
    name: str
    number: int
    org_id: str | None
    pool_change: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a pool's ledger: what its status says.

    Attributes:
        balance: points of the pool, entries in flight included.
        entries: number of the last entry.
    """

    balance: int = 0
    entries: int = 0
    groups: tuple[GroupState, ...] = ()


def reversal_name(name: str) -> str:
    """Name of the one reversal that a transaction can have."""
    return name + REVERSAL_SUFFIX


def charge_name(org_id: str, period: str) -> str:
    """Name of the one charge of a client and period (DESIGN rule 4)."""
    return f"{org_id}-charge-{period}"


def settlement_name(org_id: str, number: int = 1) -> str:
    """Name of the settlement of a client; a further one is numbered, and made only when the one before left a rest."""
    return f"{org_id}-settlement" if number == 1 else f"{org_id}-{number}-settlement"


def settlement(org: str, pool: str, balance: int) -> tuple[str, str, int] | None:
    """From, to and amount: a shortfall is made up from the pool, a surplus is consumed (FEATURES S11)."""
    if balance == 0:
        return None
    if balance > 0:
        return f"{ORG_PREFIX}{org}", "consumed", balance
    return f"{POOL_PREFIX}{pool}", f"{ORG_PREFIX}{org}", -balance


def fold(transactions: Iterable[Transaction]) -> dict[str, int]:
    """Balance of each account, of what is posted; they sum to zero."""
    balances: dict[str, int] = {}
    for item in transactions:
        if item.is_posted:
            balances[item.source] = balances.get(item.source, 0) - item.amount
            balances[item.target] = balances.get(item.target, 0) + item.amount
    return balances
