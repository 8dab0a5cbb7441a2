"""Who may talk to the dashboard: this machine, by the address it was opened with, in a browser that has its session.

A page of the dashboard acts with somebody's rights in a cluster, and every other page in the same browser can send
requests to 127.0.0.1. So: the Host has to be ours (DNS rebinding), a change needs our Origin and the token of the
session's own forms (CSRF), and nothing is shown without the session's cookie.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTER = "/enter"
STATIC = "/static/"
FORM_FIELD = "form_token"
MOST_SESSIONS = 32
_SAFE_METHODS = ("GET", "HEAD")
_HEADERS = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),  # with "no-referrer" browsers send our own forms with Origin: null
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
)
_ENTERING = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Dashboard</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<meta http-equiv="refresh" content="0;url=/"></head><body><p><a href="/">Open the dashboard</a></p></body></html>"""
_USED = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Link used</title>
<link rel="stylesheet" href="/static/app.css"></head><body class="alone"><main><h1>This link does not open it</h1>
<p>A link to the dashboard works once. Press Enter in the terminal where <code>kubectl clientorg dashboard</code> runs,
and it prints another one.</p></main></body></html>"""


class Keys:
    """The links that were given out and the sessions that they opened. Lives as long as the process.

    Args:
        port: where the dashboard listens.
    """

    def __init__(self, port: int) -> None:
        self._cookie = f"clientorg-dashboard-{port}"  # cookies know no port: two dashboards are told apart by the name
        self._links: set[str] = set()
        self._sessions: dict[str, str] = {}
        self._own = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._origins = tuple(f"http://{host}" for host in self._own)

    def new_link(self) -> str:
        """An address that opens the dashboard, once. Those given out before and not used do not any more."""
        token = secrets.token_urlsafe(32)
        self._links = {token}
        return f"{self._origins[0]}{ENTER}?{urlencode({'token': token})}"

    def is_own_host(self, host: str) -> bool:
        """Whether a request was meant for us."""
        return host in self._own

    def is_own_origin(self, request: Request) -> bool:
        """Whether a page of ours sent it."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        return request.headers.get("origin") in self._origins and site == "same-origin"

    def enter(self, token: str) -> str | None:
        """Trade the token of a link for the secret of a session; None: it is none, or was used."""
        known = next((link for link in self._links if hmac.compare_digest(link.encode(), token.encode())), None)
        if known is None:
            return None
        self._links.discard(known)
        secret = secrets.token_urlsafe(32)
        self._sessions[secret] = secrets.token_urlsafe(32)
        while len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return secret

    def form_token(self, request: Request) -> str | None:
        """What the session's own forms carry; None without a session."""
        return self._sessions.get(request.cookies.get(self._cookie, ""))

    def keep(self, response: Response, secret: str) -> None:
        """Put a session into the browser, where no script and no other site's request has it."""
        response.set_cookie(self._cookie, secret, httponly=True, samesite="strict", path="/")

    def opens(self, request: Request, given: str) -> bool:
        """Whether a form is one of this session's own."""
        wanted = self.form_token(request)
        return wanted is not None and hmac.compare_digest(wanted.encode(), given.encode())


class Guard:
    """The ASGI middleware that asks `Keys` about every request, and adds the headers that bind the browser."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the request in."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = self._refusal(request) or self._entry(request)
        sending = _with_headers(send, is_static=request.url.path.startswith(STATIC))
        await (answer or self._app)(scope, receive, sending)

    def _refusal(self, request: Request) -> Response | None:
        if not self._keys.is_own_host(request.headers.get("host", "")):
            return _no(HTTPStatus.MISDIRECTED_REQUEST, "This address is not the dashboard's; use the link it printed.")
        if request.method not in _SAFE_METHODS:
            if request.method != "POST":
                return _no(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and POST.")
            if not self._keys.is_own_origin(request):
                return _no(HTTPStatus.FORBIDDEN, "Refused: the request does not come from a page of the dashboard.")
        is_open = request.url.path == ENTER or request.url.path.startswith(STATIC)
        if not is_open and self._keys.form_token(request) is None:
            return HTMLResponse(_USED, HTTPStatus.FORBIDDEN)
        return None

    def _entry(self, request: Request) -> Response | None:
        if request.url.path != ENTER:
            return None
        secret = self._keys.enter(request.query_params.get("token", ""))
        if secret is None:
            return HTMLResponse(_USED, HTTPStatus.FORBIDDEN)
        # A page that goes on by itself rather than a redirect: of a redirect from another site's link the browser
        # would keep a SameSite=Strict cookie back. And the token leaves the address bar.
        response = HTMLResponse(_ENTERING)
        self._keys.keep(response, secret)
        return response


def _no(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)


def _with_headers(send: Send, *, is_static: bool) -> Callable[[Message], Awaitable[None]]:
    caching = "private, max-age=3600" if is_static else "no-store"

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name for name, _ in message["headers"]}
            more = [*_HEADERS, ("cache-control", caching)]
            message["headers"] = [
                *message["headers"],
                *((name.encode(), value.encode()) for name, value in more if name.encode() not in known),
            ]
        await send(message)

    return sending
