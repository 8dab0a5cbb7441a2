"""The audit of the points ledger: named invariants over all of it, from what the API server has (FEATURES X3). Pure.

An entry counts as soon as it is committed: it is Posted, or its pool lists it in flight. Accounts of clients are told
apart by Org ID, so that a client which is made anew under an old name does not inherit what the old one had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from clientorg.api.pointtransaction import CONSUMED, EXTERNAL, Phase, TransactionKind
from clientorg.domain.billing import Charge, months_between
from clientorg.domain.ledger import ORG_PREFIX, POOL_PREFIX, Transaction, charge_name
from clientorg.domain.ledger_records import charge_of_json, transaction_of
from clientorg.domain.points_record import status_points

Json = dict[str, Any]

_MOST_NAMED: Final = 5
"""Objects or numbers that one message names."""


class Invariant(StrEnum):
    """What holds in every ledger that only the operator posted to."""

    SUM_ZERO = "SumZero"
    POOL_BALANCE = "PoolBalanceEqualsFold"
    CLIENT_BALANCE = "ClientBalanceEqualsFold"
    POOL_NOT_NEGATIVE = "PoolNotNegative"
    ENTRIES = "EntriesWithoutGap"
    ONE_CHARGE = "OneChargePerPeriod"
    NO_MISSED_PERIOD = "NoMissedPeriod"
    CHARGE_REPRODUCIBLE = "ChargeReproducible"
    REVERSAL = "ReversalMatches"
    SETTLEMENT = "SettlementClosesAccount"
    GROUPS = "GroupsWhole"


@dataclass(frozen=True, slots=True)
class Finding:
    """Where an invariant does not hold.

    Attributes:
        invariant: its name, one of `Invariant`.
        object: what it is about, as kubectl names it: `pointtransaction/<name>`; or `ledger`.
    """

    invariant: str
    object: str
    message: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome.

    Attributes:
        checked: name of each invariant to how many things it was checked for.
        balances: account to points, entries in flight included. A client's account is `org/<name>/<Org ID>`.
    """

    findings: tuple[Finding, ...]
    checked: Mapping[str, int]
    balances: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A transaction that counts: with the pool whose ledger it is entered in, and whether it is in flight."""

    transaction: Transaction
    ledger: str | None
    in_flight: bool


def audit(transactions: Sequence[Json], pools: Sequence[Json], clients: Sequence[Json]) -> Audit:
    """Check every invariant.

    Args:
        transactions: all PointTransactions of one agency's namespace, as the API server returned them.
        pools: its QuotaPools.
        clients: its ClientOrgs.
    """
    return _Auditor(transactions, pools, clients).run()


class _Auditor:
    """One audit under way."""

    def __init__(self, transactions: Sequence[Json], pools: Sequence[Json], clients: Sequence[Json]) -> None:
        self.pools = {pool["metadata"]["name"]: status_points(pool) for pool in pools}
        self.clients = clients
        self.manifests = transactions
        self.all = [transaction_of(manifest) for manifest in transactions]
        self.findings: list[Finding] = []
        self.checked: Counter[str] = Counter({str(name): 0 for name in Invariant})
        self.entries = self._entries()

    def run(self) -> Audit:
        """All invariants, in their order."""
        balances = self._sum_zero()
        self._pool_balances(balances)
        self._client_balances()
        self._pools_not_negative()
        self._numbers()
        self._charges()
        self._reversals()
        self._settlements(balances)
        self._groups()
        order = list(Invariant)
        found = sorted(self.findings, key=lambda item: (order.index(Invariant(item.invariant)), item.object))
        return Audit(tuple(found), dict(self.checked), dict(sorted(balances.items())))

    def _entries(self) -> list[_Entry]:
        flying = {
            item["uid"]: (item, pool) for pool, points in self.pools.items() for item in points.get("inFlight") or ()
        }
        found = []
        for transaction, manifest in zip(self.all, self.manifests, strict=True):
            if transaction.is_posted:
                found.append(_Entry(transaction, manifest["status"].get("pool"), in_flight=False))
            elif transaction.uid in flying:
                item, pool = flying[transaction.uid]
                org_id = item.get("orgID") or transaction.org_id
                committed = replace(transaction, phase=Phase.POSTED, entry=item["entry"], org_id=org_id)
                found.append(_Entry(committed, pool, in_flight=True))
        return found

    def _find(self, invariant: Invariant, where: str, message: str) -> None:
        self.findings.append(Finding(str(invariant), where, message))

    # -- balances -----------------------------------------------------------------------------------------------

    def _sum_zero(self) -> dict[str, int]:
        """Every point that leaves an account arrives at another; returns the balances."""
        balances = _balances(entry.transaction for entry in self.entries)
        self.checked[Invariant.SUM_ZERO] = len(self.entries)
        for entry in self.entries:
            item = entry.transaction
            strange = [account for account in (item.source, item.target) if not _is_account(account)]
            if strange or item.amount < 0:
                what = f"{strange[0]!r} is no account" if strange else f"{item.amount} is no amount"
                self._find(Invariant.SUM_ZERO, _named(item), f"{what}, so that the accounts do not sum to zero")
        return balances

    def _pool_balances(self, balances: Mapping[str, int]) -> None:
        for pool, points in self.pools.items():
            self.checked[Invariant.POOL_BALANCE] += 1
            says, fold = points.get("balance", 0), balances.get(POOL_PREFIX + pool, 0)
            if says != fold:
                text = f"status.points.balance is {says}, and its posted transactions and those in flight are {fold}"
                self._find(Invariant.POOL_BALANCE, f"quotapool/{pool}", text)

    def _client_balances(self) -> None:
        posted, committed = Counter[str](), Counter[str]()
        for entry in self.entries:
            item = entry.transaction
            if item.org is None:
                continue
            if item.org_id is None:
                text = f"changes the balance of {item.org!r}, and does not say by Org ID of which client of that name"
                self._find(Invariant.CLIENT_BALANCE, _named(item), text)
                continue
            committed[item.org_id] += item.org_change
            posted[item.org_id] += 0 if entry.in_flight else item.org_change
        for client in self.clients:
            status = client.get("status") or {}
            if (org_id := status.get("orgID")) is None:
                continue
            self.checked[Invariant.CLIENT_BALANCE] += 1
            says = status_points(client).get("balance", 0)
            # The copy in status follows what is posted; while an entry is in flight it may be ahead or not.
            if says not in (posted[org_id], committed[org_id]):
                text = f"status.points.balance is {says}, and its posted transactions are {posted[org_id]}"
                self._find(Invariant.CLIENT_BALANCE, f"clientorg/{client['metadata']['name']}", text)

    def _pools_not_negative(self) -> None:
        """At no entry of the ledger, from the first on."""
        for pool, points in self.pools.items():
            self.checked[Invariant.POOL_NOT_NEGATIVE] += 1
            where, balance = f"quotapool/{pool}", 0
            if points.get("balance", 0) < 0:
                self._find(Invariant.POOL_NOT_NEGATIVE, where, f"status.points.balance is {points['balance']}")
            mine = (entry.transaction for entry in self.entries if entry.transaction.pool == pool)
            for item in sorted(mine, key=lambda item: (item.entry or 0, item.name)):
                balance += item.pool_change
                if balance < 0:
                    text = f"entry {item.entry} ({item.name}) left the pool at {balance}"
                    self._find(Invariant.POOL_NOT_NEGATIVE, where, text)
                    break

    # -- entries ------------------------------------------------------------------------------------------------

    def _numbers(self) -> None:
        """1 to n in each ledger, none twice; n is what the pool says."""
        known = {item.uid: item for item in self.all}
        numbered: defaultdict[str, list[Transaction]] = defaultdict(list)
        for entry in self.entries:
            self.checked[Invariant.ENTRIES] += 1
            if entry.ledger is None or entry.transaction.entry is None:
                text = "is posted without status.pool or status.entry"
                self._find(Invariant.ENTRIES, _named(entry.transaction), text)
            else:
                numbered[entry.ledger].append(entry.transaction)
        for pool in sorted(self.pools.keys() | numbered.keys()):
            points = self.pools.get(pool)
            numbers = Counter(item.entry for item in numbered[pool] if item.entry is not None)
            last = points.get("entries", 0) if points is not None else max(numbers, default=0)
            for text in _misnumbered(numbers, last):
                self._find(Invariant.ENTRIES, f"quotapool/{pool}", text)
            for flying in (points or {}).get("inFlight") or ():
                item = known.get(flying["uid"])
                if item is None:
                    text = f"entry {flying['entry']} is in flight for {flying['name']!r}, which does not exist"
                    self._find(Invariant.ENTRIES, f"quotapool/{pool}", text)
                elif item.is_posted and item.entry != flying["entry"]:
                    text = f"is posted as entry {item.entry}, and the pool has it in flight as {flying['entry']}"
                    self._find(Invariant.ENTRIES, _named(item), text)

    # -- charges ------------------------------------------------------------------------------------------------

    def _charges(self) -> None:
        """What is rejected is no charge; what waits to be posted is one."""
        by_client: defaultdict[str, list[tuple[Transaction, Charge]]] = defaultdict(list)
        for item, manifest in zip(self.all, self.manifests, strict=True):
            if item.kind is not TransactionKind.CHARGE or item.phase is Phase.REJECTED:
                continue
            self.checked[Invariant.CHARGE_REPRODUCIBLE] += 1
            charge = self._reproduce(item, manifest["spec"])
            if charge is not None and item.org_id is not None:
                by_client[item.org_id].append((item, charge))
        for org_id, charges in by_client.items():
            charges.sort(key=lambda pair: (pair[1].period, pair[0].name))
            self._one_a_period(org_id, charges)
            self._no_missed_period([*{charge.period: (item, charge) for item, charge in reversed(charges)}.values()])
        for client in self.clients:
            self._charged_through(client.get("status") or {}, by_client)

    def _charged_through(self, status: Json, by_client: Mapping[str, Sequence[tuple[Transaction, Charge]]]) -> None:
        """What a client's status says was charged is there."""
        org_id, through = status.get("orgID", ""), (status.get("points") or {}).get("chargedThrough")
        last = max((charge.period for _, charge in by_client.get(org_id, ())), default="")
        if through is not None and through > last:
            text = f"status.points.chargedThrough of the client {org_id} is {through}, and it has no such charge"
            self._find(Invariant.NO_MISSED_PERIOD, f"pointtransaction/{charge_name(org_id, through)}", text)

    def _reproduce(self, item: Transaction, spec: Json) -> Charge | None:
        try:
            charge = charge_of_json(spec["charge"], spec["period"])
            days, of_days = charge.prorated or (1, 1)
            if not 0 < days <= of_days:
                raise ValueError(f"{days} days of {of_days} cannot be charged")
            amount = charge.amount
        except (KeyError, TypeError, ValueError) as error:
            self._find(Invariant.CHARGE_REPRODUCIBLE, _named(item), f"spec.charge cannot be computed: {error}")
            return None
        if amount != item.amount:
            text = f"spec.amount is {item.amount}, and spec.charge makes it {amount}"
            self._find(Invariant.CHARGE_REPRODUCIBLE, _named(item), text)
        name = charge_name(item.org_id or "", charge.period)
        if item.name != name:
            self._find(Invariant.CHARGE_REPRODUCIBLE, _named(item), f"a charge of that client and period is {name!r}")
        return charge

    def _one_a_period(self, org_id: str, charges: Sequence[tuple[Transaction, Charge]]) -> None:
        for period, count in Counter(charge.period for _, charge in charges).items():
            self.checked[Invariant.ONE_CHARGE] += 1
            if count > 1:
                where = f"pointtransaction/{charge_name(org_id, period)}"
                self._find(Invariant.ONE_CHARGE, where, f"the client {org_id} was charged {count} times for {period}")

    def _no_missed_period(self, charges: Iterable[tuple[Transaction, Charge]]) -> None:
        before: str | None = None
        for item, charge in sorted(charges, key=lambda pair: pair[1].period):
            self.checked[Invariant.NO_MISSED_PERIOD] += 1
            if charge.previous != before:
                text = f"spec.charge.previousPeriod is {charge.previous}, and the charge before is {before}"
                self._find(Invariant.NO_MISSED_PERIOD, _named(item), text)
            elif before is not None and months_between(before, charge.period) != 1 and not charge.resumed:
                text = f"nothing was charged between {before} and {charge.period}, and charging did not begin anew"
                self._find(Invariant.NO_MISSED_PERIOD, _named(item), text)
            before = charge.period

    # -- reversals, settlements, groups ---------------------------------------------------------------------------

    def _reversals(self) -> None:
        posted = {entry.transaction.name: entry.transaction for entry in self.entries}
        reversals = [entry.transaction for entry in self.entries if entry.transaction.reverses is not None]
        times = Counter(item.reverses for item in reversals)
        for item in reversals:
            self.checked[Invariant.REVERSAL] += 1
            original = posted.get(item.reverses or "")
            if original is None:
                text = f"reverses {item.reverses!r}, which is not posted"
            elif (item.source, item.target, item.amount) != (original.target, original.source, original.amount):
                text = (
                    f"is {item.amount} from {item.source} to {item.target}, and what it reverses is {original.amount} "
                    f"from {original.source} to {original.target}"
                )
            elif item.org_id != original.org_id:
                text = f"was posted for the client {item.org_id}, and what it reverses for {original.org_id}"
            elif times[item.reverses] > 1:
                text = f"{item.reverses!r} is reversed {times[item.reverses]} times"
            else:
                continue
            self._find(Invariant.REVERSAL, _named(item), text)

    def _settlements(self, balances: Mapping[str, int]) -> None:
        for entry in self.entries:
            item = entry.transaction
            if item.kind is not TransactionKind.SETTLEMENT:
                continue
            self.checked[Invariant.SETTLEMENT] += 1
            left = balances.get(_org_account(item), 0)
            if left != 0:
                text = f"settled the account of the client {item.org_id}, and its balance is {left}"
                self._find(Invariant.SETTLEMENT, _named(item), text)

    def _groups(self) -> None:
        under_way = {group["name"] for points in self.pools.values() for group in points.get("groups") or ()}
        posted = Counter(entry.transaction.group[0] for entry in self.entries if entry.transaction.group)
        sizes: dict[str, int] = {}
        for item in self.all:
            if item.group is not None:
                sizes[item.group[0]] = max(item.group[1], sizes.get(item.group[0], 0))
        for group, size in sizes.items():
            self.checked[Invariant.GROUPS] += 1
            if 0 < posted[group] < size and group not in under_way:
                text = f"{posted[group]} of the {size} transactions of group {group!r} are posted"
                self._find(Invariant.GROUPS, f"group/{group}", text)


def _balances(transactions: Iterable[Transaction]) -> dict[str, int]:
    balances: Counter[str] = Counter()
    for item in transactions:
        for account, change in ((item.source, -item.amount), (item.target, item.amount)):
            balances[_org_account(item) if account.startswith(ORG_PREFIX) else account] += change
    return dict(balances)


def _org_account(item: Transaction) -> str:
    return f"{ORG_PREFIX}{item.org}/{item.org_id}" if item.org_id else f"{ORG_PREFIX}{item.org}"


def _is_account(account: str) -> bool:
    return account in (EXTERNAL, CONSUMED) or account.startswith((POOL_PREFIX, ORG_PREFIX))


def _misnumbered(numbers: Counter[int], last: int) -> Iterable[str]:
    missing = [number for number in range(1, last + 1) if number not in numbers]
    if missing:
        yield f"entries {_some(missing)} of {last} are missing"
    double = sorted(number for number, count in numbers.items() if count > 1)
    if double:
        yield f"entries {_some(double)} are there twice"
    beyond = sorted(number for number in numbers if not 1 <= number <= last)
    if beyond:
        yield f"entries {_some(beyond)} are there, and status.points.entries is {last}"


def _some(numbers: Sequence[int]) -> str:
    named = ", ".join(str(number) for number in numbers[:_MOST_NAMED])
    return f"{named} and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else named


def _named(item: Transaction) -> str:
    return f"pointtransaction/{item.name}"
