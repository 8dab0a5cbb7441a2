"""`open`: the workspaces of clients in the browser, several at once (FEATURES Z11, W2)."""

from __future__ import annotations

from typing import Annotated

import typer

from clientorg.cli.app import command
from clientorg.cli.options import NamesArgument, Target
from clientorg.cli.session import Session, connect
from clientorg.cli.severally import all_or_none
from clientorg.cli.terminal import say
from clientorg.cli.text import plain
from clientorg.errors import ConfigurationError, InputError


@command(
    "open",
    examples="""
    # The workspaces of two clients, each in a tab of the browser
    $ acme globex
    # Only the addresses
    $ acme --print
    """,
)
async def open_workspaces(
    target: Target,
    names: NamesArgument,
    print_: Annotated[bool, typer.Option("--print", help="Print the addresses; open nothing.")] = False,
) -> None:
    """Open the workspaces of clients in the browser.

    The addresses are those of the plan's spec.workspace.urlTemplate. $BROWSER says which browser.
    """
    async with connect(target) as session:
        addresses = await all_or_none(list(dict.fromkeys(names)), lambda name: _address(session, name))
    if print_:
        for address in addresses:
            say(plain(address))
        return
    import webbrowser

    failed = [address for address in addresses if not webbrowser.open(address, new=2)]
    for address in addresses:
        say(f"{plain(address)}{' not opened' if address in failed else ' opened'}")
    if failed:
        raise ConfigurationError("no browser could be started; set $BROWSER, or print the addresses with --print")


async def _address(session: Session, name: str) -> str:
    from clientorg.cluster.resources import CLIENT_ORGS

    client = await session.api.get(CLIENT_ORGS, session.namespace, name)
    address = ((client.get("status") or {}).get("workspace") or {}).get("url")
    if not address:
        plan = client["spec"]["planRef"]["name"]
        raise InputError(
            f"client {name} has no address: plan {plan} has no spec.workspace.urlTemplate, or it is not built yet"
        )
    if not str(address).startswith(("https://", "http://")):
        raise InputError(f"client {name}: {plain(str(address))!r} is no address of a web page; it is not opened")
    return str(address)
