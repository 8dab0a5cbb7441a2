"""How a story is told: plain lines, what to try next, and nothing left behind on a cluster that stays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from .stage import Stage


@dataclass(frozen=True)
class Try:
    """A command for the reader to try, and whether it is one that the cluster refuses."""

    command: str
    what: str
    refused: bool = False


def say(console: Console, text: str, style: str = "") -> None:
    """A line as it is: neither wrapped nor colored by rich's guesses."""
    console.print(Text(text, style=style), soft_wrap=True)


def advise(stage: Stage, console: Console, commands: tuple[Try, ...]) -> None:
    """What to try next, ready to be copied."""
    width = max(len(item.command) for item in commands)
    say(console, "\nTry next, in another terminal:", style="bold")
    say(console, f"  export KUBECONFIG={stage.kubectl.kubeconfig}")
    say(console, f"  export PATH={stage.tools}:$PATH")
    for item in commands:
        say(console, f"  {item.command:<{width}}  # {item.what}")
    say(console, f"\nThe operator's log: {stage.operator.log}")


@contextlib.contextmanager
def cleaned_up(stage: Stage, console: Console, agency: str) -> Iterator[None]:
    """On a cluster that stays, remove the story's agency at the end."""
    try:
        yield
    finally:
        if not stage.disposable and stage.kubectl.exists("namespace", agency):
            say(console, f"Deleting the namespace {agency} with its clients ...")
            stage.kubectl.run("annotate", "namespace", agency, f"clientorg.dev/confirm-deletion={agency}")
            stage.kubectl.run("delete", "namespace", agency, "--timeout=120s")
