"""The commit protocol of the licenses, crashed between any two requests (issue 3, deliverable 7; DESIGN rule 3).

One or two operators at once, each the real runtime with its own caches, queue and memory, work on an API server in
memory. Hypothesis decides who edits what, when a request is carried out, when its answer arrives or is lost, when
watch events arrive, and who crashes. `Bookkeeping` checks every single write on the server's true state; when the
faults end, everything has to come right: nothing in flight, books that add up, nobody waiting who could be served, and
no write any more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

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

from clientorg.api.meta import ANNOTATION_TRANSFER
from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.control.keys import Kind
from clientorg.domain.allocation import Transfer
from tests.unit.apiserver import Json
from tests.unit.bookkeeping import check_outcome, check_workspaces, wanted_of
from tests.unit.operators import Call, Operator
from tests.unit.world import AGENCY, NOTHING, World

EXAMPLES = int(os.environ.get("CLIENTORG_PROTOCOL_EXAMPLES", "200"))
"""Runs of up to 80 steps. More of them find rarer faults: a thousand take a minute and a half."""

LICENSES = ("mails", "seats")
NAMES = ("ant", "bee", "cat", "dog")
Reaction = tuple[int, int]

which = st.integers(0, 1)
pick = st.integers(0, 7)
name = st.sampled_from(NAMES)
license_name = st.sampled_from(LICENSES)
wishes = st.dictionaries(license_name, st.integers(0, 6), min_size=1)
capacities = st.fixed_dictionaries(dict.fromkeys(LICENSES, st.integers(2, 14)))
reaction = st.tuples(which, st.integers(0, 15))
"""Who goes to work after an edit, and for how many requests."""

with_clients = precondition(lambda self: self.world.clients())
with_calls = precondition(lambda self: any(operator.calls for operator in self.world.operators))


class Protocol(RuleBasedStateMachine):
    """Agencies edit, operators work and crash, the network delays and loses."""

    @initialize(
        capacity=capacities,
        strict=st.booleans(),
        clients=st.dictionaries(name, wishes, min_size=1),
        settled=st.booleans(),
        operators=st.integers(1, 2),
    )
    def agency(
        self,
        capacity: dict[str, int],
        strict: bool,
        clients: dict[str, dict[str, int]],
        settled: bool,
        operators: int,
    ) -> None:
        self.world = World(strict=strict, **capacity)
        self.is_alone = operators == 1
        """One operator, which never began from an old list: two at once may leave a workspace of a client that is gone,
        when the one with the old view builds it after the other one has deleted it. Licenses are right even then."""
        for client, wanted in clients.items():
            self.world.create(client, **wanted)
        for _ in range(operators):
            self.world.start()
        if settled:
            self.world.calm_down()

    # -- people ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.world.clients()) < len(NAMES))
    @rule(name=name, wanted=wishes, then=reaction)
    def create_client(self, name: str, wanted: dict[str, int], then: Reaction) -> None:
        if self.world.server.one(CLIENT_ORGS, AGENCY, name) is None:
            self.world.create(name, **wanted)
        self._react(then)

    @with_clients
    @rule(pick=pick, wanted=wishes, then=reaction)
    def edit_client(self, pick: int, wanted: dict[str, int], then: Reaction) -> None:
        self.world.want(self._client(pick), None, **wanted)
        self._react(then)

    @with_clients
    @rule(pick=pick, used=st.dictionaries(license_name, st.integers(0, 6)), then=reaction)
    def report_use(self, pick: int, used: dict[str, int], then: Reaction) -> None:
        self.world.report_use(self._client(pick), **used)
        self._react(then)

    @with_clients
    @rule(pick=pick, then=reaction)
    def delete_client(self, pick: int, then: Reaction) -> None:
        self.world.delete(self._client(pick))
        self._react(then)

    @rule(capacity=capacities, then=reaction)
    def resize_pool(self, capacity: dict[str, int], then: Reaction) -> None:
        self.world.resize(**capacity)
        self._react(then)

    @precondition(lambda self: len(self.world.clients()) > 1)
    @rule(
        picks=st.tuples(pick, pick),
        license=license_name,
        amount=st.integers(1, 6),
        source_first=st.booleans(),
        then=reaction,
    )
    def transfer(self, picks: tuple[int, int], license: str, amount: int, source_first: bool, then: Reaction) -> None:
        """The two edits of `kubectl clientorg reallocate --from`, in either order."""
        source, receiver = self._client(picks[0]), self._client(picks[1])
        gives, takes = wanted_of(self.world.client(source)), wanted_of(self.world.client(receiver))
        if source == receiver or gives.get(license, 0) < amount:
            return
        move = Transfer(source, license, gives[license] - amount, takes.get(license, 0) + amount)
        edits: list[tuple[str, dict[str, int], Transfer | None]] = [
            (source, {**gives, license: move.source_to}, None),
            (receiver, {**takes, license: move.to}, move),
        ]
        for client, wanted, annotation in edits if source_first else reversed(edits):
            self.world.want(client, annotation, **wanted)
        self._react(then)

    @precondition(lambda self: any("annotations" in client["metadata"] for client in self.world.clients()))
    @rule(pick=pick)
    def forget_transfer(self, pick: int) -> None:
        patch: Json = {"metadata": {"annotations": {ANNOTATION_TRANSFER: None}}}
        self.world.server.edit(CLIENT_ORGS, AGENCY, self._client(pick), patch)

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
    @rule(which=which, pick=pick)
    def answer(self, which: int, pick: int) -> None:
        self.world.answer(self._call(which, pick))

    @with_calls
    @rule(which=which, pick=pick)
    def lose(self, which: int, pick: int) -> None:
        """The operator gives up on a request, which was carried out, or will be, or never."""
        self.world.lose(self._call(which, pick))

    @precondition(lambda self: self.world.ghosts)
    @rule(pick=pick, arrives=st.booleans())
    def late_arrival(self, pick: int, arrives: bool) -> None:
        call = self.world.ghosts.pop(pick % len(self.world.ghosts))
        if arrives:
            call.carry_out()

    @rule(which=which, kind=st.sampled_from([Kind.CLIENT, Kind.POOL]), most=st.sampled_from([1, 2, None]))
    def deliver(self, which: int, kind: Kind, most: int | None) -> None:
        self._operator(which).deliver(kind, most)

    @rule(which=which, requests=st.integers(1, 20))
    def work(self, which: int, requests: int) -> None:
        """An operator gets on for a while, undisturbed."""
        self._react((which, requests))

    @rule(requests=st.integers(1, 20))
    def work_together(self, requests: int) -> None:
        """All get on for a while, request by request."""
        self.world.work(*self.world.operators, requests=requests)

    @rule(which=which, deaf_to=st.sampled_from([{Kind.POOL}, {Kind.CLIENT}, {Kind.POOL, Kind.CLIENT}, NOTHING]))
    def lag(self, which: int, deaf_to: AbstractSet[Kind]) -> None:
        """From now on an operator hears nothing of some kinds, until it does again."""
        self._operator(which).deaf_to = deaf_to

    @rule(which=which)
    def relist(self, which: int) -> None:
        self._operator(which).relist()

    @rule(which=which, behind=st.sampled_from([0, 0, 3, 10]))
    def crash(self, which: int, behind: int) -> None:
        """The process dies; the next one begins from a list that may be old."""
        self.is_alone = self.is_alone and not behind
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
    def books_are_right_at_every_write(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """The faults end; and then a restart of everything finds nothing to write."""
        if not hasattr(self, "world"):
            return
        with self.world as world:
            world.settle()
            check_outcome(world.pool, world.clients())
            if self.is_alone:
                check_workspaces(world.server, world.clients())
            writes = world.server.writes
            for operator in list(world.operators):
                world.replace(operator)
            world.settle()
            assert world.server.writes == writes, "a restart of a settled system writes"


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
def test_licenses_are_never_over_allocated_and_never_leak() -> None:
    checks = list(HealthCheck)
    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=80, deadline=None, suppress_health_check=checks, print_blob=True
        ),
    )
