"""One client: licenses, points, admins, what happened and what comes, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from clientorg.cli.account import arithmetic, next_charges
from clientorg.cli.accountentries import account_entries
from clientorg.cli.advice import advice
from clientorg.cli.dates import calendar_of
from clientorg.cli.describe import Facts, gather
from clientorg.cli.planrules import rules_or_none
from clientorg.cli.related import list_or_none, read_terms
from clientorg.cli.rows import ClientRow, client_row
from clientorg.cli.statechange import Action
from clientorg.cli.timelinerows import Entry, timeline
from clientorg.dashboard.charts import usage_charts
from clientorg.dashboard.outlook import outlook_of_one, subscriptions_of, usage_of
from clientorg.dashboard.view import View
from clientorg.domain import subscription
from clientorg.domain.points_record import points_record
from clientorg.domain.records import deactivation_of
from clientorg.domain.timestamps import timestamp
from clientorg.errors import ClientOrgError, NotFoundError
from clientorg.reports.ledger import ledger_row
from clientorg.reports.portfolio_read import Holding, PlanFacts, read_client

Json = dict[str, Any]

MOST_ENTRIES = 12
_FINAL = ("Terminated", "Rejected", "Purged", "Deleting")


@dataclass(frozen=True)
class Movements:
    """The last entries of a client's account; None: no right to read them."""

    rows: list[Any] | None
    more: bool


async def show(request: Request) -> Response:
    """GET /clients/{name}."""
    view = await View.of(request)
    name = request.path_params["name"]
    session = view.board.session
    try:
        facts = await gather(session, name)
    except NotFoundError as error:
        return view.failed(error, 404)
    except ClientOrgError as error:
        return view.failed(error)
    movements = await _movements(view, facts)
    row, entries = client_row(facts.client), _timeline(facts, view)
    rules = rules_or_none(facts.plan)
    outlook = outlook_of_one(view, read_client(facts.client))
    holding = outlook.holdings.get(name)
    charges = next_charges(facts.client, rules.billing if rules else None, 3)
    return view.render(
        "client.html.j2",
        active="clients",
        client=facts.client,
        spec=facts.client.get("spec") or {},
        row=row,
        record=points_record(facts.client),
        deactivation=deactivation_of(facts.client.get("status") or {}),
        charges=[(charge, arithmetic(charge)) for charge in charges],
        past=[entry for entry in reversed(entries) if not entry.is_coming],
        coming=[entry for entry in entries if entry.is_coming],
        movements=movements,
        advice=advice(facts.client, facts.pool, view.now, facts.plan) if row.ready != "True" else [],
        actions=actions_for(row, facts.client),
        conditions=[
            {**found, "since": timestamp(found.get("lastTransitionTime"))}
            for found in (facts.client.get("status") or {}).get("conditions") or ()
        ],
        statuses=outlook.statuses(name),
        subscriptions=[_subscription(item, holding, view) for item in subscriptions_of(view.board, name)],
        usage=usage_charts(usage_of(outlook, holding), view.speech) if holding is not None else [],
        plan_hidden=facts.plan is None,
    )


def _subscription(item: Json, holding: Holding | None, view: View) -> Json:
    """A subscription as it stands now, with its invoices and its order's history."""
    try:
        read = subscription.read(item)
    except (KeyError, ValueError, ArithmeticError):
        return {"name": item["metadata"]["name"], "read": None}
    attention = holding.plan.attention if holding is not None else PlanFacts().attention
    return {
        "name": item["metadata"]["name"],
        "read": read,
        "state": subscription.state_of(read, view.now, attention).value,
        "term": subscription.term_at(read, view.now, attention.time_zone),
        "renews": subscription.renews(read),
        "overdue": subscription.overdue(read, view.now, attention),
        "history": [
            {**entry, "time": timestamp(entry["time"])} for entry in item["spec"]["order"].get("history") or ()
        ],
    }


def actions_for(row: ClientRow, client: Json) -> list[str]:
    """What can be done to a client as it is; whether the user may is another matter."""
    if row.state == "PendingApproval":
        return ["approve", "reject"]
    if row.state in _FINAL:
        return []
    spec = client.get("spec") or {}
    wanted = spec.get("state") or "Active"
    ends = [*(["withdraw-termination"] if spec.get("termination") else []), "terminate"]
    if wanted == "Deactivated":
        return [Action.REACTIVATE.value, *ends]
    change = Action.RESUME if wanted == "Paused" else Action.PAUSE
    return ["reallocate", "top-up", change.value, Action.DEACTIVATE.value, *ends]


def _timeline(facts: Facts, view: View) -> list[Entry]:
    rules = rules_or_none(facts.plan)
    more = account_entries(facts.client, rules.billing if rules is not None else None, view.now)
    calendar = calendar_of(facts.plan)
    return timeline(facts.client, facts.pool, read_terms(facts.plan), facts.events or (), calendar, view.now, more)


async def _movements(view: View, facts: Facts) -> Movements:
    from clientorg.cluster.resources import POINT_TRANSACTIONS

    row, session = client_row(facts.client), view.board.session
    if not row.org_id or points_record(facts.client) is None:
        return Movements([], more=False)
    shelf = view.board.movements
    if shelf.is_whole:  # somebody has looked at the ledger: it is here already
        found = [one.row for one in shelf.values() if one.row.org_id == row.org_id]
    else:
        items = await list_or_none(
            session, POINT_TRANSACTIONS, session.namespace, field_selector=f"status.orgID={row.org_id}"
        )
        if items is None:
            return Movements(None, more=False)
        found = [ledger_row(item) for item in items]
    posted = sorted((one for one in found if one.entry is not None), key=lambda one: -(one.entry or 0))
    return Movements(posted[:MOST_ENTRIES], more=len(posted) > MOST_ENTRIES)
