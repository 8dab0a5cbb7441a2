"""A cluster in the background: a supervisor process owns it, and a state file in its folder says where it is.

Every command may be repeated. Whether the state file still tells the truth is decided by the supervisor's process ID
and start time together, so a file left by a crash is never mistaken for a running cluster.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from .api import Api
from .errors import ControlPlaneError
from .pki import Pki
from .plane import ControlPlane
from .waiting import DeadlineExceededError, wait_until
from .workdir import discard, is_same_process, process_started

STATE_FILE = "state.json"
SUPERVISOR_LOG = "supervisor.log"
LOCK_FILE = ".lock"
START_DEADLINE_SECONDS = 180.0
STOP_DEADLINE_SECONDS = 20.0
CHECK_SECONDS = 1.0
REPO_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Options:
    """What a cluster is started with."""

    nodes: int = 0
    audit: bool = False
    version: str | None = None
    keep: bool = False


@dataclass(frozen=True)
class State:
    """What the supervisor tells others, written once everything is ready."""

    pid: int
    started: float
    url: str
    kubeconfig: str
    kubectl: str
    version: str
    logs: str
    audit_log: str | None
    options: Options
    components: dict[str, int]
    component_started: dict[str, float]

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return is_same_process(self.pid, self.started)

    def dead_components(self) -> list[str]:
        """Components that ran when this was written and do not any more."""
        return [name for name, pid in self.components.items() if not is_same_process(pid, self.component_started[name])]


def data_dir(directory: Path) -> Path:
    """The cluster's own folder; state and supervisor log are beside it, so that they outlive it."""
    return directory / "cluster"


def read_state(directory: Path) -> State | None:
    """The state file, or None if there is none that can be read."""
    try:
        content = json.loads((directory / STATE_FILE).read_text(encoding="utf-8"))
        return State(**{**content, "options": Options(**content["options"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def problem_of(directory: Path, state: State) -> str | None:
    """What is wrong with a running cluster, or None if it is healthy."""
    if dead := state.dead_components():
        logs = ", ".join(f"{state.logs}/{name}.log" for name in dead)
        return f"{', '.join(dead)} ended; see {logs}"
    try:
        context = Pki(data_dir(directory) / "pki").ssl_context("admin")
    except OSError as error:
        return f"its files are gone: {error}"
    with closing(Api(state.url, context)) as api:
        return None if api.answers("/readyz") else f"{state.url}/readyz does not answer"


def start(directory: Path, options: Options) -> tuple[State, bool]:
    """Start a supervisor in the background and wait until its cluster is ready; True if it was started just now.

    Does nothing when a healthy one is there. Raises ControlPlaneError when one is there that is not healthy, or when
    starting fails; the message then ends with what the supervisor said.
    """
    with _locked(directory):
        state = read_state(directory)
        if state is not None and state.is_alive:
            if problem := problem_of(directory, state):
                raise ControlPlaneError(f"the cluster in {directory} runs but is not healthy: {problem}. Stop it first")
            return state, False
        _clear_stale(directory, state)
        return _launch(directory, options), True


def stop(directory: Path) -> bool:
    """Stop the cluster and remove its data (unless it was started to keep them); False if there was none."""
    if not directory.is_dir():
        return False
    with _locked(directory):
        state = read_state(directory)
        alive = state is not None and state.is_alive
        if state is not None and alive:
            _end(state)
        _clear_stale(directory, state)
        (directory / SUPERVISOR_LOG).unlink(missing_ok=True)
    if [path.name for path in directory.iterdir()] == [LOCK_FILE]:
        (directory / LOCK_FILE).unlink()
        directory.rmdir()
    return alive


def supervise(directory: Path, options: Options) -> bool:
    """Run a cluster until SIGTERM or SIGINT, or until a component ends by itself (ControlPlaneError).

    Returns whether it was ready when it was told to stop.
    """
    directory.mkdir(parents=True, exist_ok=True)
    told_to_stop = ready = False

    def on_signal(number: int, frame: object) -> None:
        nonlocal told_to_stop
        if told_to_stop:
            return  # already stopping; a second Ctrl-C must not leave processes behind
        told_to_stop = True
        raise _StopRequest

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    plane = ControlPlane(
        directory=data_dir(directory),
        nodes=options.nodes,
        audit=options.audit,
        version=options.version,
        keep=options.keep,
    )
    try:
        plane.start()
        state = _state_of(plane, options)
        _write_state(directory, state)
        ready = True
        print(f"The cluster is ready: export KUBECONFIG={state.kubeconfig}", file=sys.stderr, flush=True)
        while True:
            time.sleep(CHECK_SECONDS)  # a signal ends it by raising
            plane.check()
    except _StopRequest:
        return ready
    finally:
        told_to_stop = True
        plane.stop()
        left = read_state(directory)
        if left is not None and left.pid == os.getpid():  # not that of a cluster which was here before us
            (directory / STATE_FILE).unlink(missing_ok=True)
        with suppress(OSError):
            directory.rmdir()  # if nothing else is in it


class _StopRequest(BaseException):
    """Raised by the signal handler; not an Exception, so that nothing on the way takes it for a failure."""


def _state_of(plane: ControlPlane, options: Options) -> State:
    pids = plane.pids
    return State(
        pid=os.getpid(),
        started=process_started(os.getpid()) or 0.0,
        url=plane.url,
        kubeconfig=str(plane.kubeconfig),
        kubectl=str(plane.kubectl),
        version=plane.version,
        logs=str(plane.logs_dir),
        audit_log=str(plane.audit_log) if plane.audit_log else None,
        options=options,
        components=pids,
        component_started={name: process_started(pid) or 0.0 for name, pid in pids.items()},
    )


def _write_state(directory: Path, state: State) -> None:
    file = directory / STATE_FILE
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(state), indent=2), encoding="utf-8")
    temporary.replace(file)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One start or stop at a time in a folder."""
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / LOCK_FILE, timeout=START_DEADLINE_SECONDS):
        yield


def _launch(directory: Path, options: Options) -> State:
    arguments = ["--dir", str(directory), "--nodes", str(options.nodes)]
    arguments += ["--audit"] if options.audit else []
    arguments += ["--keep"] if options.keep else []
    arguments += ["--kubernetes", options.version] if options.version else []
    log = directory / SUPERVISOR_LOG
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "tests.controlplane", "supervise", *arguments],
            cwd=REPO_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # it must survive the terminal
        )

    def ready_or_gone() -> State | str | None:
        if supervisor.poll() is not None:
            return "it ended"
        state = read_state(directory)
        return state if state is not None and state.pid == supervisor.pid else None

    try:
        outcome = wait_until(ready_or_gone, START_DEADLINE_SECONDS, "the cluster to be ready", max_interval_seconds=0.1)
    except DeadlineExceededError as error:
        outcome = str(error)
    except BaseException:  # Ctrl-C while waiting: leave nothing half-started
        supervisor.terminate()
        raise
    if isinstance(outcome, State):
        return outcome
    supervisor.terminate()
    said = log.read_text(encoding="utf-8", errors="replace").strip()[-4000:]
    raise ControlPlaneError(f"the cluster in {directory} did not start: {outcome}. Its supervisor said:\n{said}")


def _end(state: State) -> None:
    """End the supervisor, kindly first; its components cannot outlive it (see tether.py)."""
    os.kill(state.pid, signal.SIGTERM)
    try:
        wait_until(lambda: not state.is_alive, STOP_DEADLINE_SECONDS, "the supervisor to end")
    except DeadlineExceededError:
        os.kill(state.pid, signal.SIGKILL)
        wait_until(lambda: not state.is_alive, STOP_DEADLINE_SECONDS, "the supervisor to be killed")


def _clear_stale(directory: Path, state: State | None) -> None:
    """After a crash: end components that are still there, and remove what the dead supervisor could not."""
    if state is not None and not state.is_alive:
        for name, pid in state.components.items():
            if is_same_process(pid, state.component_started[name]):
                os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: len(state.dead_components()) == len(state.components),
            STOP_DEADLINE_SECONDS,
            "the components to end",
        )
        (directory / STATE_FILE).unlink(missing_ok=True)
        if state.options.keep:
            return
    discard(data_dir(directory))
