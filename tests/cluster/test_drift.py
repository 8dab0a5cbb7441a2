"""Whatever becomes of a workspace's objects is put right; nothing else is touched (FEATURES X1; DESIGN section 3)."""

from __future__ import annotations

from contextlib import suppress

import pytest

from clientorg.api.meta import FINALIZER, POOL_FINALIZER
from clientorg.cluster.resources import (
    CONFIG_MAPS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    Resource,
    resource_of,
)
from tests.cluster.verbs import Agency, Client
from tests.support.kube import Json, Kube, RefusedError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

DEPLOYMENTS = resource_of({"apiVersion": "apps/v1", "kind": "Deployment"})
SITE = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "site"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "site"}},
        "template": {
            "metadata": {"labels": {"app": "site"}},
            "spec": {"containers": [{"name": "main", "image": "none.example/a"}]},
        },
    },
}
WELCOME = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "welcome"},
    "data": {"text": "hello", "limit": "1000"},
}
CHILDREN = [
    (RESOURCE_QUOTAS, "clientorg-quota"),
    (LIMIT_RANGES, "clientorg-limits"),
    (NETWORK_POLICIES, "clientorg-default-deny"),
    (NETWORK_POLICIES, "clientorg-allow-dns"),
    (NETWORK_POLICIES, "clientorg-allow-internal"),
    (ROLE_BINDINGS, "clientorg-agency"),
    (ROLE_BINDINGS, "clientorg-support"),
    (ROLE_BINDINGS, "clientorg-client-admins"),
    (SERVICE_ACCOUNTS, "default"),
    (CONFIG_MAPS, "portal"),
    (CONFIG_MAPS, "welcome"),
    (DEPLOYMENTS, "site"),
]
OUTSIDER = {"kind": "User", "name": "mallory@example.com", "apiGroup": "rbac.authorization.k8s.io"}
ANYBODY: Json = {"podSelector": {}, "namespaceSelector": {}}
EVERYBODY: list[Json] = [{"from": [{"namespaceSelector": {}}]}]


def name_of(child: object) -> str | None:
    """Name of a child, for the test's ID."""
    return f"{child[0].kind} {child[1]}" if isinstance(child, tuple) else None


def decided(resource: Resource, manifest: Json) -> Json:
    """What of an object is the operator's to decide."""
    if resource == SERVICE_ACCOUNTS:
        return {"automountServiceAccountToken": manifest.get("automountServiceAccountToken")}
    if resource == DEPLOYMENTS:
        return {"replicas": manifest["spec"]["replicas"], "template": manifest["spec"]["template"]}
    return {key: value for key, value in manifest.items() if key not in ("metadata", "status")}


@pytest.fixture(scope="module")
def acme(kyoto: Agency) -> Client:
    """A client with every kind of object in its workspace. Each test leaves it as it was: that is what it tests."""
    access = {"agency": [{"name": "kyoto-admins"}], "support": [{"name": "kyoto-support"}]}
    kyoto.plan.change(access=access, blueprint=[SITE, WELCOME])
    return kyoto.ready_client(admins=[{"name": "yuki@acme.example", "role": "Full"}])


def expect_restored(client: Client, resource: Resource, name: str, before: Json) -> None:
    """Wait until the object is again what it was, with its labels."""

    def is_as_before(_: Json) -> bool:
        now = client.kube.find(resource, name, client.workspace)
        return (
            now is not None
            and "deletionTimestamp" not in now["metadata"]
            and decided(resource, now) == decided(resource, before)
            and before["metadata"]["labels"].items() <= (now["metadata"].get("labels") or {}).items()
        )

    client.expect(is_as_before, f"have its {resource.kind} {name} back")


@pytest.mark.parametrize("child", CHILDREN, ids=name_of)
def test_deleted_object_is_made_anew(acme: Client, api: Kube, child: tuple[Resource, str]) -> None:
    resource, name = child
    before = acme.child(resource, name)

    api.delete(resource, name, acme.workspace)

    acme.expect(lambda _: uid(acme, resource, name) not in (None, before["metadata"]["uid"]), f"have another {name}")
    expect_restored(acme, resource, name, before)


def uid(client: Client, resource: Resource, name: str) -> str | None:
    """UID of an object; None when it is not there."""
    found = client.kube.find(resource, name, client.workspace)
    return found["metadata"]["uid"] if found else None


@pytest.mark.parametrize(
    ("child", "patch"),
    [
        ((RESOURCE_QUOTAS, "clientorg-quota"), {"spec": {"hard": {"pods": "5000"}}}),
        ((RESOURCE_QUOTAS, "clientorg-quota"), {"spec": {"hard": {"count/leases.coordination.k8s.io": "1"}}}),
        ((LIMIT_RANGES, "clientorg-limits"), {"spec": {"limits": None}}),
        ((LIMIT_RANGES, "clientorg-limits"), {"spec": {"limits": [{"type": "Pod", "max": {"cpu": "64"}}]}}),
        ((NETWORK_POLICIES, "clientorg-default-deny"), {"spec": {"ingress": EVERYBODY}}),
        ((NETWORK_POLICIES, "clientorg-default-deny"), {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}}),
        ((NETWORK_POLICIES, "clientorg-default-deny"), {"spec": {"policyTypes": ["Ingress"]}}),
        ((NETWORK_POLICIES, "clientorg-allow-dns"), {"spec": {"egress": [{"to": [{"namespaceSelector": {}}]}]}}),
        ((NETWORK_POLICIES, "clientorg-allow-internal"), {"spec": {"ingress": EVERYBODY}}),
        ((NETWORK_POLICIES, "clientorg-allow-internal"), {"spec": {"egress": [{"to": [ANYBODY]}]}}),
        ((ROLE_BINDINGS, "clientorg-support"), {"subjects": [OUTSIDER]}),
        ((SERVICE_ACCOUNTS, "default"), {"automountServiceAccountToken": True}),
        ((SERVICE_ACCOUNTS, "default"), {"automountServiceAccountToken": None}),
        ((CONFIG_MAPS, "portal"), {"data": {"portal.json": "{}"}}),
        ((CONFIG_MAPS, "portal"), {"data": {"more": "{}"}}),
        ((CONFIG_MAPS, "portal"), {"binaryData": {"more": "AAAA"}}),
        ((CONFIG_MAPS, "welcome"), {"data": {"text": "bye"}}),
        ((CONFIG_MAPS, "welcome"), {"data": {"limit": "1k"}}),
        ((CONFIG_MAPS, "welcome"), {"data": None}),
        ((DEPLOYMENTS, "site"), {"spec": {"replicas": 0}}),
    ],
    ids=lambda value: name_of(value) or "",
)
def test_changed_object_is_put_right(acme: Client, api: Kube, child: tuple[Resource, str], patch: Json) -> None:
    resource, name = child
    before = acme.child(resource, name)

    changed = api.merge(resource, name, patch, acme.workspace)

    assert decided(resource, changed) != decided(resource, before)
    expect_restored(acme, resource, name, before)


def test_subject_added_to_a_binding_is_out_again(acme: Client, api: Kube) -> None:
    before = acme.child(ROLE_BINDINGS, "clientorg-client-admins")

    api.merge(ROLE_BINDINGS, "clientorg-client-admins", {"subjects": [*before["subjects"], OUTSIDER]}, acme.workspace)

    expect_restored(acme, ROLE_BINDINGS, "clientorg-client-admins", before)


def test_binding_to_another_role_is_made_anew(acme: Client, api: Kube) -> None:
    """A roleRef cannot be changed in place."""
    before = acme.child(ROLE_BINDINGS, "clientorg-support")
    stronger = {**before, "roleRef": {**before["roleRef"], "name": "clientorg-client-admin"}}
    stronger["metadata"] = {key: before["metadata"][key] for key in ("name", "namespace", "labels")}

    api.delete(ROLE_BINDINGS, "clientorg-support", acme.workspace)
    with suppress(RefusedError):  # the operator was quicker
        api.create(stronger)

    expect_restored(acme, ROLE_BINDINGS, "clientorg-support", before)


@pytest.mark.parametrize("child", CHILDREN, ids=name_of)
def test_stripped_labels_come_back(acme: Client, api: Kube, child: tuple[Resource, str]) -> None:
    resource, name = child
    before = acme.child(resource, name)

    api.merge(resource, name, {"metadata": {"labels": dict.fromkeys(before["metadata"]["labels"])}}, acme.workspace)

    expect_restored(acme, resource, name, before)


@pytest.mark.parametrize(
    ("child", "label"),
    [
        ((NETWORK_POLICIES, "clientorg-default-deny"), "clientorg.dev/org-id"),
        ((ROLE_BINDINGS, "clientorg-client-admins"), "app.kubernetes.io/managed-by"),
        ((CONFIG_MAPS, "welcome"), "app.kubernetes.io/component"),
    ],
    ids=lambda value: name_of(value),
)
def test_changed_label_is_put_right(acme: Client, api: Kube, child: tuple[Resource, str], label: str) -> None:
    """Inventories and network policies select by these; a wrong one hides the object or shows it as another's."""
    resource, name = child
    before = acme.child(resource, name)

    api.merge(resource, name, {"metadata": {"labels": {label: "forged"}}}, acme.workspace)

    expect_restored(acme, resource, name, before)


def test_finalizers_taken_off_by_hand_come_back(kyoto: Agency, acme: Client) -> None:
    """Without them a deletion would leave a workspace, or clients without a pool, behind."""
    bare = {"metadata": {"finalizers": None}}
    acme.kube.merge(acme.resource, acme.name, bare, acme.namespace)
    acme.kube.merge(kyoto.pool.resource, kyoto.pool.name, bare, kyoto.name)

    acme.expect(lambda it: it["metadata"].get("finalizers") == [FINALIZER], "have its finalizer back")
    kyoto.pool.expect(lambda it: it["metadata"].get("finalizers") == [POOL_FINALIZER], "have its finalizer back")


@pytest.mark.parametrize("level", ["privileged", None])
def test_loosened_pod_security_is_tightened(acme: Client, api: Kube, level: str | None) -> None:
    label = "pod-security.kubernetes.io/enforce"
    api.merge(NAMESPACES, acme.workspace, {"metadata": {"labels": {label: level}}})

    acme.expect(
        lambda _: api.get(NAMESPACES, acme.workspace)["metadata"]["labels"].get(label) == "baseline", "be guarded again"
    )


def test_others_may_label_and_annotate_the_namespace(acme: Client, api: Kube) -> None:
    mine = {"labels": {"team": "blue"}, "annotations": {"note": "mine"}}
    api.merge(NAMESPACES, acme.workspace, {"metadata": mine})

    acme.edit(displayName="Acme Labels")
    acme.expect_ready()
    acme.ask_for_reconcile("labels")
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "labels", "answer")

    metadata = api.get(NAMESPACES, acme.workspace)["metadata"]
    assert metadata["labels"]["team"] == "blue"
    assert metadata["annotations"]["note"] == "mine"


def test_tenants_own_objects_are_left_alone(acme: Client, api: Kube, osaka: Agency) -> None:
    """Also those that carry the operator's labels, its names in another kind, or another client's Org ID."""
    other = osaka.ready_client("other")
    stranger = {
        "clientorg.dev/org-id": other.org_id,
        "app.kubernetes.io/component": "blueprint",
        "app.kubernetes.io/managed-by": "clientorg-operator",
    }
    annotations = {"clientorg.dev/blueprint-digest": "0123456789abcdef"}
    for name in ("clientorg-quota", "note"):
        metadata = {"name": name, "namespace": acme.workspace, "labels": stranger, "annotations": annotations}
        api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mine": "yes"}})
    policy = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": EVERYBODY}
    metadata = {"name": "own", "namespace": acme.workspace}
    api.create({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": policy})

    acme.edit(displayName="Acme Holding")
    acme.expect_ready()
    acme.ask_for_reconcile("own")
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "own", "answer")

    for name in ("clientorg-quota", "note"):
        assert acme.child(CONFIG_MAPS, name)["data"] == {"mine": "yes"}
    assert acme.child(NETWORK_POLICIES, "own")["spec"]["ingress"] == EVERYBODY


def test_deleted_namespace_is_built_anew_under_the_same_org_id(acme: Client, api: Kube) -> None:
    """An agency's admin may wipe a client's data: confirmed, the workspace starts from nothing."""
    workspace, org_id = acme.workspace, acme.org_id
    before = api.get(NAMESPACES, workspace)["metadata"]["uid"]
    api.merge(NAMESPACES, workspace, {"metadata": {"annotations": {"clientorg.dev/confirm-deletion": workspace}}})

    api.delete(NAMESPACES, workspace)

    def is_anew(_: Json) -> bool:
        found = api.find(NAMESPACES, workspace)
        return found is not None and found["metadata"]["uid"] != before

    acme.expect(is_anew, "have another namespace", 90)
    acme.expect_ready()
    assert (acme.workspace, acme.org_id, acme.granted) == (workspace, org_id, {"visitors": 10})
    for resource, name in CHILDREN:
        acme.child(resource, name)
