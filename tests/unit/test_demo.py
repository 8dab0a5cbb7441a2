"""The demo's own parts that need no cluster: the stepped clock, and what a wait that fails says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clientorg.control.clock import FileClock
from tests.demo.devclock import SteppedClock
from tests.demo.errors import DemoError
from tests.demo.looking import Seen, until

BEGIN = datetime(2026, 11, 2, tzinfo=UTC)


def test_operator_reads_the_time_that_the_clock_was_stepped_to(tmp_path: Path) -> None:
    stepped = SteppedClock(tmp_path / "clock", BEGIN)
    operators = FileClock(stepped.file)
    assert operators.now() == BEGIN
    stepped.step(BEGIN + timedelta(days=92))
    assert operators.now() == stepped.now == BEGIN + timedelta(days=92)


def test_clock_is_not_stepped_back(tmp_path: Path) -> None:
    stepped = SteppedClock(tmp_path / "clock", BEGIN)
    with pytest.raises(ValueError, match="is before"):
        stepped.step(BEGIN - timedelta(seconds=1))
    assert stepped.now == BEGIN


def seen(state: str = "Active", **pods: str) -> Seen:
    """A client in that state, with these pods."""
    client = {
        "metadata": {"generation": 2},
        "status": {
            "observedGeneration": 2,
            "state": state,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}],
        },
    }
    return Seen(client, namespace_exists=True, pods=pods, mails=())


def test_wait_that_fails_says_what_it_waited_for_and_what_it_saw() -> None:
    with pytest.raises(DemoError) as failure:
        until(lambda: seen(web="Running"), "Acme is paused", lambda found: found.state == "Paused", 0.0)
    assert "Acme is paused" in str(failure.value)
    assert "state Active, Ready True=Ready" in str(failure.value)
    assert "web Running" in str(failure.value)


def test_wait_ends_as_soon_as_it_is_so() -> None:
    states = iter(["Active", "Paused"])
    found = until(lambda: seen(next(states)), "Acme is paused", lambda found: found.state == "Paused", 5.0)
    assert found.state == "Paused"


def test_status_of_an_older_spec_is_not_taken_for_ready() -> None:
    old = seen()
    old.client["metadata"]["generation"] = 3
    assert old.ready[0] == "Unknown"
