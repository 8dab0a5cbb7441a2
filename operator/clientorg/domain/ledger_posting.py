"""What is posted in a round, and in which order (FEATURES S6, S10; DESIGN section 4, rule 3). Pure.

The pool's status is the commit point: one write, onto the version it was computed from, numbers the next entries, takes
their points from the pool's balance, and lists them in flight; then each transaction is marked Posted under its
number; then the list is cleared. So a crash anywhere is resumed from the list, and two operators at once cannot hand
out the same points or the same number twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from clientorg.api.conditions import Reason
from clientorg.api.meta import MAX_QUANTITY
from clientorg.domain.ledger import Entry, GroupState, Head, Transaction
from clientorg.domain.ledger_rules import Refusal, out_of_range

MAX_GROUPS: Final = 16
"""Groups that a pool's status lists at most; another one is not begun before one of them is whole."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of posting decides.

    Attributes:
        head: as it is after the round.
        posted: entries to be put in flight.
        refused: transaction UID to why it is not posted.
        waiting_points: what the waiting transactions ask of the pool.
    """

    head: Head
    posted: tuple[Entry, ...]
    refused: Mapping[str, Refusal]
    waiting_points: int = 0
    waiting: int = 0


def post(
    head: Head,
    transactions: Iterable[tuple[Transaction, Refusal | None]],
    *,
    org_ids: Mapping[str, str],
    most: int,
    strict: bool = False,
) -> Round:
    """Number and commit what can be posted: first come, first served, and the pool never below zero.

    A group that was begun is finished before anything else, whatever else waits: its points are reserved. A member of
    it that was deleted or rejected since is not waited for.

    Args:
        transactions: all that are not posted, not in flight and not rejected, with what `judge` says of each.
        org_ids: transaction UID to the Org ID of the client that it is for.
        most: at most so many entries; the rest is posted in the next round.
        strict: nothing that takes points from the pool overtakes what waits for them (StrictFIFO).
    """
    entries: list[Entry] = []
    refused: dict[str, Refusal] = {}
    open_, staying = [], []
    for transaction, refusal in transactions:
        if refusal is not None:
            refused[transaction.uid] = refusal
        else:
            open_.append(transaction)
        if refusal is None or not refusal.is_final:
            staying.append(transaction)
    begun = {group.name for group in head.groups}
    groups = {name: group for name, group in _groups(staying).items() if name in begun}
    complete = {name: group for name, group in _groups(open_).items() if name not in begun and group.is_complete}
    work = _Work(head.balance, groups, complete, strict)
    for transaction in _in_order(open_, groups, complete):
        if len(entries) >= most:
            if transaction.pool_change < 0:
                work.wait(transaction)
            continue
        refusal = work.take(transaction)
        if refusal is not None:
            refused[transaction.uid] = refusal
            continue
        number = head.entries + len(entries) + 1
        org_id = transaction.org_id or org_ids.get(transaction.uid)
        entries.append(Entry(transaction.uid, transaction.name, number, org_id, transaction.pool_change))
    states = tuple(GroupState(name, group.left, group.takes) for name, group in work.groups.items())
    after = Head(work.balance, head.entries + len(entries), states)
    return Round(after, tuple(entries), refused, work.waiting_points, work.waiting)


@dataclass(slots=True)
class _Group:
    """What of a group is still to be posted.

    Attributes:
        first: (creation time, name) of its oldest transaction: its place in the queue.
        size: how many transactions it is to have.
        left: how many of them there are.
        takes: points that those take from the pool.
        adds: points that those add to it.
    """

    first: tuple[str, str]
    size: int = 0
    left: int = 0
    takes: int = 0
    adds: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every member is there."""
        return self.left >= self.size

    def count(self, transaction: Transaction, sign: int = 1) -> None:
        """Count a member in, or out."""
        self.left += sign
        self.takes += sign * max(0, -transaction.pool_change)
        self.adds += sign * max(0, transaction.pool_change)


def _groups(transactions: Iterable[Transaction]) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    for item in transactions:
        if item.group is not None:
            name, size = item.group
            place = (item.created, item.name)
            group = groups.setdefault(name, _Group(place))
            group.first, group.size = min(group.first, place), max(group.size, size)
            group.count(item)
    return groups


def _in_order(
    transactions: Iterable[Transaction], begun: Mapping[str, _Group], complete: Mapping[str, _Group]
) -> list[Transaction]:
    """What adds points before what takes them: a purchase in the same round serves the top-ups that wait for it.

    A group stays together, in the place of its oldest member, and a group that was begun comes before everything.
    """

    def key(item: Transaction) -> tuple[int, tuple[str, str], bool, str, str]:
        takes = item.pool_change < 0
        name = item.group[0] if item.group is not None else ""
        if name in begun:
            rank, place = 0, begun[name].first
        elif name in complete:
            rank, place = (2 if complete[name].takes > complete[name].adds else 1), complete[name].first
        else:
            rank, place = (2 if takes else 1), (item.created, item.name)
        return rank, place, takes, item.created, item.name

    return sorted(transactions, key=key)


@dataclass(slots=True)
class _Work:
    """A round under way.

    Attributes:
        groups: those that were begun.
        complete: those that can be.
    """

    balance: int
    groups: dict[str, _Group]
    complete: Mapping[str, _Group]
    strict: bool
    blocked: bool = False
    waiting_points: int = 0
    waiting: int = 0

    @property
    def free(self) -> int:
        """What the pool has beyond what is reserved for groups."""
        return self.balance - sum(group.takes for group in self.groups.values())

    @property
    def room(self) -> int:
        """What the pool can be given, beyond what groups will add."""
        return MAX_QUANTITY - self.balance - sum(group.adds for group in self.groups.values())

    def take(self, transaction: Transaction) -> Refusal | None:
        """Post one transaction, or say why not."""
        change = transaction.pool_change
        name = transaction.group[0] if transaction.group is not None else None
        if name is not None and name not in self.groups:
            refusal = self._begin_group(transaction, name)
            if refusal is not None:
                return refusal
        group = self.groups[name] if name is not None else None
        if change > 0 and change > self.room + (group.adds if group is not None else 0):
            return out_of_range("pool's")
        # For a group this holds, unless one of its transactions that add points is kept from being posted.
        if change < 0 and (
            -change > self.free + (group.takes if group is not None else 0)
            or (group is None and self.strict and self.blocked)
        ):
            return self._short(transaction, -change)
        if name is not None and group is not None:
            group.count(transaction, -1)
            if group.left == 0:
                del self.groups[name]
        self.balance += change
        return None

    def _begin_group(self, transaction: Transaction, name: str) -> Refusal | None:
        group = self.complete.get(name)
        if group is None:
            self.wait(transaction)
            size = transaction.group[1] if transaction.group is not None else 0
            return Refusal(
                Reason.GROUP_INCOMPLETE, f"spec.group: waits until all {size} transactions of group {name!r} are there"
            )
        if len(self.groups) >= MAX_GROUPS:
            self.wait(transaction)
            names = ", ".join(sorted(self.groups))
            return Refusal(
                Reason.POSTING,
                f"spec.group: waits until other groups are posted whole ({names}); see what their transactions wait "
                "for, or delete those",
            )
        points = group.takes - group.adds
        if group.adds > self.room:
            return out_of_range("pool's")
        if points > self.free or (points > 0 and self.strict and self.blocked):
            return self._short(transaction, points)
        self.groups[name] = group
        return None

    def _short(self, transaction: Transaction, points: int) -> Refusal:
        missing = points - max(self.free, 0)
        self.blocked = True
        self.wait(transaction)
        text = (
            f"the pool lacks {missing} of {points} points" if missing > 0 else "earlier transactions are served first"
        )
        return Refusal(
            Reason.POOL_SHORT,
            f"{text}; it is posted when the pool has them: kubectl clientorg points purchase, or delete this "
            "transaction",
        )

    def wait(self, transaction: Transaction) -> None:
        """Count what waits for points of the pool."""
        self.waiting_points += max(0, -transaction.pool_change)
        self.waiting += 1
