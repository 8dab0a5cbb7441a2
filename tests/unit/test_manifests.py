"""The manifests: least privilege, policies that fit the operator's names, nothing forgotten (DESIGN 11)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.api import meta
from clientorg.api.crd import KINDS
from clientorg.api.pointtransaction import TransactionKind
from clientorg.cluster.resources import BLUEPRINT_RESOURCES, WORKSPACE_RESOURCES, Resource
from clientorg.control.settings import Settings
from clientorg.domain.workspace import CLIENT_ADMIN_ROLE, CLIENT_GRANTER_ROLE, CLIENT_VIEWER_ROLE

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
OPERATOR = "system:serviceaccount:clientorg-system:clientorg-operator"
CLEANERS = (
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:kube-controller-manager",
)


@cache
def everything() -> tuple[Json, ...]:
    """Every object in manifests/."""
    files = [path for path in sorted(MANIFESTS.rglob("*.yaml")) if path.name != "kustomization.yaml"]
    return tuple(document for path in files for document in yaml.safe_load_all(path.read_text()))


def documents(*kinds: str) -> list[Json]:
    """The objects of these kinds."""
    return [document for document in everything() if document["kind"] in kinds]


def named(kind: str, name: str) -> Json:
    """One object."""
    (found,) = (document for document in documents(kind) if document["metadata"]["name"] == name)
    return found


def rules(*names: str) -> Iterator[Json]:
    """The rules of these roles; of all without names."""
    for role in documents("Role", "ClusterRole"):
        if not names or role["metadata"]["name"] in names:
            yield from role["rules"]


def verbs_on(role: str, group: str, resource: str) -> set[str]:
    """What a role may do with a resource, whatever its name."""
    return {
        verb
        for rule in rules(role)
        if group in rule["apiGroups"] and resource in rule["resources"] and "resourceNames" not in rule
        for verb in rule["verbs"]
    }


POLICIES = documents("ValidatingAdmissionPolicy")
GUARDS = [
    policy
    for policy in POLICIES
    if all(rule["operations"] == ["DELETE"] for rule in policy["spec"]["matchConstraints"]["resourceRules"])
]
each_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["metadata"]["name"])


# -- what is there -------------------------------------------------------------------------------------------------


def test_kustomization_lists_every_file() -> None:
    listed = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    files = {str(path.relative_to(MANIFESTS)) for path in MANIFESTS.rglob("*.yaml")} - {"kustomization.yaml"}
    files = {name for name in files if not name.startswith("components/")}  # optional, with lists of their own
    crds = yaml.safe_load((ROOT / "crds" / "Kustomization").read_text())["resources"]

    assert len(listed) == len(set(listed))
    assert set(listed) == files | {"../crds"}
    assert set(crds) == {path.name for path in (ROOT / "crds").glob("*.yaml")}


def test_no_object_is_there_twice() -> None:
    kinds = {
        document["kind"] for path in MANIFESTS.rglob("*.yaml") for document in yaml.safe_load_all(path.read_text())
    }
    names = [(document["kind"], document["metadata"]["name"]) for document in documents(*kinds - {"Kustomization"})]

    assert len(names) == len(set(names))


# -- RBAC ----------------------------------------------------------------------------------------------------------


def test_no_role_has_a_wildcard_or_a_verb_that_grants_more() -> None:
    for rule in rules():
        words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"], *rule.get("resourceNames", ())]
        assert not any("*" in word for word in words), rule
        assert not {"escalate", "impersonate"} & set(rule["verbs"]), rule
        assert "nonResourceURLs" not in rule


def test_bind_names_the_roles_for_workspaces_and_nothing_else() -> None:
    binding = [rule for rule in rules() if "bind" in rule["verbs"]]

    assert binding == [
        {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["clusterroles"],
            "verbs": ["bind"],
            "resourceNames": [CLIENT_ADMIN_ROLE, CLIENT_GRANTER_ROLE, CLIENT_VIEWER_ROLE],
        }
    ]


def test_operator_sees_two_secrets_by_name_and_writes_no_role() -> None:
    held = list(rules("clientorg-operator"))
    reach = {resource for rule in held for resource in rule["resources"]}
    secrets = [rule for rule in held if "secrets" in rule["resources"]]

    assert not reach & {"roles", "clusterrolebindings", "nodes", "serviceaccounts/token", "pods/exec"}
    assert [(rule["verbs"], rule["resourceNames"]) for rule in secrets] == [
        (["get"], ["clientorg-smtp", "clientorg-webhook", "clientorg-payment"])
    ]
    assert verbs_on("clientorg-operator", "rbac.authorization.k8s.io", "clusterroles") == set()


@pytest.mark.parametrize("resource", [*WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES], ids=lambda resource: resource.kind)
def test_operator_may_write_whatever_a_workspace_may_hold(resource: Resource) -> None:
    """And the policy that keeps it in workspaces knows the kind, in that version."""
    needed = {"get", "list", "watch", "create", "patch"}
    if resource.kind != "LimitRange":  # every plan has one
        needed.add("delete")
    scope = named("ValidatingAdmissionPolicy", "clientorg-operator-scope")["spec"]["matchConstraints"]

    assert needed <= verbs_on("clientorg-operator", resource.group, resource.plural)
    assert any(
        resource.group in rule["apiGroups"]
        and resource.version in rule["apiVersions"]
        and resource.plural in rule["resources"]
        for rule in scope["resourceRules"]
    )


def test_scope_of_the_operator_covers_all_that_it_may_write() -> None:
    """But for users' objects and Events, which stand in agencies."""
    scope = named("ValidatingAdmissionPolicy", "clientorg-operator-scope")["spec"]["matchConstraints"]
    covered = {
        (group, resource)
        for rule in scope["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    written = {
        (group, resource)
        for rule in rules("clientorg-operator")
        if set(rule["verbs"]) & {"create", "update", "patch", "delete"}
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert {what for what in written - covered if what[0] != meta.GROUP} == {("events.k8s.io", "events")}


def test_operator_writes_to_users_objects_only_what_is_its_own() -> None:
    """Besides its entries of the ledger, which are objects of their own."""
    makes = {"pointtransactions": {"create", "charge", "settle"}}
    for kind in KINDS:
        verbs = verbs_on("clientorg-operator", meta.GROUP, kind.plural)
        assert verbs - {"get", "list", "watch"} <= makes.get(kind.plural, {"patch"})
        assert verbs_on("clientorg-operator", meta.GROUP, f"{kind.plural}/status") == {"patch"}


def test_operator_only_reads_terms_reports_approvals_and_subscriptions() -> None:
    for plural in ("orgplans", "usagereports", "orgapprovals", "subscriptions"):
        assert verbs_on("clientorg-operator", meta.GROUP, plural) == {"get", "list", "watch"}


def test_each_kind_of_transaction_has_a_verb_and_the_operator_those_of_its_own() -> None:
    """A kind that the policy does not know could be made by nobody, or by everybody."""
    variables = named("ValidatingAdmissionPolicy", "clientorg-transactions")["spec"]["variables"]
    (expression,) = (variable["expression"] for variable in variables if variable["name"] == "verb")
    verbs = dict(re.findall(r"'(\w+)': '([a-z-]+)'", expression))

    assert set(verbs) == set(TransactionKind)
    assert {verbs[kind] for kind in (TransactionKind.CHARGE, TransactionKind.SETTLEMENT)} == (
        verbs_on("clientorg-operator", meta.GROUP, "pointtransactions") - {"get", "list", "watch", "create"}
    )


@pytest.mark.parametrize("role", [CLIENT_ADMIN_ROLE, CLIENT_VIEWER_ROLE])
def test_clients_people_cannot_loosen_their_workspace(role: str) -> None:
    guards = {"resourcequotas", "limitranges", "networkpolicies", "rolebindings", "namespaces", "events"}
    for rule in rules(role):
        if guards & set(rule["resources"]):
            assert set(rule["verbs"]) <= {"get", "list", "watch"}
        assert not {"roles", "endpoints", "endpointslices", "serviceaccounts/token"} & set(rule["resources"])


def test_viewer_only_reads_and_no_secrets() -> None:
    for rule in rules(CLIENT_VIEWER_ROLE):
        assert set(rule["verbs"]) <= {"get", "list", "watch"}
        assert not {"secrets", "pods/exec", "pods/attach", "pods/portforward"} & set(rule["resources"])


# -- policies ------------------------------------------------------------------------------------------------------


def test_every_policy_is_bound_once() -> None:
    bound = [binding["spec"]["policyName"] for binding in documents("ValidatingAdmissionPolicyBinding")]

    assert sorted(bound) == sorted(policy["metadata"]["name"] for policy in POLICIES)


@each_policy
def test_refusals_fail_closed_and_warnings_open(policy: Json) -> None:
    """A missing parameter denies under Fail whatever the binding's action is: wrong for a mere warning."""
    (actions,) = (
        binding["spec"]["validationActions"]
        for binding in documents("ValidatingAdmissionPolicyBinding")
        if binding["spec"]["policyName"] == policy["metadata"]["name"]
    )

    assert (actions, policy["spec"]["failurePolicy"]) in ((["Deny"], "Fail"), (["Warn"], "Ignore"))


@each_policy
def test_policy_matches_narrowly(policy: Json) -> None:
    for rule in policy["spec"]["matchConstraints"]["resourceRules"]:
        words = [*rule["apiGroups"], *rule["apiVersions"], *rule["resources"], *rule["operations"]]
        assert not any("*" in word for word in words)
        assert "CONNECT" not in words
        # Said and not defaulted, or client-side apply and GitOps tools see a difference for ever.
        assert rule["scope"] == ("Cluster" if "namespaces" in rule["resources"] else "Namespaced")


@pytest.mark.parametrize("policy", GUARDS, ids=lambda policy: policy["metadata"]["name"])
def test_deletion_guard_passes_over_the_clean_up_and_a_second_delete(policy: Json) -> None:
    conditions = " ".join(condition["expression"] for condition in policy["spec"]["matchConditions"])

    for cleaner in CLEANERS:
        assert f"'{cleaner}'" in conditions
    assert "!has(oldObject.metadata.deletionTimestamp)" in conditions


def test_clients_pools_transactions_and_namespaces_have_a_deletion_guard() -> None:
    guarded = {
        resource
        for policy in GUARDS
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        for resource in rule["resources"]
    }

    assert guarded == {"clientorgs", "quotapools", "pointtransactions", "namespaces"}


@each_policy
def test_every_refusal_says_more_than_that_an_expression_failed(policy: Json) -> None:
    for validation in policy["spec"]["validations"]:
        assert len(validation["message"]) > 40
        assert "\n" not in validation["message"]
        if policy["spec"]["failurePolicy"] == "Fail":
            assert validation["reason"] == "Forbidden"


def test_policies_spell_names_as_the_operator_does() -> None:
    """A label or account spelled otherwise would guard nothing, in silence."""
    constants = {value for name, value in vars(meta).items() if name.startswith(("ANNOTATION_", "LABEL_"))}
    known = constants | {f"{meta.GROUP}/{meta.VERSION}"}
    text = "".join(path.read_text() for path in (MANIFESTS / "policies").glob("*.yaml"))

    assert set(re.findall(rf"{re.escape(meta.GROUP)}/[a-z0-9-]+", text)) <= known
    account = named("ServiceAccount", "clientorg-operator")["metadata"]
    assert f"system:serviceaccount:{account['namespace']}:{account['name']}" == OPERATOR
    assert set(re.findall(r"system:serviceaccount:clientorg[a-z:-]+", text)) == {OPERATOR}


# -- the Deployment ------------------------------------------------------------------------------------------------


def test_pods_keep_the_restricted_level_that_their_namespace_enforces() -> None:
    namespace = named("Namespace", "clientorg-system")
    pod = named("Deployment", "clientorg-operator")["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_deployment_survives_a_node_and_says_how_it_is() -> None:
    deployment = named("Deployment", "clientorg-operator")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    assert deployment["replicas"] == 2
    assert container["command"] == ["python", "-m", "handlers", "run"]
    assert (container["livenessProbe"]["httpGet"]["path"], container["readinessProbe"]["httpGet"]["path"]) == (
        "/healthz",
        "/readyz",
    )
    assert ports == {"health": 8080, "metrics": 8081}
    assert set(container["resources"]) == {"requests", "limits"}
    assert len(pod["topologySpreadConstraints"]) == 2
    selectors = [
        deployment["selector"]["matchLabels"],
        named("PodDisruptionBudget", "clientorg-operator")["spec"]["selector"]["matchLabels"],
        named("Service", "clientorg-operator-metrics")["spec"]["selector"],
        *(constraint["labelSelector"]["matchLabels"] for constraint in pod["topologySpreadConstraints"]),
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)


def test_environment_of_the_pods_is_made_of_settings() -> None:
    """A misspelled one would be passed over in silence."""
    (container,) = named("Deployment", "clientorg-operator")["spec"]["template"]["spec"]["containers"]
    ours = {entry["name"] for entry in container["env"] if entry["name"].startswith("CLIENTORG_")}

    assert ours <= {f"CLIENTORG_{field.upper()}" for field in Settings.model_fields}
    (lease,) = (rule["resourceNames"] for rule in rules("clientorg-operator-lease") if "resourceNames" in rule)
    assert lease == [Settings.model_fields["lease_name"].default]
