"""What clients use, by UsageReports: counted once, by cumulative counters (FEATURES Z6; DESIGN section 5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clientorg.api.meta import MAX_QUANTITY
from clientorg.cluster.resources import QUOTA_POOLS
from tests.cluster.verbs import Agency, Client
from tests.support import builders
from tests.support.devclock import DevClock
from tests.support.kube import Kube, RefusedError
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]


@pytest.fixture
def acme(tokyo: Agency) -> Client:
    """A client with 100 visitors."""
    return tokyo.ready_client(licenses={"visitors": 100})


def test_used_is_counted_on_through_repeats_late_reports_resets_and_several_sources(
    tokyo: Agency, acme: Client, clock: DevClock
) -> None:
    report = tokyo.report(acme.org_id, clock.now, visitors=30)
    status = acme.expect_used(visitors=30)["status"]
    assert status["licenses"][0]["remaining"] == 70
    assert status["licenseSummary"] == "30/100"
    assert report.expect_ready()["status"]["client"] == "acme"
    acme.expect_condition("UsageReported", "True", "Fresh")

    report.say(clock.now - timedelta(hours=1), visitors=50)  # late
    report.expect_ready()
    report.say(clock.step(hours=1), visitors=40)
    acme.expect_used(visitors=40)
    report.say(clock.step(hours=1), visitors=5)  # the agent's counter began anew
    acme.expect_used(visitors=45)
    tokyo.report(acme.org_id, clock.now, "again", visitors=5)  # the same under another name
    tokyo.report(acme.org_id, clock.now, "east", source="east", visitors=10)
    acme.expect_used(visitors=55)

    report.delete()
    report.expect_gone()
    acme.ask_for_reconcile()
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "have looked again")
    assert acme.used == {"visitors": 55}, "what was counted stays"


def test_nothing_is_counted_twice_over_a_restart(
    tokyo: Agency, acme: Client, clock: DevClock, clockwork: OperatorProcess
) -> None:
    report = tokyo.report(acme.org_id, clock.now, visitors=30)
    acme.expect_used(visitors=30)

    clockwork.kill()
    report.say(clock.step(hours=1), visitors=35)
    clockwork.start()

    acme.expect_used(visitors=35)


def test_use_begins_anew_with_the_month_in_the_plans_time_zone(tokyo: Agency, clock: DevClock) -> None:
    monthly = [{"name": "visitors", "quantity": 1000, "usePeriod": "Monthly"}]
    tokyo.kube.merge(QUOTA_POOLS, "pool", {"spec": {"licenses": monthly}}, tokyo.name)
    tokyo.plan.edit(timeZone="Asia/Tokyo")
    acme = tokyo.ready_client(licenses={"visitors": 100})
    report = tokyo.report(acme.org_id, clock.now, visitors=100)
    acme.expect_state("Paused", "QuotaExhausted")

    clock.set(datetime(2026, 11, 30, 14, 59, 59, tzinfo=UTC))  # 23:59:59 in Tokyo
    report.say(clock.now, visitors=101)
    acme.expect_used(visitors=101)
    clock.step(seconds=1)

    acme.expect_state("Active")
    assert acme.used == {"visitors": 0}
    report.say(clock.now - timedelta(seconds=1), visitors=103)  # what is reported late belongs to November
    report.say(clock.step(hours=1), visitors=110)
    assert acme.expect_used(visitors=9)["status"]["licenses"][0]["period"] == "2026-12"


def test_usage_that_is_not_reported_any_more_is_marked_and_changes_nothing_else(
    tokyo: Agency, acme: Client, clock: DevClock
) -> None:
    report = tokyo.report(acme.org_id, clock.now, visitors=30)
    full = tokyo.ready_client("full", licenses={"visitors": 10})
    tokyo.report(full.org_id, clock.now, "full", visitors=10)
    full.expect_state("Paused", "QuotaExhausted")
    acme.expect_used(visitors=30)

    clock.step(days=1)
    clock.step(seconds=1)

    acme.expect_condition("UsageReported", "False", "Stale", "2026-11-25T09:00:00Z")
    full.expect_condition("UsageReported", "False", "Stale")
    acme.expect_state("Active")
    full.expect_state("Paused", "QuotaExhausted")
    report.say(clock.now, visitors=30)  # nothing new, but somebody is there
    acme.expect_condition("UsageReported", "True", "Fresh")


@pytest.mark.parametrize("value", [-1, MAX_QUANTITY + 1, 2**63, 1.5, "many"])
def test_absurd_values_are_refused(tokyo: Agency, clock: DevClock, value: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        tokyo.report("0123456789", clock.now, visitors=value)

    assert "spec.meters[0].value" in refused.value.message


def test_license_counted_twice_in_a_report_is_refused(tokyo: Agency, clock: DevClock) -> None:
    manifest = builders.report(tokyo.name, "0123456789", clock.now, visitors=1)
    manifest["spec"]["meters"] *= 2

    with pytest.raises(RefusedError, match="Duplicate value"):
        tokyo.create(manifest)


def test_report_cannot_be_turned_to_another_client(tokyo: Agency, acme: Client, clock: DevClock) -> None:
    report = tokyo.report(acme.org_id, clock.now, visitors=1)

    with pytest.raises(RefusedError, match="immutable"):
        report.edit(orgID="0123456789")


def test_report_for_nobody_or_from_elsewhere_counts_for_nobody(
    tokyo: Agency, osaka: Agency, acme: Client, clock: DevClock
) -> None:
    unknown = tokyo.report("0123456789", clock.now, "unknown", visitors=90)
    foreign = osaka.report(acme.org_id, clock.now, visitors=90)

    unknown.expect_stalled("ClientNotFound", "0123456789", tokyo.name)
    foreign.expect_stalled("ClientNotFound", acme.org_id, osaka.name)
    assert acme.used == {}


def test_report_from_the_future_waits_for_a_correct_clock(tokyo: Agency, acme: Client, clock: DevClock) -> None:
    report = tokyo.report(acme.org_id, clock.now + timedelta(days=365), visitors=90)
    report.expect_stalled("ObservedInFuture", "clock")
    assert acme.used == {}

    report.say(clock.now, visitors=40)

    report.expect_ready()
    acme.expect_used(visitors=40)


def test_license_that_the_pool_does_not_have_is_named(tokyo: Agency, acme: Client, clock: DevClock) -> None:
    report = tokyo.report(acme.org_id, clock.now, visitors=40, vistors=50)

    report.expect_condition("Ready", "True", "Accepted", "vistors")
    acme.expect_used(visitors=40)


def test_nobody_without_the_right_may_report(tokyo: Agency, acme: Client, clock: DevClock, api: Kube) -> None:
    stranger = api.as_user("yuki@acme.example")

    with pytest.raises(RefusedError) as refused:
        stranger.create(builders.report(tokyo.name, acme.org_id, clock.now, visitors=40))

    assert refused.value.code == 403
