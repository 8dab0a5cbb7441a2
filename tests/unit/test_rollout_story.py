"""Blueprints going out, told by the real passes on the API server in memory, with a crash at every request of one.

What the real API server refuses, prunes and dry-runs is in tests/cluster/test_rollout.py; here it is who is changed
when, and that nothing depends on where the operator dies.
"""

from __future__ import annotations

from typing import Any

import pytest

from clientorg.api.meta import LABEL_ORG_ID
from clientorg.cluster.resources import CLIENT_ORGS, CONFIG_MAPS, ORG_PLANS
from clientorg.cluster.rest import APPLY
from clientorg.domain.identity import org_id, workspace_namespace
from clientorg.errors import InvalidError
from tests.unit.apiserver import Json, MemoryServer
from tests.unit.world import AGENCY, World

PLAN = "standard"


class ApplyingServer(MemoryServer):
    """Keeps who applied what, as managedFields; has dry runs; refuses ConfigMaps with the entry `broken`."""

    def handle(self, method: str, path: str, params: dict[str, str], body: Any, content_type: str) -> Json:
        if content_type != APPLY:
            return super().handle(method, path, params, body, content_type)
        if "broken" in (body.get("data") or {}):
            raise InvalidError(422, "Invalid", "data.broken: refused")
        if params.get("dryRun"):
            return dict(body)
        fields = {f"f:{name}": sorted(value) for name, value in body.items() if isinstance(value, dict)}
        entry = {"manager": params["fieldManager"], "operation": "Apply", "fieldsV1": fields}
        answer = super().handle(method, path, params, body, content_type)
        key = ("configmaps", answer["metadata"].get("namespace", ""), answer["metadata"]["name"])
        if key in self.objects and answer["kind"] == "ConfigMap":
            self.objects[key]["metadata"]["managedFields"] = [entry]
            answer["metadata"]["managedFields"] = [entry]
        return answer


class Workshop(World):
    """A world whose plan has a blueprint of ConfigMaps, given as name to data."""

    server_type = ApplyingServer

    def change(self, most: int | str = 2, **blueprint: Json) -> None:
        """The plan is edited."""
        objects = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
            for name, data in blueprint.items()
        ]
        workspace = {"blueprint": objects, "rollout": {"maxUnavailable": most}}
        self.server.edit(ORG_PLANS, AGENCY, PLAN, {"spec": {"workspace": workspace}})

    @property
    def rollout(self) -> Json:
        """How far the plan's blueprint is."""
        plan = self.server.one(ORG_PLANS, AGENCY, PLAN)
        assert plan is not None
        found: Json = plan["status"]["blueprint"]
        return found

    def condition(self, kind: str, of: Json) -> Json:
        """A condition of the plan or a client."""
        return next(item for item in of["status"]["conditions"] if item["type"] == kind)

    def namespace(self, client: str) -> str:
        """Of the client's workspace."""
        return workspace_namespace(client, org_id(self.client(client)["metadata"]["uid"]))

    def has(self, client: str) -> dict[str, Json]:
        """What the workspace has of a blueprint: name to data."""
        found = self.server.found(CONFIG_MAPS, self.namespace(client))
        ours = [item for item in found if not item["metadata"]["name"].startswith(("portal", "clientorg-"))]
        return {item["metadata"]["name"]: item["data"] for item in ours}

    def everybody(self) -> list[dict[str, Json]]:
        """What each has."""
        return [self.has(client["metadata"]["name"]) for client in self.clients()]

    def records(self) -> set[tuple[str, ...]]:
        """What the clients' status says that they have."""
        return {tuple(client["status"]["workspace"]["blueprint"]["objects"]) for client in self.clients()}

    def most_changing(self) -> int:
        """How many workspaces were changing at once, at any time."""
        plans = [event.decoded() for event in self.server.history if event.plural == ORG_PLANS.plural]
        return max(len((plan.get("status", {}).get("blueprint") or {}).get("inProgress", ())) for plan in plans)


@pytest.fixture
def world() -> Any:
    """Six clients on a plan with a blueprint, and an operator."""
    with Workshop(visitors=1000) as world:
        world.change(page={"a": "1"}, old={"x": "1"})
        world.start()
        for name in ("ant", "bee", "cat", "dog", "elk", "fox"):
            world.create(name, visitors=1)
        world.settle()
        yield world


def test_everybody_gets_it_in_stages_and_what_left_it_goes(world: Workshop) -> None:
    assert world.everybody() == [{"page": {"a": "1"}, "old": {"x": "1"}}] * 6
    assert world.rollout["progress"] == "6/6"
    first = world.rollout["revision"]

    world.change(page={"a": "2"}, new={"y": "1"})
    world.settle()

    assert world.everybody() == [{"page": {"a": "2"}, "new": {"y": "1"}}] * 6
    assert world.records() == {("ConfigMap/new", "ConfigMap/page")}
    assert world.rollout["revision"] == world.rollout["target"] != first
    assert 1 <= world.most_changing() <= 2


def test_broken_one_reaches_nobody_and_a_corrected_one_everybody(world: Workshop) -> None:
    world.change(page={"a": "2"}, new={"broken": "1"})
    world.settle()

    assert world.everybody() == [{"page": {"a": "1"}, "old": {"x": "1"}}] * 6
    plan = world.server.one(ORG_PLANS, AGENCY, PLAN)
    assert plan is not None
    stalled = world.condition("Stalled", plan)
    assert (stalled["status"], stalled["reason"]) == ("True", "BlueprintInvalid")
    assert "client ant: ConfigMap new: data.broken: refused" in stalled["message"]
    ready = [world.condition("Ready", client)["status"] for client in world.clients()]
    assert ready == ["False", *["True"] * 5]
    assert world.clients()[0]["status"]["state"] == "Active"
    world.create("gnu", visitors=1)
    world.settle()
    assert world.has("gnu") == {"page": {"a": "1"}, "old": {"x": "1"}}

    world.change(page={"a": "3"})
    world.settle()
    assert world.everybody() == [{"page": {"a": "3"}}] * 7
    assert world.records() == {("ConfigMap/page",)}


def test_object_of_ours_without_its_label_is_deleted_by_our_records(world: Workshop) -> None:
    key = ("configmaps", world.namespace("ant"), "old")
    world.operators[0].crash()
    world.operators.clear()
    labels = {LABEL_ORG_ID: None}
    world.server.edit(CONFIG_MAPS, key[1], key[2], {"metadata": {"labels": labels}})
    world.change(page={"a": "1"})
    world.start()
    world.settle()

    assert world.everybody() == [{"page": {"a": "1"}}] * 6


@pytest.mark.parametrize("place", range(24))
def test_crash_at_any_request_ends_the_same(world: Workshop, place: int) -> None:
    """The operator dies with a request under way; half of the time the plan changes once more before the next one."""
    world.change(page={"a": "2"}, new={"y": "1"})
    world.work(world.operators[0], requests=place)
    world.replace(world.operators[0])
    if place % 2:
        world.change(page={"a": "3"})
    world.settle()

    wanted = {"page": {"a": "3"}} if place % 2 else {"page": {"a": "2"}, "new": {"y": "1"}}
    assert world.everybody() == [wanted] * 6
    assert world.most_changing() <= 2
    assert all(world.condition("Ready", client)["status"] == "True" for client in world.clients())


def test_settled_rollout_writes_nothing_more(world: Workshop) -> None:
    world.change(page={"a": "2"})
    world.settle()
    before = world.server.writes

    world.replace(world.operators[0])
    world.settle()

    assert world.server.writes == before


def test_client_of_another_plan_comes_over(world: Workshop) -> None:
    world.server.create(
        ORG_PLANS,
        {
            "apiVersion": ORG_PLANS.api_version,
            "kind": "OrgPlan",
            "metadata": {"name": "bare", "namespace": AGENCY},
            "spec": {},
        },
    )
    world.server.edit(CLIENT_ORGS, AGENCY, "ant", {"spec": {"planRef": {"name": "bare"}}})
    world.settle()
    assert world.has("ant") == {}
    assert world.rollout["progress"] == "5/5"
    world.server.edit(CLIENT_ORGS, AGENCY, "ant", {"spec": {"planRef": {"name": PLAN}}})
    world.settle()
    assert world.has("ant") == {"page": {"a": "1"}, "old": {"x": "1"}}
    assert world.rollout["progress"] == "6/6"
