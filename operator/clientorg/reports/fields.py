"""From the fields of rows to columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from clientorg.reports.language import Language
from clientorg.reports.table import Column, Kind, Value


def columns_of(fields: Iterable[tuple[str, Kind]], section: str, language: Language) -> list[Column[Any]]:
    """Columns of the attributes of a row, with the headings of a section of the words.

    Those of moments name the time zone, because a spreadsheet's dates have none.
    """
    return [Column(_heading(key, kind, section, language), kind, _attribute(key)) for key, kind in fields]


def _heading(key: str, kind: Kind, section: str, language: Language) -> str:
    heading = language.word(f"{section}.{key}")
    return f"{heading} ({language.zone_name})" if kind is Kind.MOMENT else heading


def _attribute(key: str) -> Callable[[Any], Value]:
    def value(row: Any) -> Value:
        found: Value = getattr(row, key)
        return None if found == "" else found

    return value
