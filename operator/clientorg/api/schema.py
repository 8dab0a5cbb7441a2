"""pydantic models to structural schemas (the subset of OpenAPI v3 that a CustomResourceDefinition takes).

Kubernetes accepts less than JSON Schema: no `$ref`, no `anyOf` with null, no `const`, no `title` noise, no
`additionalProperties: false`. The source of the rules: Kubernetes documentation, "Specifying a structural schema".
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from clientorg.api.base import Json

_DROPPED = ("title", "discriminator", "$defs")


def structural_schema(model: type[BaseModel]) -> Json:
    """The structural schema of a model, with `$ref`s inlined.

    Raises:
        ValueError: the model uses something that Kubernetes cannot express.
    """
    document = model.model_json_schema(by_alias=True, mode="validation")
    definitions = document.get("$defs", {})
    return _convert(document, definitions, path=model.__name__)


def _convert(node: Json, definitions: Json, path: str) -> Json:
    node = _without_null(_resolve(node, definitions), definitions, path)
    out: Json = {}
    for key, value in node.items():
        if key in _DROPPED or (key == "default" and value is None):
            continue
        if key == "properties":
            out[key] = {name: _property(name, child, definitions, path) for name, child in value.items()}
        elif key == "items":
            out[key] = _convert(value, definitions, f"{path}[]")
        elif key == "additionalProperties":
            if isinstance(value, dict):
                out[key] = _convert(value, definitions, f"{path}{{}}")
        elif key == "const":
            out["enum"] = [value]
        else:
            out[key] = value
    _check(out, path)
    return out


def _property(name: str, child: Json, definitions: Json, path: str) -> Json:
    converted = _convert(child, definitions, f"{path}.{name}")
    default = converted.get("default")
    if isinstance(default, dict) and "properties" in converted:
        # `{}` is enough where the parts have defaults of their own; only what differs from them is spelled out.
        converted["default"] = {
            key: value
            for key, value in default.items()
            if value is not None
            and value != converted["properties"].get(key, {}).get("default")
            and not _is_defaulted_object(converted["properties"].get(key, {}), value)
        }
    return converted


def _is_defaulted_object(schema: Json, value: Any) -> bool:
    return isinstance(value, dict) and "properties" in schema and schema.get("default") == {}


def _resolve(node: Json, definitions: Json) -> Json:
    """Inline `$ref`, keeping what stands beside it (a field's description wins over its type's)."""
    while "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _without_null(node: Json, definitions: Json, path: str) -> Json:
    """`anyOf [X, null]` is how pydantic says optional; in a CRD a field is optional by not being required."""
    if "anyOf" not in node:
        return node
    choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
    if len(choices) != 1:
        raise ValueError(f"{path}: a union of {len(choices)} types cannot be expressed in a structural schema")
    outer = {key: value for key, value in node.items() if key != "anyOf"}
    return {**_resolve(choices[0], definitions), **outer}


def _check(node: Json, path: str) -> None:
    """Refuse what the API server would refuse or what would make its CEL rules too expensive."""
    if node.get("type") == "number":
        raise ValueError(f"{path}: use integers or decimal strings, not floats")
    if node.get("type") == "array" and "maxItems" not in node:
        raise ValueError(f"{path}: every list needs max_length")
    if node.get("type") == "string" and not ({"maxLength", "enum"} & node.keys()):
        raise ValueError(f"{path}: every string needs max_length")
    if "additionalProperties" in node and "maxProperties" not in node:
        raise ValueError(f"{path}: every map needs max_length")
