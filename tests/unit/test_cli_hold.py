"""hold and release: what is shown, and when it is done (FEATURES X1)."""

from __future__ import annotations

from typing import Any

import pytest

from clientorg.api.meta import ANNOTATION_HOLD
from clientorg.cli.exits import NotReachedError
from clientorg.cli.holdflow import FIELD_MANAGER, View, document, is_reached, lines
from clientorg.cli.options import DryRun
from clientorg.cli.running import Running, Workload
from tests.unit.cli_builders import client, granted, ready

Json = dict[str, Any]

STOPPED = {"type": "PauseBlocked", "status": "False", "reason": "Stopped"}


def held(*reasons: str, hold: str | None = None, conditions: tuple[Json, ...] = (), **status: Any) -> Json:
    """A client that is paused for these reasons."""
    shown = granted(visitors=5) | {"pauseReasons": list(reasons), "conditions": list(conditions), **status}
    item = client(state="Active", status=shown)
    if hold is not None:
        item["metadata"]["annotations"] = {ANNOTATION_HOLD: hold}
    return item


def test_hold_is_not_written_in_a_name_that_flux_takes_back() -> None:
    """kustomize-controller replaces field managers by prefix."""
    assert not FIELD_MANAGER.startswith(("kubectl", "before-first-apply", "kustomize-controller"))


def test_hold_shows_why_and_what_stops() -> None:
    view = View(held(), "sends spam", Running("acme-1", (Workload("Deployment", "web", 2, "comes back"),)))

    shown = "\n".join(lines(view, color=False))
    assert "it is held until somebody releases it: sends spam" in shown
    assert "Deployment/web" in shown
    data = document(view, DryRun.SERVER)
    assert (data["hold"], data["before"], data["changed"], data["dryRun"]) == ("sends spam", None, True, "server")


def test_release_says_what_keeps_the_client_paused() -> None:
    view = View(held("Requested", "Hold", hold="why"), None, Running("acme-1"), ("It stays paused by wish",))

    shown = "\n".join(lines(view, color=False))
    assert "its hold ends: why" in shown
    assert "It stays paused by wish" in shown
    assert document(view, DryRun.NONE)["staysPausedFor"] == ["Requested"]


def test_hold_is_reached_when_nothing_runs() -> None:
    view = View(held(), "why", Running("acme-1"))

    assert not is_reached(view, view.client, held("Hold"))
    assert is_reached(view, view.client, held("Hold", conditions=(STOPPED,)))


def test_release_is_reached_when_it_runs_or_never_will() -> None:
    view = View(held("Hold", hold="why"), None, Running("acme-1"))

    assert not is_reached(view, view.client, held("Hold"))
    assert is_reached(view, view.client, held(conditions=(ready("True", "Ready"),), state="Active"))
    allocated = {"type": "LicensesAllocated", "status": "True", "reason": "Allocated"}
    with pytest.raises(NotReachedError, match="stays paused"):
        is_reached(view, view.client, held("Requested", conditions=(allocated,)))
    with pytest.raises(NotReachedError, match="deleted meanwhile"):
        is_reached(view, view.client, None)
