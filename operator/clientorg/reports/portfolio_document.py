"""Rows as JSON and YAML: the fields of the models in camelCase, times in RFC 3339, nothing rounded but quotients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic.alias_generators import to_camel

from clientorg.domain.timestamps import rfc3339

Json = dict[str, Any]


def document(value: Any) -> Any:
    """A row, or anything in it, as JSON has it. What is not known is null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {_key(field.name): document(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else round(float(value), 6)
    if isinstance(value, dict):
        return {str(key): document(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [document(entry) for entry in value]
    return value


def _key(name: str) -> str:
    return "orgID" if name == "org_id" else "orderID" if name == "order_id" else to_camel(name)


def rows_document(report: str, as_of: datetime, filters: Json, rows: Iterable[Any]) -> Json:
    """A whole report, which says of what moment it is and what was filtered."""
    return {"report": report, "asOf": rfc3339(as_of), "filters": filters, "rows": [document(row) for row in rows]}
