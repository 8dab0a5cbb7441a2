"""The monthly charge, top-ups and purchases, a negative balance (FEATURES S5-S8, S10, X3), on the stepped clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster.pointverbs import (
    BILLING,
    charges,
    expect_balance,
    expect_charges,
    expect_pool_balance,
    purchase,
    top_up,
    transact,
    transactions,
    verify,
)
from tests.cluster.verbs import Agency, condition_of
from tests.support.devclock import START, DevClock
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

DECEMBER = datetime(2026, 12, 25, tzinfo=UTC)
JANUARY = datetime(2027, 1, 25, tzinfo=UTC)
FEBRUARY = datetime(2027, 2, 25, tzinfo=UTC)


def test_three_months_of_charges(tokyo: Agency, clock: DevClock) -> None:
    tokyo.plan.set(billing=BILLING)
    acme = tokyo.ready_client(contractedUsers=12)
    points = acme.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")["status"]
    assert points["points"]["nextCharge"] == 1100
    assert points["points"]["nextChargeTime"] == "2026-12-25T00:00:00Z"
    assert points["points"]["projectedBalance"] == -1100
    purchase(tokyo, 5000)
    top_up(acme, tokyo, 3000).expect_phase("Posted")
    expect_balance(acme, 3000)
    expect_pool_balance(tokyo, 2000)
    assert acme.status["points"]["runwayMonths"] == 2

    clock.set(DECEMBER - timedelta(seconds=1))
    acme.ask_for_reconcile("before")
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "before", "have looked")
    assert charges(tokyo) == {}
    announced = acme.status["points"]["nextCharge"]
    clock.set(DECEMBER)
    expect_charges(tokyo, acme, p2026_12=1100)
    assert charges(tokyo)["2026-12"] == announced, "preview is charge"
    expect_balance(acme, 1900)
    acme.edit(contractedUsers=20)
    acme.expect(lambda it: it["status"]["points"]["nextCharge"] == 1500, "cost more")
    clock.set(JANUARY)
    expect_charges(tokyo, acme, p2026_12=1100, p2027_01=1500)
    clock.set(FEBRUARY)
    expect_charges(tokyo, acme, p2026_12=1100, p2027_01=1500, p2027_02=1500)

    manifest = expect_balance(acme, -1100)
    assert condition_of(manifest, "BalanceNegative")["status"] == "True"
    frozen = transactions(tokyo, "Charge")[1]["spec"]["charge"]
    assert (frozen["users"], frozen["basePoints"], frozen["previousPeriod"]) == (20, 1000, "2026-12")
    found = verify(tokyo)
    assert sum(found.balances.values()) == 0


def test_missed_periods_are_charged_once_and_oldest_first(
    tokyo: Agency, clock: DevClock, clockwork: OperatorProcess
) -> None:
    tokyo.plan.set(billing=BILLING)
    acme = tokyo.ready_client()
    acme.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")

    clockwork.stop()
    clock.set(FEBRUARY + timedelta(days=3))
    clockwork.start()

    expect_charges(tokyo, acme, p2026_12=1000, p2027_01=1000, p2027_02=1000)
    assert [item["spec"]["period"] for item in transactions(tokyo, "Charge")] == ["2026-12", "2027-01", "2027-02"]
    expect_balance(acme, -3000)
    clockwork.kill()
    clock.set(START)
    clockwork.start()
    clock.set(FEBRUARY + timedelta(days=4))
    acme.ask_for_reconcile("again")
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "again", "have looked")
    assert len(charges(tokyo)) == 3
    verify(tokyo)


def test_top_up_waits_for_a_purchase_and_goes_through_then(tokyo: Agency, clockwork: OperatorProcess) -> None:
    acme = tokyo.ready_client()
    purchase(tokyo, 100)
    waiting = top_up(acme, tokyo, 250)

    message = waiting.expect_phase("Waiting", "PoolShort")["status"]["conditions"][0]["message"]
    assert "lacks 150 of 250" in message
    short = tokyo.pool.expect_condition("PointsShort", "True", "Short", "150 points are missing")
    assert "purchase" in short["message"]
    assert clockwork.metrics()[f'clientorg_pool_points{{namespace="{tokyo.name}",pool="pool",state="missing"}}'] == 150
    small = top_up(acme, tokyo, 60, "top-up-2")
    small.expect_phase("Posted")
    expect_pool_balance(tokyo, 40)

    purchase(tokyo, 500, "purchase-2")

    waiting.expect_phase("Posted")
    expect_balance(acme, 310)
    expect_pool_balance(tokyo, 290)
    tokyo.pool.expect_condition("PointsShort", "False", "Sufficient")
    verify(tokyo)


def test_reversal_undoes_a_movement_once(tokyo: Agency) -> None:
    acme = tokyo.ready_client()
    purchase(tokyo, 500)
    top_up(acme, tokyo, 200).expect_phase("Posted")
    undone = transact(tokyo, "top-up-1-reversal", "Reversal", "org/acme", "pool/pool", 200, reverses="top-up-1")
    undone.expect_phase("Posted")

    expect_balance(acme, 0)
    expect_pool_balance(tokyo, 500)
    wrong = transact(tokyo, "purchase-1-reversal", "Reversal", "pool/pool", "external", 499, reverses="purchase-1")
    assert "500" in wrong.expect_phase("Rejected", "ReversalMismatch")["status"]["conditions"][0]["message"]
    verify(tokyo)


def test_transaction_for_a_client_that_comes_later_waits_for_it(tokyo: Agency) -> None:
    purchase(tokyo, 500)
    early = transact(tokyo, "early", "TopUp", "pool/pool", "org/acme", 50)
    early.expect_phase("Waiting", "ClientNotFound")

    acme = tokyo.ready_client()

    assert early.expect_phase("Posted")["status"]["orgID"] == acme.org_id
    expect_balance(acme, 50)
    verify(tokyo)


def test_foreign_pool_is_refused(tokyo: Agency) -> None:
    acme = tokyo.ready_client()
    tokyo.new_pool("other", visitors=1)
    foreign = transact(tokyo, "foreign", "TopUp", "pool/other", f"org/{acme.name}", 50)

    manifest = foreign.expect_phase("Rejected", "ForeignAccount")

    assert "pool/pool" in condition_of(manifest, "Stalled")["message"]


def test_negative_balance_pauses_after_the_tolerance_and_resumes_when_it_is_paid(
    tokyo: Agency, clock: DevClock
) -> None:
    tokyo.plan.set(billing={**BILLING, "negativeToleranceDays": 3})
    acme = tokyo.ready_client()
    acme.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")
    clock.set(DECEMBER)

    manifest = expect_balance(acme, -1000)
    assert manifest["status"]["points"]["negativeSince"] == "2026-12-25T00:00:00Z"
    assert "2026-12-28T00:00:00Z" in condition_of(manifest, "BalanceNegative")["message"]
    assert manifest["status"]["state"] == "Active"
    clock.set(DECEMBER + timedelta(days=3))
    acme.expect_state("Paused", "NegativeBalance")

    purchase(tokyo, 1000)
    top_up(acme, tokyo, 1000)

    acme.expect_state("Active")
    acme.expect_condition("BalanceNegative", "False", "Covered")


@pytest.mark.parametrize(
    ("rule", "amount", "due"),
    [("Immediate", 1000, "2026-12-10T12:00:00Z"), ("Prorated", 500, "2026-12-10T12:00:00Z")],
)
def test_client_that_begins_between_anchors(tokyo: Agency, clock: DevClock, rule: str, amount: int, due: str) -> None:
    """From 10 to 25 December are 15 of 30 days, the 10th included; 1,000 × 15 / 30 = 500."""
    tokyo.plan.set(billing={**BILLING, "firstCharge": rule})
    clock.set(datetime(2026, 12, 10, 12, tzinfo=UTC))
    acme = tokyo.ready_client()
    expect_charges(tokyo, acme, p2026_11=amount)
    expect_balance(acme, -amount)
    frozen = transactions(tokyo, "Charge")[0]["spec"]["charge"]
    assert frozen["dueTime"] == due
    clock.set(DECEMBER)
    expect_charges(tokyo, acme, p2026_11=amount, p2026_12=1000)
    verify(tokyo)


def test_deactivated_client_is_not_charged_and_begins_anew(tokyo: Agency, clock: DevClock) -> None:
    tokyo.plan.set(billing=BILLING)
    acme = tokyo.ready_client()
    acme.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")
    clock.set(DECEMBER)
    expect_charges(tokyo, acme, p2026_12=1000)
    acme.edit(state="Deactivated")
    acme.expect_state("Deactivated")
    clock.set(JANUARY + timedelta(days=1))
    acme.ask_for_reconcile("in January")
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "in January", "have looked")
    assert list(charges(tokyo)) == ["2026-12"]

    acme.edit(state="Active")
    acme.expect_state("Paused", "NegativeBalance")
    clock.set(FEBRUARY)

    expect_charges(tokyo, acme, p2026_12=1000, p2027_02=1000)
    assert transactions(tokyo, "Charge")[1]["spec"]["charge"]["resumed"] is True
    verify(tokyo)


def test_fewer_users_count_from_the_next_period(tokyo: Agency, clock: DevClock) -> None:
    tokyo.plan.set(billing=BILLING)
    acme = tokyo.ready_client(contractedUsers=12)
    acme.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")
    clock.set(DECEMBER)
    expect_charges(tokyo, acme, p2026_12=1100)

    acme.edit(contractedUsers=5)

    acme.expect(lambda it: it["status"]["points"]["nextCharge"] == 1000, "cost less")
    assert acme.status["users"]["contracted"] == 12, "they are paid for"
    clock.set(JANUARY)
    acme.expect(lambda it: it["status"]["users"]["contracted"] == 5, "have the lower cap")
    acme.edit(contractedUsers=15)
    acme.expect(lambda it: it["status"]["users"]["contracted"] == 15, "have the higher cap at once")


def test_users_beyond_the_contract_are_told(tokyo: Agency, clock: DevClock) -> None:
    acme = tokyo.ready_client(contractedUsers=10)
    report = tokyo.report(acme.org_id, clock.now, visitors=0)
    report.edit(users={"total": 14, "administrators": 3})

    acme.expect_condition("UsersOverLimit", "True", "OverLimit", "11 users", "covers 10")
    acme.edit(contractedUsers=11)
    acme.expect_condition("UsersOverLimit", "False", "WithinLimit")
