"""The operator as its own process, the way it runs in a cluster: its own ServiceAccount, its own memory, killable."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, Self

import httpx
import psutil

from tests.controlplane.process import spawn
from tests.controlplane.waiting import wait_until
from tests.support.install import ROOT

_PLAIN: Final[dict[str, Any]] = {"trust_env": False, "verify": False}
"""For plain HTTP on this machine. Without `verify` each request would first read all authorities, which takes 30 ms."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OperatorProcess:
    """One operator that cannot outlive us. A context manager: starts on entry, ends with SIGTERM on exit.

    Args:
        kubeconfig: credentials of the operator's ServiceAccount.
        log: file for its logs, appended to.
        settings: CLIENTORG_ variables without the prefix, in lower case.
    """

    def __init__(self, kubeconfig: Path | str, log: Path, **settings: object) -> None:
        self.log = log
        self.health_port, self.metrics_port = free_port(), free_port()
        settings = {
            "health_address": f"127.0.0.1:{self.health_port}",
            "metrics_address": f"127.0.0.1:{self.metrics_port}",
            "kubeconfig": kubeconfig,
            **settings,
        }
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CLIENTORG_", "KUBE"))},
            "PYTHONPATH": str(ROOT / "operator"),
            **{f"CLIENTORG_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process ID of the running operator."""
        assert self._process is not None
        return self._process.pid

    def start(self, deadline_seconds: float = 60.0, wait_ready: bool = True) -> None:
        """Start it and wait until /readyz says so."""
        with self.log.open("ab") as log:
            self._process = spawn(
                [sys.executable, "-m", "handlers", "run"],
                stdout=log,
                stderr=log,
                environment=self._environment,
                directory=ROOT,
            )
        if wait_ready:
            wait_until(self.is_ready, deadline_seconds, f"operator is ready (log: {self.log})")

    def is_ready(self) -> bool:
        """Whether /readyz answers 200. Raises RuntimeError when the process has ended."""
        if not self.is_running():
            raise RuntimeError(f"the operator ended:\n{self.tail()}")
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.health_port}/readyz", **_PLAIN).status_code == 200
        return False

    def answers(self, probe: str) -> int:
        """Status code of /healthz or /readyz; 0 when nothing listens."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.health_port}/{probe}", timeout=10, **_PLAIN).status_code
        except httpx.TransportError:
            return 0

    def text(self, probe: str) -> str:
        """What /healthz or /readyz says."""
        return httpx.get(f"http://127.0.0.1:{self.health_port}/{probe}", timeout=10, **_PLAIN).text

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def stop(self, deadline_seconds: float = 40.0) -> int:
        """SIGTERM and wait; returns the exit status."""
        if self._process is None:
            return 0
        if self.is_running():
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def kill(self) -> None:
        """SIGKILL: a crash."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def wait_exit(self, deadline_seconds: float) -> int:
        """Wait until it ends by itself; returns the exit status."""
        assert self._process is not None
        return self._process.wait(deadline_seconds)

    def metrics(self) -> dict[str, float]:
        """All samples of /metrics by name with labels."""
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30, **_PLAIN).text
        samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def keep_metrics(self) -> None:
        """Keep what /metrics says now, beside the log."""
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5, **_PLAIN).text
        self.log.with_suffix(".metrics").write_text(text)

    def writes(self) -> float:
        """Requests so far that changed something. The election has a connection of its own and does not count."""
        values = self.metrics()
        return sum(
            value
            for name, value in values.items()
            if name.startswith("clientorg_api_requests_total") and 'method="GET"' not in name
        )

    def usage(self) -> psutil.Process:
        """CPU and memory of the process."""
        return psutil.Process(self.pid)

    def peak_rss_bytes(self) -> int:
        """Largest resident size so far (VmHWM)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def cpu_seconds(self) -> float:
        """CPU time so far, user and system."""
        times = self.usage().cpu_times()
        return float(times.user + times.system)

    def tail(self, lines: int = 30) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
