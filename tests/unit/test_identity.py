"""Org IDs, and names that follow from them (FEATURES Z3)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.meta import MAX_CLIENT_NAME_LENGTH, MAX_NAMESPACE_LENGTH
from clientorg.domain.identity import is_name_too_long, org_id, workspace_namespace

client_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("uid", "expected"),
    [
        ("6b4b9d0e-0000-4000-8000-000000000001", "zesnjgptm7"),
        ("6b4b9d0e-0000-4000-8000-000000000002", "w3s9qxyzw2"),
    ],
)
def test_org_id_of_a_uid_never_changes(uid: str, expected: str) -> None:
    """Namespaces, invoices and links carry it: another derivation would give every client a new workspace."""
    assert org_id(uid) == expected


@given(st.uuids())
def test_org_id_can_be_read_out_on_the_telephone(uid: object) -> None:
    assert re.fullmatch(r"[0-9abcdefghjkmnpqrstvwxyz]{10}", org_id(str(uid)))


@given(st.uuids(), st.uuids())
def test_org_ids_of_different_clients_differ(one: object, other: object) -> None:
    assert (org_id(str(one)) == org_id(str(other))) == (one == other)


@given(client_names, st.uuids())
def test_namespace_fits_whenever_the_name_does(name: str, uid: object) -> None:
    namespace = workspace_namespace(name, org_id(str(uid)))

    assert is_name_too_long(name) == (len(namespace) > MAX_NAMESPACE_LENGTH)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", namespace)
    assert namespace.rpartition("-")[2] == org_id(str(uid)), "the Org ID can be told from the namespace"


def test_longest_name_is_what_the_schema_says() -> None:
    assert not is_name_too_long("a" * MAX_CLIENT_NAME_LENGTH)
    assert is_name_too_long("a" * (MAX_CLIENT_NAME_LENGTH + 1))
