"""End a contract with recorded consent, now or on a date, or take that back; each with its preview (FEATURES S11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clientorg.cli.account import arithmetic
from clientorg.cli.options import DataOutput, DryRun
from clientorg.cli.schedule import expected_purge, reminder_steps
from clientorg.cli.statepreview import returns
from clientorg.cli.terminateflow import TRIES, Wish, look, substance
from clientorg.cli.termination import Mode, View, settle, termination_patch
from clientorg.cli.text import checked_text
from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.dashboard.forms import (
    AGREED,
    check_not_in_git,
    check_right,
    day_of,
    fingerprint,
    form_or_address,
    refused,
    text_or_none,
)
from clientorg.dashboard.rights import CHANGE_CLIENTS
from clientorg.dashboard.view import View as Page
from clientorg.domain.timestamps import rfc3339, timestamp
from clientorg.errors import ClientOrgError, ConflictError, InputError

Json = dict[str, Any]

MOST_NAME, MOST_TEXT = 256, 1024
MOST_CHARGES = 12
"""So many are listed; all of them count."""


async def terminate(request: Request) -> Response:
    """GET and POST /clients/{name}/terminate."""
    page = await Page.of(request)
    fields = await form_or_address(page)
    mode = Mode.NOW if fields.get("when") == "now" else Mode.SCHEDULE
    return await _end(page, fields, mode, "terminate")


async def withdraw(request: Request) -> Response:
    """GET and POST /clients/{name}/withdraw-termination."""
    page = await Page.of(request)
    return await _end(page, await form_or_address(page), Mode.WITHDRAW, "withdraw-termination")


async def _end(page: Page, fields: Mapping[str, str], mode: Mode, action: str) -> Response:
    request, name = page.request, page.request.path_params["name"]
    shown: Json = {
        "active": "clients",
        "action": action,
        "name": name,
        "title": name,
        "mode": mode.value,
        "fields": {key: fields.get(key, "") for key in ("at", "accepted_by", "accepted_time", "consent_text")},
        **_NOTHING,
    }
    has_when = mode is not Mode.SCHEDULE or bool(fields.get("at"))
    try:
        client = await page.board.session.api.get(CLIENT_ORGS, page.board.session.namespace, name)
        shown["title"] = client["spec"]["displayName"]
        check_not_in_git(page, client)
        if not has_when and request.method == "GET":  # a form that nobody has filled in yet
            return page.render("terminate.html.j2", faults=[], is_stale=False, **shown)
        if not has_when:
            raise InputError(page.speech("termination.when_required"))
        wish = _wish(page, fields, mode, name)
        for _ in range(TRIES):
            view = await look(page.board.session, wish)
            agreed = fingerprint(agreement(view))
            shown |= {"agreed": agreed, **_preview(view)}
            if request.method == "GET":
                return page.render("terminate.html.j2", faults=[], is_stale=False, **shown)
            check_right(page, CHANGE_CLIENTS)
            _check_consent(page, view)
            if fields.get(AGREED) != agreed:
                return page.render("terminate.html.j2", status=409, faults=[], is_stale=True, **shown)
            if view.is_unchanged:
                break
            try:
                await page.board.session.api.patch(
                    CLIENT_ORGS, page.board.session.namespace, name, termination_patch(view)
                )
                break
            except ConflictError:
                continue  # the client changed between the look and the write: look again
        else:
            return page.render("terminate.html.j2", status=409, faults=[], is_stale=True, **shown)
    except ClientOrgError as error:
        return refused(page, "terminate.html.j2", error, is_stale=False, **shown)
    done = f"done.{action}" if mode is not Mode.NOW else "done.terminate-now"
    return page.go(f"/clients/{name}", done, name=name, day=page.speech.day(view.at))


_NOTHING: Json = {"end": None, "agreed": "", "charges": [], "returned": [], "steps": [], "purge": None}


def _wish(page: Page, fields: Mapping[str, str], mode: Mode, name: str) -> Wish:
    """As the command has it. The consent may still be missing: what follows from the end is shown before it is there.

    Raises:
        InputError: the consent is longer than can be recorded.
    """
    is_end = mode is not Mode.WITHDRAW
    by = checked_text(page.speech("termination.accepted_by"), text_or_none(fields.get("accepted_by")), MOST_NAME)
    text = checked_text(page.speech("termination.consent_text"), text_or_none(fields.get("consent_text")), MOST_TEXT)
    return Wish(
        name=name,
        mode=mode,
        at=fields.get("at") if mode is Mode.SCHEDULE else None,
        accepted_by=(by or "") if is_end else None,
        accepted_time=(text_or_none(fields.get("accepted_time"))) if is_end else None,
        text=(text or "") if is_end else None,
        output=DataOutput.JSON,
        ask=False,
        dry_run=DryRun.NONE,
        force=False,
        wait_seconds=None,
        now=page.now.replace(microsecond=0),
    )


def _check_consent(page: Page, view: View) -> None:
    if view.consent is not None and not (view.consent.by and view.consent.text):
        raise InputError(page.speech("termination.consent_required"))


def agreement(view: View) -> Json:
    """What a person agrees to: when the contract ends and what follows.

    Not the consent, which is written in the same form, and no moment that moves on while a person reads: an end that is
    now has the deletion on a day.
    """
    agreed = substance(view)
    if "purgeAfter" in agreed:
        agreed["purgeAfter"] = day_of(agreed["purgeAfter"])
    return agreed | {"termination": rfc3339(view.at) if view.at is not None else None}


def _preview(view: View) -> Json:
    """What the page shows of it; the numbers and dates are those of the command line."""
    before = view.before or {}
    out: Json = {"end": view, "before": timestamp(before.get("time")), "has_before": bool(before)}
    if view.mode is Mode.WITHDRAW:
        return out
    found = settle(view)
    listed = [(charge, arithmetic(charge)) for charge in found.charges[:MOST_CHARGES]]
    out |= {"settlement": found, "charges": listed, "more": found.charges[MOST_CHARGES:]}
    out["returned"] = [share for share in returns(view.row) if share.moved]
    if view.record is not None and view.terms is not None and view.record.purge_started is None:
        since = max(view.now, view.ends)
        out["steps"] = list(reminder_steps(view.record, view.terms, since))
        out["purge"] = expected_purge(view.record, view.terms, since)
    return out
