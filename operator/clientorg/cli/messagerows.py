"""The outbox as rows: one for each message and channel (FEATURES S4). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clientorg.cli.dates import relative, rfc3339
from clientorg.cli.table import Cell, cells
from clientorg.cli.terminal import Color
from clientorg.cli.text import age, number
from clientorg.domain.messages import Delivery, Entry

Json = dict[str, Any]

HEADER = ["KEY", "KIND", "AGE", "CHANNEL", "STATE", "TRIES FAILED", "NEXT TRY", "SENT", "LAST ERROR"]
_COLORS: dict[str, Color] = {"Sent": "green", "Pending": "yellow", "Failed": "red"}


def message_cells(entry: Entry, now: datetime) -> Iterator[list[Cell]]:
    """The rows of one message, under HEADER; one that goes nowhere has a row too."""
    front = (entry.key, entry.kind, age(entry.created, now))
    if not entry.deliveries:
        yield cells(*front, "-", "-", Cell("-", right=True), "-", "-", "the plan had no channel")
    for channel, delivery in entry.deliveries.items():
        yield cells(
            *front,
            channel.value,
            Cell(delivery.state.value, _COLORS.get(delivery.state.value)),
            Cell(number(delivery.attempts), right=True),
            _next(delivery, now),
            "-" if delivery.sent is None else relative(delivery.sent, now),
            delivery.last_error or "-",
        )


def _next(delivery: Delivery, now: datetime) -> str:
    return relative(max(now, delivery.next_attempt or now), now) if delivery.is_pending else "-"


def document(entry: Entry) -> Json:
    """For -o json."""
    deliveries = {}
    for channel, delivery in entry.deliveries.items():
        item: Json = {"state": delivery.state.value, "attempts": delivery.attempts, "resends": delivery.resends}
        if delivery.next_attempt is not None:
            item["nextAttempt"] = rfc3339(delivery.next_attempt)
        if delivery.sent is not None:
            item["sent"] = rfc3339(delivery.sent)
        if delivery.last_error:
            item["lastError"] = delivery.last_error
        deliveries[channel.value] = item
    return {
        "key": entry.key,
        "kind": entry.kind,
        "created": rfc3339(entry.created),
        "params": dict(entry.params),
        "deliveries": deliveries,
    }
