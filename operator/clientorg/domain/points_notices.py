"""What a client's contact is told of approval, points and the end of the contract (FEATURES S2, S6, S11). Pure.

Decided on what one status says and the next does not, both `ClientOrg.status`. A notice is added in the same status
write that records its cause, so that it is told once: neither less when the operator dies in between, nor more when a
pass is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from clientorg.api.clientorg import PauseReason
from clientorg.api.notifications import NotificationKind
from clientorg.api.orgapproval import ApprovalDecision
from clientorg.domain import outbox as box
from clientorg.domain.messages import Entry, Notice, Outbox
from clientorg.domain.timestamps import compact, parse_time, rfc3339

Status = Mapping[str, Any]


def points_notices(
    before: Status, after: Status, now: datetime, *, suspends_after: datetime | None, settlement: int | None = None
) -> Iterator[Notice]:
    """What is new, oldest cause first.

    Args:
        before: the status that is about to be replaced; empty for a client that has none yet.
        after: the one that replaces it.
        suspends_after: when a balance that stays below zero pauses the client; None where it never does.
        settlement: points that the settlement has added to the client's account: above zero a shortfall was made up,
            below zero a surplus was consumed. None: nothing was left to settle.
    """
    yield from _rejected(before, after, now)
    yield from _balance(before, after, suspends_after)
    yield from _schedule(before, after, now)
    yield from _terminated(before, after, settlement)


def is_terminated(status: Status) -> bool:
    """Whether the contract has ended; there is no way back."""
    return _part(status, "termination").get("executedTime") is not None


def without_untrue(outbox: Outbox, status: Status) -> Outbox:
    """The outbox without waiting messages of `points_notices` that are not true any more by that status.

    Call it before what is new is added.
    """

    def is_current(entry: Entry) -> bool:
        rule = _STILL_TRUE.get(entry.kind)
        return rule is None or rule(entry, status)

    return box.keep_current(outbox, is_current)


def _rejected(before: Status, after: Status, now: datetime) -> Iterator[Notice]:
    old, new = _part(before, "approval"), _part(after, "approval")
    if new.get("decision") == ApprovalDecision.REJECT and old.get("decision") != ApprovalDecision.REJECT:
        reason = {"reason": new["reason"]} if new.get("reason") else {}
        decided = parse_time(new["decidedTime"]) if new.get("decidedTime") else now
        yield Notice(f"rejected-{compact(decided)}", NotificationKind.REJECTED, reason)


def _balance(before: Status, after: Status, suspends_after: datetime | None) -> Iterator[Notice]:
    points = _part(after, "points")
    since = points.get("negativeSince")
    if since is None or since == _part(before, "points").get("negativeSince"):
        return
    if is_terminated(after) or _is_paused_for_it(after):
        return  # the settlement makes up for it, or the pause says it
    params = {"balance": points["balance"], "since": parse_time(since)}
    if suspends_after is not None:
        params["pausesAfter"] = suspends_after
    if points.get("nextCharge"):
        params["nextCharge"] = points["nextCharge"]
        if points.get("nextChargeTime"):
            params["nextChargeTime"] = parse_time(points["nextChargeTime"])
    yield Notice(_balance_key(since), NotificationKind.BALANCE_NEGATIVE, params)


def _schedule(before: Status, after: Status, now: datetime) -> Iterator[Notice]:
    """A termination at once, or of which the time has come, is told when it has run."""
    old, new = _scheduled(before), _scheduled(after)
    if old == new or is_terminated(after):
        return
    if new is None:
        yield Notice(f"termination-withdrawn-{compact(now)}", NotificationKind.TERMINATION_WITHDRAWN, {"time": old})
    elif new > now:
        params = {"time": new} | ({} if old is None else {"formerTime": old})
        yield Notice(f"termination-scheduled-{compact(now)}", NotificationKind.TERMINATION_SCHEDULED, params)


def _terminated(before: Status, after: Status, settlement: int | None) -> Iterator[Notice]:
    """When all of it is known: that it ran, that the account is settled, and until when the data is kept."""
    if _is_over(before) or not _is_over(after):
        return
    executed = parse_time(after["termination"]["executedTime"])
    params: dict[str, object] = {
        "time": executed,
        "purgeAfter": parse_time(after["deactivation"]["purgeAfter"]),
    }
    if settlement is not None:
        params["settlement"] = settlement
    yield Notice(f"terminated-{compact(executed)}", NotificationKind.TERMINATED, params)


def _is_over(status: Status) -> bool:
    is_settled = _part(status, "termination").get("settledTime") is not None or not _part(status, "points")
    return is_terminated(status) and is_settled and _part(status, "deactivation").get("purgeAfter") is not None


def _negative_still(entry: Entry, status: Status) -> bool:
    since = _part(status, "points").get("negativeSince")
    is_true = since is not None and entry.key == _balance_key(since)
    return is_true and not is_terminated(status) and not _is_paused_for_it(status)


def _scheduled_still(entry: Entry, status: Status) -> bool:
    scheduled = _scheduled(status)
    is_true = scheduled is not None and entry.params.get("time") == rfc3339(scheduled)
    return is_true and not is_terminated(status)


def _withdrawn_still(entry: Entry, status: Status) -> bool:
    return _scheduled(status) is None and not is_terminated(status)


_STILL_TRUE: Final = {
    NotificationKind.BALANCE_NEGATIVE.value: _negative_still,
    NotificationKind.TERMINATION_SCHEDULED.value: _scheduled_still,
    NotificationKind.TERMINATION_WITHDRAWN.value: _withdrawn_still,
}


def _scheduled(status: Status) -> datetime | None:
    text = _part(status, "termination").get("scheduledTime")
    return None if text is None else parse_time(text)


def _is_paused_for_it(status: Status) -> bool:
    return PauseReason.NEGATIVE_BALANCE in (status.get("pauseReasons") or ())


def _balance_key(since: str) -> str:
    return f"balance-negative-{compact(parse_time(since))}"


def _part(status: Status, name: str) -> Mapping[str, Any]:
    return status.get(name) or {}
