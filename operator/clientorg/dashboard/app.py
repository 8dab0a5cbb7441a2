"""The web application: its addresses, what tells of changes, and what happens to errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from clientorg.cli.decision import Choice
from clientorg.cli.statechange import Action
from clientorg.dashboard import (
    amountactions,
    approvalpages,
    clientlist,
    clientpage,
    endactions,
    orderpages,
    overview,
    pointpages,
    reportpages,
    stateactions,
)
from clientorg.dashboard.board import Board
from clientorg.dashboard.forms import RefusedFormError, read_form
from clientorg.dashboard.guard import Guard
from clientorg.dashboard.view import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, House, View
from clientorg.errors import ClientOrgError, NotFoundError
from clientorg.reports.language import Tongue

STATIC = Path(__file__).with_name("static")
CALM_SECONDS = 0.5
"""Changes that follow one another faster are told together."""
ALIVE_SECONDS = 15.0
YEAR_SECONDS = 365 * 24 * 3600


def make_app(house: House) -> Starlette:
    """The application of one dashboard."""
    both = ["GET", "POST"]
    app = Starlette(
        routes=[
            Route("/", overview.show),
            Route("/clients", clientlist.show),
            Route("/clients/{name}", clientpage.show),
            Route("/clients/{name}/reallocate", amountactions.reallocate, methods=both),
            Route("/clients/{name}/top-up", amountactions.top_up, methods=both),
            *(
                Route(f"/clients/{{name}}/{choice}", partial(stateactions.decide, choice=choice), methods=both)
                for choice in Choice
            ),
            *(
                Route(f"/clients/{{name}}/{action}", partial(stateactions.state, action=action), methods=both)
                for action in Action
            ),
            Route("/clients/{name}/terminate", endactions.terminate, methods=both),
            Route("/clients/{name}/withdraw-termination", endactions.withdraw, methods=both),
            Route("/approvals", approvalpages.show),
            Route("/orders", orderpages.show),
            Route("/orders/{name}", orderpages.set_up, methods=both),
            Route("/points", pointpages.ledger),
            Route("/points/replenish", pointpages.replenish, methods=both),
            Route("/reports", reportpages.first),
            Route("/reports/{table}", reportpages.show),
            Route("/trends", reportpages.trends),
            Route("/preferences", _preferences, methods=["POST"]),
            Route("/events", _events),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, keys=house.keys)],
        exception_handlers={
            404: _missing,
            Exception: _broken,
            ClientOrgError: _failed,
            RefusedFormError: _refused_form,
        },
    )
    app.state.house = house
    return app


async def _missing(request: Request, _: Exception) -> Response:
    view = await View.of(request)
    return view.render("failed.html.j2", status=404, faults=[view.speech("page.missing")])


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, ClientOrgError)
    return (await View.of(request)).failed(error, 404 if isinstance(error, NotFoundError) else 502)


async def _broken(_: Request, error: Exception) -> Response:
    text = f"This is a bug in the dashboard: {type(error).__name__}. The terminal where it runs shows where.\n"
    return PlainTextResponse(text, 500)


async def _refused_form(_: Request, __: Exception) -> Response:
    return PlainTextResponse("Refused: this form is not one of this session's. Open the page again.\n", 403)


async def _preferences(request: Request) -> Response:
    """Language and theme, kept in the browser."""
    view = await View.of(request)
    fields = await read_form(view)
    back = fields.get("back", "/")
    response = view.go(back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/")
    for cookie, value, known in (
        (LANGUAGE_COOKIE, fields.get("language"), [*Tongue]),
        (THEME_COOKIE, fields.get("theme"), THEMES),
    ):
        if value in known:
            response.set_cookie(cookie, str(value), max_age=YEAR_SECONDS, httponly=True, samesite="strict", path="/")
    return response


async def _events(request: Request) -> Response:
    """What tells pages to look again (server-sent events); it carries no data of clients."""
    house: House = request.app.state.house
    return StreamingResponse(_told(house.board), media_type="text/event-stream")


async def _told(board: Board) -> AsyncIterator[str]:
    async with board.listening() as event:
        yield _message(board)
        while True:
            try:
                async with asyncio.timeout(ALIVE_SECONDS):
                    await event.wait()
            except TimeoutError:
                yield ": alive\n\n"
                continue
            await asyncio.sleep(CALM_SECONDS)
            event.clear()
            yield _message(board)


def _message(board: Board) -> str:
    state = {"lost": bool(board.lost), "loading": board.is_loading, "revision": board.revision}
    return f"event: change\ndata: {json.dumps(state)}\n\n"
