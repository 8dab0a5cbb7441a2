"""What the pages of a client say about its life: paused, deactivated, reminded; and by which clock (FEATURES Z6-Z9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clientorg.cli import clock
from clientorg.cli.advice import advice
from clientorg.cli.dates import Calendar, calendar_of, next_period, relative
from clientorg.cli.describe import Facts, page
from clientorg.errors import ConfigurationError
from tests.unit.cli_builders import client, granted, pool, ready

Json = dict[str, Any]

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
PLAN: Json = {"metadata": {"name": "standard"}, "spec": {"timeZone": "Asia/Tokyo"}}
RECORD: Json = {"since": "2026-11-25T09:00:00Z", "purgeAfter": "2027-02-25T09:00:00Z"}


def described(status: Json, plan: Json | None = PLAN, **metadata: Any) -> str:
    """The page of a client with this status."""
    item = client(status={**granted(visitors=500, used=120), **status}, metadata=metadata)
    return "\n".join(page(Facts(item, plan, pool(allocated=500, visitors=900), []), NOW, color=False))


def test_a_paused_client_says_why_since_when_and_who_gave_which_reason() -> None:
    paused = {"type": "Paused", "status": "True", "lastTransitionTime": "2026-11-25T08:00:00Z"}
    text = described(
        {"pauseReasons": ["Requested"], "conditions": [ready("True", "Paused"), paused]},
        annotations={"kubernetes.io/change-cause": "maintenance"},
    )
    for words in (
        "Paused:        Requested since 2026-11-25 17:00 JST (60m ago)",
        "Reason given:  maintenance",
        "kubectl clientorg resume acme -n agency",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "Deleted after:  2027-02-25 18:00 JST (in 92d)"),
        (
            {"purgeStartedTime": "2026-11-25T08:59:00Z"},
            "Deletion:      began 2026-11-25 17:59 JST (60s ago); no way back",
        ),
        (
            {"purgeStartedTime": "2026-11-25T08:58:00Z", "purgedTime": "2026-11-25T08:59:00Z"},
            "Deleted:       2026-11-25",
        ),
    ],
)
def test_a_deactivated_client_says_where_its_deletion_stands(record: Json, words: str) -> None:
    text = described({"deactivation": RECORD | record})
    assert words in text
    assert ("reminder 1 day before the deletion" in text) == (not record), "reminders only while there are any"


def test_reminders_are_not_made_up_without_the_plan() -> None:
    text = described({"deactivation": RECORD}, plan=None)
    assert "Deleted after:" in text
    assert "reminder" not in text


def test_a_working_client_has_no_lines_about_its_life() -> None:
    text = described({})
    assert not [word for word in ("Paused:", "Deactivated:", "Deletion", "Reason given:") if word in text]


STALE = {"type": "UsageReported", "status": "False", "reason": "Stale"}
UNDELIVERED = {"type": "NotificationFailing", "status": "True", "reason": "DeliveryFailed"}


def advised(*conditions: Json, **status: Any) -> str:
    """What to do about a client that is Ready."""
    item = client(status={**granted(visitors=500), "conditions": [ready("True", "Ready"), *conditions], **status})
    return "\n".join(advice(item, None, NOW))


def test_what_is_wrong_beside_ready_has_advice_too() -> None:
    outbox = [{"key": "delivery", "mail": {"state": "Failed"}, "webhook": {"state": "Sent"}}]
    assert "kubectl clientorg notify acme -n agency --resend delivery" in advised(UNDELIVERED, outbox=outbox)
    assert "kubectl clientorg usage acme -n agency" in advised(STALE)
    assert advised(STALE | {"status": "True"}) == ""


def test_nobody_reports_the_use_of_a_deactivated_client_and_that_is_well() -> None:
    assert advised(STALE, deactivation=RECORD) == ""


# -- dates and the clock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "now"), (-0.4, "now"), (60, "in 60s"), (-3600, "60m ago"), (92 * 86400, "in 92d")]
)
def test_distances(seconds: float, text: str) -> None:
    assert relative(NOW + timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("plan", "utc", "name"),
    [
        (None, False, "UTC"),
        ({"spec": {}}, False, "UTC"),
        (PLAN, False, "Asia/Tokyo"),
        (PLAN, True, "UTC"),
        ({"spec": {"timeZone": "Mars/Olympus"}}, False, "UTC"),
    ],
)
def test_dates_are_in_the_plans_time_zone_where_it_has_one(plan: Json | None, utc: bool, name: str) -> None:
    assert calendar_of(plan, utc=utc).name == name


@pytest.mark.parametrize(
    ("period", "anew"),
    [("Never", None), ("Yearly", "2027-01-01"), ("Monthly", "2026-12-01"), ("OfANewerVersion", None)],
)
def test_when_a_count_begins_anew(period: str, anew: str | None) -> None:
    stock = pool(visitors=10)
    stock["spec"]["licenses"][0]["usePeriod"] = period
    found = next_period(stock, "visitors", Calendar(), NOW)
    assert (found and found.date().isoformat()) == anew
    assert next_period(None, "visitors", Calendar(), NOW) is None
    assert next_period(stock, "seats", Calendar(), NOW) is None


@pytest.mark.parametrize("text", ["2026-11-25T09:00:00Z", "2026-11-25T18:00:00+09:00\n", "2026-11-25T09:00:00"])
def test_the_development_clock_is_the_operators(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "clock"
    file.write_text(text)
    monkeypatch.setenv(clock.DEV_CLOCK, str(file))
    assert clock.now() == NOW


@pytest.mark.parametrize("text", [None, "noon"])
def test_a_development_clock_that_cannot_be_read_is_told(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clock"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv(clock.DEV_CLOCK, str(file))
    with pytest.raises(ConfigurationError, match="CLIENTORG_DEV_CLOCK"):
        clock.now()
