"""A proxy before the real API server that lets a test step between the command's requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx

from tests.cluster._cli_support import kubeconfig_at
from tests.support.httpserver import LocalServer, QuietHandler

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What the command asks of the server."""

    method: str
    path: str
    query: str
    body: Json

    @property
    def dry_run(self) -> bool:
        """Whether it writes nothing anyway."""
        return "dryRun=All" in self.query

    def writes(self, name: str) -> bool:
        """Whether it patches the client of that name for good."""
        return self.method == "PATCH" and self.path.endswith(f"/clientorgs/{name}") and not self.dry_run


@dataclass(frozen=True)
class Refusal:
    """An answer in the server's place."""

    code: int
    reason: str
    message: str

    def payload(self) -> bytes:
        """As the server would write it."""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.code}
        return json.dumps({**status, "reason": self.reason, "message": self.message}).encode()


@dataclass(frozen=True)
class HangUp:
    """No answer; the server may have done it nevertheless."""

    after_forwarding: bool


Step = Callable[[Request], Refusal | HangUp | None]


def before_first_write(name: str, act: Callable[[], object]) -> Step:
    """A step: act once, between the command's look at the client of that name and its write."""
    acted = threading.Event()

    def step(request: Request) -> None:
        if request.writes(name) and not acted.is_set():
            acted.set()
            act()

    return step


@dataclass
class FaultProxy:
    """Plain HTTP before, verified TLS behind. A context manager.

    Attributes:
        step: asked before each request is passed on; may do what it likes, and answer in the server's place.
        seen: every request.
    """

    upstream: httpx.Client
    step: Step = lambda request: None
    seen: list[Request] = field(default_factory=list)

    def __enter__(self) -> FaultProxy:
        proxy = self

        class Handler(QuietHandler):
            def _handle(self) -> None:
                proxy._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

        self._server = LocalServer(Handler)
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()
        self.upstream.close()

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig for the proxy."""
        return kubeconfig_at(folder / "faulty", f"http://127.0.0.1:{self._server.port}")

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        payload = handler.rfile.read(length)
        path, _, query = handler.path.partition("?")
        request = Request(handler.command, path, query, json.loads(payload) if payload else {})
        self.seen.append(request)
        instead = self.step(request)
        if isinstance(instead, Refusal):
            self._send(handler, instead.code, {"Content-Type": "application/json"}, instead.payload())
            return
        if isinstance(instead, HangUp) and not instead.after_forwarding:
            handler.connection.close()
            return
        with suppress(httpx.TransportError, OSError):
            self._forward(handler, payload, hang_up=instead is not None)

    def _forward(self, handler: BaseHTTPRequestHandler, payload: bytes, *, hang_up: bool) -> None:
        headers = {"Content-Type": handler.headers.get("Content-Type") or "application/json"}
        timeout = httpx.Timeout(10, read=120)
        with self.upstream.stream(
            handler.command, handler.path, content=payload, headers=headers, timeout=timeout
        ) as answer:
            if hang_up:
                answer.read()
                handler.connection.close()
                return
            kept = {name: value for name, value in answer.headers.items() if name in ("content-type", "warning")}
            self._send(handler, answer.status_code, kept, b"")
            for chunk in answer.iter_bytes():
                handler.wfile.write(chunk)
                handler.wfile.flush()

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, code: int, headers: dict[str, str], payload: bytes) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(payload)
