"""Two replicas: one works, the other takes over (DESIGN section 8; issue 3, deliverable 5)."""

from __future__ import annotations

import pytest

from clientorg.cluster.resources import LEASES
from tests.cluster.operators import LEASE, QUICK_LEASE, Operators
from tests.cluster.verbs import Agency, expect_never
from tests.controlplane.waiting import wait_until
from tests.support.install import NAMESPACE
from tests.support.kube import Json, Kube
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster

LONG_LEASE = {"lease_seconds": 120, "renew_deadline_seconds": 60, "lease_retry_seconds": 0.3}
"""So long that a test that waits for its end fails."""


def leads(operator: OperatorProcess) -> bool:
    """Whether the operator says that it leads."""
    return operator.metrics()["clientorg_leader"] == 1


def lease(api: Kube) -> Json:
    """The Lease's spec."""
    spec: Json = api.get(LEASES, LEASE, NAMESPACE)["spec"]
    return spec


@pytest.fixture
def pair(request: pytest.FixtureRequest, operators: Operators) -> tuple[OperatorProcess, OperatorProcess]:
    """Leader and stand-by, both ready; the lease times are the test's parameter."""
    leader = operators.start(identity="one", **request.param)
    wait_until(lambda: leads(leader), 30, "the first to lead")
    standby = operators.start(identity="two", **request.param)
    return leader, standby


@pytest.mark.parametrize("pair", [LONG_LEASE], indirect=True, ids=["long lease"])
def test_only_the_leader_works_and_sigterm_hands_over_at_once(
    pair: tuple[OperatorProcess, OperatorProcess], tokyo: Agency, api: Kube
) -> None:
    leader, standby = pair
    acme = tokyo.ready_client()

    assert lease(api)["holderIdentity"] == "one"
    assert leader.writes() > 0
    assert standby.writes() == 0
    assert not leads(standby)
    assert standby.answers("readyz") == 200

    assert leader.stop() == 0

    wait_until(lambda: leads(standby), 30, "the other one to lead, long before the lease runs out")
    assert lease(api)["holderIdentity"] == "two"
    acme.ask_for(visitors=20)
    acme.expect_ready()
    tokyo.client("beta").expect_ready()
    assert tokyo.pool.status["writer"] == "two"


@pytest.mark.parametrize("pair", [QUICK_LEASE], indirect=True, ids=["quick lease"])
def test_killed_leader_is_replaced_when_its_lease_has_run_out_and_its_work_finished(
    pair: tuple[OperatorProcess, OperatorProcess], tokyo: Agency
) -> None:
    leader, standby = pair
    clients = tokyo.clients(30)

    leader.kill()

    tokyo.expect_all_ready(clients, 90)
    assert leads(standby)
    assert tokyo.expect_balanced() == 300


@pytest.mark.parametrize("pair", [QUICK_LEASE], indirect=True, ids=["quick lease"])
def test_leader_whose_lease_was_taken_ends_with_an_error_and_a_standby_waits(
    pair: tuple[OperatorProcess, OperatorProcess], api: Kube
) -> None:
    leader, standby = pair
    taken = {"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 60}}
    api.merge(LEASES, LEASE, taken, NAMESPACE)

    assert leader.wait_exit(30) == 1
    assert "lease clientorg-system/clientorg-operator could not be renewed" in leader.tail()
    assert lease(api)["holderIdentity"] == "somebody-else"
    expect_never(lambda: not standby.is_running() or leads(standby), 4, "the stand-by to end or lead")


def test_deleted_lease_is_made_anew(operators: Operators, tokyo: Agency, api: Kube) -> None:
    operators.start(identity="one", **QUICK_LEASE)

    api.delete(LEASES, LEASE, NAMESPACE)

    wait_until(lambda: api.find(LEASES, LEASE, NAMESPACE), 30, "the Lease to be there again")
    assert lease(api)["holderIdentity"] == "one"
    tokyo.ready_client()


def test_drained_leader_leaves_nothing_half_done(operators: Operators, tokyo: Agency, api: Kube) -> None:
    """SIGTERM in the middle of much work: what is begun is finished, and the exit is clean and quick."""
    leader = operators.start(**LONG_LEASE)
    clients = tokyo.clients(30)

    assert leader.stop(deadline_seconds=30) == 0

    log = leader.log.read_text()
    assert "Traceback" not in log
    assert '"level": "ERROR"' not in log
    assert "did not end in time" not in log
    assert not lease(api)["holderIdentity"]
    operators.start(**LONG_LEASE)
    tokyo.expect_all_ready(clients, 90)
    assert tokyo.expect_balanced() == 300
