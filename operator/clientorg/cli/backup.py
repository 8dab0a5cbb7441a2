"""`backup` and `restore`: an agency's clients and ledger in a file, and back, also in another cluster (X1)."""

from __future__ import annotations

from typing import Annotated

import typer

from clientorg.cli.app import command
from clientorg.cli.options import DryRun, DryRunFlag, Target


@command(
    "backup",
    examples="""
    # One agency, or all of them
    $ -n agency-tokyo > agency-tokyo.yaml
    $ -A --json --output all.json
    """,
)
async def back_up(
    target: Target,
    file: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Write to this file; default: standard output.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of YAML.")] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="All agencies.")] = False,
    replace: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write clients, pools, plans, approvals, ledger and usage to a file.

    Everything that `restore` needs, as `kubectl get -o yaml` would write it, with status. What runs in workspaces and
    its data is not in it: for that take a tool such as Velero.
    """
    from clientorg.cli.backupflow import back_up

    await back_up(target, file, as_json=as_json, all_namespaces=all_namespaces, overwrite=replace)


@command(
    "restore",
    examples="""
    # What would be created? The server checks everything, nothing is changed
    $ -f agency-tokyo.yaml --dry-run
    # Into an empty cluster, while no operator runs
    $ -f agency-tokyo.yaml
    # From kubectl, or from the files of a Velero backup
    $ -f clients.yaml -f transactions.yaml
    """,
)
async def restore(
    target: Target,
    files: Annotated[
        list[str],
        typer.Option("--filename", "-f", metavar="FILE", help="The backup; - is stdin (repeatable)."),
    ],
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Create what a backup has: with the same Org IDs, balances, decisions and dates.

    Objects that are there already stay as they are, so that it can be repeated. Takes the rights of a cluster admin:
    Org IDs and others' decisions (the verb `restore`), status, and to act as the operator, whose charges nobody else
    may create.
    """
    from clientorg.cli.backupflow import restore

    await restore(target, files, dry_run=dry_run)
