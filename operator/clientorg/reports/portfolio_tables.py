"""Tables of the portfolio's rows: the columns of each report, with headings in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from clientorg.reports.fields import columns_of
from clientorg.reports.language import Language
from clientorg.reports.portfolio import LicenseRow, MetricRow, PerformanceRow, Summary, UsageRow
from clientorg.reports.table import Column, Kind, Table, Value

SECTION: Final = "report"
_CENT: Final = Decimal("0.01")

_W9: Final[Sequence[tuple[str, Kind]]] = (
    ("client", Kind.TEXT),
    ("subscription", Kind.TEXT),
    ("type", Kind.TEXT),
    ("product", Kind.TEXT),
    ("total", Kind.NUMBER),
    ("used", Kind.NUMBER),
    ("assigned", Kind.NUMBER),
    ("available", Kind.NUMBER),
    ("assigned_weekly_change", Kind.NUMBER),
    ("used_weekly_change", Kind.NUMBER),
    ("usage_three_months", Kind.NUMBER),
    ("months_left", Kind.NUMBER),
    ("auto_renew", Kind.FLAG),
    ("percent", Kind.NUMBER),
)
"""Columns of row W9; the days stand after the product."""

_MORE: Final[Sequence[tuple[str, Kind]]] = (
    ("namespace", Kind.TEXT),
    ("display_name", Kind.TEXT),
    ("org_id", Kind.TEXT),
    ("state", Kind.TEXT),
    ("statuses", Kind.TEXT),
    ("order_id", Kind.TEXT),
    ("subscription_state", Kind.TEXT),
    ("added", Kind.MOMENT),
    ("starts", Kind.MOMENT),
    ("ends", Kind.MOMENT),
    ("allocated", Kind.NUMBER),
    ("over_by", Kind.NUMBER),
    ("usage_weeks", Kind.NUMBER),
    ("runway_months", Kind.NUMBER),
    ("managed_by", Kind.TEXT),
    ("tags", Kind.TEXT),
)
"""What files have besides."""

_DAYS: Final[Mapping[str, Sequence[tuple[str, Kind]]]] = {
    "recent": (("days_since", Kind.NUMBER),),
    "expiring": (("days_until", Kind.NUMBER),),
    "renewing": (("days_until", Kind.NUMBER),),
    "low-allocation": (("days_until", Kind.NUMBER),),
    "over-limit": (("days_until", Kind.NUMBER), ("over_by", Kind.NUMBER)),
}
_USAGE: Final[Sequence[tuple[str, Kind]]] = (
    ("product", Kind.TEXT),
    ("week", Kind.DAY),
    ("allocated", Kind.NUMBER),
    ("assigned", Kind.NUMBER),
    ("used", Kind.NUMBER),
    ("used_in_week", Kind.NUMBER),
    ("clients", Kind.NUMBER),
    ("missing", Kind.NUMBER),
)
_PERFORMANCE: Final[Sequence[tuple[str, Kind]]] = (
    ("client", Kind.TEXT),
    ("statuses", Kind.TEXT),
    ("metric", Kind.TEXT),
    ("unit", Kind.TEXT),
    ("latest", Kind.DECIMAL),
    ("change", Kind.DECIMAL),
    ("is_better", Kind.FLAG),
    ("average", Kind.DECIMAL),
    ("median", Kind.DECIMAL),
    ("rank", Kind.NUMBER),
    ("of", Kind.NUMBER),
)


def shown(value: object) -> Value:
    """A value of a row as a cell: lists with commas, decimals with two places."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or None
    if isinstance(value, Decimal):
        return value.quantize(_CENT, ROUND_HALF_UP)
    return None if value == "" else value  # type: ignore[return-value]


def _columns(fields: Iterable[tuple[str, Kind]], language: Language) -> list[Column[Any]]:
    found: list[Column[Any]] = []
    for column, (key, _) in zip(columns_of(fields := list(fields), SECTION, language), fields, strict=True):
        found.append(Column(column.heading, column.kind, _cell(key)))
    return found


def _cell(key: str) -> Callable[[Any], Value]:
    def value(row: Any) -> Value:
        if key in ("metric", "unit") and not isinstance(row, LicenseRow):
            return shown(row.metric.display_name if key == "metric" else row.metric.unit)
        return shown(getattr(row, key))

    return value


def license_table(report: str, rows: Sequence[LicenseRow], language: Language, *, whole: bool) -> Table[LicenseRow]:
    """The table of recent, expiring, renewing, low-allocation or over-limit.

    Args:
        whole: with all columns, as files have them; else those of row W9.
    """
    product = next(index for index, (key, _) in enumerate(_W9) if key == "product") + 1
    fields = [*_W9[:product], *_DAYS[report], *_W9[product:]]
    if whole:
        known = {key for key, _ in fields}
        more = [*_MORE, ("days_since", Kind.NUMBER), ("days_until", Kind.NUMBER)]
        fields += [field for field in more if field[0] not in known]
    return _table(report, _columns(fields, language), rows, language)


def usage_table(rows: Sequence[UsageRow], language: Language) -> Table[UsageRow]:
    """The table of usage."""
    return _table("usage", _columns(_USAGE, language), rows, language)


def performance_table(rows: Sequence[PerformanceRow], language: Language) -> Table[PerformanceRow]:
    """The table of performance."""
    return _table("performance", _columns(_PERFORMANCE, language), rows, language)


def metric_table(rows: Sequence[MetricRow], language: Language) -> Table[MetricRow]:
    """The table of one metric: a column a week."""
    weeks = [entry.week for entry in rows[0].weeks] if rows else []
    before = _columns([("client", Kind.TEXT), ("metric", Kind.TEXT), ("unit", Kind.TEXT)], language)
    after = [("change", Kind.DECIMAL), ("is_better", Kind.FLAG), ("missed", Kind.NUMBER)]
    columns = [*before, *(_week(index, week) for index, week in enumerate(weeks)), *_columns(after, language)]
    return _table("metric", columns, rows, language)


def _week(index: int, week: date) -> Column[Any]:
    return Column(week.isoformat(), Kind.DECIMAL, lambda row: shown(row.weeks[index].value))


def summary_table(summary: Summary, language: Language) -> Table[tuple[str, Value]]:
    """The table of the summary: a line a figure."""
    rows: list[tuple[str, Value]] = [
        (language.word(f"{SECTION}.clients_total"), summary.clients),
        *((language.word(f"{SECTION}.with_status", status=status.value), n) for status, n in summary.by_status.items()),
        (language.word(f"{SECTION}.count_recent", days=summary.within_days), summary.recent),
        (language.word(f"{SECTION}.count_expiring", days=summary.within_days), summary.expiring),
        (language.word(f"{SECTION}.count_renewing", days=summary.within_days), summary.renewing),
        (language.word(f"{SECTION}.count_low"), summary.low_allocation),
    ]
    for item in summary.products:
        for key in ("total", "allocated", "assigned", "used"):
            heading = f"{item.product}: {language.word(f'{SECTION}.{key}')}"
            rows.append((heading, getattr(item, key)))
    missed = ", ".join(week.isoformat() for week in summary.missed_weeks)
    rows += [(language.word(f"{SECTION}.missed_weeks"), missed)] if missed else []
    columns: list[Column[tuple[str, Value]]] = [
        Column(language.word(f"{SECTION}.figure"), Kind.TEXT, lambda row: row[0]),
        Column(language.word(f"{SECTION}.value"), Kind.NUMBER, lambda row: row[1]),
    ]
    return _table("summary", columns, rows, language)


def _table(report: str, columns: Sequence[Column[Any]], rows: Sequence[Any], language: Language) -> Table[Any]:
    title = language.word(f"{SECTION}.title_{report.replace('-', '_')}")
    return Table(title, columns, rows, language.zone, language.moment_format)
