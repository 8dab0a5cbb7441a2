"""Child processes that cannot outlive us, and the one way they are started and stopped."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO

from .errors import ComponentError, PortTakenError

TETHER = Path(__file__).with_name("tether.py")
TAIL_LINES = 15
PORT_TAKEN = "address already in use"

Process = subprocess.Popen[bytes]


class _Spawner:
    """Starts every child from one thread that lasts as long as this process.

    The kernel ties "kill me when my parent dies" to the parent *thread*: a child started from a test's worker thread
    would die when that thread ends. After a fork the thread is not there, so the child makes its own spawner.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Process], Callable[[], Process]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="controlplane-spawner", daemon=True).start()

    def _run(self) -> None:
        while True:
            future, job = self._jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:  # handed to whoever asked
                future.set_exception(error)

    def spawn(self, job: Callable[[], Process]) -> Process:
        future: Future[Process] = Future()
        self._jobs.put((future, job))
        return future.result()


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _forget_spawner() -> None:
    global _spawner, _spawner_lock
    _spawner, _spawner_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_spawner)


def spawn(
    argv: Sequence[str | Path],
    *,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Process:
    """Start a program tethered to this process, in its own session so that Ctrl-C reaches only us.

    We then stop the children in their order, instead of the terminal stopping all at once.
    """
    global _spawner
    with _spawner_lock:
        spawner = _spawner = _spawner or _Spawner()
    tethered = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *map(str, argv)]
    return spawner.spawn(
        lambda: subprocess.Popen(
            tethered,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            cwd=directory,
            start_new_session=True,
        )
    )


class Component:
    """One running part of the control plane: its process and its log."""

    def __init__(self, name: str, argv: Sequence[str | Path], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._environment = environment
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The process ID while it is ours to signal, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process; its output is appended to the log, so that a restart keeps what came before."""
        with self.log.open("ab") as log:
            self._process = spawn(self._argv, stdout=log, stderr=log, environment=self._environment)

    def check(self) -> None:
        """Raise ComponentError (PortTakenError, when that is why) if it ended without having been stopped."""
        if self._process is None or self._process.poll() is None:
            return
        tail = self.tail()
        kind = PortTakenError if any(PORT_TAKEN in line for line in tail) else ComponentError
        raise kind(self.name, f"exited with code {self._process.returncode}", self.log, tail)

    def tail(self, lines: int = TAIL_LINES) -> list[str]:
        """The last lines of its log, each cut to a readable length."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 64 * 1024))
                text = log.read().decode(errors="replace")
        except OSError:
            return []
        return [line[:400] for line in text.splitlines()[-lines:]]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if the process is still ours; never to a pid that may have been reused."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self, grace_seconds: float) -> None:
        """End it: SIGTERM, after the grace SIGKILL, and wait until the kernel has taken it away."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        self.reap(grace_seconds)

    def reap(self, grace_seconds: float) -> None:
        """Wait for a process that was told to end, and kill it when the grace is over."""
        if self._process is None:
            return
        try:
            self._process.wait(max(grace_seconds, 0.0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
