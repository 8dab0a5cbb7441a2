"""Stories of single faults in the commit protocol, each with its exact schedule (DESIGN rule 3).

The model test finds such schedules by chance; these are kept because a small mistake would bring each one back.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import pytest

from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.meta import FINALIZER
from clientorg.cluster.resources import CLIENT_ORGS, NAMESPACES, QUOTA_POOLS
from clientorg.control.keys import Kind
from clientorg.domain.allocation import Transfer
from clientorg.domain.conditions import find
from tests.support import builders
from tests.unit.bookkeeping import check_outcome, check_workspaces, holder_of
from tests.unit.operators import Call, Operator
from tests.unit.world import AGENCY, EVERYTHING, NOTHING, POOL, World

THE_BOOKS = "quotapools/pool/status"
ONLY_THE_POOL: AbstractSet[Kind] = {Kind.POOL}
ONLY_CLIENTS: AbstractSet[Kind] = {Kind.CLIENT}


@pytest.fixture
def world() -> Iterator[World]:
    """An agency with ten seats and no client."""
    with World(seats=10) as world:
        yield world


def seats(world: World, name: str) -> int:
    """How many seats a client has."""
    return holder_of(world.client(name)).held.get("seats", 0)


def sent(
    world: World, operator: Operator, method: str, path: str, hears: AbstractSet[Kind] = EVERYTHING, but: str = "-"
) -> Call:
    """Let the operator get on until it sends such a request; one whose path has `but` in it is left unanswered."""
    for _ in range(100):
        world.hear(operator, hears)
        for call in operator.calls:
            if call.method == method and call.path.endswith(path):
                return call
        others = [call for call in operator.calls if but not in call.path]
        assert others, f"{method} {path} was not sent"
        world.answer(others[0])
    raise AssertionError(f"{method} {path} was not sent")


def come_right(world: World) -> None:
    """Everything arrives, and no event tells more than it did. Nobody waits for the audit."""
    world.calm_down()
    world.check()
    check_outcome(world.pool, world.clients())


# -- an answer that never came -------------------------------------------------------------------------------------


def test_grant_whose_answer_was_lost_is_adopted_all_the_same(world: World) -> None:
    """No event tells the operator that it was its own write that went through."""
    operator = world.start()
    world.create("ant", seats=4)
    grant = sent(world, operator, "PATCH", THE_BOOKS)
    grant.carry_out()
    world.lose(grant)
    come_right(world)

    assert seats(world, "ant") == 4


def test_grant_that_was_given_back_in_one_write_is_cleared_though_the_answer_was_lost(world: World) -> None:
    """What is held is the same before and after; only `lastGrant` tells that the grant is settled."""
    operator = world.start()
    world.create("ant", seats=4)
    world.calm_down()
    world.want("ant", seats=9)
    world.answer(sent(world, operator, "PATCH", THE_BOOKS))
    sent(world, operator, "PATCH", "clientorgs/ant/status", NOTHING)
    world.want("ant", seats=4)
    world.answer(operator.calls[0])
    adoption = sent(world, operator, "PATCH", "clientorgs/ant/status")
    adoption.carry_out()
    world.lose(adoption)
    come_right(world)

    assert seats(world, "ant") == 4


def test_write_of_a_dead_operator_that_arrives_late_changes_nothing(world: World) -> None:
    operator = world.start()
    world.create("ant", seats=6)
    late = sent(world, operator, "PATCH", THE_BOOKS)
    world.replace(operator)
    world.want("ant", seats=1)
    world.create("bee", seats=9)
    world.calm_down()
    late.carry_out()
    come_right(world)

    assert (seats(world, "ant"), seats(world, "bee")) == (1, 9)


# -- news that the recount brings first ----------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["delete", "lower"])
def test_change_that_a_recount_saw_before_its_event_is_carried_out(world: World, edit: str) -> None:
    """The event, when it comes, is no news any more."""
    operator = world.start()
    world.create("ant", seats=4)
    world.calm_down()
    operator = world.replace(operator)
    count = sent(world, operator, "GET", "clientorgs")
    if edit == "delete":
        world.delete("ant")
    else:
        world.want("ant", seats=1)
    world.answer(count)
    come_right(world)

    assert world.clients() == [] or seats(world, "ant") == 1


def test_client_deleted_while_a_recounts_answer_was_under_way_is_not_built_anew(world: World) -> None:
    """The list still has it, with our finalizer on it; its own deletion is over and heard of."""
    operator = world.start()
    world.create("ant", seats=4)
    world.calm_down()
    operator = world.replace(operator)
    count = sent(world, operator, "GET", "clientorgs")
    count.carry_out()
    world.delete("ant")
    while world.clients():
        world.hear(operator)
        others = [call for call in operator.calls if call is not count]
        for call in others:
            world.answer(call)
        if not others and not world.server.finish_namespaces():
            world.loop.advance(10)
    world.hear(operator)
    world.answer(count)
    world.calm_down()

    check_workspaces(world.server, world.clients())
    come_right(world)


def test_license_taken_out_of_the_pool_during_a_recount_shows_in_the_clients(world: World) -> None:
    operator = world.start()
    world.create("ant", seats=4)
    world.calm_down()
    operator = world.replace(operator)
    count = sent(world, operator, "GET", "quotapools/pool")
    world.resize(mails=10)
    world.answer(count)
    world.calm_down()

    ready = find(world.client("ant")["status"]["conditions"], ConditionType.READY)
    assert ready is not None
    assert ready["reason"] == Reason.LICENSE_UNKNOWN


def test_recount_forgets_a_client_whose_deletion_no_event_told(world: World) -> None:
    """A watch cut by 410 Gone lists again and says nothing of what is gone (DESIGN section 8)."""
    first, second = world.start(), world.start()
    world.create("ant", seats=5)
    world.calm_down()
    world.want("ant", seats=9)
    world.work(second)
    world.delete("ant")
    world.work(second)
    world.server.finish_namespaces()
    world.loop.advance(10)
    world.work(second)
    world.stop(second)
    first.relist()
    world.create("bee", seats=10)
    come_right(world)

    assert seats(world, "bee") == 10


def test_pool_that_changed_while_its_clients_were_counted_is_counted_again(world: World) -> None:
    """Between the list and its arrival another operator granted, saw it adopted, and cleared it."""
    first = world.start()
    world.create("ant", seats=0)
    world.calm_down()
    second = world.start()
    count = sent(world, second, "GET", "clientorgs", NOTHING)
    count.carry_out()
    world.want("ant", seats=4)
    world.work(first)
    world.hear(second, ONLY_THE_POOL)
    world.answer(count)
    world.work(second, hears=ONLY_THE_POOL)
    world.check()
    come_right(world)

    assert seats(world, "ant") == 4


def test_count_is_good_until_another_operator_grants_again(world: World) -> None:
    first, second = world.start(), world.start()
    world.create("ant", seats=1)
    world.calm_down()
    world.want("ant", seats=4)
    world.work(first)
    assert (seats(world, "ant"), "inFlight" in world.pool["status"]) == (4, False)
    world.work(second, hears=ONLY_THE_POOL)
    world.check()
    come_right(world)


# -- two at once ---------------------------------------------------------------------------------------------------


def test_operator_that_did_not_clear_the_grants_counts_again(world: World) -> None:
    """It granted; the other one saw the adoption. By its own old view of the clients the pool would be free."""
    first = world.start()
    world.calm_down()
    world.create("ant", seats=4)
    world.create("bee", seats=10)
    grant = sent(world, first, "PATCH", THE_BOOKS)
    world.answer(grant)
    assert holder_of(world.client("ant")).last_grant == 0
    second = world.start()
    world.work(second)
    assert seats(world, "ant") == 4
    assert "inFlight" not in world.pool["status"]
    world.hear(first, ONLY_THE_POOL)
    sent(world, first, "GET", "clientorgs", ONLY_THE_POOL, but="clientorgs/ant")
    come_right(world)

    assert (seats(world, "ant"), seats(world, "bee")) == (4, 0)


def test_grant_is_not_adopted_again_by_one_whose_view_of_the_pool_is_old(world: World) -> None:
    """Meanwhile it was adopted, cleared and given back, and the seats are another's."""
    first, second = world.start(), world.start()
    world.calm_down()
    world.create("ant", seats=10)
    world.answer(sent(world, first, "PATCH", THE_BOOKS, but="clientorgs/ant"))
    for call in list(first.calls):
        world.lose(call)
    world.work(second)
    world.want("ant", seats=1)
    world.work(second)
    world.create("bee", seats=9)
    world.work(second)
    assert (seats(world, "ant"), seats(world, "bee")) == (1, 9)
    world.want("ant", seats=10)
    world.loop.advance(60)
    world.work(first, hears=ONLY_CLIENTS)
    world.check()
    come_right(world)

    assert (seats(world, "ant"), seats(world, "bee")) == (1, 9)


def test_grant_of_an_operator_that_died_is_adopted_by_the_one_that_was_there_all_along(world: World) -> None:
    """It hears of the grant by the pool's event alone; the client itself did not change."""
    first, second = world.start(), world.start()
    world.create("ant", seats=4)
    world.calm_down()
    world.want("ant", seats=8)
    second.deliver(Kind.CLIENT)
    for call in list(second.calls):
        world.lose(call)
    world.answer(sent(world, first, "PATCH", THE_BOOKS))
    world.stop(first)
    come_right(world)

    assert seats(world, "ant") == 8


def test_two_operators_agree_on_who_waits_since_when(world: World) -> None:
    """Each noticed the raise at another time; neither writes its own view over the other's."""
    first, second = world.start(), world.start()
    world.create("ant", seats=9)
    world.create("bee", seats=1)
    world.calm_down()
    world.want("bee", seats=5)
    first.deliver(Kind.CLIENT)
    world.loop.advance(100)
    second.deliver(Kind.CLIENT)
    come_right(world)

    assert world.client("bee")["status"]["pending"]["position"] == 1


def test_restart_from_an_old_list_grants_nothing_twice(world: World) -> None:
    operator = world.start()
    world.calm_down()
    world.create("ant", seats=6)
    world.create("bee", seats=6)
    old = world.server.version
    world.calm_down()
    operator = world.replace(operator, behind=world.server.version - old)
    world.work(operator, hears=NOTHING)
    world.check()
    come_right(world)

    assert sorted((seats(world, "ant"), seats(world, "bee"))) == [0, 6]


# -- clients that go and come --------------------------------------------------------------------------------------


def test_finalizer_that_another_controller_adds_meanwhile_is_kept(world: World) -> None:
    """Finalizers are one list: written over an old view, it would lose the other's."""
    operator = world.start()
    world.create("ant", seats=4)
    sent(world, operator, "PATCH", "clientorgs/ant")
    world.server.edit(CLIENT_ORGS, AGENCY, "ant", {"metadata": {"finalizers": ["backup.example/snapshot"]}})
    come_right(world)

    assert world.client("ant")["metadata"]["finalizers"] == ["backup.example/snapshot", FINALIZER]


def test_client_deleted_while_the_books_were_written_is_no_error(world: World) -> None:
    operator = world.start()
    world.create("ant", seats=20)
    books = sent(world, operator, "PATCH", THE_BOOKS, but="clientorgs/ant")
    world.delete("ant")
    world.hear(operator)
    world.answer(books)
    world.check()
    come_right(world)

    assert world.pool["status"]["clients"] == 0


def test_answer_about_a_deleted_client_does_not_hide_the_one_made_anew(world: World) -> None:
    operator = world.start()
    world.calm_down()
    world.create("ant", seats=4)
    mark = sent(world, operator, "PATCH", "clientorgs/ant")
    world.delete("ant")
    world.answer(mark)
    look = sent(world, operator, "GET", "clientorgs/ant", NOTHING)
    look.carry_out()
    world.create("ant", seats=7)
    world.hear(operator)
    world.answer(look)
    come_right(world)

    assert seats(world, "ant") == 7


def test_deleted_clients_licenses_go_to_the_next_in_the_queue(world: World) -> None:
    world.start()
    world.create("ant", seats=8)
    world.calm_down()
    world.create("bee", seats=8)
    world.calm_down()
    assert seats(world, "bee") == 0
    world.delete("ant")
    come_right(world)

    assert seats(world, "bee") == 8


def test_pool_made_anew_under_its_clients_serves_them_on(world: World) -> None:
    """Its serials begin again below what the clients have adopted; a grant must not go unadopted for that."""
    world.start()
    world.create("ant", seats=1)
    for wanted in (2, 3, 4):
        world.calm_down()
        world.want("ant", seats=wanted)
    world.calm_down()
    world.server.edit(QUOTA_POOLS, AGENCY, POOL, {"metadata": {"finalizers": None}})
    world.server.remove(QUOTA_POOLS, AGENCY, POOL)
    world.server.create(QUOTA_POOLS, {**builders.pool(AGENCY, POOL, seats=10)})
    world.server.edit(QUOTA_POOLS, AGENCY, POOL, {"spec": {"queueing": "BestEffortFIFO"}})
    world.calm_down()
    world.want("ant", seats=9)
    world.calm_down()

    assert seats(world, "ant") == 9
    assert world.pool["status"]["licenses"][0]["allocated"] == 9


# -- the queue, as people see it -----------------------------------------------------------------------------------


def test_shrunk_pool_evicts_nobody_and_grants_nothing(world: World) -> None:
    world.start()
    world.create("ant", seats=8)
    world.calm_down()
    world.resize(seats=5)
    world.create("bee", seats=1)
    come_right(world)

    assert (seats(world, "ant"), seats(world, "bee")) == (8, 0)
    over = find(world.pool["status"]["conditions"], ConditionType.OVER_COMMITTED)
    assert over is not None
    assert (over["status"], world.pool["status"]["licenses"][0]["available"]) == ("True", -3)
    world.want("ant", seats=4)
    come_right(world)

    assert (seats(world, "ant"), seats(world, "bee")) == (4, 1)


@pytest.mark.parametrize("receiver_first", [True, False])
def test_moved_licenses_reach_the_receiver_past_those_who_wait(world: World, receiver_first: bool) -> None:
    """Whichever half of the move is written first, and though another waits for just as many since before."""
    world.start()
    world.create("ant", seats=10)
    world.calm_down()
    world.create("bee", seats=3)
    world.create("cat", seats=0)
    world.calm_down()
    move = Transfer("ant", "seats", 7, 3)
    if receiver_first:
        world.want("cat", move, seats=3)
        world.calm_down()
        waiting = find(world.client("cat")["status"]["conditions"], ConditionType.LICENSES_ALLOCATED)
        assert waiting is not None
        assert waiting["reason"] == Reason.TRANSFER_PENDING
        world.want("ant", seats=7)
    else:
        world.want("ant", seats=7)
        world.want("cat", move, seats=3)
    come_right(world)

    assert (seats(world, "ant"), seats(world, "bee"), seats(world, "cat")) == (7, 0, 3)


def test_client_that_asked_for_nothing_at_first_queues_from_its_first_raise_on(world: World) -> None:
    """Else one could be created early with nothing, and overtake everybody with its first raise."""
    world.start()
    world.create("ant", seats=8)
    world.create("parked", seats=0)
    world.calm_down()
    world.loop.advance(3600)
    world.create("bee", seats=5)
    world.calm_down()
    world.loop.advance(3600)
    world.want("parked", seats=5)
    world.calm_down()
    world.want("ant", seats=5)
    come_right(world)

    assert (seats(world, "bee"), seats(world, "parked")) == (5, 0)


def test_place_in_the_queue_survives_a_restart(world: World) -> None:
    operator = world.start()
    world.create("ant", seats=1)
    world.create("bee", seats=1)
    world.create("cat", seats=8)
    world.calm_down()
    world.want("bee", seats=4)
    world.calm_down()
    world.loop.advance(3600)
    world.want("ant", seats=4)
    world.calm_down()
    world.replace(operator)
    world.calm_down()
    world.want("cat", seats=5)
    come_right(world)

    assert (seats(world, "bee"), seats(world, "ant")) == (4, 1)


def test_client_that_fits_is_not_held_up_by_an_earlier_larger_one(world: World) -> None:
    world.start()
    world.create("ant", seats=8)
    world.calm_down()
    world.create("bee", seats=5)
    world.calm_down()
    world.create("cat", seats=2)
    come_right(world)

    assert (seats(world, "bee"), seats(world, "cat")) == (0, 2)


def test_nobody_overtakes_in_a_strict_pool() -> None:
    with World(strict=True, seats=10) as world:
        world.start()
        world.create("ant", seats=8)
        world.calm_down()
        world.create("bee", seats=5)
        world.calm_down()
        world.create("cat", seats=2)
        come_right(world)

        assert (seats(world, "bee"), seats(world, "cat")) == (0, 0)
        world.want("ant", seats=3)
        come_right(world)
        assert (seats(world, "bee"), seats(world, "cat")) == (5, 2)


def test_licenses_in_use_come_back_when_they_are_free(world: World) -> None:
    world.start()
    world.create("ant", seats=8)
    world.calm_down()
    world.report_use("ant", seats=6)
    world.want("ant", seats=2)
    come_right(world)
    assert seats(world, "ant") == 6
    world.report_use("ant", seats=1)
    come_right(world)

    assert seats(world, "ant") == 2


def test_settled_agency_is_left_alone(world: World) -> None:
    """No write for an hour, whoever leads, and none after a restart."""
    operator = world.start()
    world.create("ant", seats=8)
    world.create("bee", seats=5)
    world.settle()
    writes = world.server.writes
    world.loop.advance(3600)
    world.settle()
    world.replace(operator)
    world.settle()

    assert world.server.writes == writes
    assert world.server.one(CLIENT_ORGS, AGENCY, "bee") is not None


# -- a deletion that overtakes our finalizer -----------------------------------------------------------------------


@pytest.mark.parametrize("heir", ["ant", "bee"])
def test_client_deleted_in_the_moment_it_is_marked_leaves_no_workspace(world: World, heir: str) -> None:
    """The API server looks for finalizers once, at the beginning of a deletion; one put on since does not hold it.

    The workspace stands by the time that the news arrives, and the pool is waited for, perhaps under the same name.
    """
    operator = world.start()
    world.create("ant", seats=4)
    world.work(operator)
    world.server.remove_past_finalizers(CLIENT_ORGS, AGENCY, "ant")
    world.create(heir, seats=10)

    come_right(world)

    check_workspaces(world.server, world.clients())
    assert seats(world, heir) == 10


def test_client_that_went_after_its_deletion_was_marked_is_nobodys_to_clear_up_after(world: World) -> None:
    """The last news of any deletion still carries our finalizer; who took it off by hand wanted the workspace kept."""
    operator = world.start()
    world.create("ant", seats=4)
    world.calm_down()
    last = world.client("ant")
    last["metadata"]["deletionTimestamp"] = last["metadata"]["creationTimestamp"]

    world.loop.call_soon(operator.runtime.observe, Kind.CLIENT, "DELETED", last)
    world.loop.run_until_idle()
    world.calm_down()

    assert world.server.one(NAMESPACES, "", last["status"]["workspace"]["namespace"]) is not None
