"""Requests to the API server: dicts in, dicts out, one bounded pool of connections.

Plain aiohttp with orjson takes 0.2-0.4 ms of CPU a request, the generated typed client 2 ms (DESIGN section 8).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from clientorg import __version__
from clientorg.cluster.credentials import Credentials, Source
from clientorg.cluster.resources import Resource
from clientorg.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NamespaceTerminatingError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)

Json = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
_JSON = "application/json"
LIST_CHUNK = 500
_WARNING = re.compile(r'299 [^\s"]+ "(?P<text>(?:[^"\\]|\\.)*)"')

_ERRORS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
}


class Api:
    """A connection to one API server. Use it as an async context manager.

    Args:
        credentials: where and who.
        concurrency: how many requests may be under way at once (watches do not count).
        timeout_seconds: for one request, from its start to its last byte.
        component: first word of the User-Agent, as audit logs show it.
        field_manager: who owns the fields that are written.
        on_answer: called with method and status code of each answer, 0 where there was none.
        act_as: whom to impersonate, in place of whomever the kubeconfig says.
        on_warning: called with the text of each `Warning` header (policies, deprecations), as kubectl prints them.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        concurrency: int = 32,
        timeout_seconds: float = 30.0,
        component: str = "clientorg",
        field_manager: str | None = None,
        on_warning: Callable[[str], None] | None = None,
        on_answer: Callable[[str, int], None] | None = None,
        act_as: str | None = None,
    ) -> None:
        self.credentials = credentials
        self._act_as = act_as
        self._on_warning = on_warning
        self.on_answer = on_answer
        self.on_request: Callable[[str, str], Callable[[int], None] | None] | None = None
        """Called with method and path of each request; what it returns, with the status code of the answer."""
        self.field_manager = field_manager or component
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=10)
        self._user_agent = f"{component}/{__version__}"
        self._credentials_read = 0
        self._renewing = asyncio.Lock()
        self._retired: list[aiohttp.ClientSession] = []
        self._session = self._new_session()

    @classmethod
    async def connect(cls, source: Source | None = None, **options: Any) -> Api:
        """Read the credentials and make the connection; the server is not asked yet.

        Raises:
            ConfigurationError: there are no usable credentials.
        """
        return cls(await Credentials.load(source), **options)

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        for session in (*self._retired, self._session):
            await session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        self._base = self.credentials.server
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self.credentials.ssl_context, limit=0, keepalive_timeout=60),
            # Not compressed: near the API server, packing a long list costs both ends more than sending it.
            headers={"User-Agent": self._user_agent, "Accept": _JSON, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    # -- verbs ------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """One object. Raises NotFoundError when it is not there."""
        return await self.request("GET", resource.path(namespace, name))

    async def create(self, resource: Resource, namespace: str | None, manifest: Json, *, dry_run: bool = False) -> Json:
        """POST an object. Raises AlreadyExistsError when the name is taken."""
        params = {"fieldManager": self.field_manager, "fieldValidation": "Strict"}
        return await self.request("POST", resource.path(namespace), _dry(params, dry_run), manifest)

    async def apply(
        self, resource: Resource, namespace: str | None, manifest: Json, *, force: bool = True, dry_run: bool = False
    ) -> Json:
        """Server-side apply as our field manager."""
        params = {"fieldManager": self.field_manager, "force": "true" if force else "false"}
        path = resource.path(namespace, manifest["metadata"]["name"])
        return await self.request("PATCH", path, _dry(params, dry_run), manifest, APPLY)

    async def replace(self, resource: Resource, namespace: str | None, manifest: Json) -> Json:
        """PUT an object; with a resourceVersion in it, only if it did not change."""
        path = resource.path(namespace, manifest["metadata"]["name"])
        return await self.request("PUT", path, {"fieldManager": self.field_manager}, manifest)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Json | list[Json],
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Merge patch (a dict; put metadata.resourceVersion in for a precondition) or JSON patch (a list)."""
        path = resource.path(namespace, name, subresource)
        kind = JSON_PATCH if isinstance(patch, list) else MERGE
        return await self.request("PATCH", path, _dry({"fieldManager": self.field_manager}, dry_run), patch, kind)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str | None = None,
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Json:
        """DELETE an object; with a UID, only that very one."""
        body: Json = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        if propagation is not None:
            body["propagationPolicy"] = propagation
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        return await self.request("DELETE", resource.path(namespace, name), _dry({}, dry_run), body)

    async def list_pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        chunk: int = LIST_CHUNK,
    ) -> AsyncIterator[Json]:
        """The pages of a consistent (quorum) list. A continue token that expires raises GoneError."""
        params = {"limit": str(chunk)}
        if label_selector:
            params["labelSelector"] = label_selector
        if field_selector:
            params["fieldSelector"] = field_selector
        while True:
            page = await self.request("GET", resource.path(namespace), params)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            params["continue"] = token

    async def list_all(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[Json]:
        """Every object, in the order of the server (by namespace and name)."""
        items: list[Json] = []
        async for page in self.list_pages(
            resource, namespace, label_selector=label_selector, field_selector=field_selector
        ):
            items.extend(page["items"])
        return items

    # -- plumbing ---------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = _JSON,
    ) -> Json:
        """One request, decoded. Raises ApiError (by status code) or UnreachableError."""
        return orjson.loads(await self.request_bytes(method, path, params, body, content_type))  # type: ignore[no-any-return]

    async def request_bytes(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = _JSON,
    ) -> bytes:
        """One request, not decoded."""
        data = None if body is None else orjson.dumps(body)
        async with self._slots:
            generation = self._credentials_read
            try:
                return await self._send(method, path, params, data, content_type)
            except UnauthorizedError:
                await self._renew(generation)  # an expired token; once, then it is the caller's
                return await self._send(method, path, params, data, content_type)

    async def _renew(self, generation: int) -> None:
        """Read the credentials again, once for all requests that were refused together."""
        async with self._renewing:
            if generation != self._credentials_read:
                return
            await self.credentials.reload()
            if self.credentials.client_certificate[0] is not None:  # part of the TLS session, not of a header
                self._retired.append(self._session)  # requests of others may be under way on it
                self._session = self._new_session()
            self._credentials_read += 1

    async def _send(
        self, method: str, path: str, params: Mapping[str, str] | None, data: bytes | None, content_type: str
    ) -> bytes:
        answered = self.on_request(method, path) if self.on_request is not None else None
        code = 0
        try:
            async with self._session.request(
                method,
                self._url(path, params),
                data=data,
                headers=self._headers(content_type if data is not None else None),
                timeout=self._timeout,
                proxy=self.credentials.proxy,
                server_hostname=self.credentials.tls_server_name,
            ) as response:
                payload = await response.read()
                code = response.status
                if self.on_answer is not None:
                    self.on_answer(method, response.status)
                if self._on_warning is not None:
                    for text in warnings_of(response.headers.getall("Warning", ())):
                        self._on_warning(text)
                if response.status >= 400:
                    raise error_of(response.status, payload, response.headers.get("Retry-After"))
                return payload
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if self.on_answer is not None:
                self.on_answer(method, 0)
            raise UnreachableError(f"API server {self._base}: {str(error) or type(error).__name__}") from error
        finally:
            if answered is not None:
                answered(code)

    async def stream(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        silence_seconds: float = 90.0,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncIterator[bytes]:
        """The lines of a watch; `on_open` is called when the server has accepted it.

        A stream silent for longer than `silence_seconds` is taken for dead: bookmarks come once a minute, so that a
        half-open connection is noticed.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence_seconds)
        try:
            async with self._session.get(
                self._url(path, params),
                headers=self._headers(None),
                timeout=timeout,
                proxy=self.credentials.proxy,
                server_hostname=self.credentials.tls_server_name,
            ) as response:
                if response.status >= 400:
                    raise error_of(response.status, await response.read(), response.headers.get("Retry-After"))
                if on_open is not None:
                    on_open()
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk if rest else chunk).split(b"\n")
                    for line in lines:
                        if line:
                            yield line
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"API server {self._base}: {str(error) or type(error).__name__}") from error

    def _url(self, path: str, params: Mapping[str, str] | None) -> URL:
        query = "?" + urlencode(params) if params else ""  # a third of the time of yarl's own
        return URL(self._base + path + query, encoded=True)

    def _headers(self, content_type: str | None) -> list[tuple[str, str]]:
        headers = list(self.credentials.impersonation)  # some occur more than once
        if self._act_as is not None:
            headers = [("Impersonate-User", self._act_as)]
        if content_type:
            headers.append(("Content-Type", content_type))
        authorization = self.credentials.authorization()
        if authorization:
            headers.append(("Authorization", authorization))
        return headers


def _dry(params: dict[str, str], dry_run: bool) -> dict[str, str]:
    return {**params, "dryRun": "All"} if dry_run else params


def warnings_of(headers: Iterable[str]) -> list[str]:
    """The texts of `Warning: 299 - "…"` headers (RFC 7234 section 5.5; one header may hold several)."""
    return [re.sub(r"\\(.)", r"\1", match["text"]) for header in headers for match in _WARNING.finditer(header)]


def error_of(code: int, payload: bytes, retry_after: str | None = None) -> ApiError:
    """The error for a failed answer; its text is the server's own message where it sent a Status."""
    reason, message = "", ""
    causes: tuple[tuple[str, str], ...] = ()
    details: Json = {}
    try:
        status = orjson.loads(payload)
        reason, message = status.get("reason", ""), status.get("message", "")
        details = status.get("details") or {}
        causes = tuple((c.get("field", ""), c.get("message", "")) for c in details.get("causes") or ())
    except (orjson.JSONDecodeError, AttributeError):
        message = payload[:300].decode(errors="replace").strip()
    seconds: float | None = None
    if retry_after and retry_after.isdigit():
        seconds = float(retry_after)
    elif details.get("retryAfterSeconds"):
        seconds = float(details["retryAfterSeconds"])
    kind = AlreadyExistsError if reason == "AlreadyExists" else _ERRORS.get(code, ApiError)
    if any(cause.get("reason") == "NamespaceTerminating" for cause in details.get("causes") or ()):
        kind = NamespaceTerminatingError
    if code == 500 and message.startswith("failed to create typed patch object"):
        kind = InvalidError  # server-side apply says so of a wrong type or an unknown field; trying again is no use
    return kind(code, reason, message or f"HTTP {code}", causes=causes, retry_after_seconds=seconds)
