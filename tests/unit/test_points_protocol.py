"""Charges, postings, settlements and approvals exactly once, crashed between any two requests (DESIGN rules 3 and 4).

One or two operators at once, each the real runtime with its own caches, queue and memory, work on an API server in
memory. Hypothesis decides who moves points, ends contracts and deletes clients, when a request is carried out, when
its answer arrives or is lost, what an operator hears, what the clock shows, and who crashes. `PointBooks` checks every
single write on the server's true state; when the faults end, everything that can be posted is, every period that has
begun was charged once, the accounts of those who are gone are zero, and the audit finds nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import timedelta

import pytest
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

from clientorg.api.orgplan import FirstCharge
from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.control import posting
from clientorg.control.keys import Kind
from tests.unit.operators import Call, Operator
from tests.unit.pointworld import REQUESTER, PointsWorld
from tests.unit.world import AGENCY, NOTHING

EXAMPLES = int(os.environ.get("CLIENTORG_POINTS_EXAMPLES", "100" if "CI" in os.environ else "60"))
"""Runs of up to 60 steps. More of them find rarer faults: a thousand take some minutes."""

NAMES = ("ant", "bee", "cat")
Reaction = tuple[int, int]

which = st.integers(0, 1)
pick = st.integers(0, 30)
name = st.sampled_from(NAMES)
amount = st.integers(1, 40)
reaction = st.tuples(which, st.integers(0, 15))
"""Who goes to work after something was done, and for how many requests."""

with_clients = precondition(lambda self: self.world.clients())
with_calls = precondition(lambda self: any(operator.calls for operator in self.world.operators))
with_transactions = precondition(lambda self: self.world.transactions())


class PointsProtocol(RuleBasedStateMachine):
    """People move points, operators work and crash, the network delays and loses, the clock jumps."""

    @initialize(
        strict=st.booleans(),
        first_charge=st.sampled_from([rule.value for rule in FirstCharge]),
        clients=st.dictionaries(name, st.integers(0, 5), min_size=1),
        points=st.integers(0, 80),
        settled=st.booleans(),
        operators=st.integers(1, 2),
    )
    def agency(
        self, strict: bool, first_charge: str, clients: dict[str, int], points: int, settled: bool, operators: int
    ) -> None:
        self.world = PointsWorld(strict=strict, first_charge=first_charge)
        for client, users in clients.items():
            self.world.register(client, users=users)
        for _ in range(operators):
            self.world.start()
        if settled:
            self.world.calm_down()
        if points:
            self.world.buy(points)

    # -- people ---------------------------------------------------------------------------------------------------

    @rule(name=name, users=st.integers(0, 5), is_manual=st.booleans(), then=reaction)
    def register(self, name: str, users: int, is_manual: bool, then: Reaction) -> None:
        if self.world.server.one(CLIENT_ORGS, AGENCY, name) is None:
            self.world.register(name, users=users, plan="manual" if is_manual else "standard")
        self._react(then)

    @with_clients
    @rule(pick=pick, is_own=st.booleans(), is_other=st.booleans(), then=reaction)
    def approve(self, pick: int, is_own: bool, is_other: bool, then: Reaction) -> None:
        """By the requester, or for another object than the one that has the name, it does not count."""
        by = {"by": REQUESTER} if is_own else {}
        self.world.approve(self._client(pick), **by, uid="uid-of-another" if is_other else None)
        self._react(then)

    @rule(amount=amount, then=reaction)
    def buy(self, amount: int, then: Reaction) -> None:
        self.world.buy(amount)
        self._react(then)

    @rule(name=name, amount=amount, then=reaction)
    def top_up(self, name: str, amount: int, then: Reaction) -> None:
        """Also of a client that is not there yet."""
        self.world.top_up(name, amount)
        self._react(then)

    @rule(name=name, amount=amount, then=reaction)
    def withdraw(self, name: str, amount: int, then: Reaction) -> None:
        self.world.withdraw(name, amount)
        self._react(then)

    @rule(members=st.lists(st.tuples(name, st.integers(1, 9)), min_size=2, max_size=6), then=reaction)
    def top_up_together(self, members: list[tuple[str, int]], then: Reaction) -> None:
        self.world.group(*members)
        self._react(then)

    @with_transactions
    @rule(pick=pick, then=reaction)
    def reverse(self, pick: int, then: Reaction) -> None:
        found = self.world.transactions()
        item = found[pick % len(found)]
        taken = {other["metadata"]["name"] for other in found}
        if item["spec"]["kind"] in ("TopUp", "Withdrawal") and item["metadata"]["name"] + "-reversal" not in taken:
            self.world.reverse(item["metadata"]["name"])
        self._react(then)

    @with_transactions
    @rule(pick=pick, again=st.booleans(), then=reaction)
    def take_back(self, pick: int, again: bool, then: Reaction) -> None:
        """What is not posted is deleted, perhaps while it is in flight, and perhaps made anew by the same name."""
        found = [
            item
            for item in self.world.transactions()
            if item["status"].get("phase") != "Posted"
            and item["spec"]["kind"] == "TopUp"  # points that a deleted one has added may be spent already
            and "group" not in item["spec"]
        ]
        if found:
            item = found[pick % len(found)]
            self.world.take_back(item["metadata"]["name"])
            if again:
                spec = item["spec"]
                self.world.transact(spec["kind"], spec["from"], spec["to"], spec["amount"], item["metadata"]["name"])
        self._react(then)

    @with_clients
    @rule(pick=pick, hours=st.sampled_from([None, 1, 24 * 20]), then=reaction)
    def terminate(self, pick: int, hours: int | None, then: Reaction) -> None:
        client = self.world.client(self._client(pick))
        if "executedTime" not in client["status"].get("termination", {}):
            time = None if hours is None else self.world.clock.now() + timedelta(hours=hours)
            self.world.terminate(client["metadata"]["name"], time)
        self._react(then)

    @with_clients
    @rule(pick=pick, then=reaction)
    def delete_client(self, pick: int, then: Reaction) -> None:
        self.world.delete(self._client(pick))
        self._react(then)

    @rule(days=st.sampled_from([-20, 1, 10, 26, 70]), then=reaction)
    def step_clock(self, days: int, then: Reaction) -> None:
        """Back only with one operator: of two, one that has not heard of the first charge would begin earlier."""
        if days < 0 and len(self.world.operators) > 1:
            days = 1
        self.world.set_clock(self.world.clock.now() + timedelta(days=days))
        self._react(then)

    def _client(self, pick: int) -> str:
        clients = self.world.clients()
        return str(clients[pick % len(clients)]["metadata"]["name"])

    # -- the network ----------------------------------------------------------------------------------------------

    @with_calls
    @rule(which=which, pick=pick)
    def carry_out(self, which: int, pick: int) -> None:
        """A request arrives and is carried out; its answer is under way."""
        self._call(which, pick).carry_out()

    @with_calls
    @rule(which=which, pick=pick, is_done=st.booleans())
    def lose(self, which: int, pick: int, is_done: bool) -> None:
        """The operator gives up on a request, which was carried out, or will be, or never."""
        call = self._call(which, pick)
        if is_done:
            call.carry_out()
        self.world.lose(call)

    @precondition(lambda self: self.world.ghosts)
    @rule(pick=pick, arrives=st.booleans())
    def late_arrival(self, pick: int, arrives: bool) -> None:
        call = self.world.ghosts.pop(pick % len(self.world.ghosts))
        if arrives:
            call.carry_out()

    @rule(
        which=which, kind=st.sampled_from([Kind.CLIENT, Kind.POOL, Kind.TRANSACTION]), most=st.sampled_from([1, None])
    )
    def deliver(self, which: int, kind: Kind, most: int | None) -> None:
        self._operator(which).deliver(kind, most)

    @rule(which=which, requests=st.integers(1, 30))
    def work(self, which: int, requests: int) -> None:
        """An operator gets on for a while, undisturbed."""
        self._react((which, requests))

    @rule(requests=st.integers(1, 30))
    def work_together(self, requests: int) -> None:
        """All get on for a while, request by request."""
        self.world.work(*self.world.operators, requests=requests)

    @rule(
        which=which,
        deaf_to=st.sampled_from([{Kind.POOL}, {Kind.CLIENT}, {Kind.TRANSACTION}, {Kind.POOL, Kind.CLIENT}, NOTHING]),
    )
    def lag(self, which: int, deaf_to: AbstractSet[Kind]) -> None:
        """From now on an operator hears nothing of some kinds, until it does again."""
        self._operator(which).deaf_to = deaf_to

    @rule(which=which, behind=st.sampled_from([0, 0, 3, 10]))
    def crash(self, which: int, behind: int) -> None:
        """The process dies; the next one begins from a list that may be old."""
        self.world.replace(self._operator(which), behind)

    @precondition(lambda self: any(operator.has_delayed() for operator in self.world.operators))
    @rule(seconds=st.sampled_from([0.2, 5.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.world.loop.advance(seconds)

    @precondition(lambda self: self.world.server.has_dying_namespaces())
    @rule()
    def namespaces_go(self) -> None:
        self.world.server.finish_namespaces()

    def _react(self, reaction: Reaction) -> None:
        which, requests = reaction
        self.world.work(self._operator(which), requests=requests)

    def _operator(self, which: int) -> Operator:
        return self.world.operators[which % len(self.world.operators)]

    def _call(self, which: int, pick: int) -> Call:
        calls = self._operator(which).calls or self._operator(which + 1).calls
        return calls[pick % len(calls)]

    # -- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def ledger_is_right_at_every_write(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """The faults end; and then a restart of everything finds nothing to write."""
        if not hasattr(self, "world"):
            return
        with self.world as world:
            world.come_right()
            settled_at = world.server.version
            for operator in list(world.operators):
                world.replace(operator)
            world.settle()
            written = [(event.key, event.manifest) for event in world.server.since(settled_at)]
            assert not written, f"a restart of a settled system writes {written}"


@pytest.fixture
def quiet_logs() -> Iterator[None]:
    """Ten thousand passes log more than anybody reads."""
    logger = logging.getLogger("clientorg")
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    yield
    logger.setLevel(level)
    logger.propagate = propagate


@pytest.mark.usefixtures("quiet_logs")
def test_points_move_exactly_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "MOST_IN_FLIGHT", 3)  # so that groups take several rounds
    checks = list(HealthCheck)
    run_state_machine_as_test(
        PointsProtocol,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=60, deadline=None, suppress_health_check=checks, print_blob=True
        ),
    )
