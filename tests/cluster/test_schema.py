"""The CRDs on a real API server: what is refused, in which words, and what is filled in (FEATURES Z1, Z2, Z12, X5)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.cluster._plane import Json, Plane, client_org, org_plan, quota_pool

pytest_plugins = ["tests.cluster._plane"]

pytestmark = pytest.mark.cluster

ABSENT = object()
MAX = 2**53


def put(manifest: Json, path: str, value: object) -> Json:
    """A copy with one field set, or taken out; `path` as in `spec.licenses.0.name`."""
    changed = copy.deepcopy(manifest)
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    part: Any = changed
    for key in parents:
        part = part[key]
    if value is ABSENT:
        del part[last]
    else:
        part[last] = value
    return changed


# (field to set, its value, path that the error names, words of the error that say what to do)
BAD_CLIENTS: list[tuple[str, object, str, str]] = [
    ("spec.displayName", ABSENT, "spec.displayName", "Required value"),
    ("spec.displayName", "", "spec.displayName", "not blank"),
    ("spec.displayName", "  ", "spec.displayName", "not blank"),
    ("spec.displayName", "Acme\nBcc: all@agency.example", "spec.displayName", "one line of text"),
    ("spec.displayName", "x" * 129, "spec.displayName", "may not be more than 128"),
    ("spec.contact", ABSENT, "spec.contact", "Required value"),
    ("spec.contact.firstName", ABSENT, "spec.contact.firstName", "Required value"),
    ("spec.contact.firstName", "\t", "spec.contact.firstName", "not blank"),
    ("spec.contact.lastName", ABSENT, "spec.contact.lastName", "Required value"),
    ("spec.contact.email", ABSENT, "spec.contact.email", "Required value"),
    ("spec.contact.email", "yuki", "spec.contact.email", "for example yuki@acme.example"),
    ("spec.contact.email", "yuki@acme", "spec.contact.email", "for example yuki@acme.example"),
    ("spec.contact.email", "yuki sato@acme.example", "spec.contact.email", "must be one email address"),
    ("spec.contact.email", "a@acme.example,b@acme.example", "spec.contact.email", "must be one email address"),
    ("spec.contact.email", "y" * 250 + "@acme.example", "spec.contact.email", "may not be more than 254"),
    ("spec.contact.language", "Japanese", "spec.contact.language", "for example en, ja or pt-BR"),
    ("spec.contact.phone", "call me", "spec.contact.phone", "for example +81 3 1234 5678"),
    ("spec.address", {"country": "jp"}, "spec.address.country", "for example JP"),
    ("spec.address", {"country": "Japan"}, "spec.address.country", "for example JP"),
    ("spec.industry", "\t", "spec.industry", "not blank"),
    ("spec.poolRef", ABSENT, "spec.poolRef", "Required value"),
    ("spec.poolRef", {}, "spec.poolRef.name", "Required value"),
    ("spec.poolRef.name", "Tokyo!", "spec.poolRef.name", "lower-case letters, digits"),
    ("spec.planRef", ABSENT, "spec.planRef", "Required value"),
    ("spec.planRef.name", "", "spec.planRef.name", "must be the name of a Kubernetes object"),
    ("spec.licenses", ABSENT, "spec.licenses", "Required value"),
    ("spec.licenses", [], "spec.licenses", "at least 1 items"),
    ("spec.licenses.0.quantity", ABSENT, "spec.licenses[0].quantity", "Required value"),
    ("spec.licenses.0.quantity", -1, "spec.licenses[0].quantity", "greater than or equal to 0"),
    ("spec.licenses.0.quantity", MAX + 1, "spec.licenses[0].quantity", f"less than or equal to {MAX}"),
    ("spec.licenses.0.quantity", 1.5, "spec.licenses[0].quantity", "must be of type int"),
    ("spec.licenses.0.quantity", "5", "spec.licenses[0].quantity", "must be of type integer"),
    ("spec.licenses.0.name", "Site Visitors", "spec.licenses[0].name", "lower-case letters, digits and '-'"),
    ("spec.licenses", [{"name": "a", "quantity": 1}] * 2, "spec.licenses[1]", "Duplicate value"),
    (
        "spec.licenses",
        [{"name": f"a{n}", "quantity": 1} for n in range(17)],
        "spec.licenses",
        "at most 16 items",
    ),
    ("spec.tags", ["very important"], "spec.tags[0]", "use '-' instead"),
    ("spec.tags", ["vip", "vip"], "spec.tags[1]", "Duplicate value"),
    ("spec.admins", [{"name": "yuki", "role": "Owner"}], "spec.admins[0].role", '"Full", "ReadOnly"'),
    ("spec.admins", [{"role": "Full"}], "spec.admins[0].name", "Required value"),
    ("spec.admins", [{"name": "system:masters", "kind": "Group"}], "spec.admins[0].name", "Kubernetes' own"),
    ("spec.admins", [{"name": "yuki "}], "spec.admins[0].name", "a blank before or behind"),
    ("spec.support", [{"name": "system:authenticated"}], "spec.support[0].name", "Kubernetes' own"),
    ("spec.agencyAccess", "Some", "spec.agencyAccess", '"Full", "ReadOnly", "None"'),
    ("spec.admins", [{"name": "yuki", "email": "yuki"}], "spec.admins[0].email", "must be one email address"),
    ("spec.colour", "red", "spec.colour", "unknown field"),
    ("metadata.name", "x" * 53, "metadata.name", "at most 52 characters"),
    ("metadata.name", "acme.kk", "metadata.name", "use displayName for anything else"),
]


@pytest.mark.parametrize(("field", "value", "path", "words"), BAD_CLIENTS)
def test_bad_client_is_refused_with_the_fields_path_and_what_to_do(
    plane: Plane, field: str, value: object, path: str, words: str
) -> None:
    answer = plane.create(put(client_org(), field, value), dry_run=True)

    assert answer.code != 0, "the API server took it"
    assert any(path in line and words in line for line in answer.err.splitlines()), answer.err


BAD_POOLS: list[tuple[str, object, str, str]] = [
    ("spec", ABSENT, "spec", "Required value"),
    ("spec.licenses", [], "spec.licenses", "at least 1 items"),
    ("spec.licenses.0.quantity", -1, "spec.licenses[0].quantity", "greater than or equal to 0"),
    ("spec.licenses.0.quantity", MAX + 1, "spec.licenses[0].quantity", f"less than or equal to {MAX}"),
    ("spec.licenses.0.name", "Visitors", "spec.licenses[0].name", "lower-case letters, digits and '-'"),
    ("spec.licenses", [{"name": "a", "quantity": 1}] * 2, "spec.licenses[1]", "Duplicate value"),
    ("spec.queueing", "LIFO", "spec.queueing", '"BestEffortFIFO", "StrictFIFO"'),
]


@pytest.mark.parametrize(("field", "value", "path", "words"), BAD_POOLS)
def test_bad_pool_is_refused_with_the_fields_path_and_what_to_do(
    plane: Plane, field: str, value: object, path: str, words: str
) -> None:
    answer = plane.create(put(quota_pool(visitors=100), field, value), dry_run=True)

    assert answer.code != 0, "the API server took it"
    assert any(path in line and words in line for line in answer.err.splitlines()), answer.err


def blueprint(*objects: Json) -> Json:
    """A plan's workspace with these objects."""
    return {"blueprint": list(objects)}


def config_map(**metadata: Any) -> Json:
    """A ConfigMap for a blueprint."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
FINE = config_map(name="fine")

# (spec.workspace, path below it that the error names, words of the error)
BAD_WORKSPACES: list[tuple[Json, str, str]] = [
    ({"podSecurity": {"enforce": "none"}}, "podSecurity.enforce", '"privileged", "baseline", "restricted"'),
    ({"resourceQuota": {"pods": "many"}}, "resourceQuota[pods]", "for example 2, 500m, 8Gi or 1.5"),
    ({"limits": {"default": {"memory": "8gi"}}}, "limits.default[memory]", "must be a Kubernetes quantity"),
    ({"network": {"dns": {"namespace": "Kube_System"}}}, "network.dns.namespace", "lower-case letters, digits and '-'"),
    ({"urlTemplate": "javascript:alert(1)"}, "urlTemplate", "begins with https:// or http://"),
    ({"portal": {"links": [{"name": "help", "url": "help me now"}]}}, "portal.links[0].url", "begins with https://"),
    ({"access": {"agency": [{"name": "a"}, {"name": "a"}]}}, "access.agency[1]", "Duplicate value"),
    ({"access": {"agency": [{"name": "system:nodes"}]}}, "access.agency[0].name", "Kubernetes' own"),
    ({"access": {"login": {"method": "OIDC"}}}, "access.login", "oidc is given with method OIDC"),
    (
        {
            "access": {
                "support": [{"name": "a", "clientSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]
            }
        },
        "access.support[0].clientSelector.matchExpressions[0]",
        "In and NotIn take values",
    ),
    (blueprint(FINE, SECRET), "blueprint[1]", "not a kind that a blueprint may hold"),
    (blueprint(FINE, {**FINE, "apiVersion": "v2"}), "blueprint[1]", "not a kind that a blueprint may hold"),
    (blueprint({"kind": "ConfigMap", "metadata": {"name": "x"}}), "blueprint[0].apiVersion", "Required value"),
    (blueprint(config_map(generateName="x-")), "blueprint[0]", "metadata.name is missing"),
    (blueprint(config_map(name="portal")), "blueprint[0]", "choose another"),
    (blueprint(config_map(name="clientorg-quota")), "blueprint[0]", "choose another"),
    (blueprint({**FINE, "kind": "ServiceAccount", "metadata": {"name": "default"}}), "blueprint[0]", "choose another"),
]


@pytest.mark.parametrize(("workspace", "path", "words"), BAD_WORKSPACES)
def test_bad_plan_is_refused_with_the_fields_path_and_what_to_do(
    plane: Plane, workspace: Json, path: str, words: str
) -> None:
    answer = plane.create(org_plan(**workspace), dry_run=True)

    assert answer.code != 0, "the API server took it"
    named = f"spec.workspace.{path}"
    assert any(named in line and words in line for line in answer.err.splitlines()), answer.err


def test_every_suffix_of_a_quantity_is_taken(plane: Plane) -> None:
    quota = {f"count/a{n}": value for n, value in enumerate(("1", "1.5", "500m", "1k", "1M", "1Ki", "1Gi", "1e3"))}

    assert plane.create(org_plan(resourceQuota=quota), dry_run=True).code == 0


def test_largest_quantity_is_taken(plane: Plane) -> None:
    most = client_org(licenses=[{"name": "visitors", "quantity": MAX}, {"name": "none", "quantity": 0}])

    assert plane.create(most, dry_run=True).code == 0


def test_missing_fields_are_all_named_at_once(plane: Plane) -> None:
    answer = plane.create(client_org(displayName=None, poolRef=None, licenses=None, contact={}), dry_run=True)

    for path in ("displayName", "poolRef", "licenses", "contact.firstName", "contact.lastName", "contact.email"):
        assert f"spec.{path}: Required value" in answer.err


def test_absent_fields_are_filled_in(plane: Plane, agency: str) -> None:
    plane.do("apply", "-f=-", stdin=client_org(namespace=agency, admins=[{"name": "yuki"}]))
    plane.do("apply", "-f=-", stdin={**org_plan(namespace=agency), "spec": {}})
    plane.do("apply", "-f=-", stdin=quota_pool(namespace=agency, visitors=1))

    client = plane.do("get", "corg", "acme", f"-n={agency}", "-o=json").json()
    plan = plane.do("get", "oplan", "standard", f"-n={agency}", "-o=json").json()
    pool = plane.do("get", "qpool", "tokyo", f"-n={agency}", "-o=json").json()

    assert client["spec"]["contact"]["language"] == "en"
    assert client["spec"]["admins"] == [{"name": "yuki", "kind": "User", "role": "ReadOnly"}]
    assert client["spec"]["tags"] == []
    assert pool["spec"]["queueing"] == "BestEffortFIFO"
    workspace = plan["spec"]["workspace"]
    assert workspace["podSecurity"] == {"enforce": "baseline", "warn": "restricted"}
    assert workspace["network"]["dns"] == {"namespace": "kube-system", "podLabels": {"k8s-app": "kube-dns"}}
    assert workspace["limits"]["defaultRequest"] == {"cpu": "50m", "memory": "64Mi"}
    assert workspace["resourceQuota"]["services.loadbalancers"] == "0"


def test_kstatus_sees_an_unobserved_object_before_the_first_pass(plane: Plane, agency: str) -> None:
    """Without it `kubectl wait` and Argo CD take an object without status for ready (DESIGN rule 10)."""
    manifests = (client_org(namespace=agency), quota_pool(namespace=agency, a=1), org_plan(namespace=agency))
    plane.do("apply", "-f=-", stdin={"apiVersion": "v1", "kind": "List", "items": list(manifests)})

    for kind, name in (("clientorgs", "acme"), ("quotapools", "tokyo"), ("orgplans", "standard")):
        assert plane.do("get", kind, name, f"-n={agency}", "-o=json").json()["status"] == {"observedGeneration": -1}


def test_spec_of_another_pool_is_refused(plane: Plane, agency: str) -> None:
    plane.do("apply", "-f=-", stdin=client_org(namespace=agency))

    answer = plane.run("apply", "-f=-", stdin=client_org(namespace=agency, poolRef={"name": "osaka"}))

    assert answer.code != 0
    assert "spec.poolRef.name" in answer.err
    assert "immutable" in answer.err
    assert "create the client anew" in answer.err


@pytest.mark.parametrize(
    "licenses",
    [
        [{"name": "visitors", "quantity": 1199}, {"name": "seats", "quantity": 10}],
        [{"name": "seats", "quantity": 10}],  # leaving it out lowers it to none
    ],
    ids=["lowered", "left-out"],
)
def test_quantity_below_use_is_refused_with_the_numbers(plane: Plane, agency: str, licenses: list[Json]) -> None:
    both = [{"name": "visitors", "quantity": 5000}, {"name": "seats", "quantity": 10}]
    plane.do("apply", "-f=-", stdin=client_org(namespace=agency, licenses=both))
    used = [{"name": "visitors", "granted": 5000, "used": 1200}, {"name": "seats", "granted": 10, "used": 3}]
    plane.patch_status("clientorgs", "acme", agency, {"licenses": used})

    answer = plane.run("apply", "-f=-", stdin=client_org(namespace=agency, licenses=licenses))

    assert answer.code != 0
    assert "spec.licenses" in answer.err
    assert '["visitors 1200"]' in answer.err, "names the license that is too low, and no other"
    assert "ask for at least that many" in answer.err


def test_client_over_its_quantity_can_still_be_edited(plane: Plane, agency: str) -> None:
    plane.do("apply", "-f=-", stdin=client_org(namespace=agency))
    over = [{"name": "visitors", "granted": 500, "used": 700}]
    plane.patch_status("clientorgs", "acme", agency, {"licenses": over})

    plane.do("apply", "-f=-", stdin=client_org(namespace=agency, tags=["vip"]))
    more = [{"name": "visitors", "quantity": 600}]
    plane.do("apply", "-f=-", stdin=client_org(namespace=agency, tags=["vip"], licenses=more))


def test_list_can_be_narrowed_by_field(plane: Plane, agency: str) -> None:
    plane.do("apply", "-f=-", stdin=client_org(namespace=agency))
    plane.do("apply", "-f=-", stdin=client_org("ume", namespace=agency, planRef={"name": "large"}, industry="Retail"))

    for selector in ("spec.planRef.name=large", "spec.industry=Retail", "spec.planRef.name!=standard"):
        found = plane.do("get", "corg", f"-n={agency}", "-o=name", f"--field-selector={selector}").out.split()
        assert found == ["clientorg.clientorg.dev/ume"]


def test_kubectl_shows_state_quota_and_use_at_a_glance(plane: Plane, agency: str) -> None:
    plane.do("apply", "-f=-", stdin=client_org(namespace=agency))
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "2026-11-01T00:00:00Z"}
    status = {"state": "Active", "orgID": "7k2m9q4xta", "licenseSummary": "visitors 1200/50000", "conditions": [ready]}
    plane.patch_status("clientorgs", "acme", agency, {**status, "points": {"balance": -250}})

    narrow = plane.do("get", "clientorgs", f"-n={agency}").out.splitlines()
    wide = plane.do("get", "clientorgs", f"-n={agency}", "-o=wide").out.splitlines()

    assert narrow[0].split() == ["NAME", "STATE", "READY", "REASON", "PLAN", "USED/GRANTED", "BALANCE", "AGE"]
    assert narrow[1].split()[:8] == ["acme", "Active", "True", "Ready", "standard", "visitors", "1200/50000", "-250"]
    assert "7k2m9q4xta" in wide[1]
    assert "Acme K.K." in wide[1]


def test_category_lists_every_kind_but_all_reaches_none(plane: Plane, agency: str) -> None:
    manifests = (client_org(namespace=agency), quota_pool(namespace=agency, a=1), org_plan(namespace=agency))
    plane.do("apply", "-f=-", stdin={"apiVersion": "v1", "kind": "List", "items": list(manifests)})

    listed = plane.do("get", "clientorg", f"-n={agency}", "-o=name").out
    of_all = plane.do("get", "all", f"-n={agency}", "-o=name").out

    assert "clientorg.clientorg.dev/acme" in listed
    assert "quotapool.clientorg.dev/tokyo" in listed
    assert "orgplan.clientorg.dev/standard" in listed
    assert "clientorg.dev" not in of_all


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("clientorg.spec.contact.email", "for example yuki@acme.example"),
        ("clientorg.spec.licenses.quantity", "first come first served"),
        ("quotapool.spec.queueing", "nobody overtakes"),
        ("orgplan.spec.workspace.network.allowInternet", "Absent means false"),
    ],
)
def test_kubectl_explains_a_field(plane: Plane, field: str, words: str) -> None:
    explained = plane.do("explain", field, "--api-version=clientorg.dev/v1alpha1").out

    assert words in " ".join(explained.split())
