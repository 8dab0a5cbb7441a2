"""The tables of row W9, the trends, and the comparison of clients, from the rows of the reports."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clientorg.cli.failures import explain
from clientorg.cli.selection import folded
from clientorg.dashboard.charts import Chart, usage_charts
from clientorg.dashboard.outlook import WITHIN_DAYS, Outlook, outlook_of
from clientorg.dashboard.query import page_of
from clientorg.dashboard.view import View
from clientorg.errors import InputError
from clientorg.reports.portfolio import LicenseRow, MetricRow
from clientorg.reports.portfolio_rows import expiring, low_allocation, over_limit, recent, renewing
from clientorg.reports.portfolio_trends import declared_metrics, metric_rows, performance_rows

TABLES = ("recent", "expiring", "renewing", "low-allocation", "over-limit", "performance")
PAGE_SIZE = 50
_W9 = (
    *("total", "used", "assigned", "available", "assigned_weekly_change", "used_weekly_change"),
    *("usage_three_months", "months_left", "auto_renew", "percent"),
)
COLUMNS = {
    "recent": ("days_since", *_W9),
    "expiring": ("days_until", "ends", *_W9),
    "renewing": ("days_until", "ends", *_W9),
    "low-allocation": ("days_until", *_W9),
    "over-limit": ("days_until", "over_by", *_W9, "runway_months"),
}
"""Beside client, subscription and product: every column of row W9, and what the table is about besides."""


def _rows(found: Outlook, table: str) -> Sequence[LicenseRow]:
    if table == "low-allocation":
        return low_allocation(found.rows, found.portfolio)
    if table == "over-limit":
        return over_limit(found.rows)
    return {"recent": recent, "expiring": expiring, "renewing": renewing}[table](found.rows, WITHIN_DAYS)


def _number(view: View) -> int:
    text = str(view.query.get("page", "1"))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1


async def first(_: Request) -> Response:
    """GET /reports."""
    return RedirectResponse("/reports/recent", 303)


async def show(request: Request) -> Response:
    """GET /reports/{table}."""
    view, table = await View.of(request), request.path_params["table"]
    if table not in TABLES:
        return view.render("failed.html.j2", status=404, faults=[view.speech("page.missing")])
    found = await outlook_of(view)
    words = folded(str(view.query.get("q", ""))[:200]).split()
    shown = {"active": "reports", "table": table, "tables": TABLES, "summary": found.summary, "days": WITHIN_DAYS}
    if table == "performance":
        ranked = [
            row
            for row in performance_rows(found.portfolio)
            if all(word in folded(f"{row.client}\n{row.display_name}\n{row.metric.display_name}") for word in words)
        ]
        return view.render("performance.html.j2", page=page_of(ranked, _number(view), PAGE_SIZE), **shown)
    rows = [
        row
        for row in _rows(found, table)
        if all(word in folded("\n".join((row.client, row.display_name, row.order_id, row.product))) for word in words)
    ]
    return view.render("report.html.j2", page=page_of(rows, _number(view), PAGE_SIZE), columns=COLUMNS[table], **shown)


async def trends(request: Request) -> Response:
    """GET /trends."""
    view = await View.of(request)
    found = await outlook_of(view)
    metrics = sorted(declared_metrics(found.portfolio))
    chosen, faults = str(view.query.get("metric", "")), []
    rows: list[MetricRow] = []
    if chosen:
        try:
            rows = metric_rows(found.portfolio, chosen)
        except InputError as error:
            faults = explain(error)
    return view.render(
        "trends.html.j2",
        active="trends",
        charts=usage_charts(found.usage, view.speech),
        metrics=metrics,
        chosen=chosen,
        faults=faults,
        metric_chart=_metric_chart(rows),
        page=page_of(sorted(rows, key=lambda row: row.client), _number(view), PAGE_SIZE),
        missed=found.summary.missed_weeks,
    )


MOST_LINES = 3


def _metric_chart(rows: Sequence[MetricRow]) -> Chart | None:
    """The clients with the highest latest values: more lines than a person tells apart say nothing."""
    known = [row for row in rows if row.latest is not None]
    if not known:
        return None
    top = sorted(known, key=lambda row: row.latest or Decimal(0), reverse=True)[:MOST_LINES]
    weeks = [entry.week for entry in top[0].weeks]
    lines = [
        (row.display_name or row.client, [None if one.value is None else float(one.value) for one in row.weeks])
        for row in top
    ]
    info = top[0].metric
    return Chart(f"{info.display_name} ({info.unit})", weeks, lines)
