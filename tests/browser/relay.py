"""A relay before the API server that can be cut, so that a watch is lost while both ends still run."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """Passes bytes on to one server. A context manager.

    Attributes:
        url: where it listens.
    """

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 443)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._is_cut = threading.Event()
        self._is_done = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done.set()
        self.cut()
        self._listening.close()

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        self._is_cut.set()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Pass new connections on again."""
        self._is_cut.clear()

    def _accept(self) -> None:
        while not self._is_done.is_set():
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            if self._is_cut.is_set():
                here.close()
                continue
            threading.Thread(target=self._pass_on, args=(here,), daemon=True).start()

    def _pass_on(self, here: socket.socket) -> None:
        with contextlib.suppress(OSError), here, socket.create_connection(self._target) as there:
            ends = {here: there, there: here}
            self._open |= ends.keys()
            try:
                while not self._is_cut.is_set():
                    for one in select.select(list(ends), (), (), 1.0)[0]:
                        data = one.recv(65536)
                        if not data:
                            return
                        ends[one].sendall(data)
            finally:
                self._open -= ends.keys()
