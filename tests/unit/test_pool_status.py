"""A pool's status from its books."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.conditions import Reason
from clientorg.api.meta import MAX_QUANTITY
from clientorg.api.quotapool import QuotaPoolStatus
from clientorg.domain.allocation import Waiting
from clientorg.domain.ledger import Entry, Head
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.pool_status import LedgerFacts, PoolFacts, pool_status
from tests.unit.apiserver import merged
from tests.unit.strategies import LATER, NOW, conditions_of, grant, grants, holdings, pool_facts

any_pool = st.builds(
    lambda **fields: pool_facts(**fields),
    generation=st.integers(1, 9),
    deleting=st.booleans(),
    capacity=holdings,
    allocated=holdings,
    in_flight=grants(),
    waiting=st.lists(st.builds(Waiting, st.text(max_size=3), st.just("x"), st.integers(1, 9), holdings), max_size=3),
    wanted_more=holdings,
    clients=st.integers(0, 10_000),
    last_grant=st.integers(0, 2**53),
    writer=st.sampled_from(["operator-1", "operator-2"]),
)


def test_books_show_each_license_by_name() -> None:
    status = pool_status(
        pool_facts(capacity={"seats": 10, "mails": 5}, allocated={"seats": 7}, wanted_more={"seats": 4}), {}, NOW
    )

    assert status["licenses"] == [
        {"name": "mails", "total": 5, "allocated": 0, "available": 5, "pending": 0},
        {"name": "seats", "total": 10, "allocated": 7, "available": 3, "pending": 4},
    ]
    assert status["licenseSummary"] == "mails 0/5, seats 7/10"


def test_single_license_needs_no_name_in_the_summary() -> None:
    assert pool_status(pool_facts(allocated={"seats": 7}), {}, NOW)["licenseSummary"] == "7/10"


def test_license_taken_out_of_the_pool_is_shown_while_somebody_holds_it() -> None:
    held = pool_status(pool_facts(allocated={"old": 2}), {}, NOW)
    gone = pool_status(pool_facts(allocated={"old": 0}), {}, NOW)

    assert held["licenses"][0] == {"name": "old", "total": 0, "allocated": 2, "available": -2, "pending": 0}
    assert [item["name"] for item in gone["licenses"]] == ["seats"]


def test_grants_in_flight_are_written_so_that_another_process_can_go_on() -> None:
    status = pool_status(pool_facts(in_flight=[grant("a", 8, serial=3, held=2)]), {}, NOW)

    assert status["inFlight"] == [{"orgUID": "a", "orgName": "a", "grant": 3, "license": "seats", "from": 2, "to": 8}]
    assert "inFlight" not in pool_status(pool_facts(), status, NOW)
    assert merge_patch(status, pool_status(pool_facts(), status, NOW))["inFlight"] is None


def test_shrunk_pool_is_over_committed_and_says_what_to_do() -> None:
    conditions = conditions_of(pool_status(pool_facts(allocated={"seats": 13}), {}, NOW))

    assert conditions["OverCommitted"]["status"] == "True"
    assert "seats by 3" in conditions["OverCommitted"]["message"]
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ("True", Reason.OVER_COMMITTED)


def test_pool_that_is_deleted_in_use_reconciles_until_it_may_go() -> None:
    conditions = conditions_of(pool_status(pool_facts(deleting=True, clients=3), {}, NOW))

    assert [conditions[kind]["status"] for kind in ("Ready", "Reconciling", "Stalled")] == ["False", "True", "False"]
    assert conditions["Ready"]["reason"] == Reason.IN_USE
    assert "3 clients" in conditions["Ready"]["message"]


def test_queue_is_counted() -> None:
    queue = [Waiting("a", "a", 1, {}), Waiting("b", "b", 2, {})]
    status = pool_status(pool_facts(waiting=queue, clients=5), {}, NOW)

    assert (status["clients"], status["pendingClients"]) == (5, 2)


def test_wish_beyond_all_measure_is_shown_at_the_bound() -> None:
    """Many clients may each ask for 2^53; the sum must not make the server refuse the books of all of them."""
    status = pool_status(pool_facts(wanted_more={"seats": 40 * MAX_QUANTITY}), {}, NOW)

    assert status["licenses"][0]["pending"] == MAX_QUANTITY


@pytest.mark.parametrize("licenses", [1, 64])
def test_books_of_a_large_pool_fit_their_schema(licenses: int) -> None:
    capacity = {f"license-{number:050}": MAX_QUANTITY for number in range(licenses)}
    status = pool_status(pool_facts(capacity=capacity, allocated=capacity), {}, NOW)

    QuotaPoolStatus.model_validate(status)
    assert len(status["licenseSummary"]) <= 1024


@given(any_pool)
def test_status_fits_its_schema_whatever_the_books(found: PoolFacts) -> None:
    QuotaPoolStatus.model_validate(pool_status(found, {}, NOW))


@given(any_pool)
def test_kstatus_holds_whatever_the_books(found: PoolFacts) -> None:
    status = pool_status(found, {}, NOW)
    conditions = conditions_of(status)
    ready, reconciling, stalled = (conditions[kind]["status"] for kind in ("Ready", "Reconciling", "Stalled"))

    assert (ready, reconciling, stalled) in {("True", "False", "False"), ("False", "True", "False")}
    assert status["observedGeneration"] == found.generation
    over = any(found.allocated.get(name, 0) > found.capacity.get(name, 0) for name in found.allocated)
    assert (conditions["OverCommitted"]["status"] == "True") == over


@given(any_pool)
def test_sums_add_up(found: PoolFacts) -> None:
    for item in pool_status(found, {}, NOW)["licenses"]:
        assert item["total"] - item["allocated"] == item["available"]
        assert min(item["total"], item["allocated"], item["pending"]) >= 0


@given(any_pool, any_pool)
def test_same_books_give_the_same_status_and_others_leave_nothing_over(first: PoolFacts, second: PoolFacts) -> None:
    before = pool_status(first, {}, NOW)
    after = pool_status(second, before, LATER)

    assert merge_patch(before, pool_status(first, before, LATER)) == {}
    assert merged(before, merge_patch(before, after)) == after


def test_books_written_in_anothers_name_differ_in_nothing_else() -> None:
    mine: Any = pool_status(pool_facts(), {}, NOW)
    theirs = pool_status(pool_facts().with_writer("operator-2"), {}, NOW)

    assert theirs == {**mine, "writer": "operator-2"}


def test_shortage_that_passes_by_itself_while_entries_are_in_flight_is_not_told() -> None:
    """Half of the clients are charged and half are not: what is needed is of two periods."""

    def ledger(needed: int, **more: Any) -> LedgerFacts:
        some = {"in_flight": (), "waiting_points": 0, "waiting": 0, **more}
        return LedgerFacts(
            head=Head(100, 5), next_charges=1000, needed=needed, needed_by="2026-12-25T00:00:00Z", low_below=0, **some
        )

    def short(facts: LedgerFacts, previous: dict[str, Any]) -> str:
        status = pool_status(pool_facts(ledger=facts), previous, NOW)
        return str(next(item["status"] for item in status["conditions"] if item["type"] == "PointsShort"))

    enough = pool_status(pool_facts(ledger=ledger(50)), {}, NOW)
    entry = Entry("u", "charge", 6, "abc")
    assert short(ledger(500, in_flight=(entry,)), enough) == "False", "held until nothing is in flight"
    assert short(ledger(500), enough) == "True"
    waits = ledger(500, in_flight=(entry,), waiting=1, waiting_points=1)
    assert short(waits, enough) == "True", "somebody waits for points: that does not pass by itself"
    assert short(ledger(500, in_flight=(entry,)), {}) == "True", "nothing was told before"
