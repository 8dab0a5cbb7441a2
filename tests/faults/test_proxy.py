"""The proxy itself, in front of a real API server, with the test in the operator's place."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from clientorg.cluster.resources import CONFIG_MAPS
from tests.faults.proxy import Proxy
from tests.faults.recording import Kill, Position
from tests.faults.stage import Stage
from tests.support.kube import Access, Json, Kube

pytestmark = pytest.mark.cluster

AGENCY = "default"


@pytest.fixture
def proxy(stage: Stage, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy of the test's own."""
    with Proxy(stage.ground.url, stage.ground.pki, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def operator(stage: Stage, proxy: Proxy, tmp_path: Path) -> Iterator[Kube]:
    """Who is behind the proxy, with a token."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = stage.kube.request("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", request)
    admin = Access.read(stage.ground.kubectl, stage.ground.admin)
    path = proxy.kubeconfig(replace(admin, token=answer["status"]["token"]), tmp_path / "kubeconfig")
    with Kube(Access.read(stage.ground.kubectl, path)) as kube:
        yield kube


@pytest.fixture
def config_map(stage: Stage) -> Iterator[Callable[[str], Json]]:
    """Manifests of ConfigMaps that are gone after the test."""
    made: list[str] = []

    def manifest(name: str) -> Json:
        made.append(name)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": AGENCY}}

    yield manifest
    for name in made:
        if stage.kube.find(CONFIG_MAPS, name, AGENCY) is not None:
            stage.kube.delete(CONFIG_MAPS, name, AGENCY)


@pytest.fixture(autouse=True)
def _allowed(stage: Stage) -> Iterator[None]:
    """The ServiceAccount may write ConfigMaps: what it is comes from its token alone."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "faults-proxy", "namespace": AGENCY},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }
    stage.kube.apply(binding, "faults")
    yield
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{AGENCY}/rolebindings/faults-proxy"
    stage.kube.request("DELETE", path)


def test_requests_pass_as_their_sender_and_are_recorded(
    proxy: Proxy, operator: Kube, config_map: Callable[[str], Json]
) -> None:
    recording = proxy.begin(AGENCY)

    operator.create(config_map("one"))
    operator.get(CONFIG_MAPS, "one", AGENCY)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    who = operator.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)

    assert who["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"
    assert [(it.method, it.code, it.write) for it in recording.records] == [
        ("POST", 201, 1),
        ("GET", 200, None),
        ("POST", 201, None),
    ]
    assert recording.records[0].query == "fieldManager=somebody&fieldValidation=Strict"


@pytest.mark.parametrize(
    ("position", "is_answered", "is_there"),
    [(Position.BEFORE, False, False), (Position.COMMITTED, False, True), (Position.ANSWERED, True, True)],
)
def test_operator_is_killed_exactly_there_and_nothing_of_it_is_forwarded_after(
    stage: Stage,
    proxy: Proxy,
    operator: Kube,
    config_map: Callable[[str], Json],
    position: Position,
    is_answered: bool,
    is_there: bool,
) -> None:
    killed: list[bool] = []

    def kill() -> None:
        killed.append(stage.kube.find(CONFIG_MAPS, "second", AGENCY) is not None)

    recording = proxy.begin(AGENCY, Kill(2, position), kill)
    operator.create(config_map("first"))
    outcome = None
    with contextlib.suppress(httpx.TransportError):
        outcome = operator.create(config_map("second"))
    with pytest.raises(httpx.TransportError):
        operator.create(config_map("third"))

    assert killed == [is_there]
    assert (outcome is not None) is is_answered
    assert stage.kube.find(CONFIG_MAPS, "third", AGENCY) is None
    assert (recording.writes[1].code == 201) is is_there
    proxy.settle()
    proxy.admit()
    operator.create(config_map("fourth"))
    assert recording.writes[-1].process == 2
    assert len(killed) == 1


def test_watch_is_streamed_as_it_comes(
    stage: Stage, proxy: Proxy, operator: Kube, config_map: Callable[[str], Json]
) -> None:
    """An event is there long before the watch ends, which is when something that buffers would deliver it."""
    proxy.begin(AGENCY)
    since = operator.request("GET", CONFIG_MAPS.path(AGENCY))["metadata"]["resourceVersion"]
    params = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "25"}
    started = time.monotonic()

    with operator.http.stream("GET", CONFIG_MAPS.path(AGENCY), params=params) as answer:
        stage.kube.create(config_map("watched"))
        event = json.loads(next(answer.iter_lines()))

    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "watched")
    assert time.monotonic() - started < 20
