"""Who may do what, on a real API server: the operator, a client's admins and viewers (FEATURES A7, S13; DESIGN 11)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.cluster._plane import OPERATOR, ROOT, Json, Plane, remove_namespace, role_ref, until

pytest_plugins = ["tests.cluster._plane"]

pytestmark = pytest.mark.cluster

ADMIN = "admin@acme.example"
VIEWER = "viewer@acme.example"


@pytest.fixture(scope="module")
def workspace(plane: Plane) -> Iterator[str]:
    """A workspace as the operator makes it, with an admin and a viewer."""
    name = f"acme-{uuid.uuid4().hex[:10]}"
    labels = {"clientorg.dev/org-id": "7k2m9q4xta"}
    operator = plane.as_(OPERATOR)
    operator.do(
        "apply",
        "--server-side",
        "-f=-",
        stdin={**named("v1", "Namespace", name), "metadata": {"name": name, "labels": labels}},
    )
    for user, role in ((ADMIN, "clientorg-client-admin"), (VIEWER, "clientorg-client-viewer")):
        operator.do("apply", "--server-side", "-f=-", stdin=role_binding(role, name, user))
    yield name
    remove_namespace(plane, name, wait=False)


def named(api_version: str, kind: str, name: str, namespace: str | None = None, **content: object) -> Json:
    """An object."""
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def role_binding(role: str, namespace: str, user: str) -> Json:
    """A RoleBinding of a ClusterRole to a user."""
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    binding = named("rbac.authorization.k8s.io/v1", "RoleBinding", role, namespace)
    return {**binding, "subjects": [subject], "roleRef": role_ref("ClusterRole", role)}


def allowed(
    plane: Plane, user: str, requests: list[tuple[str, str]], namespace: str = ""
) -> dict[tuple[str, str], bool]:
    """For each (verb, resource.group[/subresource][:name]): whether RBAC lets the user. One kubectl for all of them."""
    groups = ["system:authenticated"]
    if user == OPERATOR:
        groups += ["system:serviceaccounts", "system:serviceaccounts:clientorg-system"]
    reviews = []
    for verb, what in requests:
        resource, _, name = what.partition(":")
        resource, _, subresource = resource.partition("/")
        plural, _, group = resource.partition(".")
        attributes = {"verb": verb, "resource": plural, "group": group, "subresource": subresource, "name": name}
        spec = {"user": user, "groups": groups, "resourceAttributes": {**attributes, "namespace": namespace}}
        reviews.append({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
    items = {"apiVersion": "v1", "kind": "List", "items": reviews}
    answers = plane.do("create", "-f=-", "-o=jsonpath={.status.allowed} ", stdin=items).out.split()
    return {request: answer == "true" for request, answer in zip(requests, answers, strict=True)}


def each(verbs: str, *resources: str) -> list[tuple[str, str]]:
    """Every verb on every resource."""
    return [(verb, resource) for resource in resources for verb in verbs.split()]


READ = "get list watch"
WRITE = "create update patch delete"
WORKLOADS = (
    *("pods", "services", "configmaps", "persistentvolumeclaims", "serviceaccounts"),
    *("deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps", "jobs.batch", "cronjobs.batch"),
    *("ingresses.networking.k8s.io", "horizontalpodautoscalers.autoscaling", "poddisruptionbudgets.policy"),
)
OURS = (
    "clientorgs",
    "quotapools",
    "orgplans",
    "usagereports",
    "orgapprovals",
    "pointtransactions",
    "subscriptions",
)
GUARDS = (
    *("resourcequotas", "limitranges", "networkpolicies.networking.k8s.io", "rolebindings.rbac.authorization.k8s.io"),
)
OTHER_RIGHTS = (
    *each(WRITE, "roles.rbac.authorization.k8s.io", "endpoints", "endpointslices.discovery.k8s.io"),
    *each("update patch delete", "namespaces"),
    *each("impersonate", "serviceaccounts", "users", "groups"),
    *each("bind escalate", "roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io"),
    *each("create", "serviceaccounts/token"),
)


def test_client_admin_runs_the_workspace_but_cannot_loosen_it(plane: Plane, workspace: str) -> None:
    may = each(f"{READ} {WRITE}", *WORKLOADS, "secrets") + each(READ, *GUARDS, "events", "events.events.k8s.io")
    may += [("get", "pods/log"), ("create", "pods/exec"), ("create", "pods/portforward"), ("get", "namespaces")]
    may += each("get update", "deployments.apps/scale")
    may_not = [*each(WRITE, *GUARDS, "events"), *OTHER_RIGHTS]

    answers = allowed(plane, ADMIN, may + may_not, workspace)

    assert [request for request in may if not answers[request]] == []
    assert [request for request in may_not if answers[request]] == []


def test_client_viewer_looks_and_sees_no_secret(plane: Plane, workspace: str) -> None:
    may = [*each(READ, *WORKLOADS, *GUARDS, "events"), ("get", "pods/log"), ("get", "namespaces")]
    may_not = [*each(WRITE, *WORKLOADS, *GUARDS, "events"), *each(f"{READ} {WRITE}", "secrets"), *OTHER_RIGHTS]
    may_not += each("get create", "pods/exec", "pods/attach", "pods/portforward")

    answers = allowed(plane, VIEWER, may + may_not, workspace)

    assert [request for request in may if not answers[request]] == []
    assert [request for request in may_not if answers[request]] == []


@pytest.mark.parametrize("user", [ADMIN, VIEWER])
def test_clients_people_reach_no_other_namespace(plane: Plane, workspace: str, agency: str, user: str) -> None:
    requests = each(READ, *WORKLOADS, "secrets", "clientorgs.clientorg.dev", "quotapools.clientorg.dev")

    for namespace in (agency, "kube-system", ""):
        assert not any(allowed(plane, user, requests, namespace).values())


def test_operator_holds_what_it_needs_and_no_more(plane: Plane) -> None:
    may = [
        *each("get list watch patch", "clientorgs.clientorg.dev", "quotapools.clientorg.dev"),
        *each("get list watch", "orgplans.clientorg.dev", "usagereports.clientorg.dev", "orgapprovals.clientorg.dev"),
        *each("get list watch", "subscriptions.clientorg.dev"),
        *each("get list watch create charge settle", "pointtransactions.clientorg.dev"),
        *each("patch", *(f"{kind}.clientorg.dev/status" for kind in OURS)),
        *each("get list watch create patch", "namespaces", *GUARDS, "configmaps", "serviceaccounts"),
        *each("delete", "namespaces", *(kind for kind in GUARDS if kind != "limitranges")),
        *each("delete", "configmaps", "serviceaccounts"),
        *each("update", "resourcequotas", "configmaps", "networkpolicies.networking.k8s.io"),
        *each("get list create delete", "pods"),
        *each("list patch", "replicasets.apps", "daemonsets.apps"),
        *each("get", "secrets:clientorg-smtp", "secrets:clientorg-webhook", "secrets:clientorg-payment"),
        *each("create", "events.events.k8s.io"),
        *each("bind", "clusterroles.rbac.authorization.k8s.io:clientorg-client-admin"),
        *each("bind", "clusterroles.rbac.authorization.k8s.io:clientorg-client-granter"),
    ]
    may_not = [
        *each("create delete update deletecollection restore request-for-others tag", "clientorgs.clientorg.dev"),
        *each(WRITE, "orgplans.clientorg.dev", "usagereports.clientorg.dev", "orgapprovals.clientorg.dev"),
        *each(WRITE, "subscriptions.clientorg.dev"),
        *each("update patch delete deletecollection request-for-others", "pointtransactions.clientorg.dev"),
        *each("purchase top-up withdraw reverse", "pointtransactions.clientorg.dev"),
        *each(f"{READ} {WRITE}", "secrets", "nodes", "clusterroles.rbac.authorization.k8s.io"),
        *each(
            f"list watch {WRITE}", "secrets:clientorg-smtp", "secrets:clientorg-webhook", "secrets:clientorg-payment"
        ),
        *each("update patch", "pods"),
        *each("update", "namespaces", "serviceaccounts", "limitranges", "rolebindings.rbac.authorization.k8s.io"),
        *each("delete", "limitranges"),
        *each(WRITE, "clusterrolebindings.rbac.authorization.k8s.io", "roles.rbac.authorization.k8s.io"),
        *each(WRITE, "customresourcedefinitions.apiextensions.k8s.io"),
        *each(WRITE, "validatingadmissionpolicies.admissionregistration.k8s.io"),
        *each("create", "serviceaccounts/token", "pods/exec"),
        *each("impersonate", "users", "groups", "serviceaccounts"),
        *each("escalate", "clusterroles.rbac.authorization.k8s.io:clientorg-client-admin"),
        *each("bind", "clusterroles.rbac.authorization.k8s.io:cluster-admin", "clusterroles.rbac.authorization.k8s.io"),
    ]

    answers = allowed(plane, OPERATOR, may + may_not)

    assert [request for request in may if not answers[request]] == []
    assert [request for request in may_not if answers[request]] == []


def test_operator_holds_its_lease_and_no_other(plane: Plane) -> None:
    lease = "leases.coordination.k8s.io"
    requests = [*each("create", lease), *each("get update", f"{lease}:clientorg-operator")]
    others = each("get update patch delete", f"{lease}:other")

    answers = allowed(plane, OPERATOR, requests + others, "clientorg-system")
    assert answers == {**dict.fromkeys(requests, True), **dict.fromkeys(others, False)}
    assert not any(allowed(plane, OPERATOR, requests + others, "kube-system").values())


@pytest.mark.parametrize("role", ["clientorg-client-admin", "clientorg-client-viewer"])
def test_operator_binds_the_two_roles_in_a_workspace(plane: Plane, workspace: str, role: str) -> None:
    """Done for real by the fixture, with server-side apply; here it is seen to have worked."""
    user = ADMIN if role.endswith("admin") else VIEWER

    until(lambda: plane.as_(user).run("get", "pods", f"-n={workspace}").code == 0, "the binding to work")


@pytest.mark.parametrize("role", ["cluster-admin", "admin", "edit", "view"])
def test_operator_binds_no_other_role(plane: Plane, workspace: str, role: str) -> None:
    answer = plane.as_(OPERATOR).create(role_binding(role, workspace, ADMIN))

    assert answer.code != 0
    assert "attempting to grant RBAC permissions not currently held" in answer.err


def test_client_admin_hands_nothing_on(plane: Plane, workspace: str) -> None:
    friend = {
        **role_binding("clientorg-client-viewer", workspace, "friend@acme.example"),
        "metadata": {"name": "friend"},
    }

    answer = plane.as_(ADMIN).run("create", f"-n={workspace}", "-f=-", stdin=friend)

    assert answer.code != 0
    assert 'cannot create resource "rolebindings"' in answer.err


def test_operator_writes_in_workspaces_only(plane: Plane, agency: str, workspace: str) -> None:
    """RBAC lets it write everywhere; the policy clientorg-operator-scope does not."""
    operator = plane.as_(OPERATOR)

    def writes(namespace: str) -> list[Json]:
        hard = {"spec": {"hard": {"pods": "0"}}}
        return [
            named("v1", "ConfigMap", "x", namespace, data={}),
            named("v1", "ResourceQuota", "x", namespace, **hard),
            role_binding("clientorg-client-viewer", namespace, ADMIN),
        ]

    for manifest in writes(workspace):
        answer = operator.run("apply", "--server-side", "-f=-", "--dry-run=server", stdin=manifest)
        assert answer.code == 0, answer.err
    for namespace in (agency, "kube-system"):
        for manifest in writes(namespace):
            for command in (["create"], ["apply", "--server-side"]):
                answer = operator.run(*command, "-f=-", "--dry-run=server", stdin=manifest)
                assert answer.code != 0
                assert "clientorg-operator writes only in workspaces" in answer.err


def test_operator_touches_no_other_namespace(plane: Plane, agency: str) -> None:
    operator = plane.as_(OPERATOR)

    for arguments in (["label", "namespace", agency, "a=b"], ["annotate", "namespace", agency, "a=b"]):
        answer = operator.run(*arguments)
        assert answer.code != 0
        assert "clientorg-operator writes only in workspaces" in answer.err
    answer = operator.create(named("v1", "Namespace", "unmarked"), dry_run=True)
    assert "clientorg-operator writes only in workspaces" in answer.err


def test_operator_marks_an_agency(plane: Plane) -> None:
    """With server-side apply, as it does for every namespace with a pool; that is all it may do to one."""
    name = f"agency-{uuid.uuid4().hex[:8]}"
    plane.do("create", "namespace", name)
    mark = named("v1", "Namespace", name)
    mark["metadata"]["labels"] = {"clientorg.dev/agency": "true"}

    plane.as_(OPERATOR).do("apply", "--server-side", "-f=-", stdin=mark)

    refusal = plane.run("delete", "namespace", name).err
    remove_namespace(plane, name, wait=False)
    assert "is an agency" in refusal


def test_operators_pods_are_restricted(plane: Plane) -> None:
    """clientorg-system enforces the restricted level: the ReplicaSet would have no pods."""

    def admitted() -> bool:
        deployment = plane.get("deployment", "clientorg-operator", "-n=clientorg-system") or {}
        status = deployment.get("status", {})
        seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
        return bool(seen) and int(status.get("updatedReplicas", 0)) > 0

    manifest = str(ROOT / "manifests" / "deployment.yaml")
    plane.do("apply", "--server-side", "-n=clientorg-system", f"-f={manifest}")
    try:
        until(admitted, "the pods of the Deployment to be admitted")
    finally:
        plane.do("delete", "-n=clientorg-system", f"-f={manifest}", "--wait=false")
    assert "restricted" in plane.run("run", "loose", "--image=x", "-n=clientorg-system", "--dry-run=server").err, (
        "the level is enforced"
    )
