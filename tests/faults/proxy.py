"""A recording proxy between the operator and the API server, which can kill the operator at any write.

TLS on both sides; the operator's token is passed through, so that the API server sees the operator as it is. Watches
are streamed as they come. From the moment of a kill nothing more of the dead process is forwarded: its connections are
closed with whatever is still unread in them. What had been forwarded before goes on, as it would on a real network.

A meddler may put a fault in place of any answer or event, hold events back, and answer lists from the past.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.controlplane.certs import Authority, KeyPair
from tests.controlplane.waiting import wait_until
from tests.faults.meddling import Fault, Meddler
from tests.faults.recording import Kill, Position, Record, Recording
from tests.faults.scope import Scope
from tests.support.kube import Access

T = TypeVar("T")
_HOST: Final = "127.0.0.1"
_OWN_HEADERS: Final = frozenset(
    {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "te", "trailer", "date"}
)
"""Headers of one connection, or that we write ourselves."""
_START_SECONDS: Final = 30.0
_SETTLE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.05


class Proxy:
    """One proxy, in a thread of its own. A context manager.

    Args:
        server: URL of the API server.
        pki: folder with the cluster's authority, `ca.crt` and `ca.key`.
        folder: where its certificate is written.
        scope: what the operator sees of lists and watches.
    """

    def __init__(self, server: str, pki: Path, folder: Path, scope: Scope | None = None) -> None:
        self._server = server
        self._scope = scope or Scope()
        self.meddler = Meddler()
        pair = Authority(KeyPair.read(pki, "ca")).issue_server("proxy", names=["localhost"], addresses=[_HOST])
        self._serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._serving.load_cert_chain(*pair.write(folder, "proxy"))
        self._upstream = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults-proxy", daemon=True)
        self._recording = Recording("")
        self._kill: Kill | None = None
        self._on_kill: Callable[[], None] = lambda: None
        self._is_cut = False
        self._in_flight = 0
        self._streams: dict[aiohttp.ClientResponse, str] = {}
        self._deaf: set[aiohttp.ClientResponse] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What the harness does with it.

    def kubeconfig(self, access: Access, path: Path) -> Path:
        """Write a kubeconfig with the access's token that leads here."""
        return replace(access, server=f"https://{_HOST}:{self.port}").with_token(access.token, path)

    def begin(self, agency: str, kill: Kill | None = None, on_kill: Callable[[], None] = lambda: None) -> Recording:
        """Record from now on for this agency; returns what is recorded, which goes on growing.

        Args:
            kill: where to kill the operator, once.
            on_kill: kills it. Called in the proxy's thread, and nothing is forwarded before it returns, nor after it
                until `admit`.
        """

        async def begin() -> Recording:
            self._recording = Recording(agency)
            self._kill, self._on_kill = kill, on_kill
            return self._recording

        return self._call(begin())

    def begin_counting(self, kill: Kill | None) -> None:
        """Number the writes anew, from 1, and kill there; the workspaces that are known stay so."""

        async def begin() -> None:
            self._recording.restart()
            self._kill = kill

        self._call(begin())

    def watched(self) -> set[str]:
        """The paths of which a watch is open that delivers what happens."""
        return {path for answer, path in list(self._streams.items()) if answer not in self._deaf}

    def settle(self) -> None:
        """Wait until the server has answered everything that was forwarded, but for watches."""
        wait_until(lambda: self._in_flight == 0, _SETTLE_SECONDS, "the server to answer what was forwarded")

    def admit(self) -> None:
        """Forward again, for the next process."""

        async def admit() -> None:
            self._recording.process += 1
            self._is_cut = False

        self._call(admit())

    # How.

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._upstream),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        self._web = web.Server(self._handle, access_log=None)
        self._listener = await self._loop.create_server(self._web, _HOST, 0, ssl=self._serving)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._listener.close()
        self._drop_connections()
        await self._web.shutdown(1.0)
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        recording, process = self._recording, self._recording.process
        body = await request.read()
        if self._is_cut or process != self._recording.process or request.transport is None:
            return _hang_up(request)
        record = recording.enter(request.method, request.rel_url.raw_path, request.rel_url.raw_query_string, body)
        self._scope.learn(record.path, body)
        kill = self._kill if self._kill is not None and self._kill.hits(record) else None
        if kill is not None and kill.position is Position.BEFORE:
            self._cut()
            return _hang_up(request)
        await _until(lambda: not self.meddler.delays(record))
        fault = self.meddler.request(record)
        if fault is not None and not fault.is_forwarded:
            return await self._fail(request, record, fault)
        if record.is_watch:
            return await self._stream(request, record)
        self._in_flight += 1
        try:
            response = await self._pass(request, record, body, kill)
        finally:
            self._in_flight -= 1
        return response if fault is None else await self._fail(request, record, fault)

    async def _pass(
        self, request: web.BaseRequest, record: Record, body: bytes, kill: Kill | None
    ) -> web.StreamResponse:
        """One request and its answer."""
        async with self._request(request, body) as answer:
            payload = await answer.read()
        self._recording.take_answer(record, answer.status, payload)
        if kill is not None and kill.position is Position.COMMITTED:
            self._cut()
        if record.process != self._recording.process or self._is_cut:
            return _hang_up(request)
        if record.is_list and answer.status < 300:
            payload = self._scope.page(self.meddler.page(record, payload))
        response = web.Response(status=answer.status, headers=_passed_on(answer.headers), body=payload)
        if kill is not None:
            await response.prepare(request)
            await response.write_eof()
            self._cut()
        return response

    async def _fail(self, request: web.BaseRequest, record: Record, fault: Fault) -> web.StreamResponse:
        """The fault in place of an answer."""
        record.fault = fault
        if fault.hangs:
            await _until(lambda: request.transport is None or request.transport.is_closing())
        if not fault.code:
            return _hang_up(request)
        if record.is_watch and fault.code == HTTPStatus.GONE:  # the server accepts such a watch, and says so in it
            return web.Response(body=fault.event + b"\n", content_type="application/json")
        return web.Response(status=fault.code, headers=fault.headers, body=fault.body, content_type="application/json")

    async def _stream(self, request: web.BaseRequest, record: Record) -> web.StreamResponse:
        """A watch: every event is passed on as it comes."""
        async with self._request(request, b"") as answer:
            record.code = answer.status
            self._streams[answer] = record.path
            try:
                response = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers))
                await response.prepare(request)
                if answer.status >= 300:
                    await response.write(await answer.read())
                else:
                    await self._deliver(request, response, answer, record)
                await response.write_eof()
            except (aiohttp.ClientError, ConnectionError):
                return _hang_up(request)  # either side has gone
            finally:
                self._streams.pop(answer, None)
                self._deaf.discard(answer)
            return response

    async def _deliver(
        self, request: web.BaseRequest, response: web.StreamResponse, answer: aiohttp.ClientResponse, record: Record
    ) -> None:
        """The events of a watch, until it ends. Raises ConnectionError where a fault ends it."""
        rest = b""
        async for piece in answer.content.iter_any():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if not line or not self._scope.event(line):
                    continue
                await _until(lambda: not self.meddler.holds(record))
                fault = self.meddler.event(record, line)
                if fault is None:
                    await response.write(line + b"\n")
                    continue
                record.fault = fault
                if fault.hangs:
                    self._deaf.add(answer)
                    await self._fail(request, record, fault)
                elif fault.code:
                    await response.write(fault.event + b"\n")
                    return
                raise ConnectionResetError("a fault")

    def _request(self, request: web.BaseRequest, body: bytes) -> Any:
        return self._session.request(
            request.method,
            URL(self._server + request.raw_path, encoded=True),
            headers=_passed_on(request.headers),
            data=body or None,
        )

    def _cut(self) -> None:
        """The kill: synchronous, so that no other request is handled in between."""
        self._is_cut = True
        self._kill = None
        self._on_kill()
        self._drop_connections()

    def _drop_connections(self) -> None:
        for connection in self._web.connections:
            connection.force_close()
        for stream in list(self._streams):
            stream.close()


async def _until(holds: Callable[[], bool]) -> None:
    """Wait for what no event tells: a client that gives up, a test that lets go."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _OWN_HEADERS)
