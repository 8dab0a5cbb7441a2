"""The outbox as rows, one for each message and channel, and where messages go (FEATURES S4). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clientorg.cli.dates import relative
from clientorg.cli.table import Cell, cells
from clientorg.cli.terminal import Color
from clientorg.cli.text import age, joined, number, plain
from clientorg.domain.messages import Delivery, Entry, Outbox
from clientorg.domain.timestamps import rfc3339

Json = dict[str, Any]

HEADER = ["KEY", "KIND", "AGE", "CHANNEL", "STATE", "TRIES FAILED", "NEXT TRY", "SENT", "LAST ERROR"]
_COLORS: dict[str, Color] = {"Sent": "green", "Pending": "yellow", "Failed": "red"}


def channels_of(plan: Json | None) -> tuple[str, ...] | None:
    """The ways that the plan's messages go; None when it could not be read."""
    if plan is None:
        return None
    terms = (plan.get("spec") or {}).get("notifications") or {}
    ways = (("mail", terms.get("fromAddress")), ("webhook", terms.get("webhook")))
    return tuple(name for name, is_set in ways if is_set)


def addressees(client: Json, ways: tuple[str, ...] | None) -> str:
    """`to yuki@acme.example by mail and to the agency's webhook`; empty when the plan sends nothing."""
    if ways is None:
        return "where the plan sends messages (it cannot be read)"
    email = plain((client["spec"].get("contact") or {}).get("email", "?"))
    texts = {"mail": f"to {email} by mail", "webhook": "to the agency's webhook"}
    return joined(texts[way] for way in ways)


def find(outbox: Outbox, wanted: str) -> Entry | None:
    """The message with that key, else the newest of that kind: as the operator takes the request."""
    by_key = next((entry for entry in outbox if entry.key == wanted), None)
    return by_key or next((entry for entry in reversed(outbox) if entry.kind == wanted), None)


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
