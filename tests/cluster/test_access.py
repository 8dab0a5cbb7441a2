"""Who may enter a workspace, asked of the API server as these people (FEATURES A7, S13; DESIGN rule 11)."""

from __future__ import annotations

import pytest

from clientorg.cluster.resources import CONFIG_MAPS, NETWORK_POLICIES, RESOURCE_QUOTAS, ROLE_BINDINGS
from tests.cluster.verbs import Agency, Client
from tests.controlplane.waiting import wait_until
from tests.support.kube import PODS, SECRETS, Json, Kube, RefusedError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

YUKI = "yuki@acme.example"
"""An admin of client acme with full access."""
RIN = "rin@acme.example"
"""An admin of client acme who may look."""
BOB = "bob@beta.example"
"""An admin of client beta with full access."""


def config_map(client: Client, name: str) -> Json:
    """A ConfigMap of the client's own."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": client.workspace}}


def staffed_client(agency: Agency, name: str = "acme") -> Client:
    """A client with two admins and a group, on a plan with agency and support groups."""
    owners = [{"kind": "Group", "name": "agency-admins"}, {"kind": "User", "name": "owner@agency.example"}]
    agency.plan.change(access={"agency": owners, "support": [{"kind": "Group", "name": "agency-support"}]})
    admins = [{"name": YUKI, "role": "Full"}, {"name": RIN}, {"name": "acme-staff", "kind": "Group", "role": "Full"}]
    return agency.ready_client(name, admins=admins)


@pytest.fixture(scope="module")
def acme(kyoto: Agency) -> Client:
    """A client that no test changes."""
    return staffed_client(kyoto)


@pytest.fixture(scope="module")
def beta(kyoto: Agency, acme: Client) -> Client:
    """Another client of the same agency and plan."""
    return kyoto.ready_client("beta", admins=[{"name": BOB, "role": "Full"}])


def refuses(person: Kube, client: Client) -> bool:
    """Whether the person gets at nothing in the client's workspace."""
    with pytest.raises(RefusedError) as looked:
        person.list_all(CONFIG_MAPS, client.workspace)
    with pytest.raises(RefusedError) as wrote:
        person.create(config_map(client, "note"))
    return looked.value.code == wrote.value.code == 403


def test_client_admin_works_in_the_own_workspace_and_reaches_no_other(api: Kube, acme: Client, beta: Client) -> None:
    yuki = api.as_user(YUKI)

    yuki.create(config_map(acme, "note"))
    assert {"note", "portal"} <= {item["metadata"]["name"] for item in yuki.list_all(CONFIG_MAPS, acme.workspace)}
    assert refuses(yuki, beta)
    assert refuses(api.as_user(BOB), acme)


def test_client_admin_cannot_widen_the_own_rights_or_limits(api: Kube, acme: Client) -> None:
    yuki = api.as_user(YUKI)

    for resource in (ROLE_BINDINGS, RESOURCE_QUOTAS, NETWORK_POLICIES):
        assert yuki.may("list", resource, acme.workspace)
        assert not any(yuki.may(verb, resource, acme.workspace) for verb in ("create", "update", "patch", "delete"))


def test_client_admin_sees_nothing_of_the_agency(api: Kube, acme: Client) -> None:
    yuki = api.as_user(YUKI)

    assert not yuki.may("list", acme.resource, acme.namespace)
    assert not yuki.may("list", CONFIG_MAPS, acme.namespace)


def test_reading_admin_looks_and_changes_nothing(api: Kube, acme: Client) -> None:
    rin = api.as_user(RIN)

    assert rin.list_all(CONFIG_MAPS, acme.workspace)
    with pytest.raises(RefusedError, match="cannot create resource"):
        rin.create(config_map(acme, "note"))
    assert not rin.may("list", SECRETS, acme.workspace)


def test_agency_admins_work_in_every_workspace_beside_the_clients(api: Kube, acme: Client, beta: Client) -> None:
    for person in (api.as_user("somebody@agency.example", "agency-admins"), api.as_user("owner@agency.example")):
        for client in (acme, beta):
            assert person.may("create", CONFIG_MAPS, client.workspace)
            assert person.may("delete", PODS, client.workspace)


def test_support_reads_every_workspace_and_changes_none(api: Kube, acme: Client, beta: Client) -> None:
    support = api.as_user("sam@agency.example", "agency-support")

    for client in (acme, beta):
        assert support.list_all(CONFIG_MAPS, client.workspace)
        assert not any(support.may(verb, CONFIG_MAPS, client.workspace) for verb in ("create", "patch", "delete"))
        assert not support.may("list", SECRETS, client.workspace)


def test_people_of_another_agency_reach_nothing(api: Kube, acme: Client, osaka: Agency) -> None:
    osaka.plan.change(access={"agency": [{"kind": "Group", "name": "osaka-admins"}]})
    osaka.ready_client("acme")

    assert refuses(api.as_user("somebody@osaka.example", "osaka-admins"), acme)


def test_group_of_the_client_has_its_role(api: Kube, acme: Client) -> None:
    assert api.as_user("ken@acme.example", "acme-staff").may("create", CONFIG_MAPS, acme.workspace)


def test_removed_admin_is_out_at_once_and_a_changed_role_counts(tokyo: Agency, api: Kube) -> None:
    acme = staffed_client(tokyo)
    acme.edit(admins=[{"name": RIN, "role": "Full"}])
    acme.expect_ready()

    wait_until(lambda: not api.as_user(YUKI).may("list", CONFIG_MAPS, acme.workspace), 30, "Yuki to be out")
    wait_until(lambda: api.as_user(RIN).may("create", CONFIG_MAPS, acme.workspace), 30, "Rin to have full access")


def test_client_grants_and_withdraws_what_the_agency_may_do(tokyo: Agency, api: Kube) -> None:
    """FEATURES A4: by an object in the workspace that the agency cannot write, whatever it says in its own."""
    acme = staffed_client(tokyo)
    workspace, yuki = acme.workspace, api.as_user(YUKI)
    agency, support = api.as_user("somebody@agency.example", "agency-admins"), support_of_agency(api)
    wait_until(lambda: agency.may("create", CONFIG_MAPS, workspace), 30, "the agency to be in")

    def grant(person: Kube, **data: str) -> Json:
        return person.merge(CONFIG_MAPS, "clientorg-access", {"data": data}, workspace)

    def holds(agency: str, granted: str, support: str) -> None:
        wanted = {"agency": agency, "granted": granted, "support": support}
        acme.expect(lambda it: it["status"].get("access") == wanted, f"have access {wanted}")

    holds("Full", "Full", "ReadOnly")
    for person in (agency, api.as_user(RIN)):  # neither of them, whatever the role in the workspace
        with pytest.raises(RefusedError) as refused:
            grant(person, agencyAccess="Full")
        assert refused.value.code == 403
    with pytest.raises(RefusedError, match="only the client's own admins"):
        grant(agency, agencyAccess="ReadOnly")
    with pytest.raises(RefusedError, match="agencyAccess is Full, ReadOnly or None"):
        grant(yuki, agencyAccess="full")

    grant(yuki, agencyAccess="ReadOnly")
    wait_until(lambda: not agency.may("create", CONFIG_MAPS, workspace), 30, "the agency to write no more")
    assert agency.may("list", CONFIG_MAPS, workspace)
    holds("ReadOnly", "ReadOnly", "ReadOnly")

    grant(yuki, agencyAccess="None", supportAccess="None")
    for person in (agency, support):
        wait_until(lambda person=person: not person.may("list", CONFIG_MAPS, workspace), 30, "everybody to be out")  # type: ignore[misc]
    acme.edit(agencyAccess="ReadOnly")  # the agency asks for something else: that grants nothing
    acme.edit(agencyAccess="Full")
    acme.ask_for_reconcile()
    holds("None", "None", "None")
    acme.expect_ready()
    assert not agency.may("list", CONFIG_MAPS, workspace)

    grant(yuki, agencyAccess="Full", supportAccess="ReadOnly")
    wait_until(lambda: agency.may("create", CONFIG_MAPS, workspace), 30, "the agency to be in again")
    wait_until(lambda: support.may("list", CONFIG_MAPS, workspace), 30, "support to be in again")
    acme.edit(agencyAccess="None")  # what it does not want it does not have
    wait_until(lambda: not agency.may("list", CONFIG_MAPS, workspace), 30, "the agency to be out by itself")
    holds("None", "Full", "ReadOnly")


def support_of_agency(api: Kube) -> Kube:
    """Somebody of the group that supports all clients."""
    return api.as_user("sam@agency.example", "agency-support")


def test_agencys_people_do_not_make_themselves_admins_of_a_client(tokyo: Agency, api: Kube) -> None:
    acme = staffed_client(tokyo)
    owner = {"kind": "User", "name": "owner@agency.example", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": "clientorg-agency-owner", "apiGroup": "rbac.authorization.k8s.io"}
    metadata = {"name": "owner", "namespace": tokyo.name}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata}
    api.create({**binding, "roleRef": reference, "subjects": [owner]})
    person = api.as_user("owner@agency.example", "agency-admins")
    wait_until(lambda: person.may("patch", acme.resource, tokyo.name), 30, "the owner to be one")
    ken = {"name": "ken@acme.example", "role": "Full"}

    for mine in ({"name": "owner@agency.example"}, {"kind": "Group", "name": "agency-admins"}):
        with pytest.raises(RefusedError, match="nobody makes themselves an admin of a client"):
            person.merge(acme.resource, acme.name, {"spec": {"admins": [ken, mine]}}, tokyo.name)
    person.merge(acme.resource, acme.name, {"spec": {"admins": [ken]}}, tokyo.name)
    wait_until(lambda: api.as_user("ken@acme.example").may("list", CONFIG_MAPS, acme.workspace), 30, "Ken to be in")


def test_support_for_one_client_for_several_and_for_all(tokyo: Agency, api: Kube) -> None:
    gold = {"matchLabels": {"tier": "gold"}}
    support = [{"name": "support"}, {"name": "gold-support", "clientSelector": gold}]
    tokyo.plan.change(access={"support": support})
    acme, beta = tokyo.ready_client(), tokyo.ready_client("beta", support=[{"kind": "User", "name": "kim"}])
    for_all, for_gold = api.as_user("a", "support"), api.as_user("b", "gold-support")

    assert for_all.may("list", CONFIG_MAPS, acme.workspace)
    assert for_all.may("list", CONFIG_MAPS, beta.workspace)
    assert api.as_user("kim").may("list", CONFIG_MAPS, beta.workspace)
    assert not api.as_user("kim").may("list", CONFIG_MAPS, acme.workspace)
    assert not for_gold.may("list", CONFIG_MAPS, acme.workspace)
    acme.label({"tier": "gold"})
    wait_until(lambda: for_gold.may("list", CONFIG_MAPS, acme.workspace), 30, "gold support to be in")
    assert not for_gold.may("list", CONFIG_MAPS, beta.workspace)
    assert not for_gold.may("create", CONFIG_MAPS, acme.workspace)
    acme.label({"tier": None})
    wait_until(lambda: not for_gold.may("list", CONFIG_MAPS, acme.workspace), 30, "gold support to be out")
    beta.edit(support=[])
    wait_until(lambda: not api.as_user("kim").may("list", CONFIG_MAPS, beta.workspace), 30, "Kim to be out")


def test_last_admin_removed_leaves_no_binding(tokyo: Agency, api: Kube) -> None:
    acme = staffed_client(tokyo)
    acme.edit(admins=[])
    acme.expect_ready()

    left = {item["metadata"]["name"] for item in api.list_all(ROLE_BINDINGS, acme.workspace)}
    assert left == {"clientorg-agency", "clientorg-support"}


def test_plan_without_support_takes_support_out(tokyo: Agency, api: Kube) -> None:
    acme = staffed_client(tokyo)
    tokyo.plan.change(access={"agency": [{"kind": "Group", "name": "agency-admins"}]})

    support = api.as_user("sam@agency.example", "agency-support")
    wait_until(lambda: not support.may("list", CONFIG_MAPS, acme.workspace), 30, "support to be out")
    assert api.as_user(YUKI).may("list", CONFIG_MAPS, acme.workspace)
