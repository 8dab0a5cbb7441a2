"""`$(name)` in a plan's strings (DESIGN rule 11)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.orgplan import SUBSTITUTIONS
from clientorg.domain.substitution import substitute
from tests.unit.strategies import json_values, org

VARIABLES = {**dict.fromkeys(SUBSTITUTIONS, "x"), "name": "acme", "orgID": "7k2m9q4xta", "displayName": "Acme & Söhne"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("$(name)", "acme"),
        ("a-$(name)-$(orgID)-z", "a-acme-7k2m9q4xta-z"),
        ("$(displayName)", "Acme & Söhne"),
        ("$(unknown)", "$(unknown)"),
        ("$(Name)", "$(Name)"),
        ("$name ${name} {{ name }}", "$name ${name} {{ name }}"),
        ("$(name", "$(name"),
        ("$( name )", "$( name )"),
        ("$$(name)", "$acme"),
        ("$($(name))", "$(acme)"),
        ("", ""),
        (7, 7),
        (True, True),
        (None, None),
        (["$(name)", 1], ["acme", 1]),
        ({"a": {"b": "$(name)"}}, {"a": {"b": "acme"}}),
        ({"$(name)": "$(name)"}, {"$(name)": "acme"}),
    ],
)
def test_only_known_names_are_replaced_and_only_in_values(written: Any, read: Any) -> None:
    assert substitute(written, VARIABLES) == read


def test_value_that_looks_like_a_variable_is_not_read_again() -> None:
    """A client's name must not reach into the plan's other variables."""
    assert substitute("$(displayName)", {**VARIABLES, "displayName": "$(orgID)"}) == "$(orgID)"


@given(json_values)
def test_document_without_variables_stays_as_it_is(document: Any) -> None:
    assert substitute(document, VARIABLES) == document


@given(st.text(max_size=20))
def test_value_is_put_in_literally(value: str) -> None:
    """No backslash, no group reference means anything in it."""
    assert substitute("<$(name)>", {**VARIABLES, "name": value}) == f"<{value}>"


def test_every_variable_that_a_plan_may_name_has_a_value() -> None:
    assert set(org().variables) == set(SUBSTITUTIONS) == set(org().url_variables)
