"""From the API server to a printed report."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from clientorg.cli import clock
from clientorg.cli.exportflags import Tongue, language_for
from clientorg.cli.exporting import read_rows
from clientorg.cli.options import Target
from clientorg.cli.outfile import Destination
from clientorg.cli.reportflags import Filters, Output, ordered
from clientorg.cli.session import Session, connect
from clientorg.cli.table import Cell, as_document, cells, table
from clientorg.cli.terminal import colored, note
from clientorg.cli.text import number
from clientorg.domain.timestamps import rfc3339

if TYPE_CHECKING:
    from clientorg.reports.language import Language
    from clientorg.reports.portfolio import Filter
    from clientorg.reports.portfolio_read import Portfolio
    from clientorg.reports.table import Table

Json = dict[str, Any]
_NO_SELECTOR: dict[str, str | None] = {}


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    report: str
    within: int
    as_of: datetime | None
    filters: Filters
    sort_by: str | None
    output: Output
    file: str | None
    force: bool
    metric: str = ""


async def show(
    target: Target, request: Request, tongue: Tongue | None, zone: ZoneInfo, *, all_namespaces: bool
) -> None:
    """Read, compute, print.

    Raises:
        InputError: a flag says what there is not.
        ClientOrgError: the server refuses or does not answer.
    """
    wanted = request.filters.checked()
    now = clock.now()
    reader = language_for(tongue, zone)
    _check_sort(request)
    destination = None
    if request.file is not None or request.output in (Output.CSV, Output.XLSX, Output.HTML):
        is_text = request.output is not Output.XLSX
        destination = Destination(request.file, force=request.force, is_text=is_text, flag="--file")
    gc.disable()  # nothing of the millions of small objects is garbage before the end, which comes at once
    async with connect(target) as session:
        namespace = None if all_namespaces else session.namespace
        everything = await read_portfolio(session, namespace, now, request.as_of)
    from clientorg.reports.portfolio_filter import filtered

    portfolio = filtered(everything, wanted)
    rows, whole = _rows(portfolio, request)
    _print(rows, whole, portfolio, request, reader, destination)
    _tell(rows, everything, wanted, "any namespace" if namespace is None else f"namespace {namespace}")


async def read_portfolio(session: Session, namespace: str | None, now: datetime, as_of: datetime | None) -> Portfolio:
    """The portfolio, from three lists of the API server that are read at the same time."""
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, SUBSCRIPTIONS
    from clientorg.reports.portfolio_read import portfolio, read_client, read_plan, read_subscriptions

    clients, subscriptions, plans = await asyncio.gather(
        read_rows(session, CLIENT_ORGS, namespace, _NO_SELECTOR, read_client),
        read_rows(session, SUBSCRIPTIONS, namespace, _NO_SELECTOR, lambda item: read_subscriptions([item])),
        read_rows(session, ORG_PLANS, namespace, _NO_SELECTOR, lambda item: (_key(item), read_plan(item))),
    )
    return portfolio(clients, [item for found in subscriptions for item in found], dict(plans), now, as_of)


def _key(item: Json) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _model(request: Request) -> type:
    from clientorg.reports.portfolio import LicenseRow, MetricRow, PerformanceRow, UsageRow

    models: dict[str, type] = {"usage": UsageRow, "performance": PerformanceRow, "metric": MetricRow}
    return models.get(request.report, LicenseRow)


def _check_sort(request: Request) -> None:
    """Before anything is asked for."""
    if request.report != "summary":
        ordered([], request.sort_by, _model(request))
    elif request.sort_by is not None:
        from clientorg.errors import InputError

        raise InputError("--sort-by: the summary has one line for each figure; leave it out")


def _rows(portfolio: Portfolio, request: Request) -> tuple[list[Any], Any]:
    """The rows of the report; of the summary it as a whole."""
    from clientorg.reports import portfolio_rows as r
    from clientorg.reports import portfolio_trends as t

    if request.report in ("usage", "performance", "metric"):
        found: list[Any]
        if request.report == "usage":
            found = list(t.usage_rows(portfolio))
        elif request.report == "performance":
            found = list(t.performance_rows(portfolio))
        else:
            found = list(t.metric_rows(portfolio, request.metric))
        return ordered(found, request.sort_by, _model(request)), None
    rows = r.license_rows(portfolio)
    match request.report:
        case "summary":
            return [], r.summary(portfolio, rows, request.within)
        case "recent":
            rows = r.recent(rows, request.within)
        case "expiring":
            rows = r.expiring(rows, request.within)
        case "renewing":
            rows = r.renewing(rows, request.within)
        case "low-allocation":
            rows = r.low_allocation(rows, portfolio)
        case _:
            rows = r.over_limit(rows)
    return ordered(rows, request.sort_by, _model(request)), None


def _table(rows: list[Any], whole: Any, request: Request, reader: Language, *, is_file: bool) -> Table[Any]:
    from clientorg.reports import portfolio_tables as tables

    match request.report:
        case "summary":
            return tables.summary_table(whole, reader)
        case "usage":
            return tables.usage_table(rows, reader)
        case "performance":
            return tables.performance_table(rows, reader)
        case "metric":
            return tables.metric_table(rows, reader)
    return tables.license_table(request.report, rows, reader, whole=is_file)


def _print(
    rows: list[Any],
    whole: Any,
    portfolio: Portfolio,
    request: Request,
    reader: Language,
    destination: Destination | None,
) -> None:
    if request.output in (Output.JSON, Output.YAML):
        _put(destination, _document(rows, whole, portfolio, request).encode())
    elif request.output is Output.TABLE:
        shown = _table(rows, whole, request, reader, is_file=False)
        is_colored = destination is None and colored(sys.stdout)
        lines = table(shown.headings, _texts(shown), color=is_colored) if shown.rows else ()
        _put(destination, "".join(f"{line}\n" for line in lines).encode())
    elif destination is not None:
        _write(_table(rows, whole, request, reader, is_file=True), request, portfolio, reader, destination)


def _document(rows: list[Any], whole: Any, portfolio: Portfolio, request: Request) -> str:
    from clientorg.reports.portfolio_document import document, rows_document

    out = rows_document(request.report, portfolio.as_of, request.filters.document(), rows)
    if whole is not None:
        del out["rows"]
        out["summary"] = document(whole)
    elif request.within:
        out["withinDays"] = request.within
    return as_document(out, yaml=request.output is Output.YAML)


def _texts(shown: Table[Any]) -> list[list[Cell]]:
    numbers = [column.kind in ("number", "decimal") for column in shown.columns]
    return [
        [_cell(value, right=right) for value, right in zip(shown.cells(row), numbers, strict=True)]
        for row in shown.rows
    ]


def _cell(value: Any, *, right: bool) -> Cell:
    if value is None:
        return Cell("-", right=right)
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int):
        return Cell(number(value), right=True)
    if isinstance(value, Decimal):
        return Cell(f"{value:,}", right=True)
    if isinstance(value, datetime):
        return Cell(value.strftime("%Y-%m-%d %H:%M"))
    return cells(value.isoformat() if isinstance(value, date) else value)[0]


def _put(destination: Destination | None, data: bytes) -> None:
    if destination is None:
        sys.stdout.write(data.decode())
        return
    with destination.open() as stream:
        stream.write(data)


def _write(
    shown: Table[Any], request: Request, portfolio: Portfolio, reader: Language, destination: Destination
) -> None:
    from clientorg.cli.exporting import write_table
    from clientorg.reports.portfolio_page import table_page

    if request.output is Output.HTML:
        page = table_page(shown, reader, portfolio.as_of)
        _put(destination, page.encode())
        return
    write_table(replace(shown, rows=list(shown.rows)), request.output.value, destination, bom=False)


def _tell(rows: Iterable[Any], everything: Portfolio, wanted: Filter, where: str) -> None:
    """Why there is nothing, and what is missing; on standard error."""
    if everything.is_past and everything.clients and not any(item.licenses for item in everything.clients):
        note(
            f"There is no weekly snapshot of {rfc3339(everything.as_of)}: what was granted and used then is not known."
        )
    if not everything.holdings:
        note(f"No clients and no orders in {where}.")
    elif not list(rows) and wanted.is_narrow:
        note("Nothing matches these filters.")
