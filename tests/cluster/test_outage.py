"""The API server goes away and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from clientorg.cluster.resources import NETWORK_POLICIES
from tests.cluster.history import History
from tests.cluster.operators import QUICK_LEASE, Operators, expect_idle
from tests.cluster.verbs import Agency, expect_never
from tests.controlplane import ControlPlane
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until

pytestmark = pytest.mark.cluster

OUTAGE_SECONDS = 3.0


@pytest.fixture
def plane(cluster: Cluster) -> Iterator[ControlPlane]:
    """The control plane, whose API server is there again afterwards."""
    if not cluster.capabilities.can_stop_apiserver:
        pytest.skip("the API server of this cluster cannot be stopped")
    plane = cast(ControlPlane, cluster)
    yield plane
    plane.thaw_apiserver()
    plane.start_apiserver()


def test_operator_says_that_it_is_not_ready_and_sees_what_was_done_right_after_the_outage(
    plane: ControlPlane, operators: Operators, tokyo: Agency
) -> None:
    operator = operators.start(leader_election=False)
    acme, beta = tokyo.ready_client(), tokyo.ready_client("beta")
    expect_idle(operator)

    plane.stop_apiserver()

    wait_until(lambda: operator.answers("readyz") == 503, 30, "the operator to say that it is not ready")
    assert "API server" in operator.text("readyz")
    assert operator.answers("healthz") == 200
    expect_never(lambda: not operator.is_running(), OUTAGE_SECONDS, "the operator to end")

    plane.start_apiserver()  # the watches are still in their backoff

    tokyo.kube.delete(NETWORK_POLICIES, "clientorg-default-deny", acme.workspace)
    beta.ask_for(visitors=20)
    late = tokyo.client("late")
    late.expect_ready(90)
    acme.expect_child(NETWORK_POLICIES, "clientorg-default-deny")
    beta.expect_granted(visitors=20)
    assert tokyo.expect_balanced() == 40
    wait_until(lambda: operator.answers("readyz") == 200, 60, "the operator to be ready again")


def test_leader_that_cannot_renew_ends_and_its_successor_catches_up(
    plane: ControlPlane, operators: Operators, tokyo: Agency
) -> None:
    operator = operators.start(**QUICK_LEASE)
    acme = tokyo.ready_client()

    plane.stop_apiserver()

    assert operator.wait_exit(30) != 0
    assert "could not be renewed" in operator.tail()
    plane.start_apiserver()
    acme.ask_for(visitors=20)
    operators.start(**QUICK_LEASE)
    acme.expect_ready()
    tokyo.client("beta").expect_ready()


def test_operator_started_during_an_outage_waits_for_its_end(
    plane: ControlPlane, operators: Operators, tokyo: Agency
) -> None:
    plane.stop_apiserver()
    operator = operators.new(**QUICK_LEASE)

    operator.start(wait_ready=False)

    wait_until(lambda: operator.answers("readyz") == 503, 30, "the operator to say that it is not ready")
    assert operator.answers("healthz") == 200
    plane.start_apiserver()
    wait_until(lambda: operator.answers("readyz") == 200, 60, "the operator to be ready")
    tokyo.client().expect_ready()


def test_outage_in_the_middle_of_much_work_loses_nothing(
    plane: ControlPlane, operators: Operators, tokyo: Agency
) -> None:
    operator = operators.start(leader_election=False)
    clients = tokyo.clients(30)

    plane.stop_apiserver(grace_seconds=0.0)
    expect_never(lambda: not operator.is_running(), OUTAGE_SECONDS, "the operator to end")
    plane.start_apiserver()

    with History(tokyo):
        tokyo.expect_all_ready(clients, 120)
        assert tokyo.expect_balanced() == 300


def test_server_that_hangs_is_waited_for(plane: ControlPlane, operators: Operators, tokyo: Agency) -> None:
    """Connections are accepted and nothing answers."""
    operator = operators.start(leader_election=False)
    clients = tokyo.clients(10)

    plane.freeze_apiserver()
    expect_never(lambda: not operator.is_running(), OUTAGE_SECONDS, "the operator to end")
    plane.thaw_apiserver()

    tokyo.expect_all_ready(clients, 90)
    assert tokyo.expect_balanced() == 100
