"""Tables as CSV and XLSX: typed cells, nothing that a spreadsheet runs, the same back as was written (FEATURES S12)."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.base import LINE_PATTERN
from clientorg.api.meta import MAX_QUANTITY
from clientorg.reports import xlsxfile
from clientorg.reports.clients import client_row, clients_table
from clientorg.reports.csvfile import defused, write_csv
from clientorg.reports.ledger import ledger_row, ledger_table
from clientorg.reports.table import Kind, Table, storable
from clientorg.reports.xlsxfile import TooManyRowsError, write_xlsx
from tests.unit.cli_builders import client, granted
from tests.unit.report_builders import CHARGE, ORG_ID, full_client, language, movement, stream, table_of

HOSTILE = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example","click")',
    "'=1",
    "''@x",
    "＝1+1",
    "＠x",
)
LINES = st.from_regex(re.compile(LINE_PATTERN), fullmatch=True).filter(lambda text: text == storable(text))


def csv_rows(table: Table[Any], **options: bool) -> list[list[str]]:
    """The table written as CSV and read back."""
    out = stream()
    write_csv(table, out, **options)
    return list(csv.reader(io.StringIO(out.getvalue().decode("utf-8-sig"), newline=""), strict=True))


def xlsx_sheet(table: Table[Any]) -> Any:
    """The table written as XLSX and read back."""
    out = stream()
    write_xlsx(table, out)
    return openpyxl.load_workbook(out).active


def restored(text: str) -> str:
    """A cell's text as it was, by the rule of docs/exports.md."""
    return text[1:] if text.startswith("'") and defused(text[1:]) != text[1:] else text


def test_a_client_has_typed_cells_in_a_workbook() -> None:
    sheet = xlsx_sheet(clients_table([client_row(full_client())], language(zone="Asia/Tokyo")))
    cells = {top.value: cell for top, cell in zip(sheet[1], sheet[2], strict=True)}
    found = {heading: cell.value for heading, cell in cells.items()}
    assert found["Name"] == "acme"
    assert found["Org ID"] == ORG_ID
    assert found["Contact"] == "Sato Yuki", "the family name first, as in mails to a Japanese contact"
    assert found["Phone"] == "+81 3 1234 5678"
    assert found["Reseller's reference"] == "0042", "text stays text"
    assert found["Postal code"] == "0100-005"
    assert found["Ready"] is True
    assert (found["visitors: granted"], found["visitors: used"], found["visitors: remaining"]) == (500, 120, 380)
    assert (found["Contracted users"], found["Users"]) == (15, 12), "the cap in force, not the one asked for"
    assert (found["Balance"], found["Next charge"], found["Balance after next charge"]) == (-250, 1250, -1500)
    assert found["Next charge on (Asia/Tokyo)"] == datetime(2026, 12, 25)
    assert found["Created (Asia/Tokyo)"] == datetime(2026, 11, 1, 9)
    assert found["Deactivated since (Asia/Tokyo)"] == datetime(2026, 12, 1, 0, 30), "already December in Tokyo"
    assert found["Contract ends (Asia/Tokyo)"] == datetime(2027, 4, 1)
    types = {heading: cell.data_type for heading, cell in cells.items()}
    assert types["Balance"] == "n"
    assert types["Ready"] == "b"
    assert types["Created (Asia/Tokyo)"] == "d"
    assert types["Phone"] == types["Name"] == "s"


def test_a_workbook_keeps_its_headings_in_sight_and_filters() -> None:
    rows = [client_row(client(name)) for name in ("acme", "globex")]
    sheet = xlsx_sheet(clients_table(rows, language()))
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:{sheet.cell(3, sheet.max_column).coordinate}"
    assert sheet.column_dimensions["B"].width >= len("globex")
    assert sheet.title == "Clients"


def test_each_license_of_any_client_has_its_columns() -> None:
    rows = [
        client_row(client("acme", status=granted(visitors=500, used=3))),
        client_row(client("globex", licenses=[{"name": "seats", "quantity": 5}])),
    ]
    header, acme, globex = csv_rows(clients_table(rows, language()))
    first = header.index("seats: granted")
    wanted = [f"{name}: {what}" for name in ("seats", "visitors") for what in ("granted", "used", "remaining")]
    assert header[first : first + 6] == wanted
    assert acme[first : first + 6] == ["", "", "", "500", "3", "497"]
    assert globex[first : first + 6] == [""] * 6, "asked for, and not granted yet"


def test_a_client_that_nothing_is_known_of_has_empty_cells() -> None:
    header, row = csv_rows(clients_table([client_row(client())], language()))
    known = {heading for heading, cell in zip(header, row, strict=True) if cell}
    assert known == {
        "Namespace",
        "Name",
        "Display name",
        "Plan",
        "Pool",
        "Contact",
        "Email",
        "Language",
        "Created (UTC)",
    }


def test_the_ledger_has_the_inputs_of_a_charge() -> None:
    rows = [ledger_row(movement(3, "Charge", 1250, period="2026-11", charge=CHARGE, reference="INV-1"))]
    sheet = xlsx_sheet(ledger_table(rows, language()))
    found = {top.value: cell.value for top, cell in zip(sheet[1], sheet[2], strict=True)}
    assert found["Entry"] == 3
    assert (found["From"], found["To"], found["Client"]) == ("org/acme", "consumed", "acme")
    assert (found["Amount"], found["Period"], found["Kind"]) == (1250, "2026-11", "Charge")
    inputs = ("Users charged", "Base points", "Users included", "Points per extra user")
    assert [found[heading] for heading in inputs] == [15, 1000, 10, 50]
    assert found["Posted (UTC)"] == datetime(2026, 11, 10)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula_in_csv(text: str) -> None:
    _, (cell,) = csv_rows(table_of(Kind.TEXT, [text]))
    assert cell == f"'{text}"
    assert restored(cell) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula_or_link_in_a_workbook(text: str) -> None:
    out = stream()
    write_xlsx(table_of(Kind.TEXT, [text, "http://evil.example", "12", "mailto:a@b.example"]), out)
    sheet: Any = openpyxl.load_workbook(out).active
    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert [cell.data_type for cell in cells] == ["s"] * 4
    assert all(cell.hyperlink is None for cell in cells)
    with zipfile.ZipFile(out) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize("text", ["plain", "it's", "'quoted'", "a=b", "5-3", "", "山田", "नमस्ते"])
def test_other_text_is_left_alone(text: str) -> None:
    assert defused(text) == text


def test_headings_are_defused_too() -> None:
    table = table_of(Kind.TEXT, [])
    hostile = Table(table.title, [type(table.columns[0])("=1", Kind.TEXT, lambda row: row)], [], table.zone)
    assert csv_rows(hostile) == [["'=1"]]


def test_csv_is_rfc_4180_in_utf_8() -> None:
    out = stream()
    write_csv(table_of(Kind.TEXT, ['a "b", c', "株式会社\nアクメ"]), out)
    assert out.getvalue() == 'H\r\n"a ""b"", c"\r\n"株式会社\nアクメ"\r\n'.encode()


def test_csv_begins_with_a_mark_for_excel_if_asked() -> None:
    out = stream()
    write_csv(table_of(Kind.TEXT, ["é"]), out, mark=True)
    assert out.getvalue().startswith(b"\xef\xbb\xbfH\r\n")


def test_csv_cells() -> None:
    moment = datetime(2026, 11, 25, 15, 0, 1, 999_999, tzinfo=UTC)
    assert csv_rows(table_of(Kind.MOMENT, [moment], "Asia/Tokyo"))[1] == ["2026-11-26 00:00:01"]
    assert csv_rows(table_of(Kind.FLAG, [True, False, None]))[1:] == [["true"], ["false"], [""]]
    assert csv_rows(table_of(Kind.NUMBER, [-3, MAX_QUANTITY]))[1:] == [["-3"], [str(MAX_QUANTITY)]], "a number"


@pytest.mark.parametrize(
    ("moment", "zone", "wall"),
    [
        ("2026-11-30T14:59:59", "Asia/Tokyo", "2026-11-30 23:59:59"),
        ("2026-11-30T15:00:00", "Asia/Tokyo", "2026-12-01 00:00:00"),
        ("2026-12-01T04:59:59", "America/New_York", "2026-11-30 23:59:59"),
        ("2026-10-25T00:30:00", "Europe/Prague", "2026-10-25 02:30:00"),
        ("2026-10-25T01:30:00", "Europe/Prague", "2026-10-25 02:30:00"),
        ("2026-11-30T18:29:59", "Asia/Kolkata", "2026-11-30 23:59:59"),
    ],
)
def test_days_are_those_of_the_time_zone(moment: str, zone: str, wall: str) -> None:
    values = [datetime.fromisoformat(moment + "+00:00")]
    assert csv_rows(table_of(Kind.MOMENT, values, zone))[1] == [wall]
    assert str(xlsx_sheet(table_of(Kind.MOMENT, values, zone))["A2"].value) == wall


def test_a_date_beyond_the_calendar_of_spreadsheets_is_text() -> None:
    values = [datetime(1899, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)]
    sheet = xlsx_sheet(table_of(Kind.MOMENT, values, "Asia/Tokyo"))
    assert sheet["A2"].data_type == "s"
    assert sheet["A3"].value == datetime(9999, 12, 31, 23, 59), "the last hours there are stay in UTC"


def test_a_table_longer_than_a_sheet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsxfile, "MAX_ROWS", 2)
    assert write_xlsx(table_of(Kind.NUMBER, [1, 2]), stream()) == 2
    with pytest.raises(TooManyRowsError, match="at most 2 rows"):
        write_xlsx(table_of(Kind.NUMBER, [1, 2, 3]), stream())


def test_what_no_file_can_hold_is_replaced() -> None:
    text = "a\x00b\x1b\ufffe\ud800c"
    assert xlsx_sheet(table_of(Kind.TEXT, [text]))["A2"].value == "a�b���c"
    assert csv_rows(table_of(Kind.TEXT, [text]))[1] == ["a�b���c"]


@given(st.lists(LINES, min_size=1, max_size=20))
def test_text_comes_back_from_csv_as_it_was(texts: list[str]) -> None:
    assert [restored(row[0]) for row in csv_rows(table_of(Kind.TEXT, texts))[1:]] == texts


@given(st.lists(LINES.filter(lambda text: "_x" not in text), min_size=1, max_size=20))
def test_text_comes_back_from_a_workbook_as_it_was(texts: list[str]) -> None:
    """Without _x, which XLSX escapes and openpyxl does not take back."""
    sheet = xlsx_sheet(table_of(Kind.TEXT, texts))
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == texts


@given(st.lists(st.integers(-MAX_QUANTITY, MAX_QUANTITY), min_size=1, max_size=20))
def test_numbers_come_back_as_they_were(numbers: list[int]) -> None:
    assert [int(row[0]) for row in csv_rows(table_of(Kind.NUMBER, numbers))[1:]] == numbers
    sheet = xlsx_sheet(table_of(Kind.NUMBER, numbers))
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == numbers


@given(
    st.datetimes(datetime(1901, 1, 1), datetime(9998, 1, 1), timezones=st.just(timezone(timedelta(hours=5)))),
    st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York", "Europe/Prague", "Asia/Kolkata"]),
)
def test_moments_come_back_to_the_second(moment: datetime, zone: str) -> None:
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, microsecond=0)
    assert datetime.fromisoformat(csv_rows(table_of(Kind.MOMENT, [moment], zone))[1][0]) == wall
    found = xlsx_sheet(table_of(Kind.MOMENT, [moment], zone))["A2"].value
    assert found == wall
