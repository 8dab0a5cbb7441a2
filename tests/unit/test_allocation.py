"""Who gets licenses: the pure rules, by tables and by properties (FEATURES Z2, Z4, Z5; DESIGN rule 3)."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.domain.allocation import (
    Books,
    Grant,
    Holder,
    Outcome,
    Request,
    Transfer,
    adopt,
    allocate,
    raises,
    reduce,
    shown_position,
    unsettled,
)
from tests.unit.strategies import grant, grants, holders, holdings, license_names, request, requests

capacities = st.fixed_dictionaries(dict.fromkeys(["mails", "seats", "visitors"], st.integers(0, 20)))
allocations = st.dictionaries(license_names, st.integers(0, 25))


def served(outcome: Outcome) -> dict[str, dict[str, int]]:
    """Client to license to what it will hold."""
    found: dict[str, dict[str, int]] = {}
    for item in outcome.grants:
        found.setdefault(item.uid, {})[item.license] = item.to
    return found


def queue(outcome: Outcome) -> list[str]:
    """Names of those that wait, in order."""
    return [entry.name for entry in outcome.waiting]


def in_order(all_requests: list[Request]) -> list[Request]:
    """First come, first served; the second half of a move before all others."""
    return sorted(all_requests, key=lambda r: (not r.first, r.since, r.name))


def needs(one: Request) -> dict[str, int]:
    """License to how many more."""
    return {name: to - one.held.get(name, 0) for name, to in one.raises.items()}


def early(name: str, **raises: int) -> Request:
    """A request of the first minute."""
    return request(name, raises, since="2026-11-01T00:00:00Z")


def late(name: str, **raises: int) -> Request:
    """A request of the second minute."""
    return request(name, raises, since="2026-11-01T00:01:00Z")


# -- one round, by tables ------------------------------------------------------------------------------------------


def test_request_that_fits_is_granted_with_what_it_held_before() -> None:
    outcome = allocate(
        capacity={"seats": 10}, allocated={"seats": 3}, requests=[request("a", {"seats": 5}, {"seats": 1})], serial=7
    )

    assert outcome == Outcome((Grant("a", "a", 7, "seats", 1, 5),), ())


def test_request_that_does_not_fit_waits_and_is_told_what_is_missing() -> None:
    outcome = allocate(capacity={"seats": 10}, allocated={"seats": 8}, requests=[early("a", seats=5)], serial=1)

    assert outcome.grants == ()
    (entry,) = outcome.waiting
    assert (entry.position, entry.missing, entry.blocked_by) == (1, {"seats": 3}, None)


def test_only_the_increase_is_taken_from_the_pool() -> None:
    outcome = allocate(
        capacity={"seats": 10}, allocated={"seats": 8}, requests=[request("a", {"seats": 10}, {"seats": 8})], serial=1
    )

    assert served(outcome) == {"a": {"seats": 10}}


def test_request_for_two_licenses_gets_both_or_none() -> None:
    wanted = early("a", seats=2, mails=2)

    assert served(allocate(capacity={"seats": 2, "mails": 2}, allocated={}, requests=[wanted], serial=1)) == {
        "a": {"seats": 2, "mails": 2}
    }
    short = allocate(capacity={"seats": 2, "mails": 1}, allocated={}, requests=[wanted], serial=1)
    assert short.grants == ()
    assert short.waiting[0].missing == {"mails": 1}


def test_license_that_the_pool_lacks_is_missing_as_a_whole() -> None:
    outcome = allocate(capacity={"seats": 9}, allocated={}, requests=[early("a", visitors=4)], serial=1)

    assert outcome.waiting[0].missing == {"visitors": 4}


def test_earlier_request_is_served_first() -> None:
    outcome = allocate(
        capacity={"seats": 5}, allocated={}, requests=[late("a", seats=4), early("b", seats=4)], serial=1
    )

    assert served(outcome) == {"b": {"seats": 4}}
    assert queue(outcome) == ["a"]


@pytest.mark.parametrize(("strict", "expected"), [(False, ["b"]), (True, [])])
def test_smaller_request_overtakes_a_larger_one_unless_the_pool_is_strict(strict: bool, expected: list[str]) -> None:
    outcome = allocate(
        capacity={"seats": 5},
        allocated={},
        requests=[early("a", seats=6), late("b", seats=1)],
        serial=1,
        strict=strict,
    )

    assert list(served(outcome)) == expected


def test_strict_pool_lets_a_request_for_another_license_pass() -> None:
    outcome = allocate(
        capacity={"seats": 5, "mails": 5},
        allocated={},
        requests=[early("a", seats=6), late("b", mails=1)],
        serial=1,
        strict=True,
    )

    assert served(outcome) == {"b": {"mails": 1}}


def test_strict_pool_holds_back_whoever_needs_one_license_of_an_earlier_request() -> None:
    """The earlier one waits for seats alone, but it will need the mails as well."""
    outcome = allocate(
        capacity={"seats": 5, "mails": 5},
        allocated={},
        requests=[early("a", seats=6, mails=5), late("b", mails=1)],
        serial=1,
        strict=True,
    )

    assert queue(outcome) == ["a", "b"]
    assert outcome.waiting[1].missing == {}


def test_over_committed_pool_grants_nothing() -> None:
    outcome = allocate(capacity={"seats": 5}, allocated={"seats": 9}, requests=[early("a", seats=1)], serial=1)

    assert outcome.grants == ()
    assert outcome.waiting[0].missing == {"seats": 1}, "what is lacking is not made worse by what others hold too much"


def test_second_half_of_a_move_goes_before_those_who_waited_longer() -> None:
    moved = request("b", {"seats": 3}, since="2026-11-01T09:00:00Z", first=True)
    outcome = allocate(capacity={"seats": 3}, allocated={}, requests=[early("a", seats=3), moved], serial=1)

    assert list(served(outcome)) == ["b"]


@pytest.mark.parametrize("strict", [False, True])
def test_receiver_of_half_a_move_waits_for_the_source_and_holds_up_nobody(strict: bool) -> None:
    blocked = request("a", {"seats": 3}, since="2026-10-01T00:00:00Z", blocked_by="source")
    outcome = allocate(
        capacity={"seats": 3}, allocated={}, requests=[blocked, early("b", seats=3)], serial=1, strict=strict
    )

    assert list(served(outcome)) == ["b"]
    assert outcome.waiting[0].blocked_by == "source"


def test_full_round_leaves_the_rest_to_the_next() -> None:
    everybody = [early("a", seats=1, mails=1), early("b", seats=1, mails=1), late("c", seats=1)]
    outcome = allocate(capacity={"seats": 9, "mails": 9}, allocated={}, requests=everybody, serial=1, most_grants=3)

    assert list(served(outcome)) == ["a"]
    assert queue(outcome) == ["b", "c"], "c would fit into the round, but must not take what b waits for"
    assert [entry.missing for entry in outcome.waiting] == [{}, {}]
    assert all(entry.is_next for entry in outcome.waiting), "nothing is short"


def test_who_is_short_is_not_next_in_a_full_round() -> None:
    everybody = [early("a", seats=1), early("b", seats=1), late("c", mails=1), late("d", seats=1)]
    for strict in (False, True):
        outcome = allocate(
            capacity={"seats": 9}, allocated={}, requests=everybody, serial=1, most_grants=1, strict=strict
        )

        assert list(served(outcome)) == ["a"]
        assert [(entry.name, entry.is_next) for entry in outcome.waiting] == [("b", True), ("c", False), ("d", True)]


# -- one round, by properties --------------------------------------------------------------------------------------


@given(capacities, allocations, requests(), st.booleans(), st.none() | st.integers(0, 8))
def test_nothing_is_granted_beyond_the_capacity(
    capacity: dict[str, int], allocated: dict[str, int], wanted: list[Request], strict: bool, most: int | None
) -> None:
    outcome = allocate(
        capacity=capacity, allocated=allocated, requests=wanted, serial=1, strict=strict, most_grants=most
    )

    for license in capacity:
        granted = sum(item.to - item.held for item in outcome.grants if item.license == license)
        assert granted >= 0
        if granted:
            assert allocated.get(license, 0) + granted <= capacity[license]


@given(capacities, allocations, requests(), st.booleans(), st.none() | st.integers(0, 8))
def test_every_request_is_either_granted_whole_or_waits_in_order(
    capacity: dict[str, int], allocated: dict[str, int], wanted: list[Request], strict: bool, most: int | None
) -> None:
    outcome = allocate(
        capacity=capacity, allocated=allocated, requests=wanted, serial=5, strict=strict, most_grants=most
    )
    granted = served(outcome)

    assert granted.keys() | {entry.uid for entry in outcome.waiting} == {one.uid for one in wanted}
    assert granted.keys().isdisjoint(entry.uid for entry in outcome.waiting)
    assert all(granted[one.uid] == one.raises for one in wanted if one.uid in granted)
    assert {item.serial for item in outcome.grants} <= {5}
    assert queue(outcome) == [one.name for one in in_order(wanted) if one.uid not in granted]
    assert [entry.position for entry in outcome.waiting] == list(range(1, len(outcome.waiting) + 1))
    assert len({(item.uid, item.license) for item in outcome.grants}) == len(outcome.grants)


@given(capacities, allocations, requests(), st.booleans(), st.randoms(use_true_random=False))
def test_order_of_arrival_in_memory_does_not_matter(
    capacity: dict[str, int], allocated: dict[str, int], wanted: list[Request], strict: bool, random: Random
) -> None:
    shuffled = list(wanted)
    random.shuffle(shuffled)

    assert allocate(capacity=capacity, allocated=allocated, requests=wanted, serial=1, strict=strict) == allocate(
        capacity=capacity, allocated=allocated, requests=shuffled, serial=1, strict=strict
    )


@given(capacities, allocations, requests())
def test_best_effort_refuses_nobody_who_fits_in_favor_of_a_later_one(
    capacity: dict[str, int], allocated: dict[str, int], wanted: list[Request]
) -> None:
    """Who waits did not fit beside those before it, or waits for another client to let go."""
    outcome = allocate(capacity=capacity, allocated=allocated, requests=wanted, serial=1)
    granted = served(outcome)
    free = {license: capacity[license] - allocated.get(license, 0) for license in capacity}
    for one in in_order(wanted):
        fits = all(need <= free[license] for license, need in needs(one).items())
        assert (one.uid in granted) == (fits and one.blocked_by is None)
        if one.uid in granted:
            free = {license: free[license] - needs(one).get(license, 0) for license in free}


@given(capacities, allocations, requests())
def test_strict_lets_nobody_overtake_for_the_same_license(
    capacity: dict[str, int], allocated: dict[str, int], wanted: list[Request]
) -> None:
    outcome = allocate(capacity=capacity, allocated=allocated, requests=wanted, serial=1, strict=True)
    granted = served(outcome)
    waiting_for: set[str] = set()
    for one in in_order(wanted):
        if one.uid in granted:
            assert waiting_for.isdisjoint(one.raises)
        elif one.blocked_by is None:
            waiting_for.update(one.raises)


@given(capacities, allocations, requests(), st.booleans(), st.integers(0, 8))
def test_bounded_round_serves_the_first_of_those_that_an_unbounded_one_serves(
    capacity: dict[str, int], allocated: dict[str, int], wanted: list[Request], strict: bool, most: int
) -> None:
    bounded = allocate(
        capacity=capacity, allocated=allocated, requests=wanted, serial=1, strict=strict, most_grants=most
    )
    unbounded = allocate(capacity=capacity, allocated=allocated, requests=wanted, serial=1, strict=strict)

    assert len(bounded.grants) <= most
    assert bounded.grants == unbounded.grants[: len(bounded.grants)]


@given(capacities, allocations, requests())
def test_bounded_rounds_end_where_an_unbounded_one_does(
    capacity: dict[str, int], allocated: dict[str, int], wanted: list[Request]
) -> None:
    """A bound on the batch makes it take longer, and nothing else. It has to admit the largest request."""
    at_once = served(allocate(capacity=capacity, allocated=allocated, requests=wanted, serial=1))
    step_by_step: dict[str, dict[str, int]] = {}
    total = dict(allocated)
    for serial in range(1, len(wanted) + 2):
        left = [one for one in wanted if one.uid not in step_by_step]
        outcome = allocate(capacity=capacity, allocated=total, requests=left, serial=serial, most_grants=3)
        for item in outcome.grants:
            total[item.license] = total.get(item.license, 0) + item.to - item.held
        step_by_step |= served(outcome)

    assert step_by_step == at_once


@given(capacities, allocations, requests(blocked=False), license_names, st.integers(1, 10))
def test_more_capacity_never_serves_fewer_in_a_strict_pool(
    capacity: dict[str, int], allocated: dict[str, int], wanted: list[Request], license: str, more: int
) -> None:
    before = allocate(capacity=capacity, allocated=allocated, requests=wanted, serial=1, strict=True)
    larger = {**capacity, license: capacity[license] + more}
    after = allocate(capacity=larger, allocated=allocated, requests=wanted, serial=1, strict=True)

    assert queue(after)[:1] == queue(before)[:1] or len(after.waiting) <= len(before.waiting)


# -- books and adoption --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        (Holder({"seats": 2}, 0), 10 + 6),  # not adopted: the raise counts beside what is held
        (Holder({"seats": 8}, 3), 10),  # adopted, not cleared yet
        (Holder({"seats": 9}, 9), 10),  # adopted, and raised again since
        (None, 10 + 8),  # not known here: the safe side
    ],
)
def test_client_in_flight_counts_with_the_larger_of_before_and_after(holder: Holder | None, expected: int) -> None:
    books = Books({"seats": 10}, (grant("a", 8, serial=3, held=2),))

    assert books.allocated({"a": holder} if holder else {}) == {"seats": expected}


@pytest.mark.parametrize(
    ("holder", "is_settled"),
    [
        (Holder({}, 0), False),
        (Holder({"seats": 8}, 2), False),
        (Holder({"seats": 8}, 3), True),
        (Holder({"seats": 1}, 4), True),
        (None, True),
    ],
    ids=["new", "older grant", "adopted", "adopted and given back", "gone"],
)
def test_grant_is_settled_when_its_client_adopted_it_or_is_gone(holder: Holder | None, is_settled: bool) -> None:
    flying = [grant("a", 8, serial=3)]

    assert unsettled(flying, {"a": holder} if holder else {}) == (() if is_settled else tuple(flying))


def test_grant_is_adopted_once() -> None:
    adopted = adopt(Holder({"seats": 2, "mails": 1}, 4), [grant("a", 8, serial=5)])

    assert adopted == Holder({"seats": 8, "mails": 1}, 5)
    assert adopt(adopted, [grant("a", 8, serial=5)]) is adopted
    assert adopt(Holder({"seats": 1}, 5), [grant("a", 8, serial=5)]) == Holder({"seats": 1}, 5), "given back since"


def test_grants_of_one_round_are_adopted_together() -> None:
    pair = [grant("a", 8, serial=5), grant("a", 3, serial=5, license="mails")]

    assert adopt(Holder({}, 0), pair) == Holder({"seats": 8, "mails": 3}, 5)


@given(holders(), grants())
def test_adopting_twice_is_adopting_once(clients: dict[str, Holder], flying: list[Grant]) -> None:
    for uid, holder in clients.items():
        own = [item for item in flying if item.uid == uid]
        adopted = adopt(holder, own)

        assert adopt(adopted, own) == adopted
        assert adopted.last_grant >= holder.last_grant
        assert unsettled(own, {uid: adopted}) == ()
        assert (adopted == holder) == (unsettled(own, {uid: holder}) == ())


@given(holders(), grants())
def test_books_never_show_less_than_any_order_of_adoptions_can_reach(
    clients: dict[str, Holder], flying: list[Grant]
) -> None:
    """What is allocated covers each client before and after it adopts, so that a crash between cannot over-allocate."""
    flying = list(unsettled(flying, clients))
    held: dict[str, int] = {}
    for holder in clients.values():
        for license, quantity in holder.held.items():
            held[license] = held.get(license, 0) + quantity
    allocated = Books(held, tuple(flying)).allocated(clients)
    for adopters in (set(), {"a"}, {"b", "c"}, set(clients)):
        total: dict[str, int] = {}
        for uid, holder in clients.items():
            after = adopt(holder, [item for item in flying if item.uid == uid]) if uid in adopters else holder
            for license, quantity in after.held.items():
                total[license] = total.get(license, 0) + quantity
        assert all(allocated.get(license, 0) >= quantity for license, quantity in total.items())


@given(capacities, requests(blocked=False), st.booleans())
def test_a_whole_round_keeps_the_sum(capacity: dict[str, int], wanted: list[Request], strict: bool) -> None:
    """Granted in the pool, adopted by each client, cleared: what is allocated is the same at every step."""
    clients = {one.uid: Holder(one.held, 0) for one in wanted}
    held = {license: sum(one.held.get(license, 0) for one in wanted) for license in capacity}
    outcome = allocate(capacity=capacity, allocated=held, requests=wanted, serial=1, strict=strict)
    committed = Books(held, outcome.grants).allocated(clients)
    for uid in list(clients):
        clients[uid] = adopt(clients[uid], [item for item in outcome.grants if item.uid == uid])
        now = {license: sum(holder.held.get(license, 0) for holder in clients.values()) for license in capacity}
        left = unsettled(outcome.grants, clients)
        assert Books(now, left).allocated(clients) == committed

    assert unsettled(outcome.grants, clients) == ()


# -- giving back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "wanted", "used", "after", "kept_back"),
    [
        ({"seats": 8}, {"seats": 8}, {}, {"seats": 8}, {}),
        ({"seats": 8}, {"seats": 9}, {}, {"seats": 8}, {}),
        ({"seats": 8}, {"seats": 3}, {}, {"seats": 3}, {}),
        ({"seats": 8}, {"seats": 3}, {"seats": 2}, {"seats": 3}, {}),
        ({"seats": 8}, {"seats": 3}, {"seats": 5}, {"seats": 5}, {"seats": (3, 5)}),
        ({"seats": 8}, {"seats": 3}, {"seats": 20}, {"seats": 8}, {"seats": (3, 8)}),
        ({"seats": 8}, {}, {}, {}, {}),
        ({"seats": 8}, {}, {"seats": 1}, {"seats": 1}, {"seats": (0, 1)}),
        ({"seats": 8}, {"seats": 0}, {}, {"seats": 0}, {}),
        ({"seats": 0}, {}, {}, {}, {}),
        ({}, {"seats": 5}, {"seats": 5}, {}, {}),
    ],
    ids=[
        "as wanted",
        "a raise is not its business",
        "lowered",
        "lowered to above its use",
        "lowered below its use",
        "more is used than held",
        "not wanted any more",
        "not wanted any more, but used",
        "wanted at zero stays listed",
        "nothing of what nobody wants",
        "nothing held yet",
    ],
)
def test_what_is_given_back(
    held: dict[str, int],
    wanted: dict[str, int],
    used: dict[str, int],
    after: dict[str, int],
    kept_back: dict[str, tuple[int, int]],
) -> None:
    reduction = reduce(held, wanted, used)

    assert reduction.held == after
    assert reduction.kept_back == kept_back


@given(holdings, holdings, holdings)
def test_reduction_takes_neither_more_than_was_held_nor_what_is_used(
    held: dict[str, int], wanted: dict[str, int], used: dict[str, int]
) -> None:
    after = reduce(held, wanted, used)

    for name, quantity in held.items():
        left = after.held.get(name, 0)
        assert min(quantity, used.get(name, 0)) <= left <= quantity
        assert left <= max(wanted.get(name, 0), used.get(name, 0))
        assert left >= min(quantity, wanted.get(name, 0))
        assert (name in after.kept_back) == (left > wanted.get(name, 0))
    assert after.held.keys() <= held.keys()
    assert reduce(after.held, wanted, used).held == after.held, "once is enough"


@given(holdings, holdings)
def test_raises_are_what_is_wanted_beyond_what_is_held(held: dict[str, int], wanted: dict[str, int]) -> None:
    assert raises(held, wanted) == {name: want for name, want in wanted.items() if want - held.get(name, 0) > 0}
    assert raises(wanted, wanted) == {}


# -- moves and places ----------------------------------------------------------------------------------------------


@given(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), license_names, st.integers(0, 2**53), st.integers(0, 9))
def test_move_is_read_as_it_was_written(source: str, license: str, source_to: int, to: int) -> None:
    move = Transfer(source, license, source_to, to)

    assert Transfer.parse(str(move)) == move


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "acme",
        "acme/seats/3",
        "acme/seats/3/4/5",
        "acme/seats/-3/4",
        "acme/seats/3.5/4",
        "acme/seats/three/4",
        "/seats/3/4",
        "acme//3/4",
        "acme/seats//4",
        "acme/seats/³/4",
        "acme/seats/٣/4",
        "acme/seats/3/4\n",
        "acme/seats/3/" + "9" * 5000,
    ],
)
def test_annotation_that_is_no_move_is_passed_over(text: str | None) -> None:
    """Anybody who may edit a client may write it: it must never be more than a hint. Python reads no 5,000 digits."""
    assert Transfer.parse(text) is None


@pytest.mark.parametrize(
    ("position", "shown"),
    [(1, 1), (10, 10), (11, 20), (20, 20), (21, 50), (50, 50), (51, 100), (101, 200), (1001, 2000), (10_000, 10_000)],
)
def test_place_in_a_long_queue_is_rounded_up(position: int, shown: int) -> None:
    assert shown_position(position) == shown


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_shown_place_keeps_the_order_and_is_never_better_than_the_place(one: int, other: int) -> None:
    assert shown_position(one) >= one
    assert shown_position(max(one, other)) >= shown_position(min(one, other))
    assert shown_position(shown_position(one)) == shown_position(one)


def test_ten_thousand_who_wait_show_few_different_places() -> None:
    """So that a grant does not rewrite the status of everybody behind it."""
    assert len({shown_position(position) for position in range(11, 10_001)}) == 9
