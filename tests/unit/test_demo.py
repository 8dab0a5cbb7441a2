"""The demo's own parts that need no cluster: the stepped clock, and what a wait that fails says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clientorg.control.clock import FileClock
from tests.demo.books import Books
from tests.demo.devclock import SteppedClock
from tests.demo.errors import DemoError
from tests.demo.inbox import Mail
from tests.demo.looking import Json, Seen, until

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


def books(balance: int, phase: str) -> Books:
    """Acme, and a top-up of 400 for it."""
    points: Json = {"balance": balance} | ({"pending": 400} if phase != "Posted" else {})
    acme = seen().client | {"status": seen().client["status"] | {"points": points}}
    spec = {"kind": "TopUp", "from": "pool/nagoya", "to": "org/acme", "amount": 400}
    return Books(
        clients={"acme": acme},
        pool={"status": {"points": {"balance": 100}, "conditions": [{"type": "PointsShort", "status": "True"}]}},
        transactions=({"metadata": {"name": "top-up-1"}, "spec": spec, "status": {"phase": phase}},),
        mails=(Mail("billing@nagoya.example", "Nagoya agency: points are short"),),
    )


def test_books_say_what_moved_and_what_waits() -> None:
    waiting, posted = books(0, "Waiting"), books(400, "Posted")
    assert (waiting.waiting("TopUp"), waiting.posted("TopUp")) == ({"org/acme": 400}, {})
    assert (posted.waiting("TopUp"), posted.posted("TopUp")) == ({}, {"pool/nagoya": 400})
    assert (waiting.balance("acme"), posted.balance("acme")) == (None, 400), "a balance counts once nothing is pending"
    assert posted.ready("acme") == ("True", "Ready")
    assert posted.ready("globex") == ("Unknown", "NotFound")


def test_wait_for_books_that_fails_says_what_it_saw() -> None:
    with pytest.raises(DemoError) as failure:
        until(lambda: books(0, "Waiting"), "Acme has its points", lambda found: found.balance("acme") == 400, 0.0)
    for words in ("acme: state Active, Ready True=Ready, balance None", "balance 100, short", "top-up-1 Waiting"):
        assert words in str(failure.value)
    assert "Nagoya agency: points are short" in str(failure.value)
