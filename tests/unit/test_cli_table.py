"""Rows to text: tables, YAML that Kubernetes reads back as it was, objects as the server gave them."""

from __future__ import annotations

import json
import re

import yaml
from hypothesis import given
from hypothesis import strategies as st

from clientorg.cli.table import (
    Cell,
    as_json,
    as_list,
    as_yaml,
    cells,
    line,
    pairs,
    table,
    width,
    without_managed_fields,
)

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


def test_columns_line_up_and_end_without_blanks() -> None:
    rows = [cells("acme", Cell("5", right=True), "x"), cells("a", Cell("1,000", right=True), "")]
    assert list(table(["NAME", "USED", "NOTE"], rows, color=False)) == [
        "NAME    USED   NOTE",
        "acme       5   x",
        "a      1,000",
    ]


def test_japanese_takes_two_columns_a_letter() -> None:
    rows = [cells("初音", "a"), cells("acme", "b")]
    assert list(table(["N", "V"], rows, color=False, headers=False)) == ["初音   a", "acme   b"]


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_the_last_column_begins_at_the_same_place(values: list[tuple[str, str]]) -> None:
    rows = [cells(first, Cell(f"|{second.strip()}")) for first, second in values]
    starts = {width(text.rpartition("|")[0]) for text in table(["A", "B"], rows, color=False, headers=False)
              if text.count("|") == 1}  # fmt: skip
    assert len(starts) <= 1


def test_colors_do_not_move_columns() -> None:
    row = [Cell("Active", "green"), Cell("x")]
    assert line(row, [8, 1], color=True) == "\x1b[32mActive\x1b[0m     x"
    assert line(row, [8, 1], color=False) == "Active     x"


def test_pairs_keep_several_lines_together() -> None:
    assert list(pairs([("Name", "acme"), ("", "more"), ("Notes", "a\nb")])) == [
        "Name:   acme",
        "        more",
        "Notes:  a",
        "        b",
    ]


# What Go's YAML readers (sigs.k8s.io/yaml) take for a number or a boolean where PyYAML sees plain text.
_GO_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_GO_BOOL = {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"}


@given(
    st.one_of(
        TEXT,
        st.from_regex(r"[-+]?[0-9][0-9_.:eExXoO]*", fullmatch=True),
        st.sampled_from(["08123", "1e3", "0o17", "y", "N", "on", "null", "~", "", "2026-11-22", "=", "<<", ".5", "+1"]),
    )
)
def test_text_stays_text_in_yaml(text: str) -> None:
    out = as_yaml({"value": text})
    assert yaml.safe_load(out) == {"value": text}
    written = out.removeprefix("value: ").rstrip("\n")
    assert not _GO_FLOAT.fullmatch(written)
    assert written not in _GO_BOOL


def test_yaml_keeps_order_scripts_and_lines() -> None:
    out = as_yaml({"b": "初音", "a": ["x"], "text": "one\ntwo\n", "count": 3, "t": True})
    assert out == "b: 初音\na:\n- x\ntext: |\n  one\n  two\ncount: 3\nt: true\n"


def test_objects_are_printed_without_managed_fields() -> None:
    item = {"metadata": {"name": "a", "managedFields": [{"manager": "x"}]}, "spec": {}}
    shown = without_managed_fields(item)
    assert shown == {"metadata": {"name": "a"}, "spec": {}}
    assert "managedFields" in item["metadata"], "the object itself is left alone"
    assert json.loads(as_json(as_list([shown])))["kind"] == "List"
    assert "\n" not in as_json(shown, indent=False)
