"""`list`: the clients of an agency at a glance (FEATURES Z12, W1, W4, S12)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from clientorg.cli import clock
from clientorg.cli.app import command
from clientorg.cli.columns import csv_text, header, row_cells
from clientorg.cli.options import PlansFlag, PoolsFlag, SelectorFlag, StatesFlag, TagsFlag, Target
from clientorg.cli.rows import ClientRow, client_row
from clientorg.cli.selection import Selection, known_values, several, sorter
from clientorg.cli.session import connect
from clientorg.cli.table import as_document, as_list, table, without_managed_fields
from clientorg.cli.terminal import colored, note, say
from clientorg.cli.watching import LIST_TRIES, PAGE

Json = dict[str, Any]


class Output(StrEnum):
    """How the clients are printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    NAME = "name"


@dataclass(frozen=True)
class View:
    """What to show and how."""

    output: Output
    headers: bool
    namespace: str | None
    selection: Selection
    order: Callable[[list[ClientRow]], list[ClientRow]]

    @property
    def all_namespaces(self) -> bool:
        """Whether rows need their namespace."""
        return self.namespace is None

    @property
    def wants_objects(self) -> bool:
        """Whether the objects themselves are printed, not what we read from them."""
        return self.output in (Output.JSON, Output.YAML)

    def header(self) -> list[str]:
        """Headings of the table."""
        return header(wide=self.output is Output.WIDE, namespaces=self.all_namespaces)

    def cells(self, row: ClientRow, now: datetime) -> Sequence[Any]:
        """Cells of a row of the table."""
        return row_cells(row, now, wide=self.output is Output.WIDE, namespaces=self.all_namespaces)


@command(
    "list",
    examples="""
    # The clients of the agency, as a table
    $
    # Those that wait or work on something, with the reason
    $ --state provisioning -o wide
    # VIP clients of two plans, fullest first
    $ --plan standard --plan premium --tag vip --sort-by=-percent
    # Find one by name, company, email, Org ID or tag; in every namespace
    $ -A --search 'sato acme'
    # A spreadsheet; watch live
    $ -o csv > clients.csv
    $ --watch
    """,
)
async def list_clients(
    target: Target,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TABLE,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="The clients of all agencies.")
    ] = False,
    selector: SelectorFlag = None,
    field_selector: Annotated[
        str | None,
        typer.Option(
            "--field-selector",
            metavar="QUERY",
            help="Field selector, for example spec.contact.email=yuki@acme.example.",
        ),
    ] = None,
    state: StatesFlag = None,
    plan: PlansFlag = None,
    pool: PoolsFlag = None,
    tag: TagsFlag = None,
    search: Annotated[
        str,
        typer.Option(
            "--search",
            metavar="WORDS",
            help="Only where all words occur in name, display name, organization, contact, email, Org ID or tags.",
        ),
    ] = "",
    sort_by: Annotated[
        str | None,
        typer.Option(
            "--sort-by", metavar="COLUMN", help="Order: name, state, plan, age, used, percent … (-used: down)."
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on and show changes: a live table on a terminal, else lines.")
    ] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Print no headings.")] = False,
) -> None:
    """List clients with their state and licenses.

    Shows plan, licenses used, granted and remaining; -o wide adds the derived statuses (as ExpiringSoon), contact,
    workspace and what the operator says.
    """
    from clientorg.api.clientorg import OrgState

    selection = Selection(
        states=known_values("--state", "state", several(state), [*OrgState]),
        plans=several(plan),
        pools=several(pool),
        tags=several(tag),
        search=search,
        label_selector=selector,
        field_selector=field_selector,
    )
    order = sorter(sort_by)
    async with connect(target) as session:
        namespace = None if all_namespaces else session.namespace
        view = View(output, not no_headers, namespace, selection, order)
        if watch:
            from clientorg.cli.listwatch import watch_clients

            await watch_clients(session.api, view)
        else:
            await _print_once(session.api, view)


async def _print_once(api: Any, view: View) -> None:
    rows, objects = await _gather(api, view)
    rows = view.order(rows)
    print_rows(rows, objects, view)
    if not rows:
        note(nothing_found(view))


async def _gather(api: Any, view: View) -> tuple[list[ClientRow], dict[tuple[str, str], Json]]:
    """The selected rows, and the objects too where they are wanted: 10,000 objects take 100 MB, their rows 10."""
    from clientorg.cluster.resources import CLIENT_ORGS
    from clientorg.errors import GoneError

    wanted = view.selection.matcher()
    for attempt in range(LIST_TRIES):
        rows: list[ClientRow] = []
        objects: dict[tuple[str, str], Json] = {}
        try:
            async for page in api.list_pages(
                CLIENT_ORGS,
                view.namespace,
                label_selector=view.selection.label_selector,
                field_selector=view.selection.server_fields,
                chunk=PAGE,
            ):
                for item in page["items"]:
                    row = client_row(item)
                    if wanted(row):
                        rows.append(row)
                        if view.wants_objects:
                            objects[row.key] = without_managed_fields(item)
            break
        except GoneError:  # the list took so long that its snapshot expired: begin anew
            if attempt == LIST_TRIES - 1:
                raise
    return rows, objects


def print_rows(rows: list[ClientRow], objects: dict[tuple[str, str], Json], view: View) -> None:
    """Print rows in the wanted form."""
    if view.wants_objects:
        whole = as_list([objects[row.key] for row in rows])
        sys.stdout.write(as_document(whole, yaml=view.output is Output.YAML))
    elif view.output is Output.CSV:
        sys.stdout.write(csv_text(rows, headers=view.headers))
    elif view.output is Output.NAME:
        for row in rows:
            say(name_line(row))
    elif rows:
        now = clock.now()
        body = [view.cells(row, now) for row in rows]
        for text in table(view.header(), body, color=colored(sys.stdout), headers=view.headers):
            say(text)


def name_line(row: ClientRow) -> str:
    """As kubectl prints names."""
    return f"clientorg.clientorg.dev/{row.name}"


def nothing_found(view: View) -> str:
    """What an empty list means."""
    where = "in any namespace" if view.namespace is None else f"in namespace {view.namespace}"
    return f"No clients {where}{' match these filters' if view.selection.is_narrow else ''}."
