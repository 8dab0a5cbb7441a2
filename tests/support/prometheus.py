"""A real Prometheus server, and a small exporter for it to scrape.

The server is Debian's package. Where it is not installed it is downloaded once, without root, into the cache folder.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

import httpx
from filelock import FileLock

from tests.controlplane.process import spawn
from tests.controlplane.toolchain import cache_dir
from tests.controlplane.waiting import wait_until
from tests.support.httpserver import LocalServer, QuietHandler
from tests.support.process import free_port

_PACKAGE: Final = "prometheus"
_FETCH_SECONDS: Final = 180
_CONFIG: Final = """\
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - {{job_name: metering, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""


class PrometheusUnavailableError(RuntimeError):
    """There is no Prometheus on this machine and none could be fetched; the text says why."""


def find_prometheus() -> Path:
    """The server's program, from PATH, from the cache, or fetched now."""
    if (installed := shutil.which("prometheus")) is not None:
        return Path(installed)
    folder = cache_dir() / "tools" / _PACKAGE
    binary = folder / "usr" / "bin" / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not binary.exists():
            _fetch(folder)
    return binary


def _fetch(folder: Path) -> None:
    """Download the package and unpack it into the folder: completely or not at all."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as name:
        work = Path(name)
        try:
            _run(work, "apt-get", "-qq", "download", _PACKAGE)
        except PrometheusUnavailableError:  # lists of packages may be missing, and only root may fetch them for all
            for part in ("lists/partial", "archives/partial"):
                (work / part).mkdir(parents=True)
            own = ("-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'archives'}")
            _run(work, "apt-get", "-qq", *own, "update")
            _run(work, "apt-get", "-qq", *own, "download", _PACKAGE)
        (package,) = work.glob(f"{_PACKAGE}_*.deb")
        _run(work, "dpkg-deb", "-x", str(package), "content")
        shutil.rmtree(folder / "usr", ignore_errors=True)
        (work / "content" / "usr").rename(folder / "usr")


def _run(folder: Path, *command: str) -> None:
    try:
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        raise PrometheusUnavailableError(
            f"no prometheus on PATH, and `{' '.join(command)}` failed: {said[-500:]}. Install the package prometheus"
        ) from error


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
    """A server that scrapes one exporter. A context manager; it can be stopped and started in between."""

    def __init__(self, binary: Path, folder: Path, exporter: Exporter) -> None:
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
        config.write_text(_CONFIG.format(port=self._exporter.port))
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
        seen = self._exporter.scrapes
        wait_until(lambda: self._exporter.scrapes >= seen + 2, 30, "two scrapes")
