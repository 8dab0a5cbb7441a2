"""`access`: kubeconfig contexts for the workspaces of clients, one or several at once (FEATURES Z11, W2)."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clientorg.cli.accesslogin import Entry, oidc_user, planned_token_user, token_user
from clientorg.cli.accessrevoke import agency_of, revoke
from clientorg.cli.app import command
from clientorg.cli.kubeconfig import (
    EXTENSION,
    Merged,
    changed,
    document_text,
    extension_of,
    put,
    written_file,
)
from clientorg.cli.options import PROGRAM, DataOutput, DryRun, DryRunFlag, NamesArgument, OutputFlag, Target, YesFlag
from clientorg.cli.session import Session, connect
from clientorg.cli.severally import all_or_none
from clientorg.cli.table import as_document, cells, table
from clientorg.cli.terminal import colored, note, say, warn
from clientorg.cli.text import plain
from clientorg.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from clientorg.api.access import Login

Json = dict[str, Any]


@dataclass(frozen=True)
class Door:
    """A client's workspace, and how its plan lets people in."""

    name: str
    agency: str
    org_id: str
    workspace: str
    plan: str
    login: Login
    level: str

    @property
    def context(self) -> str:
        """Name of the context in the kubeconfig."""
        return f"{self.name}@{self.agency}"


@command(
    "access",
    examples="""
    # Contexts for two workspaces, then work in one of them
    $ acme globex
    kubectl --context acme@agency-tokyo get pods
    # Make it the current context; look only, as support
    $ acme --use --support
    # A kubeconfig of its own, on standard output: it holds credentials
    $ acme --print > acme.kubeconfig
    # Take the contexts out again; and end every token that was given out, everybody's
    $ acme globex --revoke
    $ acme --revoke --end-tokens
    """,
)
async def access(
    target: Target,
    names: NamesArgument,
    support: Annotated[
        bool, typer.Option("--support", help="Enter as support (read-only), also where you may enter as the agency.")
    ] = False,
    use: Annotated[bool, typer.Option("--use", help="Make the context of the first client the current one.")] = False,
    print_: Annotated[
        bool,
        typer.Option(
            "--print", help="Write no file; print a kubeconfig, with the credentials in it, to standard output."
        ),
    ] = False,
    revokes: Annotated[
        bool, typer.Option("--revoke", help="Take the contexts, and tokens in them, out again.")
    ] = False,
    ends_tokens: Annotated[
        bool,
        typer.Option(
            "--end-tokens",
            help="With --revoke: end every token that was given out in this agency, also other people's and copies.",
        ),
    ] = False,
    yes: YesFlag = False,
    output: OutputFlag = DataOutput.TABLE,
    dry_run: DryRunFlag = DryRun.NONE,
) -> None:
    """Write kubeconfig contexts for the workspaces of clients.

    As whom one enters is said by the plan (spec.workspace.access.login): as oneself, by a short-lived token, or signed
    in at an identity provider. What one may do there is what plan and client grant (docs/access.md). What is in the
    kubeconfig stays; nothing secret is printed but by --print.
    """
    if revokes and (print_ or use or support):
        raise InputError("--revoke: cannot be used together with --print, --use and --support")
    if ends_tokens and not revokes:
        raise InputError(f"--end-tokens: only with --revoke; see {PROGRAM} access --help")
    names = list(dict.fromkeys(names))
    if revokes:
        await revoke(target, names, ends_tokens=ends_tokens, yes=yes, dry_run=dry_run)
        return
    merged = Merged(target.kubeconfig)
    here, context = merged.current(target.context)
    target = replace(target, namespace=target.namespace or agency_of(merged, target))
    cluster = str(context.get("cluster"))
    async with connect(target) as session:
        doors = await all_or_none(names, lambda name: _door(session, name))
        for door in doors:
            _check_free(merged, door, cluster)
        users = await _users(session, doors, context, as_support=support, dry_run=dry_run)
    for door in doors:
        if door.level == "None" and not support:
            warn(
                f"the agency has no access to the workspace of client {plain(door.name)}: it asks for none "
                "(spec.agencyAccess), or the client's admins grant none (ConfigMap clientorg-access there)"
            )
    entries = [(door, users[door.context], _context_entry(door, users[door.context], cluster, here)) for door in doors]
    if print_:
        sys.stdout.write(document_text(_standalone(merged, cluster, entries)))
        return
    path = written_file(target.kubeconfig)
    if dry_run is DryRun.NONE:
        with changed(path) as document:
            for _, user, entry in entries:
                if user.content is not None:
                    put(document, "users", {"name": user.name, "user": user.content})
                put(document, "contexts", entry)
            if use:
                document["current-context"] = entries[0][2]["name"]
    _show(entries, output, str(path), dry_run)


async def _door(session: Session, name: str) -> Door:
    from clientorg.api.access import Access
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    status, plan_name = client.get("status") or {}, client["spec"]["planRef"]["name"]
    workspace = (status.get("workspace") or {}).get("namespace")
    if not workspace or status.get("state") in (None, "PendingApproval", "Rejected", "Provisioning", "Purged"):
        state = status.get("state") or "new"
        raise InputError(f"client {name} has no workspace to enter: it is {state}; see: {PROGRAM} describe {name}")
    plan = await session.api.get(ORG_PLANS, session.namespace, plan_name)
    login = Access.model_validate((plan["spec"].get("workspace") or {}).get("access") or {}).login
    level = (status.get("access") or {}).get("agency", "Full")
    return Door(name, session.namespace, status["orgID"], workspace, plan_name, login, level)


def _check_free(merged: Merged, door: Door, cluster: str) -> None:
    found = merged.find("contexts", door.context)
    if found is None:
        return
    if extension_of(found["context"]) is None or found["context"].get("cluster") != cluster:
        raise InputError(
            f"the kubeconfig has a context {plain(door.context)!r} already that leads somewhere else; it is left "
            f"alone. Rename it: kubectl config rename-context {plain(door.context)} NEW"
        )


async def _users(
    session: Session, doors: list[Door], context: Json, *, as_support: bool, dry_run: DryRun
) -> dict[str, Entry]:
    """Context to user entry; one token serves all workspaces of the agency."""
    from clientorg.api.access import LoginMethod

    tokens: dict[int, Entry] = {}
    found: dict[str, Entry] = {}
    for door in doors:
        login, suffix = door.login, f"@{door.agency}/{context.get('cluster')}"
        if login.method == LoginMethod.OIDC:
            found[door.context] = oidc_user(login, f"oidc-{door.plan}{suffix}")
        elif login.method != LoginMethod.TOKEN:
            found[door.context] = Entry(str(context.get("user")), None, "yourself")
        elif dry_run is not DryRun.NONE:
            found[door.context] = planned_token_user(suffix, as_support=as_support)
        else:
            if login.token_minutes not in tokens:
                tokens[login.token_minutes] = await token_user(
                    session.api, door.agency, door.plan, login, suffix, as_support=as_support
                )
            found[door.context] = tokens[login.token_minutes]
    return found


def _context_entry(door: Door, user: Entry, cluster: str, here: str) -> Json:
    mark: Json = {"agency": door.agency, "client": door.name, "orgID": door.org_id, "from": here}
    if user.content is not None:
        mark["ownUser"] = True  # made for this, and so taken out with it
    if user.expires is not None:
        mark["expires"] = user.expires
    context = {
        "cluster": cluster,
        "user": user.name,
        "namespace": door.workspace,
        "extensions": [{"name": EXTENSION, "extension": mark}],
    }
    return {"name": door.context, "context": context}


def _standalone(merged: Merged, cluster: str, entries: list[tuple[Door, Entry, Json]]) -> Json:
    """A kubeconfig with nothing but these contexts; it says where the cluster is, and holds what one enters with."""
    users: dict[str, Json] = {}
    for _, user, _ in entries:
        content = user.content
        known = merged.find("users", user.name) if content is None else {"name": user.name, "user": content}
        if known is None:
            raise ConfigurationError(f"the kubeconfig has no user {plain(user.name)!r}; see: kubectl config view")
        users[user.name] = known
    where = merged.find("clusters", cluster)
    if where is None:
        raise ConfigurationError(f"the kubeconfig has no cluster {plain(cluster)!r}; see: kubectl config view")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [where],
        "users": list(users.values()),
        "contexts": [entry for _, _, entry in entries],
        "current-context": entries[0][2]["name"],
    }


def _show(entries: list[tuple[Door, Entry, Json]], output: DataOutput, path: str, dry_run: DryRun) -> None:
    if output is not DataOutput.TABLE:
        items = [
            {
                "client": door.name,
                "context": entry["name"],
                "namespace": door.workspace,
                "login": str(door.login.method),
                "agencyAccess": door.level,
                **({"expires": user.expires} if user.expires else {}),
            }
            for door, user, entry in entries
        ]
        sys.stdout.write(as_document({"kubeconfig": path, "contexts": items}, yaml=output is DataOutput.YAML))
        return
    body = [
        cells(entry["name"], door.workspace, door.level, user.shown, user.expires or "-")
        for door, user, entry in entries
    ]
    for text in table(["CONTEXT", "NAMESPACE", "AGENCY", "AS", "UNTIL"], body, color=colored(sys.stdout)):
        say(text)
    verb = "would be written" if dry_run is not DryRun.NONE else "written"
    note(f"{verb} to {plain(path)}{dry_run.suffix}; for example: kubectl --context {entries[0][2]['name']} get pods")
