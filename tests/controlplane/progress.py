"""Telling a person what a long build is doing: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PLAIN_INTERVAL_SECONDS = 15.0


@dataclass
class Step:
    """One running piece of work; the worker calls `update`, whoever made it decides how to show that."""

    title: str
    quiet: bool = False
    bar: Progress | None = None
    task: TaskID | None = None
    started: float = field(default_factory=time.monotonic)
    last_line: float = field(default_factory=time.monotonic)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def update(self, what: str, done: int = 0, total: int | None = None) -> None:
        """Show `what` is going on, and `done` of `total` when the total is known. Cheap to call often."""
        count = f" {done} of {total}" if total else f" {done}" if done else ""
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, what=what + count, completed=done, total=total)
        elif not self.quiet and time.monotonic() - self.last_line >= PLAIN_INTERVAL_SECONDS:
            self.last_line = time.monotonic()
            print(f"{self.title}: {what}{count}, {self.elapsed_seconds:.0f} s", file=sys.stderr, flush=True)


class Reporter:
    """Writes to standard error, so that standard output stays usable in scripts."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)

    def say(self, text: str) -> None:
        """One line, unless quiet."""
        if not self._quiet:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a piece of work while it lasts, and one line with its duration when it succeeded."""
        if self._quiet:
            yield Step(title, quiet=True)
            return
        if not self._console.is_terminal:
            self.say(f"{title} ...")
            step = Step(title)
            yield step
        else:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=16),
                TextColumn("{task.fields[what]}"),
                TimeElapsedColumn(),
            )
            with Progress(*columns, console=self._console, transient=True) as bar:
                step = Step(title, bar=bar, task=bar.add_task(title, what="", total=None))
                yield step
        self.say(f"{title}: done in {step.elapsed_seconds:.0f} s")
