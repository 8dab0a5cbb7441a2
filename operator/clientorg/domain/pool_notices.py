"""What the agency is told of its own points, from one `QuotaPool.status` to the next (FEATURES S10). Pure.

The pool's conditions decide: PointsShort says that something is missing, PointsLow only that it may be soon, so that of
both the first is told. Better or worse, each change is told once, in the status write that records it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from clientorg.api.conditions import ConditionStatus, ConditionType
from clientorg.api.notifications import NotificationKind
from clientorg.domain import outbox as box
from clientorg.domain.messages import Entry, Notice, Outbox
from clientorg.domain.timestamps import compact, parse_time

Status = Mapping[str, Any]


class _Level(IntEnum):
    """How the agency's points do; higher is worse."""

    ENOUGH = 0
    LOW = 1
    SHORT = 2


def pool_notices(before: Status, after: Status, now: datetime, *, low_below: int) -> Iterator[Notice]:
    """What is new.

    Args:
        before: the status that is about to be replaced; empty for a pool that has none yet.
        after: the one that replaces it.
        low_below: the pool's spec.points.lowBelow.
    """
    old, new = _level(before) or _Level.ENOUGH, _level(after)
    if new is None or old is new:
        return
    points = after.get("points") or {}
    balance = points.get("balance", 0)
    stamp = compact(now)
    if new < old:
        params = {"balance": balance} | ({"threshold": low_below} if new is _Level.LOW else {})
        yield Notice(f"points-restored-{stamp}", NotificationKind.POINTS_RESTORED, params)
    elif new is _Level.LOW:
        yield Notice(f"points-low-{stamp}", NotificationKind.POINTS_LOW, {"balance": balance, "threshold": low_below})
    else:
        params = {
            "missing": missing_points(points),
            "balance": balance,
            "transactions": points.get("waitingTransactions", 0),
        }
        if points.get("neededBy"):
            params["neededBy"] = parse_time(points["neededBy"])
        yield Notice(f"points-short-{stamp}", NotificationKind.POINTS_SHORT, params)


def missing_points(points: Mapping[str, Any]) -> int:
    """Points that the agency has to purchase: for what waits, and for what the next charges need besides.

    Args:
        points: `QuotaPool.status.points`.
    """
    wanted: int = points.get("waiting", 0) + points.get("needed", 0)
    return max(0, wanted - int(points.get("balance", 0)))


def without_untrue(outbox: Outbox, status: Status) -> Outbox:
    """The outbox without waiting messages of `pool_notices` that are not true any more by that status."""
    level = _level(status)
    if level is None:
        return outbox

    def is_current(entry: Entry) -> bool:
        told = _TOLD.get(entry.kind)
        return told is None or level in told

    return box.keep_current(outbox, is_current)


_TOLD: Final[Mapping[str, tuple[_Level, ...]]] = {
    NotificationKind.POINTS_LOW.value: (_Level.LOW,),
    NotificationKind.POINTS_SHORT.value: (_Level.SHORT,),
    NotificationKind.POINTS_RESTORED.value: (_Level.ENOUGH, _Level.LOW),
}


def _level(status: Status) -> _Level | None:
    """The level that the conditions say; None while they say Unknown."""
    found = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    short, low = found.get(ConditionType.POINTS_SHORT), found.get(ConditionType.POINTS_LOW)
    if short == ConditionStatus.TRUE:
        return _Level.SHORT
    if ConditionStatus.UNKNOWN in (short, low):
        return None
    return _Level.LOW if low == ConditionStatus.TRUE else _Level.ENOUGH
