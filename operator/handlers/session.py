"""Kopf's connection to the API server: our credentials, and listings that are ours.

Kopf lists a kind before it watches it, and makes a task, a memory and a handler's call of each object: for ten thousand
clients five seconds and much memory at each start. It is given an empty list instead, with the version to watch from,
and the runtime lists the kind its own way. So a restart settles in half the time, and a listing after a lost watch
also drops what was deleted meanwhile, which Kopf would keep as phantoms (docs/decisions/0005).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import kopf

from clientorg.cluster.credentials import Credentials
from clientorg.control.keys import RESOURCES, Kind
from clientorg.errors import ClientOrgError

List = Callable[[Kind], Awaitable[None]]

_NOTHING = "metadata.name=--nothing--"
"""A field selector that matches no object: no name begins with a dash."""
_KINDS = {resource.path(): kind for kind, resource in RESOURCES.items()}


def session_for(credentials: Credentials, list_kind: List) -> kopf.AiohttpSession:
    """The session that Kopf works with.

    Args:
        credentials: read anew by the login handler when the server does not take them any more.
        list_kind: lists a kind completely; called each time that Kopf is about to watch it.
    """

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        authorization = credentials.authorization()  # the pod's token rotates
        if authorization:
            request.headers["Authorization"] = authorization
        return await handler(request)

    async def list_ourselves(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        kind = _KINDS.get(request.url.path)
        if request.method != "GET" or kind is None or "watch" in request.url.query:
            return await handler(request)
        request.url = request.url.update_query(fieldSelector=_NOTHING)
        response = await handler(request)
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
