"""CSV (RFC 4180, UTF-8) that no spreadsheet takes commands from.

A text that begins with = + - @ (also full-width), a tab or a line break, with or without blanks before it, gets one
apostrophe in front; so does one that has apostrophes in front of such a character already. Whoever reads the file by a
program takes one apostrophe off again wherever what follows it begins so, and has every text as it was.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from datetime import date, datetime
from decimal import Decimal
from typing import BinaryIO, Final

from clientorg.reports.table import Row, Table, Value

_COMMAND: Final = re.compile(r"[\s']*[=+\-@＝＋－＠]|[ ']*[\t\r\n]")


def write_csv(table: Table[Row], stream: BinaryIO, *, mark: bool = False) -> int:
    """Write the table, a line a row, and return the number of rows.

    Numbers are digits alone, moments `2026-11-25 09:00:00`, booleans true and false; what is not known is empty.

    Args:
        mark: begin with U+FEFF, by which Excel knows UTF-8.
    """
    if mark:
        stream.write(codecs.BOM_UTF8)
    text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=False)
    writer = csv.writer(text, lineterminator="\r\n")
    count = 0
    try:
        writer.writerow([_cell(heading) for heading in table.headings])
        for row in table.rows:
            writer.writerow([_cell(value) for value in table.cells(row)])
            count += 1
        text.flush()
    finally:
        text.detach()  # the stream stays the caller's
    return count


def _cell(value: Value) -> str | int | None:
    if isinstance(value, str):
        return defused(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | Decimal):
        return str(value)
    return value


def defused(text: str) -> str:
    """The text as a cell that is shown and not run."""
    return f"'{text}" if _COMMAND.match(text) else text
