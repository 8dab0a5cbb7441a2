"""Kopf's connection to the API server: our credentials, and listings that are ours.

Kopf lists a kind before it watches it, and makes a task, a memory and a handler's call of each object: for ten thousand
clients five seconds and much memory at each start. It is given an empty list instead, with the version to watch from,
and the runtime lists the kind its own way. So a restart settles in half the time, and a listing after a lost watch
also drops what was deleted meanwhile, which Kopf would keep as phantoms (docs/decisions/0005).

Of what Kopf watches it is given the news only. Two thirds of the events tell of our own writes, which the runtime has
taken in with the server's answers; it would ignore them after Kopf has parsed and dispatched each for a third of a
millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import aiohttp
import kopf
import msgspec

from clientorg.cluster.credentials import Credentials
from clientorg.control.keys import RESOURCES, Kind
from clientorg.control.objects import Name
from clientorg.errors import ClientOrgError

List = Callable[[Kind], Awaitable[None]]
Knows = Callable[[Kind, Name, int], bool]

_LIST_SECONDS = 20.0
"""For the empty list, which comes at once or not at all; our own listing has the rest of Kopf's time."""
_NOTHING = "metadata.name=--nothing--"
"""A field selector that matches no object: no name begins with a dash."""
_KINDS = {resource.path(): kind for kind, resource in RESOURCES.items()}


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""  # noqa: N815 - names on the wire


class _Object(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    code: int = 0
    message: str = ""


class _Event(msgspec.Struct):
    type: str
    object: _Object


class News:
    """The body of a watch of one kind, without the lines that tell what the runtime knows already.

    Deletions and bookmarks are always passed on, and the error that the version to watch from is too old (410): Kopf
    lists and watches anew. Any other error Kopf takes for the end of the process, although the server only says that
    this watch ends (a timeout of its storage, an overload). It is told of a lost connection instead, and watches on.
    """

    def __init__(self, content: aiohttp.StreamReader, kind: Kind, knows: Knows) -> None:
        self._content = content
        self._kind = kind
        self._knows = knows
        self._events = msgspec.json.Decoder(_Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """The lines that are news; this is how Kopf reads."""
        rest = b""
        async for chunk in self._content.iter_chunked(size):
            *lines, rest = (rest + chunk if rest else chunk).split(b"\n")
            news = [line for line in lines if not self._is_known(line)]
            if news:
                yield b"\n".join((*news, b""))
        if rest:
            yield rest

    def _is_known(self, line: bytes) -> bool:
        try:
            event = self._events.decode(line)
        except msgspec.MsgspecError:
            return False  # whatever it is, Kopf tells
        if event.type == "ERROR" and event.object.code != HTTPStatus.GONE:
            raise aiohttp.ClientPayloadError(f"watch of {self._kind}: {event.object.code} {event.object.message}")
        metadata = event.object.metadata
        if event.type not in ("ADDED", "MODIFIED") or not metadata.resourceVersion.isdecimal():
            return False
        return self._knows(self._kind, (metadata.namespace, metadata.name), int(metadata.resourceVersion))


def session_for(credentials: Credentials, list_kind: List, knows: Knows) -> kopf.AiohttpSession:
    """The session that Kopf works with.

    Args:
        credentials: read anew by the login handler when the server does not take them any more.
        list_kind: lists a kind completely; called each time that Kopf is about to watch it.
        knows: whether an object is known in that version, or a newer one.
    """

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        authorization = credentials.authorization()  # the pod's token rotates
        if authorization:
            request.headers["Authorization"] = authorization
        request.headers.extend(credentials.impersonation)
        return await handler(request)

    async def list_ourselves(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        kind = _KINDS.get(request.url.path)
        if request.method != "GET" or kind is None:
            return await handler(request)
        if "watch" in request.url.query:
            response = await handler(request)
            if response.status < 400:
                response.content = cast(aiohttp.StreamReader, News(response.content, kind, knows))
            return response
        request.url = request.url.update_query(fieldSelector=_NOTHING)
        async with asyncio.timeout(_LIST_SECONDS):
            response = await handler(request)
        if response.status == HTTPStatus.GONE:  # Kopf would end the process
            response.release()
            raise aiohttp.ClientConnectionError(f"listing {kind}: the server answers 410 Gone; try again")
        if response.status < 400:
            # After the empty list, not before: what changes in between is then both listed and watched.
            try:
                await list_kind(kind)
            except ClientOrgError as error:
                response.release()
                raise aiohttp.ClientConnectionError(f"listing {kind}: {error}") from error
        return response

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=credentials.ssl_context),
        headers={"Accept-Encoding": "identity"},
        middlewares=(authorize, list_ourselves),
        proxy=credentials.proxy,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    return kopf.AiohttpSession(
        server=credentials.server, aiohttp_session=session, default_namespace=credentials.default_namespace
    )
