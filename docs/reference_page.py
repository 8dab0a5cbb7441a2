"""docs/reference/: a page for each kind. What is written by hand is in parts/ there; fields come from the CRDs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clientorg.api.crd import KINDS, Kind, custom_resource_definition

Json = dict[str, Any]

FOLDER = Path(__file__).with_name("reference")
PARTS = FOLDER / "parts"
_HEAD = "<!-- Generated from operator/clientorg/api and docs/reference/parts/{part} by `make docs`. Do not edit. -->\n"
_PLAIN = """\
# {name}

{about} <!-- names -->

## Writing a spec

<!-- spec -->

### What is refused

<!-- rules -->

## Status

<!-- columns -->

<!-- status -->
"""
"""For a kind that nobody has written a part about yet."""
_TABLE = "| Field | Type | What it is |\n|---|---|---|\n"
_LONGEST_LIST_OF_VALUES = 12


def page(kind: Kind) -> Path:
    """The page of a kind."""
    return FOLDER / f"{kind.name.lower()}.md"


def render(kind: Kind) -> str:
    """The page of a kind: its part written by hand, with the tables put in."""
    (version,) = custom_resource_definition(kind)["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    part = PARTS / page(kind).name
    text = (
        part.read_text(encoding="utf-8")
        if part.exists()
        else _PLAIN.format(name=kind.name, about=schema["description"])
    )
    for mark, made in {
        "<!-- names -->": _names(kind),
        "<!-- spec -->": _table(schema["properties"]["spec"], "spec"),
        "<!-- rules -->": _rules(schema),
        "<!-- columns -->": _columns(version),
        "<!-- status -->": _table(schema["properties"]["status"], "status"),
    }.items():
        if text.count(mark) != 1:
            raise ValueError(f"{part}: needs {mark} once")
        text = text.replace(mark, made.rstrip("\n"))
    return _HEAD.format(part=part.name) + text


def pages() -> dict[Path, str]:
    """Every page and its text."""
    return {page(kind): render(kind) for kind in KINDS}


def _names(kind: Kind) -> str:
    short = ", ".join(f"`{name}`" for name in kind.short_names)
    return (
        f"`apiVersion: clientorg.dev/v1alpha1`, `kind: {kind.name}`. kubectl knows it as `{kind.plural}`, short"
        f" {short}. It is namespaced: its namespace is the agency."
    )


def _table(schema: Json, path: str) -> str:
    return _TABLE + "".join(_rows(schema, path))


def _rows(schema: Json, path: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        need = " (required)" if name in schema.get("required", ()) else ""
        yield f"| `{here}`{need} | {_type(field)} | {_about(field)} |\n"
        inner, where = (field["items"], f"{here}[]") if field.get("type") == "array" else (field, here)
        yield from _rows(inner, where)


def _type(field: Json) -> str:
    kind = field.get("type")
    if kind == "array":
        return f"list of {_kind_of(field['items'])}"
    if kind == "object" and "additionalProperties" in field:
        return f"map to {_kind_of(field['additionalProperties'])}"
    return _kind_of(field)


def _kind_of(field: Any) -> str:
    if isinstance(field, dict) and field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if not isinstance(field, dict) or "type" not in field:
        return "anything"
    kind = str(field["type"])
    return {"date-time": "time", "date": "date"}.get(field.get("format", ""), kind)


def _about(field: Json) -> str:
    said = " ".join(str(field.get("description", "")).split()).replace("|", "\\|")
    said = said.replace("<", "&lt;")
    values = field.get("enum") or []
    notes = []
    if 0 < len(values) <= _LONGEST_LIST_OF_VALUES and not all(str(value) in said for value in values):
        notes.append("one of " + ", ".join(f"`{value}`" for value in values))
    if field.get("default") not in (None, {}, []):
        notes.append(
            f"default `{str(field['default']).lower() if isinstance(field['default'], bool) else field['default']}`"
        )
    if "minimum" in field and field["minimum"] > -(2**53):
        notes.append(f"at least {field['minimum']:,}")
    if "maximum" in field and field["maximum"] < 2**53:
        notes.append(f"at most {field['maximum']:,}")
    if field.get("type") == "array" and "maxItems" in field:
        notes.append(f"at most {field['maxItems']:,} items")
    return " ".join(part for part in (said, f"({'; '.join(notes)})" if notes else "") if part)


def _rules(schema: Json) -> str:
    """What the API server refuses beyond types and bounds: the messages of the CEL rules, each once."""
    found = dict.fromkeys(_messages(schema, ""))
    return "".join(f"- {message}\n" for message in found) or "None beyond types and bounds.\n"


def _messages(schema: Json, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if "pattern" not in schema and "message" in rule:
            where = f"`{path}`: " if path else ""
            yield where + rule["message"].replace("<", "&lt;")
    for name, field in schema.get("properties", {}).items():
        if not path and name == "status":
            continue
        yield from _messages(field, f"{path}.{name}" if path else name)
    if isinstance(schema.get("items"), dict):
        yield from _messages(schema["items"], f"{path}[]")


def _columns(version: Json) -> str:
    rows = "".join(
        f"| {column['name']} | `{column['jsonPath']}` | {'with `-o wide`' if column.get('priority') else 'always'} |\n"
        for column in version["additionalPrinterColumns"]
    )
    return f"| Column | From | Shown |\n|---|---|---|\n{rows}"
