"""The admission policies in manifests/policies on a real API server, both ways (FEATURES Z2, Z10, X5)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster._plane import (
    CLUSTER_ADMIN,
    GARBAGE_COLLECTOR,
    NAMESPACE_CONTROLLER,
    OPERATOR,
    OWNER,
    Answer,
    Json,
    Plane,
    client_org,
    quota_pool,
    remove_namespace,
    until,
)

pytest_plugins = ["tests.cluster._plane"]

pytestmark = pytest.mark.cluster

CONFIRM = "clientorg.dev/confirm-deletion"


def refused(answer: Answer, *words: str) -> None:
    """The API server refused, and its message has these words."""
    assert answer.code != 0, f"not refused: {answer.out}"
    for part in words:
        assert part in answer.err, answer.err


def taken(answer: Answer) -> None:
    """The API server did it."""
    assert answer.code == 0, answer.err


def namespace(name: str, *, labels: Json | None = None, annotations: Json | None = None) -> Json:
    """A Namespace."""
    metadata = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


@pytest.fixture
def client(plane: Plane, agency: str) -> str:
    """An unconfirmed client named acme; its agency's namespace is returned."""
    plane.do("create", "-f=-", stdin=client_org(namespace=agency))
    return agency


# -- deleting clients (Z10) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [OWNER, CLUSTER_ADMIN])
def test_careless_deletion_of_a_client_is_refused_with_the_commands_to_confirm(
    plane: Plane, client: str, user: str
) -> None:
    refused(
        plane.as_(user).run("delete", "clientorgs", "acme", f"-n={client}"),
        "deleting client acme is permanent",
        f"kubectl annotate clientorgs acme -n {client} clientorg.dev/confirm-deletion=acme",
        f"kubectl delete clientorgs acme -n {client}",
        f"kubectl clientorg delete acme -n {client} --confirm acme",
    )


@pytest.mark.parametrize("value", ["yes", "true", "", "ACME", "ume"])
def test_confirmation_of_anything_but_the_name_is_none(plane: Plane, client: str, value: str) -> None:
    owner = plane.as_(OWNER)
    owner.do("annotate", "clientorgs", "acme", f"-n={client}", f"{CONFIRM}={value}")

    refused(owner.run("delete", "clientorgs", "acme", f"-n={client}"), "is permanent")


def test_commands_of_the_refusal_work_as_they_stand(plane: Plane, client: str) -> None:
    owner = plane.as_(OWNER)
    message = owner.run("delete", "clientorgs", "acme", f"-n={client}").err
    annotate, delete = message.split("To confirm: ")[1].split(". Or in one step")[0].split("; then: ")

    owner.do(*annotate.removeprefix("kubectl ").split())
    owner.do(*delete.removeprefix("kubectl ").split())

    assert plane.get("clientorgs", "acme", f"-n={client}") is None


def test_delete_all_takes_only_the_confirmed(plane: Plane, client: str) -> None:
    owner = plane.as_(OWNER)
    owner.do("create", "-f=-", stdin=client_org("ume", namespace=client))
    owner.do("annotate", "clientorgs", "ume", f"-n={client}", f"{CONFIRM}=ume")

    refused(owner.run("delete", "clientorgs", "--all", f"-n={client}"), "deleting client acme is permanent")

    assert plane.get("clientorgs", "acme", f"-n={client}") is not None
    assert plane.get("clientorgs", "ume", f"-n={client}") is None


def test_delete_of_the_collection_is_refused_while_one_is_unconfirmed(plane: Plane, client: str) -> None:
    """What a script sends in one request: the server asks about each object by itself."""
    path = f"/apis/clientorg.dev/v1alpha1/namespaces/{client}/clientorgs"

    refused(plane.as_(OWNER).run("delete", "--raw", path), "deleting client acme is permanent")
    assert plane.get("clientorgs", "acme", f"-n={client}") is not None

    plane.as_(OWNER).do("annotate", "clientorgs", "acme", f"-n={client}", f"{CONFIRM}=acme")
    plane.as_(OWNER).do("delete", "--raw", path)
    assert plane.get("clientorgs", "acme", f"-n={client}") is None


def test_client_on_its_way_out_can_be_deleted_again(plane: Plane, client: str) -> None:
    """A second delete, with the confirmation taken off meanwhile, changes nothing and is no error."""
    hold(plane, "clientorgs", "acme", client)
    owner = plane.as_(OWNER)
    owner.do("annotate", "clientorgs", "acme", f"-n={client}", f"{CONFIRM}=acme")
    owner.do("delete", "clientorgs", "acme", f"-n={client}", "--wait=false")
    owner.do("annotate", "clientorgs", "acme", f"-n={client}", f"{CONFIRM}-")

    taken(owner.run("delete", "clientorgs", "acme", f"-n={client}", "--wait=false"))

    release(plane, "clientorgs", "acme", client)
    until(lambda: plane.get("clientorgs", "acme", f"-n={client}") is None, "the client to be gone")


def test_operator_releases_a_deleted_client_without_any_confirmation(plane: Plane, client: str) -> None:
    operator = plane.as_(OPERATOR)
    hold(operator, "clientorgs", "acme", client)
    plane.do("annotate", "clientorgs", "acme", f"-n={client}", f"{CONFIRM}=acme")
    plane.do("delete", "clientorgs", "acme", f"-n={client}", "--wait=false")
    plane.do("annotate", "clientorgs", "acme", f"-n={client}", f"{CONFIRM}-")

    release(operator, "clientorgs", "acme", client)

    until(lambda: plane.get("clientorgs", "acme", f"-n={client}") is None, "the client to be gone")


@pytest.mark.parametrize("controller", [NAMESPACE_CONTROLLER, GARBAGE_COLLECTOR, "system:kube-controller-manager"])
def test_clean_up_after_a_deletion_is_never_refused(plane: Plane, client: str, controller: str) -> None:
    """By identity alone; what these accounts may do is RBAC's. The last is both, where they share one credential."""
    path = f"/apis/clientorg.dev/v1alpha1/namespaces/{client}/clientorgs/acme"
    groups = ["--as-group=system:masters"] if controller == "system:kube-controller-manager" else []

    taken(plane.as_(controller).run("delete", "--raw", path, *groups))
    assert plane.get("clientorgs", "acme", f"-n={client}") is None


def test_confirmed_agency_goes_with_its_unconfirmed_clients_and_pools(plane: Plane, client: str) -> None:
    """The real namespace controller empties the namespace; nothing in it was confirmed by itself."""
    plane.do("create", "-f=-", stdin=quota_pool(namespace=client, visitors=1000))
    plane.patch_status("quotapools", "tokyo", client, {"clients": 1})

    remove_namespace(plane, client)


def test_anybody_may_delete_in_an_agency_that_is_being_deleted(plane: Plane, client: str) -> None:
    hold(plane, "clientorgs", "acme", client)
    remove_namespace(plane, client, wait=False)
    until(
        lambda: plane.as_(OWNER).run("delete", "clientorgs", "acme", f"-n={client}", "--wait=false").code == 0,
        "the policies to see the namespace terminating",
    )

    release(plane, "clientorgs", "acme", client)
    until(lambda: plane.get("namespace", client) is None, "the namespace to be gone", 60)


# -- deleting namespaces -------------------------------------------------------------------------------------------


@pytest.fixture
def workspace(plane: Plane, agency: str) -> Iterator[str]:
    """A workspace's namespace, made by the operator."""
    name = agency.replace("agency-", "acme-")
    marks = {"clientorg.dev/owner": f"{agency}/acme", "clientorg.dev/owner-uid": "0f0e"}
    plane.as_(OPERATOR).do(
        "create", "-f=-", stdin=namespace(name, labels={"clientorg.dev/org-id": "7k2m9q4xta"}, annotations=marks)
    )
    yield name
    if plane.get("namespace", name):
        remove_namespace(plane, name, wait=False)


def test_careless_deletion_of_an_agency_is_refused(plane: Plane, agency: str) -> None:
    refused(
        plane.run("delete", "namespace", agency),
        f"namespace {agency} is an agency",
        f"kubectl annotate namespace {agency} clientorg.dev/confirm-deletion={agency}; then: "
        f"kubectl delete namespace {agency}",
    )
    refused(plane.run("delete", "namespace", agency, "--dry-run=server"), "is an agency")


def test_careless_deletion_of_a_workspace_is_refused(plane: Plane, agency: str, workspace: str) -> None:
    refused(
        plane.run("delete", "namespace", workspace),
        f"namespace {workspace} is the workspace of client {agency}/acme",
        "kubectl clientorg delete NAME --confirm NAME",
        f"kubectl annotate namespace {workspace} clientorg.dev/confirm-deletion={workspace}",
    )


@pytest.mark.parametrize("kind", ["agency", "workspace"])
def test_confirmed_deletion_of_a_namespace_is_taken(plane: Plane, agency: str, workspace: str, kind: str) -> None:
    remove_namespace(plane, agency if kind == "agency" else workspace)


def test_operator_deletes_workspaces_but_no_agencies(plane: Plane, agency: str, workspace: str) -> None:
    operator = plane.as_(OPERATOR)

    refused(operator.run("delete", "namespace", agency), "denied request")
    taken(operator.run("delete", "namespace", workspace))


def test_other_namespaces_are_nobodys_business(plane: Plane, agency: str) -> None:
    plane.do("create", "namespace", f"{agency}-other")

    taken(plane.run("delete", "namespace", f"{agency}-other", "--wait=false"))


# -- marks on namespaces -------------------------------------------------------------------------------------------

MARKS: list[tuple[str, str]] = [
    ("labels", "clientorg.dev/org-id"),
    ("annotations", "clientorg.dev/owner"),
    ("annotations", "clientorg.dev/owner-uid"),
]


@pytest.mark.parametrize(("where", "key"), MARKS)
def test_nobody_else_makes_a_workspace(plane: Plane, where: str, key: str) -> None:
    forged = namespace("forged")
    forged["metadata"][where] = {key: "x"}

    refused(plane.create(forged), "only clientorg-operator may set, change or remove", key)
    taken(plane.as_(OPERATOR).create({**forged, "metadata": {**forged["metadata"], "labels": MARK}}, dry_run=True))


MARK = {"clientorg.dev/org-id": "x"}


@pytest.mark.parametrize("subresource", ["", "status", "finalize"])
@pytest.mark.parametrize("value", ["other", None], ids=["changed", "removed"])
@pytest.mark.parametrize(("where", "key"), MARKS)
def test_nobody_else_changes_the_marks_of_a_workspace(
    plane: Plane, workspace: str, where: str, key: str, value: str | None, subresource: str
) -> None:
    """Through no door: status and finalize write metadata too."""
    found = plane.do("get", "namespace", workspace, "-o=json").json()
    found["metadata"][where][key] = value
    if value is None:
        del found["metadata"][where][key]
    path = f"/api/v1/namespaces/{workspace}/{subresource}".rstrip("/")

    refused(plane.run("replace", "--raw", path, "-f=-", stdin=found), "only clientorg-operator", key)


def test_everything_else_on_a_workspace_may_change(plane: Plane, workspace: str) -> None:
    taken(plane.run("label", "namespace", workspace, "team=blue"))
    taken(plane.run("annotate", "namespace", workspace, "note=hello"))


def test_operator_repairs_the_marks(plane: Plane, workspace: str) -> None:
    taken(plane.as_(OPERATOR).run("annotate", "namespace", workspace, "clientorg.dev/owner=a/b", "--overwrite"))


def test_anybody_may_make_a_namespace_an_agency_but_not_unmake_it(plane: Plane, agency: str) -> None:
    name = f"{agency}-new"
    plane.do("create", "namespace", name)
    try:
        taken(plane.run("label", "namespace", name, "clientorg.dev/agency=true"))
        for change in ("clientorg.dev/agency=false", "clientorg.dev/agency-"):
            refused(
                plane.run("label", "namespace", name, change, "--overwrite"),
                "the label clientorg.dev/agency guards the clients",
                f"kubectl annotate namespace {name} clientorg.dev/confirm-deletion={name}",
            )
        plane.do("annotate", "namespace", name, f"{CONFIRM}={name}")
        taken(plane.run("label", "namespace", name, "clientorg.dev/agency-"))
    finally:
        remove_namespace(plane, name, wait=False)


# -- pools ---------------------------------------------------------------------------------------------------------


def test_pool_in_use_is_not_deleted_carelessly(plane: Plane, agency: str) -> None:
    owner = plane.as_(OWNER)
    owner.do("create", "-f=-", stdin=quota_pool(namespace=agency, visitors=1000))
    plane.patch_status("quotapools", "tokyo", agency, {"clients": 3})

    refused(
        owner.run("delete", "quotapools", "tokyo", f"-n={agency}"),
        "3 clients use pool tokyo",
        f"kubectl get clientorgs -n {agency} --field-selector spec.poolRef.name=tokyo",
        f"kubectl annotate quotapools tokyo -n {agency} clientorg.dev/confirm-deletion=tokyo",
    )

    owner.do("annotate", "quotapools", "tokyo", f"-n={agency}", f"{CONFIRM}=tokyo")
    taken(owner.run("delete", "quotapools", "tokyo", f"-n={agency}"))


@pytest.mark.parametrize("status", [None, {"clients": 0}], ids=["not-seen-yet", "no-clients"])
def test_unused_pool_is_deleted_without_ado(plane: Plane, agency: str, status: Json | None) -> None:
    plane.do("create", "-f=-", stdin=quota_pool(namespace=agency, visitors=1000))
    if status:
        plane.patch_status("quotapools", "tokyo", agency, status)

    taken(plane.as_(OWNER).run("delete", "quotapools", "tokyo", f"-n={agency}"))


@pytest.mark.parametrize("controller", [NAMESPACE_CONTROLLER, GARBAGE_COLLECTOR])
def test_clean_up_takes_a_pool_in_use(plane: Plane, agency: str, controller: str) -> None:
    plane.do("create", "-f=-", stdin=quota_pool(namespace=agency, visitors=1000))
    plane.patch_status("quotapools", "tokyo", agency, {"clients": 3})

    path = f"/apis/clientorg.dev/v1alpha1/namespaces/{agency}/quotapools/tokyo"
    taken(plane.as_(controller).run("delete", "--raw", path))


# -- warnings at apply ---------------------------------------------------------------------------------------------


def licenses(**quantities: int) -> list[Json]:
    """A client's spec.licenses."""
    return [{"name": name, "quantity": quantity} for name, quantity in quantities.items()]


@pytest.fixture
def pool(plane: Plane, agency: str) -> str:
    """Pool tokyo with 1,000 visitors, 800 of them allocated, beside another pool; its agency is returned."""
    plane.do("create", "-f=-", stdin=quota_pool("osaka", namespace=agency, seats=1))
    plane.do("create", "-f=-", stdin=quota_pool(namespace=agency, visitors=1000, seats=10))
    books = {"name": "visitors", "total": 1000, "allocated": 800, "available": 200}
    plane.patch_status("quotapools", "tokyo", agency, {"licenses": [books]})
    probe = client_org("probe", namespace=agency, licenses=licenses(visitors=201))
    until(lambda: plane.create(probe, dry_run=True).warnings, "the API server's cache of pools to have this one")
    return agency


# (licenses asked, words of the warning; none: no warning)
ASKED: list[tuple[list[Json], tuple[str, ...]]] = [
    (licenses(visitors=200), ()),
    (licenses(visitors=200, seats=10), ()),
    (licenses(visitors=201), ("pool tokyo is short", "visitors: 201 more asked, 200 available", "QuotaPending")),
    (licenses(visitors=5000, seats=11), ("visitors: 5000 more asked, 200 available; seats: 11 more asked, 10",)),
    (licenses(visits=1), ("pool tokyo has no license named visits", "Stalled", "visitors, seats")),
    (licenses(visits=1, visitors=201), ("no license named visits", "201 more asked")),
]


@pytest.mark.parametrize(("asked", "words"), ASKED)
def test_new_client_is_warned_about_the_pool(
    plane: Plane, pool: str, asked: list[Json], words: tuple[str, ...]
) -> None:
    answer = plane.as_(OWNER).create(client_org(namespace=pool, licenses=asked))

    taken(answer)
    assert bool(answer.warnings) == bool(words), answer.warnings
    for part in words:
        assert any(part in warning for warning in answer.warnings), answer.warnings


def test_raise_is_judged_by_what_the_client_lacks(plane: Plane, pool: str) -> None:
    owner = plane.as_(OWNER)
    owner.do("create", "-f=-", stdin=client_org(namespace=pool, licenses=licenses(visitors=100)))
    plane.patch_status("clientorgs", "acme", pool, {"licenses": [{"name": "visitors", "granted": 100}]})

    within = owner.do("apply", "-f=-", stdin=client_org(namespace=pool, licenses=licenses(visitors=300)))
    beyond = owner.do("apply", "-f=-", stdin=client_org(namespace=pool, licenses=licenses(visitors=301)))

    assert not any("short" in warning for warning in within.warnings)
    assert any("visitors: 201 more asked, 200 available" in warning for warning in beyond.warnings)


def test_reduction_is_not_warned_about_while_the_pool_is_overcommitted(plane: Plane, pool: str) -> None:
    owner = plane.as_(OWNER)
    owner.do("create", "-f=-", stdin=client_org(namespace=pool, licenses=licenses(visitors=100)))
    plane.patch_status("clientorgs", "acme", pool, {"licenses": [{"name": "visitors", "granted": 100}]})
    shrunk = quota_pool(namespace=pool, visitors=500, seats=10)

    warned = owner.do("apply", "-f=-", stdin=shrunk).warnings
    assert any("clients hold more than pool tokyo will have: visitors: 800 held" in line for line in warned), warned

    def warnings_for(quantity: int) -> list[str]:
        changed = client_org(namespace=pool, licenses=licenses(visitors=quantity))
        return owner.do("apply", "-f=-", "--dry-run=server", stdin=changed).warnings

    until(lambda: any("1 more asked, 0 available" in line for line in warnings_for(101)), "the shrunk pool to be seen")
    assert not any("short" in line for line in warnings_for(99))


def test_pool_of_another_agency_is_not_looked_at(plane: Plane, pool: str) -> None:
    """References do not cross namespaces: a pool of that name elsewhere says nothing."""
    answer = plane.create(client_org(namespace="default", licenses=licenses(visitors=5000)), dry_run=True)

    taken(answer)
    assert answer.warnings == []


def test_operator_is_spared_the_warnings(plane: Plane, pool: str) -> None:
    plane.do("create", "-f=-", stdin=client_org(namespace=pool, licenses=licenses(visitors=5000)))

    answer = plane.as_(OPERATOR).do("label", "clientorgs", "acme", f"-n={pool}", "clientorg.dev/org-id=7k2m9q4xta")

    assert answer.warnings == []


# -- restoring a client --------------------------------------------------------------------------------------------

RESTORE = "clientorg.dev/restore-org-id"


@pytest.fixture
def restorer(plane: Plane, agency: str) -> str:
    """An owner who may also `restore`."""
    plane.do("create", "-f=-", stdin=restore_role(agency))
    plane.do("create", "rolebinding", "restorer", f"-n={agency}", "--role=restorer", "--user=restorer@agency.example")
    plane.do("create", "rolebinding", "owner-too", f"-n={agency}", "--role=owner", "--user=restorer@agency.example")
    return "restorer@agency.example"


def restore_role(agency: str) -> Json:
    """The custom verb, as a Role spells it."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "restorer", "namespace": agency},
        "rules": [{"apiGroups": ["clientorg.dev"], "resources": ["clientorgs"], "verbs": ["restore"]}],
    }


def test_old_org_id_takes_the_right_to_restore(plane: Plane, agency: str, restorer: str) -> None:
    restored = client_org(namespace=agency)
    restored["metadata"]["annotations"] = {RESTORE: "7k2m9q4xta"}

    refused(plane.as_(OWNER).create(restored), RESTORE, "the right to `restore` clientorgs")
    taken(plane.as_(restorer).create(restored))

    owner = plane.as_(OWNER)
    taken(owner.run("label", "clientorgs", "acme", f"-n={agency}", "note=hello"))
    for change in (f"{RESTORE}=other", f"{RESTORE}-"):
        refused(owner.run("annotate", "clientorgs", "acme", f"-n={agency}", change, "--overwrite"), RESTORE)
    kept = plane.as_(restorer).run("annotate", "clientorgs", "acme", f"-n={agency}", f"{RESTORE}-")
    refused(kept, RESTORE, "a client has its Org ID from its creation on and keeps it")


# -- helpers -------------------------------------------------------------------------------------------------------


def hold(plane: Plane, kind: str, name: str, agency: str) -> None:
    """Put the operator's finalizer on an object."""
    plane.do(
        "patch",
        kind,
        name,
        f"-n={agency}",
        "--type=merge",
        '-p={"metadata":{"finalizers":["clientorg.dev/workspace"]}}',
    )


def release(plane: Plane, kind: str, name: str, agency: str) -> None:
    """Take it off."""
    plane.do("patch", kind, name, f"-n={agency}", "--type=merge", '-p={"metadata":{"finalizers":null}}')
