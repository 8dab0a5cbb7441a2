"""What a story is played on: a cluster with everything installed, and the operator as a process beside it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from tests.controlplane import ControlPlaneError
from tests.controlplane.binaries import BinaryCache
from tests.controlplane.choose import open_cluster
from tests.controlplane.modules import find
from tests.controlplane.plane import ControlPlane
from tests.controlplane.progress import Reporter
from tests.controlplane.toolchain import find_kubectl
from tests.controlplane.waiting import DeadlineExceededError
from tests.support.install import ROOT, install, resources
from tests.support.process import OperatorProcess

from .errors import DemoError, OperatorError, RefusedError
from .kubectl import Kubectl, link_tools, write_operator_kubeconfig
from .telling import Try

NODES = 2
READY_SECONDS = 60.0
PLUGIN = (
    Path(sys.executable).with_name("kubectl-clientorg"),
    ROOT / "operator/clientorg/cli/kubectl_complete-clientorg",
)


class DemoOperator(OperatorProcess):
    """An operator whose failures are told with its last log lines. A Ctrl-C reaches it only through us."""

    def start(self, deadline_seconds: float = READY_SECONDS, wait_ready: bool = True) -> None:
        """Start it and wait until /readyz says so. Raises OperatorError."""
        try:
            super().start(deadline_seconds, wait_ready)
        except (DeadlineExceededError, RuntimeError) as error:
            what = "The operator is not ready" if self.is_running() else "The operator ended"
            raise OperatorError(what, self.log, self.tail()) from error

    def check(self) -> None:
        """Raise OperatorError if it is not there any more."""
        if not self.is_running():
            raise OperatorError("The operator ended", self.log, self.tail())


@dataclass(frozen=True)
class Stage:
    """A cluster with the operator at work.

    Attributes:
        folder: for files of the story, gone afterwards.
        tools: kubectl and the plugin, for PATH.
    """

    folder: Path
    kubectl: Kubectl
    tools: Path
    operator: DemoOperator
    plane: ControlPlane | None

    @property
    def disposable(self) -> bool:
        """Whether the cluster goes away with the demo, so that nothing in it has to be cleaned up."""
        return self.plane is not None

    def check(self) -> None:
        """Raise ControlPlaneError if a part of it ended by itself."""
        if self.plane is not None:
            self.plane.check()
        self.operator.check()


class Story(Protocol):
    """What is played; a module each."""

    @property
    def AGENCY(self) -> str:  # noqa: N802 - a constant of the module
        """The namespace that it plays in."""

    @property
    def TRY_NEXT(self) -> tuple[Try, ...]:  # noqa: N802
        """What a person may try afterwards; without any, the story ends by itself."""

    def settings(self, folder: Path) -> Mapping[str, object]:
        """The operator's settings, of which files may be in that folder."""

    def refuse(self, kubectl: Kubectl) -> None:
        """Look at a cluster that somebody else runs, before anything is done to it; raises RefusedError."""

    def play(self, stage: Stage, console: Console) -> None:
        """Play it to its end. Raises ControlPlaneError if something did not come about."""


def prepare_binaries(reporter: Reporter, *, nodes: int) -> Path:
    """Build or find what a local cluster runs, where a person sees the progress; returns kubectl."""
    cache = BinaryCache(reporter=reporter)
    module = find("kubernetes")
    cache.ensure(module)
    if nodes:
        cache.ensure(find("kwok"))
    return find_kubectl(module.version, cache.directory)


@contextlib.contextmanager
def open_stage(which: str, kubeconfig: Path | None, reporter: Reporter, story: Story) -> Iterator[Stage]:
    """From nothing to a running operator; whatever was made for it is gone when the block ends.

    Only the operator's log stays, and only if it failed: the error says where. Raises ControlPlaneError.
    """
    work = Path(tempfile.mkdtemp(prefix="clientorg-demo-"))
    log = work / "operator.log"
    keep_log = False
    try:
        with contextlib.ExitStack() as stack:
            if which == "local":
                prepare_binaries(reporter, nodes=NODES)
                with reporter.step(f"Starting Kubernetes {find('kubernetes').version}"):
                    cluster = open_cluster(which, nodes=NODES, reporter=reporter)
            else:
                cluster = open_cluster(which, kubeconfig=kubeconfig, reporter=reporter)
            stack.callback(cluster.close)
            plane = cluster if isinstance(cluster, ControlPlane) else None
            kubectl = Kubectl(cluster.kubectl, cluster.kubeconfig, work / "kubectl-cache")
            if plane is None:
                story.refuse(kubectl)
                stack.enter_context(_taking_back(kubectl, reporter))
            with reporter.step("Installing CRDs, rights and admission policies"):
                install_on(kubectl)
            credentials = write_operator_kubeconfig(kubectl, work / "operator-kubeconfig.yaml")
            tools = link_tools(work / "bin", kubectl.binary, PLUGIN)
            operator = DemoOperator(credentials, log, **story.settings(work))
            stack.callback(operator.stop)  # before it is started: starting may be interrupted
            with reporter.step("Starting the operator"):
                operator.start()
            yield Stage(work, kubectl, tools, operator, plane)
    except RefusedError:
        raise
    except ControlPlaneError as error:
        keep_log = log.exists()
        if keep_log and not isinstance(error, OperatorError):
            raise OperatorError(str(error), log, operator.tail()) from error
        raise
    except Exception:
        keep_log = log.exists()
        raise
    finally:
        for path in work.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif not (keep_log and path == log):
                path.unlink()
        if not keep_log:
            work.rmdir()


def install_on(kubectl: Kubectl) -> None:
    """CRDs, rights and policies; raises DemoError with kubectl's words."""
    try:
        install(kubectl.binary, kubectl.kubeconfig)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()[-2000:]
        raise DemoError(f"installing into the cluster failed: {said}") from error


@contextlib.contextmanager
def _taking_back(kubectl: Kubectl, reporter: Reporter) -> Iterator[None]:
    """On a cluster of somebody else: take back what we installed, if it was not there before and nobody uses it.

    Deleting a CRD deletes all its objects, so in doubt it stays and the reader is told how to remove it.
    """
    was_there = kubectl.exists("crd", "clientorgs.clientorg.dev")
    if was_there and kubectl.exists("deployment", "clientorg-operator", "--namespace=clientorg-system"):
        raise RefusedError("an operator is installed in this cluster already; the demo would stand in its way")
    yield
    if was_there:
        return
    files = [f"--filename={path}" for path in resources()]
    if any(kubectl.exists(kind, "--all-namespaces") for kind in ("clientorgs", "quotapools", "orgplans")):
        reporter.say("Objects of clientorg.dev are left, so CRDs and policies stay: kubectl delete -k manifests")
        return
    with reporter.step("Taking CRDs, rights and admission policies back"):
        kubectl.run("delete", *files, "--ignore-not-found")
