"""The merge patch that turns one document into another (RFC 7386)."""

from __future__ import annotations

import pytest
from hypothesis import given

from clientorg.domain.merge_patch import merge_patch
from tests.unit.apiserver import Json, merged
from tests.unit.strategies import json_documents


def without_nulls(value: object) -> object:
    """A document as a merge patch can write it: null means absent there. Lists are taken as they are."""
    if isinstance(value, dict):
        return {name: without_nulls(child) for name, child in value.items() if child is not None}
    return value


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}),
        ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
        ({"a": [1, 2]}, {"a": [2]}, {"a": [2]}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}]}, {}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_patch_says_no_more_than_what_changed(before: Json, after: Json, patch: Json) -> None:
    assert merge_patch(before, after) == patch


@given(json_documents, json_documents)
def test_patch_applied_to_before_gives_after(before: Json, after: Json) -> None:
    before, after = without_nulls(before), without_nulls(after)  # type: ignore[assignment]

    assert merged(before, merge_patch(before, after)) == after


@given(json_documents)
def test_nothing_to_change_is_an_empty_patch(document: Json) -> None:
    """So that nothing is written when nothing changed."""
    assert merge_patch(document, document) == {}
