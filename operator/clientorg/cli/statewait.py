"""Waiting until the operator has paused, resumed, deactivated or reactivated a client."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from clientorg.cli.exits import NotReachedError
from clientorg.cli.rows import condition
from clientorg.cli.statechange import Action
from clientorg.cli.waiting import wait_until

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

_WAITED_FOR = {
    Action.PAUSE: "to be paused",
    Action.RESUME: "to run again",
    Action.DEACTIVATE: "to be deactivated",
    Action.REACTIVATE: "to be active again",
}


async def wait_for(session: Session, action: Action, name: str, written: Json, timeout_seconds: float) -> None:
    """Wait until the status shows it for the version that was written.

    Raises:
        NotReachedError: time ran out, or it cannot come by waiting.
    """
    from clientorg.cluster.resources import CLIENT_ORGS

    await wait_until(
        session.api,
        CLIENT_ORGS,
        session.namespace,
        name,
        partial(is_reached, action, name, written),
        timeout_seconds=timeout_seconds,
        what=f"{name} {_WAITED_FOR[action]}",
        tell=how_it_stands,
    )


def is_reached(action: Action, name: str, written: Json, item: Json | None) -> bool:
    """Whether the status says so.

    Raises:
        NotReachedError: it will not by itself: the client is gone, was changed again, or stays paused.
    """
    if item is None or item["metadata"]["uid"] != written["metadata"]["uid"]:
        raise NotReachedError(f"{name} was deleted meanwhile")
    if (item["spec"].get("state") or "Active") != action.wanted:
        raise NotReachedError(f"{name}: somebody has set spec.state to {item['spec'].get('state')} meanwhile")
    status = item.get("status") or {}
    if (status.get("observedGeneration") or -1) < written["metadata"]["generation"]:
        return False
    reasons = status.get("pauseReasons") or ()
    is_deactivated = bool(status.get("deactivation"))
    match action:
        case Action.PAUSE:
            return "Requested" in reasons and has_stopped(item)
        case Action.DEACTIVATE:
            return is_deactivated and ("purgedTime" in status["deactivation"] or has_stopped(item))
        case Action.RESUME | Action.REACTIVATE:
            if is_deactivated or "Requested" in reasons:
                return False
            return may_run(name, item)


def has_stopped(item: Json) -> bool:
    """Whether nothing runs any more, or nothing was built that could."""
    workspace = condition(item, "WorkspaceReady")
    is_unbuilt = workspace.get("status") != "True" and workspace.get("reason") == "Provisioning"
    return condition(item, "PauseBlocked").get("reason") == "Stopped" or is_unbuilt


def may_run(name: str, item: Json) -> bool:
    """Whether it runs.

    Raises:
        NotReachedError: it has the licenses and is paused for another reason, and stays so however long one waits.
    """
    reasons = (item.get("status") or {}).get("pauseReasons") or ()
    if reasons and condition(item, "LicensesAllocated").get("status") == "True":
        raise NotReachedError(f"{name} stays paused: {condition(item, 'Paused').get('message') or ', '.join(reasons)}")
    return (item.get("status") or {}).get("state") == "Active" and condition(item, "Ready").get("status") == "True"


def how_it_stands(item: Json | None) -> str:
    """One line for the progress and the error."""
    ready = condition(item or {}, "Ready")
    if not ready:
        return "the operator has not answered yet (does it run?)"
    blocked = condition(item or {}, "PauseBlocked")
    if blocked.get("status") == "True":
        return f"PauseBlocked: {blocked.get('message', '')}"
    return f"{ready.get('reason', '')}: {ready.get('message', '')}"
