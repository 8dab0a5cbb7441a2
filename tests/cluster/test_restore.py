"""Backup, and restore into an empty cluster: Org IDs, workspaces, balances and dates stay (DESIGN section 3, X1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION, ANNOTATION_RESTORE
from clientorg.cluster.resources import CLIENT_ORGS, CONFIG_MAPS, NAMESPACES
from tests.cluster._cli_support import DatedCli, home
from tests.cluster.operators import Operators
from tests.cluster.pointverbs import (
    BILLING,
    expect_balance,
    expect_charges,
    expect_pool_balance,
    purchase,
    top_up,
    verify,
)
from tests.cluster.verbs import Agency, Client
from tests.controlplane import ControlPlane
from tests.controlplane.choose import Cluster
from tests.support import builders
from tests.support.devclock import DevClock
from tests.support.install import NAMESPACE, SERVICE_ACCOUNT, install
from tests.support.kube import Access, Kube

__all__ = ["home"]  # fixture

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

DECEMBER = datetime(2026, 12, 25, tzinfo=UTC)
KEPT = ("orgID", "deactivation")
"""Of a client's status: what nobody may lose."""
KEPT_POINTS = ("balance", "chargesFrom", "chargedThrough", "nextChargeTime", "nextCharge", "negativeSince")


@dataclass
class Elsewhere:
    """An empty cluster with CRDs, rights and policies, and where operators of it are started from."""

    kube: Kube
    plane: ControlPlane
    operators: Operators


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    """Another cluster."""
    plane = ControlPlane()
    plane.start()
    with closing(plane):
        install(plane.kubectl, plane.kubeconfig)
        with Kube(Access.read(plane.kubectl, plane.kubeconfig)) as kube:
            account = plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
            with Operators(account, tmp_path) as operators:
                yield Elsewhere(kube, plane, operators)


def without_status(file: Path) -> Path:
    """The same as Velero restores it where nobody asks for status."""
    document = yaml.safe_load(file.read_text())
    for item in document["items"]:
        item.pop("status", None)
    bare = file.with_name("bare.yaml")
    bare.write_text(yaml.safe_dump(document))
    return bare


def remembered(manifest: Json) -> Json:
    """What of the client nobody may lose."""
    status = manifest.get("status") or {}
    points = status.get("points") or {}
    namespace = (status.get("workspace") or {}).get("namespace")
    found = {key: status.get(key) for key in KEPT} | {key: points.get(key) for key in KEPT_POINTS}
    return found | {"namespace": namespace}


def test_agencies_come_back_in_an_empty_cluster(
    cluster: Cluster,
    tokyo: Agency,
    osaka: Agency,
    clock: DevClock,
    operators_of_session: Operators,
    clockwork: object,
    elsewhere: Elsewhere,
    home: Path,
    tmp_path: Path,
) -> None:
    """Tokyo with status, by this plugin; Osaka without."""
    for agency in (tokyo, osaka):
        agency.plan.set(billing=BILLING)
        acme = agency.ready_client(contractedUsers=12)
        acme.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")
        purchase(agency, 5000)
        top_up(acme, agency, 3000).expect_phase("Posted")
    bee = tokyo.ready_client("bee")
    clock.set(DECEMBER - timedelta(days=20))
    bee.edit(state="Deactivated")
    bee.expect_state("Deactivated")
    clock.set(DECEMBER)
    for agency in (tokyo, osaka):
        expect_charges(agency, Client(agency.kube, agency.name, "acme"), p2026_12=1100)
        expect_balance(Client(agency.kube, agency.name, "acme"), 1900)
    clients = [Client(a.kube, a.name, name) for a, name in ((tokyo, "acme"), (tokyo, "bee"), (osaka, "acme"))]
    before = {(client.namespace, client.name): remembered(client.read()) for client in clients}
    here = DatedCli(Path(cluster.kubeconfig), tokyo.name, home, clock.path)
    files = {agency.name: tmp_path / f"{agency.name}.yaml" for agency in (tokyo, osaka)}
    for agency in (tokyo, osaka):
        said = here.do("backup", "-n", agency.name, "--output", str(files[agency.name])).err
        assert "1 pool, 1 plan" in said

    there = DatedCli(Path(elsewhere.plane.kubeconfig), tokyo.name, home, clock.path)
    rehearsed = there.do("restore", "-f", str(files[tokyo.name]), "--dry-run=client").out
    assert "would restore 1 pool, 1 plan, 2 clients, 0 subscriptions, 3 transactions" in rehearsed
    said = there.do("restore", "-f", str(files[tokyo.name])).out
    assert "restored 1 pool, 1 plan, 2 clients, 0 subscriptions, 3 transactions" in said
    said = there.do("restore", "-f", str(files[tokyo.name])).out
    assert "7 objects were there already" in said
    there.do("restore", "-f", str(without_status(files[osaka.name])))
    operator = elsewhere.operators.start(dev_clock=clock.path, allow_loopback=True, leader_election=False)

    restored = {key: Client(elsewhere.kube, *key) for key in before}
    for key, client in restored.items():
        if key[1] == "acme":
            client.expect_ready()
            expect_balance(client, 1900)
        client.expect(partial(matches, wanted=before[key]), f"be as before: {before[key]}")
    for agency in (tokyo, osaka):
        expect_pool_balance(Agency(elsewhere.kube, agency.name), 2000)
        verify(Agency(elsewhere.kube, agency.name))

    _workspace_is_taken_over(elsewhere, restored[tokyo.name, "acme"], there, files[tokyo.name], operator, clock)
    _org_id_is_nobodys_else(elsewhere, tokyo.name, before[tokyo.name, "acme"]["orgID"])


def matches(manifest: Json, wanted: Json) -> bool:
    """Whether everything of that is in the client's status."""
    return remembered(manifest) == wanted


def _workspace_is_taken_over(
    elsewhere: Elsewhere, acme: Client, cli: DatedCli, file: Path, operator: Any, clock: DevClock
) -> None:
    """The client's object is lost, and its workspace is there with all that is in it."""
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "data", "namespace": acme.workspace}}
    elsewhere.kube.create(data)
    workspace, old = acme.workspace, acme.uid
    operator.stop()
    elsewhere.kube.merge(CLIENT_ORGS, acme.name, {"metadata": {"finalizers": None}}, acme.namespace)
    acme.annotate({ANNOTATION_CONFIRM_DELETION: acme.name})
    acme.delete()
    acme.expect_gone()
    cli.do("restore", "-f", str(file))
    operator.start()
    acme.expect_ready()
    assert acme.uid != old
    assert acme.workspace == workspace
    assert elsewhere.kube.find(CONFIG_MAPS, "data", workspace) is not None
    owner = elsewhere.kube.get(NAMESPACES, workspace)["metadata"]["annotations"]["clientorg.dev/owner-uid"]
    assert owner == acme.uid
    expect_balance(acme, 1900)


def _org_id_is_nobodys_else(elsewhere: Elsewhere, agency: str, org_id: str) -> None:
    """While a living client has it."""
    thief = builders.client(agency, "thief", annotations={ANNOTATION_RESTORE: org_id})
    elsewhere.kube.create(thief)
    Client(elsewhere.kube, agency, "thief").expect_stalled("NamespaceConflict", "has the Org ID")
    assert elsewhere.kube.find(NAMESPACES, f"thief-{org_id}") is None
