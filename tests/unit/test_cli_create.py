"""Manifests from flags, and what of the contact changes (FEATURES Z1, Z4, A2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.clientorg import ClientOrgSpec
from clientorg.api.meta import MAX_CLIENT_NAME_LENGTH
from clientorg.cli.checks import faults, field_at, problem
from clientorg.cli.contact import contact_patch, differences
from clientorg.cli.fields import FIELDS, PLAN, POOL, flag_of, get_in, put_in
from clientorg.cli.interactive import suggested_name
from clientorg.cli.manifest import Draft, parse_admins, parse_licenses, parse_reseller
from clientorg.errors import InputError
from tests.unit.cli_builders import Json, client

FULL = {
    "display_name": "Acme K.K.",
    "first_name": "Yuki",
    "last_name": "Sato",
    "email": "yuki@acme.example",
    "pool": "tokyo",
    "plan": "standard",
}
BY_FLAG = {field.flag: field for field in FIELDS}


def test_every_field_is_one_of_the_api() -> None:
    """A renamed field of the API fails here."""
    for field in (*FIELDS, POOL, PLAN):
        assert field_at(field.path) is not None, field.dotted
        assert flag_of(field.dotted) == field.flag


def test_everything_that_is_missing_is_named_at_once() -> None:
    assert Draft(None).missing_flags() == [
        "NAME",
        *("--display-name", "--first-name", "--last-name", "--email", "--pool", "--plan"),
        "--license NAME=QUANTITY",
    ]
    assert Draft("acme", texts=FULL, licenses={"visitors": 5}).missing_flags() == []


def test_what_the_api_requires_is_what_we_ask_for() -> None:
    """A full draft passes the API's models, and without any one of its texts it does not."""
    licenses = {"visitors": 5}
    assert faults(Draft("acme", texts=FULL, licenses=licenses).manifest("agency")["spec"]) == []
    for name in FULL:
        partial = {key: value for key, value in FULL.items() if key != name}
        assert faults(Draft("acme", texts=partial, licenses=licenses).manifest("agency")["spec"]), name
        assert Draft("acme", texts=partial, licenses=licenses).missing_flags(), name
    required = [field.dotted for field in (*FIELDS, POOL, PLAN) if field.required]
    assert len(required) == len(FULL)


def test_a_manifest_holds_only_what_was_given() -> None:
    """It is read in Git."""
    manifest = Draft("acme", texts=FULL, licenses={"visitors": 5}).manifest(None)
    assert manifest["metadata"] == {"name": "acme"}
    assert manifest["spec"] == {
        "displayName": "Acme K.K.",
        "contact": {"firstName": "Yuki", "lastName": "Sato", "email": "yuki@acme.example"},
        "poolRef": {"name": "tokyo"},
        "planRef": {"name": "standard"},
        "licenses": [{"name": "visitors", "quantity": 5}],
    }


def test_licenses() -> None:
    assert parse_licenses(["visitors=50,000", "seats=3"]) == {"visitors": 50_000, "seats": 3}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["visitors"], "is not NAME=QUANTITY"),
        (["=5"], "is not NAME=QUANTITY"),
        (["visitors=five"], "--license visitors: 'five' is not a whole number"),
        (["visitors=-5"], "is not a whole number"),
        (["visitors=1", "visitors=2"], "'visitors' is given twice"),
    ],
)
def test_bad_licenses(values: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_licenses(values)


def test_admins() -> None:
    """A name may hold what an RBAC subject may: colons, and = before the role."""
    assert parse_admins(["yuki@acme.example", "system:x=Full", "cn=a=read-only"], ["devs=full", "staff"]) == [
        {"name": "yuki@acme.example"},
        {"name": "system:x", "role": "Full"},
        {"name": "cn=a", "role": "ReadOnly"},
        {"name": "devs", "kind": "Group", "role": "Full"},
        {"name": "staff", "kind": "Group"},
    ]
    with pytest.raises(InputError, match="--admin: 'owner' is not a role"):
        parse_admins(["yuki=owner"], [])
    with pytest.raises(InputError, match="--admin-group: 'yuki' is given twice"):
        parse_admins(["yuki"], ["yuki"])


def test_problems_are_told_in_the_words_of_the_api() -> None:
    assert problem(("contact", "email"), "yuki@acme.example") is None
    assert "for example yuki@acme.example" in (problem(("contact", "email"), "nope") or "")
    assert problem(("contact", "firstName"), "") is not None
    assert problem(("displayName",), "x" * 129) is not None
    assert problem(("address", "country"), "JP") is None
    assert problem(("nothing", "such"), "x") is None


def test_faults_name_field_and_flag() -> None:
    spec = Draft("acme", texts={**FULL, "email": "nope"}, licenses={"visitors": -1}).manifest(None)["spec"]
    lines = faults(spec)
    assert lines[0].startswith("spec.contact.email (--email): Invalid value 'nope'; wanted: Email address")
    assert lines[1].startswith("spec.licenses[0].quantity (--license): Invalid value -1")
    assert faults({})[0].startswith("spec.displayName (--display-name): Required value; wanted: Name of the client")


@given(st.text())
def test_suggested_names_are_names(text: str) -> None:
    name = suggested_name(text)
    assert name is None or len(name) <= MAX_CLIENT_NAME_LENGTH
    if name is not None:
        assert name.strip("-") == name
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_suggested_names_read_like_the_client() -> None:
    assert suggested_name("Česká pošta, s.p.") == "ceska-posta-s-p"
    assert suggested_name("初音") is None


def wanted(**flags: str) -> dict[object, str]:
    """Flags as edit-contact has them."""
    return {BY_FLAG["--" + name.replace("_", "-")]: value for name, value in flags.items()}


def test_only_what_differs_changes() -> None:
    item = client(organization="Acme")
    changes = differences(
        item["spec"],
        wanted(email="new@acme.example", first_name="Yuki", organization="", phone="", city="Tokyo"),  # type: ignore[arg-type]
    )
    assert {field.dotted: pair for field, pair in changes.items()} == {
        "spec.contact.email": ("yuki@acme.example", "new@acme.example"),
        "spec.organization": ("Acme", None),
        "spec.address.city": (None, "Tokyo"),
    }
    assert contact_patch(item, changes) == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"contact": {"email": "new@acme.example"}, "organization": None, "address": {"city": "Tokyo"}},
    }


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(min_size=1).filter(str.strip)))
def test_a_patch_makes_what_was_wanted_and_nothing_else(values: dict[object, str]) -> None:
    """Applying the patch and comparing again finds no difference; the other fields are as they were."""
    item = client(organization="Acme")
    changes = differences(item["spec"], values)  # type: ignore[arg-type]
    after = merged(item["spec"], contact_patch(item, changes)["spec"])
    assert differences(after, values) == {}  # type: ignore[arg-type]
    for field in FIELDS:
        if field not in values:
            assert get_in(after, field.path) == get_in(item["spec"], field.path)


def merged(value: Json, patch: Json) -> Json:
    """RFC 7396."""
    out = dict(value)
    for key, part in patch.items():
        if part is None:
            out.pop(key, None)
        elif isinstance(part, dict):
            out[key] = merged(out.get(key) or {}, part)
        else:
            out[key] = part
    return out


def test_paths_are_made_on_the_way() -> None:
    spec: Json = {}
    put_in(spec, ("address", "city"), "Tokyo")
    assert spec == {"address": {"city": "Tokyo"}}
    assert get_in(spec, ("address", "street")) is None
    assert ClientOrgSpec.model_fields["address"] is not None


def test_a_manifest_says_who_sold_and_who_requested() -> None:
    reseller = parse_reseller("Reseller K.K.", None, "PO-118")
    draft = Draft("acme", FULL, {"visitors": 5}, contracted_users=25, reseller=reseller, requested_by="alice")
    spec = draft.manifest(None)["spec"]
    assert faults(spec) == []
    assert (spec["contractedUsers"], spec["requestedBy"]) == (25, "alice")
    assert spec["reseller"] == {"name": "Reseller K.K.", "reference": "PO-118"}
    assert {"contractedUsers", "requestedBy", "reseller"}.isdisjoint(Draft("acme", FULL).manifest(None)["spec"])


@pytest.mark.parametrize("given", [(None, "r@x.example", None), ("", None, "PO-118")])
def test_a_reseller_has_a_name(given: tuple[str | None, str | None, str | None]) -> None:
    with pytest.raises(InputError, match="--reseller: the name is required"):
        parse_reseller(*given)


@pytest.mark.parametrize(
    ("path", "flag"),
    [
        ("spec.contractedUsers", "--contracted-users"),
        ("spec.requestedBy", "--requested-by"),
        ("spec.reseller.email", "--reseller-email"),
        ("spec.termination.time", "--at"),
        ("spec.termination.consent.acceptedBy", "--accepted-by"),
    ],
)
def test_faults_of_the_contract_name_their_flag(path: str, flag: str) -> None:
    assert flag_of(path) == flag
    assert field_at(tuple(path.split(".")[1:])) is not None, "a renamed field of the API fails here"
