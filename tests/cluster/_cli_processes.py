"""Commands as processes of their own, forked from one that has imported the plugin already.

A command is told from another by nothing but its imports, which take most of a second of a busy core; hundreds of
commands are run here. That the executables start as they are installed is shown by test_cli_terminal.py, the demo and
the stories in tests/e2e.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["clientorg.cli.main", "clientorg.cli.commands", "clientorg.cluster.credentials", "clientorg.cluster.rest"]
)


def run_command(
    arguments: Sequence[str], environment: Mapping[str, str], stdin: str, deadline_seconds: float
) -> tuple[int, str, str]:
    """Run a command to its end. Returns its exit status, output and errors.

    Raises:
        TimeoutError: it does not end; it is killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("stdin", "stdout", "stderr")]
        streams[0].write_text(stdin)
        process = _CONTEXT.Process(
            target=_command, args=(list(arguments), dict(environment), [str(s) for s in streams])
        )
        process.start()
        process.join(deadline_seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{' '.join(arguments)} did not end in {deadline_seconds:g} s: {streams[2].read_text()}")
        return process.exitcode, streams[1].read_text(), streams[2].read_text()


def _command(arguments: list[str], environment: dict[str, str], streams: list[str]) -> None:
    """In the new process: become the command."""
    flags = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    for number, (path, flag) in enumerate(zip(streams, flags, strict=True)):
        opened = os.open(path, flag, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["kubectl-clientorg", *arguments]
    from clientorg.cli.main import run

    try:
        run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
