"""What every report is before it is a file: named, typed columns and rows of plain values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar
from zoneinfo import ZoneInfo

Json = dict[str, Any]
Value = str | int | bool | Decimal | date | datetime | None
"""A cell. A datetime has a time zone; None is an empty cell. Points, users and licenses are whole numbers."""

Row = TypeVar("Row")

# What XML 1.0 cannot hold, and C1 with it: one such character makes a workbook that no spreadsheet opens.
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Kind(StrEnum):
    """What the cells of a column are."""

    TEXT = "text"
    NUMBER = "number"
    MOMENT = "moment"
    FLAG = "flag"
    DECIMAL = "decimal"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column.

    Attributes:
        heading: in the reader's language.
        value: a row's cell: text, a whole number, a moment with a time zone, a boolean; None where it is not known.
    """

    heading: str
    kind: Kind
    value: Callable[[Row], Value]


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """Columns, and the rows that they are of.

    Attributes:
        title: what the table is of, in the reader's language; the name of the sheet.
        zone: time zone that moments are written in.
        moment_format: how a spreadsheet is to show them, in its own code: yyyy-mm-dd hh:mm.
    """

    title: str
    columns: Sequence[Column[Row]]
    rows: Iterable[Row]
    zone: ZoneInfo
    moment_format: str = "yyyy-mm-dd hh:mm"

    @property
    def headings(self) -> list[str]:
        """The first line of the file."""
        return [column.heading for column in self.columns]

    def cells(self, row: Row) -> list[Value]:
        """A row's cells: text that any file can hold, moments as the clock on the wall has them in the time zone."""
        return [self._cell(column.value(row)) for column in self.columns]

    def _cell(self, value: Value) -> Value:
        if isinstance(value, str):
            return storable(value)
        if isinstance(value, datetime):
            return wall_time(value, self.zone)
        return value


def wall_time(moment: datetime, zone: ZoneInfo) -> datetime:
    """What calendar and clock show then in the time zone, to the second; without it, as spreadsheets know dates."""
    with suppress(OverflowError):  # the last hours of the year 9999, as somebody's "never"
        moment = moment.astimezone(zone)
    return moment.replace(tzinfo=None, microsecond=0)


def storable(text: str) -> str:
    """The text with what XML cannot hold replaced by U+FFFD. Nothing that the API server lets in is changed by it, but
    for C1 controls and U+FFFE and U+FFFF."""
    return _NO_TEXT.sub("�", text)
