"""Messages: which one is meant, where it goes, and when it counts as sent (FEATURES S4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clientorg.cli.exits import NotReachedError
from clientorg.cli.messagerows import HEADER, addressees, channels_of, document, find, message_cells
from clientorg.cli.notifywait import NotSentError, how_it_stands, is_sent
from clientorg.domain.messages import from_status
from tests.unit.cli_builders import client

Json = dict[str, Any]

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
SENT: Json = {"state": "Sent", "attempts": 0, "resends": 0, "sent": "2026-11-25T08:00:00Z"}
PENDING: Json = {"state": "Pending", "attempts": 0, "resends": 0}
TRIED: Json = PENDING | {"attempts": 2, "nextAttempt": "2026-11-25T09:02:00Z", "lastError": "does not answer"}
FAILED: Json = {"state": "Failed", "attempts": 1, "resends": 0, "lastError": "no such user"}


def message(key: str, kind: str = "reminder", **ways: Json) -> Json:
    """A message in status.outbox, an hour old."""
    return {"key": key, "kind": kind, "params": {}, "created": "2026-11-25T08:00:00Z", **ways}


OUTBOX = from_status(
    [message("delivery", "delivery"), message("reminder-7"), message("reminder-1"), message("purged", "purged")]
)


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        ("reminder-7", "reminder-7"),
        ("reminder", "reminder-1"),
        ("delivery", "delivery"),
        ("purged", "purged"),
        ("birthday", None),
        ("", None),
    ],
)
def test_a_message_is_meant_by_its_key_or_is_the_newest_of_its_kind(wanted: str, key: str | None) -> None:
    entry = find(OUTBOX, wanted)
    assert (entry and entry.key) == key


@pytest.mark.parametrize(
    ("plan", "ways", "told"),
    [
        (None, None, "where the plan sends messages (it cannot be read)"),
        ({}, (), ""),
        ({"spec": {"notifications": {"senderName": "Sakura"}}}, (), ""),
        ({"spec": {"notifications": {"fromAddress": "a@b.example"}}}, ("mail",), "to yuki@acme.example by mail"),
        (
            {"spec": {"notifications": {"fromAddress": "a@b.example", "webhook": {"url": "https://b.example"}}}},
            ("mail", "webhook"),
            "to yuki@acme.example by mail and to the agency's webhook",
        ),
    ],
)
def test_the_plan_says_where_messages_go(plan: Json | None, ways: tuple[str, ...] | None, told: str) -> None:
    assert channels_of(plan) == ways
    assert addressees(client(), ways) == told


def test_a_row_for_each_channel() -> None:
    (entry,) = from_status([message("reminder-7", mail=SENT, webhook=TRIED)])
    rows = [[cell.text for cell in row] for row in message_cells(entry, NOW)]
    assert rows == [
        ["reminder-7", "reminder", "60m", "mail", "Sent", "0", "-", "60m ago", "-"],
        ["reminder-7", "reminder", "60m", "webhook", "Pending", "2", "in 2m", "-", "does not answer"],
    ]
    assert all(len(row) == len(HEADER) for row in rows)


def test_a_message_that_went_nowhere_has_a_row_too() -> None:
    (row,) = message_cells(OUTBOX[0], NOW)
    assert row[-1].text == "the plan had no channel"
    assert len(row) == len(HEADER)


def test_a_try_that_is_overdue_is_due_now() -> None:
    (entry,) = from_status([message("reminder-7", mail=TRIED)])
    (row,) = message_cells(entry, NOW + timedelta(hours=1))
    assert row[6].text == "now"


def test_as_data() -> None:
    (entry,) = from_status([message("reminder-7", mail=TRIED)])
    assert document(entry) == {
        "key": "reminder-7",
        "kind": "reminder",
        "created": "2026-11-25T08:00:00Z",
        "params": {},
        "deliveries": {
            "mail": {
                "state": "Pending",
                "attempts": 2,
                "resends": 0,
                "nextAttempt": "2026-11-25T09:02:00Z",
                "lastError": "does not answer",
            }
        },
    }


def answered(*outbox: Json, stamp: str = "now") -> Json:
    """A client whose operator has answered a request."""
    return client(status={"lastHandledResend": stamp, "outbox": list(outbox)})


@pytest.mark.parametrize(
    ("item", "sent"),
    [
        pytest.param(answered(message("m", mail=SENT), stamp="before"), False, id="not answered yet"),
        pytest.param(client(), False, id="nothing is known yet"),
        pytest.param(answered(message("m", mail=PENDING)), False, id="under way"),
        pytest.param(answered(message("m", mail=TRIED)), False, id="tried in vain, and tried again"),
        pytest.param(answered(message("m", mail=SENT)), True, id="sent"),
        pytest.param(
            answered(message("m", mail=SENT, webhook=FAILED)), True, id="failed where the plan has no channel"
        ),
    ],
)
def test_sent_when_the_operator_has_answered_and_the_mail_is_out(item: Json, sent: bool) -> None:
    assert is_sent("acme", "now", "m", ("mail",), item) is sent


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        (None, NotReachedError, "acme was deleted"),
        (answered(), NotSentError, "not in the outbox any more"),
        (answered(message("m", mail=FAILED)), NotSentError, "by mail: no such user"),
    ],
)
def test_what_cannot_be_sent_is_not_waited_for(item: Json | None, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        is_sent("acme", "now", "m", None, item)


def test_while_it_waits_the_last_error_is_shown() -> None:
    assert how_it_stands("m", answered(message("m", mail=TRIED))) == "does not answer"
    assert "does it run?" in how_it_stands("m", None)
