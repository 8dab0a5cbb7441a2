"""What the operator knows of the points ledger: every transaction, and the sums that the rules ask for.

A year of charges of ten thousand clients are 120,000 transactions, so that of a posted one only what it moved is kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clientorg.api.pointtransaction import TransactionKind
from clientorg.domain.ledger import Transaction
from clientorg.domain.ledger_records import transaction_of

Json = dict[str, Any]
Name = tuple[str, str]
Org = tuple[str, str]
"""Agency namespace and Org ID."""


@dataclass(slots=True)
class Movement:
    """One PointTransaction.

    Attributes:
        ledger: name of the pool in whose ledger it is entered, once it is posted.
        status: while it is not posted; what is posted changes no more.
    """

    name: Name
    uid: str
    version: int
    generation: int
    deleting: bool
    fact: Transaction
    ledger: str | None
    status: Json | None

    @classmethod
    def of(cls, manifest: Json) -> Movement:
        """Read an object of the API server."""
        metadata, status = manifest["metadata"], manifest.get("status") or {}
        fact = transaction_of(manifest)
        return cls(
            name=(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            generation=metadata.get("generation", 1),
            deleting="deletionTimestamp" in metadata,
            fact=fact,
            ledger=status.get("pool"),
            status=None if fact.is_posted else status,
        )

    @property
    def is_open(self) -> bool:
        """Whether it may still be posted."""
        return not self.fact.is_posted and not self.fact.is_rejected

    @property
    def org(self) -> Org | None:
        """The client's account that it is for, as far as the transaction itself says so."""
        return (self.name[0], self.fact.org_id) if self.fact.org_id is not None else None


class LedgerStore:
    """The newest version of every transaction, with sums.

    Args:
        org_id_of: the Org ID of the client that has a name now: (agency, name) to Org ID.
        pool_of: the pool of a client: (agency, name) to the pool's name.
    """

    def __init__(self, org_id_of: Callable[[Name], str | None], pool_of: Callable[[Name], str | None]) -> None:
        self._org_id_of = org_id_of
        self._pool_of = pool_of
        self.movements: dict[Name, Movement] = {}
        self._open: dict[str, dict[str, Movement]] = defaultdict(dict)
        """By agency, then by UID; in the order in which they came."""
        self._open_of_org: dict[Name, dict[str, Movement]] = defaultdict(dict)
        """By agency and name of the client, then by UID."""
        self._balances: dict[Org, int] = defaultdict(int)
        self._charges: dict[Org, dict[str, int]] = defaultdict(dict)
        """Charged periods of a client, with the users of each."""
        self._count: Counter[Org] = Counter()
        self._counted: dict[str, int] = {}
        """By agency, as of which resourceVersion everything that was not posted was read."""
        self._pools: dict[Name, Counter[str]] = defaultdict(Counter)
        """By pool: `balance` of what is posted, and how many `entries` there are."""

    def put(self, manifest: Json) -> Movement | None:
        """Take in a transaction, unless a newer version is known. Returns what is new, or None."""
        metadata = manifest["metadata"]
        known = self.movements.get((metadata["namespace"], metadata["name"]))
        if known is not None and known.version >= int(metadata["resourceVersion"]):
            return None
        movement = Movement.of(manifest)
        if movement.is_open and movement.version <= self._counted.get(movement.name[0], 0):
            return None  # old news: when all that is open was read, it was posted already, or deleted
        if known is not None:
            self._forget(known)
        self.movements[movement.name] = movement
        self._add(movement, 1)
        if movement.is_open:
            self._open[movement.name[0]][movement.uid] = movement
            if movement.fact.org is not None:
                self._open_of_org[movement.name[0], movement.fact.org][movement.uid] = movement
        return movement

    def counted(self, agency: str, version: int) -> None:
        """Everything of an agency that was not posted as of that resourceVersion was taken in.

        Events from before may still come, and tell of a transaction as open that another process has posted since.
        """
        self._counted[agency] = max(version, self._counted.get(agency, 0))

    def drop(self, name: Name, uid: str) -> Movement | None:
        """A transaction is gone; a newer one of the same name stays. Returns what was dropped."""
        known = self.movements.get(name)
        if known is None or known.uid != uid:
            return None
        del self.movements[name]
        self._forget(known)
        return known

    def _forget(self, movement: Movement) -> None:
        self._add(movement, -1)
        of_agency = self._open.get(movement.name[0])
        if of_agency is not None:
            of_agency.pop(movement.uid, None)
        org = (movement.name[0], movement.fact.org or "")
        if self._open_of_org.get(org, {}).pop(movement.uid, None) is not None and not self._open_of_org[org]:
            del self._open_of_org[org]

    def _add(self, movement: Movement, sign: int) -> None:
        fact, org = movement.fact, movement.org
        if fact.is_posted and movement.ledger is not None:
            sums = self._pools[movement.name[0], movement.ledger]
            sums["balance"] += sign * fact.pool_change
            sums["entries"] += sign
        if org is None:
            return
        self._count[org] += sign
        if fact.is_posted:
            self._balances[org] += sign * fact.org_change
        if fact.kind is TransactionKind.CHARGE and fact.period is not None:  # a rejected one has its name all the same
            if sign > 0:
                self._charges[org][fact.period] = fact.users or 0
            else:
                self._charges[org].pop(fact.period, None)

    # -- a client's account -----------------------------------------------------------------------------------------

    def has_account(self, org: Org) -> bool:
        """Whether there is any transaction of the client."""
        return self._count[org] > 0

    def balance(self, org: Org) -> int:
        """Points that the client has: the fold of what is posted."""
        return self._balances.get(org, 0)

    def charged(self, org: Org) -> str | None:
        """The last period that a charge exists for."""
        periods = self._charges.get(org)
        return max(periods) if periods else None

    def charged_users(self, org: Org, period: str) -> int | None:
        """Users that the charge of a period was computed from; None where there is none."""
        return self._charges.get(org, {}).get(period)

    def open_for(self, agency: str, name: str, org_id: str) -> list[Movement]:
        """What is not posted yet of a client."""
        return [
            item for item in self._open_of_org.get((agency, name), {}).values() if item.fact.org_id in (None, org_id)
        ]

    # -- a pool's ledger --------------------------------------------------------------------------------------------

    def pool_of(self, movement: Movement) -> str | None:
        """Name of the pool in whose ledger a transaction is, or will be, entered; None where nothing says so."""
        if movement.ledger is not None:
            return movement.ledger
        named = movement.fact.pool
        if named is not None or movement.fact.org is None:
            return named
        return self._pool_of((movement.name[0], movement.fact.org))

    def open_of(self, pool: Name) -> Iterable[Movement]:
        """What is not posted yet and would be entered in the pool's ledger, in the order in which it came."""
        for item in self._open.get(pool[0], {}).values():
            if self.pool_of(item) == pool[1]:
                yield item

    def open_count(self, agency: str) -> int:
        """How many transactions of an agency are not posted yet."""
        return len(self._open.get(agency, ()))

    def open_in(self, agency: str) -> list[Movement]:
        """Everything of an agency that is not posted yet."""
        return list(self._open.get(agency, {}).values())

    def posted(self, pool: Name) -> tuple[int, int]:
        """Balance of the pool and number of entries, of what is posted."""
        sums = self._pools.get(pool)
        return (sums["balance"], sums["entries"]) if sums is not None else (0, 0)

    def org_id_of(self, movement: Movement) -> str | None:
        """Org ID of the client that a transaction is for: its own, or that of the client that has the name now."""
        fact = movement.fact
        if fact.org_id is not None or fact.org is None:
            return fact.org_id
        return self._org_id_of((movement.name[0], fact.org))
