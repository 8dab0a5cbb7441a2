"""A local control plane: starts the components in order, answers for them, and stops them in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from . import audit, simulation
from .api import Api, new_client
from .binaries import BinaryCache
from .capabilities import Capabilities
from .commands import Layout, Ports
from .errors import ComponentError, ControlPlaneError, PortTakenError
from .modules import find
from .pki import COMPONENT_USERS, file_name_for
from .ports import free_ports
from .process import Component
from .progress import Reporter
from .toolchain import find_kubectl
from .waiting import DeadlineExceededError, wait_until
from .workdir import WorkDir

READY_DEADLINE_SECONDS = 90.0  # a start takes 4 s; an overloaded CI machine may take ten times that
START_ATTEMPTS = 5
POLL_SECONDS = 0.05
GRACE_SECONDS = 1.0  # the API server's own graceful stop takes up to a minute, and it answers /readyz meanwhile
DEFAULT_CONTROLLER_QPS = 300

CONTROLLERS = ("kwok", "kube-scheduler", "kube-controller-manager")  # in the order they are told to stop
STOP_ORDER = (*CONTROLLERS, "kube-apiserver", "etcd")


class ControlPlane:
    """One Kubernetes API with its controllers and, on demand, simulated nodes. A context manager.

    `nodes`: simulated nodes to begin with (KWOK is started only if there are any; see simulation.py for how tests
    steer pods). `audit`: write the audit log. `directory`: use this folder and keep its path, instead of a temporary
    one. `keep`: leave data and logs when stopping. `version`: a Kubernetes version with a folder below gomod/.

    Not thread-safe; may be used from any thread, and dies with the process that started it however that ends.
    """

    def __init__(
        self,
        *,
        nodes: int = 0,
        audit: bool = False,
        directory: Path | None = None,
        keep: bool = False,
        version: str | None = None,
        controller_qps: int = DEFAULT_CONTROLLER_QPS,
        binaries: BinaryCache | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self._nodes = nodes
        self._audit = audit
        self._directory = directory
        self._keep = keep
        self._controller_qps = controller_qps
        self._module = find("kubernetes", version)
        self._cache = binaries if binaries is not None else BinaryCache(reporter=reporter)
        self._components: dict[str, Component] = {}
        self._work: WorkDir | None = None
        self._layout_now: Layout | None = None
        self._api_now: Api | None = None
        self._node_count = 0

    def __enter__(self) -> Self:
        if not self._components:  # open_cluster returns a started one
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What it tells.

    @property
    def version(self) -> str:
        """The Kubernetes version, such as `v1.37.2`."""
        return self._module.version

    @property
    def url(self) -> str:
        """Base URL of the API server."""
        return f"https://127.0.0.1:{self._layout.ports.apiserver}"

    @property
    def ports(self) -> Ports:
        """The ports of the components, all on 127.0.0.1."""
        return self._layout.ports

    @property
    def ca_file(self) -> Path:
        """The certificate that the API server's certificate is signed with."""
        return self._layout.pki.ca_file

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of the cluster's administrator (group system:masters)."""
        return self._layout.kubeconfig("admin")

    @property
    def directory(self) -> Path:
        """The folder with everything of this cluster."""
        return self._layout.directory

    @property
    def logs_dir(self) -> Path:
        """The folder with one `<component>.log` each."""
        return self._layout.directory / "logs"

    @property
    def audit_log(self) -> Path | None:
        """The audit log (see audit.read_events), or None when it was not asked for."""
        return self._layout.audit_log if self._audit else None

    @property
    def kubectl(self) -> Path:
        """A kubectl that fits the server's version; may install one on its first use."""
        return find_kubectl(self.version, self._cache.directory)

    @property
    def pids(self) -> dict[str, int]:
        """The running components and their process IDs."""
        return {name: pid for name, part in self._components.items() if (pid := part.pid) is not None}

    @property
    def capabilities(self) -> Capabilities:
        """What tests may do with this cluster."""
        return Capabilities(
            disposable=True, has_nodes=self._node_count > 0, has_audit_log=self._audit, can_stop_apiserver=True
        )

    # Starting and stopping.

    def start(self) -> None:
        """Start everything and wait until it is usable. Raises ComponentError, whose logs stay on disk, or BuildError.

        Ports can be lost to another process between picking and binding: then it all starts over with new ones.
        """
        if self._components:
            raise ControlPlaneError("this control plane was already started")
        binaries = self._cache.ensure(self._module)
        if self._nodes:
            binaries = {**binaries, **self._cache.ensure(find("kwok"))}
        self._work = WorkDir(self._directory)
        try:
            for attempt in range(1, START_ATTEMPTS + 1):
                try:
                    self._start_once(binaries)
                    return
                except PortTakenError:
                    if attempt == START_ATTEMPTS:
                        raise
                    self._halt()
        except BaseException as error:
            self._halt()
            if isinstance(error, ComponentError):
                self._work.clear(keep=("logs", "owner.json"))
            else:
                self._work.remove()
            self._work = None
            raise

    def wait_ready(self, deadline_seconds: float = READY_DEADLINE_SECONDS) -> None:
        """Wait until pods could be created and scheduled, not merely until ports answer."""
        deadline = time.monotonic() + deadline_seconds

        def wait(component: str, url: str) -> None:
            self._wait(component, lambda: self._api.answers(url), max(0.1, deadline - time.monotonic()), url)

        ports = self._layout.ports
        wait("kube-apiserver", "/readyz")
        # Made by the controller manager; without it the API server refuses pods.
        wait("kube-controller-manager", "/api/v1/namespaces/default/serviceaccounts/default")
        wait("kube-controller-manager", f"https://127.0.0.1:{ports.controller_manager}/healthz")
        wait("kube-scheduler", f"https://127.0.0.1:{ports.scheduler}/readyz")
        if self._node_count:
            self._wait_for_nodes(max(0.1, deadline - time.monotonic()))

    def check(self) -> None:
        """Raise ComponentError if a component that should run has exited."""
        for component in self._components.values():
            component.check()

    def stop(self) -> None:
        """Stop everything and remove the data, unless it is to be kept. Does nothing the second time."""
        self._halt()
        if self._work is not None:
            if not self._keep:
                self._work.remove()
            self._work = None

    def close(self) -> None:
        """The same as `stop`, under the name that all kinds of clusters have it."""
        self.stop()

    # What tests do to it.

    def client(self) -> httpx.Client:
        """An HTTP client with the administrator's certificate and verified TLS; paths are relative to `url`."""
        return new_client(self._layout.pki.ssl_context("admin"), self.url)

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for any user in any groups, with a client certificate; RBAC decides what it may do."""
        path = self._layout.kubeconfig(file_name_for(user, groups))
        return self._layout.pki.write_client_kubeconfig(path, self.url, user, groups)

    def kubeconfig_for_service_account(self, namespace: str, name: str, *, hours: int = 24) -> Path:
        """A kubeconfig with a real token of an existing service account, as a pod of it would have."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": hours * 3600},
        }
        token = self._api.call("POST", path, body)["status"]["token"]
        user = f"system:serviceaccount:{namespace}:{name}"
        file = self._layout.kubeconfig(file_name_for(user))
        return self._layout.pki.write_token_kubeconfig(file, self.url, user, token)

    def add_nodes(self, count: int, deadline_seconds: float = READY_DEADLINE_SECONDS) -> None:
        """Add simulated nodes and wait until pods can be scheduled on them; starts KWOK if it does not run yet."""
        if "kwok" not in self._components:
            binary = self._cache.ensure(find("kwok"))
            self._layout.binaries.update(binary)
            self._start_component("kwok", self._layout.kwok())
        for index in range(self._node_count, self._node_count + count):
            self._api.call("POST", "/api/v1/nodes", simulation.node(index))
            self._node_count += 1
        self._wait_for_nodes(deadline_seconds)

    def stop_apiserver(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """An outage: clients get "connection refused" until `start_apiserver`. The data stays."""
        self._components["kube-apiserver"].stop(grace_seconds)

    def start_apiserver(self, deadline_seconds: float = READY_DEADLINE_SECONDS) -> None:
        """End an outage: the same port, certificates and data."""
        apiserver = self._components["kube-apiserver"]
        if apiserver.pid is None:
            apiserver.start()
        self._wait("kube-apiserver", lambda: self._api.answers("/readyz"), deadline_seconds, "/readyz")

    def freeze_apiserver(self) -> None:
        """The other kind of outage: connections are accepted and nothing answers (SIGSTOP)."""
        self._components["kube-apiserver"].signal(signal.SIGSTOP)

    def thaw_apiserver(self) -> None:
        """End a freeze (SIGCONT)."""
        self._components["kube-apiserver"].signal(signal.SIGCONT)

    # How.

    @property
    def _layout(self) -> Layout:
        if self._layout_now is None:
            raise ControlPlaneError("the control plane is not started")
        return self._layout_now

    @property
    def _api(self) -> Api:
        if self._api_now is None:
            raise ControlPlaneError("the control plane is not started")
        return self._api_now

    def _start_once(self, binaries: dict[str, Path]) -> None:
        assert self._work is not None
        self._work.clear(keep=("owner.json",))
        layout = Layout(self._work.path, dict(binaries), Ports(*free_ports(4)), self._audit, self._controller_qps)
        self._layout_now = layout
        for name in ("logs", "kubeconfigs", "audit"):
            (layout.directory / name).mkdir(mode=0o700, exist_ok=True)
        layout.pki.create()
        for name, (user, groups) in COMPONENT_USERS.items():
            layout.pki.write_client_kubeconfig(layout.kubeconfig(name), self.url, user, groups)
        audit.write_policy(layout.directory / "audit-policy.yaml")
        simulation.write_config(layout.directory / "kwok.yaml")

        self._start_component("etcd", layout.etcd())
        etcd = Api(f"https://127.0.0.1:{layout.ports.etcd}", layout.pki.etcd_ssl_context())
        self._start_component("kube-apiserver", layout.kube_apiserver())
        with closing(etcd):
            self._wait("etcd", lambda: etcd.answers("/health"), READY_DEADLINE_SECONDS, "/health")
        self._api_now = Api(self.url, layout.pki.ssl_context("admin"))
        self._wait("kube-apiserver", lambda: self._api.answers("/readyz"), READY_DEADLINE_SECONDS, "/readyz")
        self._start_component("kube-controller-manager", layout.kube_controller_manager())
        self._start_component("kube-scheduler", layout.kube_scheduler())
        self._node_count = 0
        if self._nodes:
            self.add_nodes(self._nodes)
        self.wait_ready()

    def _start_component(self, name: str, argv: Sequence[str | Path]) -> None:
        # Nothing of the user's environment: a proxy or GODEBUG set there must not change what is tested.
        environment = {"PATH": os.defpath, "HOME": str(self._layout.directory), "LANG": "C.UTF-8"}
        component = Component(name, argv, self.logs_dir / f"{name}.log", environment)
        self._components[name] = component
        component.start()

    def _halt(self) -> None:
        """Stop what runs, in order. The controllers go together: none of them needs another to end."""
        if self._api_now is not None:
            self._api_now.close()
            self._api_now = None
        deadline = time.monotonic() + GRACE_SECONDS
        for name in CONTROLLERS:
            if name in self._components:
                self._components[name].signal(signal.SIGTERM)
        for name in STOP_ORDER:
            component = self._components.pop(name, None)
            if component is None:
                continue
            if name in CONTROLLERS:
                component.reap(deadline - time.monotonic())
            else:
                component.stop(GRACE_SECONDS)

    def _wait(self, name: str, ready: Callable[[], object], deadline_seconds: float, what: str) -> None:
        """Wait for one component while watching all: the cause of a wait in vain may be another one's end."""

        def all_alive_and_ready() -> bool:
            self.check()
            return bool(ready())

        try:
            wait_until(all_alive_and_ready, deadline_seconds, what, max_interval_seconds=POLL_SECONDS)
        except DeadlineExceededError as error:
            component = self._components[name]
            raise ComponentError(name, f"is not ready: {error}", component.log, component.tail()) from error

    def _wait_for_nodes(self, deadline_seconds: float) -> None:
        def schedulable() -> bool:
            nodes = self._api.call("GET", "/api/v1/nodes")["items"]
            return sum(map(simulation.is_schedulable, nodes)) >= self._node_count

        self._wait("kwok", schedulable, deadline_seconds, f"{self._node_count} nodes to be schedulable")
