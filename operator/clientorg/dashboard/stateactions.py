"""Pause, resume, deactivate, reactivate, approve and reject, each with its preview (FEATURES Z6-Z8, S2, X4)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clientorg.cli.decideflow import MOST_REASON as MOST_DECISION_REASON
from clientorg.cli.decideflow import look as look_at_decision
from clientorg.cli.decideflow import record
from clientorg.cli.decision import Choice, draws
from clientorg.cli.decision import View as Decision
from clientorg.cli.decision import document as decision_document
from clientorg.cli.schedule import expected_purge, reminder_steps
from clientorg.cli.statechange import Action
from clientorg.cli.statechange import View as Change
from clientorg.cli.stateflow import MOST_REASON, look, state_patch, substance
from clientorg.cli.statepreview import needs, returns
from clientorg.cli.text import checked_text
from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.dashboard.forms import (
    AGREED,
    check_not_in_git,
    check_right,
    day_of,
    fingerprint,
    read_form,
    refused,
    text_or_none,
)
from clientorg.dashboard.rights import CHANGE_CLIENTS, DECIDE
from clientorg.dashboard.view import View
from clientorg.errors import ClientOrgError, ConflictError, InputError

Json = dict[str, Any]


async def state(request: Request, action: Action) -> Response:
    """GET and POST /clients/{name}/pause and the like."""
    view = await View.of(request)
    name = request.path_params["name"]
    fields = await read_form(view) if request.method == "POST" else {}
    shown: Json = {"active": "clients", "action": action.value, "name": name, "reason": fields.get("reason", "")}
    try:
        reason = checked_text(view.speech("action.reason"), text_or_none(fields.get("reason")), MOST_REASON)
        change = await look(view.board.session, action, name, view.now)
        if not change.is_unchanged:
            check_not_in_git(view, change.client)
        agreed = fingerprint(agreement(change))
        shown |= {"change": change, "agreed": agreed, **_preview(change)}
        if request.method == "GET":
            return view.render("state.html.j2", faults=[], is_stale=False, **shown)
        check_right(view, CHANGE_CLIENTS)
        if fields.get(AGREED) != agreed:
            return view.render("state.html.j2", status=409, faults=[], is_stale=True, **shown)
        if not change.is_unchanged:
            patch = state_patch(change.client, action, reason)
            await view.board.session.api.patch(CLIENT_ORGS, view.board.session.namespace, name, patch)
    except ConflictError:
        return view.go(request.url.path)  # the client changed between the look and the write: look again
    except ClientOrgError as error:
        return refused(view, "state.html.j2", error, is_stale=False, **{"change": None, **shown})
    return view.go(f"/clients/{name}", f"done.{action.value}", name=name)


def agreement(change: Change) -> Json:
    """What a person agrees to, with dates instead of moments, as the page shows them.

    A deactivation begins when it is confirmed, so its moments move on while a person reads: only another day is news.
    """
    agreed = substance(change)
    days = {name: day_of(agreed[name]) for name in ("since", "purgeAfter", "expectedPurge") if name in agreed}
    reminders = [step | {"time": day_of(step["time"])} for step in agreed.get("reminders", ())]
    return agreed | days | {"reminders": reminders}


def _preview(change: Change) -> Json:
    """What the page shows of it; the numbers and dates are those of the command line."""
    out: Json = {"returns": [], "drawn": [], "reminders": [], "purge": None, "reasons": []}
    if change.action is Action.DEACTIVATE:
        out["returns"] = returns(change.row)
        if change.record is not None and change.terms is not None:
            out["reminders"] = list(reminder_steps(change.record, change.terms, change.now))
            out["purge"] = expected_purge(change.record, change.terms, change.now)
    elif change.action is Action.REACTIVATE:
        out["drawn"] = needs(change)
    elif change.action is Action.RESUME:
        out["reasons"] = [reason for reason in change.row.pause_reasons if reason != "Requested"]
    return out


async def decide(request: Request, choice: Choice) -> Response:
    """GET and POST /clients/{name}/approve and reject."""
    view = await View.of(request)
    name = request.path_params["name"]
    fields = await read_form(view) if request.method == "POST" else {}
    shown: Json = {"active": "approvals", "action": choice.value, "name": name, "reason": fields.get("reason", "")}
    try:
        label = view.speech("action.reason")
        reason = checked_text(label, text_or_none(fields.get("reason")), MOST_DECISION_REASON)
        decision = await look_at_decision(view.board.session, choice, name, view.house.user, reason, view.now)
        agreed = fingerprint(decision_agreement(decision))
        shown |= {"decision": decision, "item": decision.item, "draws": draws(decision), "agreed": agreed}
        if request.method == "GET":
            return view.render("decide.html.j2", faults=[], is_stale=False, **shown)
        check_right(view, DECIDE)
        if choice is Choice.REJECT and reason is None:
            raise InputError(view.speech("action.reason_required"))
        if fields.get(AGREED) != agreed:
            return view.render("decide.html.j2", status=409, faults=[], is_stale=True, **shown)
        if not decision.is_unchanged:
            await record(view.board.session, decision)
    except ClientOrgError as error:
        return refused(view, "decide.html.j2", error, is_stale=False, **{"decision": None, **shown})
    return view.go("/approvals", f"done.{choice.value}", name=name)


def decision_agreement(decision: Decision) -> Json:
    """What a person agrees to: not the reason, which is theirs, nor how long it has waited."""
    whole = decision_document(decision, None)
    return {key: value for key, value in whole.items() if key not in ("reason", "waitedBusinessDays", "overdue")}
