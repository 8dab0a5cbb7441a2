"""Deletion: refused without confirmation, complete with it, never half done (FEATURES Z10; DESIGN rules 8 and 9)."""

from __future__ import annotations

import subprocess

import pytest

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION, FINALIZER, POOL_FINALIZER
from clientorg.cluster.resources import CLIENT_ORGS, CONFIG_MAPS, NAMESPACES, ORG_PLANS, QUOTA_POOLS
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client, condition_of
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support import builders
from tests.support.kube import Json, Kube, RefusedError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]


def kubectl(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run kubectl as the administrator."""
    command = [str(cluster.kubectl), f"--kubeconfig={cluster.kubeconfig}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def put_in_the_way(client: Client) -> None:
    """An object in the workspace that some other controller holds by a finalizer."""
    metadata = {"name": "stuck", "namespace": client.workspace, "finalizers": ["example.com/slow-controller"]}
    client.kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def let_go(client: Client, workspace: str) -> None:
    """What that controller does at last."""
    client.kube.merge(CONFIG_MAPS, "stuck", {"metadata": {"finalizers": None}}, workspace)


class TestClient:
    """One client."""

    def test_careless_deletion_changes_nothing(self, cluster: Cluster, tokyo: Agency) -> None:
        acme = tokyo.ready_client()

        refused = kubectl(cluster, "delete", "clientorgs", "acme", f"-n={tokyo.name}")

        assert refused.returncode != 0
        assert "kubectl clientorg delete acme" in refused.stderr
        assert "deletionTimestamp" not in acme.read()["metadata"]
        acme.expect_ready()

    def test_confirmed_deletion_takes_everything_the_namespace_first(self, tokyo: Agency, api: Kube) -> None:
        acme = tokyo.ready_client(licenses={"visitors": 1000})
        waiting = tokyo.client("waiting", licenses={"visitors": 600})
        waiting.expect_pending(1)
        workspace = acme.workspace

        acme.delete_confirmed()

        deleting = acme.expect(lambda it: it["status"]["state"] == "Deleting", "say that it is being deleted")
        assert condition_of(deleting, "Ready")["reason"] == "Deleting"
        assert workspace in condition_of(deleting, "Ready")["message"]

        def gone_in_order() -> bool:
            client = acme.find()
            namespace = api.find(NAMESPACES, workspace)  # looked at later: it must be gone already
            assert client is not None or namespace is None, "the client went before its workspace"
            return client is None

        wait_until(gone_in_order, 120, "the client to be gone")
        waiting.expect_ready()
        tokyo.pool.expect_allocated(visitors=600)
        tokyo.pool.expect(lambda it: it["status"]["clients"] == 1, "count who is left")

    def test_stuck_deletion_keeps_finalizer_and_licenses_and_says_why(self, tokyo: Agency, api: Kube) -> None:
        acme = tokyo.ready_client(licenses={"visitors": 1000})
        waiting = tokyo.client("waiting")
        waiting.expect_pending(1)
        workspace = acme.workspace
        put_in_the_way(acme)

        acme.delete_confirmed()

        try:
            acme.expect_condition("Ready", "False", "Deleting", workspace, "example.com/slow-controller")
            assert FINALIZER in acme.read()["metadata"]["finalizers"]
            waiting.expect_pending(1)
            tokyo.pool.expect_allocated(visitors=1000)
        finally:
            let_go(acme, workspace)
        acme.expect_gone()
        assert api.find(NAMESPACES, workspace) is None
        waiting.expect_ready()

    def test_finalizer_of_another_holds_the_client_but_not_its_workspace(self, tokyo: Agency, api: Kube) -> None:
        """Nor does a plan that is gone."""
        acme = tokyo.ready_client()
        tokyo.plan.delete()
        workspace = acme.workspace
        theirs = [*acme.read()["metadata"]["finalizers"], "example.com/billing"]
        api.merge(CLIENT_ORGS, "acme", {"metadata": {"finalizers": theirs}}, tokyo.name)

        acme.delete_confirmed()

        acme.expect(lambda it: it["metadata"]["finalizers"] == ["example.com/billing"], "be held by the other only")
        assert api.find(NAMESPACES, workspace) is None
        api.merge(CLIENT_ORGS, "acme", {"metadata": {"finalizers": None}}, tokyo.name)
        acme.expect_gone()

    @pytest.mark.parametrize("reason", ["QuotaPending", "PoolNotFound", "PlanNotFound", "LicenseUnknown"])
    def test_client_that_never_had_a_workspace_goes_at_once(self, tokyo: Agency, reason: str) -> None:
        bad: dict[str, Json] = {
            "QuotaPending": {"licenses": {"visitors": 5000}},
            "PoolNotFound": {"pool": "none"},
            "PlanNotFound": {"plan": "none"},
            "LicenseUnknown": {"licenses": {"seats": 1}},
        }
        acme = tokyo.client(**bad[reason])
        acme.expect(lambda it: condition_of(it, "Ready").get("reason") == reason, f"be {reason}")

        acme.delete_confirmed()

        acme.expect_gone()
        tokyo.pool.expect_allocated(visitors=0)

    def test_client_deleted_the_moment_it_is_made_leaves_nothing(self, tokyo: Agency, api: Kube) -> None:
        """Some are deleted in the moment that our finalizer comes, which the server then passes over: their workspaces
        are removed when the news arrives."""
        clients = []
        for number in range(8):
            client = tokyo.client(f"brief-{number}")
            client.delete_confirmed()
            clients.append(client)

        for client in clients:
            client.expect_gone()

        tokyo.pool.expect_allocated(visitors=0)

        def nothing_left() -> bool:
            return not [item for item in api.list_all(NAMESPACES) if is_of(item, tokyo)]

        wait_until(nothing_left, 90, "their workspaces to be gone")

    def test_deletion_goes_on_after_a_restart(self, tokyo: Agency, api: Kube, operators: Operators) -> None:
        """One client's namespace went while no operator ran; that of another did, and a stranger took the name."""
        operator = operators.start(leader_election=False)
        acme, beta = tokyo.ready_client(), tokyo.ready_client("beta")
        gone, taken = acme.workspace, beta.workspace
        put_in_the_way(acme)
        acme.delete_confirmed()
        acme.expect(lambda it: it["status"]["state"] == "Deleting", "be deleting")
        operator.kill()
        let_go(acme, gone)
        api.merge(NAMESPACES, taken, {"metadata": {"annotations": {ANNOTATION_CONFIRM_DELETION: taken}}})
        api.delete(NAMESPACES, taken)
        wait_until(lambda: not api.find(NAMESPACES, gone) and not api.find(NAMESPACES, taken), 90, "them to be gone")
        api.create(builders.namespace(taken))
        beta.delete_confirmed()
        assert FINALIZER in acme.read()["metadata"]["finalizers"]

        operators.start(leader_election=False)

        acme.expect_gone()
        beta.expect_gone()
        assert "deletionTimestamp" not in api.get(NAMESPACES, taken)["metadata"]
        api.delete(NAMESPACES, taken)


def is_of(namespace: dict[str, dict[str, dict[str, str]]], agency: Agency) -> bool:
    """Whether the namespace is a workspace of the agency."""
    owner = (namespace["metadata"].get("annotations") or {}).get("clientorg.dev/owner", "")
    return owner.startswith(f"{agency.name}/")


class TestPool:
    """A pool in use is held."""

    def test_pool_deleted_in_use_is_held_grants_nothing_and_goes_with_its_last_client(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client()
        with pytest.raises(RefusedError, match="clients use pool"):
            tokyo.pool.delete()

        tokyo.pool.delete_confirmed()

        held = tokyo.pool.expect(lambda it: condition_of(it, "Ready").get("reason") == "InUse", "be held")
        assert "1 clients still use the pool" in condition_of(held, "Ready")["message"]
        assert POOL_FINALIZER in held["metadata"]["finalizers"]
        acme.expect_ready()
        acme.ask_for(visitors=20)
        acme.expect_condition("LicensesAllocated", "False", "PoolDeleting", "is being deleted")
        assert acme.granted == {"visitors": 10}
        late = tokyo.client("late")
        late.expect_condition("LicensesAllocated", "False", "PoolDeleting")
        acme.ask_for(visitors=4)
        acme.expect_granted(visitors=4)
        acme.expect_ready()
        acme.delete_confirmed()
        late.delete_confirmed()
        tokyo.pool.expect_gone()

    def test_unused_pool_goes_at_once(self, tokyo: Agency) -> None:
        spare = tokyo.new_pool("spare", visitors=5)
        spare.expect_ready()

        spare.delete()

        spare.expect_gone()

    def test_clients_left_behind_keep_what_they_hold_and_are_taken_up_by_the_next_pool(self, tokyo: Agency) -> None:
        """Somebody took the finalizer off by hand."""
        acme = tokyo.ready_client()
        tokyo.pool.delete_confirmed()
        tokyo.kube.merge(QUOTA_POOLS, "pool", {"metadata": {"finalizers": None}}, tokyo.name)
        tokyo.pool.expect_gone()

        acme.expect_stalled("PoolNotFound", "create it")
        assert acme.granted == {"visitors": 10}
        assert tokyo.kube.find(NAMESPACES, acme.workspace) is not None

        tokyo.new_pool("pool", visitors=15)
        acme.expect_ready()
        tokyo.pool.expect_allocated(visitors=10)


class TestPlan:
    """A plan in use may go: what stands stays, and nothing new is built."""

    def test_plan_deleted_in_use_stalls_its_clients_until_it_is_back(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client()

        tokyo.plan.delete()

        acme.expect_stalled("PlanNotFound", "standard", "create it")
        assert acme.status["state"] == "Active"
        assert tokyo.kube.find(CONFIG_MAPS, "portal", acme.workspace) is not None
        acme.ask_for(visitors=20)
        acme.expect_granted(visitors=20)
        tokyo.new_plan("standard", network={"allowInternet": True})
        acme.expect_ready()


class TestAgency:
    """A whole agency."""

    def test_agency_without_confirmation_stays(self, cluster: Cluster, tokyo: Agency) -> None:
        tokyo.ready_client()

        refused = kubectl(cluster, "delete", "namespace", tokyo.name, "--wait=false")

        assert refused.returncode != 0
        assert "is an agency" in refused.stderr
        assert "deletionTimestamp" not in tokyo.kube.get(NAMESPACES, tokyo.name)["metadata"]

    def test_confirmed_agency_goes_with_everything_and_no_other_does(
        self, tokyo: Agency, osaka: Agency, api: Kube
    ) -> None:
        clients = tokyo.clients(4)
        waiting = tokyo.client("waiting", licenses={"visitors": 5000})
        stalled = tokyo.client("stalled", plan="none")
        other = osaka.ready_client("other")
        tokyo.expect_all_ready(clients)
        waiting.expect_pending(1)
        stalled.expect_stalled("PlanNotFound")
        workspaces = [client.workspace for client in clients]

        tokyo.close()
        tokyo.expect_gone()

        assert not any(api.find(NAMESPACES, name) for name in workspaces)
        for resource in (CLIENT_ORGS, QUOTA_POOLS, ORG_PLANS):
            assert not api.list_all(resource, tokyo.name)
        other.expect_ready()
