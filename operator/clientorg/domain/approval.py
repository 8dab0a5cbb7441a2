"""Approval of a client: who decided what, and how long it may take (FEATURES S2). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, rrule

from clientorg.api.conditions import Reason
from clientorg.api.meta import ANNOTATION_RESTORED_DECISION
from clientorg.api.orgapproval import ApprovalDecision
from clientorg.api.orgplan import ApprovalTarget, Weekday
from clientorg.domain.timestamps import parse_time, rfc3339, timestamp


@dataclass(frozen=True, slots=True)
class Verdict:
    """An OrgApproval as the rules see it.

    Attributes:
        created: when it was decided; of one from a backup that is before the object was made.
        is_restored: whether it came back from a backup, with somebody else's hand than that of who decided.
    """

    name: str
    created: str
    client: str
    client_uid: str
    decision: ApprovalDecision
    by: str
    reason: str | None
    is_restored: bool = False

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Verdict:
        """Read an OrgApproval of the API server."""
        metadata, spec = manifest["metadata"], manifest["spec"]
        restored = timestamp((metadata.get("annotations") or {}).get(ANNOTATION_RESTORED_DECISION))
        return cls(
            name=metadata["name"],
            created=rfc3339(restored) if restored is not None else metadata.get("creationTimestamp", ""),
            client=spec["clientRef"]["name"],
            client_uid=spec["clientUID"],
            decision=ApprovalDecision(spec["decision"]),
            by=spec["approvedBy"],
            reason=spec.get("reason"),
            is_restored=restored is not None,
        )


@dataclass(frozen=True, slots=True)
class Approval:
    """What is remembered of a client's approval.

    Attributes:
        requested: since when an answer is waited for.
        due: by when the client is to work.
        decision: None while nobody has decided.
        ready: when the client could work for the first time.
    """

    requested: datetime
    due: datetime
    decision: ApprovalDecision | None = None
    decided: datetime | None = None
    by: str | None = None
    reason: str | None = None
    name: str | None = None
    ready: datetime | None = None

    @property
    def is_approved(self) -> bool:
        """Whether the client may be provisioned."""
        return self.decision is ApprovalDecision.APPROVE

    @property
    def is_rejected(self) -> bool:
        """Whether it never will be."""
        return self.decision is ApprovalDecision.REJECT


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an OrgApproval does not count."""

    reason: Reason
    message: str


def objection(verdict: Verdict, client_uid: str | None, requested_by: str | None) -> Objection | None:
    """Why the decision does not count; None when it does.

    Args:
        client_uid: of the client that has the name; None where there is none.
        requested_by: the client's spec.requestedBy, which a policy compares with the authenticated user.
    """
    if client_uid is None:
        return Objection(
            Reason.CLIENT_NOT_FOUND,
            f"spec.clientRef.name: no client {verdict.client!r} in this namespace; create it first",
        )
    if verdict.client_uid != client_uid:
        return Objection(
            Reason.CLIENT_MISMATCH,
            f"spec.clientUID: client {verdict.client!r} has the UID {client_uid}; this decision is on another "
            "object that had the name. Decide anew: kubectl clientorg approve",
        )
    if requested_by is None:
        return Objection(
            Reason.REQUESTER_UNKNOWN,
            f"client {verdict.client!r} does not say who requested it, and nobody may approve their own request; set "
            "its spec.requestedBy",
        )
    if verdict.by == requested_by:
        return Objection(
            Reason.SELF_APPROVAL,
            f"spec.approvedBy: {verdict.by!r} requested the client; somebody else has to decide",
        )
    return None


def decide_approval(verdicts: Iterable[Verdict], client_uid: str, requested_by: str | None) -> Verdict | None:
    """The decision that counts: the first valid one. Later ones change nothing."""
    valid = [item for item in verdicts if objection(item, client_uid, requested_by) is None]
    return min(valid, key=lambda item: (item.created, item.name), default=None)


def due_time(requested: datetime, target: ApprovalTarget, time_zone: ZoneInfo) -> datetime:
    """The end of the last business day of the target, in UTC; the day of the request is not counted."""
    day = requested.astimezone(time_zone).date()
    return _midnight(_business_day(day, target.business_days, target) + timedelta(days=1), time_zone)


def business_days(start: datetime, end: datetime, target: ApprovalTarget, time_zone: ZoneInfo) -> int:
    """Business days from one moment to the other: those that begin after the first, up to the second."""
    first, last = start.astimezone(time_zone).date(), end.astimezone(time_zone).date()
    if last <= first:
        return 0
    days = rrule(DAILY, byweekday=_weekdays(target), dtstart=_naive(first + timedelta(days=1)), until=_naive(last))
    return sum(day.date().isoformat() not in target.holidays for day in days)


def _business_day(day: date, count: int, target: ApprovalTarget) -> date:
    for found in rrule(DAILY, byweekday=_weekdays(target), dtstart=_naive(day + timedelta(days=1))):
        if found.date().isoformat() in target.holidays:
            continue
        count -= 1
        if count == 0:
            return found.date()
    raise ValueError("no business day is left")  # the weekend has at most six days, the holidays an end


def _weekdays(target: ApprovalTarget) -> list[int]:
    return [number for number, name in enumerate(Weekday) if name not in target.weekend]


def _naive(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _midnight(day: date, time_zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=time_zone).astimezone(UTC)


def approval_of(status: Mapping[str, Any]) -> Approval | None:
    """What a client's status remembers."""
    found = status.get("approval")
    if not found:
        return None
    decision, decided, ready = found.get("decision"), found.get("decidedTime"), found.get("readyTime")
    return Approval(
        requested=parse_time(found["requestedTime"]),
        due=parse_time(found["dueTime"]),
        decision=ApprovalDecision(decision) if decision else None,
        decided=parse_time(decided) if decided else None,
        by=found.get("by"),
        reason=found.get("reason"),
        name=found.get("name"),
        ready=parse_time(ready) if ready else None,
    )


def approval_json(approval: Approval) -> dict[str, Any]:
    """The approval for status."""
    out: dict[str, Any] = {"requestedTime": rfc3339(approval.requested), "dueTime": rfc3339(approval.due)}
    optional = {
        "decision": approval.decision.value if approval.decision is not None else None,
        "decidedTime": rfc3339(approval.decided) if approval.decided is not None else None,
        "by": approval.by,
        "reason": approval.reason,
        "name": approval.name,
        "readyTime": rfc3339(approval.ready) if approval.ready is not None else None,
    }
    return out | {name: value for name, value in optional.items() if value is not None}


def advance(
    record: Approval | None,
    verdicts: Iterable[Verdict],
    *,
    client_uid: str,
    requested_by: str | None,
    requested: datetime,
    target: ApprovalTarget,
    time_zone: ZoneInfo,
    now: datetime,
) -> Approval:
    """The approval as it stands now. What was decided stays decided, whatever becomes of the OrgApproval.

    Args:
        record: what status remembers.
        requested: since when an answer is waited for, if nothing is remembered; not later than now, because that time
            is the API server's, whose clock may be ahead of ours.
    """
    if record is not None and record.decision is not None:
        return record
    since = record.requested if record is not None else min(requested, now)
    record = Approval(since, due_time(since, target, time_zone))
    verdict = decide_approval(verdicts, client_uid, requested_by)
    if verdict is None:
        return record
    # A decision is made when it is seen, on the operator's clock; of a restored one that is long past.
    decided = min(parse_time(verdict.created), now) if verdict.is_restored else now
    return replace(
        record, decision=verdict.decision, decided=decided, by=verdict.by, reason=verdict.reason, name=verdict.name
    )
