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
from clientorg.cluster.resources import CLIENT_ORGS, CONFIG_MAPS, NAMESPACES, ORG_APPROVALS
from tests.cluster._cli_support import DatedCli, home
from tests.cluster.operators import Operators
from tests.cluster.pointverbs import (
    BILLING,
    Approval,
    approve,
    expect_balance,
    expect_charges,
    expect_pool_balance,
    purchase,
    termination,
    top_up,
    transactions,
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
KEPT = ("orgID", "deactivation", "termination", "approval")
"""Of a client's status: what nobody may lose."""
ENDED = ("Terminated", "Purged", "Rejected")
"""States of clients whose story is over."""
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


def remembered(manifest: Json, *, whole: bool) -> Json:
    """What of the client nobody may lose; not whole: what is kept even where the backup has no status."""
    status = manifest.get("status") or {}
    points = status.get("points") or {}
    if not whole:
        # Times of an end and of a decision are those of the restore then; of an end the grace period, too.
        ended = status.get("state") if status.get("state") in ENDED else None
        return {"orgID": status.get("orgID"), "state": ended, "balance": points.get("balance")} | (
            {key: points.get(key) for key in KEPT_POINTS} if ended is None else {}
        )
    found = {key: status.get(key) for key in KEPT} | {key: points.get(key) for key in KEPT_POINTS}
    return found | {"namespace": (status.get("workspace") or {}).get("namespace"), "state": status.get("state")}


def live(tokyo: Agency, osaka: Agency, clock: DevClock) -> dict[tuple[str, str], Client]:
    """A month in two agencies, to a while after the charge of December; returns their clients by namespace and name.

    In each acme is charged, eve was approved and her contract has ended, and tom was rejected. In Tokyo bee is
    deactivated, and ash is purged.
    """
    for agency in (tokyo, osaka):
        agency.plan.set(billing=BILLING, deactivation={"gracePeriodMonths": 1, "reminderDays": [21]})
        acme = agency.ready_client(contractedUsers=12)
        acme.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")
        purchase(agency, 5000)
        top_up(acme, agency, 3000).expect_phase("Posted")
        _end_a_contract(agency)
    bee, ash = tokyo.ready_client("bee"), tokyo.ready_client("ash")
    ash.edit(state="Deactivated")
    ash.expect_state("Deactivated")
    clock.set(DECEMBER - timedelta(days=20))
    bee.edit(state="Deactivated")
    bee.expect_state("Deactivated")
    clock.set(DECEMBER - timedelta(days=19))
    ash.expect(lambda it: it["status"]["deactivation"].get("remindersSent"), "be reminded")
    clock.set(DECEMBER + timedelta(hours=12))
    for agency in (tokyo, osaka):
        expect_charges(agency, Client(agency.kube, agency.name, "acme"), p2026_12=1100)
        expect_balance(Client(agency.kube, agency.name, "acme"), 1900)
    ash.expect(lambda it: it["status"]["state"] == "Purged", "be purged", 60)
    found = [(tokyo, name) for name in ("acme", "bee", "ash", "eve", "tom")]
    found += [(osaka, name) for name in ("acme", "eve", "tom")]
    return {(agency.name, name): Client(agency.kube, agency.name, name) for agency, name in found}


def _end_a_contract(agency: Agency) -> None:
    """Of eve, who was approved and has a surplus of 300 points; tom is not approved."""
    manual = agency.new_plan("manual")
    manual.set(billing=BILLING, approval="Manual")
    eve, tom = (agency.client(name, plan="manual", requestedBy="yuki@agency.example") for name in ("eve", "tom"))
    me = who_am_i(agency.kube)
    for client in (eve, tom):
        client.expect_state_of("PendingApproval")
    approve(agency, eve, me, reason="contract 118")
    approve(agency, tom, me, "Reject", reason="no contract")
    eve.expect_ready()
    tom.expect_stalled("Rejected", "no contract")
    top_up(eve, agency, 300, "top-up-eve").expect_phase("Posted")
    eve.edit(termination=termination())
    eve.expect(lambda it: it["status"].get("termination", {}).get("settledTime"), "be settled")
    expect_balance(eve, 0)


def who_am_i(kube: Kube) -> str:
    """Who the tests are to the API server."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = kube.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    return str(answer["status"]["userInfo"]["username"])


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
    clients = live(tokyo, osaka, clock)
    before = {key: client.read() for key, client in clients.items()}
    ledgers = {agency.name: entered(agency) for agency in (tokyo, osaka)}
    here = DatedCli(Path(cluster.kubeconfig), tokyo.name, home, clock.path)
    files = {agency.name: tmp_path / f"{agency.name}.yaml" for agency in (tokyo, osaka)}
    for agency in (tokyo, osaka):
        said = here.do("backup", "-n", agency.name, "--output", str(files[agency.name])).err
        assert "1 pool, 2 plans" in said

    there = DatedCli(Path(elsewhere.plane.kubeconfig), tokyo.name, home, clock.path)
    rehearsed = there.do("restore", "-f", str(files[tokyo.name]), "--dry-run=client").out
    assert "would restore 1 pool, 2 plans, 5 clients, 2 approvals, 0 subscriptions, 5 transactions" in rehearsed
    said = there.do("restore", "-f", str(files[tokyo.name])).out
    assert "restored 1 pool, 2 plans, 5 clients, 2 approvals, 0 subscriptions, 5 transactions" in said
    said = there.do("restore", "-f", str(files[tokyo.name])).out
    assert "15 objects were there already" in said
    there.do("restore", "-f", str(without_status(files[osaka.name])))
    operator = elsewhere.operators.start(dev_clock=clock.path, allow_loopback=True, leader_election=False)

    restored = {key: Client(elsewhere.kube, *key) for key in before}
    for key, client in restored.items():
        if key[1] == "acme":
            client.expect_ready()
            expect_balance(client, 1900)
        as_before = remembered(before[key], whole=key[0] == tokyo.name)
        client.expect(partial(matches, wanted=as_before), f"be as before: {as_before}")
    for agency in (tokyo, osaka):
        anew = Agency(elsewhere.kube, agency.name)
        expect_pool_balance(anew, 1700)
        verify(anew)
        assert entered(anew) == ledgers[agency.name], "nothing is charged or settled anew"
        _decisions_came_back(anew, before)
    for key, client in restored.items():
        state = client.read()["status"]["state"]
        if state in ENDED:
            client.expect_stalled("Rejected") if state == "Rejected" else client.expect_ready()
            assert elsewhere.kube.find(NAMESPACES, client.workspace) is None, f"{key} was provisioned"

    _workspace_is_taken_over(elsewhere, restored[tokyo.name, "acme"], there, files[tokyo.name], operator, clock)
    _org_id_is_nobodys_else(elsewhere, tokyo.name, before[tokyo.name, "acme"]["status"]["orgID"])


def entered(agency: Agency) -> dict[str, tuple[str, int]]:
    """What is in the ledger: name to kind and amount, of what is posted."""
    return {
        item["metadata"]["name"]: (item["spec"]["kind"], item["spec"]["amount"])
        for item in transactions(agency)
        if item["status"]["phase"] == "Posted"
    }


def _decisions_came_back(agency: Agency, before: dict[tuple[str, str], Json]) -> None:
    """Who decided what, and when, on the clients as they are now; and that it is a record from a backup."""
    decisions = agency.kube.list_all(ORG_APPROVALS, agency.name)
    assert sorted(item["spec"]["decision"] for item in decisions) == ["Approve", "Reject"]
    for item in decisions:
        client = Client(agency.kube, agency.name, item["spec"]["clientRef"]["name"])
        decided = Approval(agency.kube, agency.name, item["metadata"]["name"])
        assert item["spec"]["clientUID"] == client.uid
        decided.expect_condition("Ready", "True", "Accepted", "restored from a backup")
        record, was = client.read()["status"]["approval"], before[agency.name, client.name]["status"]["approval"]
        for key in ("decision", "by", "reason", "name"):
            assert record.get(key) == was.get(key), (client, key)


def matches(manifest: Json, wanted: Json) -> bool:
    """Whether everything of that is in the client's status."""
    return remembered(manifest, whole="termination" in wanted) == wanted


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
