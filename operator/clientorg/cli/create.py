"""`create`: a new client, from flags or from answers (FEATURES Z1, Z2, A2)."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.cli import fields as f
from clientorg.cli.app import command
from clientorg.cli.manifest import Draft, parse_admins, parse_licenses, parse_reseller
from clientorg.cli.options import PROGRAM, DryRun, DryRunFlag, Target, WaitFlag
from clientorg.cli.rows import condition
from clientorg.cli.selection import several
from clientorg.cli.session import Session, connect
from clientorg.cli.table import as_json, as_yaml, without_managed_fields
from clientorg.cli.terminal import interactive, say, warn
from clientorg.cli.text import joined, parse_count, plain
from clientorg.cli.waiting import parse_wait, wait_until
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.cluster.resources import Resource

Json = dict[str, Any]


class Output(StrEnum):
    """How the created client is printed."""

    YAML = "yaml"
    JSON = "json"
    NAME = "name"


@command(
    "create",
    examples="""
    # On a terminal it asks for what is missing
    $ acme
    # Everything from flags
    $ acme --display-name 'Acme K.K.' --first-name Yuki --last-name Sato --email yuki@acme.example \\
        --language ja --pool tokyo --plan standard --license visitors=50000 --tag vip --admin yuki@acme.example=full
    # The manifest for Git; nothing is created, nothing is asked of the server
    $ acme … --dry-run=client -o yaml > clients/acme.yaml
    # Sold by somebody else, with 25 users under contract
    $ acme … --contracted-users 25 --reseller 'Reseller K.K.' --reseller-reference PO-118
    # Would the server take it, and does the pool have the licenses?
    $ acme … --dry-run
    """,
)
async def create_client(
    target: Target,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of the client's object.")] = None,
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
    pool: Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Pool the licenses come from.")] = None,
    plan: Annotated[str | None, typer.Option("--plan", metavar="NAME", help="Plan with the client's terms.")] = None,
    license_: Annotated[
        list[str] | None,
        typer.Option("--license", metavar="NAME=QUANTITY", help="A license, for example visitors=50000 (repeatable)."),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag (repeatable).")] = None,
    admin: Annotated[
        list[str] | None,
        typer.Option(
            "--admin", metavar="USER[=ROLE]", help="A user of the workspace; role full or read-only (repeatable)."
        ),
    ] = None,
    admin_group: Annotated[
        list[str] | None, typer.Option("--admin-group", metavar="GROUP[=ROLE]", help="The same for a group.")
    ] = None,
    contracted_users: Annotated[
        str | None,
        typer.Option("--contracted-users", metavar="N", help="Users that the contract covers, admins not counted."),
    ] = None,
    reseller: Annotated[
        str | None, typer.Option("--reseller", metavar="NAME", help="Who sold to the client, where somebody else did.")
    ] = None,
    reseller_email: Annotated[
        str | None, typer.Option("--reseller-email", metavar="ADDRESS", help="Email address of the reseller.")
    ] = None,
    reseller_reference: Annotated[
        str | None,
        typer.Option("--reseller-reference", metavar="TEXT", help="The reseller's reference, such as an order number."),
    ] = None,
    requested_by: Annotated[
        str | None,
        typer.Option(
            "--requested-by",
            metavar="USER",
            help="Who requests the client, where that is not you; needs the verb request-for-others. Default: you.",
        ),
    ] = None,
    output: Annotated[Output | None, typer.Option("--output", "-o", help="Print the client in this form.")] = None,
    wait: WaitFlag = "false",
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Create a client, from flags or by asking.

    On a terminal it asks for what is required and missing; otherwise it names everything that is missing at once. You
    are recorded as who requests the client (not by --dry-run=client, which asks no server who you are); on a plan with
    manual approval somebody else has to approve it.
    """
    given = locals()
    draft = Draft(
        name=name,
        texts={item.name: given[item.name] for item in (*f.FIELDS, f.POOL, f.PLAN) if given[item.name]},
        licenses=parse_licenses(license_ or ()),
        tags=list(dict.fromkeys(several(tag))),
        admins=parse_admins(admin or (), admin_group or ()),
        contracted_users=parse_count(contracted_users, "--contracted-users") if contracted_users is not None else None,
        reseller=parse_reseller(reseller, reseller_email, reseller_reference),
        requested_by=requested_by,
    )
    seconds = parse_wait(wait)
    missing = draft.missing_flags()
    if missing and not interactive():
        raise InputError(f"missing {joined(missing)}; see {PROGRAM} create --help")
    if dry_run is DryRun.CLIENT and not missing:
        _show(checked(draft.manifest(target.namespace)), output, dry_run)
        return
    async with connect(target) as session:
        if missing:
            from clientorg.cli.interactive import fill_in, read_catalog

            fill_in(draft, await read_catalog(session))
        if dry_run is DryRun.CLIENT:
            _show(checked(draft.manifest(session.namespace)), output, dry_run)
            return
        draft.requested_by = draft.requested_by or await requester(session)
        created = await _create(session, draft.manifest(session.namespace), dry_run)
        _show(without_managed_fields(created), output, dry_run)
        if seconds is not None and dry_run is DryRun.NONE:
            await wait_ready(session, created, seconds)


def checked(manifest: Json) -> Json:
    """The manifest, if the API's models take it; a client-side dry run has no server to ask."""
    from clientorg.cli.checks import faults

    found = faults(manifest["spec"])
    if found:
        raise InputError("\n  ".join([f"{len(found)} faults:", *found]) if len(found) > 1 else found[0])
    return manifest


async def requester(session: Session) -> str | None:
    """Who we are; None, with a warning, where the server does not say."""
    from clientorg.cli.whoami import authenticated_user
    from clientorg.errors import ForbiddenError, NotFoundError

    try:
        return await authenticated_user(session)
    except (ForbiddenError, NotFoundError):
        warn("the server does not say who you are, so that spec.requestedBy is left out; give it with --requested-by")
        return None


async def _create(session: Session, manifest: Json, dry_run: DryRun) -> Json:
    from clientorg.cluster.resources import CLIENT_ORGS

    only_try = dry_run is DryRun.SERVER
    created = await session.api.create(CLIENT_ORGS, session.namespace, manifest, dry_run=only_try)
    await warn_of_what_is_missing(session, manifest["spec"])
    return created


async def warn_of_what_is_missing(session: Session, spec: Json) -> None:
    """A pool or plan may come later, as in Git; but no policy can warn of a missing one, so it is told here."""
    from clientorg.cluster.resources import ORG_PLANS, QUOTA_POOLS
    from clientorg.errors import ApiError, NotFoundError

    async def look(resource: Resource, name: str, word: str) -> None:
        try:
            await session.api.get(resource, session.namespace, name)
        except NotFoundError:
            warn(
                f"there is no {word} {plain(name)!r} in namespace {session.namespace}; the client waits until there is"
            )
        except ApiError:
            return  # no right to look

    pool, plan = spec["poolRef"]["name"], spec["planRef"]["name"]
    await asyncio.gather(look(QUOTA_POOLS, pool, "pool"), look(ORG_PLANS, plan, "plan"))


def _show(client: Json, output: Output | None, dry_run: DryRun) -> None:
    name = f"clientorg.clientorg.dev/{client['metadata']['name']}"
    if output is Output.YAML:
        sys.stdout.write(as_yaml(client))
    elif output is Output.JSON:
        say(as_json(client))
    elif output is Output.NAME:
        say(name)
    else:
        say(f"{name} created{dry_run.suffix}")
    sys.stdout.flush()


async def wait_ready(session: Session, created: Json, seconds: float) -> None:
    from clientorg.cluster.resources import CLIENT_ORGS

    def ready(item: Json | None) -> bool:
        observed: int = ((item or {}).get("status") or {}).get("observedGeneration") or -1
        current = item is not None and observed >= item["metadata"]["generation"]
        return current and condition(item or {}, "Ready").get("status") == "True"

    def tell(item: Json | None) -> str:
        state = condition(item or {}, "Ready")
        return f"{state['reason']}: {state.get('message', '')}" if state else "the operator has not answered yet"

    name = created["metadata"]["name"]
    await wait_until(
        session.api,
        CLIENT_ORGS,
        session.namespace,
        name,
        ready,
        timeout_seconds=seconds,
        what=f"{name} to become Ready",
        tell=tell,
    )
