"""Pauses and resumes where somebody undoes or forges what they stand on (FEATURES Z6; DESIGN 2.11 and 3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clientorg.api.meta import FIELD_MANAGER, LABEL_COMPONENT, LABEL_MANAGED_BY
from clientorg.cluster.resources import CONFIG_MAPS, PODS, RESOURCE_QUOTAS
from clientorg.control.pause import SNAPSHOT_COMPONENT
from tests.unit.apiserver import Json
from tests.unit.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """An agency with ten seats, whose client `ant` has used up all of its own and is paused."""
    with World(seats=10) as world:
        world.start()
        world.create("ant", seats=4)
        world.calm_down()
        world.report_use("ant", seats=4)
        world.calm_down()
        assert status_of(world)["state"] == "Paused"
        yield world


def status_of(world: World) -> Json:
    """The client's status."""
    status: Json = world.client("ant")["status"]
    return status


def test_what_began_while_the_gate_was_taken_away_is_stopped(world: World) -> None:
    namespace = status_of(world)["workspace"]["namespace"]
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r", "controller": True}
    world.server.remove(RESOURCE_QUOTAS, namespace, "clientorg-paused")
    pod = {"metadata": {"name": "web-1", "namespace": namespace, "ownerReferences": [owner]}, "spec": {}}
    world.server.create(PODS, pod)
    world.calm_down()

    assert world.server.one(RESOURCE_QUOTAS, namespace, "clientorg-paused") is not None
    assert world.server.one(PODS, namespace, "web-1") is None
    assert status_of(world)["state"] == "Paused"


@pytest.mark.parametrize("data", [{}, {"pod.json": "{"}, {"pod.json": "[]"}, {"pod.json": "{}"}])
def test_forged_snapshot_of_a_pod_does_not_hold_the_resume_up(world: World, data: Json) -> None:
    """Clients may write ConfigMaps, and put any label on them."""
    namespace = status_of(world)["workspace"]["namespace"]
    labels = {LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_COMPONENT: SNAPSHOT_COMPONENT}
    world.server.create(
        CONFIG_MAPS, {"metadata": {"name": "mine", "namespace": namespace, "labels": labels}, "data": data}
    )
    world.want("ant", seats=8)
    world.calm_down()

    assert status_of(world)["state"] == "Active"
    assert world.server.one(CONFIG_MAPS, namespace, "mine") is not None, "what is the client's own stays"
    world.check()
