"""A client's month: what is in it, and that opening + entries = closing (FEATURES S12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.domain.billing import Charge
from clientorg.domain.timestamps import rfc3339
from clientorg.reports.statement import Arithmetic, month_of, statement_of
from clientorg.reports.statementlines import spelled_out, statement_table
from tests.unit.report_builders import CHARGE, NOW, ORG_ID, account, language, movement, november

Json = dict[str, Any]

PRORATED = {**CHARGE, "proratedDays": 10, "periodDays": 30}


def test_a_month() -> None:
    found = november(
        movement(1, amount=3000, posted="2026-10-02T00:00:00Z"),
        movement(5, "Charge", 1250, "2026-11-25T00:00:00Z", period="2026-11", charge=CHARGE),
        movement(3, "Withdrawal", 200, "2026-11-03T00:00:00Z"),
        movement(4, amount=50, posted="2026-11-20T00:00:00Z"),
        movement(9, amount=7, posted="2026-12-01T00:00:00Z"),
    )
    assert found.opening == 3000
    assert [(e.row.entry, e.change, e.balance) for e in found.entries] == [
        (3, -200, 2800),
        (4, 50, 2850),
        (5, -1250, 1600),
    ]
    assert found.closing == 1600
    assert [(t.kind, t.count, t.change) for t in found.totals] == [
        ("TopUp", 1, 50),
        ("Withdrawal", 1, -200),
        ("Charge", 1, -1250),
    ]
    assert found.is_final


def test_only_what_is_posted_for_this_very_client_counts() -> None:
    found = november(
        movement(1, amount=1),
        movement(2, amount=10, phase="Waiting"),
        movement(3, amount=100, phase="Rejected"),
        movement(4, amount=1000, name="globex", org_id="another"),
        movement(5, amount=10_000, org_id="an-earlier-client-of-the-name"),
        movement(6, "Purchase", 100_000),
    )
    assert (found.opening, found.closing) == (0, 1)


def test_a_month_without_entries() -> None:
    found = november(movement(1, posted="2026-10-31T23:59:59Z", amount=7))
    assert (found.opening, found.closing, found.entries, found.totals) == (7, 7, (), ())


@pytest.mark.parametrize(
    ("zone", "first", "after"),
    [
        ("UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("Asia/Tokyo", "2026-10-31T15:00:00Z", "2026-11-30T15:00:00Z"),
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"),
    ],
)
def test_a_month_begins_and_ends_at_midnight_in_its_time_zone(zone: str, first: str, after: str) -> None:
    found = november(movement(1, posted=first), movement(2, posted=after), zone=zone)
    assert [entry.row.entry for entry in found.entries] == [1]
    second_before = rfc3339(datetime.fromisoformat(first) - timedelta(seconds=1))
    assert november(movement(1, posted=second_before), zone=zone).opening == 100


def test_a_month_that_is_not_over_says_so() -> None:
    now = datetime(2026, 11, 15, tzinfo=UTC)
    found = november(movement(1), now=now)
    assert not found.is_final
    table = statement_table(found, language())
    last = list(table.rows)[-1]
    assert (last.description, last.date, last.balance) == ("Balance now", now, 100)


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "November", "2026-11-01", "", "9999-12", "0001-01"])
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(ValueError, match="is no month; write for example 2026-11"):
        month_of(month, ZoneInfo("UTC"))


def test_december_ends_with_the_year() -> None:
    _, start, end = month_of("2026-12", ZoneInfo("Asia/Tokyo"))
    assert (start.isoformat(), end.isoformat()) == ("2026-11-30T15:00:00+00:00", "2026-12-31T15:00:00+00:00")


@pytest.mark.parametrize(
    ("tongue", "lines"),
    [
        ("en", ["1,000 base + 5 × 50 for users beyond 10 (15 users) = 1,250", "10 of 30 days of 1,250, rounded = 417"]),
        ("ja", ["基本 1,000 + 超過 5 名 × 50（利用者 15 名、うち 10 名まで基本に含む）= 1,250"]),
        ("cs", ["základ 1\u00a0000 + 5 × 50 za uživatele nad 10 (celkem uživatelů: 15) = 1\u00a0250"]),
        ("hi", ["मूल 1,000 + अतिरिक्त उपयोगकर्ता 5 × 50 (कुल उपयोगकर्ता 15, मूल में शामिल 10) = 1,250"]),
    ],
)
def test_the_arithmetic_of_a_charge_is_spelled_out(tongue: str, lines: list[str]) -> None:
    (entry,) = november(movement(1, "Charge", 417, period="2026-11", charge=PRORATED)).entries
    steps = spelled_out(entry, language(tongue))
    assert steps[: len(lines)] == lines
    assert "417" in steps[1]


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**9), st.integers(0, 10**6))
def test_the_arithmetic_is_that_of_the_charge(users: int, included: int, base: int, per_extra: int) -> None:
    charge = Charge("2026-11", NOW, "p", 1, users, included, base, per_extra)
    assert Arithmetic(users, included, base, per_extra).full == charge.amount


KINDS = st.sampled_from(["TopUp", "Withdrawal", "Charge", "Settlement", "Reversal"])
TIMES = st.datetimes(datetime(2026, 9, 1), datetime(2027, 1, 31)).map(lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ"))
MOVEMENTS = st.lists(st.tuples(KINDS, st.integers(0, 10**12), TIMES), max_size=40)
ZONES = st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "Europe/Prague"])


@given(MOVEMENTS, ZONES, st.randoms())
def test_opening_and_entries_make_the_closing_balance_and_months_follow_each_other(
    items: list[tuple[str, int, str]], zone: str, random: Any
) -> None:
    """Also where posted times do not follow the entries' numbers, as after a clock was set back."""
    movements = [movement(number, kind, amount, posted) for number, (kind, amount, posted) in enumerate(items, start=1)]
    random.shuffle(movements)
    months = ("2026-08", "2026-09", "2026-10", "2026-11", "2026-12", "2027-01", "2027-02")
    statements = [
        statement_of(account(), movements, month=month, zone=ZoneInfo(zone), agency="A", now=NOW) for month in months
    ]
    balance = 0
    for found in statements:
        assert found.opening == balance
        assert found.opening + sum(entry.change for entry in found.entries) == found.closing
        assert sum(total.change for total in found.totals) == found.closing - found.opening
        assert sum(total.count for total in found.totals) == len(found.entries)
        for entry in found.entries:
            balance += entry.change
            assert entry.balance == balance
    assert sum(len(found.entries) for found in statements) == len(movements)


def test_as_a_table_it_begins_and_ends_with_a_balance() -> None:
    found = november(
        movement(1, amount=3000, posted="2026-10-02T00:00:00Z"),
        movement(2, "Charge", 1250, "2026-11-25T00:00:00Z", period="2026-11", charge=CHARGE, reason="autumn"),
    )
    table = statement_table(found, language())
    opening, charge, closing = (dict(zip(table.headings, table.cells(row), strict=True)) for row in table.rows)
    assert (opening["Description"], opening["Balance"], opening["Points"]) == ("Opening balance", 3000, None)
    assert (charge["Description"], charge["Points"], charge["Balance"]) == ("Monthly charge for 2026-11", -1250, 1750)
    assert charge["Calculation"] == "1,000 base + 5 × 50 for users beyond 10 (15 users) = 1,250"
    assert charge["Reason"] == "autumn"
    assert (closing["Description"], closing["Balance"]) == ("Closing balance", 1750)
    assert (closing["Date (UTC)"], closing["Org ID"]) == (datetime(2026, 11, 30, 23, 59, 59), ORG_ID)
