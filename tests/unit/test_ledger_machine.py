"""The posting protocol, crashed between any two requests (FEATURES S6, X3; DESIGN rule 3).

Two operators work on one pool and its transactions, each with its own, possibly old, view of them. Hypothesis decides
who creates what, whose next request is carried out, what an operator gets to see, and who crashes. What must hold is
checked on the true state after each single step; when the faults end, everything that can be posted is, and the audit
finds nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from clientorg.api.pointtransaction import CONSUMED, EXTERNAL, Phase, TransactionKind
from clientorg.domain.ledger import Entry, Head, Transaction, fold, reversal_name
from clientorg.domain.ledger_audit import audit
from clientorg.domain.ledger_posting import MAX_GROUPS, Round, post
from clientorg.domain.ledger_rules import OrgAccount, Refusal, judge

EXAMPLES = int(os.environ.get("CLIENTORG_LEDGER_EXAMPLES", "300"))
"""Runs of up to 60 steps."""
POOL, MOST = "tokyo", 3
ORGS = ("ant", "bee", "cat")
STEPS = Counter[str]()

Json = dict[str, Any]

which = st.integers(0, 1)
pick = st.integers(0, 30)
org = st.sampled_from(ORGS)
points = st.integers(1, 9)
MOVES = {
    TransactionKind.TOP_UP: (f"pool/{POOL}", "org/{}"),
    TransactionKind.WITHDRAWAL: ("org/{}", f"pool/{POOL}"),
    TransactionKind.CHARGE: ("org/{}", CONSUMED),
    TransactionKind.PURCHASE: (EXTERNAL, f"pool/{POOL}"),
}
kinds = st.sampled_from(sorted(MOVES))
members = st.lists(
    st.tuples(
        st.sampled_from([TransactionKind.TOP_UP, TransactionKind.TOP_UP, TransactionKind.WITHDRAWAL]), org, points
    ),
    min_size=2,
    max_size=7,
)


@dataclass(frozen=True)
class Pool:
    """What the pool's status says."""

    head: Head = field(default_factory=Head)
    in_flight: tuple[Entry, ...] = ()
    writer: str | None = None
    version: int = 1


@dataclass(frozen=True)
class Stored:
    """A transaction, and its resourceVersion."""

    transaction: Transaction
    version: int = 1

    @property
    def is_posted(self) -> bool:
        """Whether it counts."""
        return self.transaction.is_posted


@dataclass
class Server:
    """The API server: each write is onto a version, or refused."""

    pool: Pool = field(default_factory=Pool)
    stored: dict[str, Stored] = field(default_factory=dict)
    writes: int = 0

    def create(self, transaction: Transaction) -> None:
        """The name is the key: the second is refused."""
        self.stored.setdefault(transaction.uid, Stored(transaction))
        self.writes += 1

    def write_pool(self, pool: Pool) -> Pool | None:
        """Onto the version that it was computed from; None on a conflict."""
        if pool.version != self.pool.version:
            return None
        STEPS["pool writes"] += 1
        self.writes += 1
        self.pool = replace(pool, version=pool.version + 1)
        return self.pool

    def write_status(self, uid: str, version: int, **fields: Any) -> Stored | None:
        """Onto that version; None on a conflict. What is posted stays as it is, by the CRD's own rule."""
        old = self.stored[uid]
        if old.version != version:
            return None
        new = replace(old.transaction, **fields)
        if old.is_posted:
            assert (new.phase, new.entry) == (Phase.POSTED, old.transaction.entry), "posted twice"
        self.writes += 1
        self.stored[uid] = Stored(new, version + 1)
        return self.stored[uid]

    def committed(self) -> list[Transaction]:
        """What counts: posted, or in flight."""
        flying = {entry.uid: entry for entry in self.pool.in_flight}
        found = []
        for uid, item in self.stored.items():
            if item.is_posted:
                found.append(item.transaction)
            elif uid in flying:
                entry = flying[uid]
                found.append(replace(item.transaction, phase=Phase.POSTED, entry=entry.number, org_id=entry.org_id))
        return found


@dataclass
class Operator:
    """A process: what it has seen, and the pass it is in."""

    name: str
    server: Server
    strict: bool
    terminated: set[str]
    pool: Pool
    view: dict[str, Stored] = field(default_factory=dict)
    work: Iterator[None] | None = None

    def step(self) -> bool:
        """One request; whether the pass goes on."""
        if self.work is None:
            self.work = self._pass()
        if next(self.work, self) is self:
            self.work = None
        return self.work is not None

    def _pass(self) -> Iterator[None]:
        if self.pool.writer != self.name:
            self.pool = self.server.pool
            yield
            self.view = dict(self.server.stored)
            yield
        done = self._decide()
        left = tuple(entry for entry in self.pool.in_flight if not self.view[entry.uid].is_posted)
        changed = replace(self.pool, head=done.head, in_flight=left + done.posted, writer=self.name)
        if changed != self.pool:
            written = self.server.write_pool(changed)
            if written is None:
                STEPS["conflicts"] += 1
                self.pool = self.server.pool
                return
            self.pool = written
            yield
        for entry in self.pool.in_flight:
            if not self.view[entry.uid].is_posted:
                self._write(entry.uid, phase=Phase.POSTED, entry=entry.number, org_id=entry.org_id)
                yield
        for uid, refusal in done.refused.items():
            if refusal.is_final:
                self._write(uid, phase=Phase.REJECTED)
                yield

    def _write(self, uid: str, **fields: Any) -> None:
        written = self.server.write_status(uid, self.view[uid].version, **fields)
        self.view[uid] = written or self.server.stored[uid]

    def _decide(self) -> Round:
        flying = {entry.uid for entry in self.pool.in_flight}
        balances: Counter[str] = Counter()
        for uid, item in self.view.items():
            if (item.is_posted or uid in flying) and item.transaction.org is not None:
                balances[item.transaction.org] += item.transaction.org_change
        open_ = [
            item.transaction
            for uid, item in self.view.items()
            if item.transaction.phase not in (Phase.POSTED, Phase.REJECTED) and uid not in flying
        ]
        return post(
            self.pool.head,
            [(item, self._judge(item, balances)) for item in open_],
            org_ids={item.uid: f"id{item.org}" for item in open_ if item.org},
            most=MOST,
            strict=self.strict,
        )

    def _judge(self, item: Transaction, balances: Mapping[str, int]) -> Refusal | None:
        name = item.org
        account = OrgAccount(name, f"id{name}", POOL, balances[name], name in self.terminated) if name else None
        original = self.view.get(f"u-{item.reverses}")
        return judge(item, POOL, account, original.transaction if original else None)


class Ledger(RuleBasedStateMachine):
    """People move points; operators post, see late and crash."""

    @initialize(strict=st.booleans(), stock=st.integers(0, 30))
    def begin(self, strict: bool, stock: int) -> None:
        self.server, self.strict = Server(), strict
        self.terminated: set[str] = set()
        self.started = self.created = self.checked = 0
        self.coming: list[Transaction] = []
        self.operators = [self._start(), self._start()]
        if stock:
            self.create(TransactionKind.PURCHASE, "ant", stock)

    def _start(self) -> Operator:
        self.started += 1
        name = f"operator-{self.started}"
        return Operator(name, self.server, self.strict, self.terminated, self.server.pool)

    def _transaction(self, kind: TransactionKind, org: str, amount: int, **fields: Any) -> Transaction:
        self.created += 1
        source, target = (account.format(org) for account in MOVES[kind])
        name = f"t{self.created:03d}"
        return Transaction(f"u-{name}", name, kind, source, target, amount, f"2026-11-{self.created:03d}", **fields)

    # -- people ---------------------------------------------------------------------------------------------------

    @rule(kind=kinds, org=org, amount=points)
    def create(self, kind: TransactionKind, org: str, amount: int) -> None:
        self.server.create(self._transaction(kind, org, amount))

    @rule(amount=points)
    def name_an_account_of_another_pool(self, amount: int) -> None:
        item = self._transaction(TransactionKind.TOP_UP, "ant", amount)
        self.server.create(replace(item, source="pool/osaka"))

    @rule(wanted=members)
    def make_group(self, wanted: list[tuple[TransactionKind, str, int]]) -> None:
        """Its members come one by one."""
        group = (f"g{self.created}", len(wanted))
        self.coming += [self._transaction(*member, group=group) for member in wanted]

    @precondition(lambda self: self.coming)
    @rule(count=st.integers(1, 8))
    def create_members(self, count: int) -> None:
        for _ in range(min(count, len(self.coming))):
            self.server.create(self.coming.pop(0))

    @precondition(lambda self: any(item.is_posted for item in self.server.stored.values()))
    @rule(pick=pick)
    def reverse(self, pick: int) -> None:
        posted = [item.transaction for item in self.server.stored.values() if item.is_posted]
        it = posted[pick % len(posted)]
        if it.reverses is None:
            name = reversal_name(it.name)
            back = replace(it, uid=f"u-{name}", name=name, source=it.target, target=it.source, reverses=it.name)
            created = f"2026-12-{pick:03d}"
            self.server.create(
                replace(back, kind=TransactionKind.REVERSAL, group=None, phase=None, entry=None, created=created)
            )

    @precondition(lambda self: len(self.terminated) == 0)
    @rule(org=org, really=st.integers(0, 9))
    def terminate(self, org: str, really: int) -> None:
        if really == 0:
            self.terminated.add(org)

    # -- operators ------------------------------------------------------------------------------------------------

    @rule(turns=st.lists(which, min_size=1, max_size=12))
    def work(self, turns: list[int]) -> None:
        for turn in turns:
            STEPS["requests"] += 1
            self.operators[turn].step()
            self._check()

    @rule(which=which, really=st.booleans())
    def crash(self, which: int, really: bool) -> None:
        if really and self.operators[which].work is not None:
            STEPS["crashes"] += 1
            self.operators[which] = self._start()

    @rule(which=which)
    def see_pool(self, which: int) -> None:
        """Between two passes; within one an operator goes by what it has read."""
        if self.operators[which].work is None:
            self.operators[which].pool = self.server.pool

    @rule(which=which, picks=st.lists(pick, min_size=1, max_size=4))
    def see_transactions(self, which: int, picks: list[int]) -> None:
        stored = list(self.server.stored.items())
        if self.operators[which].work is None and stored:
            for pick in picks:
                uid, item = stored[pick % len(stored)]
                self.operators[which].view[uid] = item

    # -- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def books_are_right(self) -> None:
        STEPS["steps"] += 1
        if hasattr(self, "server"):
            self._check()

    def _check(self) -> None:
        if self.server.writes == self.checked:
            return
        self.checked = self.server.writes
        pool, committed = self.server.pool, self.server.committed()
        balances = fold(committed)
        assert sum(balances.values()) == 0
        assert pool.head.balance == balances.get(f"pool/{POOL}", 0) >= 0, "the pool's balance is not its fold"
        numbers = sorted(item.entry or 0 for item in committed)
        assert numbers == list(range(1, pool.head.entries + 1)), "a gap, or a number twice"
        balance = 0
        for item in sorted(committed, key=lambda item: item.entry or 0):
            balance += item.pool_change
            assert balance >= 0, "the pool was below zero"
        for entry in pool.in_flight:
            item = self.server.stored[entry.uid].transaction
            assert not item.is_posted or item.entry == entry.number, "posted under another number"
        self._groups_are_whole({group.name for group in pool.head.groups})
        assert len(pool.head.groups) <= MAX_GROUPS

    def _groups_are_whole(self, under_way: set[str]) -> None:
        posted = Counter(item.group[0] for item in self.server.committed() if item.group)
        for item in (stored.transaction for stored in self.server.stored.values()):
            if item.group is None or item.group[0] in under_way or item.group[0] in self._broken():
                continue
            assert posted[item.group[0]] in (0, item.group[1]), "a part of a group was posted"

    def _broken(self) -> set[str]:
        """Groups with a member whose client was terminated: that one may be rejected after others were posted."""
        return {
            item.transaction.group[0]
            for item in self.server.stored.values()
            if item.transaction.group and item.transaction.org in self.terminated
        }

    def teardown(self) -> None:
        """The faults end: everything that can be posted is, and nothing is written any more."""
        if not hasattr(self, "server"):
            return
        for item in self.coming:
            self.server.create(item)
        self.operators = [self._start(), self._start()]
        # One after the other: in turns, each would take over from the other for ever, where there is no lease.
        for operator in self.operators:
            before: object = None
            while before != (self.server.pool.head, self.server.pool.in_flight, self.server.stored):
                before = (self.server.pool.head, self.server.pool.in_flight, dict(self.server.stored))
                operator.view = dict(self.server.stored)
                while operator.step():
                    self._check()
        assert self.server.pool.in_flight == ()
        assert self.server.pool.head.groups == ()
        assert {stored.transaction.phase for stored in self.server.stored.values()} <= {
            None,
            Phase.POSTED,
            Phase.REJECTED,
        }
        broken = self._broken()
        found = audit(self._manifests(), [self._pool_manifest()], self._clients()).findings
        assert [item for item in found if item.object.removeprefix("group/") not in broken] == []
        STEPS["posted"] += self.server.pool.head.entries

    def _manifests(self) -> list[Json]:
        found = []
        for item in (stored.transaction for stored in self.server.stored.values()):
            spec: Json = {"kind": str(item.kind), "from": item.source, "to": item.target, "amount": item.amount}
            # Charges without their arithmetic are another test's; here they are movements like others.
            spec["kind"] = "Withdrawal" if item.kind is TransactionKind.CHARGE else spec["kind"]
            if item.reverses:
                spec["reverses"] = item.reverses
            if item.group:
                spec["group"] = {"name": item.group[0], "size": item.group[1]}
            status = {"phase": item.phase, "entry": item.entry, "orgID": item.org_id, "pool": POOL}
            metadata = {"uid": item.uid, "name": item.name, "creationTimestamp": item.created}
            found.append({"metadata": metadata, "spec": spec, "status": status})
        return found

    def _pool_manifest(self) -> Json:
        head = self.server.pool.head
        return {
            "metadata": {"name": POOL},
            "status": {"points": {"balance": head.balance, "entries": head.entries}},
        }

    def _clients(self) -> list[Json]:
        balances = fold(self.server.committed())
        return [
            {
                "metadata": {"name": name},
                "status": {"orgID": f"id{name}", "points": {"balance": balances.get(f"org/{name}", 0)}},
            }
            for name in ORGS
        ]


def test_points_are_never_lost_or_handed_out_twice() -> None:
    STEPS.clear()
    checks = list(HealthCheck)
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=60, deadline=None, suppress_health_check=checks, print_blob=True
        ),
    )
    if EXAMPLES >= 300:
        assert STEPS["steps"] >= 10_000
        # How often each comes up is chance, several times these numbers on average.
        assert min(STEPS[name] for name in ("conflicts", "pool writes", "posted")) >= 50, STEPS
        assert STEPS["crashes"] >= 20, STEPS
