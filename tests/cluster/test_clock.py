"""Downtime across dates, and a clock that jumps forward and back (DESIGN rules 4, 5 and 7; FEATURES X7)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clientorg.cluster.resources import CONFIG_MAPS
from clientorg.domain.timestamps import rfc3339
from tests.cluster.test_deactivation import (
    PURGE,
    deactivate,
    expect_purge_to_begin,
    expect_sent,
    live_through,
    put_data,
    sent,
)
from tests.cluster.verbs import Agency, Client, expect_never
from tests.support.devclock import START, DevClock
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster


@pytest.fixture
def acme(clockwork: OperatorProcess, tokyo: Agency) -> Client:
    """A deactivated client."""
    acme = tokyo.ready_client()
    deactivate(acme)
    return acme


def look(client: Client, when: str) -> None:
    """Have the operator look at it, whatever it knows."""
    client.ask_for_reconcile(when)
    client.expect(lambda it: it["status"].get("lastHandledReconcileAt") == when, "have looked")


def test_reminder_of_a_downtime_is_sent_late_and_once(
    acme: Client, clock: DevClock, clockwork: OperatorProcess
) -> None:
    clockwork.stop()
    clock.set(PURGE - timedelta(days=13))
    clockwork.start()

    manifest = expect_sent(acme, 14)
    skipped = [item["days"] for item in manifest["status"]["deactivation"]["remindersSent"] if item.get("skipped")]
    assert skipped == [30], "a later one says it all"
    assert manifest["status"]["deactivation"]["purgeAfter"] == rfc3339(PURGE)
    clockwork.kill()
    clockwork.start()
    look(acme, "after the restart")
    expect_sent(acme, 14)
    clock.set(PURGE - timedelta(days=7))
    expect_sent(acme, 14, 7)
    clock.set(PURGE - timedelta(days=1))
    expect_sent(acme, 14, 7, 1)


def test_purge_of_a_downtime_waits_for_its_last_reminder_and_the_notice(
    acme: Client, clock: DevClock, clockwork: OperatorProcess
) -> None:
    put_data(acme)
    live_through(clock, acme, [PURGE - timedelta(days=days) for days in (30, 14, 7)])
    clockwork.stop()
    back = clock.set(PURGE + timedelta(days=5))
    clockwork.start()

    manifest = expect_sent(acme, 30, 14, 7, 1)
    assert manifest["status"]["deactivation"]["purgeAfter"] == rfc3339(back + timedelta(days=1))
    clock.set(back + timedelta(days=1, seconds=-1))
    look(acme, "before the notice has passed")
    assert acme.status["state"] == "Deactivated"
    clockwork.stop()
    clock.set(back + timedelta(days=1))
    clockwork.start()

    expect_purge_to_begin(acme)
    expect_sent(acme, 30, 14, 7, 1)


def test_clock_that_was_wrong_for_a_while_purges_nobody(acme: Client, clock: DevClock) -> None:
    put_data(acme)
    wrong = clock.set(PURGE + timedelta(days=365))
    manifest = expect_sent(acme, 1)
    announced = rfc3339(wrong + timedelta(days=1))
    assert manifest["status"]["deactivation"]["purgeAfter"] == announced

    clock.set(START + timedelta(days=1))

    look(acme, "back")
    clock.set(PURGE)
    look(acme, "at the date that was announced first")
    assert acme.status["state"] == "Deactivated"
    assert acme.status["deactivation"]["purgeAfter"] == announced, "later, never earlier"
    assert sent(acme.read()) == [1]
    acme.edit(state="Active")
    acme.expect_state("Active")
    acme.expect_child(CONFIG_MAPS, "data")


def test_reminder_is_not_repeated_when_its_time_comes_again(acme: Client, clock: DevClock) -> None:
    clock.set(PURGE - timedelta(days=30))
    expect_sent(acme, 30)
    clock.set(START)
    look(acme, "back")
    clock.set(PURGE - timedelta(days=30))
    look(acme, "again")

    expect_sent(acme, 30)
    clock.set(PURGE - timedelta(days=14))
    expect_sent(acme, 30, 14)


def test_month_that_the_clock_returns_to_is_not_counted_twice(
    clockwork: OperatorProcess, tokyo: Agency, clock: DevClock
) -> None:
    tokyo.pool.edit(licenses=[{"name": "visitors", "quantity": 1000, "usePeriod": "Monthly"}])
    beta = tokyo.ready_client("beta", licenses={"visitors": 100})
    report = tokyo.report(beta.org_id, clock.now, visitors=100)
    beta.expect_state("Paused", "QuotaExhausted")

    clock.step(days=10)
    beta.expect_state("Active")
    clock.set(START)
    look(beta, "back")
    assert beta.used == {"visitors": 0}
    clock.step(days=10)
    report.say(clock.now, visitors=130)

    beta.expect_used(visitors=30)
    beta.expect_state("Active")


def test_clock_that_cannot_be_read_stands_still(acme: Client, clock: DevClock, clockwork: OperatorProcess) -> None:
    for text in ("", "tomorrow"):
        clock.path.write_text(text)
        look(acme, f"with {text!r}")
    clock.path.unlink()
    look(acme, "without")
    expect_never(lambda: not clockwork.is_running(), 0.5, "the operator to end")

    clock.set(PURGE - timedelta(days=30))

    expect_sent(acme, 30)
