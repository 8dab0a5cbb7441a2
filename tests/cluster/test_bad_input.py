"""What cannot be carried out says so with what to do, is not tried in vain, and stops nobody else (DESIGN rule 9)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clientorg.api.meta import ANNOTATION_TRANSFER
from clientorg.cluster.resources import CONFIG_MAPS, NAMESPACES, NETWORK_POLICIES, RESOURCE_QUOTAS
from tests.cluster.verbs import GONE_SECONDS, Agency, Client, condition_of
from tests.controlplane.waiting import wait_until
from tests.support import builders
from tests.support.kube import POLICIES, POLICY_BINDINGS, Json, Kube, RefusedError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

FOREIGN = {"metadata": {"labels": {"team": "somebody"}}}


class TestReferences:
    """A pool, plan or license that is not there."""

    def test_unknown_pool_stalls_until_it_is_there(self, tokyo: Agency) -> None:
        acme = tokyo.client(pool="gold")

        message = acme.expect_stalled("PoolNotFound", "spec.poolRef.name", "'gold'", tokyo.name, "create it")["message"]

        assert condition_of(acme.read(), "Reconciling")["status"] == "False"
        assert condition_of(acme.read(), "Ready")["message"] == message
        tokyo.new_pool("gold", visitors=10)
        acme.expect_ready()

    def test_unknown_plan_stalls_until_it_is_there(self, tokyo: Agency) -> None:
        acme = tokyo.client(plan="premium")

        acme.expect_stalled("PlanNotFound", "spec.planRef.name", "'premium'", "create it, or correct the name")

        tokyo.new_plan("premium")
        acme.expect_ready()

    def test_unknown_plan_can_be_corrected_in_the_client(self, tokyo: Agency) -> None:
        acme = tokyo.client(plan="premium")
        acme.expect_stalled("PlanNotFound")

        acme.edit(planRef={"name": "standard"})

        acme.expect_ready()

    def test_unknown_license_stalls_with_what_the_pool_has_until_it_has_it(self, tokyo: Agency) -> None:
        acme = tokyo.client(licenses={"visitors": 10, "seats": 2})

        acme.expect_stalled("LicenseUnknown", "spec.licenses", "no license seats", "it has visitors", "add the license")
        assert acme.granted == {"visitors": 0, "seats": 0}
        tokyo.pool.expect_allocated(visitors=0)

        tokyo.pool.stock(visitors=1000, seats=2)
        acme.expect_ready()
        assert acme.granted == {"visitors": 10, "seats": 2}

    def test_pool_and_plan_of_another_agency_are_none(self, tokyo: Agency, osaka: Agency) -> None:
        osaka.new_pool("gold", visitors=10)
        osaka.new_plan("premium")

        tokyo.client("acme", pool="gold").expect_stalled("PoolNotFound")
        tokyo.client("beta", plan="premium").expect_stalled("PlanNotFound")

    def test_everything_may_come_in_any_order(self, tokyo: Agency) -> None:
        acme = tokyo.client(pool="gold", plan="premium")
        acme.expect(lambda it: condition_of(it, "Stalled").get("status") == "True", "be Stalled")

        tokyo.new_plan("premium")
        acme.expect_stalled("PoolNotFound")
        tokyo.new_pool("gold", visitors=10)

        acme.expect_ready()


class TestPoison:
    """Values that the schema lets through and a careless reader stumbles over: at most their owner is held up."""

    def test_transfer_with_a_number_of_thousands_of_digits(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client(annotations={ANNOTATION_TRANSFER: f"other/visitors/{'9' * 5000}/1"})

        acme.ask_for(visitors=20)

        acme.expect_granted(visitors=20)
        tokyo.ready_client("beta")

    def test_long_request_for_a_reconcile_is_answered(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client()

        acme.ask_for_reconcile("x" * 300)

        acme.expect(lambda it: it["status"].get("lastHandledReconcileAt"), "answer")
        acme.ask_for(visitors=20)
        acme.expect_granted(visitors=20)

    @pytest.mark.parametrize("quantity", ["10E", "16Ei", "9" * 32, "1e30", "0.0000000001"])
    def test_quantity_at_the_end_of_the_range(self, tokyo: Agency, osaka: Agency, quantity: str) -> None:
        tokyo.plan.change(resourceQuota={"requests.storage": quantity}, limits={"max": {"cpu": quantity}})
        acme = tokyo.client()

        acme.expect(lambda it: it["status"]["observedGeneration"] == 1, "be looked at")
        osaka.ready_client()
        tokyo.plan.change()
        acme.expect_ready()


class TestNamespaceConflict:
    """A namespace of the wanted name that is not ours is never touched."""

    @pytest.fixture
    def conflict(self, tokyo: Agency, api: Kube) -> Iterator[Client]:
        """A client whose workspace's name is taken: the name is known before, as the pool comes later."""
        acme = tokyo.client(pool="late")
        acme.expect_stalled("PoolNotFound")
        manifest = builders.namespace(acme.workspace)
        manifest["metadata"]["labels"] = FOREIGN["metadata"]["labels"]
        api.create(manifest)
        api.create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "portal", "namespace": acme.workspace},
                "data": {"mine": "yes"},
            }
        )
        tokyo.new_pool("late", visitors=10)
        yield acme
        found = api.find(NAMESPACES, manifest["metadata"]["name"])
        if found is not None and not found["metadata"].get("annotations"):
            api.delete(NAMESPACES, manifest["metadata"]["name"])

    def test_foreign_namespace_stalls_the_client_and_stays_as_it_is(
        self, tokyo: Agency, api: Kube, conflict: Client
    ) -> None:
        workspace = conflict.workspace

        conflict.expect_stalled("NamespaceConflict", workspace, "it is left alone", "reconcile-requested-at")

        metadata = api.get(NAMESPACES, workspace)["metadata"]
        assert "clientorg.dev/org-id" not in metadata["labels"]
        assert not metadata.get("annotations")
        assert api.get(CONFIG_MAPS, "portal", workspace)["data"] == {"mine": "yes"}
        assert not api.list_all(RESOURCE_QUOTAS, workspace)
        tokyo.ready_client("beta")

    def test_client_recovers_when_the_namespace_is_gone_and_a_pass_asked_for(self, api: Kube, conflict: Client) -> None:
        conflict.expect_stalled("NamespaceConflict")
        workspace = conflict.workspace
        api.delete(NAMESPACES, workspace)
        wait_until(lambda: api.find(NAMESPACES, workspace) is None, GONE_SECONDS, "the stranger's namespace to be gone")

        conflict.ask_for_reconcile()

        conflict.expect_ready()
        assert api.get(NAMESPACES, workspace)["metadata"]["annotations"]["clientorg.dev/owner-uid"] == conflict.uid

    def test_deleted_client_leaves_the_foreign_namespace(self, api: Kube, conflict: Client) -> None:
        conflict.expect_stalled("NamespaceConflict")
        workspace = conflict.workspace

        conflict.delete_confirmed()

        conflict.expect_gone()
        assert "deletionTimestamp" not in api.get(NAMESPACES, workspace)["metadata"]


class TestRefusedByOthers:
    """Quotas and policies of the cluster's own."""

    def test_object_beyond_the_quota_says_so_and_follows_when_there_is_room(self, tokyo: Agency) -> None:
        blueprint = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"page-{number}"}} for number in range(6)
        ]
        tokyo.plan.change(resourceQuota={"configmaps": "4"})
        acme = tokyo.ready_client()
        acme.expect(
            lambda _: acme.child(RESOURCE_QUOTAS, "clientorg-quota").get("status", {}).get("used"), "be under its quota"
        )

        tokyo.plan.change(resourceQuota={"configmaps": "4"}, blueprint=blueprint)

        acme.expect_condition("WorkspaceReady", "False", "Forbidden", "ConfigMap page-", "exceeded quota")
        assert tokyo.kube.find(NETWORK_POLICIES, "clientorg-default-deny", acme.workspace) is not None

        tokyo.plan.change(resourceQuota={"configmaps": "10"}, blueprint=blueprint)
        acme.expect_ready()

    @contextmanager
    def policy(self, api: Kube, reason: str) -> Iterator[None]:
        """A policy of the cluster's owner against ConfigMaps named `welcome`."""
        name = f"no-welcome-{reason.lower()}"
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["configmaps"],
        }
        validation = {
            "expression": "object.metadata.name != 'welcome'",
            "reason": reason,
            "message": "no welcomes here, says the owner of the cluster",
        }
        spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation], "failurePolicy": "Fail"}
        binding = {"policyName": name, "validationActions": ["Deny"]}
        group = "admissionregistration.k8s.io/v1"
        named = {"apiVersion": group, "metadata": {"name": name}}
        api.create({**named, "kind": "ValidatingAdmissionPolicy", "spec": spec})
        api.create({**named, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding})
        try:
            wait_until(lambda: refuses(api), 30, "the policy to take effect")
            yield
        finally:
            api.delete(POLICY_BINDINGS, name)
            api.delete(POLICIES, name)

    @pytest.mark.parametrize(
        ("reason", "condition"), [("Forbidden", "Forbidden"), ("Invalid", "BlueprintInvalid")], ids=["403", "422"]
    )
    def test_refused_object_tells_the_policys_words_and_the_rest_is_built(
        self, tokyo: Agency, api: Kube, reason: str, condition: str
    ) -> None:
        welcome = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "welcome"}, "data": {"a": "b"}}
        tokyo.plan.change(blueprint=[welcome, {**welcome, "metadata": {"name": "other"}}])
        with self.policy(api, reason):
            acme = tokyo.client()
            acme.expect_condition("WorkspaceReady", "False", condition, "ConfigMap welcome", "no welcomes here")
            assert api.find(CONFIG_MAPS, "other", acme.workspace) is not None
        wait_until(lambda: not refuses(api), 30, "the policy to be gone")

        acme.ask_for_reconcile()

        acme.expect_ready()


def refuses(api: Kube) -> bool:
    """Whether the server refuses a ConfigMap `welcome`."""
    manifest: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "welcome", "namespace": "default"}}
    try:
        api.create(manifest, dryRun="All")
    except RefusedError as error:
        return "no welcomes here" in error.message
    return False
