"""`delete`: for ever, so it takes the client's name twice (FEATURES Z10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.api.meta import ANNOTATION_CONFIRM_DELETION
from clientorg.cli.app import command
from clientorg.cli.gitguard import guard
from clientorg.cli.options import PROGRAM, DryRun, DryRunFlag, ForceFlag, Target
from clientorg.cli.rows import ClientRow, client_row, condition
from clientorg.cli.session import LICENSE_WARNINGS, connect
from clientorg.cli.terminal import note, say
from clientorg.cli.text import joined, number, parse_duration, plain
from clientorg.cli.waiting import wait_until
from clientorg.errors import ClientOrgError, ConflictError, ForbiddenError, InputError, NotFoundError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

TRIES = 5


@command(
    "delete",
    examples="""
    # What would be lost? Nothing is changed
    $ acme --dry-run
    # Delete it: workspace, data and all; waits until it is gone
    $ acme --confirm acme
    # Do not wait, or not for long
    $ acme --confirm acme --wait=false
    $ acme --confirm acme --timeout 2m
    """,
)
async def delete_client(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.")],
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="NAME", help="The client's name once more; without it, nothing.")
    ] = None,
    wait: Annotated[str, typer.Option("--wait", metavar="[=true|false]", help="Wait until it is gone.")] = "true",
    how_long: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long to wait; then exit code 3.")
    ] = "10m",
    force: ForceFlag = False,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Delete a client and its data, for ever.

    At once and permanently, with its workspace; its licenses return to the pool.
    """
    from clientorg.cluster.resources import CLIENT_ORGS

    if wait not in ("true", "false"):
        raise InputError("--wait: true or false; how long is said with --timeout")
    seconds = parse_duration(how_long, "--timeout")
    async with connect(target) as session:
        session.warnings.muted_policies.add(LICENSE_WARNINGS)
        client = await session.api.get(CLIENT_ORGS, session.namespace, name)
        row = client_row(client)
        if dry_run is not DryRun.NONE or confirm == name:
            _guard(client, force=force, dry_run=dry_run)
        if dry_run is not DryRun.NONE:
            await _rehearse(session, client, dry_run)
            for text in losses(row):
                say(text)
            say(f"clientorg.clientorg.dev/{name} deleted{dry_run.suffix}")
            return
        if confirm != name:
            raise InputError("\n".join(refusal(row, confirm)))
        if not client["metadata"].get("deletionTimestamp"):
            client = await _confirm(session, client)
            await _delete(session, client)
        if wait == "false":
            say(f"clientorg.clientorg.dev/{name} is being deleted")
            return
        await _wait(session, client, seconds)
        say(f"clientorg.clientorg.dev/{name} deleted")


def losses(row: ClientRow) -> Iterator[str]:
    """What goes with the client, line by line."""
    title = f" ({plain(row.display_name)})" if row.display_name else ""
    yield f"Deleting {row.name}{title} is immediate and permanent. What goes:"
    if row.workspace:
        yield f"  its workspace: namespace {row.workspace}, with every workload and all data in it"
    else:
        yield "  its workspace, with every workload and all data in it (none is reported yet)"
    held = [f"{number(item.granted)} {item.name}" for item in row.licenses if item.granted]
    if held:
        used = [f"{number(item.used)} {item.name}" for item in row.licenses if item.used]
        yield f"  its licenses: {joined(held)} return to pool {row.pool}" + (
            f" ({joined(used)} in use)" if used else ""
        )
    if row.org_id:
        yield f"  its Org ID {row.org_id}, which is never given out again"
    yield f"  its contact data, admins and history (a copy: {PROGRAM} list -n {row.namespace} -o yaml)"


def refusal(row: ClientRow, confirm: str | None) -> Iterator[str]:
    """Why nothing was deleted, what would be lost, and the command that does it."""
    if confirm is None:
        yield f"nothing was deleted: --confirm {row.name} is missing"
    else:
        yield f"nothing was deleted: --confirm says {plain(confirm)!r}, the client is {row.name!r}"
    yield from losses(row)
    yield f"To delete it:  {PROGRAM} delete {row.name} -n {row.namespace} --confirm {row.name}"


async def _rehearse(session: Session, client: Json, dry_run: DryRun) -> None:
    """Ask the server about both steps; of the second the right, for a dry run of it lacks the confirmation.

    Raises:
        ForbiddenError: a right is missing.
    """
    from clientorg.cluster.resources import CLIENT_ORGS

    if dry_run is DryRun.CLIENT:
        return
    name = client["metadata"]["name"]
    await session.api.patch(CLIENT_ORGS, session.namespace, name, _confirmation(client), dry_run=True)
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {
            "resourceAttributes": {
                "group": CLIENT_ORGS.group,
                "resource": CLIENT_ORGS.plural,
                "verb": "delete",
                "namespace": session.namespace,
                "name": name,
            }
        },
    }
    answer = await session.api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", None, review)
    if not answer["status"].get("allowed"):
        raise ForbiddenError(403, "Forbidden", f"you may not delete {CLIENT_ORGS.plural} in {session.namespace}")


def _guard(client: Json, *, force: bool, dry_run: DryRun) -> None:
    """Git would make a client that it has anew, with another Org ID and nothing in its workspace.

    Raises:
        GitManagedError: Git manages the client; nothing was deleted.
    """
    then = (
        ". When it is synced, take the client's manifest out: the prune then carries the confirmation, and deletes it"
    )
    guard([(client, _confirmation(client))], force=force, dry_run=dry_run, then=then)


def _confirmation(client: Json) -> Json:
    metadata = client["metadata"]
    return {
        "metadata": {
            "resourceVersion": metadata["resourceVersion"],
            "annotations": {ANNOTATION_CONFIRM_DELETION: metadata["name"]},
        }
    }


async def _confirm(session: Session, client: Json) -> Json:
    """Annotate this very client; a status written meanwhile is no reason to stop, another client of its name is."""
    from clientorg.cluster.resources import CLIENT_ORGS

    name, uid = client["metadata"]["name"], client["metadata"]["uid"]
    for attempt in range(TRIES):
        try:
            return await session.api.patch(CLIENT_ORGS, session.namespace, name, _confirmation(client))
        except ConflictError:
            if attempt == TRIES - 1:
                raise
            client = await session.api.get(CLIENT_ORGS, session.namespace, name)
            if client["metadata"]["uid"] != uid:
                raise ClientOrgError(
                    f"{name} was deleted and created anew meanwhile; nothing was deleted: look at it first"
                ) from None
    raise AssertionError("unreachable")


async def _delete(session: Session, client: Json) -> None:
    """Delete this very client. Where that is refused the confirmation is taken off again, lest it lie about."""
    from clientorg.cluster.resources import CLIENT_ORGS

    name = client["metadata"]["name"]
    try:
        await session.api.delete(CLIENT_ORGS, session.namespace, name, uid=client["metadata"]["uid"])
    except NotFoundError:
        return
    except ClientOrgError:
        patch = {"metadata": {"annotations": {ANNOTATION_CONFIRM_DELETION: None}}}
        try:
            await session.api.patch(CLIENT_ORGS, session.namespace, name, patch)
        except ClientOrgError:
            note(
                f"The confirmation is still on the client; to take it off: kubectl annotate clientorgs {name} "
                f"-n {session.namespace} {ANNOTATION_CONFIRM_DELETION}-"
            )
        raise


async def _wait(session: Session, client: Json, seconds: float) -> None:
    from clientorg.cluster.resources import CLIENT_ORGS

    name, uid = client["metadata"]["name"], client["metadata"]["uid"]

    def tell(item: Json | None) -> str:
        ready = condition(item or {}, "Ready")
        return ready.get("message") or "the operator removes its workspace"

    await wait_until(
        session.api,
        CLIENT_ORGS,
        session.namespace,
        name,
        lambda item: item is None or item["metadata"]["uid"] != uid,
        timeout_seconds=seconds,
        what=f"{name} to be gone",
        tell=tell,
    )
