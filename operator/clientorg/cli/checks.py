"""The API's own rules, asked without the API server: for prompts and for --dry-run=client.

Only what the models say (required, length, form); CEL rules and policies are the server's.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from clientorg.api.clientorg import ClientOrgSpec
from clientorg.cli.fields import flag_of

Json = dict[str, Any]


def field_at(path: tuple[str, ...]) -> FieldInfo | None:
    """The model's field at a path of API names below `spec`; list indexes are left out."""
    model: Any = ClientOrgSpec
    found: FieldInfo | None = None
    for part in path:
        fields: dict[str, FieldInfo] = getattr(model, "model_fields", {})
        found = next((info for name, info in fields.items() if part in (info.alias, name)), None)
        if found is None:
            return None
        model = _model_in(found.annotation)
    return found


def _model_in(annotation: Any) -> Any:
    """The model within `list[Model]`, `Model | None` or `Annotated[...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_in, getattr(annotation, "__args__", ())) if m is not None), None)


def problem(path: tuple[str, ...], value: str) -> str | None:
    """What is wrong with a value for a field, in the words of its description; None when it is fine."""
    info = field_at(path)
    if info is None:
        return None
    try:
        rule: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        TypeAdapter(rule).validate_python(value)
    except ValidationError:
        return f"wanted: {info.description}"
    return None


def faults(spec: Json) -> list[str]:
    """Each fault of a spec as `field (flag): what is wanted`."""
    try:
        ClientOrgSpec.model_validate(spec)
    except ValidationError as error:
        return [_line(item["loc"], str(item["type"]), item.get("input")) for item in error.errors()]
    return []


def _line(loc: tuple[int | str, ...], kind: str, value: object) -> str:
    path = "spec"
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    info = field_at(tuple(part for part in loc if isinstance(part, str)))
    flag = flag_of(path)
    wanted = f"; wanted: {info.description}" if info is not None and info.description else ""
    what = "Required value" if kind == "missing" else f"Invalid value {value!r}"
    return f"{path}{f' ({flag})' if flag else ''}: {what}{wanted}"
