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

from clientorg.cli.dates import Calendar, next_period
from clientorg.cli.rows import client_row
from clientorg.cli.schedule import ReminderState, expected_purge, reminder_steps, reminder_text
from clientorg.cli.text import number
from clientorg.domain import lifecycle
from clientorg.domain.lifecycle import Deactivation, Terms
from clientorg.domain.messages import Delivery, Outbox, from_status
from clientorg.domain.records import deactivation_of
from clientorg.domain.timestamps import rfc3339, timestamp

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
    more: Iterable[Entry] = (),
) -> list[Entry]:
    """Everything, with `more`, the oldest first; what is due now stands between the past and what is to come."""
    status = client.get("status") or {}
    messages = from_status(status.get("outbox") or ())
    found = [
        *_past(client),
        *_conditions(status),
        *_messages(messages),
        *_deactivation(status, terms, now),
        *_periods(client, pool, calendar, now),
        *more,
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


_TOLD = {
    ("Ready", "True"): "Ready",
    ("Ready", "False"): "NotReady",
    ("Stalled", "True"): "Stalled",
    ("LicensesAllocated", "True"): "LicensesGranted",
    ("LicensesAllocated", "False"): "LicensesMissing",
    ("WorkspaceReady", "True"): "WorkspaceReady",
    ("WorkspaceReady", "False"): "WorkspaceNotReady",
    ("Paused", "True"): "Paused",
    ("Paused", "False"): "Resumed",
    ("PauseBlocked", "True"): "PauseBlocked",
    ("UsageReported", "False"): "UsageStale",
    ("NotificationFailing", "True"): "MessagesFail",
    ("ApprovalOnTarget", "False"): "ApprovalOverdue",
    ("UsersOverLimit", "True"): "TooManyUsers",
}
"""By type and status of a condition: what became true at its lastTransitionTime. Of the others it is no news."""


def _conditions(status: Json) -> Iterator[Entry]:
    """When each condition became what it is. Its reason may have changed since, without another time: that is `now`."""
    conditions = status.get("conditions") or ()
    first = min((entry.get("lastTransitionTime", "") for entry in conditions), default="")
    for condition in conditions:
        moment = timestamp(condition.get("lastTransitionTime"))
        what = _TOLD.get((condition.get("type", ""), condition.get("status", "")))
        if moment is None or what is None:
            continue
        if what == "Resumed" and condition["lastTransitionTime"] == first:
            continue  # the first pass, which found nothing to resume
        if what == "LicensesMissing" and condition.get("reason") == "Deactivated":
            continue  # given back
        now = ": ".join(text for text in (condition.get("reason"), condition.get("message")) if text)
        detail = _held(status) if what == "LicensesGranted" else f"now {now}"
        yield Entry(moment, Source.CONDITION, what, detail)


def _held(status: Json) -> str:
    return ", ".join(f"{number(entry.get('granted'))} {entry['name']}" for entry in status.get("licenses") or ())


def _messages(outbox: Outbox) -> Iterator[Entry]:
    for message in outbox:
        states = [_delivery_text(channel.value, delivery) for channel, delivery in message.deliveries.items()]
        ways = ", ".join(states) or "no channel is on"
        yield Entry(message.created, Source.OUTBOX, "Message", f"{message.key} ({ways})")
        for channel, delivery in message.deliveries.items():
            name = f"{message.key} by {channel.value}"
            if delivery.sent is not None:
                yield Entry(delivery.sent, Source.OUTBOX, "MessageSent", name)
            if delivery.is_pending:
                due = delivery.next_attempt or message.created
                yield Entry(due, Source.OUTBOX, "MessageDue", name, is_coming=True)


def _delivery_text(channel: str, delivery: Delivery) -> str:
    tries = f" (tries that failed: {number(delivery.attempts)})" if delivery.attempts else ""
    error = f": {delivery.last_error}" if delivery.last_error else ""
    return f"{channel} {delivery.state.value}{tries}{error}"


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
        detail = "everything is deleted, not before this"
        yield Entry(record.purge_after, Source.COMING, "Purge", detail, is_coming=True)
        return
    record = lifecycle.announce(record, terms)
    for step in reminder_steps(record, terms, now):
        if step.state in (ReminderState.COMING, ReminderState.DUE):
            yield Entry(step.time, Source.COMING, "Reminder", reminder_text(step.days), is_coming=True)
    purge = expected_purge(record, terms, now)
    if purge is None:
        return
    if purge != record.purge_after:
        detail = "the announced time; but not before the notice after the last reminder has passed"
        yield Entry(record.purge_after, Source.COMING, "GraceEnds", detail, is_coming=True)
    detail = "everything is deleted, for ever, if the reminders are delivered"
    yield Entry(purge, Source.COMING, "Purge", detail, is_coming=True)


def _periods(client: Json, pool: Json | None, calendar: Calendar, now: datetime) -> Iterator[Entry]:
    """When counts begin anew; of a deactivated client that is when the pool gets back what is used now."""
    row = client_row(client)
    if row.state in ("Purged", "Deleting"):
        return
    returns = row.deactivated_since is not None
    for item in row.licenses:
        anew = next_period(pool, item.name, calendar, now)
        if anew is None or not (item.granted if returns else item.wanted is not None):
            continue
        more = ", and what it still has returns to the pool" if returns else ""
        yield Entry(anew, Source.COMING, "NextPeriod", f"the count of {item.name} begins anew{more}", is_coming=True)


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
