"""`access --revoke`: contexts and tokens out of the kubeconfig again, and tokens ended on the server."""

from __future__ import annotations

from typing import Any

from clientorg.cli.accesslogin import end_tokens
from clientorg.cli.kubeconfig import Merged, changed, extension_of, named, remove, written_file
from clientorg.cli.options import DryRun, Target
from clientorg.cli.session import connect
from clientorg.cli.terminal import confirm, interactive, note, say
from clientorg.cli.text import joined, plain
from clientorg.errors import InputError


async def revoke(target: Target, names: list[str], *, ends_tokens: bool, yes: bool, dry_run: DryRun) -> None:
    """Take the contexts of these clients out of the kubeconfig, and end tokens where that is asked for.

    Raises:
        InputError: there is no context of ours for one of them, or the end of the tokens is not confirmed.
    """
    from clientorg.api.access import AGENCY_ACCOUNT, SUPPORT_ACCOUNT

    path = written_file(target.kubeconfig)
    merged = Merged(target.kubeconfig)
    agency = target.namespace or agency_of(merged, target)
    if ends_tokens:
        question = (
            f"This ends every token of {AGENCY_ACCOUNT} and {SUPPORT_ACCOUNT} in namespace {agency}, also of other "
            "people and programs; they ask for new ones. Go on?"
        )
        if not yes and dry_run is DryRun.NONE and not (interactive() and confirm(question)):
            raise InputError("--end-tokens: not confirmed; nothing is changed. To confirm: --yes")
        if dry_run is DryRun.NONE:
            async with connect(target) as session:
                ended = [
                    account
                    for account in (AGENCY_ACCOUNT, SUPPORT_ACCOUNT)
                    if await end_tokens(session.api, agency, account)
                ]
            say(f"every token of {joined(ended)} in namespace {agency} is ended" if ended else "there are no accounts")
        else:
            say(f"every token in namespace {agency} would be ended{dry_run.suffix}")
    done: list[tuple[str, str | None]] = []
    if path.exists():
        with changed(path) as document:
            done = _take_out(document, agency, names, keep=dry_run is not DryRun.NONE)
    for context, expires in done:
        say(f"context {plain(context)} removed{dry_run.suffix}")
        if expires is not None and not ends_tokens:
            note(f"a copy of its token is good until {plain(expires)}; to end it before: --revoke --end-tokens")
    missing = sorted(set(names) - {context.rpartition("@")[0] for context, _ in done})
    if missing:
        raise InputError(f"{plain(str(path))} has no context of ours for {joined(missing)} of {agency}")


def agency_of(merged: Merged, target: Target) -> str:
    """The agency's namespace, also where the current context is one that we wrote."""
    _, context = merged.current(target.context)
    mark = extension_of(context)
    return str(mark["agency"]) if mark is not None else str(context.get("namespace") or "default")


def _take_out(document: Any, agency: str, names: list[str], *, keep: bool) -> list[tuple[str, str | None]]:
    """Remove our contexts of these clients, and users of ours that no context has any more."""
    found: list[tuple[str, str | None]] = []
    for item in list(document.get("contexts") or ()):
        mark = extension_of(item.get("context"))
        if mark is None or mark.get("agency") != agency or mark.get("client") not in names:
            continue
        name, user = str(item["name"]), item["context"].get("user")
        found.append((name, mark.get("expires")))
        if keep:
            continue
        remove(document, "contexts", name)
        is_left = any(other["context"].get("user") == user for other in document["contexts"])
        if not is_left and mark.get("ownUser"):
            remove(document, "users", str(user))
        if document.get("current-context") == name:
            before = str(mark.get("from") or "")
            document["current-context"] = before if named(document, "contexts", before) is not None else ""
    return found
