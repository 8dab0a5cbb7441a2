"""The terminal: what goes to standard output and error, colors, questions."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Literal

import typer

Color = Literal["red", "green", "yellow", "cyan", "dim", "bold"]

_CODES: dict[Color, str] = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}


def colored(stream: IO[str]) -> bool:
    """Whether the stream takes colors: a terminal, not a dumb one, and NO_COLOR (no-color.org) not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, color: Color | None, *, enabled: bool) -> str:
    """The text in a color, if colors are wanted."""
    return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if enabled and color is not None else text


def say(text: str) -> None:
    """A line of the answer, to standard output."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """A remark that is not part of the answer, to standard error."""
    sys.stdout.flush()  # keeps the order of the two streams on a terminal
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def warn(text: str) -> None:
    """A warning, as kubectl prints those of the server."""
    note(f"{paint('Warning:', 'yellow', enabled=colored(sys.stderr))} {text}")


def complain(text: str) -> None:
    """An error."""
    note(f"{paint('error:', 'red', enabled=colored(sys.stderr))} {text}")


def forget_stdout() -> None:
    """Nobody reads any more. The interpreter flushes at exit, which would end in a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def interactive() -> bool:
    """Whether there is a person to ask: questions go to standard error, so that output can be redirected."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask yes or no; no is the default. Ctrl-C and Ctrl-D raise typer.Abort."""
    with interruptible():
        return typer.confirm(question, default=False, err=True)


def ask(question: str, default: str | None = None) -> str:
    """Ask for a line of text. Ctrl-C and Ctrl-D raise typer.Abort."""
    with interruptible():
        return str(typer.prompt(question, default=default, err=True)).strip()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a question or a long write: in asyncio.run the first one only cancels the task, which is stuck."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
