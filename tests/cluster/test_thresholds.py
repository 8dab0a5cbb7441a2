"""Warnings at 80, 90 and 100 %, each once; at 100 % everything stops, and resumes by itself (FEATURES Z6)."""

from __future__ import annotations

import pytest

from clientorg.cluster.resources import RESOURCE_QUOTAS
from tests.cluster.verbs import DEADLINE_SECONDS, Agency, Client, Json, expect_never
from tests.controlplane.waiting import wait_until
from tests.support.devclock import DevClock
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

GATE = "clientorg-paused"


def told(client: Client) -> list[int]:
    """The percentages that Events tell, in order."""
    notes = [event["note"] for event in client.events() if event["reason"] == "ThresholdReached"]
    return [int(note.partition(" ")[0]) for note in notes]


def expect_told(client: Client, *percents: int) -> None:
    """Wait until Events tell these percentages, each once."""
    wait_until(
        lambda: sorted(told(client)) == sorted(percents), DEADLINE_SECONDS, f"Events for {percents}, not {told(client)}"
    )


def mailed(manifest: Json) -> list[tuple[str, str]]:
    """Kind and what it is about of each message but the first, oldest first."""
    entries = manifest["status"].get("outbox", [])
    return [
        (entry["kind"], entry["params"].get("percent") or entry["params"].get("reason") or "")
        for entry in entries
        if entry["kind"] != "delivery"
    ]


def test_each_threshold_is_told_once_and_the_last_one_pauses(
    tokyo: Agency, clock: DevClock, clockwork: OperatorProcess
) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})
    report = tokyo.report(acme.org_id, clock.now, visitors=79)
    acme.expect_used(visitors=79)
    assert told(acme) == []

    for used in (80, 85, 90, 99):
        report.say(clock.step(hours=1), visitors=used)
        acme.expect_used(visitors=used)
    expect_told(acme, 80, 90)
    assert mailed(acme.read()) == [("threshold", "80"), ("threshold", "90")]
    acme.expect_state("Active")

    clockwork.stop()  # nothing of it is only in its memory
    clockwork.start()
    report.say(clock.step(hours=1), visitors=100)

    paused = acme.expect_state("Paused", "QuotaExhausted")
    assert "visitors" in acme.expect_condition("Paused", "True", "QuotaExhausted")["message"]
    assert mailed(paused) == [("threshold", "80"), ("threshold", "90"), ("paused", "QuotaExhausted")]
    assert acme.has(RESOURCE_QUOTAS, GATE)
    expect_told(acme, 80, 90, 100)
    report.say(clock.step(hours=1), visitors=120)
    acme.expect_used(visitors=120)
    acme.ask_for_reconcile()
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "have looked again")
    expect_told(acme, 80, 90, 100)
    assert [item["percent"] for item in acme.status["thresholds"]] == [80, 90, 100]


def test_raise_resumes(tokyo: Agency, clock: DevClock) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})
    tokyo.report(acme.org_id, clock.now, visitors=110)
    acme.expect_state("Paused", "QuotaExhausted")

    acme.ask_for(visitors=110)
    acme.expect_granted(visitors=110)
    acme.expect_state("Paused", "QuotaExhausted")
    acme.ask_for(visitors=111)

    resumed = acme.expect_state("Active")
    assert mailed(resumed)[-1] == ("resumed", "")
    acme.expect_no_child(RESOURCE_QUOTAS, GATE)
    expect_told(acme, 80, 90, 100)


def test_raise_that_the_pool_cannot_grant_resumes_when_another_client_gives_back(
    tokyo: Agency, clock: DevClock
) -> None:
    tokyo.pool.stock(visitors=200)
    acme, beta = (tokyo.ready_client(name, licenses={"visitors": 100}) for name in ("acme", "beta"))
    tokyo.report(acme.org_id, clock.now, visitors=100)
    acme.expect_state("Paused", "QuotaExhausted")

    acme.ask_for(visitors=150)
    acme.expect_pending(1, "50 visitors")
    expect_never(lambda: acme.status["state"] != "Paused", 1.0, "to be resumed without a grant")
    beta.ask_for(visitors=50)

    acme.expect_state("Active")
    assert tokyo.expect_balanced() == 200


def test_jump_over_several_thresholds_is_one_message(tokyo: Agency, clock: DevClock) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})

    tokyo.report(acme.org_id, clock.now, visitors=95)

    acme.expect_used(visitors=95)
    expect_told(acme, 80, 90)
    assert mailed(acme.read()) == [("threshold", "90")]


def test_thresholds_of_the_plan_are_told_and_all_of_it_pauses_in_any_case(tokyo: Agency, clock: DevClock) -> None:
    tokyo.plan.edit(thresholds=[50])
    acme = tokyo.ready_client(licenses={"visitors": 10})
    report = tokyo.report(acme.org_id, clock.now, visitors=9)
    acme.expect_used(visitors=9)
    expect_told(acme, 50)

    report.say(clock.step(hours=1), visitors=10)

    acme.expect_state("Paused", "QuotaExhausted")
    expect_told(acme, 50)


def test_thresholds_are_told_again_in_the_next_period(tokyo: Agency, clock: DevClock) -> None:
    tokyo.pool.edit(licenses=[{"name": "visitors", "quantity": 1000, "usePeriod": "Monthly"}])
    acme = tokyo.ready_client(licenses={"visitors": 100})
    report = tokyo.report(acme.org_id, clock.now, visitors=80)
    acme.expect_used(visitors=80)
    expect_told(acme, 80)

    clock.step(days=7)
    acme.expect_used(visitors=0)
    report.say(clock.now, visitors=160)

    acme.expect_used(visitors=80)
    expect_told(acme, 80, 80)
    assert mailed(acme.read()) == [("threshold", "80"), ("threshold", "80")]
    assert [item["period"] for item in acme.status["thresholds"]] == ["2026-12"]


def test_wish_and_exhaustion_are_separate_reasons(tokyo: Agency, clock: DevClock) -> None:
    acme = tokyo.ready_client(licenses={"visitors": 100})
    tokyo.report(acme.org_id, clock.now, visitors=100)
    acme.expect_state("Paused", "QuotaExhausted")

    acme.edit(state="Paused")
    acme.expect_state("Paused", "Requested", "QuotaExhausted")
    acme.ask_for(visitors=200)
    acme.expect_state("Paused", "Requested")
    acme.edit(state="Active")

    acme.expect_state("Active")
