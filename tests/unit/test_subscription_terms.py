"""Terms are counted from their anchor, renewals rolled forward, overlaps judged alike by everybody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.currencies import CURRENCIES
from clientorg.domain.subscription import Subscription, counting, overlaps, read, term_at
from tests.support.builders import invoice, subscription
from tests.unit.test_standing import subscription as written

UTC_ZONE = ZoneInfo("UTC")
TOKYO = ZoneInfo("Asia/Tokyo")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "number", "start", "end"),
    [
        ("2025-12-01", 1, "2026-01-31", "2026-02-28"),
        ("2026-02-27", 1, "2026-01-31", "2026-02-28"),
        ("2026-02-28", 2, "2026-02-28", "2026-03-31"),
        ("2026-04-30", 4, "2026-04-30", "2026-05-31"),
        ("2028-02-29", 26, "2028-02-29", "2028-03-31"),
    ],
)
def test_a_month_from_the_31st_keeps_its_anchor(now: str, number: int, start: str, end: str) -> None:
    term = term_at(written("Paid 2026-01-31 1m renews"), at(now), UTC_ZONE)
    assert (term.number, term.start, term.end) == (number, at(start), at(end))


def test_a_renewal_date_is_the_anchor_of_what_follows() -> None:
    item = replace(written("Paid 2026-01-10 12m renews"), renewal=date(2026, 4, 1))
    assert term_at(item, at("2026-03-31"), UTC_ZONE).end == at("2026-04-01")
    term = term_at(item, at("2026-04-01"), UTC_ZONE)
    assert (term.number, term.start, term.end) == (2, at("2026-04-01"), at("2027-04-01"))


def test_days_are_those_of_the_time_zone() -> None:
    term = term_at(written("Trial 2026-11-01 14d"), at("2026-11-05"), TOKYO)
    assert (term.start, term.end) == (at("2026-10-31T15:00:00"), at("2026-11-14T15:00:00"))


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(1, 24), st.integers(0, 4000))
def test_terms_follow_each_other_without_gap(start: date, months: int, days: int) -> None:
    item = written(f"Paid {start} {months}m renews")
    now = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=days)
    term = term_at(item, now, TOKYO)
    after = term_at(item, term.end, TOKYO)
    assert term.end > now
    assert term.number == 1 or term.start <= now
    assert (after.number, after.start) == (term.number + 1, term.end)


def named(name: str, text: str) -> Subscription:
    return replace(written(text), name=name)


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ("Paid 2026-01-01 12m", "Paid 2026-06-01 12m", True),
        ("Paid 2026-01-01 12m", "Paid 2027-01-01 12m", False),
        ("Paid 2026-01-01 12m renews", "Paid 2029-01-01 12m", True),
        ("Trial 2026-01-01 30d", "Paid 2026-01-15 12m", False),
        ("Trial 2026-01-01 30d", "Trial 2026-01-15 30d", True),
    ],
)
def test_the_later_of_two_that_overlap_does_not_count(first: str, second: str, clash: bool) -> None:
    one, other = named("one", first), named("other", second)
    assert set(overlaps([other, one], UTC_ZONE)) == ({"other"} if clash else set())
    assert counting([other, one], UTC_ZONE) == ([one] if clash else [other, one])


def test_one_that_overlaps_only_what_does_not_count_counts() -> None:
    found = [named(n, f"Paid {d} 12m") for n, d in (("a", "2026-01-01"), ("b", "2026-07-01"), ("c", "2027-02-01"))]
    assert set(overlaps(found, UTC_ZONE)) == {"b"}


def test_other_products_do_not_overlap() -> None:
    one, other = named("one", "Paid 2026-01-01 12m"), named("other", "Paid 2026-01-01 12m")
    assert overlaps([one, replace(other, products={"seats": 1})], UTC_ZONE) == {}


def test_an_object_of_the_api_server_is_read_as_it_is_written() -> None:
    manifest = subscription("agency", invoices=[invoice(state="Paid"), invoice("R-2", amount="-3.5")])
    item = read(manifest)
    assert (item.client, item.order_id, item.products, item.months) == ("acme", "PO-acme-1", {"visitors": 10}, 12)
    assert [str(entry.amount) for entry in item.invoices] == ["1200.50", "-3.5"]


def test_every_money_that_is_legal_tender_somewhere_is_known() -> None:
    from babel.core import get_global

    tender = {
        code
        for entries in get_global("territory_currencies").values()
        for code, _, end, is_tender in entries
        if end is None and is_tender
    }
    assert tender <= set(CURRENCIES)
    assert list(CURRENCIES) == sorted(set(CURRENCIES))
