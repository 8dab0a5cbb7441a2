"""A plain, synchronous view of an API server for tests: dicts in, dicts out, as anybody."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import httpx
import yaml

from clientorg.cluster.resources import (
    BLUEPRINT_RESOURCES,
    CLIENT_ORGS,
    DAEMON_SETS,
    EVENTS,
    LEASES,
    ORG_APPROVALS,
    ORG_PLANS,
    POINT_TRANSACTIONS,
    QUOTA_POOLS,
    REPLICA_SETS,
    SUBSCRIPTIONS,
    USAGE_REPORTS,
    WORKSPACE_RESOURCES,
    Resource,
)
from tests.controlplane.waiting import wait_until

Json = dict[str, Any]

PODS: Final = Resource("", "v1", "pods", "Pod")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
ROLES: Final = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
CLUSTER_ROLES: Final = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS: Final = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
POLICIES: Final = Resource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False
)
POLICY_BINDINGS: Final = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)
_KNOWN: Final = {
    (resource.api_version, resource.kind): resource
    for resource in (
        *(CLIENT_ORGS, QUOTA_POOLS, ORG_PLANS, USAGE_REPORTS, ORG_APPROVALS, POINT_TRANSACTIONS, EVENTS, LEASES),
        *(REPLICA_SETS, DAEMON_SETS, SUBSCRIPTIONS),
        *(PODS, SECRETS, ROLES, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, POLICIES, POLICY_BINDINGS),
        *WORKSPACE_RESOURCES,
        *BLUEPRINT_RESOURCES,
    )
}
MANAGER: Final = "somebody"
"""Field manager of whatever tests write, so that it is told apart from the operator's."""
_PATIENCE_SECONDS: Final = 30.0


class RefusedError(Exception):
    """The API server answered with a failure: its code, reason and message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


def resource_named(name: str) -> Resource | None:
    """The resource of a plural or singular name, if tests use it."""
    return next((item for item in _KNOWN.values() if name in (item.plural, item.kind.lower())), None)


def resource_of(manifest: Mapping[str, Any]) -> Resource:
    """The resource of a manifest. Raises KeyError for a kind that no test uses."""
    return _KNOWN[manifest["apiVersion"], manifest["kind"]]


@dataclass(frozen=True)
class Access:
    """What a kubeconfig's current context says, with every file read in."""

    server: str
    authority: str
    certificate: str
    key: str
    token: str

    @classmethod
    def read(cls, kubectl: Path | str, kubeconfig: Path | str) -> Access:
        """Read a kubeconfig that has a certificate or a token (no exec plugin)."""
        command = [str(kubectl), f"--kubeconfig={kubeconfig}", "config", "view", "--raw", "--flatten", "--minify"]
        document = json.loads(subprocess.run([*command, "-o=json"], check=True, capture_output=True).stdout)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        return cls(
            cluster["server"],
            _decoded(cluster.get("certificate-authority-data")),
            _decoded(user.get("client-certificate-data")),
            _decoded(user.get("client-key-data")),
            user.get("token", ""),
        )

    def with_token(self, token: str, path: Path) -> Path:
        """Write a kubeconfig for the same server with this token, and nothing else."""
        data = base64.b64encode(self.authority.encode()).decode()
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": self.server, "certificate-authority-data": data}}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document))
        return path

    def tls(self) -> ssl.SSLContext:
        """Verified TLS, with the client certificate if there is one."""
        context = ssl.create_default_context(cadata=self.authority or None)
        if self.certificate:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(self.certificate + "\n" + self.key)
                file.flush()
                context.load_cert_chain(file.name)
        return context


def _decoded(data: str | None) -> str:
    return base64.b64decode(data).decode() if data else ""


class Kube:
    """An API server, as the kubeconfig's user or, by `as_user`, as anybody else."""

    def __init__(self, access: Access, *, client: httpx.Client | None = None, user: str = "", groups: str = "") -> None:
        self.access = access
        token = {"Authorization": f"Bearer {access.token}"} if access.token else {}
        self.http = client or httpx.Client(
            base_url=access.server, verify=access.tls(), trust_env=False, timeout=30, headers=token
        )
        self._headers = [("Impersonate-User", user)] if user else []
        self._headers += [("Impersonate-Group", group) for group in groups.split()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def as_user(self, user: str, *groups: str) -> Kube:
        """The same server, as somebody else."""
        return Kube(self.access, client=self.http, user=user, groups=" ".join(groups))

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json", **params: str
    ) -> Json:
        """One request, decoded. Raises RefusedError, or httpx.TransportError when there is no answer."""
        answer = self.send(method, path, body, content_type=content_type, **params)
        if answer.is_error:
            raise _refused(answer)
        document: Json = answer.json()
        return document

    def send(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json", **params: str
    ) -> httpx.Response:
        """One request and its answer, whatever it says. Raises httpx.TransportError when there is none."""
        content = None if body is None else json.dumps(body)
        headers = [*self._headers, ("Content-Type", content_type)]

        def send() -> httpx.Response | None:
            answer = self.http.request(method, path, content=content, params=params, headers=headers)
            return None if answer.status_code == 429 else answer  # "storage is (re)initializing", and the like

        return wait_until(send, _PATIENCE_SECONDS, f"an answer to {method} {path} other than 429")

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Json:
        """One object. Raises RefusedError (404) when it is not there."""
        return self.request("GET", resource.path(namespace, name))

    def find(self, resource: Resource, name: str, namespace: str | None = None) -> Json | None:
        """One object, or None when it is not there."""
        try:
            return self.get(resource, name, namespace)
        except RefusedError as error:
            if error.code == 404:
                return None
            raise

    def list_all(self, resource: Resource, namespace: str | None = None, **params: str) -> list[Json]:
        """All objects, of one namespace or of all."""
        items: list[Json] = self.request("GET", resource.path(namespace), **params)["items"]
        return items

    def create(self, manifest: Json, **params: str) -> Json:
        """POST an object into the namespace that it names."""
        path = resource_of(manifest).path(manifest["metadata"].get("namespace"))
        return self.request("POST", path, manifest, fieldManager=MANAGER, fieldValidation="Strict", **params)

    def merge(
        self, resource: Resource, name: str, patch: Json, namespace: str | None = None, subresource: str | None = None
    ) -> Json:
        """A merge patch."""
        path = resource.path(namespace, name, subresource)
        return self.request("PATCH", path, patch, content_type="application/merge-patch+json", fieldManager=MANAGER)

    def set_field(
        self, resource: Resource, name: str, pointer: str, value: object, namespace: str | None = None
    ) -> Json:
        """Write one field as a whole, where a merge patch would keep parts of it."""
        patch = [{"op": "add", "path": pointer, "value": value}]
        path = resource.path(namespace, name)
        return self.request("PATCH", path, patch, content_type="application/json-patch+json", fieldManager=MANAGER)

    def apply(self, manifest: Json, manager: str, **params: str) -> Json:
        """A server-side apply without force, as GitOps tools do it. Raises RefusedError (409) on a conflict."""
        metadata = manifest["metadata"]
        path = resource_of(manifest).path(metadata.get("namespace"), metadata["name"])
        content_type = "application/apply-patch+yaml"
        return self.request("PATCH", path, manifest, content_type=content_type, fieldManager=manager, **params)

    def replace(self, manifest: Json) -> Json:
        """PUT an object; with a resourceVersion in it, only if it did not change."""
        metadata = manifest["metadata"]
        path = resource_of(manifest).path(metadata.get("namespace"), metadata["name"])
        return self.request("PUT", path, manifest, fieldManager=MANAGER)

    def delete(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        """Ask for the deletion; the object may stay for a while."""
        self.request("DELETE", resource.path(namespace, name), {"propagationPolicy": "Background"})

    def watch(self, resource: Resource, namespace: str, since: str, seconds: int) -> Iterator[tuple[str, Json]]:
        """Event types and objects from a resourceVersion on, for so long. Raises RefusedError."""
        params = {"watch": "true", "resourceVersion": since, "timeoutSeconds": str(seconds)}
        with self.http.stream("GET", resource.path(namespace), params=params, headers=self._headers) as answer:
            if answer.is_error:
                answer.read()
                raise _refused(answer)
            for line in answer.iter_lines():
                event = json.loads(line)
                yield event["type"], event["object"]

    def may(self, verb: str, resource: Resource, namespace: str) -> bool:
        """Whether the request would be let through (SelfSubjectAccessReview)."""
        attributes = {"verb": verb, "group": resource.group, "resource": resource.plural, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(self.request("POST", path, review)["status"]["allowed"])


def _refused(answer: httpx.Response) -> RefusedError:
    try:
        status = answer.json()
        return RefusedError(answer.status_code, status.get("reason", ""), status.get("message", ""))
    except ValueError:
        return RefusedError(answer.status_code, "", answer.text)
