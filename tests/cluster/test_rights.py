"""Rights taken from the operator: it says so, goes on with the rest, and recovers when it has them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from clientorg.cluster.resources import CLIENT_ORGS, NETWORK_POLICIES, RESOURCE_QUOTAS
from tests.cluster.operators import IDENTITY, Operators
from tests.cluster.verbs import Agency, condition_of, expect_never
from tests.controlplane.waiting import wait_until
from tests.support.kube import CLUSTER_ROLES, Json, Kube
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster

ROLE = "clientorg-operator"
RECOVERY_SECONDS = 90.0
"""Retries are at most 60 s apart."""


@pytest.fixture
def rules(api: Kube) -> Iterator[Callable[[list[Json]], None]]:
    """Changes the rules of the operator's ClusterRole; the old ones come back afterwards."""
    before = api.get(CLUSTER_ROLES, ROLE)["rules"]

    def change(rules: list[Json]) -> None:
        api.merge(CLUSTER_ROLES, ROLE, {"rules": rules})

    yield change
    change(before)
    operator = api.as_user(IDENTITY)
    wait_until(lambda: operator.may("create", NETWORK_POLICIES, "default"), 30, "the rights to be back")


def without(rules: list[Json], resource: str, *verbs: str) -> list[Json]:
    """The rules without these verbs on one resource."""
    return [
        {**rule, "verbs": [verb for verb in rule["verbs"] if verb not in verbs]}
        if resource in rule["resources"]
        else rule
        for rule in rules
    ]


def test_missing_right_is_named_and_everything_else_goes_on(
    operator: OperatorProcess, tokyo: Agency, api: Kube, rules: Callable[[list[Json]], None]
) -> None:
    ready = tokyo.ready_client("ready")
    given = api.get(CLUSTER_ROLES, ROLE)["rules"]
    rules(without(given, "networkpolicies", "create", "patch", "update"))
    wait_until(lambda: not api.as_user(IDENTITY).may("create", NETWORK_POLICIES, "default"), 30, "the right to be gone")

    acme = tokyo.client()

    acme.expect_condition(
        "WorkspaceReady", "False", "Forbidden", "NetworkPolicy", "cannot patch", "ClusterRole clientorg-operator"
    )
    assert condition_of(acme.read(), "Reconciling")["status"] == "True"
    assert acme.granted == {"visitors": 10}
    assert acme.child(RESOURCE_QUOTAS, "clientorg-quota")
    assert not api.list_all(NETWORK_POLICIES, acme.workspace)
    ready.ask_for(visitors=20)
    ready.expect_ready()
    rules(given)
    acme.expect_ready(RECOVERY_SECONDS)


def test_operator_without_any_rights_survives_and_catches_up(
    operators: Operators, tokyo: Agency, api: Kube, rules: Callable[[list[Json]], None]
) -> None:
    operator = operators.start(leader_election=False)
    tokyo.ready_client("ready")
    given = api.get(CLUSTER_ROLES, ROLE)["rules"]
    rules([])
    wait_until(lambda: not api.as_user(IDENTITY).may("patch", CLIENT_ORGS, tokyo.name), 30, "the rights to be gone")

    acme = tokyo.client()

    wait_until(lambda: refused(operator), 30, "the operator to be refused")
    expect_never(lambda: not operator.is_running(), 2, "the operator to end")
    assert operator.answers("healthz") == 200
    rules(given)
    acme.expect_ready(RECOVERY_SECONDS)


def test_operator_started_without_rights_waits_for_them(
    operators: Operators, tokyo: Agency, api: Kube, rules: Callable[[list[Json]], None]
) -> None:
    given = api.get(CLUSTER_ROLES, ROLE)["rules"]
    rules([])
    wait_until(lambda: not api.as_user(IDENTITY).may("list", CLIENT_ORGS, tokyo.name), 30, "the rights to be gone")
    operator = operators.new(leader_election=False)

    operator.start(wait_ready=False)

    wait_until(lambda: operator.answers("readyz") == 503, 30, "the operator to say that it is not ready")
    wait_until(lambda: "forbidden" in operator.tail(), 30, "the log to say what is forbidden")
    expect_never(lambda: not operator.is_running(), 3, "the operator to end")
    rules(given)
    tokyo.client().expect_ready(RECOVERY_SECONDS)
    wait_until(lambda: operator.answers("readyz") == 200, 60, "the operator to be ready")


def refused(operator: OperatorProcess) -> bool:
    """Whether the API server refused it anything."""
    return any('code="403"' in name and value > 0 for name, value in operator.metrics().items())
