"""What a client's workspace is made of, for every variation of a plan (FEATURES Z3; DESIGN section 3)."""

from __future__ import annotations

from itertools import product
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clientorg.api.meta import (
    ANNOTATION_BLUEPRINT_DIGEST,
    ANNOTATION_OWNER_UID,
    FIELD_MANAGER,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
    LABEL_ORG_ID,
    MAX_NAMESPACE_LENGTH,
)
from clientorg.api.orgplan import BLUEPRINT_KINDS, OrgPlanSpec
from clientorg.cluster.resources import resource_of
from clientorg.domain.drift import content_of, digest
from clientorg.domain.identity import org_id, workspace_namespace
from clientorg.domain.workspace import (
    CLIENT_ADMIN_ROLE,
    CLIENT_GRANTER_ROLE,
    CLIENT_VIEWER_ROLE,
    CORE_CHILDREN,
    GRANT_KEY,
    NAMESPACE_KEY,
    OWN_NAMES,
    Child,
    Gate,
    Org,
    PlanTemplate,
)
from clientorg.errors import PlanError
from tests.unit.strategies import Json, org, plan_spec

ACME = org()
ADMINS: list[Json] = [
    {"name": "yuki@acme.example", "kind": "User", "role": "Full"},
    {"name": "acme-readers", "kind": "Group", "role": "ReadOnly"},
]
DNS_RULE: Json = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


def rendered(org: Org = ACME, **workspace: Any) -> dict[tuple[str, str], Child]:
    """The children by key."""
    return {child.key: child for child in PlanTemplate(plan_spec(**workspace)).render(org)}


def config_map(name: str = "welcome", **fields: Any) -> Json:
    """An object of a blueprint."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields}


def blueprint_child(source: Json, client: Org = ACME) -> Child:
    """The one object of a blueprint, rendered."""
    (child,) = (child for child in rendered(client, blueprint=[source]).values() if child.is_blueprint)
    return child


# -- strategies ----------------------------------------------------------------------------------------------------

labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
lines = st.text(
    st.characters(min_codepoint=0x20, exclude_characters="\x7f", exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=64,
).filter(str.strip)
subjects = st.lists(
    st.fixed_dictionaries({"name": lines, "kind": st.sampled_from(["User", "Group"])}), max_size=3, unique_by=str
)
limits = st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["0.5", "1", "512Mi", "1000Mi", "2k"]))
plans = st.fixed_dictionaries(
    {},
    optional={
        "podSecurity": st.fixed_dictionaries(
            {}, optional=dict.fromkeys(["enforce", "warn"], st.sampled_from(["privileged", "baseline", "restricted"]))
        ),
        "resourceQuota": st.dictionaries(
            st.sampled_from(["pods", "requests.cpu", "limits.memory"]), st.sampled_from(["0.5", "10", "1024Mi"])
        ),
        "limits": st.fixed_dictionaries({}, optional=dict.fromkeys(["default", "defaultRequest", "max"], limits)),
        "network": st.fixed_dictionaries(
            {},
            optional={
                "dns": st.fixed_dictionaries({"podLabels": st.dictionaries(labels, labels, max_size=2)}),
                "allowInternal": st.booleans(),
                "allowInternet": st.booleans(),
                "allowIngressFrom": st.lists(labels, max_size=2),
            },
        ),
        "access": st.fixed_dictionaries({}, optional=dict.fromkeys(["agency", "support"], subjects)),
        "portal": st.fixed_dictionaries(
            {
                "menus": st.lists(st.fixed_dictionaries({"name": labels, "visible": st.booleans()}), max_size=2),
                "links": st.lists(
                    st.fixed_dictionaries({"name": labels, "url": st.just("https://help.example/$(name)")}), max_size=2
                ),
            }
        ),
        "blueprint": st.lists(
            st.builds(config_map, labels.filter(lambda name: not name.startswith("clientorg-") and name != "default")),
            max_size=3,
            unique_by=lambda manifest: manifest["metadata"]["name"],
        ),
    },
)


@st.composite
def clients(draw: st.DrawFn) -> Org:
    """Any client that the CRD admits."""
    uid, name = str(draw(st.uuids())), draw(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True))
    roles = st.sampled_from(["Full", "ReadOnly"])
    kinds = st.sampled_from(["User", "Group"])
    admins = st.lists(st.fixed_dictionaries({"name": lines, "kind": kinds, "role": roles}), max_size=3, unique_by=str)
    return org(
        name=name,
        uid=uid,
        org_id=org_id(uid),
        namespace=workspace_namespace(name, org_id(uid)),
        display_name=draw(lines),
        language=draw(st.sampled_from(["en", "ja", "pt-BR"])),
        admins=draw(admins),
    )


def children_of(workspace: Json, client: Org) -> list[Child]:
    """The workspace, unless the blueprint takes a reserved name by chance."""
    return PlanTemplate(plan_spec(**workspace)).render(client)


# -- every variation -----------------------------------------------------------------------------------------------


@given(plans, clients())
def test_namespace_comes_first_and_no_object_twice(workspace: Json, client: Org) -> None:
    children = children_of(workspace, client)
    keys = [child.key for child in children]

    assert keys[0] == NAMESPACE_KEY
    assert children[0].name == client.namespace
    assert len(keys) == len(set(keys))


@given(plans, clients())
def test_digest_is_that_of_the_applied_object_as_it_comes_back(workspace: Json, client: Org) -> None:
    """What is rendered has the server's defaults; metadata and status do not count."""
    for child in children_of(workspace, client):
        found = content_of("" if child.is_blueprint else child.kind, child.manifest(client))
        assert found == child.content
        assert child.is_blueprint or digest(found) == child.digest


@given(plans, clients())
def test_every_object_goes_into_the_clients_own_namespace_with_our_labels(workspace: Json, client: Org) -> None:
    for child in children_of(workspace, client):
        manifest = child.manifest(client)
        metadata = manifest["metadata"]
        assert resource_of(manifest).kind == child.kind
        assert metadata["labels"][LABEL_MANAGED_BY] == FIELD_MANAGER
        assert metadata["labels"][LABEL_ORG_ID] == client.org_id
        if child.kind == "Namespace":
            assert metadata["name"] == client.namespace
            assert metadata["annotations"][ANNOTATION_OWNER_UID] == client.uid
        else:
            assert metadata["namespace"] == client.namespace
            assert metadata["labels"][LABEL_COMPONENT] == ("blueprint" if child.is_blueprint else "workspace")


@given(plans, clients())
def test_what_is_not_from_the_blueprint_has_a_name_that_clean_up_knows(workspace: Json, client: Org) -> None:
    """An object under another name would stay for ever once a plan does not ask for it any more."""
    for child in children_of(workspace, client):
        assert (child.key in OWN_NAMES) == (not child.is_blueprint)


@given(plans, clients())
def test_names_fit(workspace: Json, client: Org) -> None:
    for child in children_of(workspace, client):
        assert len(child.name) <= (MAX_NAMESPACE_LENGTH if child.kind == "Namespace" else 253)
        assert all(len(str(value)) <= 63 for value in child.manifest(client)["metadata"]["labels"].values())


@given(plans, clients(), clients())
def test_clients_of_one_plan_share_nothing_that_is_their_own(workspace: Json, one: Org, other: Org) -> None:
    template = PlanTemplate(plan_spec(**workspace))
    before = [child.manifest(one) for child in template.render(one)]
    template.render(other)
    after = template.render(one)

    assert [child.manifest(one) for child in after] == before
    if one.org_id != other.org_id:
        assert not any(other.org_id in orjson.dumps(manifest).decode() for manifest in before)


@given(plans, clients())
def test_rights_come_from_three_roles_alone(workspace: Json, client: Org) -> None:
    for child in children_of(workspace, client):
        if child.kind == "RoleBinding":
            assert child.content["roleRef"]["kind"] == "ClusterRole"
            assert child.content["roleRef"]["name"] in (
                CLIENT_ADMIN_ROLE,
                CLIENT_GRANTER_ROLE,
                CLIENT_VIEWER_ROLE,
            )
            assert child.content["subjects"]
            assert {subject["kind"] for subject in child.content["subjects"]} <= {"User", "Group"}


def test_some_variation_has_each_of_the_core_children() -> None:
    """And so the list of names for the clean-up is neither too short nor too long."""
    found: set[tuple[str, str]] = set()
    for internal, internet, ingress, access, admins in product([False, True], repeat=5):
        workspace: Json = {
            "network": {
                "allowInternal": internal,
                "allowInternet": internet,
                "allowIngressFrom": ["ingress"] if ingress else [],
            },
            "access": {
                "agency": [{"name": "a"}, {"name": "c", "role": "ReadOnly"}],
                "support": [{"name": "b"}],
            }
            if access
            else {},
        }
        keys = rendered(org(admins=ADMINS if admins else []), **workspace).keys()
        always = {
            ("ResourceQuota", "clientorg-quota"),
            ("LimitRange", "clientorg-limits"),
            ("NetworkPolicy", "clientorg-default-deny"),
            ("NetworkPolicy", "clientorg-allow-dns"),
            ("ConfigMap", "portal"),
            GRANT_KEY,
            ("ServiceAccount", "default"),
        }
        assert always <= keys
        assert (("NetworkPolicy", "clientorg-allow-internal") in keys) == internal
        assert (("NetworkPolicy", "clientorg-allow-internet") in keys) == internet
        assert (("NetworkPolicy", "clientorg-allow-ingress") in keys) == ingress
        assert (("RoleBinding", "clientorg-agency") in keys) == (("RoleBinding", "clientorg-support") in keys) == access
        assert (("RoleBinding", "clientorg-client-admins") in keys) == admins
        assert (("RoleBinding", "clientorg-client-granters") in keys) == admins
        assert (("RoleBinding", "clientorg-client-viewers") in keys) == admins
        found |= keys

    found |= {child.key for child in PlanTemplate(plan_spec()).render(ACME, Gate.CLOSED)}
    assert found == OWN_NAMES
    assert CORE_CHILDREN < OWN_NAMES


# -- isolation -----------------------------------------------------------------------------------------------------


def test_traffic_is_denied_both_ways_but_for_dns() -> None:
    children = rendered(network={"allowInternal": False})
    policies = {key[1]: child.content["spec"] for key, child in children.items() if key[0] == "NetworkPolicy"}

    assert policies == {
        "clientorg-default-deny": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        "clientorg-allow-dns": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [DNS_RULE]},
    }


def test_dns_without_pod_labels_is_every_pod_of_its_namespace() -> None:
    children = rendered(network={"dns": {"namespace": "dns", "podLabels": {}}})
    (rule,) = children["NetworkPolicy", "clientorg-allow-dns"].content["spec"]["egress"]

    assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}}}]


def test_internal_traffic_is_that_of_the_own_namespace() -> None:
    """A podSelector without a namespaceSelector reaches no other namespace."""
    spec = rendered()["NetworkPolicy", "clientorg-allow-internal"].content["spec"]

    assert spec["ingress"] == [{"from": [{"podSelector": {}}]}]
    assert spec["egress"] == [{"to": [{"podSelector": {}}]}]


def test_ingress_is_let_in_from_the_named_namespaces_alone() -> None:
    spec = rendered(network={"allowIngressFrom": ["edge"]})["NetworkPolicy", "clientorg-allow-ingress"].content["spec"]

    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [
        {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}]}
    ]


def test_internet_is_not_the_cluster_and_not_its_metadata_service() -> None:
    spec = rendered(network={"allowInternet": True})["NetworkPolicy", "clientorg-allow-internet"].content["spec"]
    (four, six) = (peer["ipBlock"] for peer in spec["egress"][0]["to"])

    assert spec["policyTypes"] == ["Egress"]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"} <= set(four["except"])
    assert {"fc00::/7", "fe80::/10"} <= set(six["except"])


def test_pod_security_is_on_the_namespace() -> None:
    labels = rendered(podSecurity={"enforce": "restricted"})[NAMESPACE_KEY].content["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["pod-security.kubernetes.io/warn"] == labels["pod-security.kubernetes.io/audit"] == "restricted"
    assert rendered()[NAMESPACE_KEY].content["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"


def test_quota_is_written_as_the_server_writes_it() -> None:
    quota = rendered(resourceQuota={"requests.cpu": "0.5", "requests.memory": "1024Mi", "pods": "1000"})

    assert quota["ResourceQuota", "clientorg-quota"].content == {
        "spec": {"hard": {"requests.cpu": "500m", "requests.memory": "1Gi", "pods": "1k"}}
    }


@pytest.mark.parametrize(
    ("limits", "item"),
    [
        (
            {},
            {
                "type": "Container",
                "default": {"cpu": "500m", "memory": "512Mi"},
                "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
            },
        ),
        ({"default": {}, "defaultRequest": {}}, {"type": "Container"}),
        (
            {"default": {"cpu": "0.5"}, "defaultRequest": {}},
            {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "500m"}},
        ),
        (
            {"default": {}, "defaultRequest": {}, "max": {"cpu": "2"}},
            {"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2"}},
        ),
        (
            {"default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "2", "memory": "1Gi"}},
            {
                "type": "Container",
                "max": {"cpu": "2", "memory": "1Gi"},
                "default": {"cpu": "1", "memory": "1Gi"},
                "defaultRequest": {"cpu": "100m", "memory": "1Gi"},
            },
        ),
    ],
    ids=["the plan's default", "nothing", "request from limit", "limit from bound", "all together"],
)
def test_limit_range_has_the_defaults_that_the_server_would_add(limits: Json, item: Json) -> None:
    """core/v1 SetDefaults_LimitRangeItem: what is bounded has a limit, what has a limit has a request."""
    assert rendered(limits=limits)["LimitRange", "clientorg-limits"].content == {"spec": {"limits": [item]}}


def test_token_stays_out_of_pods() -> None:
    child = rendered()["ServiceAccount", "default"]

    assert child.manifest(ACME)["automountServiceAccountToken"] is False


def test_people_get_the_role_that_fits_them() -> None:
    access = {"agency": [{"name": "agency-admins"}], "support": [{"kind": "User", "name": "sam"}]}
    children = rendered(org(admins=ADMINS), access=access)
    bound = {
        key[1]: (child.content["roleRef"]["name"], [(s["kind"], s["name"]) for s in child.content["subjects"]])
        for key, child in children.items()
        if key[0] == "RoleBinding"
    }

    assert bound == {
        "clientorg-agency": (CLIENT_ADMIN_ROLE, [("Group", "agency-admins")]),
        "clientorg-support": (CLIENT_VIEWER_ROLE, [("User", "sam")]),
        "clientorg-client-admins": (CLIENT_ADMIN_ROLE, [("User", "yuki@acme.example")]),
        "clientorg-client-granters": (CLIENT_GRANTER_ROLE, [("User", "yuki@acme.example")]),
        "clientorg-client-viewers": (CLIENT_VIEWER_ROLE, [("Group", "acme-readers")]),
    }


# -- portal and address --------------------------------------------------------------------------------------------


def test_portal_document_holds_menus_and_links() -> None:
    portal = {
        "menus": [{"name": "reports"}, {"name": "billing", "visible": False}],
        "links": [
            {"name": "help", "url": "https://help.example/$(language)?org=$(orgID)"},
            {"name": "docs", "title": "Documents", "url": "https://docs.example", "audience": "Agency"},
        ],
    }
    text = rendered(portal=portal)["ConfigMap", "portal"].content["data"]["portal.json"]

    assert orjson.loads(text) == {
        "schemaVersion": 1,
        "orgID": "7k2m9q4xta",
        "displayName": "Acme K.K.",
        "language": "ja",
        "menus": [{"name": "reports", "visible": True}, {"name": "billing", "visible": False}],
        "links": [
            {"name": "help", "title": "help", "url": "https://help.example/ja?org=7k2m9q4xta", "audience": "All"},
            {"name": "docs", "title": "Documents", "url": "https://docs.example", "audience": "Agency"},
        ],
    }


def address(template: str, **fields: Any) -> str | None:
    """The client's address by this template."""
    return PlanTemplate(plan_spec(urlTemplate=template)).url(org(**fields))


def test_plan_without_an_address_gives_none() -> None:
    assert PlanTemplate(OrgPlanSpec()).url(ACME) is None


@given(lines)
@example("../../admin?all=1#top")
@example("a/b\\c%2f:@&=+$,;")
def test_nothing_that_a_client_is_called_escapes_from_its_place_in_an_address(display_name: str) -> None:
    """It may be edited by people of the client; `../`, `?` or `#` in it must not lead somewhere else."""
    found = address("https://app.example/o/$(displayName)/x?q=$(displayName)", display_name=display_name)
    assert found is not None
    parts = urlsplit(found)

    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "app.example", "")
    assert [unquote(part) for part in parts.path.split("/")] == ["", "o", display_name, "x"]
    assert unquote(parts.query) == f"q={display_name}"
    assert found.isascii()
    assert " " not in found


def test_unknown_variable_stays_in_the_address() -> None:
    assert address("https://app.example/$(tenant)/$(orgID)") == "https://app.example/$(tenant)/7k2m9q4xta"


def test_address_that_gets_too_long_is_the_plans_fault_and_says_so() -> None:
    with pytest.raises(PlanError, match=r"spec\.workspace\.urlTemplate: gives \d+ characters.*\$\(orgID\)"):
        address("https://app.example/$(displayName)$(displayName)", display_name="会" * 128)


# -- blueprint -----------------------------------------------------------------------------------------------------


def test_blueprint_object_is_filled_in_and_marked() -> None:
    child = blueprint_child(
        config_map("welcome-$(name)", data={"text": "$(displayName) is $(orgID) in $(namespace)", "n": "$(unknown)"})
    )
    manifest = child.manifest(ACME)

    assert manifest["data"] == {"text": "Acme K.K. is 7k2m9q4xta in acme-7k2m9q4xta", "n": "$(unknown)"}
    assert manifest["metadata"]["name"] == "welcome-acme"
    assert len(manifest["metadata"]["annotations"][ANNOTATION_BLUEPRINT_DIGEST]) == 16


def test_blueprint_keeps_its_labels_and_annotations_but_not_ours_nor_where_it_is() -> None:
    """No other namespace, no owner that has it collected, no finalizer that holds the namespace up."""
    source = config_map()
    source["metadata"] |= {
        "namespace": "kube-system",
        "ownerReferences": [{"uid": "x"}],
        "finalizers": ["x/y"],
        "labels": {"app": "x", LABEL_ORG_ID: "another", LABEL_COMPONENT: "workspace"},
        "annotations": {"note": "y", ANNOTATION_BLUEPRINT_DIGEST: "forged"},
    }
    child = blueprint_child(source)
    metadata = child.manifest(ACME)["metadata"]

    assert metadata == {
        "name": "welcome",
        "namespace": ACME.namespace,
        "labels": {
            "app": "x",
            LABEL_ORG_ID: ACME.org_id,
            LABEL_COMPONENT: "blueprint",
            LABEL_MANAGED_BY: FIELD_MANAGER,
        },
        "annotations": {"note": "y", ANNOTATION_BLUEPRINT_DIGEST: metadata["annotations"][ANNOTATION_BLUEPRINT_DIGEST]},
    }
    assert metadata["annotations"][ANNOTATION_BLUEPRINT_DIGEST] != "forged"


@pytest.mark.parametrize(
    "changed",
    [
        config_map(data={"a": "c"}),
        {**config_map(data={"a": "b"}), "metadata": {"name": "welcome", "labels": {"x": "y"}}},
        {**config_map(data={"a": "b"}), "metadata": {"name": "welcome", "annotations": {"x": "y"}}},
    ],
    ids=["content", "labels", "annotations"],
)
def test_every_change_of_a_blueprint_object_has_another_digest(changed: Json) -> None:
    before, after = blueprint_child(config_map(data={"a": "b"})), blueprint_child(changed)

    assert before.digest != after.digest
    assert before.annotations != after.annotations


def test_blueprint_object_differs_from_client_to_client_only_where_it_names_it() -> None:
    plain, personal = config_map(data={"a": "b"}), config_map(data={"a": "$(name)"})
    other = org(name="bee")

    assert blueprint_child(plain).digest == blueprint_child(plain, other).digest
    assert blueprint_child(personal).digest != blueprint_child(personal, other).digest


@pytest.mark.parametrize(("api_version", "kind"), BLUEPRINT_KINDS)
def test_every_kind_that_a_blueprint_may_hold_is_rendered(api_version: str, kind: str) -> None:
    child = blueprint_child({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": {"a": 1}})

    assert (child.api_version, child.kind, child.content) == (api_version, kind, {"spec": {"a": 1}})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}, "v1/Secret may not be in a blueprint"),
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "x"}},
            "RoleBinding may not be",
        ),
        ({"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "x"}}, "may not be"),
        ({"apiVersion": "v1", "kind": "$(displayName)", "metadata": {"name": "x"}}, "may not be"),
        ({}, "may not be"),
        (config_map("portal"), "is the operator's own"),
        (config_map("default"), "is the operator's own"),
        (config_map("kube-root-ca.crt"), "is the operator's own"),
        (config_map("clientorg-x"), "is the operator's own"),
        (config_map("clientorg-$(name)"), "is the operator's own"),
        (config_map("$(displayName)"), "is no name of an object"),
        (config_map("A"), "is no name of an object"),
        (config_map("a/../b"), "is no name of an object"),
        (config_map("a\n"), "is no name of an object"),
        (config_map("x" * 254), "is no name of an object"),
        (config_map(""), "is no name of an object"),
        ({"apiVersion": "v1", "kind": "ConfigMap"}, "is no name of an object"),
    ],
)
def test_blueprint_that_may_not_be_applied_is_refused_with_its_path(source: Json, message: str) -> None:
    """The CRD's rules see the plan before anything is filled in; this is what they could not see."""
    with pytest.raises(PlanError, match=r"^spec\.workspace\.blueprint\[1\]") as caught:
        rendered(blueprint=[config_map("fine"), source])

    assert message in str(caught.value)


def test_client_whose_name_makes_a_reserved_one_is_refused_alone() -> None:
    template = PlanTemplate(plan_spec(blueprint=[config_map("$(name)")]))

    assert [child.name for child in template.render(org(name="acme")) if child.is_blueprint] == ["acme"]
    with pytest.raises(PlanError, match="is the operator's own"):
        template.render(org(name="portal"))


def test_two_objects_of_one_name_are_refused() -> None:
    with pytest.raises(PlanError, match=r"blueprint\[1\]: ConfigMap acme is there twice; remove one"):
        rendered(blueprint=[config_map("acme"), config_map("$(name)")])

    twins = [config_map("acme"), {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "acme"}}]
    assert len([child for child in rendered(blueprint=twins).values() if child.is_blueprint]) == 2
