"""An agency with somebody in each role, and requests as they would make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from clientorg.api.crd import KINDS
from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION, GROUP, VERSION
from clientorg.cluster.resources import EVENTS, Resource
from tests.cluster._ledger import approval, billing_plan, transaction
from tests.cluster._plane import client_org, quota_pool, role_ref
from tests.support import builders
from tests.support.kube import Json, Kube, RefusedError
from tests.support.roles_page import Cell

ORG_ID: Final = "7k2m9q4xta"
TAGS: Final = ("vip", "export")
RESOURCES: Final[dict[str, Resource]] = {
    **{kind.plural: Resource(GROUP, VERSION, kind.plural, kind.name) for kind in KINDS},
    "events": EVENTS,
}
"""By plural: what the table speaks of."""
MAKES: Final = {"distributor": "Purchase"}
"""The kind of transaction that a role makes, where it is no TopUp."""


@dataclass(frozen=True)
class House:
    """An agency with one person in each role; its objects stand there to be tried on."""

    api: Kube
    name: str

    def user(self, role: str) -> str:
        """Who has the role, and nothing else."""
        return f"{role}@{self.name}.example"

    def person(self, role: str) -> Kube:
        """The API server as they see it."""
        return self.api.as_user(self.user(role))

    def bind(self, role: str, cluster_role: str) -> None:
        """Bind the ClusterRole to the person of the role, here."""
        self.api.create(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": role, "namespace": self.name},
                "roleRef": role_ref("ClusterRole", cluster_role),
                "subjects": [{"kind": "User", "name": self.user(role), "apiGroup": "rbac.authorization.k8s.io"}],
            }
        )

    def standing(self) -> dict[str, Json]:
        """One object of each kind, by plural. The client's deletion is confirmed, so that only rights can refuse it."""
        client = client_org(namespace=self.name, tags=list(TAGS))
        client["metadata"]["annotations"] = {ANNOTATION_CONFIRM_DELETION: "acme"}
        return {
            "clientorgs": client,
            "quotapools": quota_pool(namespace=self.name, visitors=1000),
            "orgplans": billing_plan(namespace=self.name),
            "orgapprovals": approval("", self.name),
            "pointtransactions": transaction(namespace=self.name),
            "usagereports": builders.report(self.name, ORG_ID, datetime(2026, 11, 20, tzinfo=UTC), visitors=1),
            "subscriptions": builders.subscription(self.name),
            "events": _event(self.name),
        }

    def furnish(self) -> None:
        """Create the standing objects, as the cluster's administrator."""
        me = self.api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", _SELF)
        objects = self.standing()
        objects["orgapprovals"]["spec"]["approvedBy"] = me["status"]["userInfo"]["username"]
        for manifest in objects.values():
            self.api.create(manifest)

    def fresh(self, role: str, plural: str) -> Json:
        """An object of the kind that is not there yet, as the role would make it."""
        manifest = self.standing()[plural]
        if plural == "pointtransactions":
            manifest = transaction(MAKES.get(role, "TopUp"), namespace=self.name)
        elif plural == "orgapprovals":
            manifest = approval(self.user(role), self.name)
        elif plural == "clientorgs":
            manifest = client_org(namespace=self.name)
        manifest["metadata"]["name"] = "new"
        return manifest

    def try_(self, cell: Cell) -> None:
        """Do what the cell of the table is about; nothing of it stays. Raises RefusedError."""
        person, resource = self.person(cell.role), RESOURCES[cell.resource]
        name = self.standing()[cell.resource]["metadata"]["name"]
        everything, one = resource.path(self.name), resource.path(self.name, name)
        match cell.verb:
            case "get":
                person.request("GET", one)
            case "list":
                person.request("GET", everything)
            case "watch":
                next(person.watch(resource, self.name, "0", seconds=5))
            case "create":
                person.request("POST", everything, self.fresh(cell.role, cell.resource), dryRun="All")
            case "update":
                person.request("PUT", one, self.api.request("GET", one), dryRun="All")
            case "patch":
                patch(person, resource, name, self.name, {"metadata": {"labels": {"tried": "yes"}}})
            case "delete":
                person.request("DELETE", one, dryRun="All")
            case "deletecollection":
                person.request("DELETE", everything, dryRun="All")
            case verb:
                raise AssertionError(f"{verb} is no verb of the API server")


_SELF: Final[Json] = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def patch(person: Kube, resource: Resource, name: str, namespace: str, change: Json) -> None:
    """Try a merge patch; nothing of it stays. Raises RefusedError."""
    content_type = "application/merge-patch+json"
    person.request("PATCH", resource.path(namespace, name), change, content_type=content_type, dryRun="All")


def allowed(api: Kube, user: str, verb: str, group: str, resource: str, namespace: str, subresource: str = "") -> bool:
    """Whether RBAC lets the user (SubjectAccessReview); an empty namespace means all of them."""
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    review: Json = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": ["system:authenticated"],
            "resourceAttributes": {**attributes, "namespace": namespace},
        },
    }
    answer = api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def refused(request: Callable[[], object]) -> str:
    """Why a request is forbidden, or nothing where it is not. Raises RefusedError for any other refusal."""
    try:
        request()
    except RefusedError as error:
        if error.code != 403:
            raise
        return error.message
    return ""


def refusal(person: Kube, manifest: Json) -> str:
    """Why the object may not be created, or nothing where it would be."""
    return refused(lambda: person.create(manifest, dryRun="All"))


def _event(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "told", "namespace": namespace},
        "eventTime": "2026-11-20T09:00:00.000000Z",
        "reportingController": "clientorg.dev/operator",
        "reportingInstance": "operator-0",
        "action": "Reconcile",
        "reason": "Ready",
        "note": "something happened",
        "type": "Normal",
        "regarding": {"apiVersion": f"{GROUP}/{VERSION}", "kind": "ClientOrg", "name": "acme", "namespace": namespace},
    }
