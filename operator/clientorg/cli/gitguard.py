"""No command edits behind Git's back: it says who owns the object, and prints the patch to commit (X1).

Git would undo the change at its next sync, some minutes after the command said that it was done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from clientorg.cli.exits import GitManagedError
from clientorg.cli.gitowner import GitOwner, git_owner, patch_to_commit
from clientorg.cli.options import PROGRAM, DataOutput, DryRun
from clientorg.cli.table import as_document
from clientorg.cli.terminal import warn
from clientorg.cli.text import plain

Json = dict[str, Any]


def guard(
    changes: Iterable[tuple[Json, Json]],
    *,
    force: bool,
    dry_run: DryRun = DryRun.NONE,
    output: DataOutput = DataOutput.TABLE,
    then: str = "",
) -> None:
    """Let a command go on only where no object that it would change is managed by Git.

    Args:
        changes: objects, and the merge patches that would be written into them. If Git manages one of them, the patches
            of all that it manages are printed, and none is written.
        force: go on, with a warning.
        dry_run: anything but none goes on, with a note: nothing is changed.
        then: what else is to be done in Git.

    Raises:
        GitManagedError: Git manages an object; the patches were printed on standard output.
    """
    owned = [(item, owner, patch) for item, patch in changes if (owner := git_owner(item)) is not None]
    if not owned:
        return
    who = "\n".join(
        f"{plain(_named(item))} is managed by {plain(str(owner))} ({owner.evidence})" for item, owner, _ in owned
    )
    if force:
        warn(f"{who}: unless it is committed to Git as well, this change is undone at the next sync")
        return
    if dry_run is not DryRun.NONE:
        warn(f"{who}: without --dry-run this prints the patch to commit, and changes nothing unless --force is given")
        return
    _print([patch_to_commit(item, patch) for item, _, patch in owned], output)
    raise GitManagedError(_refusal(who, owned[0][0], owned[0][1], then))


def _named(item: Json) -> str:
    return f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


def _print(patches: list[Json], output: DataOutput) -> None:
    """Alone on standard output, so that it can go into a file of the repository."""
    if output is DataOutput.JSON:
        whole = patches[0] if len(patches) == 1 else {"apiVersion": "v1", "kind": "List", "items": patches}
        sys.stdout.write(as_document(whole, yaml=False))
    else:
        sys.stdout.write("---\n".join(as_document(patch, yaml=True) for patch in patches))
    sys.stdout.flush()


def _refusal(who: str, item: Json, owner: GitOwner, then: str) -> str:
    name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
    lines = [
        f"{who}, so nothing was changed: Git would undo it. Commit the patch above to its repository{then}",
    ]
    if item["kind"] == "ClientOrg":
        lines.append(
            f"  to stop a client at once, in a way that Git does not undo:  {PROGRAM} hold {name} -n {namespace} "
            "--reason WHY"
        )
    lines.append(f"  to change the cluster all the same, until {owner.tool} syncs:  add --force")
    return "\n".join(lines)
