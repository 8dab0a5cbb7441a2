"""XLSX by XlsxWriter, row by row: what is written leaves memory. Strings are strings, never formulas or links."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Final
from unicodedata import east_asian_width

import xlsxwriter

from clientorg.reports.table import Column, Kind, Row, Table, Value

_MIN_WIDTH, _MAX_WIDTH = 8, 48
"""In characters of the default font."""
_FIRST_YEAR: Final = 1900
"""Where the calendar of spreadsheets begins."""
MAX_ROWS: Final = 1_048_575
"""Rows below the headings that a sheet can have."""
_TEXT: Final = {
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


class TooManyRowsError(ValueError):
    """The table has more rows than a sheet."""


def write_xlsx(table: Table[Row], stream: BinaryIO) -> int:
    """Write a workbook with the table as its one sheet, and return the number of rows.

    The headings stay in sight and have filters; numbers, dates and booleans are what they are to a spreadsheet.

    Raises:
        TooManyRowsError: a sheet cannot hold them.
    """
    book = xlsxwriter.Workbook(stream, {"constant_memory": True, **_TEXT})
    try:
        sheet = book.add_worksheet(_sheet_name(table.title))
        count = _fill(book, sheet, table)
    finally:
        book.close()
    return count


def _fill(book: Any, sheet: Any, table: Table[Row]) -> int:
    top = book.add_format({"bold": True, "bottom": 1, "bg_color": "#EEF2F6", "text_wrap": True, "valign": "top"})
    formats = {
        Kind.NUMBER: book.add_format({"num_format": "#,##0"}),
        Kind.MOMENT: book.add_format({"num_format": table.moment_format, "align": "left"}),
        Kind.TEXT: book.add_format({"num_format": "@"}),
        Kind.FLAG: None,
        Kind.DECIMAL: book.add_format({"num_format": "#,##0.00"}),
        Kind.DAY: book.add_format({"num_format": table.moment_format.split(" ")[0], "align": "left"}),
    }
    sheet.freeze_panes(1, 0)
    widths = [_heading_width(column) for column in table.columns]
    for index, heading in enumerate(table.headings):
        sheet.write_string(0, index, heading, top)
    count = 0
    for count, row in enumerate(table.rows, start=1):
        if count > MAX_ROWS:
            raise TooManyRowsError(f"a sheet has at most {MAX_ROWS:,} rows; export fewer, or as csv")
        for index, (column, value) in enumerate(zip(table.columns, table.cells(row), strict=True)):
            widths[index] = max(widths[index], _put(sheet, count, index, value, formats[column.kind]))
    for index, width in enumerate(widths):
        sheet.set_column(index, index, min(width, _MAX_WIDTH) + 2)
    if table.columns:
        sheet.autofilter(0, 0, count, len(table.columns) - 1)
    return count


def _put(sheet: Any, line: int, index: int, value: Value, style: Any) -> int:
    """Write a cell; returns how wide it is, in characters."""
    if value is None:
        return 0
    if isinstance(value, bool):
        sheet.write_boolean(line, index, value)
        return 5
    if isinstance(value, int | Decimal):
        sheet.write_number(line, index, value, style)
        return len(f"{value:,.2f}" if isinstance(value, Decimal) else f"{value:,}")
    if isinstance(value, datetime) and value.year >= _FIRST_YEAR:
        sheet.write_datetime(line, index, value, style)
        return 16
    if isinstance(value, date) and not isinstance(value, datetime) and value.year >= _FIRST_YEAR:
        sheet.write_datetime(line, index, value, style)
        return 10
    text = str(value)
    sheet.write_string(line, index, text, style)
    return display_width(text)


def _heading_width(column: Column[Row]) -> int:
    """Headings are wrapped: the longest word has to fit, and something of the rest."""
    words = [display_width(word) for word in column.heading.split()]
    return max(_MIN_WIDTH, *words, display_width(column.heading) // 2)


def display_width(text: str) -> int:
    """Columns of characters; those of Japanese take two."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _sheet_name(title: str) -> str:
    """A name that a sheet may have: at most 31 characters, none of []:*?/\\."""
    return "".join("-" if char in "[]:*?/\\" else char for char in title).strip("' ")[:31]
