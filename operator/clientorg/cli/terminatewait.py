"""When a termination, its change or its withdrawal has taken effect."""

from __future__ import annotations

from typing import Any

from clientorg.cli.exits import NotReachedError
from clientorg.cli.rows import condition
from clientorg.cli.termination import Mode, View
from clientorg.domain.timestamps import timestamp

Json = dict[str, Any]


def is_reached(view: View, written: Json, item: Json | None) -> bool:
    """Whether the operator has taken it in, for the version that was written.

    Raises:
        NotReachedError: it will not by itself: the client is gone, or was terminated before the withdrawal.
    """
    name = view.row.name
    if item is None or item["metadata"]["uid"] != written["metadata"]["uid"]:
        raise NotReachedError(f"{name} was deleted meanwhile")
    status = item.get("status") or {}
    found = status.get("termination") or {}
    if view.mode is not Mode.NOW and found.get("executedTime"):
        raise NotReachedError(f"{name} was terminated on {found['executedTime']}")
    if (status.get("observedGeneration") or -1) < written["metadata"]["generation"]:
        return False
    if view.mode is Mode.WITHDRAW:
        return not found.get("scheduledTime")
    if view.mode is Mode.SCHEDULE:
        return timestamp(found.get("scheduledTime")) == view.at
    is_open = condition(item, "Ready").get("reason") == "SettlementPending"
    return bool(found.get("executedTime")) and not (is_open and not found.get("settledTime"))
