"""`make up` and `make down`: cluster and operator in the background, their state below .run/.

The cluster has a supervisor of its own (tests.controlplane.service); a second one keeps the operator running. What a
state file says is believed only as long as the process that wrote it still runs, so that a crash or a reboot leaves
nothing that the next `up` or `down` could trip over.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from filelock import FileLock

from tests.controlplane import DeadlineExceededError, service, wait_until
from tests.controlplane.choose import open_cluster
from tests.controlplane.errors import ControlPlaneError
from tests.controlplane.progress import Reporter
from tests.controlplane.workdir import is_same_process, process_started
from tests.support.install import ROOT, resources

from .errors import DemoError, OperatorError
from .kubectl import Kubectl, link_tools, write_operator_kubeconfig
from .stage import NODES, PLUGIN, READY_SECONDS, DemoOperator, install_on, prepare_binaries

RUN = Path(os.environ.get("CLIENTORG_RUN_DIR") or ROOT / ".run").resolve()  # tests have one of their own
CLUSTER = RUN / "cluster"
OPERATOR = RUN / "operator"
TOOLS = RUN / "bin"
KIND_KUBECONFIG = RUN / "kind.yaml"

OPERATOR_LOG = OPERATOR / "operator.log"
SUPERVISOR_LOG = OPERATOR / "supervisor.log"
CREDENTIALS = OPERATOR / "kubeconfig.yaml"
INSTALLED = OPERATOR / "installed"
STATE = OPERATOR / "state.json"

LOCAL_TOKEN_HOURS = 365 * 24  # the token is worth nothing once its cluster is gone
MOST_RESTARTS = 5
RESTART_WINDOW_SECONDS = 600.0
RESTART_PAUSE_SECONDS = 1.0
CHECK_SECONDS = 0.5
LOCK_SECONDS = 900.0
STOP_SECONDS = 50.0  # more than an operator takes to drain


@dataclass(frozen=True)
class State:
    """What the operator's supervisor tells others."""

    pid: int
    started: float
    health_port: int
    metrics_port: int
    restarts: int

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return is_same_process(self.pid, self.started)

    @property
    def is_ready(self) -> bool:
        """Whether the operator answers that it is ready."""
        with suppress(httpx.TransportError), httpx.Client(trust_env=False) as client:
            return client.get(f"http://127.0.0.1:{self.health_port}/readyz", timeout=2.0).status_code == httpx.codes.OK
        return False

    @staticmethod
    def read() -> State | None:
        """The state of a supervisor, dead or alive; None if there is none."""
        try:
            return State(**json.loads(STATE.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @staticmethod
    def living() -> State | None:
        """The state of a living supervisor."""
        state = State.read()
        return state if state is not None and state.is_alive else None

    def write(self) -> None:
        """Replace the file at once: a reader sees the old one or the new one."""
        temporary = STATE.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
        temporary.replace(STATE)


# -- up -------------------------------------------------------------------------------------------------------------


def up(which: str, kubeconfig: Path | None) -> None:
    """Bring up what is not up, and print the lines for a shell's eval. Raises ControlPlaneError."""
    reporter = Reporter()
    RUN.mkdir(exist_ok=True)
    with FileLock(RUN / ".lock", timeout=LOCK_SECONDS):
        was_there = service.read_state(CLUSTER) is not None
        try:
            kubectl, identity = _local(reporter) if which == "local" else _external(which, kubeconfig, reporter)
            state = _operate(kubectl, identity, which == "local", reporter)
        except BaseException:
            if which == "local" and not was_there:
                _down()
            raise
        link_tools(TOOLS, kubectl.binary, PLUGIN)
    reporter.say(f"Operator: metrics at http://127.0.0.1:{state.metrics_port}/metrics, log in {OPERATOR_LOG}")
    reporter.say("Try: kubectl apply -f examples/quickstart && kubectl get clientorgs -A; `make down` ends it all")
    if str(TOOLS) not in os.environ.get("PATH", "").split(os.pathsep):
        print(f'export PATH={shlex.quote(str(TOOLS))}:"$PATH"')  # kubectl and the plugin
    print(f"export KUBECONFIG={shlex.quote(str(kubectl.kubeconfig))}", flush=True)


def _local(reporter: Reporter) -> tuple[Kubectl, str]:
    """The cluster below .run/cluster and what names it; one that is not healthy any more is replaced by a new one."""
    options = service.Options(nodes=NODES)
    prepare_binaries(reporter, nodes=NODES)
    try:
        state, new = service.start(CLUSTER, options)
    except ControlPlaneError as error:
        reporter.say(f"{error}; starting a new one")
        service.stop(CLUSTER)
        state, new = service.start(CLUSTER, options)
    reporter.say(f"Kubernetes {state.version} {'started' if new else 'already runs'} at {state.url}")
    kubectl = Kubectl(Path(state.kubectl), Path(state.kubeconfig), OPERATOR / "kubectl-cache")
    return kubectl, f"{state.pid} {state.started}"


def _external(which: str, kubeconfig: Path | None, reporter: Reporter) -> tuple[Kubectl, str]:
    """A cluster that somebody else runs, or `make kind-up`."""
    if which == "kind":
        kubeconfig = KIND_KUBECONFIG
        if not kubeconfig.exists():
            raise DemoError("there is no kind cluster of this checkout; run `make kind-up` first")
    cluster = open_cluster("kubeconfig", kubeconfig=kubeconfig, reporter=reporter)
    return Kubectl(cluster.kubectl, cluster.kubeconfig.resolve(), OPERATOR / "kubectl-cache"), cluster.url


def _operate(kubectl: Kubectl, identity: str, is_local: bool, reporter: Reporter) -> State:
    """Install, and see that the operator runs; both only as far as it is not so already."""
    OPERATOR.mkdir(exist_ok=True)
    wanted = _fingerprint(identity)
    installed = INSTALLED.read_text(encoding="utf-8") if INSTALLED.exists() else ""
    state = State.living()
    if installed != wanted:
        if state is not None:
            _end(state)
            state = None
        with reporter.step("Installing CRDs, rights and admission policies"):
            install_on(kubectl)
        write_operator_kubeconfig(kubectl, CREDENTIALS, LOCAL_TOKEN_HOURS if is_local else 24)
        INSTALLED.write_text(wanted, encoding="utf-8")
    if state is not None and state.is_ready:
        reporter.say("The operator already runs")
        return state
    with reporter.step("Starting the operator"):
        return _wait_ready(_launch() if state is None else None)


def _fingerprint(identity: str) -> str:
    """What was installed where: another cluster, or other files, are installed anew."""
    digest = hashlib.sha256(identity.encode())
    for path in resources():
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _launch() -> subprocess.Popen[bytes]:
    STATE.unlink(missing_ok=True)
    with SUPERVISOR_LOG.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.demo", "supervise", f"--kubeconfig={CREDENTIALS}"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives the terminal
        )


def _wait_ready(supervisor: subprocess.Popen[bytes] | None) -> State:
    """Wait until the operator is ready; one that was just launched is ended again if that takes too long."""

    def ready() -> State | None:
        if supervisor is not None and supervisor.poll() is not None:
            raise _failure("The operator ended again and again")
        state = State.living()
        if supervisor is None and state is None:
            raise _failure("The operator ended again and again")
        return state if state is not None and state.is_ready else None

    try:
        return wait_until(ready, READY_SECONDS, "the operator to be ready")
    except DeadlineExceededError as error:
        if supervisor is not None:
            supervisor.terminate()
            supervisor.wait(STOP_SECONDS)
        raise _failure(f"The operator was not ready within {READY_SECONDS:.0f} s") from error
    except BaseException:
        if supervisor is not None and supervisor.poll() is None:
            supervisor.terminate()
            supervisor.wait(STOP_SECONDS)
        raise


def _failure(what: str) -> OperatorError:
    lines = OPERATOR_LOG.read_text(encoding="utf-8", errors="replace").splitlines() if OPERATOR_LOG.exists() else []
    return OperatorError(what, OPERATOR_LOG, "\n".join(lines[-30:]))


# -- the operator's supervisor --------------------------------------------------------------------------------------


def supervise(credentials: Path) -> int:
    """Keep an operator running until a signal ends this; returns 1 when it crashed too often to go on."""
    crashes: deque[float] = deque(maxlen=MOST_RESTARTS + 1)
    restarts = 0
    operator: DemoOperator | None = None
    try:
        while True:
            operator = DemoOperator(credentials, OPERATOR_LOG)
            operator.start(wait_ready=False)
            pid = os.getpid()
            State(pid, process_started(pid) or 0.0, operator.health_port, operator.metrics_port, restarts).write()
            while operator.is_running():
                time.sleep(CHECK_SECONDS)  # a signal ends it by raising
            crashes.append(time.monotonic())
            print(f"The operator ended by itself; restart {restarts + 1}", file=sys.stderr, flush=True)
            if len(crashes) > MOST_RESTARTS and crashes[-1] - crashes[0] < RESTART_WINDOW_SECONDS:
                print(f"{len(crashes)} times within {RESTART_WINDOW_SECONDS:.0f} s: giving up", file=sys.stderr)
                return 1
            restarts += 1
            time.sleep(RESTART_PAUSE_SECONDS)
    finally:
        if operator is not None:
            operator.stop()
        STATE.unlink(missing_ok=True)


# -- down -----------------------------------------------------------------------------------------------------------


def down() -> None:
    """End what `up` started, also what is left of it after a crash. Says what it did on standard error."""
    if not RUN.is_dir():
        print("Nothing is up", file=sys.stderr)
        return
    with FileLock(RUN / ".lock", timeout=LOCK_SECONDS):
        ended = _down()
    print(f"Ended: {', '.join(ended)}" if ended else "Nothing was up", file=sys.stderr)
    if not any(path.name != ".lock" for path in RUN.iterdir()):
        shutil.rmtree(RUN, ignore_errors=True)


def _down() -> list[str]:
    ended = []
    was_left = STATE.exists() or service.read_state(CLUSTER) is not None
    state = State.living()
    if state is not None:  # the operator before its cluster: it gives its lease up
        _end(state)
        ended.append("operator")
    if service.stop(CLUSTER):
        ended.append("cluster")
    for folder in (OPERATOR, TOOLS):
        shutil.rmtree(folder, ignore_errors=True)
    return ended or (["what a crash had left"] if was_left else [])


def _end(state: State) -> None:
    """End the supervisor, kindly first; its operator cannot outlive it."""
    with suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    try:
        wait_until(lambda: not state.is_alive, STOP_SECONDS, "the operator's supervisor to end")
    except DeadlineExceededError:
        with suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGKILL)
        wait_until(lambda: not state.is_alive, STOP_SECONDS, "the operator's supervisor to be killed")
    STATE.unlink(missing_ok=True)
