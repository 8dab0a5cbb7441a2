"""Who needs how many points so that nobody is below a balance after the next charge (FEATURES S9, S10). Pure.

The name of a top-up is determined by what it is for: <orgID>-replenish-<period>-<k>, the k-th of that client and
period. So two people who do it at once create the same objects, and the second finds them there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clientorg.api.pointtransaction import Phase
from clientorg.cli.forecast import Book, Forecast, Position
from clientorg.cli.text import number
from clientorg.domain.points_record import status_points
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.domain.ledger import Transaction

Json = dict[str, Any]

GROUP_PREFIX = "replenish-"
_INFIX = "-replenish-"
GROUP_LABEL = "clientorg.dev/replenish-group"
"""On the top-ups of an atomic run, so that one that was interrupted can be deleted in one go."""


@dataclass(frozen=True)
class TopUp:
    """One client's top-up.

    Attributes:
        period: of the charge that it is for; without one the month in which it is made.
        group: (name, size) where all are posted together or not at all.
    """

    client: Forecast
    name: str
    period: str
    amount: int
    group: tuple[str, int] | None = None

    @property
    def reason(self) -> str:
        """The same whoever makes it, and when."""
        return f"replenished for {self.period}"

    def spec(self, user: str) -> Json:
        """spec of the PointTransaction."""
        spec: Json = {
            "kind": "TopUp",
            "from": f"pool/{self.client.pool}",
            "to": f"org/{self.client.name}",
            "amount": self.amount,
            "orgID": self.client.org_id,
            "reason": self.reason,
            "requestedBy": user or None,
        }
        if self.group is not None:
            spec["group"] = {"name": self.group[0], "size": self.group[1]}
        return spec


@dataclass(frozen=True)
class PoolShare:
    """What the top-ups ask of one pool.

    Attributes:
        waiting: points that transactions ask for which are there already and not posted.
        asked: points of all top-ups.
        covered: those of them that it has points for.
    """

    name: str
    balance: int
    waiting: int
    asked: int
    covered: int

    @property
    def left(self) -> int:
        """What it has once everything is posted; below zero: so many are missing."""
        return self.balance - self.waiting - self.asked

    @property
    def missing(self) -> int:
        """Points that it lacks for the top-ups and what waits already."""
        return max(0, -self.left)


@dataclass(frozen=True)
class Plan:
    """All that a run would do, in its order: the soonest charge first, then by name.

    Attributes:
        now: top-ups that the pools have points for.
        later: those that wait until they have.
        skipped: clients that cannot be topped up, and why.
    """

    now: tuple[TopUp, ...] = ()
    later: tuple[TopUp, ...] = ()
    pools: tuple[PoolShare, ...] = ()
    skipped: tuple[tuple[Forecast, str], ...] = ()

    @property
    def top_ups(self) -> tuple[TopUp, ...]:
        """Every one."""
        return self.now + self.later


@dataclass
class Found:
    """What the ledger already has: everybody's points, and what earlier runs made.

    Attributes:
        made: how many top-ups there are, by their name without its number.
        groups: groups of atomic runs: name to those of its members that are there.
        asks: pool to the transactions that ask for its points and are not posted: UID to points.
    """

    book: Book = field(default_factory=Book)
    made: dict[str, int] = field(default_factory=dict)
    groups: dict[str, list[Transaction]] = field(default_factory=dict)
    asks: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, items: Sequence[Json], org_ids: Mapping[str, str]) -> None:
        """Take in a page of transactions."""
        from clientorg.domain.ledger_records import transaction_of

        transactions = [transaction_of(item) for item in items]
        self.book.add(transactions, org_ids)
        for one in transactions:
            if _INFIX in one.name:
                stem = one.name.rpartition("-")[0]
                self.made[stem] = self.made.get(stem, 0) + 1
            if one.group is not None and one.group[0].startswith(GROUP_PREFIX):
                self.groups.setdefault(one.group[0], []).append(one)
            if one.pool is not None and one.pool_change < 0 and one.phase not in (Phase.POSTED, Phase.REJECTED):
                self.asks.setdefault(one.pool, {})[one.uid] = one.amount

    def set_incomplete_aside(self, org_ids: Mapping[str, str]) -> dict[str, list[Transaction]]:
        """Take what an interrupted atomic run left out of all counts, as if it were not there yet; returns it."""
        incomplete = {
            name: members
            for name, members in self.groups.items()
            if not any(one.is_posted for one in members) and len(members) < _size(members)
        }
        for one in (one for members in incomplete.values() for one in members):
            self.made[one.name.rpartition("-")[0]] -= 1
            self.asks.get(one.pool or "", {}).pop(one.uid, None)
            org_id = one.org_id or org_ids.get(one.org or "", "")
            before = self.book.by_org_id.get(org_id, Position())
            self.book.by_org_id[org_id] = replace(before, pending=before.pending - one.org_change)
        return incomplete


def _size(members: Sequence[Transaction]) -> int:
    group = members[0].group
    return group[1] if group is not None else len(members)


def make_plan(
    forecasts: Iterable[Forecast],
    found: Found,
    pools: Mapping[str, Json],
    now: datetime,
    *,
    to: int,
    atomic: bool,
    incomplete: Mapping[str, Sequence[Transaction]],
) -> Plan:
    """The top-ups that are needed.

    Args:
        to: no client is below this after its next charge.
        incomplete: what an interrupted atomic run left.

    Raises:
        InputError: atomic, and a pool is short; or an interrupted atomic run stands in the way.
    """
    top_ups, skipped = [], []
    for client in sorted(forecasts, key=lambda one: (one.next.due.timestamp() if one.next else float("inf"), one.name)):
        amount = client.needs(to)
        if amount == 0:
            continue
        reason = _cannot(client)
        if reason:
            skipped.append((client, reason))
            continue
        period = client.charges[-1].period if client.charges else now.strftime("%Y-%m")
        stem = f"{client.org_id}{_INFIX}{period}"
        top_ups.append(TopUp(client, f"{stem}-{found.made.get(stem, 0) + 1}", period, amount))
    if atomic:
        top_ups = _grouped(top_ups)
    _check_incomplete(incomplete, {one.group[0] for one in top_ups if one.group is not None})
    now_, later, shares = _served(top_ups, found, pools)
    short = [share for share in shares if share.missing]
    if atomic and short:
        raise InputError(
            "\n  ".join(
                [
                    "--atomic: nothing was created, because not everybody can be served:",
                    *(
                        f"pool {share.name} lacks {number(share.missing)} points: kubectl clientorg points purchase "
                        f"{share.name} {share.missing} --reference …"
                        for share in short
                    ),
                ]
            )
        )
    return Plan(tuple(now_), tuple(later), tuple(shares), tuple(skipped))


def _cannot(client: Forecast) -> str:
    if not client.accepts:
        return client.why_none
    return "" if client.org_id else "has no Org ID yet"


def _grouped(top_ups: Sequence[TopUp]) -> list[TopUp]:
    """The same with a group for each pool, named after its members and their amounts."""
    groups: dict[str, tuple[str, int]] = {}
    for pool in {one.client.pool for one in top_ups}:
        members = sorted(f"{one.name}={one.amount}" for one in top_ups if one.client.pool == pool)
        digest = hashlib.sha256("\n".join([pool, *members]).encode()).hexdigest()[:20]
        groups[pool] = (GROUP_PREFIX + digest, len(members))
    return [replace(one, group=groups[one.client.pool]) for one in top_ups]


def _check_incomplete(incomplete: Mapping[str, Sequence[Transaction]], wanted: set[str]) -> None:
    for name, members in incomplete.items():
        if name not in wanted:
            raise InputError(
                f"an earlier run with --atomic was interrupted: {len(members):,} of {_size(members):,} transactions of "
                f"its group {name} are there, and none is posted. To finish it, repeat it as it was; things have "
                "changed since, or it is not the same. To drop it:\n"
                f"  kubectl delete pointtransactions -l {GROUP_LABEL}={name}"
            )


def _served(
    top_ups: Sequence[TopUp], found: Found, pools: Mapping[str, Json]
) -> tuple[list[TopUp], list[TopUp], list[PoolShare]]:
    """Which of them the pools have points for, in their order; as the operator, a smaller one may overtake."""
    now, later = [], []
    names = sorted({one.client.pool for one in top_ups})
    balances, waiting = {}, {}
    for name in names:
        points = status_points(pools.get(name))
        committed = {entry["uid"] for entry in points.get("inFlight") or ()}
        balances[name] = points.get("balance") or 0
        waiting[name] = sum(amount for uid, amount in found.asks.get(name, {}).items() if uid not in committed)
    free = {name: balances[name] - waiting[name] for name in names}
    covered = dict.fromkeys(names, 0)
    for one in top_ups:
        pool = one.client.pool
        if one.amount <= free[pool]:
            free[pool] -= one.amount
            covered[pool] += one.amount
            now.append(one)
        else:
            later.append(one)
    shares = [
        PoolShare(
            name,
            balances[name],
            waiting[name],
            sum(one.amount for one in top_ups if one.client.pool == name),
            covered[name],
        )
        for name in names
    ]
    return now, later, shares
