"""Orders, trials, payments and weekly snapshots on a real API server and the stepped clock (issue 8)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from clientorg.cluster.resources import SUBSCRIPTIONS
from tests.cluster.verbs import Agency, Handle
from tests.support import builders
from tests.support.builders import invoice, subscription
from tests.support.devclock import DevClock
from tests.support.kube import RefusedError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

METRICS = [
    {"name": "calls", "unit": "calls", "kind": "Counter"},
    {"name": "abandoned", "unit": "calls", "kind": "Counter", "better": "Down"},
    {
        "name": "abandon-rate",
        "unit": "%",
        "kind": "Ratio",
        "better": "Down",
        "numerator": "abandoned",
        "denominator": "calls",
    },
]


class Subscription(Handle):
    """A Subscription."""

    resource = SUBSCRIPTIONS

    @classmethod
    def create(cls, agency: Agency, name: str = "acme-1", **fields: Any) -> Subscription:
        agency.create(subscription(agency.name, name, **fields))
        return cls(agency.kube, agency.name, name)

    def expect_state(self, state: str) -> dict[str, Any]:
        """Wait until it has the state; returns its status."""
        status: dict[str, Any] = self.expect(lambda it: it["status"].get("state") == state, f"be {state}")["status"]
        return status


def expect_standing(client: Handle, *statuses: str) -> None:
    client.expect(lambda it: it["status"].get("standing") == [*statuses], f"stand as {statuses}")


def test_a_trial_expires_is_extended_converted_renews_and_is_suspended_until_it_is_paid(
    tokyo: Agency, clock: DevClock
) -> None:
    """One client's way through every status that a subscription brings about."""
    acme = tokyo.ready_client()
    trial = Subscription.create(tokyo, type="Trial", startDate="2026-11-25", term={"days": 14})
    trial.expect_state("Trial")
    expect_standing(acme, "Trial")

    clock.set(datetime(2026, 12, 2, tzinfo=UTC))
    trial.expect_state("ExpiringSoon")
    acme.expect_message("trial-ending", ends="2026-12-09T00:00:00Z")
    clock.set(datetime(2026, 12, 9, tzinfo=UTC))
    acme.expect_state("Paused", "TrialExpired")
    expect_standing(acme, "Expired")
    paused = acme.condition("Paused")
    assert "the trial of Subscription 'acme-1' ended on 2026-12-09; extend it" in paused["message"]

    trial.edit(renewalDate="2027-01-15")
    acme.expect_state("Active")
    trial.edit(type="Paid", renewalDate=None, startDate="2026-12-10", term={"months": 1, "days": None}, autoRenew=True)
    with pytest.raises(RefusedError, match=r"spec\.type: .*a paid subscription does not become a trial"):
        trial.edit(type="Trial", autoRenew=False)
    clock.set(datetime(2027, 4, 11, tzinfo=UTC))  # four terms later, in one step
    status = trial.expect(lambda it: it["status"]["term"]["number"] == 5, "be in its fifth term")["status"]
    assert status["term"] == {"number": 5, "startDate": "2027-04-10", "endDate": "2027-05-10"}
    assert status["renewalDate"] == "2027-05-10"
    assert trial.read()["spec"]["startDate"] == "2026-12-10"
    expect_standing(acme, "Active")

    trial.edit(invoices=[invoice("R-7", "2027-04-15")])
    clock.set(datetime(2027, 4, 15, 23, 59, tzinfo=UTC))
    trial.expect(lambda it: it["status"]["observedGeneration"] == it["metadata"]["generation"], "be answered")
    assert trial.status["state"] == "Active"
    clock.set(datetime(2027, 4, 16, tzinfo=UTC))
    acme.expect_state("Paused", "PaymentOverdue")
    assert trial.expect_state("SuspendedUnpaid")["unpaidSince"] == "2027-04-16"
    expect_standing(acme, "SuspendedUnpaid")
    assert (
        "invoice R-7 of Subscription 'acme-1' over 1200.50 USD was due on 2027-04-15"
        in (acme.condition("Paused")["message"])
    )
    tokyo.plan.set(subscriptions={"whenUnpaid": "Keep"})
    acme.expect_state("Active")
    expect_standing(acme, "SuspendedUnpaid")
    tokyo.plan.set(subscriptions={"whenUnpaid": "Pause"})
    acme.expect_state("Paused", "PaymentOverdue")
    trial.edit(invoices=[invoice("R-7", "2027-04-15", state="Paid", paidDate="2027-04-20")])
    acme.expect_state("Active")
    expect_standing(acme, "Active")

    second = Subscription.create(tokyo, "acme-2", startDate="2027-05-01")
    second.expect_stalled("TermOverlaps", "visitors are covered by Subscription 'acme-1' already", "renews by itself")
    trial.edit(autoRenew=False, renewalDate="2027-05-01")
    second.expect_ready()
    second.expect_state("Scheduled")


def test_a_week_is_taken_down_on_sunday_and_a_missed_one_is_a_gap(tokyo: Agency, clock: DevClock) -> None:
    tokyo.plan.set(metrics=METRICS)
    acme = tokyo.ready_client(licenses={"visitors": 100})
    report = tokyo.report(acme.org_id, clock.now, visitors=10)

    def tell(used: int, assigned: int, calls: int, abandoned: int) -> None:
        meters = [{"license": "visitors", "value": used, "assigned": assigned}]
        metrics = [{"name": "calls", "value": calls}, {"name": "abandoned", "value": abandoned}]
        report.edit(observedTime=clock.now.isoformat().replace("+00:00", "Z"), meters=meters, metrics=metrics)
        acme.expect(lambda it: _license(it).get("used") == used, f"have used {used}")

    def snapshots(*weeks: str) -> dict[str, Any]:
        clock.set(datetime.fromisoformat(weeks[-1]).replace(tzinfo=UTC))
        manifest = acme.expect(lambda it: it["status"].get("trends", {}).get("weeks") == [*weeks], f"have {weeks}")
        trends: dict[str, Any] = manifest["status"]["trends"]
        return trends

    clock.set(datetime(2026, 11, 28, 12, tzinfo=UTC))
    tell(10, 40, 1000, 50)
    snapshots("2026-11-29")
    clock.step(days=5)
    tell(25, 45, 1200, 60)
    snapshots("2026-11-29", "2026-12-06")
    clock.set(datetime(2026, 12, 14, 0, 0, tzinfo=UTC))  # the 13th passes by
    tell(30, 45, 1300, 61)
    clock.step(days=5)
    tell(37, 50, 20, 2)  # its counters were reset
    trends = snapshots("2026-11-29", "2026-12-06", "2026-12-20")

    (visitors,) = trends["licenses"]
    assert visitors == {
        "name": "visitors",
        "allocated": [100] * 3,
        "assigned": [40, 45, 50],
        "used": [10, 25, 37],
        "counted": [10, 25, 37],
    }
    values = {item["name"]: item["values"] for item in trends["metrics"]}
    assert values == {"calls": [1000, 1200, 1220], "abandoned": [50, 60, 62]}


def _license(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(manifest["status"].get("licenses") or ()), {})
    return found


REFUSED = [
    ({"renewalDate": "2026-01-01"}, r"spec\.renewalDate: .*not after startDate"),
    ({"startDate": "2026-02-31"}, r"spec\.startDate.*date"),
    ({"invoices": [invoice(currency="XYZ")]}, r"spec\.invoices\[0\]\.currency: .*is not a currency of ISO 4217"),
    ({"invoices": [{**invoice(), "number": None}]}, r"spec\.invoices\[0\]\.number: Required"),
    ({"invoices": [invoice("R-1"), invoice("R-1")]}, r"spec\.invoices\[1\]: Duplicate value"),
    ({"invoices": [invoice(amount="1,200")]}, r"spec\.invoices\[0\]\.amount: .*must be a decimal number in quotes"),
    ({"invoices": [invoice(issueDate="2026-03-01")]}, r"spec\.invoices\[0\]\.dueDate: .*before issueDate"),
    ({"type": "Trial", "autoRenew": True}, r"spec\.autoRenew: .*a trial does not renew by itself"),
    ({"term": {"days": 30}, "autoRenew": True}, r"spec\.autoRenew: .*needs term\.months"),
    ({"term": {"days": 30, "months": 1}}, r"spec\.term: .*either months or days"),
    ({"term": None}, r"spec\.term: .*how long is the subscription"),
    ({"products": []}, r"spec\.products"),
]


@pytest.mark.parametrize(("fields", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_what_cannot_be_is_refused_with_the_fields_name(kyoto: Agency, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        kyoto.kube.create(subscription(kyoto.name, "bad", **fields), dryRun="All")


def test_metrics_that_clash_are_refused(kyoto: Agency) -> None:
    def refuse(metrics: list[dict[str, Any]], why: str) -> None:
        plan = builders.plan(kyoto.name, "clash")
        plan["spec"]["metrics"] = metrics
        with pytest.raises(RefusedError, match=why):
            kyoto.kube.create(plan, dryRun="All")

    refuse([METRICS[0], METRICS[0]], r"spec\.metrics\[1\]: Duplicate value")
    refuse([{**METRICS[0], "name": "used"}], r"spec\.metrics\[0\]\.name: .*choose another name")
    refuse([METRICS[2]], r"spec\.metrics: .*the numerator of a Ratio is no Counter or Gauge")
    refuse([{**METRICS[0], "numerator": "calls"}], r"spec\.metrics\[0\]\.kind: .*nothing else has")
