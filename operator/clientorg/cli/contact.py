"""`edit-contact`: change what is given, show before and after (FEATURES Z4)."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from clientorg.cli import fields as f
from clientorg.cli.app import command
from clientorg.cli.gitguard import guard
from clientorg.cli.options import PROGRAM, DryRun, DryRunFlag, ForceFlag, Target
from clientorg.cli.session import connect
from clientorg.cli.table import Cell, cells, table
from clientorg.cli.terminal import colored, say
from clientorg.cli.text import joined, plain
from clientorg.errors import ConflictError, InputError

Json = dict[str, Any]

TRIES = 5


@command(
    "edit-contact",
    examples="""
    # Only what is given changes
    $ acme --email keiko@acme.example --first-name Keiko
    # An empty value takes an optional field away; see the difference first
    $ acme --phone '' --dry-run
    """,
)
async def edit_contact(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.")],
    display_name: f.DisplayName = None,
    first_name: f.FirstName = None,
    last_name: f.LastName = None,
    email: f.Email = None,
    language: f.Language = None,
    phone: f.Phone = None,
    organization: f.Organization = None,
    industry: f.Industry = None,
    street: f.Street = None,
    city: f.City = None,
    region: f.Region = None,
    postal_code: f.PostalCode = None,
    country: f.Country = None,
    force: ForceFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Change the contact data of a client.

    Only what is given changes; the difference is shown.
    """
    given = locals()
    wanted = {item: given[item.name] for item in f.FIELDS if given[item.name] is not None}
    if not wanted:
        flags = joined((item.flag for item in f.FIELDS), "or")
        raise InputError(f"say what to change: {flags}; see {PROGRAM} edit-contact --help")
    emptied = [item.flag for item, value in wanted.items() if item.required and not value.strip()]
    if emptied:
        raise InputError(f"{joined(emptied)}: required, so it cannot be taken away; give a value")

    from clientorg.cluster.resources import CLIENT_ORGS

    async with connect(target) as session:
        for attempt in range(TRIES):
            client = await session.api.get(CLIENT_ORGS, session.namespace, name)
            changes = differences(client["spec"], wanted)
            if not changes:
                say(f"clientorg.clientorg.dev/{name} unchanged: it is so already")
                return
            if attempt == 0:
                guard([(client, contact_patch(client, changes))], force=force, dry_run=dry_run)
            try:
                if dry_run is not DryRun.CLIENT:
                    patch = contact_patch(client, changes)
                    only_try = dry_run is DryRun.SERVER
                    await session.api.patch(CLIENT_ORGS, session.namespace, name, patch, dry_run=only_try)
            except ConflictError:  # somebody, perhaps the operator, wrote meanwhile: compare anew
                if attempt == TRIES - 1:
                    raise
                continue
            for text in difference_table(changes, color=colored(sys.stdout)):
                say(text)
            say(f"clientorg.clientorg.dev/{name} edited{dry_run.suffix}")
            return


Changes = dict[f.Field, tuple[str | None, str | None]]


def differences(spec: Json, wanted: dict[f.Field, str]) -> Changes:
    """For each field that differs, what it is and what it is to be; None for absent."""
    changes: Changes = {}
    for field, value in wanted.items():
        before, after = f.get_in(spec, field.path), value.strip() or None
        if before != after:
            changes[field] = (before, after)
    return changes


def contact_patch(client: Json, changes: Changes) -> Json:
    """A merge patch of the changed fields, for that very version of the client only."""
    spec: Json = {}
    for field, (_, after) in changes.items():
        f.put_in(spec, field.path, after)
    return {"metadata": {"resourceVersion": client["metadata"]["resourceVersion"]}, "spec": spec}


def difference_table(changes: Changes, *, color: bool) -> list[str]:
    """Before and after, field by field."""
    body = [
        cells(field.dotted, Cell(plain(before or "-"), "red"), Cell(plain(after or "-"), "green"))
        for field, (before, after) in changes.items()
    ]
    return list(table(["FIELD", "BEFORE", "AFTER"], body, color=color))
