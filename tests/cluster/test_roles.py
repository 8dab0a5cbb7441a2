"""Who may do what in an agency: every cell of docs/roles.md, asked of a real API server (FEATURES S13, S15, W3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION, ANNOTATION_HOLD
from clientorg.cluster.resources import CLIENT_ORGS, POINT_TRANSACTIONS, QUOTA_POOLS, Resource
from tests.cluster._ledger import ROUTES, approval, transaction
from tests.cluster._plane import client_org, quota_pool
from tests.cluster._roles import RESOURCES, TAGS, House, allowed, patch, refusal, refused
from tests.cluster.operators import IDENTITY
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support import builders
from tests.support.kube import Json, Kube, RefusedError
from tests.support.roles_page import PLAIN_VERBS, cells, examples, roles

pytestmark = pytest.mark.cluster

each_role = pytest.mark.parametrize("role", roles())
VERBS = {"Purchase": "purchase", "TopUp": "top-up", "Withdrawal": "withdraw", "Reversal": "reverse"}
"""Kind of transaction to the verb that it takes; the other two are the operator's, by name."""
SUBRESOURCES = ("status", "finalizers", "scale")
ELSE: dict[str, tuple[str, ...]] = {
    "": (
        *("secrets", "configmaps", "pods", "services", "serviceaccounts", "persistentvolumeclaims"),
        *("resourcequotas", "limitranges", "namespaces"),
    ),
    "apps": ("deployments", "statefulsets"),
    "batch": ("jobs", "cronjobs"),
    "networking.k8s.io": ("networkpolicies", "ingresses"),
    "rbac.authorization.k8s.io": ("roles", "rolebindings", "clusterroles", "clusterrolebindings"),
    "admissionregistration.k8s.io": ("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
    "apiextensions.k8s.io": ("customresourcedefinitions",),
    "coordination.k8s.io": ("leases",),
}
"""What is no business of any role, by API group."""


@pytest.fixture(scope="module")
def house(api: Kube, unattended: Cluster) -> Iterator[House]:
    """An agency with somebody in each role, whose rights are in force."""
    house = House(api, f"agency-{uuid.uuid4().hex[:8]}")
    api.create(builders.namespace(house.name))
    house.furnish()
    for role, cluster_role in roles().items():
        house.bind(role, cluster_role)
    reads = {cell.role: RESOURCES[cell.resource] for cell in cells() if cell.allowed and cell.verb == "list"}
    wait_until(
        lambda: all(house.person(role).may("list", resource, house.name) for role, resource in reads.items()),
        30,
        "the bindings to work",
    )
    yield house
    api.delete(Resource("", "v1", "namespaces", "Namespace", namespaced=False), house.name)


def table_of(role: str) -> dict[tuple[str, str], bool]:
    """(resource, verb) to whether the page says yes."""
    return {(cell.resource, cell.verb): cell.allowed for cell in cells() if cell.role == role}


def groups_of(resource: str) -> tuple[str, ...]:
    """The API groups that serve a resource of the table."""
    return ("", "events.k8s.io") if resource == "events" else (RESOURCES[resource].group,)


# -- the table -----------------------------------------------------------------------------------------------------


@each_role
def test_api_server_says_of_every_cell_what_the_page_says(house: House, role: str) -> None:
    wanted = {(what, verb, group): may for (what, verb), may in table_of(role).items() for group in groups_of(what)}

    answers = {
        (what, verb, group): allowed(house.api, house.user(role), verb, group, what, house.name)
        for what, verb, group in wanted
    }

    assert answers == wanted


@each_role
def test_every_plain_verb_is_answered_as_the_page_says(house: House, role: str) -> None:
    """By real requests (dry run): nothing but the role lets them through or stops them."""
    for cell in cells():
        if cell.role != role or cell.verb not in PLAIN_VERBS:
            continue
        if cell.allowed:
            house.try_(cell)
            continue
        with pytest.raises(RefusedError) as answer:
            house.try_(cell)
        assert answer.value.code == 403
        assert f'cannot {cell.verb} resource "{cell.resource}"' in answer.value.message, cell


@each_role
def test_role_in_one_agency_is_none_elsewhere(house: House, role: str) -> None:
    user = house.user(role)
    held = [(what, verb) for (what, verb), may in table_of(role).items() if may]

    for namespace in ("default", "clientorg-system", ""):
        for what, verb in held:
            assert not any(allowed(house.api, user, verb, group, what, namespace) for group in groups_of(what))


@each_role
def test_role_reaches_nothing_else(house: House, role: str) -> None:
    api, user, here = house.api, house.user(role), house.name
    questions = [(verb, group, what, "") for group, those in ELSE.items() for what in those for verb in PLAIN_VERBS]
    questions += [
        (verb, RESOURCES[what].group, what, subresource)
        for what in RESOURCES
        for subresource in SUBRESOURCES
        for verb in ("get", "update", "patch")
    ]
    questions += [("impersonate", "", what, "") for what in ("users", "groups", "serviceaccounts")]
    questions += [(verb, "rbac.authorization.k8s.io", "clusterroles", "") for verb in ("bind", "escalate")]
    questions += [("create", "", "serviceaccounts", "token"), ("create", "", "pods", "exec")]

    held = [it for it in questions if allowed(api, user, it[0], it[1], it[2], here, it[3])]

    assert held == []


# -- the verbs that policies ask for -------------------------------------------------------------------------------


@each_role
def test_each_makes_the_transactions_that_the_page_says(house: House, role: str) -> None:
    may, user = table_of(role), house.user(role)
    for kind in ROUTES:
        why = refusal(house.person(role), transaction(kind, "first" if kind == "Reversal" else "new", house.name))
        if not may["pointtransactions", "create"]:
            assert 'cannot create resource "pointtransactions"' in why
        elif kind not in VERBS:
            assert f"only clientorg-operator makes a {kind}" in why
        elif may["pointtransactions", VERBS[kind]]:
            assert why == ""
        else:
            assert f"{user} may not make a {kind} in namespace {house.name}: it takes the verb `{VERBS[kind]}`" in why


def test_approver_decides_in_their_own_name(house: House) -> None:
    approver = house.person("approver")

    assert refusal(approver, {**approval(house.user("approver"), house.name), "metadata": named("new", house)}) == ""
    other = {**approval(house.user("owner"), house.name), "metadata": named("new", house)}
    assert "spec.approvedBy: must be approver@" in refusal(approver, other)


def named(name: str, house: House) -> Json:
    """Metadata."""
    return {"name": name, "namespace": house.name}


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_nobody_requests_for_others_or_takes_an_org_id_over(house: House, role: str) -> None:
    person, own, other = house.person(role), house.user(role), house.user("support")

    assert refusal(person, client_org("new", house.name, requestedBy=own)) == ""
    assert f"spec.requestedBy: must be {own}" in refusal(person, client_org("new", house.name, requestedBy=other))
    assert refusal(person, transaction(name="new", namespace=house.name, requestedBy=own)) == ""
    why = refusal(person, transaction(name="new", namespace=house.name, requestedBy=other))
    assert f"spec.requestedBy: must be {own}" in why
    restored = client_org("new", house.name)
    restored["metadata"]["annotations"] = {"clientorg.dev/restore-org-id": "7k2m9q4xta"}
    assert "the right to `restore` clientorgs" in refusal(person, restored)


# -- holds ---------------------------------------------------------------------------------------------------------


def test_hold_takes_the_right_to_it_also_of_who_replaces_objects_whole(house: House) -> None:
    rule = {"apiGroups": ["clientorg.dev"], "resources": ["clientorgs"], "verbs": ["get", "update", "patch"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": named("replacer", house)}
    house.api.create({**role, "kind": "Role", "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "replacer"}
    subject = {"kind": "User", "name": house.user("replacer"), "apiGroup": "rbac.authorization.k8s.io"}
    house.api.create({**role, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]})
    replacer = house.person("replacer")
    wait_until(lambda: replacer.may("update", CLIENT_ORGS, house.name), 30, "the binding to work")

    def hold(person: Kube, why: str | None) -> str:
        change = {"metadata": {"annotations": {ANNOTATION_HOLD: why}}}
        return refused(lambda: person.merge(CLIENT_ORGS, "acme", change, house.name))

    whole = house.api.get(CLIENT_ORGS, "acme", house.name)
    words = f"{house.user('replacer')} may not hold or release clients in namespace {house.name}"
    try:
        assert words in hold(replacer, "spam")
        assert "say why" in hold(house.person("admin"), " ")
        assert "at most 256 characters" in hold(house.person("owner"), "x" * 257)
        assert hold(house.person("admin"), "spam") == ""
        assert words in hold(replacer, None)
        whole["metadata"]["resourceVersion"] = house.api.get(CLIENT_ORGS, "acme", house.name)["metadata"][
            "resourceVersion"
        ]
        assert words in refused(lambda: replacer.replace(whole))
    finally:
        assert hold(house.api, None) == ""


# -- tags ----------------------------------------------------------------------------------------------------------

TAG_WORDS = "may not change the tags of clients in namespace"


def change(house: House, person: Kube, **spec: object) -> str:
    """Why the client's spec is not changed so, or nothing where it would be."""
    return refused(lambda: patch(person, CLIENT_ORGS, "acme", house.name, {"spec": spec}))


@pytest.mark.parametrize("tags", [["vip"], [], ["vip", "export", "new"], ["other"], None])
def test_tags_are_changed_by_owners_only(house: House, tags: list[str] | None) -> None:
    assert change(house, house.person("owner"), tags=tags) == ""
    assert change(house, house.api, tags=tags) == ""
    why = change(house, house.person("admin"), tags=tags)
    assert f"spec.tags: {house.user('admin')} {TAG_WORDS} {house.name}: it takes the verb `tag`" in why
    assert "Leave the tags as they are, or ask an owner" in why


def test_new_client_is_tagged_by_owners_only(house: House) -> None:
    tagged = client_org("new", house.name, tags=["vip"])

    assert refusal(house.person("owner"), tagged) == ""
    assert refusal(house.api, tagged) == ""
    assert "Leave the tags out, or ask an owner" in refusal(house.person("admin"), tagged)
    assert refusal(house.person("admin"), client_org("new", house.name, tags=[])) == ""
    assert refusal(house.person("admin"), client_org("new", house.name)) == ""


def test_who_leaves_the_tags_as_they_are_needs_no_right_to_them(house: House) -> None:
    admin = house.person("admin")

    assert change(house, admin, industry="Retail") == ""
    assert change(house, admin, tags=list(TAGS), industry="Retail") == ""
    assert change(house, admin, tags=list(reversed(TAGS))) == ""
    whole = house.standing()["clientorgs"]
    admin.apply(whole, "gitops", dryRun="All", force="true")
    patch(house.api.as_user(IDENTITY), CLIENT_ORGS, "acme", house.name, {"metadata": {"labels": {"a": "b"}}})


def test_tags_are_not_changed_by_server_side_apply_either(house: House) -> None:
    whole = house.standing()["clientorgs"]
    whole["spec"]["tags"] = ["new"]

    with pytest.raises(RefusedError, match=TAG_WORDS):
        house.person("admin").apply(whole, "gitops", dryRun="All", force="true")
    house.person("owner").apply(whole, "gitops", dryRun="All", force="true")


# -- deleting by way of an owner -----------------------------------------------------------------------------------


def owned_by(uid: str) -> Json:
    """A change that hands an object over to the garbage collector, when that owner is gone."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": uid}
    return {"metadata": {"ownerReferences": [owner]}}


def test_who_may_not_delete_cannot_have_it_deleted(house: House) -> None:
    gone = owned_by("0f0e0d0c-0000-4000-8000-000000000000")

    with pytest.raises(RefusedError, match=r"metadata\.ownerReferences: .* takes the right to delete clientorgs"):
        patch(house.person("admin"), CLIENT_ORGS, "acme", house.name, gone)
    patch(house.person("owner"), CLIENT_ORGS, "acme", house.name, gone)
    patch(house.person("owner"), QUOTA_POOLS, "tokyo", house.name, gone)
    new = client_org("new", house.name)
    new["metadata"] |= gone["metadata"]
    assert "metadata.ownerReferences" in refusal(house.person("admin"), new)
    assert refusal(house.person("owner"), new) == ""


def test_transaction_belongs_to_nobody(house: House) -> None:
    """Or the garbage collector, which no policy holds up, would delete a posted one."""
    gone = owned_by("0f0e0d0c-0000-4000-8000-000000000000")
    new = transaction(name="new", namespace=house.name)
    new["metadata"] |= gone["metadata"]

    for person in (house.person("owner"), house.api):
        assert "metadata.ownerReferences: a transaction belongs to the ledger" in refusal(person, new)
    with pytest.raises(RefusedError, match="a transaction belongs to the ledger"):
        patch(house.api, POINT_TRANSACTIONS, "first", house.name, gone)


# -- the examples on the page --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pipeline(house: House) -> Kube:
    """The ServiceAccount of the page's second example, with the rights that the page gives it."""
    for item in examples()[1]:
        item["metadata"]["namespace"] = house.name
        for subject in item.get("subjects", ()):
            subject["namespace"] = house.name
        group = "rbac.authorization.k8s.io" if item["kind"] != "ServiceAccount" else ""
        where = Resource(group, "v1", f"{item['kind'].lower()}s", item["kind"])
        house.api.request("POST", where.path(house.name), item)
    account = house.api.as_user(f"system:serviceaccount:{house.name}:gitops")
    wait_until(lambda: account.may("patch", POINT_TRANSACTIONS, house.name), 30, "the Role to work")
    wait_until(lambda: account.may("patch", CLIENT_ORGS, house.name), 30, "the ClusterRole to work")
    return account


def test_pipeline_applies_what_people_asked_for(house: House, pipeline: Kube) -> None:
    asked_by = house.user("admin")
    manifests = (
        quota_pool("second", house.name, visitors=10),
        client_org("new", house.name, requestedBy=asked_by, tags=["vip"]),
        transaction(name="new", namespace=house.name, requestedBy=asked_by),
    )
    for manifest in manifests:
        pipeline.apply(manifest, "gitops", dryRun="All", force="true")


def test_pipeline_decides_nothing_buys_nothing_and_deletes_no_client_unconfirmed(house: House, pipeline: Kube) -> None:
    bare = client_org("unconfirmed", house.name)
    house.api.create(bare)

    with pytest.raises(RefusedError, match=ANNOTATION_CONFIRM_DELETION):
        pipeline.delete(CLIENT_ORGS, "unconfirmed", house.name)
    me = f"system:serviceaccount:{house.name}:gitops"
    assert 'cannot create resource "orgapprovals"' in refusal(pipeline, approval(me, house.name))
    assert "takes the verb `purchase`" in refusal(pipeline, transaction("Purchase", "new", house.name))


def test_people_of_the_example_have_their_roles(house: House) -> None:
    for item in examples()[0]:
        item["metadata"]["namespace"] = house.name
        house.api.create(item)
    owner, approver = house.api.as_user("hana", "tokyo-owners"), house.api.as_user("aya@platform.example")

    wait_until(lambda: owner.may("tag", CLIENT_ORGS, house.name), 30, "the group to be owners")
    wait_until(lambda: approver.may("create", RESOURCES["orgapprovals"], house.name), 30, "aya to be an approver")
    assert not house.api.as_user("hana").may("list", CLIENT_ORGS, house.name)
