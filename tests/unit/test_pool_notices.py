"""What the agency is told of its own points, and the outbox of its pool (FEATURES S10)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from clientorg.api.notifications import MAX_OUTBOX, Channel
from clientorg.control.objects import Pool
from clientorg.control.poolmessages import with_pool_messages
from clientorg.domain import outbox as box
from clientorg.domain.messages import from_status, new_entry, to_status
from clientorg.domain.pool_notices import missing_points, pool_notices
from clientorg.notify.kinds import read_params
from tests.support import builders

Json = dict[str, Any]

NOW = datetime(2026, 12, 18, 1, 5, tzinfo=UTC)
CONTACT = {"name": "Billing team", "email": "billing@sakura.example", "language": "ja"}
MAIL = {"fromAddress": "no-reply@sakura.example"}
HOOK = {"webhook": {"url": "https://hooks.sakura.example/points", "secret": "hook"}}


def status(low: str | None = "False", short: str | None = "False", balance: int = 5000, **points: Any) -> Json:
    """Status of a pool whose conditions say so; None: it has no such condition."""
    conditions = [
        {"type": type, "status": said, "reason": "R", "lastTransitionTime": "2026-12-18T01:00:00Z"}
        for type, said in (("Ready", "True"), ("PointsLow", low), ("PointsShort", short))
        if said is not None
    ]
    return {"conditions": conditions, "points": {"balance": balance, "entries": 1, **points}}


WELL, LOW = status(), status("True", balance=900)
SHORT = status(
    "True",
    "True",
    balance=100,
    waiting=400,
    waitingTransactions=2,
    needed=1100,
    neededBy="2026-12-24T15:00:00Z",
)


def told(before: Json, after: Json, low_below: int = 1000) -> list[tuple[str, dict[str, object]]]:
    """Kinds and params of what is told when the one status follows the other."""
    found = list(pool_notices(before, after, NOW, low_below=low_below))
    for notice in found:
        assert notice.key == f"{notice.kind.value}-20261218T010500Z"
        params = new_entry(notice.key, notice.kind.value, notice.params, NOW, ()).params
        assert set(params) <= set(read_params(notice.kind, params)), "every param is one that the templates know"
    return [(notice.kind.value, dict(notice.params)) for notice in found]


def test_low_and_short_points_are_told_with_what_to_purchase() -> None:
    by = datetime(2026, 12, 24, 15, tzinfo=UTC)

    assert told(WELL, LOW) == [("points-low", {"balance": 900, "threshold": 1000})]
    assert told(LOW, SHORT) == [("points-short", {"missing": 1400, "balance": 100, "transactions": 2, "neededBy": by})]
    assert told(WELL, SHORT) == told(LOW, SHORT), "of both only the worse"
    assert told({}, LOW) == told(WELL, LOW), "the first status of a pool"


def test_what_waits_alone_has_no_date() -> None:
    waits = status(short="True", balance=100, waiting=400, waitingTransactions=1)

    assert told(WELL, waits) == [("points-short", {"missing": 300, "balance": 100, "transactions": 1})]


def test_restored_points_are_told_and_whether_they_are_low_still() -> None:
    assert told(SHORT, WELL) == told(LOW, WELL) == [("points-restored", {"balance": 5000})]
    assert told(SHORT, LOW) == [("points-restored", {"balance": 900, "threshold": 1000})]


@pytest.mark.parametrize(("low", "short"), list(product(("True", "False", None), repeat=2)))
def test_nothing_is_told_while_nothing_changes(low: str | None, short: str | None) -> None:
    assert told(status(low, short), status(low, short, balance=1)) == []


def test_missing_condition_is_one_that_does_not_hold() -> None:
    assert told(status(None, None), WELL) == []
    assert told({}, {}) == []
    assert [kind for kind, _ in told(SHORT, status(None, None))] == ["points-restored"]


def test_condition_that_is_unknown_tells_nothing_of_itself() -> None:
    unknown = status("Unknown", "Unknown")

    assert told(SHORT, unknown) == told(WELL, unknown) == told(unknown, WELL) == []
    assert [kind for kind, _ in told(unknown, SHORT)] == ["points-short"]


@pytest.mark.parametrize(
    ("points", "missing"),
    [
        ({"balance": 100}, 0),
        ({"balance": 100, "waiting": 50, "needed": 50}, 0),
        ({"balance": 100, "waiting": 150}, 50),
        ({"balance": 100, "needed": 180}, 80),
        ({"balance": 100, "waiting": 150, "needed": 180}, 230),
        ({"balance": -20, "waiting": 5}, 25),
        ({}, 0),
    ],
)
def test_missing_points_are_for_what_waits_and_what_is_charged(points: Json, missing: int) -> None:
    assert missing_points(points) == missing


# -- the pool's outbox -----------------------------------------------------------------------------------------------


def pool(contact: Json | None = CONTACT, notifications: Json | None = None) -> Pool:
    """A pool whose agency wants to be told."""
    manifest = builders.pool("agency", visitors=10)
    points: Json = {"lowBelow": 1000, "timeZone": "Asia/Tokyo"}
    points |= {} if contact is None else {"contact": contact}
    points |= {"notifications": MAIL | HOOK if notifications is None else notifications}
    manifest["spec"]["points"] = points
    manifest["metadata"] |= {"uid": "uid", "resourceVersion": "1", "generation": 1}
    return Pool.of(manifest)


def test_transition_is_one_message_however_often_the_pass_is_repeated() -> None:
    first = with_pool_messages(pool(), WELL, SHORT, NOW)
    again = with_pool_messages(pool(), WELL, SHORT, NOW)
    written = {**SHORT, "outbox": first}
    later = with_pool_messages(pool(), written, SHORT, NOW + timedelta(minutes=1))

    assert [entry["key"] for entry in first] == ["points-short-20261218T010500Z"]
    assert first == again == later
    assert {name for name in ("mail", "webhook") if name in first[0]} == {"mail", "webhook"}


@pytest.mark.parametrize(
    ("contact", "notifications", "channels"),
    [
        (CONTACT, MAIL | HOOK, {"mail", "webhook"}),
        (CONTACT, MAIL, {"mail"}),
        (None, MAIL | HOOK, {"webhook"}),
        (CONTACT, HOOK, {"webhook"}),
        (None, MAIL, set()),
        (CONTACT, {}, set()),
    ],
)
def test_message_goes_the_ways_that_the_pool_has(contact: Json | None, notifications: Json, channels: set[str]) -> None:
    (entry,) = with_pool_messages(pool(contact, notifications), WELL, LOW, NOW)

    assert entry.keys() - {"key", "kind", "params", "created"} == channels


def test_what_waits_is_dropped_when_its_way_is_gone_or_it_is_not_true_any_more() -> None:
    low = {**LOW, "outbox": with_pool_messages(pool(), WELL, LOW, NOW)}
    (without_mail,) = with_pool_messages(pool(contact=None), low, LOW, NOW)
    kinds = [entry["kind"] for entry in with_pool_messages(pool(), low, WELL, NOW)]

    assert "mail" not in without_mail
    assert "webhook" in without_mail
    assert kinds == ["points-restored"]


def test_what_was_sent_stays_on_record() -> None:
    outbox = from_status(with_pool_messages(pool(), WELL, LOW, NOW))
    for due in box.due(outbox, NOW):
        outbox = box.mark_sent(outbox, due, NOW)
    after = with_pool_messages(pool(), {**LOW, "outbox": to_status(outbox)}, WELL, NOW)

    assert [entry["kind"] for entry in after] == ["points-low", "points-restored"]
    assert after[0] == to_status(outbox)[0]


def test_message_that_had_to_be_given_up_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    waiting = [new_entry(f"other-{number}", "delivery", {}, NOW, [Channel.MAIL]) for number in range(MAX_OUTBOX - 1)]
    with caplog.at_level(logging.WARNING):
        with_pool_messages(pool(), {**WELL, "outbox": to_status(tuple(waiting))}, LOW, NOW)

    assert "QuotaPool agency/pool: message other-0 was given up" in caplog.text


def test_pool_without_any_word_of_points_tells_nobody() -> None:
    manifest = builders.pool("agency", visitors=10)
    manifest["metadata"] |= {"uid": "uid", "resourceVersion": "1", "generation": 1}
    (entry,) = with_pool_messages(Pool.of(manifest), WELL, SHORT, NOW)

    assert "mail" not in entry
    assert "webhook" not in entry
