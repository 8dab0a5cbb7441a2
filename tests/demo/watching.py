"""Seeing clients become Ready: a watch for the times, kubectl's own table for the eyes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tests.controlplane.process import spawn

from .kubectl import Kubectl

Json = dict[str, Any]


class ReadyWatch:
    """A `kubectl get --watch` in the background that notes when each client was first seen Ready. A context manager."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._command = kubectl.command(
            "get", "clientorgs", f"--namespace={namespace}", "--watch", "--output-watch-events", "--output=json"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Event()
        self.ready_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._process = spawn(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self._read, name="ready-watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    @property
    def is_running(self) -> bool:
        """Whether it still watches."""
        return self._process is not None and self._process.poll() is None

    def take_change(self, timeout_seconds: float) -> bool:
        """Wait for a change of any client, for so long at most; whether there was one."""
        changed = self._changed.wait(timeout_seconds)
        self._changed.clear()
        return changed

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for event in documents(self._process.stdout):
            client = event["object"]
            if is_ready(client):
                self.ready_at.setdefault(client["metadata"]["name"], time.monotonic())
            self._changed.set()


def documents(stream: IO[bytes]) -> Iterator[Json]:
    """The JSON documents of a stream, one after the other, as they come."""
    decoder, text = json.JSONDecoder(), ""
    for line in stream:
        text = (text + line.decode()).lstrip()
        if line[:1] in b"{}":  # one line each, or indented: only such lines can end a document
            with contextlib.suppress(json.JSONDecodeError):
                document, end = decoder.raw_decode(text)
                text = text[end:]
                yield document


def is_ready(client: Json) -> bool:
    """Whether Ready is true for the spec as it is now."""
    status = client.get("status") or {}
    if status.get("observedGeneration") != client["metadata"].get("generation"):
        return False
    return any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions") or ())


class Screen:
    """Shows `kubectl get clientorgs` as it changes: in place on a terminal, the changed lines elsewhere."""

    def __init__(self, kubectl: Kubectl, namespace: str, console: Console) -> None:
        self._kubectl = kubectl
        self._namespace = namespace
        self._console = console
        self._live: Live | None = None
        self._shown: dict[str, Sequence[str]] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, seconds: Mapping[str, float]) -> None:
        """Ask kubectl and show what it says; `seconds` are the clients that are Ready and how long each took."""
        lines = self._kubectl.run("get", "clientorgs", f"--namespace={self._namespace}").splitlines()
        if self._live is None:
            for line in lines:
                name, *columns = line.split()
                columns = columns[:-1]  # the age always changes
                if self._shown.get(name) != columns:
                    self._shown[name] = columns
                    self._console.print(Text(line), soft_wrap=True)
            return
        rows = []
        for line in lines:
            name = line.split()[0]
            took = "TOOK" if name == "NAME" else f"{seconds[name]:.2f} s" if name in seconds else ""
            style = "bold" if name == "NAME" else "green" if name in seconds else ""
            rows.append(Text(f"{line}   {took}", style=style, no_wrap=True, overflow="crop"))
        self._live.update(Group(*rows), refresh=True)
