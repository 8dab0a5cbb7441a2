"""Which cluster to use: one option, `--cluster=local|kind|kubeconfig`, for tests, demo and benchmark alike."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from .capabilities import Capabilities
from .errors import ClusterUnavailableError
from .modules import find
from .plane import ControlPlane
from .progress import Reporter
from .toolchain import find_kubectl

CLUSTERS = ("local", "kind", "kubeconfig")
KIND_NAME = "clientorg"
KIND_WAIT_SECONDS = 180
COMMAND_TIMEOUT_SECONDS = 600.0
REACHABLE_SECONDS = 10


class Cluster(Protocol):
    """What the rest of the project knows of a cluster."""

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with an administrator's rights."""

    @property
    def url(self) -> str:
        """Base URL of the API server."""

    @property
    def kubectl(self) -> Path:
        """A kubectl that fits it."""

    @property
    def capabilities(self) -> Capabilities:
        """What may be asked of it."""

    def close(self) -> None:
        """Give it back: remove what was made for this run, leave what was there before."""

    def __enter__(self) -> Self:
        """The cluster itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""


class ExternalCluster:
    """A cluster that somebody else runs: kind's, or whatever a kubeconfig leads to."""

    def __init__(self, kubeconfig: Path, kubectl: Path, *, owned_kind: str | None = None) -> None:
        self.kubeconfig = kubeconfig
        self.kubectl = kubectl
        self._owned_kind = owned_kind
        self.url = self._read_url()
        self.capabilities = Capabilities(
            disposable=owned_kind is not None, has_nodes=True, has_audit_log=False, can_stop_apiserver=False
        )

    def close(self) -> None:
        """Delete a kind cluster that was created for this run."""
        if self._owned_kind is not None:
            _run(["kind", "delete", "cluster", "--name", self._owned_kind, "--kubeconfig", str(self.kubeconfig)])
            shutil.rmtree(self.kubeconfig.parent, ignore_errors=True)
            self._owned_kind = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_url(self) -> str:
        """The server of the current context, once it has answered; raises ClusterUnavailableError if it does not."""
        base = [str(self.kubectl), "--kubeconfig", str(self.kubeconfig)]
        context = _ask([*base, "config", "current-context"])
        if context is None:
            raise ClusterUnavailableError(
                f"{self.kubeconfig} has no current context: choose one with `kubectl config use-context NAME`,"
                " or use --cluster=local, which needs no cluster"
            )
        url = _ask([*base, "config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}"])
        try:
            run = subprocess.run(
                [*base, f"--request-timeout={REACHABLE_SECONDS}s", "get", "--raw=/readyz"],
                capture_output=True,
                text=True,
                timeout=2 * REACHABLE_SECONDS,
                check=False,
            )
            said = "" if run.returncode == 0 else run.stderr.strip() or f"exit code {run.returncode}"
        except subprocess.TimeoutExpired:
            said = f"no answer within {2 * REACHABLE_SECONDS} s"
        if said or not url:
            raise ClusterUnavailableError(
                f"the context {context!r} of {self.kubeconfig} leads to {url or 'no server'}, which cannot be used:"
                f" {said[-500:]}. Start that cluster, choose another context, or use --cluster=local"
            )
        return url


def open_cluster(
    which: str,
    *,
    kubeconfig: Path | None = None,
    nodes: int = 0,
    audit: bool = False,
    version: str | None = None,
    reporter: Reporter | None = None,
) -> Cluster:
    """The chosen cluster, ready to use; close it (or use it with `with`) when done.

    `nodes`, `audit` and `version` shape a local one. Raises ControlPlaneError with what to do about it.
    """
    reporter = reporter if reporter is not None else Reporter()
    if which == "local":
        plane = ControlPlane(nodes=nodes, audit=audit, version=version, reporter=reporter)
        plane.start()
        return plane
    if which == "kind":
        return _open_kind(reporter)
    if which == "kubeconfig":
        chosen = kubeconfig if kubeconfig is not None else _default_kubeconfig()
        cluster = ExternalCluster(chosen, _kubectl())
        reporter.say(f"Using the cluster at {cluster.url} ({chosen}); nothing in it is taken for disposable")
        return cluster
    raise ClusterUnavailableError(f"no kind of cluster is called {which!r}; choose one of {', '.join(CLUSTERS)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--cluster` and `--kubeconfig` to a command line."""
    parser.add_argument(
        "--cluster",
        choices=CLUSTERS,
        default=os.environ.get("CLIENTORG_CLUSTER", "local"),
        help="local: a control plane of our own, no containers (default); kind: where Docker runs;"
        " kubeconfig: the current context (default: $CLIENTORG_CLUSTER, else local)",
    )
    parser.add_argument(
        "--kubeconfig", type=Path, help="for --cluster=kubeconfig (default: $KUBECONFIG, else ~/.kube/config)"
    )


def _open_kind(reporter: Reporter) -> Cluster:
    if shutil.which("kind") is None:
        raise ClusterUnavailableError(
            "--cluster=kind needs the program kind on PATH (https://kind.sigs.k8s.io/docs/user/quick-start/);"
            " --cluster=local needs neither kind nor Docker"
        )
    engine = next((name for name in ("docker", "podman", "nerdctl") if shutil.which(name)), None)
    if engine is None or _ask([engine, "info"]) is None:
        state = "is not running, or may not be used by you" if engine else "is not installed"
        raise ClusterUnavailableError(
            f"--cluster=kind needs a container engine: {engine or 'Docker'} {state}. Try `docker info`;"
            " --cluster=local needs neither kind nor Docker"
        )
    existing = (_ask(["kind", "get", "clusters"]) or "").split()
    kubeconfig = Path(tempfile.mkdtemp(prefix="clientorg-kind-")) / "kubeconfig.yaml"
    name = ["--name", KIND_NAME, "--kubeconfig", str(kubeconfig)]
    if KIND_NAME in existing:
        reporter.say(f"Using the kind cluster {KIND_NAME!r}, which is there already")
        _run(["kind", "export", "kubeconfig", *name])
        return ExternalCluster(kubeconfig, _kubectl())
    with reporter.step(f"Creating the kind cluster {KIND_NAME!r}"):
        _run(["kind", "create", "cluster", *name, "--wait", f"{KIND_WAIT_SECONDS}s"])
    return ExternalCluster(kubeconfig, _kubectl(), owned_kind=KIND_NAME)


def _default_kubeconfig() -> Path:
    """The file the user's kubectl would use; raises ClusterUnavailableError if there is none."""
    named = os.environ.get("KUBECONFIG", "")
    files = [Path(name) for name in named.split(os.pathsep) if name] or [Path.home() / ".kube" / "config"]
    present = [file for file in files if file.is_file()]
    if not present:
        raise ClusterUnavailableError(
            f"--cluster=kubeconfig found no kubeconfig at {', '.join(map(str, files))}:"
            " set KUBECONFIG or pass --kubeconfig, or use --cluster=local"
        )
    if len(present) > 1:
        raise ClusterUnavailableError(
            f"KUBECONFIG names several files ({named}): pass the one to use with --kubeconfig,"
            " so that there is no doubt about which cluster is meant"
        )
    return present[0]


def _kubectl() -> Path:
    """kubectl from PATH, which is the one its owner uses with it; else ours."""
    on_path = shutil.which("kubectl")
    return Path(on_path) if on_path else find_kubectl(find("kubernetes").version)


def _ask(command: list[str]) -> str | None:
    """What the command prints, or None if it fails."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def _run(command: list[str]) -> None:
    """Run a command, its messages on our standard error; raises ClusterUnavailableError if it fails."""
    try:
        subprocess.run(command, stdout=sys.stderr, timeout=COMMAND_TIMEOUT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ClusterUnavailableError(f"`{' '.join(command)}` failed: {error}") from error
