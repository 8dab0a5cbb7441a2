"""What happened to a client and what will happen when, as one list (FEATURES Z6-Z9). Pure.

Only what is written down somewhere is told: in status, in conditions, in the outbox, in Events (which the API server
keeps for an hour by default), and what the operator's own rules say is coming.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from clientorg.cli.dates import Calendar, next_period, rfc3339
from clientorg.cli.rows import client_row
from clientorg.cli.schedule import ReminderState, expected_purge, reminder_steps, reminder_text
from clientorg.cli.text import number, timestamp
from clientorg.domain import lifecycle
from clientorg.domain.lifecycle import Deactivation, Terms
from clientorg.domain.messages import Entry as Message
from clientorg.domain.messages import Outbox, from_status
from clientorg.domain.records import deactivation_of

Json = dict[str, Any]


class Source(StrEnum):
    """Where it is written."""

    STATUS = "status"
    CONDITION = "condition"
    OUTBOX = "outbox"
    EVENT = "event"
    COMING = "coming"


@dataclass(frozen=True)
class Entry:
    """One thing, past or to come.

    Attributes:
        is_coming: it has not happened yet, also where its time has come. Not told from the time: the clocks of the
            API server and of the operator differ.
    """

    time: datetime
    source: Source
    what: str
    detail: str = ""
    is_coming: bool = False

    def when(self, now: datetime) -> str:
        """`past`, `due` or `future`."""
        return "past" if not self.is_coming else "future" if self.time > now else "due"

    def document(self, now: datetime) -> Json:
        """For -o json."""
        return {
            "time": rfc3339(self.time),
            "when": self.when(now),
            "source": self.source.value,
            "what": self.what,
            "detail": self.detail,
        }


def timeline(
    client: Json,
    pool: Json | None,
    terms: Terms | None,
    events: Iterable[Json],
    calendar: Calendar,
    now: datetime,
) -> list[Entry]:
    """Everything, the oldest first; what is due now stands between the past and what is to come."""
    status = client.get("status") or {}
    messages = from_status(status.get("outbox") or ())
    found = [
        *_past(client),
        *_conditions(status),
        *_messages(messages),
        *_deactivation(status, terms, now),
        *_periods(client, pool, calendar, now),
    ]
    known = {(entry.what, entry.time.replace(microsecond=0)) for entry in found}
    told = [entry for entry in _events(events) if (entry.what, entry.time.replace(microsecond=0)) not in known]
    return sorted([*found, *told], key=lambda entry: (entry.is_coming, entry.time))


def _past(client: Json) -> Iterator[Entry]:
    row, status = client_row(client), client.get("status") or {}
    if row.created is not None:
        yield Entry(row.created, Source.STATUS, "Created", row.display_name)
    if row.waiting_since is not None:
        detail = f"position {row.queue_position} in pool {row.pool}"
        yield Entry(row.waiting_since, Source.STATUS, "WaitsForLicenses", detail)
    for entry in status.get("thresholds") or ():
        moment = timestamp(entry.get("time"))
        if moment is not None:
            detail = f"{entry['percent']} % of {entry['license']} are used in period {entry['period']}"
            yield Entry(moment, Source.STATUS, "ThresholdReached", detail)
    deleting = timestamp(client["metadata"].get("deletionTimestamp"))
    if deleting is not None:
        yield Entry(deleting, Source.STATUS, "Deleting", "the deletion was asked for")


def _conditions(status: Json) -> Iterator[Entry]:
    """When each condition became what it is; that all is well is told of the main ones only."""
    first = min((entry.get("lastTransitionTime", "") for entry in status.get("conditions") or ()), default="")
    for condition in status.get("conditions") or ():
        moment = timestamp(condition.get("lastTransitionTime"))
        kind, is_true = condition.get("type", ""), condition.get("status") == "True"
        if moment is None or (kind in ("Reconciling", "Stalled") and not is_true):
            continue
        if kind in ("PauseBlocked", "NotificationFailing") and not is_true:
            continue
        if kind == "Paused" and not is_true:
            if condition["lastTransitionTime"] != first:  # not the first pass, which found nothing to resume
                yield Entry(moment, Source.CONDITION, "Resumed", "Paused=False")
            continue
        if kind == "LicensesAllocated" and is_true:
            yield Entry(moment, Source.CONDITION, "LicensesGranted", _held(status))
            continue
        text = f"{kind}={condition.get('status', '')}"
        message = f": {condition['message']}" if condition.get("message") else ""
        yield Entry(moment, Source.CONDITION, condition.get("reason", kind), text + message)


def _held(status: Json) -> str:
    return ", ".join(f"{number(entry.get('granted'))} {entry['name']}" for entry in status.get("licenses") or ())


def _messages(outbox: Outbox) -> Iterator[Entry]:
    for message in outbox:
        channels = ", ".join(channel.value for channel in message.deliveries) or "no channel"
        yield Entry(message.created, Source.OUTBOX, "MessageQueued", f"{message.key} ({channels})")
        yield from _deliveries(message)


def _deliveries(message: Message) -> Iterator[Entry]:
    for channel, delivery in message.deliveries.items():
        name = f"{message.key} by {channel.value}"
        if delivery.sent is not None:
            yield Entry(delivery.sent, Source.OUTBOX, "MessageSent", name)
        elif delivery.is_pending and delivery.next_attempt is not None:
            why = f", after {number(delivery.attempts)} tries: {delivery.last_error}" if delivery.attempts else ""
            yield Entry(delivery.next_attempt, Source.OUTBOX, "MessageTriedAgain", name + why, is_coming=True)
        elif not delivery.is_pending:
            yield Entry(message.created, Source.OUTBOX, "MessageFailed", f"{name}: {delivery.last_error}")


def _deactivation(status: Json, terms: Terms | None, now: datetime) -> Iterator[Entry]:
    record = deactivation_of(status)
    if record is None:
        return
    yield Entry(record.since, Source.STATUS, "Deactivated", "unused licenses returned to the pool; nothing runs")
    for reminder in record.reminders:
        what = "ReminderSkipped" if reminder.skipped else "ReminderDelivered"
        why = "; a later one was due already" if reminder.skipped else ""
        yield Entry(reminder.time, Source.STATUS, what, reminder_text(reminder.days) + why)
    if record.purge_started is not None:
        yield Entry(record.purge_started, Source.STATUS, "PurgeStarted", "no way back from here")
    if record.purged is not None:
        yield Entry(record.purged, Source.STATUS, "Purged", "everything was deleted; the record stays")
    elif record.purge_started is None:
        yield from _coming(record, terms, now)


def _coming(record: Deactivation, terms: Terms | None, now: datetime) -> Iterator[Entry]:
    if terms is None:
        yield Entry(
            record.purge_after, Source.COMING, "Purge", "everything is deleted, not before this", is_coming=True
        )
        return
    record = lifecycle.announce(record, terms)
    for step in reminder_steps(record, terms, now):
        if step.state is ReminderState.COMING:
            yield Entry(step.time, Source.COMING, "Reminder", reminder_text(step.days), is_coming=True)
        elif step.state is ReminderState.DUE:
            yield Entry(step.time, Source.COMING, "Reminder", f"{reminder_text(step.days)}, due now", is_coming=True)
    purge = expected_purge(record, terms, now)
    if purge is not None:
        held = "" if purge == record.purge_after else f"; announced for {rfc3339(record.purge_after)}"
        text = f"everything is deleted, for ever, if the reminders are delivered{held}"
        yield Entry(purge, Source.COMING, "Purge", text, is_coming=True)


def _periods(client: Json, pool: Json | None, calendar: Calendar, now: datetime) -> Iterator[Entry]:
    row = client_row(client)
    if row.state in ("Deactivated", "Purged", "Deleting"):
        return  # nothing is counted any more
    for item in row.licenses:
        anew = next_period(pool, item.name, calendar, now)
        if anew is not None and item.wanted is not None:
            yield Entry(anew, Source.COMING, "NextPeriod", f"the count of {item.name} begins anew", is_coming=True)


def _events(events: Iterable[Json]) -> Iterator[Entry]:
    for event in events:
        series = event.get("series") or {}
        times = (
            event.get("eventTime"),
            event.get("deprecatedFirstTimestamp"),
            event["metadata"].get("creationTimestamp"),
        )
        moment = next((found for found in map(timestamp, times) if found is not None), None)
        if moment is None:
            continue
        count = series.get("count") or event.get("deprecatedCount") or 1
        again = f" ({number(count)} times)" if count > 1 else ""
        yield Entry(moment, Source.EVENT, event.get("reason", ""), f"{event.get('note', '')}{again}")
