"""A client's approval as a row: who waits, since when, until when, and what was decided (FEATURES S2). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from clientorg.cli.dates import Calendar, calendar_of
from clientorg.cli.planrules import PlanRules, rules_or_none
from clientorg.cli.rows import ClientRow, client_row, condition
from clientorg.cli.table import Cell, cells
from clientorg.cli.terminal import Color
from clientorg.cli.text import number
from clientorg.domain.timestamps import rfc3339, timestamp

Json = dict[str, Any]


class Standing(StrEnum):
    """Where a client's approval stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    NOT_ASKED = "not asked for"
    UNKNOWN = "unknown"
    """Its plan could not be read."""


@dataclass(frozen=True)
class ApprovalRow:
    """One client and its approval.

    Attributes:
        since: since when an answer is waited for.
        waited: business days from then to the decision, or to now; None where the plan could not be read.
        target: business days that approval and provisioning may take, together.
        due: by when the client is to work.
        is_late: not decided, or not working, by then.
    """

    row: ClientRow
    standing: Standing
    requested_by: str
    users: int
    calendar: Calendar
    since: datetime | None = None
    waited: int | None = None
    target: int | None = None
    due: datetime | None = None
    is_late: bool = False
    decided: datetime | None = None
    by: str = ""
    reason: str = ""

    @property
    def word(self) -> str:
        """`waiting`, `overdue`, `approved` …"""
        return "overdue" if self.standing is Standing.WAITING and self.is_late else self.standing.value

    @property
    def waited_text(self) -> str:
        """`2 of 3 business days`."""
        return "-" if self.waited is None or self.target is None else f"{self.waited} of {self.target} business days"


def standing_of(client: Json, rules: PlanRules | None) -> Standing:
    """Where the approval stands, by the operator's record, and before it has seen the client by the plan."""
    status = client.get("status") or {}
    record = status.get("approval") or {}
    if record.get("decision"):
        return Standing.APPROVED if record["decision"] == "Approve" else Standing.REJECTED
    if client["metadata"].get("deletionTimestamp"):
        return Standing.NOT_ASKED
    if rules is None:
        return Standing.WAITING if record or status.get("state") == "PendingApproval" else Standing.UNKNOWN
    holds = any(item.get("granted") for item in status.get("licenses") or ()) or status.get("deactivation")
    # Who has its licenses is not asked about again, also where the plan was changed to Manual since.
    return Standing.WAITING if rules.is_manual and not holds else Standing.NOT_ASKED


def approval_row(client: Json, plan: Json | None, now: datetime) -> ApprovalRow:
    """The row of a client."""
    from clientorg.domain.approval import business_days, due_time

    rules = rules_or_none(plan)
    spec, record = client.get("spec") or {}, (client.get("status") or {}).get("approval") or {}
    row, standing = client_row(client), standing_of(client, rules)
    since = timestamp(record.get("requestedTime")) or row.created
    decided, due = timestamp(record.get("decidedTime")), timestamp(record.get("dueTime"))
    waited = target = None
    if since is not None and rules is not None:
        target = rules.spec.approval_target.business_days
        waited = business_days(since, decided or now, rules.spec.approval_target, rules.time_zone)
        due = due or due_time(since, rules.spec.approval_target, rules.time_zone)
    is_late = due is not None and (decided or now) > due
    return ApprovalRow(
        row=row,
        standing=standing,
        requested_by=spec.get("requestedBy") or "",
        users=spec.get("contractedUsers") or 0,
        calendar=calendar_of(plan),
        since=since,
        waited=waited,
        target=target,
        due=due,
        is_late=is_late or condition(client, "ApprovalOnTarget").get("status") == "False",
        decided=decided,
        by=record.get("by") or "",
        reason=record.get("reason") or "",
    )


def by_urgency(rows: Iterable[ApprovalRow]) -> list[ApprovalRow]:
    """Those that wait first, the one that is due first before the others."""

    def key(item: ApprovalRow) -> tuple[bool, float, tuple[str, str]]:
        due = item.due.timestamp() if item.due is not None else float("inf")
        return item.standing is not Standing.WAITING, due, item.row.key

    return sorted(rows, key=key)


_COLORS: dict[str, Color] = {"waiting": "yellow", "overdue": "red", "approved": "green", "rejected": "red"}


def header(*, wide: bool, namespaces: bool) -> list[str]:
    """Headings of the table."""
    return [
        *(["NAMESPACE"] if namespaces else []),
        *("NAME", "APPROVAL", "REQUESTED BY", "SINCE", "WAITED", "DUE", "PLAN", "LICENSES"),
        *(["DISPLAY NAME", "CONTACT", "USERS", "POOL", "DECIDED BY", "DECIDED", "REASON"] if wide else []),
    ]


def row_cells(item: ApprovalRow, *, wide: bool, namespaces: bool) -> list[Cell]:
    """A client's cells, under `header`. Times are in the plan's time zone."""

    def when(moment: datetime | None) -> str:
        return item.calendar.full(moment) if moment is not None else "-"

    shown: list[str | Cell] = [
        *([item.row.namespace] if namespaces else []),
        item.row.name,
        Cell(item.word, _COLORS.get(item.word)),
        item.requested_by or "-",
        when(item.since),
        Cell(item.waited_text, "red" if item.is_late else None),
        when(item.due),
        item.row.plan or "-",
        licenses_text(item.row),
    ]
    if wide:
        shown += [
            item.row.display_name or "-",
            item.row.email or "-",
            Cell(number(item.users), right=True),
            item.row.pool or "-",
            item.by or "-",
            when(item.decided),
            item.reason or "-",
        ]
    return cells(*shown)


def licenses_text(row: ClientRow) -> str:
    """What is asked for: `visitors 50,000, seats 5`."""
    return ", ".join(f"{item.name} {number(item.wanted)}" for item in row.licenses if item.wanted is not None)


def document(item: ApprovalRow) -> Json:
    """The row as data; times are in UTC."""
    times = {"since": item.since, "due": item.due, "decided": item.decided}
    return {
        "namespace": item.row.namespace,
        "name": item.row.name,
        "displayName": item.row.display_name,
        "approval": item.standing.value,
        "overdue": item.is_late,
        "requestedBy": item.requested_by or None,
        **{key: rfc3339(moment) if moment is not None else None for key, moment in times.items()},
        "waitedBusinessDays": item.waited,
        "targetBusinessDays": item.target,
        "timeZone": item.calendar.name,
        "plan": item.row.plan,
        "pool": item.row.pool,
        "contractedUsers": item.users,
        "licenses": [{"name": e.name, "quantity": e.wanted} for e in item.row.licenses if e.wanted is not None],
        "decidedBy": item.by or None,
        "reason": item.reason or None,
    }
