"""What a new client gets: licenses, Org ID, workspace (FEATURES Z1-Z3; DESIGN section 3)."""

from __future__ import annotations

import json

import pytest

from clientorg.api.meta import FINALIZER, LABEL_ORG_ID
from clientorg.cluster.resources import (
    CONFIG_MAPS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    Resource,
)
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client
from tests.controlplane.waiting import wait_until
from tests.support import builders
from tests.support.kube import PODS, Json, Kube, RefusedError
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

POD_SECURITY = "pod-security.kubernetes.io/"
POLICIES_BY_DEFAULT = {"clientorg-default-deny", "clientorg-allow-dns", "clientorg-allow-internal"}


def names(client: Client, resource: Resource) -> set[str]:
    """Names of a workspace's objects of one kind."""
    return {item["metadata"]["name"] for item in client.kube.list_all(resource, client.workspace)}


def pod(client: Client, name: str = "web", **container: object) -> Json:
    """A pod of the client."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": client.workspace},
        "spec": {"containers": [{"name": "main", "image": "none.example/none", **container}]},
    }


class TestStatus:
    """What the ClientOrg tells."""

    def test_new_client_has_licenses_org_id_and_workspace(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client("acme", licenses={"visitors": 250})

        found = acme.read()
        status, org_id = found["status"], found["status"]["orgID"]
        assert status["state"] == "Active"
        assert status["licenses"] == [{"name": "visitors", "granted": 250}]
        assert status["observedGeneration"] == found["metadata"]["generation"]
        assert status["workspace"]["namespace"] == f"acme-{org_id}"
        assert found["metadata"]["labels"][LABEL_ORG_ID] == org_id
        assert FINALIZER in found["metadata"]["finalizers"]
        assert tokyo.pool.books() == {
            "name": "visitors",
            "total": 1000,
            "allocated": 250,
            "available": 750,
            "pending": 0,
        }

    def test_spec_is_left_as_the_user_wrote_it(self, tokyo: Agency) -> None:
        written = tokyo.create(builders.client(tokyo.name))
        acme = Client(tokyo.kube, tokyo.name, "acme")
        acme.expect_ready()

        assert acme.read()["spec"] == written["spec"]
        assert acme.read()["metadata"]["generation"] == 1

    def test_url_is_made_of_the_plans_template(self, tokyo: Agency) -> None:
        tokyo.plan.change(urlTemplate="https://$(agency).example/$(language)/$(orgID)?as=$(displayName)")
        contact = {"firstName": "Yuki", "lastName": "Sato", "email": "yuki@acme.example", "language": "ja"}

        acme = tokyo.ready_client(displayName="Acme & Söhne / K.K.", contact=contact)

        url = f"https://{tokyo.name}.example/ja/{acme.org_id}?as=Acme%20%26%20S%C3%B6hne%20%2F%20K.K."
        assert acme.status["workspace"]["url"] == url

    def test_client_of_zero_licenses_has_a_workspace(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client(licenses={"visitors": 0})

        assert acme.granted == {"visitors": 0}
        assert tokyo.kube.find(NAMESPACES, acme.workspace) is not None

    def test_agency_is_put_under_the_deletion_guard(self, tokyo: Agency) -> None:
        tokyo.ready_client()

        def is_marked() -> bool:
            labels = tokyo.kube.get(NAMESPACES, tokyo.name)["metadata"]["labels"]
            return bool(labels.get("clientorg.dev/agency") == "true")

        wait_until(is_marked, 30, "the agency's namespace to be marked")


class TestOrgId:
    """Unique, stable, and nobody's to write."""

    def test_org_ids_are_unique(self, tokyo: Agency, osaka: Agency) -> None:
        here, there = tokyo.clients(10), osaka.clients(10)

        ready = [*tokyo.expect_all_ready(here), *osaka.expect_all_ready(there)]

        assert len({item["status"]["orgID"] for item in ready}) == 20
        assert len({item["status"]["workspace"]["namespace"] for item in ready}) == 20

    def test_org_id_outlives_edits_and_a_restart(self, tokyo: Agency, operators: Operators) -> None:
        first = operators.start()
        acme = tokyo.ready_client()
        before = (acme.org_id, acme.workspace)
        first.stop()
        acme.edit(displayName="Acme Holding")

        operators.start()

        acme.expect_ready()
        assert (acme.org_id, acme.workspace) == before

    def test_client_made_anew_under_the_old_name_gets_another(self, tokyo: Agency) -> None:
        acme = tokyo.client(licenses={"visitors": 5000})
        acme.expect_pending(1)
        before = acme.org_id
        acme.delete_confirmed()
        acme.expect_gone()

        assert tokyo.ready_client().org_id != before

    def test_forged_label_hijacks_nothing(self, tokyo: Agency, osaka: Agency) -> None:
        victim = osaka.ready_client("victim")
        theirs = {LABEL_ORG_ID: victim.org_id}
        forged = builders.client(tokyo.name, "thief", licenses={"visitors": 5000})
        forged["metadata"]["labels"] = theirs
        tokyo.create(forged)
        thief = Client(tokyo.kube, tokyo.name, "thief")
        thief.expect_pending(1)

        assert thief.org_id != victim.org_id
        thief.expect(lambda it: it["metadata"]["labels"][LABEL_ORG_ID] == thief.org_id, "have its own label")
        thief.label(theirs)
        thief.expect(lambda it: it["metadata"]["labels"][LABEL_ORG_ID] == thief.org_id, "have its own label again")
        thief.delete_confirmed()
        thief.expect_gone()
        assert tokyo.kube.find(NAMESPACES, victim.workspace) is not None
        victim.expect_ready()

    def test_same_names_in_two_agencies_do_not_mix(self, tokyo: Agency, osaka: Agency) -> None:
        osaka.pool.stock(visitors=5)
        here = tokyo.ready_client("acme")
        there = osaka.client("acme")

        there.expect_pending(1, "5 visitors")
        assert here.granted == {"visitors": 10}
        tokyo.pool.expect_allocated(visitors=10)
        osaka.pool.expect_allocated(visitors=0)


class TestWorkspace:
    """The namespace and everything in it."""

    def test_namespace_says_whose_it_is_and_guards_its_pods(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client()

        metadata = tokyo.kube.get(NAMESPACES, acme.workspace)["metadata"]
        assert {name: metadata["labels"][f"{POD_SECURITY}{name}"] for name in ("enforce", "audit", "warn")} == {
            "enforce": "baseline",
            "audit": "restricted",
            "warn": "restricted",
        }
        assert metadata["labels"][LABEL_ORG_ID] == acme.org_id
        assert metadata["annotations"]["clientorg.dev/owner"] == f"{tokyo.name}/acme"
        assert metadata["annotations"]["clientorg.dev/owner-uid"] == acme.uid

    def test_quota_and_limits_follow_the_plan(self, tokyo: Agency) -> None:
        tokyo.plan.change(
            resourceQuota={"requests.cpu": "1.5", "limits.memory": "2048Mi", "pods": "7", "count/jobs.batch": "3"},
            limits={"default": {"cpu": "0.25"}, "defaultRequest": {"cpu": "0.1"}, "max": {"cpu": "2000m"}},
        )
        acme = tokyo.ready_client()

        quota = acme.child(RESOURCE_QUOTAS, "clientorg-quota")["spec"]
        assert quota == {
            "hard": {"requests.cpu": "1500m", "limits.memory": "2Gi", "pods": "7", "count/jobs.batch": "3"}
        }
        (limits,) = acme.child(LIMIT_RANGES, "clientorg-limits")["spec"]["limits"]
        assert (limits["type"], limits["max"], limits["default"]["cpu"], limits["defaultRequest"]["cpu"]) == (
            "Container",
            {"cpu": "2"},
            "250m",
            "100m",
        )

    def test_network_is_closed_but_for_dns_and_itself(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client()

        assert names(acme, NETWORK_POLICIES) == POLICIES_BY_DEFAULT
        deny = acme.child(NETWORK_POLICIES, "clientorg-default-deny")["spec"]
        assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        dns = acme.child(NETWORK_POLICIES, "clientorg-allow-dns")["spec"]
        assert dns == {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [
                        {
                            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                        }
                    ],
                    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
                }
            ],
        }
        internal = acme.child(NETWORK_POLICIES, "clientorg-allow-internal")["spec"]
        assert internal["ingress"] == [{"from": [{"podSelector": {}}]}]
        assert internal["egress"] == [{"to": [{"podSelector": {}}]}]

    def test_network_opens_as_far_as_the_plan_says(self, tokyo: Agency) -> None:
        dns = {"namespace": "dns", "podLabels": {}}
        tokyo.plan.change(
            network={"dns": dns, "allowInternal": False, "allowIngressFrom": ["ingress-nginx"], "allowInternet": True}
        )
        acme = tokyo.ready_client()

        opened = {"clientorg-allow-ingress", "clientorg-allow-internet"}
        assert names(acme, NETWORK_POLICIES) == (POLICIES_BY_DEFAULT | opened) - {"clientorg-allow-internal"}
        peers = acme.child(NETWORK_POLICIES, "clientorg-allow-ingress")["spec"]["ingress"][0]["from"]
        assert peers == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]
        blocks = acme.child(NETWORK_POLICIES, "clientorg-allow-internet")["spec"]["egress"][0]["to"]
        assert {block["ipBlock"]["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}
        assert "10.0.0.0/8" in blocks[0]["ipBlock"]["except"]
        (rule,) = acme.child(NETWORK_POLICIES, "clientorg-allow-dns")["spec"]["egress"]
        assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}}}]

    def test_portal_has_the_plans_menus_and_links_and_follows_the_client(self, tokyo: Agency) -> None:
        menus = [{"name": "experiments"}, {"name": "billing", "visible": False}]
        links = [{"name": "help", "title": "Help", "url": "https://docs.example/$(language)/$(displayName)"}]
        tokyo.plan.change(portal={"menus": menus, "links": links})
        acme = tokyo.ready_client(displayName="Acme K.K.")

        portal = json.loads(acme.child(CONFIG_MAPS, "portal")["data"]["portal.json"])
        assert portal["orgID"] == acme.org_id
        assert portal["displayName"] == "Acme K.K."
        assert portal["menus"] == [{"name": "experiments", "visible": True}, {"name": "billing", "visible": False}]
        help_link = {"name": "help", "title": "Help", "url": "https://docs.example/en/Acme%20K.K.", "audience": "All"}
        assert portal["links"] == [help_link]

        acme.edit(displayName="Acme Holding")
        acme.expect_ready()
        assert "Acme Holding" in acme.child(CONFIG_MAPS, "portal")["data"]["portal.json"]

    def test_bindings_are_those_that_the_plan_and_the_client_name(self, tokyo: Agency) -> None:
        acme = tokyo.ready_client()

        assert names(acme, ROLE_BINDINGS) == set()


class TestPods:
    """Workloads on simulated nodes."""

    @pytest.fixture
    def acme(self, tokyo: Agency) -> Client:
        """A client whose workspace has its service account."""
        return tokyo.ready_client()

    def test_pod_runs_without_a_token(self, acme: Client, api: Kube) -> None:
        api.create(pod(acme))

        running = wait_until(
            lambda: (it := api.get(PODS, "web", acme.workspace))["status"]["phase"] == "Running" and it, 60, "the pod"
        )

        assert acme.child(SERVICE_ACCOUNTS, "default")["automountServiceAccountToken"] is False
        assert not running["spec"].get("volumes")
        (container,) = running["spec"]["containers"]
        assert container["resources"]["limits"] == {"cpu": "500m", "memory": "512Mi"}

    def test_privileged_pod_is_refused(self, acme: Client, api: Kube) -> None:
        with pytest.raises(RefusedError, match='violates PodSecurity "baseline') as refused:
            api.create(pod(acme, securityContext={"privileged": True}))
        assert refused.value.code == 403

    def test_pod_beyond_the_quota_is_refused(self, tokyo: Agency, acme: Client, api: Kube) -> None:
        tokyo.plan.change(resourceQuota={"pods": "1"})
        acme.expect(lambda _: acme.child(RESOURCE_QUOTAS, "clientorg-quota")["spec"]["hard"] == {"pods": "1"}, "follow")
        api.create(pod(acme, "first"))

        with pytest.raises(RefusedError, match="exceeded quota"):
            api.create(pod(acme, "second"))


def test_client_is_ready_within_a_moment_of_its_workspace(tokyo: Agency, operator: OperatorProcess) -> None:
    """Ready says that everything is there: nothing is to come after it."""
    before = operator.writes()
    acme = tokyo.ready_client()
    after = operator.writes()

    acme.ask_for_reconcile()
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "answer the request")
    assert after > before
    assert names(acme, NETWORK_POLICIES) == POLICIES_BY_DEFAULT
