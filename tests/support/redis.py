"""A real Redis server: Debian's package, fetched without root where it is not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.controlplane.process import spawn
from tests.controlplane.waiting import wait_until
from tests.support.debian import package_folder
from tests.support.process import free_port

_PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1")
_PROGRAM = "usr/bin/redis-server"


class RedisServer:
    """A server without persistence, on 127.0.0.1. A context manager.

    Raises:
        PackageUnavailableError: it is not on this machine, and cannot be fetched.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = dict(os.environ)
        if (installed := shutil.which("redis-server")) is not None:
            self._program = Path(installed)
        else:
            root = package_folder("redis", _PACKAGES, _PROGRAM)
            self._program = root / _PROGRAM
            libraries = sorted({str(path.parent) for path in (root / "usr" / "lib").rglob("*.so*")})
            self._environment["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        command = [str(self._program), *options]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = spawn(command, stdout=log, stderr=log, environment=self._environment)
        wait_until(self._answers, 60, f"Redis to answer (log: {log.name})")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Redis ended:\n{(self._folder / 'redis.log').read_text()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
