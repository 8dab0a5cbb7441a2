"""What `points replenish` looks at before it plans: clients, the terms they are on, the ledger, the pools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clientorg.cli.dates import Calendar, calendar_of
from clientorg.cli.forecast import Position, forecast
from clientorg.cli.options import DataOutput, DryRun
from clientorg.cli.planrules import billing_terms
from clientorg.cli.replenishplan import Found, Plan, make_plan
from clientorg.cli.text import joined
from clientorg.cli.watching import LIST_TRIES, PAGE, list_objects
from clientorg.errors import GoneError, InputError

if TYPE_CHECKING:
    from clientorg.cli.session import Session
    from clientorg.domain.billing import BillingTerms

Json = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    names: tuple[str, ...]
    selector: str | None
    to: int
    atomic: bool
    dry_run: DryRun
    output: DataOutput
    now: datetime


@dataclass(frozen=True)
class Agency:
    """The clients that were chosen, and the terms they are on."""

    clients: tuple[Json, ...]
    org_ids: Mapping[str, str]
    terms: Mapping[str, BillingTerms | None]
    calendars: Mapping[str, Calendar]


async def agency_of(session: Session, wish: Wish) -> Agency:
    """The clients that were chosen.

    Raises:
        InputError: one is not there, or its plan is not.
    """
    from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS

    (found, _), (plans, _) = await asyncio.gather(
        list_objects(session.api, CLIENT_ORGS, session.namespace, label_selector=wish.selector),
        list_objects(session.api, ORG_PLANS, session.namespace),
    )
    clients = found
    if wish.names:
        by_name = {item["metadata"]["name"]: item for item in found}
        unknown = [name for name in wish.names if name not in by_name]
        if unknown:
            raise InputError(f"there is no client {joined(map(repr, unknown), 'or')} in namespace {session.namespace}")
        clients = [by_name[name] for name in wish.names]
    used = {client["spec"]["planRef"]["name"] for client in clients}
    by_plan = {plan["metadata"]["name"]: plan for plan in plans}
    missing = sorted(used - by_plan.keys())
    if missing:
        raise InputError(f"plan {joined(missing)}: not there, so the charges of its clients are not known; create it")
    org_ids = {c["metadata"]["name"]: c["status"]["orgID"] for c in found if (c.get("status") or {}).get("orgID")}
    return Agency(
        tuple(clients),
        org_ids,
        {name: billing_terms(by_plan[name]) for name in used},
        {name: calendar_of(by_plan[name]) for name in used},
    )


async def plan_of(session: Session, wish: Wish, agency: Agency) -> Plan:
    """Who gets what, by the ledger as it is now.

    Raises:
        InputError: it cannot be all, and --atomic asks for that.
    """
    from clientorg.cluster.resources import QUOTA_POOLS

    found = await _ledger(session, agency)
    incomplete = found.set_incomplete_aside(agency.org_ids)
    pools, _ = await list_objects(session.api, QUOTA_POOLS, session.namespace)
    forecasts = [
        forecast(
            client,
            agency.terms[client["spec"]["planRef"]["name"]],
            found.book.by_org_id.get((client.get("status") or {}).get("orgID") or "", Position()),
            wish.now,
        )
        for client in agency.clients
    ]
    return make_plan(
        forecasts,
        found,
        {pool["metadata"]["name"]: pool for pool in pools},
        wish.now,
        to=wish.to,
        atomic=wish.atomic,
        incomplete=incomplete,
    )


async def _ledger(session: Session, agency: Agency) -> Found:
    """The whole ledger, folded page by page.

    Balances are taken from it and not from the clients' status, which follows a little later: a run right after
    another one has to see what that one made.
    """
    from clientorg.cluster.resources import POINT_TRANSACTIONS

    for attempt in range(LIST_TRIES):
        found = Found()
        try:
            async for page in session.api.list_pages(POINT_TRANSACTIONS, session.namespace, chunk=PAGE):
                found.add(page["items"], agency.org_ids)
            return found
        except GoneError:
            if attempt == LIST_TRIES - 1:
                raise
    raise AssertionError("unreachable")


def check_unchanged(before: Agency, after: Agency) -> None:
    """Raise InputError where the charges would be others than those that were shown."""
    changes = []
    for name, terms in before.terms.items():
        other = after.terms.get(name)
        if terms != other:
            changes.append(f"plan {name} was edited (revision {_revision(terms)} → {_revision(other)})")
    shown = {_identity(client): client for client in before.clients}
    found = {_identity(client): client for client in after.clients}
    for key, client in shown.items():
        name, now = client["metadata"]["name"], found.get(key)
        if now is None:
            changes.append(f"client {name} was deleted")
            continue
        changes += [
            f"client {name}: spec.{field} was changed"
            for field in ("contractedUsers", "planRef", "state", "termination")
            if client["spec"].get(field) != now["spec"].get(field)
        ]
    changes += [f"client {found[key]['metadata']['name']} is new" for key in found.keys() - shown.keys()]
    if changes:
        more = [f"and {len(changes) - 10:,} more"] if len(changes) > 10 else []
        raise InputError(
            "\n  ".join(["nothing was created, because what was shown is not true any more:", *changes[:10], *more])
            + "\nRun it again to see the new numbers"
        )


def _identity(client: Json) -> str:
    return str(client["metadata"]["uid"])


def _revision(terms: BillingTerms | None) -> str:
    return "no charges" if terms is None else str(terms.generation)
