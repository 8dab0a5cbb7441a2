"""Starts the dashboard: connection, socket, server, and the link that opens it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import webbrowser
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import uvicorn

from clientorg.cli.options import Target
from clientorg.cli.session import connect
from clientorg.cli.terminal import interactive, note, say
from clientorg.cli.whoami import authenticated_user
from clientorg.dashboard.app import make_app
from clientorg.dashboard.board import open_board
from clientorg.dashboard.guard import Keys
from clientorg.dashboard.view import House
from clientorg.errors import ConfigurationError

HOST = "127.0.0.1"


def bind(port: int) -> socket.socket:
    """A socket on this machine only; port 0 is any that is free.

    Raises:
        ConfigurationError: the port is taken, or is not ours to take.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if port and sys.platform != "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # whoever opens the link at once waits until it is served, and is not refused
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"--port: {port} cannot be used ({error.strerror}); choose another, or leave the flag out for a free one"
        ) from error
    return listening


async def serve(target: Target, *, port: int, browser: bool) -> None:
    """Serve until Ctrl-C.

    Raises:
        ConfigurationError: there are no usable credentials, or the port cannot be used.
        ClientOrgError: the API server does not answer, or does not know us.
    """
    with contextlib.closing(bind(port)) as listening:
        keys = Keys(listening.getsockname()[1])
        async with connect(target) as session, open_board(session) as board:
            house = House(board, keys, _zone(), await authenticated_user(session))
            config = uvicorn.Config(
                make_app(house), log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none",
                timeout_graceful_shutdown=1,
            )  # fmt: skip
            server = uvicorn.Server(config)
            link = keys.new_link()
            say(f"Dashboard of {session.namespace}, as {house.user}:  {link}")
            note("The link works once, in one browser. Ctrl-C ends the dashboard.")
            sys.stdout.flush()
            if browser and interactive():
                await asyncio.to_thread(webbrowser.open, link)
            with _links_on_enter(keys):
                await server.serve(sockets=[listening])


@contextlib.contextmanager
def _links_on_enter(keys: Keys) -> Iterator[None]:
    """Print another link whenever Enter is pressed, for another browser or one that lost its session."""
    if not interactive() or sys.platform == "win32":
        yield
        return
    note("Enter prints another link.")
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        if sys.stdin.readline():
            say(keys.new_link())
            sys.stdout.flush()
        else:
            loop.remove_reader(sys.stdin)

    loop.add_reader(sys.stdin, pressed)
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin)


def _zone() -> ZoneInfo:
    """The time zone of this machine; UTC where that is none that has a name."""
    from tzlocal import get_localzone_name

    try:
        return ZoneInfo(get_localzone_name())
    except Exception:
        return ZoneInfo("UTC")
