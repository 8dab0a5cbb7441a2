"""The command line: what the Makefile's targets demo, up and down run."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console

from tests.controlplane import ControlPlaneError
from tests.controlplane.choose import add_arguments
from tests.controlplane.progress import Reporter

from . import background, billing, lifecycle, portfolio, quickstart
from .signals import Interrupted
from .stage import Stage, Story, open_stage
from .telling import advise, cleaned_up, say

STORIES: dict[str, Story] = {
    "quickstart": quickstart,
    "lifecycle": lifecycle,
    "billing": billing,
    "portfolio": portfolio,
}
AFTERWARDS: dict[str, Callable[[Stage, Console], AbstractContextManager[None]]] = {"portfolio": portfolio.dashboard}
"""What runs from the story's end until Ctrl-C."""
CHECK_SECONDS = 0.5
USAGE = 2


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="play a story on a cluster of its own, until Ctrl-C")
    add_arguments(run)
    run.add_argument("--story", default="quickstart", help=f"which one: {', '.join(STORIES)} (default: quickstart)")
    run.add_argument("--once", action="store_true", help="end when the story has ended; exit code 0 if it went well")
    up = commands.add_parser("up", help="cluster and operator in the background; prints `export KUBECONFIG=…`")
    add_arguments(up)
    commands.add_parser("down", help="end what `up` started")
    supervise = commands.add_parser("supervise", help="what `up` runs: keep an operator running")
    supervise.add_argument("--kubeconfig", type=Path, required=True, help="credentials of the operator")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = parse(arguments)
    try:
        return COMMANDS[options.command](options)
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    story = STORIES.get(options.story)
    if story is None:
        print(f"error: no story is called {options.story!r}; there are: {', '.join(STORIES)}", file=sys.stderr)
        return USAGE
    console = Console(highlight=False)
    started = time.monotonic()
    done = False
    try:
        with (
            open_stage(options.cluster, options.kubeconfig, Reporter(), story) as stage,
            cleaned_up(stage, console, story.AGENCY),
        ):
            story.play(stage, console)
            if options.once or not story.TRY_NEXT:
                return 0
            done = True
            advise(stage, console, story.TRY_NEXT)
            say(console, "Ctrl-C ends it all.", style="bold")
            with AFTERWARDS.get(options.story, _nothing)(stage, console):
                while True:
                    time.sleep(CHECK_SECONDS)  # a signal ends it by raising
                    stage.check()
    except Interrupted as stop:
        if done and stop.is_ctrl_c:  # how a demo is meant to end
            say(console, f"\nEnded after {time.monotonic() - started:.0f} s; nothing is left running.")
            return 0
        raise


def _nothing(_stage: Stage, _console: Console) -> AbstractContextManager[None]:
    return nullcontext()


def _up(options: argparse.Namespace) -> int:
    background.up(options.cluster, options.kubeconfig)
    return 0


def _down(_options: argparse.Namespace) -> int:
    background.down()
    return 0


def _supervise(options: argparse.Namespace) -> int:
    return background.supervise(options.kubeconfig)


COMMANDS = {"run": _run, "up": _up, "down": _down, "supervise": _supervise}
