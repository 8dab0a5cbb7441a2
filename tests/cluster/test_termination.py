"""The end of a contract (FEATURES S11), and the account of a deleted client, on the stepped clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clientorg.cluster.resources import NAMESPACES
from tests.cluster.pointverbs import (
    BILLING,
    Transaction,
    charges,
    expect_balance,
    expect_charges,
    expect_pool_balance,
    purchase,
    termination,
    top_up,
    transactions,
    verify,
)
from tests.cluster.verbs import Agency, Client
from tests.support.devclock import DevClock
from tests.support.kube import RefusedError
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

DECEMBER = datetime(2026, 12, 25, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def acme(tokyo: Agency) -> Client:
    """A client that is charged 1,000 points a month; the agency has 5,000."""
    tokyo.plan.set(billing=BILLING)
    purchase(tokyo, 5000)
    client = tokyo.ready_client()
    client.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")
    return client


def settlement(agency: Agency, client: Client) -> Transaction:
    """The settlement of a client."""
    return Transaction(agency.kube, agency.name, f"{client.org_id}-settlement")


def test_scheduled_termination_runs_by_itself_and_consumes_the_surplus(
    tokyo: Agency, acme: Client, clock: DevClock
) -> None:
    top_up(acme, tokyo, 2500)
    expect_balance(acme, 2500)
    acme.edit(termination=termination(NEW_YEAR))
    acme.expect(lambda it: it["status"].get("termination", {}).get("scheduledTime"), "be scheduled")
    acme.edit(termination=termination(NEW_YEAR + timedelta(days=30)))
    acme.edit(termination=None)
    acme.expect(lambda it: "termination" not in it["status"], "be withdrawn")
    acme.edit(termination=termination(NEW_YEAR))
    acme.expect(lambda it: it["status"].get("termination", {}).get("scheduledTime"), "be scheduled again")
    clock.set(DECEMBER)
    expect_charges(tokyo, acme, p2026_12=1000)
    acme.expect(lambda it: "nextCharge" not in it["status"]["points"], "expect no charge after the end")
    assert acme.status["state"] == "Active"

    clock.set(NEW_YEAR)

    manifest = acme.expect_state("Terminated")
    assert manifest["status"]["deactivation"]["purgeAfter"] == "2027-04-01T00:00:00Z"
    settlement(tokyo, acme).expect_phase("Posted")
    manifest = expect_balance(acme, 0)
    assert manifest["status"]["termination"]["settlement"] == f"{acme.org_id}-settlement"
    (entry,) = transactions(tokyo, "Settlement")
    assert (entry["spec"]["from"], entry["spec"]["to"], entry["spec"]["amount"]) == ("org/acme", "consumed", 1500)
    expect_pool_balance(tokyo, 2500)
    with pytest.raises(RefusedError, match=r"spec\.termination.*cannot be changed or taken back"):
        acme.edit(termination=None)
    top_up(acme, tokyo, 10, "late").expect_phase("Rejected", "ClientTerminated")
    clock.set(NEW_YEAR + timedelta(days=60))
    assert list(charges(tokyo)) == ["2026-12"]
    verify(tokyo)


def test_shortfall_is_made_up_from_the_pool(tokyo: Agency, acme: Client, clock: DevClock) -> None:
    clock.set(DECEMBER)
    expect_charges(tokyo, acme, p2026_12=1000)
    acme.edit(termination=termination())

    acme.expect_state("Terminated")

    settlement(tokyo, acme).expect_phase("Posted")
    expect_balance(acme, 0)
    expect_pool_balance(tokyo, 4000)
    verify(tokyo)


def test_termination_of_a_downtime_charges_until_its_date_only(
    tokyo: Agency, acme: Client, clock: DevClock, clockwork: OperatorProcess
) -> None:
    acme.edit(termination=termination(NEW_YEAR))
    acme.expect(lambda it: it["status"].get("termination", {}).get("scheduledTime"), "be scheduled")
    clockwork.stop()
    clock.set(NEW_YEAR + timedelta(days=60))
    clockwork.start()

    acme.expect_state("Terminated")

    expect_charges(tokyo, acme, p2026_12=1000)
    expect_balance(acme, 0)
    assert [item["spec"]["kind"] for item in transactions(tokyo)] == ["Purchase", "Charge", "Settlement"]
    verify(tokyo)


def test_settlement_waits_for_the_pool(tokyo: Agency, clock: DevClock) -> None:
    tokyo.plan.set(billing=BILLING)
    acme = tokyo.ready_client()
    acme.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")
    clock.set(DECEMBER)
    expect_balance(acme, -1000)
    acme.edit(termination=termination())
    settlement(tokyo, acme).expect_phase("Waiting", "PoolShort")
    acme.expect_condition("Reconciling", "True", "SettlementPending", "-settlement")

    purchase(tokyo, 1000)

    acme.expect_state("Terminated")
    expect_balance(acme, 0)
    verify(tokyo)


def test_deleted_client_leaves_a_settled_account(tokyo: Agency, acme: Client) -> None:
    top_up(acme, tokyo, 700)
    expect_balance(acme, 700)
    settling, workspace = settlement(tokyo, acme), acme.workspace
    acme.delete_confirmed()
    acme.expect_gone()

    settling.expect_phase("Posted")
    assert acme.kube.find(NAMESPACES, workspace) is None
    again = tokyo.ready_client()
    manifest = again.expect(lambda it: "points" in it["status"], "have an account")
    assert manifest["status"]["points"]["balance"] == 0, "another client of the same name begins with nothing"
    found = verify(tokyo)
    assert found.balances["pool/pool"] == 4300
