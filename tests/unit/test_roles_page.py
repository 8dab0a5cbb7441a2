"""docs/roles.md and manifests/rbac-roles.yaml say the same, and leave nothing out (FEATURES S13, S15, W3)."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import yaml

from clientorg.api.crd import KINDS
from clientorg.api.meta import GROUP
from tests.support.install import MANIFESTS, ROOT
from tests.support.roles_page import PAGE, PLAIN_VERBS, Cell, cells, custom_verbs, examples, roles

Json = dict[str, Any]

ROLES: dict[str, Json] = {
    role["metadata"]["name"]: role for role in yaml.safe_load_all((MANIFESTS / "rbac-roles.yaml").read_text())
}
GROUPS = {**{kind.plural: {GROUP} for kind in KINDS}, "events": {"", "events.k8s.io"}}
"""Which API groups serve each resource of the table."""
READ = {"get", "list", "watch"}


def held(role: Json) -> set[tuple[str, str, str]]:
    """(API group, resource, verb) for all that a role allows."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def told(role: str) -> set[tuple[str, str, str]]:
    """The same, as the table has it."""
    return {
        (group, cell.resource, cell.verb)
        for cell in cells()
        if cell.role == role and cell.allowed
        for group in GROUPS[cell.resource]
    }


def verbs_in_policies() -> set[tuple[str, str]]:
    """(resource, verb) for every verb that an admission policy asks the authorizer for in an agency.

    What it asks for in a workspace is in docs/access.md.
    """
    found = set()
    for path in (MANIFESTS / "policies").glob("*.yaml"):
        text = path.read_text()
        for resource in set(GROUPS) & set(re.findall(r"\.resource\('([a-z]+)'\)", text)):
            asked = set(re.findall(r"\.check\('([a-z-]+)'\)", text)) - {*PLAIN_VERBS}
            found |= {(resource, verb) for verb in asked}
            if ".check(variables.verb)" in text:
                found |= {(resource, verb) for verb in re.findall(r"'[A-Z]\w+': '([a-z-]+)'", text)}
    return found


def test_the_page_and_the_manifest_have_the_same_roles() -> None:
    assert set(roles().values()) == set(ROLES)
    assert {cell.role for cell in cells()} == set(roles())


@pytest.mark.parametrize("role", roles())
def test_the_table_is_what_the_role_allows(role: str) -> None:
    assert told(role) == held(ROLES[roles()[role]])


@pytest.mark.parametrize("resource", GROUPS)
def test_the_table_has_every_verb_of_every_kind_once(resource: str) -> None:
    """Denied is said and not left out, so that a new kind or verb has to be decided on."""
    one_role = next(iter(roles()))
    rows = Counter(cell.verb for cell in cells() if (cell.role, cell.resource) == (one_role, resource))
    custom = {verb for kind, verb in verbs_in_policies() if kind == resource}

    assert rows == Counter([*PLAIN_VERBS, *custom])


def test_the_table_speaks_of_nothing_else() -> None:
    assert {cell.resource for cell in cells()} == set(GROUPS)
    assert custom_verbs() == {verb for _, verb in verbs_in_policies()}
    explained = {
        verb for row in re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE) for verb in re.findall(r"`(.+?)`", row)
    }
    assert explained == custom_verbs()


def test_only_the_operators_two_kinds_and_the_platforms_verbs_are_with_nobody() -> None:
    held_by_some = {(cell.resource, cell.verb) for cell in cells() if cell.allowed}
    nobodys = verbs_in_policies() - held_by_some

    assert nobodys == {
        ("clientorgs", "restore"),
        ("clientorgs", "message-only"),
        ("clientorgs", "request-for-others"),
        ("pointtransactions", "request-for-others"),
        ("pointtransactions", "charge"),
        ("pointtransactions", "settle"),
    }


def test_who_requests_for_others_decides_nothing() -> None:
    """Together the two would be the right to approve one's own requests (FEATURES S2)."""
    deciders = {
        cell.role for cell in cells() if cell.allowed and (cell.resource, cell.verb) == ("orgapprovals", "create")
    }

    assert deciders == {"approver"}
    assert (
        held(ROLES["clientorg-approver"]) & {(GROUP, "clientorgs", verb) for verb in ("create", "update", "patch")}
        == set()
    )


def test_support_only_reads() -> None:
    assert {verb for _, _, verb in held(ROLES["clientorg-agency-support"])} == READ


def test_admin_holds_nothing_that_an_owner_does_not() -> None:
    assert held(ROLES["clientorg-agency-admin"]) < held(ROLES["clientorg-agency-owner"])
    assert held(ROLES["clientorg-agency-support"]) < held(ROLES["clientorg-agency-admin"])


@pytest.mark.parametrize("role", ROLES)
def test_role_reaches_no_secret_and_is_not_aggregated(role: str) -> None:
    resources = {resource for _, resource, _ in held(ROLES[role])}

    assert resources <= set(GROUPS)
    assert "labels" not in ROLES[role]["metadata"]
    assert "aggregationRule" not in ROLES[role]


def test_examples_bind_roles_that_exist() -> None:
    objects = [item for block in examples() for item in block]
    own = {item["metadata"]["name"] for item in objects if item["kind"] == "Role"}
    bound = [item["roleRef"] for item in objects if item["kind"] == "RoleBinding"]

    assert bound
    for ref in bound:
        assert ref["name"] in (set(ROLES) if ref["kind"] == "ClusterRole" else own)


def test_table_reads_a_row_verb_by_verb() -> None:
    assert Cell("owner", "clientorgs", "tag", allowed=True) in cells()
    assert Cell("support", "pointtransactions", "withdraw", allowed=False) in cells()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)", PAGE))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / "docs" / target).exists()
