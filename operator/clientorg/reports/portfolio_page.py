"""A table as one self-contained HTML page, for mail and print; every value escaped."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from clientorg.reports.language import Language
from clientorg.reports.page import environment
from clientorg.reports.table import Kind, Table, Value


def table_page(table: Table[Any], language: Language, as_of: datetime, note: str = "") -> str:
    """The page: no script, no font and no picture from elsewhere."""

    def text(value: Value) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return language.word(f"report.{'yes' if value else 'no'}")
        if isinstance(value, int):
            return language.number(value)
        if isinstance(value, Decimal):
            return language.decimal(value)
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%d %H:%M")
        return value.isoformat() if isinstance(value, date) else value

    return (
        environment()
        .get_template("report.html.j2")
        .render(
            table=table,
            rows=[[(text(cell), column.kind) for cell, column in _cells(table, row)] for row in table.rows],
            language=language,
            as_of=f"{language.day(as_of)}, {language.clock(as_of)} ({language.zone_name})",
            note=note,
            numbers=(Kind.NUMBER, Kind.DECIMAL),
        )
    )


def _cells(table: Table[Any], row: Any) -> list[tuple[Value, Any]]:
    return list(zip(table.cells(row), table.columns, strict=True))
