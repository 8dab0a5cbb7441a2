"""Plans in use: blueprints, changes that roll out, plans that cannot be carried out (FEATURES A5; DESIGN rule 11)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from clientorg.cluster.resources import (
    CONFIG_MAPS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    resource_of,
)
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client, condition_of, expect_never
from tests.controlplane.waiting import wait_until
from tests.support.kube import Json, Kube
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

DEPLOYMENTS = resource_of({"apiVersion": "apps/v1", "kind": "Deployment"})
SERVICES = resource_of({"apiVersion": "v1", "kind": "Service"})
CRON_JOBS = resource_of({"apiVersion": "batch/v1", "kind": "CronJob"})


def config_map(name: str = "welcome", **data: str) -> Json:
    """A ConfigMap of a blueprint."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod_template(app: str) -> Json:
    """A pod of one container."""
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "main", "image": "none.example/a"}]}}


def deployment(name: str = "site", app: str = "site", **spec: Any) -> Json:
    """A Deployment of a blueprint."""
    labels = {"matchLabels": {"app": app}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": labels, "template": pod_template(app), **spec},
    }


class TestBlueprint:
    """The objects that each workspace begins with."""

    def test_objects_stand_in_each_workspace_with_its_own_values(self, tokyo: Agency) -> None:
        welcome = config_map(
            "about-$(name)",
            text="$(displayName) is $(orgID) of $(agency) in $(namespace), $(language), $(unknown), $5",
        )
        welcome["metadata"]["annotations"] = {"client": "$(name)"}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "site"},
            "spec": {"selector": {"app": "site"}, "ports": [{"port": 80}]},
        }
        tokyo.plan.change(blueprint=[welcome, deployment(), service])
        acme, beta = tokyo.client("acme", displayName="Acme K.K."), tokyo.client("beta")
        tokyo.expect_all_ready([acme, beta])

        found = acme.child(CONFIG_MAPS, "about-acme")
        assert found["data"]["text"] == (
            f"Acme K.K. is {acme.org_id} of {tokyo.name} in {acme.workspace}, en, $(unknown), $5"
        )
        assert found["metadata"]["annotations"]["client"] == "acme"
        assert beta.has(CONFIG_MAPS, "about-beta")
        assert not beta.has(CONFIG_MAPS, "about-acme")
        assert acme.has(SERVICES, "site")
        acme.expect_child(DEPLOYMENTS, "site", lambda it: it["status"].get("readyReplicas") == 1)

    def test_blueprint_reaches_no_other_namespace(self, tokyo: Agency, osaka: Agency) -> None:
        stray = config_map("stray")
        stray["metadata"]["namespace"] = osaka.name
        tokyo.plan.change(blueprint=[stray])

        acme = tokyo.ready_client()

        assert acme.has(CONFIG_MAPS, "stray")
        assert tokyo.kube.find(CONFIG_MAPS, "stray", osaka.name) is None

    def test_changed_blueprint_is_rolled_out_and_what_left_it_is_pruned(self, tokyo: Agency) -> None:
        tokyo.plan.change(blueprint=[config_map("first", a="1"), config_map("second", b="1"), deployment()])
        acme = tokyo.ready_client()
        tokyo.kube.create({**config_map("own", c="1"), "metadata": {"name": "own", "namespace": acme.workspace}})

        tokyo.plan.change(blueprint=[config_map("first", a="2"), config_map("third")])

        acme.expect_child(CONFIG_MAPS, "third")
        acme.expect_no_child(CONFIG_MAPS, "second")
        acme.expect_no_child(DEPLOYMENTS, "site")
        acme.expect_child(CONFIG_MAPS, "first", lambda it: it["data"] == {"a": "2"})
        assert acme.has(CONFIG_MAPS, "own")

    def test_change_while_no_operator_runs_is_carried_out_by_the_next(
        self, tokyo: Agency, operators: Operators
    ) -> None:
        operator = operators.start(leader_election=False)
        tokyo.plan.change(blueprint=[config_map("old"), config_map("kept", a="1")], network={"allowInternet": True})
        acme = tokyo.ready_client(admins=[{"name": "yuki@acme.example"}])
        operator.kill()
        tokyo.plan.change(blueprint=[config_map("new"), config_map("kept", a="2")])
        acme.edit(admins=[])

        operators.start(leader_election=False)

        acme.expect_child(CONFIG_MAPS, "new")
        acme.expect_child(CONFIG_MAPS, "kept", lambda it: it["data"] == {"a": "2"})
        acme.expect_no_child(CONFIG_MAPS, "old")
        acme.expect_no_child(NETWORK_POLICIES, "clientorg-allow-internet")
        acme.expect_no_child(ROLE_BINDINGS, "clientorg-client-viewers")

    def test_field_that_left_the_blueprint_leaves_the_object(self, tokyo: Agency) -> None:
        tokyo.plan.change(blueprint=[config_map(a="1", b="1")])
        acme = tokyo.ready_client()

        tokyo.plan.change(blueprint=[config_map(a="1")])

        acme.expect_child(CONFIG_MAPS, "welcome", lambda it: it["data"] == {"a": "1"})

    def test_what_the_client_adds_to_an_object_stays(self, tokyo: Agency, api: Kube, operator: OperatorProcess) -> None:
        tokyo.plan.change(blueprint=[config_map(a="1")])
        acme = tokyo.ready_client()

        api.merge(CONFIG_MAPS, "welcome", {"data": {"mine": "yes"}}, acme.workspace)
        acme.edit(displayName="Acme Holding")
        acme.expect_ready()

        expect_never(
            lambda: "mine" not in acme.child(CONFIG_MAPS, "welcome")["data"], 2, "the addition to be taken out"
        )

    def test_clients_own_object_of_that_name_is_neither_taken_over_nor_deleted(self, tokyo: Agency, api: Kube) -> None:
        acme = tokyo.ready_client()
        own = {"mine": "yes", "text": "hello"}
        api.create({**config_map("app", **own), "metadata": {"name": "app", "namespace": acme.workspace}})

        tokyo.plan.change(blueprint=[config_map("app", text="from the plan")])

        acme.expect(lambda it: condition_of(it, "Ready")["status"] == "False", "say that the name is taken")
        assert "ConfigMap app" in acme.condition("Ready")["message"]
        assert acme.child(CONFIG_MAPS, "app")["data"] == own
        tokyo.plan.change()
        acme.expect_ready()
        assert acme.child(CONFIG_MAPS, "app")["data"] == own

    def test_same_object_twice_stalls(self, tokyo: Agency) -> None:
        """Two names that are one after substitution: the schema cannot see it."""
        tokyo.plan.change(blueprint=[config_map("acme", a="1"), config_map("$(name)", a="2")])

        tokyo.client().expect_stalled("BlueprintInvalid", "ConfigMap acme")


class TestChange:
    """A changed plan reaches every client on it."""

    def test_every_client_on_the_plan_follows_and_no_other(self, tokyo: Agency) -> None:
        tokyo.new_plan("premium")
        clients = tokyo.clients(8)
        other = tokyo.client("other", plan="premium")
        tokyo.expect_all_ready([*clients, other])

        tokyo.plan.change(network={"allowInternet": True}, podSecurity={"enforce": "restricted"})

        for client in clients:
            client.expect_child(NETWORK_POLICIES, "clientorg-allow-internet")
            wait_until(partial(is_restricted, client), 30, f"{client!r} to follow the plan")
        assert not other.has(NETWORK_POLICIES, "clientorg-allow-internet")
        tokyo.plan.expect(lambda it: it["status"].get("clients") == 8, "count its clients")

    def test_client_moves_to_another_plan(self, tokyo: Agency) -> None:
        tokyo.plan.change(blueprint=[config_map("basic")], network={"allowInternet": True})
        premium = tokyo.new_plan("premium", blueprint=[config_map("premium")])
        acme = tokyo.ready_client()

        acme.edit(planRef={"name": "premium"})

        acme.expect_ready()
        assert acme.has(CONFIG_MAPS, "premium")
        assert not acme.has(CONFIG_MAPS, "basic")
        assert not acme.has(NETWORK_POLICIES, "clientorg-allow-internet")
        assert acme.granted == {"visitors": 10}
        premium.expect(lambda it: it["status"].get("clients") == 1, "count its client")
        tokyo.plan.expect(lambda it: it["status"].get("clients") == 0, "count its clients")


def is_restricted(client: Client) -> bool:
    """Whether pods of the workspace have to keep the restricted level."""
    labels = client.kube.get(NAMESPACES, client.workspace)["metadata"]["labels"]
    return bool(labels["pod-security.kubernetes.io/enforce"] == "restricted")


class TestBrokenPlan:
    """What the API server refuses stalls the clients with the object and the reason; corrected, they recover."""

    @pytest.mark.parametrize(
        ("broken", "words"),
        [
            pytest.param(
                deployment(selector={"matchLabels": {"app": "other"}}),
                ["Deployment site", "selector", "correct spec.workspace.blueprint of the plan"],
                id="labels that do not match",
            ),
            pytest.param(
                {**config_map(), "data": {"key": {"not": "a string"}}}, ["ConfigMap welcome", "data"], id="wrong type"
            ),
            pytest.param(
                {**config_map(), "spec": {"no": "such field"}}, ["ConfigMap welcome", "spec"], id="unknown field"
            ),
        ],
    )
    def test_broken_blueprint_stalls_and_the_corrected_one_recovers(
        self, tokyo: Agency, broken: Json, words: list[str]
    ) -> None:
        tokyo.plan.change(blueprint=[config_map("sound"), broken])
        acme = tokyo.client()

        acme.expect_stalled("BlueprintInvalid", *words)
        assert acme.granted == {"visitors": 10}
        assert acme.has(CONFIG_MAPS, "sound")

        tokyo.plan.change(blueprint=[config_map("sound")])
        acme.expect_ready()

    @pytest.mark.parametrize("name", ["Not A Name", "a/../../secrets/b?x"])
    def test_name_that_is_none_after_substitution_stalls(self, tokyo: Agency, name: str) -> None:
        """Also one that would lead a request elsewhere."""
        tokyo.plan.change(blueprint=[config_map("$(displayName)")])
        acme = tokyo.client(displayName=name)

        acme.expect_stalled("BlueprintInvalid", "spec.workspace.blueprint[0].metadata.name", repr(name))

        acme.edit(displayName="welcome")
        acme.expect_ready()

    def test_change_of_an_immutable_field_stalls_and_the_workload_goes_on(self, tokyo: Agency) -> None:
        tokyo.plan.change(blueprint=[deployment(app="one")])
        acme = tokyo.ready_client()

        tokyo.plan.change(blueprint=[deployment(app="two")])

        acme.expect_stalled("BlueprintInvalid", "Deployment site", "immutable")
        assert acme.child(DEPLOYMENTS, "site")["spec"]["selector"] == {"matchLabels": {"app": "one"}}
        assert acme.status["state"] == "Active"
        tokyo.plan.change(blueprint=[deployment(app="one")])
        acme.expect_ready()

    @pytest.mark.parametrize(
        ("workspace", "words"),
        [
            ({"resourceQuota": {"no such resource": "1"}}, ["ResourceQuota clientorg-quota"]),
            ({"limits": {"default": {"cpu": "2"}, "max": {"cpu": "1"}}}, ["LimitRange clientorg-limits", "cpu"]),
        ],
    )
    def test_limits_that_the_server_refuses_stall(self, tokyo: Agency, workspace: Json, words: list[str]) -> None:
        tokyo.plan.change(**workspace)
        acme = tokyo.client()

        acme.expect_stalled("WorkspaceRefused", *words, "correct the plan")

        tokyo.plan.change()
        acme.expect_ready()
        assert acme.has(LIMIT_RANGES, "clientorg-limits")

    def test_broken_plan_holds_up_no_client_of_another(self, tokyo: Agency) -> None:
        tokyo.new_plan("broken", blueprint=[deployment(selector={"matchLabels": {"app": "other"}})])
        tokyo.client("stuck", plan="broken").expect_stalled("BlueprintInvalid")

        tokyo.ready_client("acme")

    def test_long_url_stalls_with_what_to_do(self, tokyo: Agency) -> None:
        """128 characters of Japanese are 1,152 in an address, and status.workspace.url has room for 1,024."""
        tokyo.plan.change(urlTemplate="https://portal.example/$(displayName)")
        acme = tokyo.client(displayName="株" * 128)
        acme.expect(lambda it: condition_of(it, "Stalled").get("status") == "True", "be Stalled")
        assert "urlTemplate" in acme.condition("Stalled")["message"]

        tokyo.plan.change(urlTemplate="https://portal.example/$(orgID)")
        acme.expect_ready()
