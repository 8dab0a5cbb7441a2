"""pydantic models to structural schemas: what Kubernetes takes, and what is refused before it has to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from clientorg.api.base import LIST_ATOMIC, PRESERVE, ApiModel, Count, Json, Line64, list_map
from clientorg.api.schema import structural_schema

Text = Annotated[str, Field(max_length=10)]


class Color(StrEnum):
    """A closed set of words."""

    RED = "Red"
    BLUE = "Blue"


class Part(ApiModel):
    """A part."""

    name: Text = Field(description="Its name.")
    size: Count = Field(default=1, description="Its size.")


class Whole(ApiModel):
    """Everything that our models use."""

    display_name: Text = Field(description="Name.")
    color: Color = Field(default=Color.RED, description="Color.")
    part: Part = Field(description="Its own words.")
    other: Part | None = Field(default=None, description="Another.")
    parts: Annotated[list[Part], Field(max_length=3, json_schema_extra=list_map("name"))] = Field(default=[])
    labels: Annotated[dict[str, Text], Field(max_length=5)] = Field(default={"a": "b"})
    version: Literal["v1"] = Field(default="v1")
    anything: Annotated[dict[str, Any], Field(json_schema_extra=PRESERVE)] = Field(default={})
    settings: Part = Field(default=Part(name="x"))


SCHEMA = structural_schema(Whole)


def field(name: str) -> Json:
    """Schema of a field."""
    found: Json = SCHEMA["properties"][name]
    return found


def nodes(value: Any) -> list[Json]:
    """Every object within a schema."""
    if isinstance(value, list):
        return [node for item in value for node in nodes(item)]
    return [value, *(node for item in value.values() for node in nodes(item))] if isinstance(value, dict) else []


def test_nothing_is_left_that_kubernetes_does_not_take() -> None:
    for node in nodes(SCHEMA):
        assert not {"$ref", "$defs", "anyOf", "const", "discriminator"} & node.keys()
        assert node.get("additionalProperties") is not False
        assert not isinstance(node.get("title"), str)


def test_fields_are_named_as_in_yaml() -> None:
    assert "displayName" in SCHEMA["properties"]
    assert SCHEMA["required"] == ["displayName", "part"]


def test_reference_is_inlined_and_its_own_description_wins() -> None:
    assert field("part")["description"] == "Its own words."
    assert field("part")["required"] == ["name"]
    assert field("part")["properties"]["name"] == {"type": "string", "maxLength": 10, "description": "Its name."}


def test_optional_field_is_one_that_is_not_required() -> None:
    assert "other" not in SCHEMA["required"]
    assert field("other")["type"] == "object"
    assert "default" not in field("other")


def test_closed_sets_become_enums() -> None:
    assert field("color") == {"type": "string", "enum": ["Red", "Blue"], "default": "Red", "description": "Color."}
    assert field("version")["enum"] == ["v1"]


def test_lists_and_maps_keep_their_bounds_and_their_kind() -> None:
    assert field("parts")["maxItems"] == 3
    assert field("parts")["x-kubernetes-list-type"] == "map"
    assert field("parts")["items"]["properties"]["size"]["format"] == "int64"
    assert (field("labels")["maxProperties"], field("labels")["additionalProperties"]["maxLength"]) == (5, 10)
    assert field("anything") == {"type": "object", "default": {}, "x-kubernetes-preserve-unknown-fields": True}


def test_default_of_an_object_says_only_what_its_parts_do_not_default_to() -> None:
    assert field("settings")["default"] == {"name": "x"}
    assert field("labels")["default"] == {"a": "b"}


class UnboundedText(ApiModel):
    """Its CEL rules could cost anything."""

    text: str


class UnboundedList(ApiModel):
    """So could these."""

    items: list[Text]


class UnboundedMap(ApiModel):
    """And these."""

    labels: dict[str, Text]


class UnboundedWithin(ApiModel):
    """Also deep inside."""

    items: Annotated[list[UnboundedMap], Field(max_length=2, json_schema_extra=LIST_ATOMIC)]


class Fraction(ApiModel):
    """Money and shares as floats do not add up."""

    share: float


class Union(ApiModel):
    """What of the two is it?"""

    value: Text | Count


class OptionalUnion(ApiModel):
    """Null or not, it is still two."""

    value: Text | Count | None = None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (UnboundedText, r"^UnboundedText\.text: every string needs max_length$"),
        (UnboundedList, r"^UnboundedList\.items: every list needs max_length$"),
        (UnboundedMap, r"^UnboundedMap\.labels: every map needs max_length$"),
        (UnboundedWithin, r"^UnboundedWithin\.items\[\]\.labels: every map needs max_length$"),
        (Fraction, r"^Fraction\.share: use integers or decimal strings, not floats$"),
        (Union, r"^Union\.value: a union of 2 types cannot be expressed in a structural schema$"),
        (OptionalUnion, r"^OptionalUnion\.value: a union of 2 types"),
    ],
)
def test_model_that_kubernetes_cannot_express_is_refused_with_the_fields_path(
    model: type[ApiModel], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        structural_schema(model)


class Rules(ApiModel):
    """A pattern and its rule in words."""

    name: Line64


def test_rules_in_words_stay_beside_their_pattern() -> None:
    name = structural_schema(Rules)["properties"]["name"]

    assert name["pattern"] in name["x-kubernetes-validations"][0]["rule"]
    assert (name["minLength"], name["maxLength"]) == (1, 64)
