"""When a decision has taken effect."""

from __future__ import annotations

from typing import Any

from clientorg.cli.decision import Choice
from clientorg.cli.exits import NotReachedError
from clientorg.cli.rows import condition
from clientorg.cli.text import plain

Json = dict[str, Any]


def is_reached(choice: Choice, name: str, uid: str, item: Json | None) -> bool:
    """Whether the operator has done it: an approved client is Ready, a rejected one is marked so.

    Raises:
        NotReachedError: it will not by itself: the client is gone, or somebody else's decision came first.
    """
    if item is None or item["metadata"]["uid"] != uid:
        raise NotReachedError(f"{name} was deleted meanwhile")
    record = (item.get("status") or {}).get("approval") or {}
    decision = record.get("decision")
    if decision is not None and decision != choice.decision:
        other = "rejected" if choice is Choice.APPROVE else "approved"
        raise NotReachedError(f"{name} was {other} by {plain(record.get('by') or 'somebody else')} before")
    if choice is Choice.REJECT:
        return bool(decision == choice.decision)
    return decision is not None and bool(condition(item, "Ready").get("status") == "True")


def how_it_stands(item: Json | None) -> str:
    """One line for the progress and the error."""
    ready = condition(item or {}, "Ready")
    if not ready:
        return "the operator has not answered yet (does it run?)"
    return f"{ready.get('reason', '')}: {ready.get('message', '')}"
