"""The dates that the command line promises are those that the operator keeps (FEATURES Z7-Z9, X4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clientorg.api.clientorg import WantedState
from clientorg.cli.schedule import ReminderState, agenda, expected_purge, reminder_steps, terms_of
from clientorg.domain import lifecycle
from clientorg.domain.calendar import zone
from clientorg.domain.lifecycle import Deactivation, Reminder, Terms
from clientorg.errors import PlanError
from tests.unit.life_model import NOON, TERMS, TOKYO, Life

some_terms = st.builds(
    Terms,
    st.integers(1, 12),
    st.lists(st.integers(1, 365), min_size=1, max_size=8, unique=True).map(tuple),
    st.integers(1, 90),
    st.sampled_from(["UTC", "Asia/Tokyo", "Europe/Prague", "America/St_Johns"]).map(zone),
)
some_time = st.datetimes(NOON.replace(tzinfo=None), datetime(2028, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)


@settings(max_examples=100, deadline=None)
@given(some_terms, some_time)
def test_what_is_promised_at_the_deactivation_is_what_happens(terms: Terms, now: datetime) -> None:
    """With every mail taken at once, each reminder goes out and everything is deleted at the second that was said."""
    record = lifecycle.deactivate(now, terms)
    promised, reminders = expected_purge(record, terms, now), list(reminder_steps(record, terms, now))
    assert promised is not None

    life = Life(terms, now=now, state=WantedState.DEACTIVATED)
    life.wait(promised - timedelta(seconds=1))
    assert life.record is not None
    assert life.record.purge_started is None
    life.wait(promised)
    assert life.record.purge_started == promised

    sent = {mail.days: mail.delivered for mail in life.mails}
    for step in reminders:
        if step.state is ReminderState.SKIPPED:
            assert step.days not in sent
        else:
            assert sent[step.days] == max(now, step.time)


def record_with(*reminders: Reminder) -> Deactivation:
    """Deactivated at noon of 25 November, with these reminders done."""
    return Deactivation(NOON, lifecycle.deactivate(NOON, TERMS).purge_after, reminders)


def test_reminders_are_told_by_where_they_stand() -> None:
    purge = record_with().purge_after
    record = record_with(
        Reminder(30, purge - timedelta(days=14), purge, skipped=True), Reminder(14, purge - timedelta(days=14), purge)
    )
    now = purge - timedelta(days=6)
    assert [(text, state) for _, text, state in agenda(record, TERMS, now)] == [
        ("reminder 30 days before the deletion", "skipped"),
        ("reminder 14 days before the deletion", "sent"),
        ("reminder 7 days before the deletion", "due"),
        ("reminder 1 day before the deletion", ""),
        ("everything is deleted, for ever", ""),
    ]


def test_a_last_reminder_that_is_late_moves_the_deletion() -> None:
    purge = record_with().purge_after
    late = purge + timedelta(days=2)
    assert expected_purge(record_with(), TERMS, late) == late + timedelta(days=1)


@pytest.mark.parametrize("field", ["purge_started", "purged"])
def test_nothing_is_expected_once_it_began(field: str) -> None:
    record = Deactivation(NOON, NOON, **{field: NOON})  # type: ignore[arg-type]
    assert expected_purge(record, TERMS, NOON) is None


def test_terms_are_the_plans() -> None:
    deactivation = {"gracePeriodMonths": 2, "reminderDays": [10, 2], "minimumNoticeDays": 3}
    plan = {"spec": {"timeZone": "Asia/Tokyo", "deactivation": deactivation}}
    assert terms_of(plan) == Terms(2, (10, 2), 3, TOKYO)


def test_a_time_zone_that_is_none_is_the_plans_fault() -> None:
    with pytest.raises(PlanError, match="timeZone"):
        _ = terms_of({"spec": {"timeZone": "Mars/Olympus"}})
