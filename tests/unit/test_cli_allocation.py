"""What a reallocation would do, in numbers (FEATURES Z4, Z5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.meta import MAX_QUANTITY
from clientorg.cli.allocation import (
    CLIENT_HEADER,
    POOL_HEADER,
    client_cells,
    licenses_patch,
    move,
    pool_cells,
    set_quantity,
)
from clientorg.cli.reallocate import _amounts as amounts
from clientorg.cli.transfer import receiver_patch
from clientorg.domain.allocation import Transfer
from clientorg.errors import InputError
from tests.unit.cli_builders import Json, client, granted, pool

COUNT = st.integers(0, MAX_QUANTITY)


def with_visitors(name: str, quantity: int, *, held: int | None = None, used: int | None = None) -> Json:
    """A client that asks for so many visitors, holds and uses so many."""
    status = None if held is None else granted(visitors=held, used=used)
    return client(name, licenses=[{"name": "visitors", "quantity": quantity}], status=status)


def test_to_and_by_meet() -> None:
    acme, tokyo = with_visitors("acme", 500, held=500), pool(allocated=500, visitors=1000)
    assert set_quantity(acme, tokyo, "visitors", to=700, by=None) == set_quantity(
        acme, tokyo, "visitors", to=None, by=200
    )


def test_totals_follow() -> None:
    plan = set_quantity(
        with_visitors("acme", 500, held=500), pool(allocated=600, visitors=1000), "visitors", to=800, by=None
    )
    assert (plan.allocated_after, plan.available_after, plan.shortage) == (900, 100, 0)


def test_a_raise_beyond_the_pool_says_how_many_are_missing() -> None:
    plan = set_quantity(
        with_visitors("acme", 500, held=500), pool(allocated=600, visitors=1000), "visitors", to=1500, by=None
    )
    assert (plan.available_after, plan.shortage) == (-600, 600)


def test_lowering_in_an_overcommitted_pool_is_no_shortage() -> None:
    plan = set_quantity(
        with_visitors("acme", 500, held=500), pool(allocated=2000, visitors=1000), "visitors", to=100, by=None
    )
    assert (plan.available_after, plan.shortage) == (-600, 0)


def test_what_the_pool_does_not_say_is_not_guessed() -> None:
    acme = with_visitors("acme", 500, held=500)
    for plan in (
        set_quantity(acme, pool(visitors=1000), "visitors", to=700, by=None),
        set_quantity(acme, None, "visitors", to=700, by=None),
    ):
        assert (plan.allocated_after, plan.available_after, plan.shortage) == (None, None, 0)
        assert all(len(row) == len(POOL_HEADER) for row in pool_cells(plan))


def test_a_license_the_pool_lacks_can_be_given_back_but_not_asked_for() -> None:
    acme = client(licenses=[{"name": "seats", "quantity": 5}])
    with pytest.raises(InputError, match="has no license 'seats'; it has visitors"):
        set_quantity(acme, pool(visitors=10), "seats", to=6, by=None)
    assert set_quantity(acme, pool(visitors=10), "seats", to=0, by=None).changes[0].after == 0


@pytest.mark.parametrize(("to", "by"), [(119, None), (None, -381)])
def test_never_below_what_is_used(to: int | None, by: int | None) -> None:
    with pytest.raises(InputError, match="acme uses 120 visitors, so 119 are too few: choose at least 120"):
        set_quantity(with_visitors("acme", 500, held=500, used=120), None, "visitors", to=to, by=by)


def test_a_client_over_its_quantity_may_still_be_raised() -> None:
    """The server judges only what is lowered, and so do we."""
    plan = set_quantity(with_visitors("acme", 100, held=100, used=300), None, "visitors", to=200, by=None)
    assert plan.changes[0].after == 200


def test_never_below_zero_nor_beyond_what_json_keeps() -> None:
    with pytest.raises(InputError, match="acme has 500 visitors: 100 too few to take 600 away"):
        set_quantity(with_visitors("acme", 500), None, "visitors", to=None, by=-600)
    with pytest.raises(InputError, match=r"2\^53"):
        set_quantity(with_visitors("acme", 500), None, "visitors", to=None, by=MAX_QUANTITY)


@given(ours=COUNT, theirs=COUNT, used=COUNT, count=st.integers(-5, MAX_QUANTITY))
def test_a_move_neither_makes_nor_loses_licenses(ours: int, theirs: int, used: int, count: int) -> None:
    acme, globex = (
        with_visitors("acme", ours, held=ours),
        with_visitors("globex", theirs, held=theirs, used=min(used, theirs)),
    )
    tokyo = pool(allocated=1000, visitors=1000)
    try:
        plan = move(acme, globex, tokyo, "visitors", count)
    except InputError:
        fits = 0 < count <= theirs - min(used, theirs) and ours + count <= MAX_QUANTITY
        assert not fits
        return
    raised, lowered = plan.changes
    assert raised.after + lowered.after == ours + theirs
    assert raised.after - raised.before == count > 0
    assert plan.filled == 0
    assert lowered.after >= min(used, theirs)
    assert plan.allocated_after == 1000
    assert plan.shortage == 0, "a move needs nothing of the pool"


def test_a_move_fills_what_the_receiver_waits_for_first() -> None:
    """It asks for 500 and holds 100: with 300 more it still asks for 500, with 600 more for 700."""
    acme = with_visitors("acme", 500, held=100)
    acme["status"]["pending"] = {"since": "2026-11-01T00:00:00Z", "position": 1}
    globex = with_visitors("globex", 900, held=900)
    some, more = (move(acme, globex, pool(allocated=1000, visitors=1000), "visitors", count) for count in (300, 600))
    assert ([change.after for change in some.changes], some.filled) == ([500, 600], 300)
    assert ([change.after for change in more.changes], more.filled) == ([700, 300], 400)
    assert (some.shortage, more.shortage) == (100, 0)
    patch = receiver_patch(acme, some)
    assert patch["metadata"]["annotations"]["clientorg.dev/transfer-from"] == "globex/visitors/600/500"
    acme["metadata"]["generation"] = 2
    newer = move(acme, globex, None, "visitors", 300)
    assert newer.changes[0].after == 800, "what the operator said of an earlier request does not count"


def test_a_client_that_is_being_deleted_takes_no_part() -> None:
    gone, other = client(metadata={"deletionTimestamp": "2026-11-01T00:00:00Z"}), client("globex")
    with pytest.raises(InputError, match="acme is being deleted"):
        set_quantity(gone, None, "visitors", to=5, by=None)
    with pytest.raises(InputError, match="acme is being deleted"):
        move(gone, other, None, "visitors", 5)
    with pytest.raises(InputError, match="acme is being deleted"):
        move(other, gone, None, "visitors", 5)


def test_moves_stay_within_a_pool_and_between_two() -> None:
    acme = with_visitors("acme", 500)
    with pytest.raises(InputError, match="cannot give licenses to itself"):
        move(acme, acme, None, "visitors", 5)
    with pytest.raises(InputError, match="licenses move only within a pool"):
        move(acme, client("globex", poolRef={"name": "osaka"}), None, "visitors", 5)
    with pytest.raises(InputError, match="'globex' has no license 'seats'; it has visitors"):
        move(acme, client("globex"), None, "seats", 5)


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, min_size=1), st.sampled_from(["a", "b", "x"]), COUNT
)
def test_the_patch_changes_one_quantity_and_keeps_the_others(names: list[str], chosen: str, to: int) -> None:
    """It replaces the list as a whole, so all of it must be in it, in order, and for this version only."""
    acme = client(licenses=[{"name": name, "quantity": 7} for name in names])
    plan = set_quantity(acme, None, chosen, to=to, by=None)
    patch = licenses_patch(acme, plan.changes[0])
    assert patch["metadata"] == {"resourceVersion": "7"}
    expected = {**dict.fromkeys(names, 7), chosen: to}
    assert patch["spec"]["licenses"] == [{"name": name, "quantity": count} for name, count in expected.items()]
    assert acme["spec"]["licenses"][0]["quantity"] == 7, "the object itself is left alone"


def test_the_receiver_names_the_other_half_as_the_operator_reads_it() -> None:
    acme, globex = with_visitors("acme", 500), with_visitors("globex", 400)
    patch = receiver_patch(acme, move(acme, globex, None, "visitors", 150))
    text = patch["metadata"]["annotations"]["clientorg.dev/transfer-from"]
    assert text == "globex/visitors/250/650"
    assert Transfer.parse(text) == Transfer("globex", "visitors", 250, 650)


def test_the_tables_have_a_cell_for_each_heading() -> None:
    plan = move(
        with_visitors("acme", 5),
        with_visitors("globex", 9, held=9, used=1),
        pool(allocated=5, visitors=9),
        "visitors",
        2,
    )
    rows = [[cell.text for cell in row] for row in client_cells(plan)]
    assert rows == [
        ["acme", "visitors", "5", "7", "+2", "-", "-", "7"],
        ["globex", "visitors", "9", "7", "-2", "9", "1", "6"],
    ]
    assert all(len(row) == len(CLIENT_HEADER) for row in rows)
    assert all(len(row) == len(POOL_HEADER) for row in pool_cells(plan))


@pytest.mark.parametrize(
    ("to", "by", "source", "expected"),
    [
        ("80000", None, None, (80_000, None)),
        (None, "+5,000", None, (None, 5000)),
        (None, "5k", None, (None, 5000)),
        (None, "-5000", None, (None, -5000)),
        (None, "−5", None, (None, -5)),
        (None, "10", "globex", (None, 10)),
    ],
)
def test_the_three_ways_to_say_how_many(
    to: str | None, by: str | None, source: str | None, expected: tuple[int | None, int | None]
) -> None:
    assert amounts(to, by, source) == expected


@pytest.mark.parametrize(
    ("to", "by", "source"),
    [
        (None, None, None),
        ("1", "1", None),
        ("1", None, "globex"),
        (None, None, "globex"),
        (None, "--5", None),
        ("+5", None, None),
    ],
)
def test_anything_else_is_refused_with_the_flag(to: str | None, by: str | None, source: str | None) -> None:
    with pytest.raises(InputError, match="--"):
        amounts(to, by, source)
