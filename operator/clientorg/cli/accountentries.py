"""What the timeline tells of approval, points and the end of the contract, past and to come (FEATURES S2, S6-S8, S11).

Pure. What is coming is by the operator's own rules, if nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clientorg.cli.account import arithmetic, next_charges
from clientorg.cli.text import number
from clientorg.cli.timelinerows import Entry, Source
from clientorg.domain.billing import BillingTerms
from clientorg.domain.points import suspension
from clientorg.domain.points_record import points_record
from clientorg.domain.timestamps import timestamp

Json = dict[str, Any]

MOST_CHARGES = 3
"""So many coming charges are told."""


def account_entries(client: Json, terms: BillingTerms | None, now: datetime) -> Iterator[Entry]:
    """Everything of it."""
    status = client.get("status") or {}
    yield from _approval(status)
    yield from _points(client, terms, now)
    yield from _termination(client, status)


def _approval(status: Json) -> Iterator[Entry]:
    record = status.get("approval") or {}
    requested, decided = timestamp(record.get("requestedTime")), timestamp(record.get("decidedTime"))
    if requested is not None:
        yield Entry(requested, Source.STATUS, "ApprovalRequested")
    if decided is not None:
        what = "Approved" if record.get("decision") == "Approve" else "Rejected"
        why = f": {record['reason']}" if record.get("reason") else ""
        yield Entry(decided, Source.STATUS, what, f"by {record.get('by', '')}{why}")
    due = timestamp(record.get("dueTime"))
    if due is not None and decided is None:
        detail = "approval and provisioning are to be done by then"
        yield Entry(due, Source.COMING, "ApprovalDue", detail, is_coming=True)


def _points(client: Json, terms: BillingTerms | None, now: datetime) -> Iterator[Entry]:
    points = points_record(client)
    if points is None:
        return
    since, balance = points.negative_since, points.balance
    if since is not None:
        yield Entry(since, Source.STATUS, "BalanceNegative", f"now {number(balance)}")
    end = _end(client)
    for charge in next_charges(client, terms, MOST_CHARGES):
        if end is not None and charge.due >= end:
            break
        balance -= charge.amount
        detail = f"{arithmetic(charge)} points for {charge.period}; balance then {number(balance)}"
        yield Entry(charge.due, Source.COMING, "Charge", detail, is_coming=True)
        if since is None and balance < 0:
            since = max(charge.due, now)
    reasons = (client.get("status") or {}).get("pauseReasons") or ()
    if since is None or terms is None or "NegativeBalance" in reasons:
        return
    pauses = suspension(since, terms)
    if end is None or pauses < end:
        detail = "the balance is below zero for too long, if nobody adds points"
        yield Entry(pauses, Source.COMING, "PausedForBalance", detail, is_coming=True)


def _end(client: Json) -> datetime | None:
    return timestamp(((client.get("spec") or {}).get("termination") or {}).get("time"))


def _termination(client: Json, status: Json) -> Iterator[Entry]:
    found = status.get("termination") or {}
    executed, settled = timestamp(found.get("executedTime")), timestamp(found.get("settledTime"))
    if executed is not None:
        yield Entry(executed, Source.STATUS, "Terminated", "the contract ended")
    if settled is not None:
        yield Entry(settled, Source.STATUS, "Settled", found.get("settlement") or "nothing was left")
    end = _end(client)
    if end is not None and executed is None:
        detail = "the contract ends: everything stops, the account is settled"
        yield Entry(end, Source.COMING, "Termination", detail, is_coming=True)
