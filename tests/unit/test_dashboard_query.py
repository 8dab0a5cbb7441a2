"""Which clients the dashboard's list shows, in which order, and which page of them (FEATURES W4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.dashboard.board import Client, client_of
from clientorg.dashboard.query import PAGE_SIZES, matching, page_of, wanted
from clientorg.reports.portfolio_read import portfolio
from tests.support import builders


def _client(name: str, state: str = "Active", granted: int = 10, used: int = 0, **spec: Any) -> Client:
    item = builders.client("agency", name, **spec)
    licenses = [{"name": "visitors", "granted": granted, "used": used}]
    return client_of({**item, "status": {"state": state, "orgID": f"id-{name}", "licenses": licenses}})


CLIENTS = [
    _client("globex", used=9),
    _client("acme", displayName="ＡＣＭＥ K.K.", tags=["vip", "retail"]),
    _client("initech", state="Paused", used=12, plan="premium"),
]


def _names(**params: Any) -> list[str]:
    found = portfolio([client.facts for client in CLIENTS], (), {}, datetime.now(UTC))
    return [client.row.name for client in matching(CLIENTS, wanted(params), found)]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ["acme", "globex", "initech"]),
        ({"q": "acme k.k."}, ["acme"]),
        ({"q": "ID-GLOBEX"}, ["globex"]),
        ({"q": "yuki vip"}, ["acme"]),
        ({"state": "Paused"}, ["initech"]),
        ({"state": ["Paused", "Active"], "plan": "premium"}, ["initech"]),
        ({"tag": ["vip", "retail"]}, ["acme"]),
        ({"only": "over"}, ["initech"]),
        ({"only": "low"}, ["globex"]),
        ({"sort": "-percent"}, ["initech", "globex", "acme"]),
        ({"sort": "no such column", "only": "nothing"}, ["acme", "globex", "initech"]),
        ({"q": "nobody"}, []),
        ({"status": "Trial"}, []),
    ],
)
def test_filters_are_combined(params: dict[str, Any], names: list[str]) -> None:
    """What makes no sense in an address is as if it were not there."""
    assert _names(**params) == names


@given(st.integers(0, 500), st.integers(-5, 50), st.sampled_from(PAGE_SIZES))
def test_pages_cover_a_list_once(count: int, number: int, size: int) -> None:
    """Every row is on exactly one page, and a number that there is no page for is the nearest."""
    rows = list(range(count))
    page = page_of(rows, number, size)
    assert 1 <= page.number <= page.pages
    assert [row for n in range(1, page.pages + 1) for row in page_of(rows, n, size).rows] == rows
    assert (page.last - page.first + 1 if page.rows else 0) == len(page.rows)


@pytest.mark.parametrize("value", ["", "0", "-1", "x", "１", "9" * 40])
def test_a_page_number_that_is_none_is_the_first(value: str) -> None:
    """Whatever stands in the address."""
    assert wanted({"page": value}).page == 1
    assert wanted({"size": value}).size == PAGE_SIZES[0]
