"""The portal's document against its published schema (FEATURES S14, W12; docs/portal.md)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from clientorg.api.clientorg import ClientOrgSpec
from clientorg.api.orgplan import OrgPlanSpec, Portal
from clientorg.domain.portal import PORTAL_SCHEMA_VERSION, portal_document
from tests.support.install import ROOT
from tests.unit.strategies import org

Json = dict[str, Any]

SCHEMA: Json = json.loads((ROOT / "docs" / "portal.schema.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "portal.md").read_text(encoding="utf-8")
VALIDATOR = Draft202012Validator(SCHEMA)

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
menus = st.lists(
    st.fixed_dictionaries({"name": names, "visible": st.booleans()}), max_size=5, unique_by=lambda menu: menu["name"]
)


def document(portal: Json, **client: Any) -> Json:
    """What a client's portal reads."""
    return portal_document(Portal.model_validate(portal), org(**client))


def test_page_shows_what_its_example_gives() -> None:
    plan, client = yaml.safe_load_all(re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0])
    (shown,) = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    portal = OrgPlanSpec.model_validate(plan["spec"]).workspace.portal
    overrides = ClientOrgSpec.model_fields["portal"].annotation
    assert overrides is not None
    own = overrides.model_validate(client["spec"]["portal"]).model_dump()["menus"]

    found = portal_document(portal, org(name="acme", display_name="Acme K.K.", language="ja", menus=own))

    assert found == shown
    VALIDATOR.validate(shown)


@given(
    menus,
    menus,
    st.sampled_from(["All", "Client", "Agency"]),
    st.text(st.characters(categories=["L", "N"]), min_size=1),
)
def test_whatever_plan_and_client_say_the_document_keeps_the_schema(
    plans: list[Json], own: list[Json], audience: str, display_name: str
) -> None:
    links = [{"name": "help", "url": "https://help.example/$(displayName)", "audience": audience}]
    found = document({"menus": plans, "links": links}, menus=own, display_name=display_name[:128])

    VALIDATOR.validate(found)
    shown = {menu["name"]: menu["visible"] for menu in found["menus"]}
    wanted = {menu["name"]: menu["visible"] for menu in plans} | {menu["name"]: menu["visible"] for menu in own}
    assert shown == wanted
    assert [menu["name"] for menu in found["menus"]][: len(plans)] == [menu["name"] for menu in plans]


def test_plan_that_says_nothing_gives_an_empty_document_of_this_version() -> None:
    found = document({})

    VALIDATOR.validate(found)
    assert (found["schemaVersion"], found["menus"], found["links"]) == (PORTAL_SCHEMA_VERSION, [], [])


@pytest.mark.parametrize(
    "change", [{"schemaVersion": 2}, {"orgID": "x"}, {"menus": [{"name": "a"}]}, {"links": [{"name": "a"}]}]
)
def test_schema_refuses_what_is_none(change: Json) -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document({}) | change)


def test_readers_of_this_version_can_read_what_later_ones_add() -> None:
    VALIDATOR.validate(document({}) | {"theme": {"color": "green"}})
