"""What the tests of the command line stand on: a cluster, an agency of their own, the command as a process."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import httpx
import pytest

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION
from clientorg.cluster.credentials import Source
from clientorg.cluster.resources import CLIENT_ORGS, EVENTS, NAMESPACES, ORG_PLANS, QUOTA_POOLS, Resource
from clientorg.cluster.rest import Api
from clientorg.errors import ApiError, NotFoundError
from tests.cluster._cli_processes import run_command
from tests.controlplane import ControlPlane
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support.install import NAMESPACE, SERVICE_ACCOUNT

Json = dict[str, Any]

ROOT: Final = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS: Final = 60
RUN: Final = (sys.executable, "-c", "from clientorg.cli.main import run; run()")
"""The entry point as pip makes it."""


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table, its headings first."""
        return [
            [cell.strip() for cell in line.split("   ") if cell.strip()]
            for line in self.out.splitlines()
            if line.strip()
        ]


@dataclass(frozen=True)
class Cli:
    """The command, as one user in one namespace."""

    kubeconfig: Path
    namespace: str
    home: Path

    def env(self) -> dict[str, str]:
        """A clean environment: nothing of the user's home, colors or kubeconfig."""
        return {
            "PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT / "operator"),
            "KUBECONFIG": str(self.kubeconfig),
        }

    def as_(self, kubeconfig: Path) -> Cli:
        """The same as somebody else."""
        return replace(self, kubeconfig=kubeconfig)

    def argv(self, *arguments: str) -> list[str]:
        """The command line."""
        return [*RUN, "-n", self.namespace, *arguments] if self.namespace else [*RUN, *arguments]

    def run(self, *arguments: str, stdin: str = "") -> Answer:
        """Run it to its end; standard input is no terminal."""
        command = self.argv(*arguments)[len(RUN) :]
        answer = Answer(*run_command(command, self.env(), stdin, DEADLINE_SECONDS))
        assert "Traceback" not in answer.err, answer.err
        return answer

    def do(self, *arguments: str) -> Answer:
        """Run it; a failure fails the test with what it said."""
        answer = self.run(*arguments)
        assert answer.code == 0, f"{' '.join(arguments)}: {answer.err}"
        return answer

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start it."""
        streams: Json = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(self.argv(*arguments), text=True, env=self.env(), **{**streams, **options})


@dataclass(frozen=True)
class DatedCli(Cli):
    """The command, with the development clock."""

    clock: Path

    def env(self) -> dict[str, str]:
        """The same, and where the time stands."""
        return {**super().env(), "CLIENTORG_DEV_CLOCK": str(self.clock)}

    def data(self, *arguments: str) -> Any:
        """What the command says, as data."""
        return json.loads(self.do(*arguments, "-o", "json").out)

    def is_now(self, time: str) -> None:
        """Set the clock."""
        set_clock(self.clock, time)


def set_clock(path: Path, time: str) -> None:
    """By renaming, so that nobody reads half a time."""
    new = path.with_suffix(".new")
    new.write_text(time)
    new.replace(path)


@dataclass
class Plane:
    """A cluster with CRDs and policies installed, and the administrator's hand in it."""

    kubeconfig: Path
    kubectl: Path
    kubeconfig_for: Callable[[str], Path]
    client: Callable[[], httpx.Client]

    def call(self, function: Callable[[Api], Any]) -> Any:
        """Run an async function with the administrator's connection."""

        async def run() -> Any:
            async with await Api.connect(Source(kubeconfig=str(self.kubeconfig)), component="test") as api:
                return await function(api)

        return asyncio.run(run())

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """One object."""
        return self.call(lambda api: api.get(resource, namespace, name))  # type: ignore[no-any-return]

    def create(self, resource: Resource, namespace: str | None, manifest: Json) -> Json:
        """Create an object."""
        return self.call(lambda api: api.create(resource, namespace, manifest))  # type: ignore[no-any-return]

    def create_as_operator(self, manifest: Json) -> None:
        """Create what nobody else may create."""
        operator = f"--as=system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
        command = [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", operator, "create", "-f", "-"]
        subprocess.run(command, input=json.dumps(manifest), text=True, capture_output=True, check=True, timeout=60)

    def patch(self, resource: Resource, namespace: str | None, name: str, patch: Json, **options: Any) -> Json:
        """Merge-patch an object."""
        return self.call(lambda api: api.patch(resource, namespace, name, patch, **options))  # type: ignore[no-any-return]


@dataclass
class Agency:
    """A namespace of its own for one test, with a pool `tokyo`, a plan `standard`, and the command in it."""

    plane: Plane
    namespace: str
    cli: Cli

    def client(self, name: str, *, granted: int | None = None, used: int | None = None, **spec: Any) -> Json:
        """Create a client; with `granted`, as the operator would leave it once Ready."""
        created = self.plane.create(CLIENT_ORGS, self.namespace, client_org(name, self.namespace, **spec))
        if granted is None:
            return created
        license_status: Json = {"name": "visitors", "granted": granted}
        if used is not None:
            license_status |= {"used": used, "remaining": granted - used}
        return self.status(
            name,
            observedGeneration=created["metadata"]["generation"],
            state="Active",
            orgID=f"id-{name}",
            workspace={"namespace": f"{name}-id"},
            licenses=[license_status],
            conditions=[ready("True", "Ready", "the client can work")],
        )

    def status(self, name: str, **status: Any) -> Json:
        """Write a client's status, which is the operator's to write."""
        return self.plane.patch(CLIENT_ORGS, self.namespace, name, {"status": status}, subresource="status")

    def pool_status(self, *, total: int, allocated: int, pending: int = 0) -> Json:
        """Write the pool's books."""
        entry = {
            "name": "visitors",
            "total": total,
            "allocated": allocated,
            "available": total - allocated,
            "pending": pending,
        }
        status = {"status": {"licenses": [entry]}}
        return self.plane.patch(QUOTA_POOLS, self.namespace, "tokyo", status, subresource="status")

    def get(self, name: str) -> Json:
        """A client."""
        return self.plane.get(CLIENT_ORGS, self.namespace, name)

    def exists(self, name: str) -> bool:
        """Whether there is such a client."""
        try:
            self.get(name)
        except NotFoundError:
            return False
        return True

    def version(self, name: str) -> str:
        """A client's resourceVersion: whoever writes changes it."""
        return str(self.get(name)["metadata"]["resourceVersion"])

    def quantity(self, name: str, license_name: str = "visitors") -> int | None:
        """What a client asks for."""
        found = (e["quantity"] for e in self.get(name)["spec"]["licenses"] if e["name"] == license_name)
        return next(found, None)


def ready(status: str, reason: str, message: str = "") -> Json:
    """A condition Ready."""
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-01T00:00:00Z",
    }


def client_org(name: str, namespace: str, **spec: Any) -> Json:
    """A valid ClientOrg."""
    full: Json = {
        "displayName": f"{name.capitalize()} K.K.",
        "contact": {"firstName": "Yuki", "lastName": "Sato", "email": f"yuki@{name}.example", "language": "ja"},
        "poolRef": {"name": "tokyo"},
        "planRef": {"name": "standard"},
        "licenses": [{"name": "visitors", "quantity": 500}],
        **spec,
    }
    return manifest("ClientOrg", name, namespace, full)


def manifest(kind: str, name: str, namespace: str, spec: Json) -> Json:
    """An object of our group."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "clientorg.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def event(namespace: str, client: Json, reason: str, note: str) -> Json:
    """An Event about a client, as the operator writes them."""
    metadata = client["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:8]}", "namespace": namespace},
        "eventTime": "2026-11-01T00:00:00.000000Z",
        "type": "Warning",
        "reason": reason,
        "action": "Allocate",
        "note": note,
        "regarding": {
            "apiVersion": "clientorg.dev/v1alpha1",
            "kind": "ClientOrg",
            "namespace": namespace,
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "reportingController": "clientorg.dev/operator",
        "reportingInstance": "test",
    }


@pytest.fixture(scope="module")
def plane(unattended: Cluster) -> Plane:
    """The cluster while no operator runs: tests write the status."""
    if not isinstance(unattended, ControlPlane):
        pytest.skip("this needs a cluster of our own")
    return Plane(unattended.kubeconfig, unattended.kubectl, unattended.kubeconfig_for, unattended.client)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home, with the two executables of the plugin on the PATH as an installation puts them there."""
    home = tmp_path_factory.mktemp("home")
    binaries = home / "bin"
    binaries.mkdir()
    plugin = binaries / "kubectl-clientorg"
    plugin.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from clientorg.cli.main import run; run()" "$@"\n')
    plugin.chmod(0o755)
    (binaries / "kubectl_complete-clientorg").symlink_to(ROOT / "operator/clientorg/cli/kubectl_complete-clientorg")
    return home


@pytest.fixture
def agency(plane: Plane, home: Path) -> Iterator[Agency]:
    """An agency with 10,000 visitors to hand out."""
    name = f"agency-{uuid.uuid4().hex[:8]}"
    pool = manifest("QuotaPool", "tokyo", name, {"licenses": [{"name": "visitors", "quantity": 10_000}]})

    async def make(api: Api) -> None:
        await api.create(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await api.create(QUOTA_POOLS, name, pool)
        await api.create(ORG_PLANS, name, manifest("OrgPlan", "standard", name, {"displayName": "Standard"}))

    plane.call(make)
    yield Agency(plane, name, Cli(plane.kubeconfig, name, home))

    async def remove(api: Api) -> None:
        confirmed = {"metadata": {"annotations": {ANNOTATION_CONFIRM_DELETION: name}}}
        await api.patch(NAMESPACES, None, name, confirmed)
        await api.delete(NAMESPACES, None, name)

    plane.call(remove)


def write_event(agency: Agency, name: str, reason: str, note: str) -> None:
    """An Event about a client."""
    agency.plane.create(EVENTS, agency.namespace, event(agency.namespace, agency.get(name), reason, note))


def expect_served(agency: Agency, resource: Resource) -> None:
    """Wait until a kind can be listed: right after its start the API server answers the first lists with 429."""

    def is_served() -> bool:
        try:
            agency.plane.call(lambda api: api.list_all(resource, agency.namespace))
        except ApiError as error:
            if not error.is_transient:
                raise
            return False
        return True

    wait_until(is_served, DEADLINE_SECONDS, f"{resource.plural} to be served")


def kubeconfig_at(path: Path, server: str) -> Path:
    """A kubeconfig for a server without credentials."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(content))
    return path


class Lines:
    """The lines of a running process, each with a deadline."""

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream is not None
        self._queue: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._queue.put(line)

    def next(self) -> str:
        """The next line, without its end."""
        try:
            return self._queue.get(timeout=DEADLINE_SECONDS).rstrip("\n")
        except queue.Empty:
            raise AssertionError("no further line came") from None


def lines_with(text: str, words: Sequence[str]) -> list[str]:
    """Lines that hold all the words."""
    return [line for line in text.splitlines() if all(word in line for word in words)]
