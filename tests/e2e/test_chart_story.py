"""The chart's life with live clients, by Helm itself: installed, upgraded, rolled back, uninstalled, installed again.

The control plane is real, and nodes are simulated, so that the Deployment's pods are scheduled and become ready; what
would run in them runs beside it, with the rights of the chart's own ServiceAccount. Nothing of the clients may change.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from clientorg.cluster.resources import CLIENT_ORGS, CONFIG_MAPS, NAMESPACES, WORKSPACE_RESOURCES, Resource
from tests.cluster.verbs import Agency, Client
from tests.controlplane.plane import ControlPlane
from tests.controlplane.waiting import wait_until
from tests.support.collector import Collector
from tests.support.helm import CHART, RELEASE, Helm, HelmError, other_version
from tests.support.install import NAMESPACE, ROOT, SERVICE_ACCOUNT
from tests.support.kube import CLUSTER_ROLES, PODS, POLICIES, SECRETS, Access, Kube
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

CRDS: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
NEW_POLICY: Final = "clientorg-client-tags"
"""A policy that the earlier version of the chart does not have."""
NEW_COLUMN: Final = "Balance"
"""A column of ClientOrgs that it does not have."""
WAIT: Final = ("--wait", "--timeout=180s")


@dataclass
class World:
    """A cluster, Helm, and the operator that the Deployment's pods would run."""

    kube: Kube
    helm: Helm
    folder: Path
    collector: Collector
    operator: OperatorProcess | None = None

    def deploy(self, command: str, *arguments: str | Path) -> None:
        """A Helm command that changes the release, with the operator stopped meanwhile, as its pods are replaced."""
        self.stop()
        self.helm.run(command, RELEASE, *arguments, f"--namespace={NAMESPACE}")

    def start(self) -> OperatorProcess:
        """Start the operator with the account that the chart made."""
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{SERVICE_ACCOUNT}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self.kube.request("POST", path, body)["status"]["token"]
        kubeconfig = self.kube.access.with_token(token, self.folder / "operator.kubeconfig")
        settings = {"lease_namespace": NAMESPACE, "tracing_endpoint": self.collector.endpoint}
        self.operator = OperatorProcess(kubeconfig, self.folder / "operator.log", **settings)
        self.operator.start()
        return self.operator

    def stop(self) -> None:
        """SIGTERM."""
        if self.operator is not None:
            self.operator.stop()
            self.operator = None

    def policies(self) -> set[str]:
        """Names of our admission policies."""
        names = {item["metadata"]["name"] for item in self.kube.list_all(POLICIES)}
        return {name for name in names if name.startswith("clientorg-")}

    def columns(self) -> set[str]:
        """Columns of `kubectl get clientorgs`."""
        crd = self.kube.get(CRDS, "clientorgs.clientorg.dev")
        return {column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A new cluster with nothing of ours on it."""
    helm = Helm.of(tmp_path)
    with (
        ControlPlane(nodes=2) as plane,
        Kube(Access.read(plane.kubectl, plane.kubeconfig)) as kube,
        Collector() as collector,
    ):
        world = World(kube, replace(helm, kubeconfig=plane.kubeconfig), tmp_path, collector)
        try:
            yield world
        finally:
            world.stop()


def earlier_version(folder: Path) -> Path:
    """The chart as an earlier version might have been: without a policy and without a column."""
    chart = other_version(folder, "0.0.9")
    (chart / "templates" / "policies" / "client-tags.yaml").unlink()
    crd = chart / "templates" / "crds" / "clientorgs.clientorg.dev.yaml"
    text = crd.read_text()
    column = text.index(f"        - name: {NEW_COLUMN}\n")
    crd.write_text(text[:column] + text[text.index("        - name: ", column + 20) :])
    return chart


def belongings(kube: Kube, client: Client) -> dict[str, Json]:
    """All that a client has: its object, its workspace and what is in it, without what changes by being looked at."""
    found = {f"{CLIENT_ORGS.kind}": kube.get(CLIENT_ORGS, client.name, client.namespace)}
    workspace = found[CLIENT_ORGS.kind]["status"]["workspace"]["namespace"]
    found["Namespace"] = kube.get(NAMESPACES, workspace)
    for resource in (*(r for r in WORKSPACE_RESOURCES if r is not NAMESPACES), SECRETS, DEPLOYMENTS, PODS):
        for item in kube.list_all(resource, workspace):
            found[f"{resource.kind}/{item['metadata']['name']}"] = item
    return found


def plain(objects: dict[str, Json]) -> dict[str, tuple[str, Any, Any, Any]]:
    """UID, labels, what is wanted and what is stored of each."""
    return {
        name: (
            item["metadata"]["uid"],
            item["metadata"].get("labels"),
            item.get("spec"),
            item.get("data"),
        )
        for name, item in objects.items()
    }


def fill(kube: Kube, client: Client) -> None:
    """What the client itself has in its workspace: data, a secret, and something that runs."""
    metadata = {"name": "orders", "namespace": client.workspace}
    kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"2026-0815": "17 visitors"}})
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": "value"}})
    container = {
        "name": "web",
        "image": "registry.example/web:1",
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    labels = {"app": "web"}
    kube.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**metadata, "name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )
    wait_until(lambda: running_pods(kube, client) == 2, 60, "the client's two pods to run")


def running_pods(kube: Kube, client: Client) -> int:
    """How many of the client's pods run."""
    return sum(pod.get("status", {}).get("phase") == "Running" for pod in kube.list_all(PODS, client.workspace))


def play_kubelet(world: World, operator: OperatorProcess, done: threading.Event) -> None:
    """Run the command of `helm test`'s pod for real, and say of the pod what became of it."""

    def pod() -> Json | None:
        found = world.kube.find(PODS, f"{SERVICE_ACCOUNT}-test", NAMESPACE)
        return found if found and found.get("status", {}).get("phase") == "Running" else None

    while not done.wait(0.1):
        running = pod()
        if running is None:
            continue
        (container,) = running["spec"]["containers"]
        service = f"http://clientorg-operator-metrics.{NAMESPACE}:8081"
        command = [*container["command"], *container["args"]]
        command = [word.replace(service, f"http://127.0.0.1:{operator.metrics_port}") for word in command]
        ended = subprocess.run([sys.executable, *command[1:]], cwd=ROOT / "operator", check=False)
        phase = "Succeeded" if ended.returncode == 0 else "Failed"
        path = PODS.path(NAMESPACE, running["metadata"]["name"], "status")
        world.kube.request("PATCH", path, {"status": {"phase": phase}}, content_type="application/merge-patch+json")
        return


def helm_test(world: World, operator: OperatorProcess) -> str:
    """`helm test`; raises HelmError if the pod fails."""
    done = threading.Event()
    kubelet = threading.Thread(target=play_kubelet, args=(world, operator, done), daemon=True)
    kubelet.start()
    try:
        return world.helm.run("test", RELEASE, f"--namespace={NAMESPACE}", "--timeout=60s")
    finally:
        done.set()
        kubelet.join()


@pytest.mark.timeout(600)
def test_clients_keep_everything_through_the_life_of_the_chart(world: World) -> None:
    kube = world.kube

    # Installed: everything is there, and clients are served by the account that the chart made.
    world.deploy("install", earlier_version(world.folder), "--create-namespace", *WAIT)
    assert kube.get(DEPLOYMENTS, SERVICE_ACCOUNT, NAMESPACE)["status"]["readyReplicas"] == 2
    assert NEW_POLICY not in world.policies()
    assert NEW_COLUMN not in world.columns()
    with pytest.raises(HelmError, match="ownership"):  # one operator for all: a second release is refused
        world.helm.run("install", "second", CHART, "--namespace=elsewhere", "--create-namespace")
    world.start()
    agency = Agency(kube, "agency-tokyo")
    agency.open()
    acme, globex = agency.ready_client("acme"), agency.ready_client("globex")
    fill(kube, acme)
    before = {client.name: belongings(kube, client) for client in (acme, globex)}
    statuses = {client.name: client.status for client in (acme, globex)}

    def expect_untouched() -> None:
        for client in (acme, globex):
            assert plain(belongings(kube, client)) == plain(before[client.name])
            assert client.status == statuses[client.name]
        assert running_pods(kube, acme) == 2

    expect_traces(world.collector, acme)

    # Upgraded: what is new has come, and the clients have noticed nothing.
    world.deploy("upgrade", CHART, *WAIT)
    assert NEW_POLICY in world.policies()
    assert NEW_COLUMN in world.columns()
    expect_untouched()
    operator = world.start()
    acme.ask_for(visitors=20)
    acme.expect_granted(visitors=20)
    before["acme"], statuses["acme"] = belongings(kube, acme), acme.status
    assert "Succeeded" in helm_test(world, operator)

    # A test that fails is told as a failure.
    world.operator, running = None, operator
    running.stop()
    with pytest.raises(HelmError):
        helm_test(world, running)

    # Rolled back: as before the upgrade, but for what clients did meanwhile.
    world.deploy("rollback", "1", *WAIT)
    assert NEW_POLICY not in world.policies()
    expect_untouched()
    world.start()
    expect_untouched()

    # Uninstalled: the operator and its rights are gone; the kinds, the clients and their data are not.
    world.deploy("uninstall", *WAIT)
    assert kube.find(DEPLOYMENTS, SERVICE_ACCOUNT, NAMESPACE) is None
    assert kube.find(CLUSTER_ROLES, "clientorg-operator") is None
    assert not world.policies()
    expect_untouched()

    # Installed again under the same name: it takes over the kinds that were kept, and the clients are served again.
    world.deploy("install", CHART, *WAIT)
    world.start()
    expect_untouched()
    globex.ask_for(visitors=30)
    globex.expect_granted(visitors=30)
    assert kube.get(CONFIG_MAPS, "orders", acme.workspace)["data"] == {"2026-0815": "17 visitors"}


def expect_traces(collector: Collector, client: Client) -> None:
    """The passes over the client have become spans, with the requests that they made."""

    def passes() -> list[Any]:
        name = f"{client.namespace}/{client.name}"
        return [span for span in collector.spans if span.attributes.get("clientorg.object") == name]

    def wrote_status() -> bool:
        return any(
            child.name == "PATCH" and child.attributes["url.path"].endswith(f"/{client.name}/status")
            for span in passes()
            for child in collector.children_of(span)
        )

    wait_until(wrote_status, 60, "a trace with the write of the client's status")
    for span in passes():
        assert span.name == "reconcile ClientOrg"
        assert span.service == "clientorg-operator"
        assert span.attributes["k8s.namespace.name"] == client.namespace
        assert span.attributes["clientorg.outcome"] in ("success", "conflict", "retry")
    # Watches and the election belong to no pass, and are not traced.
    roots = {span.name for span in collector.spans if not span.parent}
    assert {name.partition(" ")[0] for name in roots} == {"reconcile"}
    assert json.dumps([span.attributes for span in collector.spans]).count("/leases/") == 0
