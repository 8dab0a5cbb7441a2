"""Stories of single faults in charging, posting and settling, each with its exact schedule (DESIGN rules 3 and 4).

The operators are real, each with its own caches and queue; the server, the network and the clocks are the test's.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta

import pytest

from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS
from clientorg.control import posting
from clientorg.control.keys import Kind
from tests.support import builders
from tests.unit.operators import Call, Operator
from tests.unit.pointbooks import findings
from tests.unit.pointworld import PointsWorld
from tests.unit.world import AGENCY, EVERYTHING, POOL

NOVEMBER, DECEMBER, JANUARY = (datetime(2026 + month // 12, month % 12 + 1, 25, tzinfo=UTC) for month in (10, 11, 12))
THE_BOOKS = "quotapools/pool/status"
CHARGES = "pointtransactions"


@pytest.fixture
def world() -> Iterator[PointsWorld]:
    """An agency with points, and no client."""
    with PointsWorld() as world:
        yield world


def sent(world: PointsWorld, operator: Operator, method: str, path: str, hears: AbstractSet[Kind] = EVERYTHING) -> Call:
    """Let the operator get on until it sends such a request."""
    for _ in range(200):
        world.hear(operator, hears)
        for call in operator.calls:
            if call.method == method and call.path.endswith(path):
                return call
        assert operator.calls, f"{method} {path} was not sent"
        world.answer(operator.calls[0])
    raise AssertionError(f"{method} {path} was not sent")


def test_a_quiet_month(world: PointsWorld) -> None:
    world.start()
    world.register("ant", users=4)
    world.calm_down()
    world.buy(100)
    world.top_up("ant", 50)
    world.calm_down()
    world.set_clock(NOVEMBER)
    world.come_right()

    assert world.charged("ant") == ["2026-11"]
    assert world.balance("ant") == 50 - 16


# -- a crash between any two requests ------------------------------------------------------------------------------


def story(world: PointsWorld, act: int) -> bool:
    """The next act of an agency's month; whether there was one."""
    if act == 0:
        world.register("ant", users=4)
        world.register("bee", plan="manual")
        world.buy(60)
    elif act == 1:
        world.top_up("ant", 20)
        world.group(("ant", 5), ("bee", 6), ("ant", 7), ("bee", 8), ("ant", 9))
        world.approve("bee")
    elif act == 2:
        world.set_clock(NOVEMBER + timedelta(hours=1))
    elif act == 3:
        world.terminate("ant")
        world.delete("bee")
    return act <= 3


@pytest.mark.parametrize("is_answer_lost", [False, True])
def test_crash_after_any_request_of_a_month(monkeypatch: pytest.MonkeyPatch, is_answer_lost: bool) -> None:
    """The operator dies after its n-th request, for every n; the request was carried out, and its answer is lost."""
    monkeypatch.setattr(posting, "MOST_IN_FLIGHT", 2)
    crash_after, ended = 0, False
    while not ended:
        crash_after += 1
        with PointsWorld() as world:
            ended = _month_with_a_crash(world, crash_after, is_answer_lost)
            world.come_right()
            assert world.charged("ant") == ["2026-11"], f"after a crash at request {crash_after}"
            kinds = [item["spec"]["kind"] for item in world.transactions()]
            assert (kinds.count("Charge"), kinds.count("Settlement")) == (2, 2), f"after a crash at {crash_after}"
    assert crash_after > 60


def _month_with_a_crash(world: PointsWorld, crash_after: int, is_answer_lost: bool) -> bool:
    """Tell the story; whether it ended before the crash."""
    operator, left, act = world.start(), crash_after, 0
    while story(world, act):
        act += 1
        for _ in range(500):
            world.hear(operator)
            if not operator.calls:
                if not operator.has_delayed() and not world.server.finish_namespaces():
                    break
                world.loop.advance(5.0)
                continue
            call, left = operator.calls[0], left - 1
            if left == 0 and is_answer_lost:
                call.carry_out()
                world.lose(call)
            elif left == 0:
                call.carry_out()
                operator = world.replace(operator)
            else:
                world.answer(call)
    return left > 0


# -- groups ----------------------------------------------------------------------------------------------------------


def begun_group(world: PointsWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[Operator, list[str]]:
    """A group of three of which one is in flight and two are left."""
    monkeypatch.setattr(posting, "MOST_IN_FLIGHT", 1)
    operator = world.start()
    world.register("ant")
    world.register("bee")
    world.buy(100)
    world.calm_down()
    names = world.group(("ant", 5), ("ant", 6), ("bee", 7))
    while "groups" not in world.pool_points:
        world.answer(sent(world, operator, "PATCH", THE_BOOKS))
    assert [item["left"] for item in world.pool_points["groups"]] == [2]
    return operator, names


@pytest.mark.parametrize("is_deleted", [False, True])
def test_group_that_was_begun_is_posted_whole_though_a_contract_ends(
    world: PointsWorld, monkeypatch: pytest.MonkeyPatch, is_deleted: bool
) -> None:
    """Its points are committed; the settlement waits for them, and takes them up."""
    _, names = begun_group(world, monkeypatch)
    if is_deleted:
        world.delete("ant")
    else:
        world.terminate("ant")
    world.come_right()

    assert [world.phase(name) for name in names] == ["Posted"] * 3


def test_group_that_was_not_begun_ends_with_the_contract(world: PointsWorld) -> None:
    world.start()
    world.register("ant")
    world.register("bee")
    world.calm_down()
    names = world.group(("ant", 5), ("bee", 7))
    world.calm_down()
    world.terminate("ant")
    world.calm_down()
    world.come_right()

    assert [world.phase(name) for name in names] == ["Rejected", "Waiting"]


# -- deleted in flight -----------------------------------------------------------------------------------------------


def in_flight(world: PointsWorld) -> tuple[Operator, str]:
    """A top-up in flight, which is not marked as posted yet."""
    operator = world.start()
    world.register("ant")
    world.buy(100)
    world.calm_down()
    name = world.top_up("ant", 30)
    world.answer(sent(world, operator, "PATCH", THE_BOOKS))
    assert world.pool_points["balance"] == 70
    return operator, name


@pytest.mark.parametrize("is_crash", [False, True])
@pytest.mark.parametrize("is_made_anew", [False, True])
def test_transaction_deleted_in_flight_gives_its_points_back_once(
    world: PointsWorld, is_made_anew: bool, is_crash: bool
) -> None:
    operator, name = in_flight(world)
    world.take_back(name)
    if is_made_anew:
        world.top_up("ant", 30, name)
    if is_crash:
        world.replace(operator)
    world.come_right()

    assert world.balance("ant") == (30 if is_made_anew else 0)
    assert world.ledger.lost == {2}


def test_two_operators_give_the_points_of_a_deleted_transaction_back_once(world: PointsWorld) -> None:
    first, name = in_flight(world)
    second = world.start()
    world.take_back(name)
    both = [sent(world, operator, "PATCH", THE_BOOKS) for operator in (first, second)]
    for call in both:
        call.carry_out()
    world.come_right()

    assert world.ledger.lost == {2}


# -- two operators, one of them with an old view ----------------------------------------------------------------------


def test_final_refusal_from_an_old_view_is_not_written(world: PointsWorld) -> None:
    """The client that had the name is gone; the old operator knows nothing of that, nor of what is in flight."""
    world.start()
    world.register("ant")
    world.buy(100)
    world.calm_down()
    old = world.start()
    world.calm_down()
    new = world.operators[0]
    old.deaf_to = {Kind.CLIENT, Kind.POOL}
    world.delete("ant")
    while world.server.one(CLIENT_ORGS, AGENCY, "ant") is not None:
        world.work(new)
        world.server.finish_namespaces()
        world.loop.advance(20.0)
    world.register("ant")
    world.work(new)
    world.top_up("ant", 30)
    world.answer(sent(world, new, "PATCH", THE_BOOKS))
    world.work(old)
    world.check()
    world.come_right()

    assert world.balance("ant") == 30


def test_only_the_newest_books_reject(world: PointsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old operator does not know that the group was begun, and would reject what the contract's end leaves of it.

    Nothing else changes in the books by its view, so that no write of it meets the newer ones.
    """
    monkeypatch.setattr(posting, "MOST_IN_FLIGHT", 1)
    world.server.edit(ORG_PLANS, AGENCY, "standard", {"spec": {"billing": None}})
    new = world.start()
    world.register("ant", seats=0)
    world.buy(100)
    world.calm_down()
    old = world.start()
    world.calm_down()
    old.deaf_to = {Kind.POOL, Kind.TRANSACTION}
    names = world.group(("ant", 5), ("ant", 6), ("ant", 7))
    while "groups" not in world.pool_points:
        world.answer(sent(world, new, "PATCH", THE_BOOKS))
    world.terminate("ant")
    world.work(old)
    world.loop.advance(5.0)
    world.work(old)
    world.come_right()

    assert [world.phase(name) for name in names] == ["Posted"] * 3


def test_nobody_is_called_overdrawn_for_want_of_a_top_up_that_an_old_list_lacks(world: PointsWorld) -> None:
    """Found by `past`: the operator crashes before the charge, and the next one's lists are from before the top-up."""
    first = world.start()
    world.register("ant")
    world.buy(100)
    world.calm_down()
    before = world.server.version
    world.top_up("ant", 50)
    world.calm_down()
    world.set_clock(NOVEMBER)
    second = world.replace(first, behind=world.server.version - before)
    second.deaf_to = {Kind.CLIENT, Kind.POOL, Kind.TRANSACTION}
    for _ in range(5):
        world.work(second)
        world.loop.advance(5.0)

    assert world.charged("ant") == ["2026-11"]
    status = world.client("ant")["status"]
    assert "negativeSince" not in status["points"]
    assert "balance-negative" not in {entry["kind"] for entry in status.get("outbox") or ()}

    world.come_right()
    assert world.balance("ant") == 40


def test_settlement_counts_what_an_old_view_does_not_show(world: PointsWorld) -> None:
    new = world.start()
    world.register("ant")
    world.buy(100)
    world.calm_down()
    old = world.start()
    world.calm_down()
    old.deaf_to = {Kind.TRANSACTION}
    world.top_up("ant", 30)
    world.work(new)
    world.terminate("ant")
    world.work(old)
    world.loop.advance(5.0)
    world.work(old)
    world.come_right()

    assert world.balance("ant") == 0


@pytest.mark.parametrize("is_charge", [False, True])
def test_what_comes_after_the_settlement_was_counted(world: PointsWorld, is_charge: bool) -> None:
    """The one that keeps the books has not heard that the contract has ended. Before it posts what people move, and
    before it charges, it looks at the client."""
    old = world.start()
    world.register("ant")
    world.buy(100)
    world.top_up("ant", 10)
    world.calm_down()
    new = world.start()
    world.calm_down()
    old.deaf_to = {Kind.CLIENT}
    world.terminate("ant")
    sent(world, new, "PATCH", "clientorgs/ant/status")
    world.work(new, requests=1)
    sent(world, new, "POST", CHARGES).carry_out()
    if is_charge:
        world.set_clock(NOVEMBER)
        world.work(old)
        assert world.charged("ant") == []
    else:
        name = world.top_up("ant", 30)
        world.work(old)
        assert world.phase(name) == "Rejected"
    world.buy(100)
    world.settle()

    assert world.balance("ant") == 0
    assert not list(findings(world.server, AGENCY, set()))


@pytest.mark.parametrize("is_deleted", [False, True])
def test_one_that_does_not_know_of_the_end_looks_before_it_charges(world: PointsWorld, is_deleted: bool) -> None:
    new = world.start()
    world.register("ant")
    world.buy(100)
    world.top_up("ant", 10)
    world.calm_down()
    old = world.start()
    world.calm_down()
    old.deaf_to = frozenset(Kind)
    org = world.client("ant")["status"]["orgID"]
    if is_deleted:
        world.delete("ant")
    else:
        world.terminate("ant")
    for _ in range(5):
        world.work(new)
        world.server.finish_namespaces()
        world.loop.advance(20.0)
    world.set_clock(NOVEMBER)
    world.work(old)
    world.buy(1_000_000)
    world.settle()

    assert "Charge" not in {item["spec"]["kind"] for item in world.transactions()}
    assert world.ledger_sum(org) == 0


# -- things that come in another order ---------------------------------------------------------------------------------


def test_beginning_with_a_charge_that_was_not_written_down_keeps_the_periods_after_it() -> None:
    """The operator dies right after the first charge, and is away for two months."""
    with PointsWorld(first_charge="Immediate") as world:
        operator = world.start()
        world.register("ant")
        charge = sent(world, operator, "POST", CHARGES)
        charge.carry_out()
        world.stop(operator)
        world.set_clock(JANUARY)
        world.start()
        world.come_right()

        assert world.charged("ant") == ["2026-10", "2026-11", "2026-12", "2027-01"]


def test_waiting_top_up_ends_with_the_contract_of_a_client_that_has_nothing(world: PointsWorld) -> None:
    """No license and no charge of it changes by the end, which the pool could hear of."""
    world.server.edit(ORG_PLANS, AGENCY, "standard", {"spec": {"billing": None}})
    world.start()
    world.register("ant", seats=0)
    world.calm_down()
    name = world.top_up("ant", 30)
    world.calm_down()
    assert world.phase(name) == "Waiting"
    world.terminate("ant")
    world.calm_down()

    assert world.phase(name) == "Rejected"
    assert "settledTime" in world.client("ant")["status"]["termination"]


@pytest.mark.parametrize("is_deleted", [False, True])
def test_top_up_from_a_pool_that_is_not_there_holds_nobody_up(world: PointsWorld, is_deleted: bool) -> None:
    world.start()
    world.register("ant")
    world.calm_down()
    name = world.transact("TopUp", "pool/other", "org/ant", 30)
    world.calm_down()
    assert world.phase(name) == "Rejected"
    if is_deleted:
        world.delete("ant")
    else:
        world.terminate("ant")
    world.calm_down()


def test_top_up_from_another_pool_is_refused_when_its_client_comes(world: PointsWorld) -> None:
    world.server.create(QUOTA_POOLS, builders.pool(AGENCY, "other", seats=5))
    world.start()
    name = world.transact("TopUp", "pool/other", "org/ant", 30)
    world.calm_down()
    assert world.phase(name) == "Waiting"
    world.register("ant")
    world.calm_down()

    assert world.phase(name) == "Rejected"


def test_pool_goes_only_after_the_settlements_of_its_clients(world: PointsWorld) -> None:
    operator = world.start()
    world.register("ant")
    world.buy(100)
    world.top_up("ant", 30)
    world.calm_down()
    world.delete("ant")
    world.server.remove(QUOTA_POOLS, AGENCY, POOL)
    world.calm_down()

    assert [item["status"].get("phase") for item in world.transactions()] == ["Posted"] * 3
    assert world.server.one(QUOTA_POOLS, AGENCY, POOL) is None
    assert operator.is_quiet


def test_top_ups_beyond_what_can_be_counted_are_refused(world: PointsWorld) -> None:
    """Each fits alone; together they are beyond 2^53, in one round."""
    world.start()
    world.register("ant")
    world.calm_down()
    world.buy(2**53)
    world.calm_down()
    world.top_up("ant", 2**53 - 1)
    world.calm_down()
    world.buy(100)
    world.calm_down()
    names = [world.top_up("ant", 1) for _ in range(3)]
    world.calm_down()
    world.check()

    assert world.balance("ant") == 2**53
    assert sorted(str(world.phase(name)) for name in names) == ["Posted", "Rejected", "Rejected"]


def test_what_waits_for_a_client_takes_no_room_from_what_can_be_posted(
    world: PointsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "MOST_IN_FLIGHT", 2)
    world.start()
    waiting = [world.withdraw("nobody", 1) for _ in range(3)]
    world.calm_down()
    bought = world.buy(100)
    world.calm_down()

    assert world.phase(bought) == "Posted"
    assert [world.phase(name) for name in waiting] == ["Waiting"] * 3


@pytest.mark.parametrize("is_overdrawn", [False, True])
def test_balance_below_zero_is_told_by_the_whole_account_and_not_by_a_part_of_it(
    world: PointsWorld, is_overdrawn: bool
) -> None:
    """After a restart with old lists the operator knows of the charge that it makes, and of no top-up before it."""
    first = world.start()
    world.register("ant", users=4)
    world.buy(100)
    world.calm_down()
    late = world.start()
    late.deaf_to = {Kind.TRANSACTION}
    world.top_up("ant", 10 if is_overdrawn else 50)
    world.work(first)
    assert world.balance("ant") > 0
    world.stop(first)
    world.set_clock(NOVEMBER)
    world.work(late)
    assert world.charged("ant") == ["2026-11"]
    late.deaf_to = frozenset()
    world.come_right()

    told = {
        entry["params"]["balance"]
        for event in world.server.history
        if event.plural == CLIENT_ORGS.plural
        for entry in event.decoded().get("status", {}).get("outbox", [])
        if entry["kind"] == "balance-negative"
    }
    assert told == ({"-6"} if is_overdrawn else set())


def test_plan_that_charges_later_begins_then(world: PointsWorld) -> None:
    billing = world.server.one(ORG_PLANS, AGENCY, "standard")
    assert billing is not None
    world.server.edit(ORG_PLANS, AGENCY, "standard", {"spec": {"billing": None}})
    world.start()
    world.register("ant")
    world.calm_down()
    world.set_clock(NOVEMBER)
    world.calm_down()
    world.server.edit(ORG_PLANS, AGENCY, "standard", {"spec": {"billing": billing["spec"]["billing"]}})
    world.set_clock(DECEMBER)
    world.come_right()

    assert world.charged("ant") == ["2026-12"]


def test_approval_that_is_heard_of_before_its_client_counts(world: PointsWorld) -> None:
    operator = world.start()
    operator.deaf_to = {Kind.CLIENT}
    world.register("ant", plan="manual")
    world.approve("ant")
    world.work(operator)
    operator.deaf_to = frozenset()
    world.calm_down()

    assert world.client("ant")["status"]["lastGrant"] == 1


def test_decision_whose_status_met_another_write_is_measured_once(world: PointsWorld) -> None:
    """The pass is repeated on the newer version; the histogram must not know two decisions."""
    operator = world.start()
    world.register("ant", plan="manual")
    world.calm_down()
    world.approve("ant")
    sent(world, operator, "PATCH", "/clientorgs/ant/status")
    world.server.edit(CLIENT_ORGS, AGENCY, "ant", {"spec": {"tags": ["vip"]}})
    world.calm_down()

    assert world.client("ant")["status"]["approval"]["decision"] == "Approve"
    counted = {
        sample.labels["decision"]: sample.value
        for metric in operator.runtime.metrics.approval_seconds.collect()
        for sample in metric.samples
        if sample.name.endswith("_count") and sample.value
    }
    assert counted == {"Approve": 1.0}
