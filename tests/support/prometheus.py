"""A real Prometheus server, and a small exporter for it to scrape.

The server is Debian's package. Where it is not installed it is downloaded once, without root, into the cache folder.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final, Self

import httpx

from tests.controlplane.process import spawn
from tests.controlplane.waiting import wait_until
from tests.support.debian import package_folder
from tests.support.httpserver import LocalServer, QuietHandler
from tests.support.process import free_port

_PROGRAM: Final = "usr/bin/prometheus"
_CONFIG: Final = """\
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - {{job_name: metering, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""


def find_prometheus() -> Path:
    """The server's program, from PATH, from the cache, or fetched now. Raises PackageUnavailableError."""
    if (installed := shutil.which("prometheus")) is not None:
        return Path(installed)
    return package_folder("prometheus", ["prometheus"], _PROGRAM) / _PROGRAM


def find_promtool() -> Path:
    """The checker of rules that comes with the server. Raises PackageUnavailableError."""
    return find_prometheus().resolve().with_name("promtool")


class Exporter(LocalServer):
    """Serves counters over HTTP, as a product's metering agent would. A context manager.

    Attributes:
        lines: the text that is scraped next.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.scrapes = 0
        exporter = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
                exporter.scrapes += 1
                body = "".join(line + "\n" for line in exporter.lines).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)

    def say(self, *counts: tuple[str, float], license: str = "visitors") -> None:
        """Org IDs and what each has used so far."""
        self.lines = [f'used_total{{org_id="{org_id}",license="{license}"}} {value:g}' for org_id, value in counts]


class PrometheusServer:
    """A server that scrapes one exporter. A context manager; it can be stopped and started in between.

    Args:
        exporter: what is scraped; or the port on this machine where its /metrics are.
    """

    def __init__(self, binary: Path, folder: Path, exporter: Exporter | int) -> None:
        self._binary = binary
        self._folder = folder
        self._exporter = exporter
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, with what it stored before, and wait until it answers."""
        config = self._folder / "prometheus.yml"
        port = self._exporter if isinstance(self._exporter, int) else self._exporter.port
        config.write_text(_CONFIG.format(port=port))
        command = [
            str(self._binary),
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = spawn(command, stdout=log, stderr=log)
        wait_until(self._is_ready, 60, f"Prometheus to be ready (log: {log.name})")

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Prometheus ended:\n{(self._folder / 'log').read_text()}")
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """End it; nothing answers at its address."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def expect_scraped(self) -> None:
        """Wait until what the exporter says now was taken in."""
        exporter = self._exporter
        assert isinstance(exporter, Exporter)
        seen = exporter.scrapes
        wait_until(lambda: exporter.scrapes >= seen + 2, 30, "two scrapes")
