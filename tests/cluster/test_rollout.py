"""A changed blueprint goes out in stages, and what is broken stops at the first workspace (FEATURES A5)."""

from __future__ import annotations

from typing import Any

import pytest

from clientorg.api.meta import LABEL_ORG_ID
from clientorg.cluster.resources import CONFIG_MAPS, ORG_PLANS
from tests.cluster.operators import Operators
from tests.cluster.test_plans import DEPLOYMENTS, config_map, deployment
from tests.cluster.verbs import Agency, Client, Json, condition_of
from tests.controlplane.waiting import wait_until
from tests.support.kube import Kube
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster

CLIENTS = 6
NOWHERE = {"nodeSelector": {"no": "such-node"}}
"""Pods that find no node: their Deployment never becomes available."""


def blueprint_of(manifest: Json) -> Json:
    """How far a plan's blueprint is."""
    found: Json = manifest["status"]["blueprint"]
    return found


def stuck(app: str = "site") -> Json:
    """A Deployment whose new pods never run, and on which Kubernetes soon gives up."""
    found = deployment(app=app, progressDeadlineSeconds=2, strategy={"rollingUpdate": {"maxUnavailable": 0}})
    found["spec"]["template"]["spec"] |= NOWHERE
    return found


def data_of(client: Client) -> Any:
    """What the one ConfigMap of the blueprint holds."""
    return client.child(CONFIG_MAPS, "welcome")["data"]


def most_changing(api: Kube, agency: Agency, since: str) -> int:
    """How many workspaces were changing at once, by all versions of the plan since then."""
    versions = [item for _, item in api.watch(ORG_PLANS, agency.name, since, 1)]
    return max(len(blueprint_of(item).get("inProgress", ())) for item in versions)


@pytest.mark.usefixtures("operator")
def test_change_goes_to_one_then_to_so_many_and_a_broken_one_to_none(
    tokyo: Agency, api: Kube, operator: OperatorProcess
) -> None:
    tokyo.plan.change(blueprint=[config_map(a="1"), deployment()], rollout={"maxUnavailable": 2})
    clients = tokyo.clients(CLIENTS)
    tokyo.expect_all_ready(clients)
    first = tokyo.plan.expect(lambda it: blueprint_of(it).get("progress") == "6/6", "have it everywhere")
    since = first["metadata"]["resourceVersion"]

    # Sound: everywhere, never in more than two at once, with what left it gone.
    tokyo.plan.change(blueprint=[config_map(a="2")], rollout={"maxUnavailable": 2})
    tokyo.plan.expect_ready()
    plan = tokyo.plan.read()
    assert blueprint_of(plan)["progress"] == "6/6"
    assert blueprint_of(plan)["revision"] != blueprint_of(first)["revision"]
    assert [data_of(client) for client in clients] == [{"a": "2"}] * CLIENTS
    assert not any(client.has(DEPLOYMENTS, "site") for client in clients)
    assert 1 <= most_changing(api, tokyo, since) <= 2
    assert all(client.status["workspace"]["blueprint"]["objects"] == ["ConfigMap/welcome"] for client in clients)

    # Refused by the server: nothing is written anywhere, also not what is sound in it.
    broken = deployment(selector={"matchLabels": {"app": "other"}})
    tokyo.plan.change(blueprint=[config_map(a="3"), broken], rollout={"maxUnavailable": 2})
    tokyo.plan.expect_stalled("BlueprintInvalid", "client client-000", "Deployment site", "selector", "in 0 of 6")
    clients[0].expect_stalled("BlueprintInvalid", "Deployment site", "it had before")
    assert [data_of(client) for client in clients] == [{"a": "2"}] * CLIENTS
    assert all(condition_of(client.read(), "Ready")["status"] == "True" for client in clients[1:])
    late = tokyo.ready_client("late")
    assert data_of(late) == {"a": "2"}, "a new client gets what went through"
    failed = "clientorg_plan_blueprint_workspaces{" + f'namespace="{tokyo.name}",plan="standard",state="failed"' + "}"
    assert operator.metrics()[failed] == 1

    # Accepted by the server, but never up: the first workspace is put back, what was new in it is gone.
    tokyo.plan.change(blueprint=[config_map(a="4"), stuck()], rollout={"maxUnavailable": "50%"})
    tokyo.plan.expect_stalled("BlueprintInvalid", "Deployment site", "timed out progressing")
    clients[0].expect_child(CONFIG_MAPS, "welcome", lambda it: it["data"] == {"a": "2"})
    clients[0].expect_no_child(DEPLOYMENTS, "site")
    assert [data_of(client) for client in clients[1:]] == [{"a": "2"}] * (CLIENTS - 1)
    assert clients[0].status["state"] == "Active"

    # Corrected: everywhere.
    tokyo.plan.change(blueprint=[config_map(a="5")])
    tokyo.plan.expect_ready()
    tokyo.expect_all_ready([*clients, late])
    assert [data_of(client) for client in [*clients, late]] == [{"a": "5"}] * (CLIENTS + 1)
    told = [event["reason"] for event in tokyo.plan.events()]
    assert told.count("RolloutStopped") == 2
    assert "RolloutComplete" in told


@pytest.mark.usefixtures("operator")
def test_client_that_has_taken_the_name_is_passed_over_and_tried_again_when_asked(tokyo: Agency, api: Kube) -> None:
    """No tenant keeps the others from what they are to have; and what is pruned is what our records say."""
    acme, beta = tokyo.client("acme"), tokyo.client("beta")
    tokyo.expect_all_ready([acme, beta])
    api.create({**config_map("welcome", mine="yes"), "metadata": {"name": "welcome", "namespace": acme.workspace}})

    tokyo.plan.change(blueprint=[config_map(a="1"), config_map("page", b="1")])

    beta.expect_child(CONFIG_MAPS, "welcome", lambda it: it["data"] == {"a": "1"})
    tokyo.plan.expect_condition("Ready", "True", "Accepted", "acme")
    acme.expect_stalled("BlueprintInvalid", "ConfigMap welcome", "the client's own")
    assert data_of(acme) == {"mine": "yes"}
    assert not acme.has(CONFIG_MAPS, "page")

    api.delete(CONFIG_MAPS, "welcome", acme.workspace)
    acme.ask_for_reconcile()
    acme.expect_child(CONFIG_MAPS, "welcome", lambda it: it["data"] == {"a": "1"})
    acme.expect_ready()

    # Labels are the client's to change: they neither save an object of ours nor make one of theirs ours.
    beta.expect_child(CONFIG_MAPS, "page")
    own = {"name": "own", "namespace": beta.workspace, "labels": {LABEL_ORG_ID: beta.org_id}}
    api.create({**config_map("own", mine="yes"), "metadata": own})
    tokyo.plan.change(blueprint=[])
    api.merge(CONFIG_MAPS, "page", {"metadata": {"labels": {LABEL_ORG_ID: None}}}, beta.workspace)
    for client in (acme, beta):
        client.expect_no_child(CONFIG_MAPS, "page")
        client.expect_no_child(CONFIG_MAPS, "welcome")
    assert beta.has(CONFIG_MAPS, "own")


def test_crash_in_the_middle_is_resumed_and_loses_nothing(tokyo: Agency, api: Kube, operators: Operators) -> None:
    operator = operators.start(leader_election=False)
    tokyo.plan.change(blueprint=[config_map(a="1"), config_map("old")], rollout={"maxUnavailable": 1})
    clients = tokyo.clients(4)
    tokyo.expect_all_ready(clients)
    slow = stuck()
    slow["spec"] |= {"progressDeadlineSeconds": 600}
    tokyo.plan.change(blueprint=[config_map(a="2"), slow], rollout={"maxUnavailable": 1})
    tokyo.plan.expect(lambda it: len(blueprint_of(it)["inProgress"]) == 1, "have begun with one")
    clients[0].expect_child(DEPLOYMENTS, "site")

    operator.kill()
    tokyo.plan.change(blueprint=[config_map(a="3")], rollout={"maxUnavailable": 1})
    # What the killed one had made is in its records alone: a client took our label off it meanwhile.
    api.merge(DEPLOYMENTS, "site", {"metadata": {"labels": {LABEL_ORG_ID: None}}}, clients[0].workspace)
    api.merge(CONFIG_MAPS, "old", {"metadata": {"labels": {LABEL_ORG_ID: None}}}, clients[1].workspace)
    operators.start(leader_election=False)

    tokyo.plan.expect_ready()
    wait_until(lambda: [data_of(client) for client in clients] == [{"a": "3"}] * 4, 60, "everybody to have it")
    for client in clients:
        client.expect_no_child(CONFIG_MAPS, "old")
        client.expect_no_child(DEPLOYMENTS, "site")
        client.expect_ready()
