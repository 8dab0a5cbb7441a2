"""A real Argo CD on a control plane: its repo-server and application-controller, as processes, with Redis beside them.

Built as a Go tool (tests/controlplane/gomod/argocd). The controller acts as a ServiceAccount with the rights that
docs/gitops.md gives it, and knows of our kinds only, and of their health what argocd/ says.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import yaml

from clientorg.cluster.resources import Resource
from tests.controlplane.binaries import BinaryCache
from tests.controlplane.modules import find
from tests.controlplane.process import spawn
from tests.controlplane.waiting import DeadlineExceededError, wait_until
from tests.support.install import ROOT
from tests.support.kube import Kube, RefusedError
from tests.support.process import free_port
from tests.support.redis import RedisServer

Json = dict[str, Any]

NAMESPACE: Final = "argocd"
ACCOUNT: Final = "argocd-application-controller"
APPLICATIONS: Final = Resource("argoproj.io", "v1alpha1", "applications", "Application")
REFRESH: Final = "argocd.argoproj.io/refresh"
DEADLINE_SECONDS: Final = 120.0
_LABELS: Final = {"app.kubernetes.io/part-of": "argocd"}


class ArgoCd:
    """Argo CD, installed and running. A context manager; on exit its processes end, and its objects stay."""

    def __init__(self, kubectl: Path, api: Kube, kubeconfig: Path, folder: Path) -> None:
        self._kubectl = kubectl
        self._api = api
        self._admin = kubeconfig
        self._folder = folder
        self._stack = ExitStack()
        self._module = find("argocd")
        self._cache = BinaryCache()

    def __enter__(self) -> Self:
        binary = self._cache.ensure(self._module)["argocd"]
        self._install()
        with ExitStack() as stack:
            redis = stack.enter_context(RedisServer(self._folder))
            port = free_port()
            server = self._run(stack, binary, "argocd-repo-server", self._repo_server(port, redis))
            wait_until(lambda: self._is_up(server, port), DEADLINE_SECONDS, "the repo-server to listen")
            self._run(stack, binary, "argocd-application-controller", self._controller(port, redis))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # What tests do with it.

    def apply(self, manifest: Json) -> None:
        """Apply an Application or AppProject."""
        self._apply(manifest)

    def read(self, application: str) -> Json:
        """An Application as it is now."""
        return self._api.get(APPLICATIONS, application, NAMESPACE)

    def refresh(self, application: str, how: str = "normal") -> None:
        """What a webhook of the Git server does: look at the repository now."""
        patch = {"metadata": {"annotations": {REFRESH: how}}}
        self._api.merge(APPLICATIONS, application, patch, NAMESPACE)
        wait_until(
            lambda: REFRESH not in (self.read(application)["metadata"].get("annotations") or {}),
            DEADLINE_SECONDS,
            f"{application} to be refreshed",
        )

    def expect(self, application: str, holds: Callable[[Json], object], what: str) -> Json:
        """Wait until the Application satisfies the predicate; returns it."""
        seen: Json = {}

        def found() -> Json | None:
            nonlocal seen
            seen = self.read(application)
            return seen if holds(seen.get("status") or {}) else None

        try:
            return wait_until(found, DEADLINE_SECONDS, f"Application {application} to {what}")
        except DeadlineExceededError as error:
            raise AssertionError(f"{error}\n{json.dumps(seen.get('status'), indent=1)}\n{self.tails()}") from error

    def tails(self) -> str:
        """The ends of the logs."""
        logs = sorted(self._folder.glob("argocd-*.log"))
        return "\n".join(f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-30:]) for log in logs)

    # How.

    def _install(self) -> None:
        crds = self._cache.folder(self._module) / "manifests" / "crds"
        files = [str(crds / f"{name}-crd.yaml") for name in ("application", "appproject")]
        self._kubectl_run("apply", "--server-side", *(word for file in files for word in ("-f", file)))
        wait_until(self._is_served, DEADLINE_SECONDS, "the kinds of Argo CD to be served", ignore=RefusedError)
        self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        documents = yaml.safe_load_all((ROOT / "examples" / "argocd" / "install" / "rights.yaml").read_text())
        for manifest in documents:
            self._apply(manifest)
        self._kubectl_run("apply", "--server-side", "-k", str(ROOT / "argocd"))
        settings: Json = {"resource.inclusions": yaml.safe_dump(_INCLUSIONS), "timeout.reconciliation": "3600s"}
        meta = {"name": "argocd-cm", "namespace": NAMESPACE, "labels": _LABELS}
        self._apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": settings}, manager="installer")
        secret = {"server.secretkey": "only for a server, which does not run here"}
        meta = {"name": "argocd-secret", "namespace": NAMESPACE, "labels": _LABELS}
        self._apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": secret})

    def _is_served(self) -> bool:
        found = self._api.request("GET", "/apis/argoproj.io/v1alpha1")["resources"]
        return {"applications", "appprojects"} <= {item["name"] for item in found}

    def _repo_server(self, port: int, redis: RedisServer) -> list[str]:
        return [
            *("--address=127.0.0.1", f"--port={port}", f"--redis={redis.address}", "--disable-tls"),
            "--client-ca-path=",  # of TLS, which is off
            *("--metrics-address=127.0.0.1", f"--metrics-port={free_port()}"),
        ]

    def _controller(self, port: int, redis: RedisServer) -> list[str]:
        return [
            *(f"--repo-server=127.0.0.1:{port}", "--repo-server-plaintext", f"--redis={redis.address}"),
            *(f"--kubeconfig={self._account()}", f"--namespace={NAMESPACE}", f"--metrics-port={free_port()}"),
            *("--persist-resource-health", "--app-resync=3600", "--self-heal-timeout-seconds=1"),
            *("--status-processors=4", "--operation-processors=2", "--loglevel=info"),
        ]

    def _account(self) -> Path:
        """A kubeconfig of the controller's ServiceAccount."""
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 24 * 3600},
        }
        token = self._api.request("POST", path, body)["status"]["token"]
        return self._api.access.with_token(token, self._folder / "kubeconfig")

    def _is_up(self, server: subprocess.Popen[bytes], port: int) -> bool:
        if server.poll() is not None:
            raise RuntimeError(f"the repo-server ended\n{self.tails()}")
        return _listens(port)

    def _run(self, stack: ExitStack, binary: Path, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        """Start a part; which one it is, the program sees from its own name."""
        program = self._folder / name
        program.symlink_to(binary)
        log = self._folder / f"{name}.log"
        with log.open("ab") as stream:
            process = spawn([program, *arguments], stdout=stream, stderr=stream, environment=self._environment())

        def stop() -> None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

        stack.callback(stop)
        return process

    def _environment(self) -> Mapping[str, str]:
        """Nothing outside its folder; the cluster it runs in is the one of its kubeconfig."""
        work = {name: self._folder / name for name in ("tmp", "tls", "ssh", "gpg", "plugins")}
        for folder in work.values():
            folder.mkdir(exist_ok=True)
        wrapper = self._folder / "git-verify-wrapper.sh"  # Argo CD's own, as its image has it
        shutil.copyfile(self._cache.folder(self._module) / "hack" / wrapper.name, wrapper)
        wrapper.chmod(0o755)
        return {
            "PATH": f"{self._folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._folder),
            "TMPDIR": str(work["tmp"]),
            "KUBECONFIG": str(self._folder / "kubeconfig"),
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_TLS_DATA_PATH": str(work["tls"]),
            "ARGOCD_SSH_DATA_PATH": str(work["ssh"]),
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_GNUPGHOME": str(work["gpg"]),
            "ARGOCD_PLUGINSOCKFILEPATH": str(work["plugins"]),
            "ARGOCD_ASK_PASS_SOCK": str(work["tmp"] / "ask-pass.sock"),
            "ARGOCD_RECONCILIATION_TIMEOUT": "3600s",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LANG": "C.UTF-8",
        }

    def _apply(self, manifest: Json, manager: str = "somebody") -> None:
        command = ["apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-"]
        self._kubectl_run(*command, stdin=json.dumps(manifest))

    def _kubectl_run(self, *arguments: str, stdin: str = "") -> None:
        command = [str(self._kubectl), f"--kubeconfig={self._admin}", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


_INCLUSIONS: Final = [{"apiGroups": ["clientorg.dev"], "kinds": ["*"], "clusters": ["*"]}]
