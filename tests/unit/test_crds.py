"""The CRD files as they are committed: generated, explained, bounded (DESIGN sections 1, 6 and 8)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.api.crd import KINDS, MAX_CRD_BYTES, Kind, main, render
from clientorg.api.meta import CATEGORY, GROUP

Json = dict[str, Any]

CRDS = Path(__file__).resolve().parents[2] / "crds"

SHORT_NAMES = {
    "ClientOrg": ["corg"],
    "QuotaPool": ["qpool"],
    "OrgPlan": ["oplan"],
    "OrgApproval": ["oappr"],
    "PointTransaction": ["ptx"],
    "UsageReport": ["usage"],
    "Subscription": ["csub"],
}

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@cache
def definition(kind: Kind) -> Json:
    """The committed CRD of a kind."""
    document: Json = yaml.safe_load((CRDS / f"{kind.crd_name}.yaml").read_text())
    return document


def schema(kind: Kind) -> Json:
    """Its schema."""
    found: Json = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def nodes(node: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every part of a schema with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(key), dict):
            yield from nodes(node[key], path + mark)


def test_committed_files_are_those_that_the_models_generate() -> None:
    assert {path.name for path in CRDS.glob("*.yaml")} == {f"{kind.crd_name}.yaml" for kind in KINDS}
    assert main([str(CRDS), "--check"]) == 0, "run `make crds` and commit"


def test_check_fails_on_a_difference(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--check"]) == 1
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0


@each_kind
def test_file_fits_the_annotation_of_kubectl_apply(kind: Kind) -> None:
    assert len(render(kind).encode()) < MAX_CRD_BYTES == 256 * 1024


@each_kind
def test_every_field_is_described(kind: Kind) -> None:
    """The description is what `kubectl explain` shows."""
    undescribed = [
        path
        for path, node in nodes(schema(kind))
        if path != ".metadata" and not path.endswith(("[]", "{}")) and len(node.get("description", "")) < 5
    ]

    assert undescribed == []


@each_kind
def test_every_string_list_map_and_integer_is_bounded_or_the_operators(kind: Kind) -> None:
    """Without bounds the API server refuses the CEL rules, and one object can grow without end."""
    unbounded = []
    for path, node in nodes(schema(kind)):
        free = {
            "string": not ({"maxLength", "enum"} & node.keys()),
            "array": "maxItems" not in node,
            "integer": path.startswith(".spec") and "maximum" not in node,
            "object": "additionalProperties" in node and "maxProperties" not in node,
        }
        if path not in (".apiVersion", ".kind") and free.get(node.get("type", ""), False):
            unbounded.append(path)

    assert unbounded == []


@each_kind
def test_every_list_says_how_it_is_merged(kind: Kind) -> None:
    """So that two appliers of one list (GitOps and the plugin) do not undo each other unawares."""
    unsaid = [
        path
        for path, node in nodes(schema(kind))
        if node.get("type") == "array" and "x-kubernetes-list-type" not in node
    ]

    assert unsaid == []


@each_kind
def test_every_pattern_is_also_said_in_words(kind: Kind) -> None:
    """The API server answers a pattern with the pattern; the rule beside it says what to write."""
    wordless = [
        path
        for path, node in nodes(schema(kind))
        if "pattern" in node
        and not any(node["pattern"] in rule["rule"] for rule in node.get("x-kubernetes-validations", ()))
    ]

    assert wordless == []


@each_kind
def test_kubectl_knows_the_kind_by_short_name_and_category(kind: Kind) -> None:
    names = definition(kind)["spec"]["names"]

    assert names["shortNames"] == SHORT_NAMES[kind.name]
    assert names["categories"] == [CATEGORY] == ["clientorg"], "never `all`: kubectl delete all --all reaches those"


@each_kind
def test_kind_is_namespaced_and_its_status_a_subresource(kind: Kind) -> None:
    spec = definition(kind)["spec"]
    (version,) = spec["versions"]

    assert (spec["group"], spec["scope"], version["name"]) == (GROUP, "Namespaced", "v1alpha1")
    assert version["subresources"] == {"status": {}}
    assert version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_what_a_client_must_have_is_required() -> None:
    (client,) = (kind for kind in KINDS if kind.name == "ClientOrg")
    spec = schema(client)["properties"]["spec"]

    assert set(spec["required"]) == {"displayName", "contact", "poolRef", "planRef", "licenses"}
    assert set(spec["properties"]["contact"]["required"]) == {"firstName", "lastName", "email"}
    assert spec["properties"]["licenses"]["minItems"] == 1


def test_selectable_fields_are_within_the_servers_limit() -> None:
    for kind in KINDS:
        assert len(kind.selectable_fields) <= 8
