"""Clients as rows: what is extracted, selected, ordered and printed (FEATURES Z12, W4, S12)."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.cli.columns import CSV_COLUMNS, csv_text, header, row_cells
from clientorg.cli.rows import ClientRow, client_row, remaining_text, usage_text
from clientorg.cli.selection import SORT_KEYS, Selection, known_values, several, sorter
from clientorg.cli.text import plain
from clientorg.errors import InputError
from tests.unit.cli_builders import client, granted

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def test_a_ready_client() -> None:
    row = client_row(client(status=granted(visitors=500, used=120)))
    assert (row.state, row.ready, row.reason) == ("Active", "True", "Ready")
    assert usage_text(row.licenses) == "visitors 120/500"
    assert remaining_text(row.licenses) == "380"


def test_a_client_the_operator_has_not_seen_is_dashes() -> None:
    row = client_row(client())
    shown = [cell.text for cell in row_cells(row, NOW, wide=True, namespaces=True)]
    assert len(shown) == len(header(wide=True, namespaces=True))
    assert shown[:10] == ["agency", "acme", "-", "-", "-", "standard", "visitors -/-", "-", "-", "24h"]


def test_a_client_being_deleted_says_so_before_the_operator_does() -> None:
    item = client(status=granted(visitors=500), metadata={"deletionTimestamp": "2026-11-01T00:00:00Z"})
    assert client_row(item).state == "Deleting"


def test_what_is_not_reported_is_not_used() -> None:
    row = client_row(client(status=granted(visitors=500)))
    assert usage_text(row.licenses) == "visitors -/500"
    assert remaining_text(row.licenses) == "500"


def test_a_license_that_is_only_held_is_shown_too() -> None:
    """Given up in the spec, but still in use: it is granted until it is free."""
    row = client_row(client(status=granted(visitors=500, seats=3)))
    assert [(item.name, item.wanted, item.granted) for item in row.licenses] == [
        ("visitors", 500, 500),
        ("seats", None, 3),
    ]


def test_an_object_with_nothing_in_it_still_is_a_row() -> None:
    row = client_row({"metadata": {"name": "bare"}})
    assert [cell.text for cell in row_cells(row, NOW, wide=False, namespaces=False)] == ["bare", *["-"] * 8]


ROWS = [
    client_row(client("acme", tags=["vip", "beta"], status=granted(visitors=500, used=400))),
    client_row(client("globex", planRef={"name": "premium"}, tags=["vip"], status=granted(visitors=500, used=100))),
    client_row(client("initech", displayName="初音ＡＢＣ", status=granted(visitors=900))),
]


def names(rows: list[ClientRow]) -> list[str]:
    """Their names."""
    return [row.name for row in rows]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["acme", "globex", "initech"]),
        ({"states": ("Active",)}, ["acme", "globex", "initech"]),
        ({"states": ("Deleting", "Paused")}, []),
        ({"plans": ("premium",)}, ["globex"]),
        ({"plans": ("premium", "standard")}, ["acme", "globex", "initech"]),
        ({"tags": ("vip",)}, ["acme", "globex"]),
        ({"tags": ("vip", "beta")}, ["acme"]),
        ({"search": "GLOBEX"}, ["globex"]),
        ({"search": "yuki sato"}, ["acme", "globex", "initech"]),
        ({"search": "abc"}, ["initech"]),
        ({"search": "beta k.k."}, ["acme"]),
        ({"search": "nobody"}, []),
    ],
)
def test_filters(filters: dict[str, Any], found: list[str]) -> None:
    """W4: full-width letters are found by narrow ones; words may stand anywhere."""
    assert names(list(filter(Selection(**filters).matcher(), ROWS))) == found


def test_the_server_selects_what_it_can() -> None:
    """Its selectors know no "or", and not the deletion that has only begun."""
    assert Selection().server_fields is None
    both = Selection(states=("Active",), plans=("a",), field_selector="metadata.name=acme")
    assert both.server_fields == "metadata.name=acme,status.state=Active,spec.planRef.name=a"
    assert Selection(plans=("a", "b"), states=("Deleting",)).server_fields is None


def test_repeated_and_comma_separated_values_are_the_same() -> None:
    assert several(["a,b", " c ", ""]) == several(["a", "b", "c"]) == ("a", "b", "c")
    assert several(None) == ()


def test_states_are_spelled_as_the_api_does() -> None:
    assert known_values("--state", "state", ["ACTIVE", "active"], ["Active", "Paused"]) == ("Active",)
    with pytest.raises(InputError, match="it is one of Active or Paused"):
        known_values("--state", "state", ["gone"], ["Active", "Paused"])


def test_orders() -> None:
    assert names(sorter(None)(ROWS)) == ["acme", "globex", "initech"]
    assert names(sorter("-name")(ROWS)) == ["initech", "globex", "acme"]
    assert names(sorter("-percent")(ROWS)) == ["acme", "globex", "initech"]
    assert names(sorter("remaining")(ROWS)) == ["acme", "globex", "initech"]
    assert names(sorter("plan")(ROWS)) == ["globex", "acme", "initech"]
    with pytest.raises(InputError, match="there is no column 'size'"):
        sorter("size")


@given(st.sampled_from(sorted(SORT_KEYS)), st.booleans(), st.permutations([*ROWS, client_row(client("new"))]))
def test_every_column_orders_every_client(key: str, down: bool, rows: list[ClientRow]) -> None:
    """Also those without status; nothing is lost, and ties keep their order."""
    ordered = sorter(f"-{key}" if down else key)(rows)
    assert sorted(names(ordered)) == sorted(names(rows))
    values = [SORT_KEYS[key](row) for row in ordered]
    assert values == sorted(values, reverse=down)


def test_csv_has_three_columns_for_each_license() -> None:
    """S12."""
    rows = [ROWS[0], client_row(client("seated", licenses=[{"name": "seats", "quantity": 3}], status=granted(seats=3)))]
    table = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert list(table[0])[: len(CSV_COLUMNS)] == list(CSV_COLUMNS)
    assert (table[0]["visitors.used"], table[0]["seats.used"], table[1]["seats.granted"]) == ("400", "", "3")
    assert table[0]["created"] == "2026-11-01T00:00:00Z"


@given(st.one_of(st.text(min_size=1), st.from_regex(r"\s*[-=+@].*")))
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    """A spreadsheet would run it; a client's name is a stranger's text."""
    out = csv_text([client_row(client(displayName=text))])
    cell = list(csv.reader(io.StringIO(out, newline="")))[1][2]
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert cell.removeprefix("'") == plain(text).removeprefix("'")


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("state", "greyed"), [("Terminated", True), ("Purged", True), ("Active", False)])
def test_who_has_ended_stays_in_lists_greyed(state: str, greyed: bool, wide: bool) -> None:
    """S11: the whole line, also where it would be red or green."""
    status = {**granted(visitors=500, used=490), "state": state, "points": {"balance": -5}}
    row = client_row(client(status=status))
    line = row_cells(row, NOW, wide=wide, namespaces=False)
    assert ({cell.color for cell in line} == {"dim"}) == greyed
    assert [cell.right for cell in line] == [
        cell.right for cell in row_cells(client_row(client()), NOW, wide=wide, namespaces=False)
    ]


def test_wide_rows_and_csv_show_the_derived_statuses() -> None:
    """As the operator wrote them, the most urgent first (row W1)."""
    row = client_row(client(status={**granted(visitors=500), "standing": ["OverLimit", "ExpiringSoon"]}))
    cells = row_cells(row, NOW, wide=True, namespaces=False)
    assert dict(zip(header(wide=True, namespaces=False), cells, strict=True))["STATUS"].text == "OverLimit,ExpiringSoon"
    (found,) = csv.DictReader(io.StringIO(csv_text([row])))
    assert found["statuses"] == "OverLimit ExpiringSoon"


def test_wide_rows_show_users_balance_and_the_end() -> None:
    status = {
        **granted(visitors=500),
        "users": {"contracted": 25, "used": 30},
        "points": {"balance": -1750},
        "termination": {"scheduledTime": "2026-11-12T00:00:00Z"},
    }
    shown = dict(
        zip(
            header(wide=True, namespaces=False),
            row_cells(client_row(client(status=status)), NOW, wide=True, namespaces=False),
            strict=True,
        )
    )
    assert (shown["USERS"].text, shown["USERS"].color) == ("30/25", "red")
    assert (shown["BALANCE"].text, shown["BALANCE"].color) == ("-1,750", "red")
    assert shown["ENDS"].text == "2026-11-12T00:00:00Z (in 10d)"


def test_rows_are_ordered_by_balance_and_end_and_those_without_come_last() -> None:
    rows = [
        client_row(client("none", status=granted(visitors=1))),
        client_row(
            client("rich", status={"points": {"balance": 5}, "termination": {"executedTime": "2026-11-02T00:00:00Z"}})
        ),
        client_row(
            client("poor", status={"points": {"balance": -5}, "termination": {"scheduledTime": "2026-12-02T00:00:00Z"}})
        ),
    ]
    assert [row.name for row in sorter("balance")(rows)] == ["poor", "rich", "none"]
    assert [row.name for row in sorter("ends")(rows)] == ["rich", "poor", "none"]
