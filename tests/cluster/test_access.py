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
