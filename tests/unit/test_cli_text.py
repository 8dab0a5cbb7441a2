"""Text for people, and numbers from people."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.cli.text import age, duration, joined, number, parse_count, parse_duration, plain, plural, signed
from clientorg.errors import InputError


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600 + 60, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400 + 3600, "8d"),
        (729 * 86400, "729d"),
        (731 * 86400, "2y1d"),
        (3650 * 86400, "10y"),
    ],
)
def test_ages_are_written_as_kubectl_writes_them(seconds: int, shown: str) -> None:
    """The cases of kubectl's HumanDuration."""
    assert duration(timedelta(seconds=seconds)) == shown


def test_an_unknown_age_is_a_dash() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert age(None, now) == age("", now) == age("yesterday", now) == "-"
    assert age("2026-11-21T00:00:00Z", now) == "24h"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("50000", 50_000),
        ("50,000", 50_000),
        ("50_000", 50_000),
        ("50k", 50_000),
        ("2M", 2_000_000),
        (" 7 ", 7),
        ("５０，０００", 50_000),
    ],
)
def test_counts_are_read_as_people_write_them(text: str, count: int) -> None:
    assert parse_count(text, "--to") == count


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "5,00", "1e3", "k", "50 000", "0x10", str(2**53 + 1), "99999999999M"]
)
def test_what_is_no_count_is_refused_with_the_flag(text: str) -> None:
    with pytest.raises(InputError, match=r"^--to: "):
        parse_count(text, "--to")


@given(st.integers(0, 2**53))
def test_every_quantity_survives_being_shown_and_read(count: int) -> None:
    assert parse_count(number(count), "--to") == count


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("0.5s", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, "--timeout") == seconds


@pytest.mark.parametrize("text", ["", "s", "m5", "5 m", "-5s", "true", "1h 5m"])
def test_what_is_no_duration_is_refused_with_the_flag(text: str) -> None:
    with pytest.raises(InputError, match=r"^--timeout: "):
        parse_duration(text, "--timeout")


@given(st.text())
def test_nothing_that_steers_a_terminal_is_printed(text: str) -> None:
    shown = plain(text)
    assert "\n" not in shown
    assert not any(unicodedata.category(ch) in ("Cc", "Zl", "Zp") for ch in shown)


def test_letters_of_every_script_are_printed_as_they_are() -> None:
    for text in ("Acme K.K.", "初音株式会社", "Česká pošta", "हिन्दी", "क्‍ष", "👩‍🚀"):
        assert plain(text) == text
    assert plain("a\tb\nc") == "a b c"
    assert plain("\x1b[31m\u202eevil") == "�[31m�evil"


def test_small_words() -> None:
    assert (plural(1, "client"), plural(1200, "client")) == ("1 client", "1,200 clients")
    assert (joined([]), joined(["a"]), joined(["a", "b", "c"], "or")) == ("", "a", "a, b or c")
    assert (signed(5000), signed(-3), signed(0)) == ("+5,000", "-3", "0")
    assert number(None) == "-"
