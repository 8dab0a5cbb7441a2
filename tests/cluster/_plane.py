"""kubectl as different people, on the cluster while no operator runs.

What tables of cases do hundreds of times goes to the API server without a process in between, and its answer is told in
kubectl's manner; whatever else is asked for is kubectl itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from clientorg.cluster.resources import Resource
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support.kube import Access, Kube, RefusedError, resource_named, resource_of

Json = dict[str, Any]

ROOT: Final = Path(__file__).resolve().parents[2]
OPERATOR: Final = "system:serviceaccount:clientorg-system:clientorg-operator"
NAMESPACE_CONTROLLER: Final = "system:serviceaccount:kube-system:namespace-controller"
GARBAGE_COLLECTOR: Final = "system:serviceaccount:kube-system:generic-garbage-collector"
OWNER: Final = "owner@agency.example"
"""Owner of an agency: everything on the agency's objects, nothing on the cluster."""
CLUSTER_ADMIN: Final = ""
"""Nobody is impersonated: the kubeconfig's own user, in system:masters."""


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def warnings(self) -> list[str]:
        """The API server's warnings."""
        return [line.removeprefix("Warning: ") for line in self.err.splitlines() if line.startswith("Warning: ")]

    def json(self) -> Json:
        """The object that `-o json` printed."""
        document: Json = json.loads(self.out)
        return document


@dataclass(frozen=True)
class Plane:
    """kubectl on one API server, as one user."""

    kubectl: str
    kubeconfig: str
    cache: Path
    user: str = CLUSTER_ADMIN

    def as_(self, user: str) -> Plane:
        """The same as somebody else."""
        return replace(self, user=user)

    def run(self, *arguments: str, stdin: object = None) -> Answer:
        """Run kubectl; `stdin` is an object for `-f -`."""
        if arguments == ("create", "-f=-") and isinstance(stdin, dict) and stdin["kind"] != "List":
            return self.create(stdin)
        command = [self.kubectl, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}", *arguments]
        if self.user:
            command.insert(1, f"--as={self.user}")
        text = None if stdin is None else json.dumps(stdin)
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)

    def do(self, *arguments: str, stdin: object = None) -> Answer:
        """Run kubectl; a failure fails the test with what it said."""
        answer = self.run(*arguments, stdin=stdin)
        assert answer.code == 0, f"kubectl {' '.join(arguments)}: {answer.err}"
        return answer

    @property
    def kube(self) -> Kube:
        """The API server, as this user."""
        kube = _kube(self.kubectl, self.kubeconfig)
        return kube.as_user(self.user) if self.user else kube

    def get(self, *what: str) -> Json | None:
        """One object, or None when it is not there."""
        place = _place(*what)
        if place is not None:
            return self.kube.find(*place)
        answer = self.run("get", *what, "-o=json", "--ignore-not-found")
        assert answer.code == 0, answer.err
        return answer.json() if answer.out else None

    def create(self, *manifests: Json, dry_run: bool = False) -> Answer:
        """Create objects; the answer may be a refusal."""
        parameters = {"dryRun": "All"} if dry_run else {}
        answers = []
        for manifest in manifests:
            path = resource_of(manifest).path(manifest["metadata"].get("namespace"))
            answers.append(_told(self.kube.send("POST", path, manifest, fieldValidation="Strict", **parameters)))
        return Answer(max(answer.code for answer in answers), *("".join(parts) for parts in _texts(answers)))

    def patch_status(self, kind: str, name: str, namespace: str, status: Json) -> None:
        """Write a status, which is the operator's to write."""
        resource = resource_named(kind)
        assert resource is not None, kind
        try:
            self.kube.merge(resource, name, {"status": status}, namespace, "status")
        except RefusedError as error:
            raise AssertionError(f"status of {kind} {name}: {error}") from error


@cache
def _kube(kubectl: str, kubeconfig: str) -> Kube:
    return Kube(Access.read(kubectl, kubeconfig))


def _place(kind: str, *rest: str) -> tuple[Resource, str, str | None] | None:
    """What `kind name [-n=namespace]` means, if it is no more than that."""
    resource = resource_named(kind)
    names = [argument for argument in rest if not argument.startswith("-")]
    flags = [argument for argument in rest if argument.startswith("-")]
    if resource is None or len(names) != 1 or any(not flag.startswith("-n=") for flag in flags):
        return None
    return resource, names[0], flags[0].removeprefix("-n=") if flags else None


def _told(answer: httpx.Response) -> Answer:
    """What kubectl would say of an answer to a POST: a line for each warning, and for each field that is refused."""
    warnings = [f"Warning: {text}\n" for text in _warnings(answer)]
    if not answer.is_error:
        return Answer(0, answer.text, "".join(warnings))
    status = answer.json()
    causes = (status.get("details") or {}).get("causes") or ()
    fields = [f"* {cause.get('field', '')}: {cause['message']}\n" for cause in causes]
    refusal = f"Error from server ({status.get('reason')}): {status['message']}\n"
    return Answer(1, "", "".join([*warnings, *(fields or [refusal])]))


def _warnings(answer: httpx.Response) -> list[str]:
    """The texts of the headers `Warning: 299 - "text"`."""
    texts = (re.fullmatch(r'299 \S+ "(.*)"', value) for value in answer.headers.get_list("warning"))
    return [text[1].replace('\\"', '"').replace("\\\\", "\\") for text in texts if text is not None]


def _texts(answers: list[Answer]) -> tuple[list[str], list[str]]:
    return [answer.out for answer in answers], [answer.err for answer in answers]


def client_org(name: str = "acme", namespace: str = "default", **spec: Any) -> Json:
    """A valid ClientOrg; a part of the spec given as None is left out."""
    full: Json = {
        "displayName": "Acme K.K.",
        "contact": {"firstName": "Yuki", "lastName": "Sato", "email": "yuki@acme.example"},
        "poolRef": {"name": "tokyo"},
        "planRef": {"name": "standard"},
        "licenses": [{"name": "visitors", "quantity": 500}],
        **spec,
    }
    return _manifest("ClientOrg", name, namespace, {key: value for key, value in full.items() if value is not None})


def quota_pool(name: str = "tokyo", namespace: str = "default", **licenses: int) -> Json:
    """A QuotaPool with so many of each license."""
    stock = [{"name": license_name, "quantity": quantity} for license_name, quantity in licenses.items()]
    return _manifest("QuotaPool", name, namespace, {"licenses": stock})


def org_plan(name: str = "standard", namespace: str = "default", **workspace: Any) -> Json:
    """An OrgPlan."""
    return _manifest("OrgPlan", name, namespace, {"workspace": workspace})


def _manifest(kind: str, name: str, namespace: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "clientorg.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def plane(unattended: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Plane:
    """kubectl on the cluster while no operator runs."""
    return Plane(str(unattended.kubectl), str(unattended.kubeconfig), tmp_path_factory.mktemp("kubectl"))


@pytest.fixture
def agency(plane: Plane) -> Iterator[str]:
    """Namespace of an agency of its own for each test, with its owner's rights."""
    name = f"agency-{uuid.uuid4().hex[:8]}"
    rbac = "rbac.authorization.k8s.io"
    group = {"apiVersion": f"{rbac}/v1", "metadata": {"name": "owner", "namespace": name}}
    rule = {
        "apiGroups": ["clientorg.dev"],
        "resources": ["clientorgs", "quotapools", "orgplans"],
        "verbs": ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"],
    }
    subject = {"kind": "User", "name": OWNER, "apiGroup": rbac}
    created = plane.create(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"clientorg.dev/agency": "true"}},
        },
        {**group, "kind": "Role", "rules": [rule]},
        {**group, "kind": "RoleBinding", "subjects": [subject], "roleRef": role_ref("Role", "owner")},
    )
    assert created.code == 0, created.err
    yield name
    remove_namespace(plane, name, wait=False)


def role_ref(kind: str, name: str) -> Json:
    """What a binding binds."""
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}


def remove_namespace(plane: Plane, name: str, *, wait: bool = True) -> None:
    """Confirm the deletion of a guarded namespace, and delete it with whatever finalizers hold its clients."""
    plane.run("annotate", "namespace", name, f"clientorg.dev/confirm-deletion={name}", "--overwrite")
    plane.run("delete", "namespace", name, "--wait=false")
    if wait:
        wait_until(lambda: plane.get("namespace", name) is None, 60, f"namespace {name} to be gone")


def until(predicate: Callable[[], object], what: str, deadline_seconds: float = 60) -> None:
    """Wait for something that the API server does in its own time."""
    wait_until(lambda: bool(predicate()), deadline_seconds, what)
