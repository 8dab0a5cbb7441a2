"""`ledger verify` and `ledger export`: whether the books are right, and all of them as data (FEATURES X3, S12)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from clientorg.cli.app import command, group
from clientorg.cli.dates import Calendar
from clientorg.cli.exits import ExitCode
from clientorg.cli.history import parse_moment
from clientorg.cli.options import Target
from clientorg.cli.session import connect
from clientorg.cli.table import Cell, as_document, cells, table
from clientorg.cli.terminal import colored, say
from clientorg.cli.text import number, plain, plural
from clientorg.cli.watching import list_objects
from clientorg.domain.points_record import status_points
from clientorg.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    from clientorg.cli.session import Session
    from clientorg.domain.ledger_audit import Audit
    from clientorg.reports.ledger import LedgerRow

Json = dict[str, Any]

TRIES, PAUSE_SECONDS = 3, 1.0

group(
    "ledger",
    """Verify and export the points ledger.

    Every movement of points is an entry from one account to another. Entries never change.
    """,
    examples="""
    # Do all balances equal their entries? Is every charge right, and none missing?
    $ verify
    # All entries, for a spreadsheet
    $ export --format csv > ledger.csv
    """,
)

AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="The ledgers of all agencies.")]


class Output(StrEnum):
    """How an audit is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@command(
    "ledger verify",
    examples="""
    # Exit code 0: everything holds; 1: something does not, and what
    $
    # Every agency, for a monitor
    $ -A -o json
    """,
)
async def verify(
    target: Target,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TABLE,
    all_namespaces: AllNamespaces = False,
) -> None:
    """Check the ledger against its rules.

    Each rule with how many things were checked, and what does not hold. Reads only; needs the right to list
    pointtransactions, quotapools and clientorgs.
    """
    async with connect(target, timeout_seconds=120) as session:
        audits = await _audits(session, None if all_namespaces else session.namespace)
    if output is Output.TABLE:
        for text in lines(audits, namespaces=all_namespaces, color=colored(sys.stdout)):
            say(text)
    else:
        whole = {"agencies": [document(name, one) for name, one in audits.items()]}
        shown = whole if all_namespaces else whole["agencies"][0]
        sys.stdout.write(as_document(shown, yaml=output is Output.YAML))
    if any(one.findings for one in audits.values()):
        sys.stdout.flush()
        raise typer.Exit(ExitCode.FAILED)


async def _audits(session: Session, namespace: str | None) -> dict[str, Audit]:
    """The audit of each agency, by its namespace: no entry reaches from one into another.

    The lists are not of one moment, and a client's status follows its entries. So what is found is looked at again:
    only what is still there then is a violation, and not something that was just being written.
    """
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        is_still, audits = await _look(session, namespace)
        if is_still and not any(one.findings for one in audits.values()):
            break
    return audits


async def _look(session: Session, namespace: str | None) -> tuple[bool, dict[str, Audit]]:
    """Whether nothing was posted meanwhile, and the audits."""
    from clientorg.cluster.resources import CLIENT_ORGS, POINT_TRANSACTIONS, QUOTA_POOLS
    from clientorg.domain.ledger_audit import audit

    (pools, _), (clients, _) = await asyncio.gather(
        *(list_objects(session.api, resource, namespace) for resource in (QUOTA_POOLS, CLIENT_ORGS))
    )
    transactions, _ = await list_objects(session.api, POINT_TRANSACTIONS, namespace)
    after, _ = await list_objects(session.api, QUOTA_POOLS, namespace)
    is_still = _heads(pools) == _heads(after)
    if namespace is not None:
        return is_still, {namespace: audit(transactions, pools, clients)}
    parts = [_by_namespace(items) for items in (transactions, pools, clients)]
    names = sorted({name for part in parts for name in part})
    return is_still, {name: audit(*(part.get(name, []) for part in parts)) for name in names}


def _heads(pools: Iterable[Json]) -> list[Any]:
    """What tells that nothing was posted between two looks."""
    return [
        (pool["metadata"]["uid"], points.get("entries"), points.get("inFlight"))
        for pool in pools
        for points in [status_points(pool)]
    ]


def _by_namespace(items: Iterable[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for item in items:
        found.setdefault(item["metadata"]["namespace"], []).append(item)
    return found


def lines(audits: Mapping[str, Audit], *, namespaces: bool, color: bool) -> Iterator[str]:
    """The rules, then what does not hold."""
    body = []
    for namespace, one in audits.items():
        for name, count in one.checked.items():
            wrong = sum(finding.invariant == name for finding in one.findings)
            verdict = Cell(f"{number(wrong)} violated", "red") if wrong else Cell("ok", "green")
            row = cells(name, Cell(number(count), right=True), verdict)
            body.append([Cell(plain(namespace)), *row] if namespaces else row)
    top = ["RULE", "CHECKED", "RESULT"]
    yield from table(["NAMESPACE", *top] if namespaces else top, body, color=color)
    found = [(namespace, finding) for namespace, one in audits.items() for finding in one.findings]
    if not found:
        yield f"The {'ledgers hold' if len(audits) != 1 else 'ledger holds'}."
        return
    yield ""
    for namespace, finding in found:
        where = f"{namespace}/" if namespaces else ""
        yield f"{finding.invariant}: {plain(where + finding.object)}: {plain(finding.message)}"
    yield f"{plural(len(found), 'violation')}."


def document(namespace: str, one: Audit) -> Json:
    """For -o json and yaml."""
    return {
        "namespace": namespace,
        "ok": not one.findings,
        "checked": dict(one.checked),
        "findings": [
            {"invariant": finding.invariant, "object": finding.object, "message": finding.message}
            for finding in one.findings
        ],
        "balances": dict(one.balances),
    }


# -- export -----------------------------------------------------------------------------------------------------------


class Format(StrEnum):
    """What the ledger is exported as."""

    CSV = "csv"
    JSON = "json"


_FIELDS = (
    *("namespace", "pool", "entry", "postedTime", "name", "kind", "from", "to", "amount", "orgID", "period"),
    *("reverses", "reason", "reference", "requestedBy", "plan", "planGeneration", "users", "includedUsers"),
    *("basePoints", "pointsPerExtraUser", "proratedDays", "periodDays", "previousPeriod"),
)


@command(
    "ledger export",
    examples="""
    # Every posted entry of the agency
    $ --format csv > ledger.csv
    # One pool, one quarter
    $ --pool tokyo --since 2026-10-01 --until 2027-01-01 --format json
    """,
)
async def export(
    target: Target,
    format_: Annotated[Format, typer.Option("--format", help="csv or json.")] = Format.CSV,
    pool: Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Only the ledger of this pool.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Posted from then on (UTC).")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Posted before then (UTC).")] = None,
    all_namespaces: AllNamespaces = False,
) -> None:
    """Print all posted entries, in their order.

    By namespace, pool and number, in English and UTC whoever asks, so that the same ledger is always the same text. For
    a workbook, or in another language: export ledger.
    """
    from clientorg.cli.exporting import read_rows, tell, write_table
    from clientorg.cli.outfile import Destination
    from clientorg.cluster.resources import POINT_TRANSACTIONS
    from clientorg.reports.language import Language, Tongue
    from clientorg.reports.ledger import is_posted, ledger_row, ledger_table

    span = parse_moment(since, "--since", Calendar()), parse_moment(until, "--until", Calendar())
    if span[0] is not None and span[1] is not None and span[0] >= span[1]:
        raise InputError("--until: it is not after --since, so nothing can be between them")

    def read(item: Json) -> tuple[LedgerRow, Json] | None:
        row = ledger_row(item) if is_posted(item) else None
        if row is None or pool not in (None, row.pool) or not _is_between(row.posted, *span):
            return None
        return row, record(item) if format_ is Format.JSON else {}

    async with connect(target, timeout_seconds=120) as session:
        namespace = None if all_namespaces else session.namespace
        found = await read_rows(session, POINT_TRANSACTIONS, namespace, {}, read)
    found.sort(key=lambda pair: pair[0].order)
    if format_ is Format.JSON:
        sys.stdout.write(as_document({"entries": [entry for _, entry in found]}, yaml=False))
        return
    destination = Destination(None, force=False, is_text=True)
    table_ = ledger_table([row for row, _ in found], Language(Tongue.ENGLISH, ZoneInfo("UTC")))
    tell(write_table(table_, format_.value, destination, bom=False), "entry", destination)


def _is_between(posted: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    if posted is None:
        return since is None and until is None
    return (since is None or posted >= since) and (until is None or posted < until)


def record(item: Json) -> Json:
    """A posted entry as a flat record in the words of the API; what it does not have is None."""
    spec = item["spec"]
    known = {**item["metadata"], **(spec.get("charge") or {}), **spec, **(item.get("status") or {})}
    return {name: known.get(name) for name in _FIELDS}
