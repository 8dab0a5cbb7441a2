"""What every page is rendered with: the reader's language and theme, their rights, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from clientorg.cli import clock
from clientorg.cli.failures import explain
from clientorg.cli.text import plain
from clientorg.dashboard.board import Board
from clientorg.dashboard.guard import FORM_FIELD, Keys
from clientorg.dashboard.rights import BIND_ORDERS, CHANGE_CLIENTS, CREATE_CLIENTS, DECIDE, TOP_UP, WITHDRAW, Right
from clientorg.dashboard.words import NAMES, Speech, preferred
from clientorg.errors import ClientOrgError
from clientorg.reports.language import Tongue

Json = dict[str, Any]

LANGUAGE_COOKIE, THEME_COOKIE, NOTICE_COOKIE = "clientorg-language", "clientorg-theme", "clientorg-notice"
REVISION_HEADER = "clientorg-revision"
"""Tells the script which changes an answer has; it asks again where it has been told of newer ones."""
THEMES = ("auto", "light", "dark")
_RIGHTS: Mapping[str, tuple[Right, ...]] = {
    "clients": (CHANGE_CLIENTS,),
    "decide": (DECIDE,),
    "top_up": (TOP_UP,),
    "withdraw": (WITHDRAW,),
    "set_up": (CREATE_CLIENTS, BIND_ORDERS),
}


@dataclass(frozen=True)
class House:
    """What lives as long as the dashboard.

    Attributes:
        zone: the time zone of whoever looks.
        user: who the API server takes us for.
    """

    board: Board
    keys: Keys
    zone: ZoneInfo
    user: str


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("clientorg.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    environment.globals["address"] = _address
    return environment


@pass_context
def _address(context: Context, **changes: object) -> str:
    """This page with other parameters; None takes one away, and whatever changes begins at the first page."""
    query: dict[str, Any] = {**context["query"], "page": None, **changes}
    kept = {key: value for key, value in query.items() if value not in (None, "", ())}
    return f"{context['path']}?{urlencode(kept, doseq=True)}" if kept else str(context["path"])


@dataclass(frozen=True)
class View:
    """One request.

    Attributes:
        revision: of the board before anything was read for the page, which is therefore no older than that.
    """

    request: Request
    house: House
    speech: Speech
    held: frozenset[Right]
    now: datetime
    revision: int

    @classmethod
    async def of(cls, request: Request) -> View:
        """Look at the cookies and ask for the rights."""
        house: House = request.app.state.house
        revision = house.board.revision
        wanted = request.cookies.get(LANGUAGE_COOKIE, "")
        tongue = Tongue(wanted) if wanted in [*Tongue] else preferred(request.headers.get("accept-language", ""))
        held = await house.board.rights.held()
        return cls(request, house, Speech(tongue, house.zone), held, clock.now(), revision)

    @property
    def board(self) -> Board:
        """What is shown."""
        return self.house.board

    @property
    def query(self) -> Json:
        """The parameters of the address, several values as a list."""
        found = self.request.query_params
        return {key: values if len(values := found.getlist(key)) > 1 else values[0] for key in found}

    def render(self, template: str, *, status: int = 200, **values: object) -> Response:
        """A page."""
        theme = self.request.cookies.get(THEME_COOKIE, "auto")
        may = {name: self.held.issuperset(rights) for name, rights in _RIGHTS.items()}
        shared: Mapping[str, object] = {
            "t": self.speech,
            "tongue": self.speech.tongue.value,
            "tongues": NAMES,
            "theme": theme if theme in THEMES else "auto",
            "themes": THEMES,
            "may": may,
            "needs": {name: "; ".join(map(str, rights)) for name, rights in _RIGHTS.items()},
            "now": self.now,
            "zone": self.speech.language.zone_name,
            "namespace": self.board.session.namespace,
            "user": self.house.user,
            "board": self.board,
            "revision": self.revision,
            "path": self.request.url.path,
            "query": self.query,
            "form_field": FORM_FIELD,
            "form_token": self.house.keys.form_token(self.request) or "",
            "notice": _notice(self.request.cookies.get(NOTICE_COOKIE, "")),
            "counts": {"approvals": _pending(self.board), "orders": len(self.board.orders)},
        }
        body = _environment().get_template(template).render({**shared, **values})
        response = HTMLResponse(body, status, {REVISION_HEADER: str(self.revision)})
        if NOTICE_COOKIE in self.request.cookies and "hx-request" not in self.request.headers:
            response.delete_cookie(NOTICE_COOKIE, path="/")
        return response

    def go(self, address: str, notice: str = "", **values: object) -> Response:
        """On to another page after a change, with a word on what was done (a key of the words)."""
        response = RedirectResponse(address, 303)
        if notice:
            text = self.speech(notice, **values) if values else self.speech(notice)
            response.set_cookie(
                NOTICE_COOKIE, text.encode().hex(), max_age=60, httponly=True, samesite="strict", path="/"
            )
        return response

    def failed(self, error: ClientOrgError, status: int = 502) -> Response:
        """A page that tells an error of the API server."""
        return self.render("failed.html.j2", status=status, faults=explain(error))


def _notice(cookie: str) -> str:
    try:
        return plain(bytes.fromhex(cookie).decode())
    except ValueError:
        return ""


def _pending(board: Board) -> int:
    """How many clients wait for an approval."""
    return sum(client.row.state == "PendingApproval" for client in board.clients.values())
