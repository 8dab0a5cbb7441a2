"""`dashboard`: the agency in a browser (FEATURES W1-W14)."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from clientorg.cli.app import command
from clientorg.cli.options import Target
from clientorg.errors import ConfigurationError

NEEDED = ("starlette", "uvicorn")


@command(
    "dashboard",
    examples="""
    # Open the agency of the context in the browser
    $
    # Another agency, on a port that a tunnel knows, without opening a browser
    $ -n agency-osaka --port 8765 --no-browser
    """,
)
async def dashboard(
    target: Target,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port on 127.0.0.1. Default: a free one.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the link in the browser, on a terminal.")
    ] = True,
) -> None:
    """Show the agency in a browser, live, and act from there.

    Serves a page on this machine only, with your kubeconfig's rights and no others, until Ctrl-C. The link that it
    prints works once. Key figures, clients, points, approvals and trends; each action shows first what it does.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the dashboard needs {' and '.join(missing)}, which is not installed: pip install 'clientorg[dashboard]'"
        )
    from clientorg.dashboard.serve import serve

    await serve(target, port=port, browser=browser)
