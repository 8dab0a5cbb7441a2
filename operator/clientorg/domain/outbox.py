"""The outbox of a client or a pool: messages to be sent, each once, kept in its `status.outbox` (issue 4). Pure.

Written before anything is sent, so that a crash loses nothing. What was sent and not yet written down is sent again
after a crash, under the same `Due.delivery_id`: a mail server or receiver tells the repeat by it.

What has to be sent once for longer than the list remembers (`MAX_OUTBOX` messages) is the caller's to know: add on a
transition that status records, not because a state holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from clientorg.api.notifications import MAX_ERROR_LENGTH, MAX_OUTBOX, Channel, DeliveryState
from clientorg.domain.messages import Delivery, Due, Entry, Outbox
from clientorg.errors import InputError

FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(hours=6)
GIVE_UP_AFTER: Final = timedelta(days=7)
"""A mail server that is down over a long weekend loses no message."""
FAILING_ATTEMPTS: Final = 3
SUPERSEDED: Final = "superseded: the outbox is full and newer messages wait"


def add(outbox: Outbox, entry: Entry) -> tuple[Outbox, Entry | None]:
    """The outbox with the message, and the one that was given up for it, if any.

    A key that is listed already is left as it is, sent or not. In a full outbox the oldest finished message makes
    room. One place is kept for such, so that at most 19 messages wait: a 20th marks the oldest of them Failed
    (superseded), because the newest says what is true now, and an old warning that could not be delivered for as long
    as 19 others took to come is of least use. It stays listed until the next one needs the place, counts as failing,
    and is returned here for an Event: nothing is dropped silently.
    """
    if any(listed.key == entry.key for listed in outbox):
        return outbox, None
    given_up: Entry | None = None
    waiting = [listed for listed in outbox if not listed.is_finished]
    if len(waiting) >= MAX_OUTBOX - 1 and not entry.is_finished:
        given_up = _give_up(waiting[0])
        outbox = _put(outbox, given_up)
    if len(outbox) >= MAX_OUTBOX:
        leaves = next((listed for listed in outbox if listed.is_finished and listed is not given_up), given_up)
        if leaves is None:
            return outbox, None  # everything waits, and the new one is only for the record: no channel is on
        outbox = tuple(listed for listed in outbox if listed is not leaves)
    return (*outbox, entry), given_up


def _give_up(entry: Entry) -> Entry:
    failed = {
        channel: replace(delivery, state=DeliveryState.FAILED, next_attempt=None, last_error=SUPERSEDED)
        if delivery.is_pending
        else delivery
        for channel, delivery in entry.deliveries.items()
    }
    return replace(entry, deliveries=failed)


def due(outbox: Outbox, now: datetime) -> tuple[Due, ...]:
    """What is to be sent now, oldest first."""
    return tuple(
        Due(entry, channel)
        for entry in outbox
        for channel, delivery in entry.deliveries.items()
        if delivery.is_pending and _attempt_time(delivery, now) <= now
    )


def next_due(outbox: Outbox, now: datetime) -> datetime | None:
    """When something is to be sent next, not before now; None when nothing waits."""
    times = [
        _attempt_time(delivery, now)
        for entry in outbox
        for delivery in entry.deliveries.values()
        if delivery.is_pending
    ]
    return max(min(times), now) if times else None


def _attempt_time(delivery: Delivery, now: datetime) -> datetime:
    """When it is tried next. A wait longer than the longest was set by a clock that has been put back since."""
    if delivery.next_attempt is None or delivery.next_attempt > now + LONGEST_RETRY:
        return now
    return delivery.next_attempt


def mark_sent(outbox: Outbox, sent: Due, now: datetime) -> Outbox:
    """The server has taken the message.

    An outcome for what is not listed any more, or was asked to be sent anew meanwhile, changes nothing.
    """

    def mark(delivery: Delivery) -> Delivery:
        time = now.astimezone(UTC).replace(microsecond=0)
        return replace(delivery, state=DeliveryState.SENT, next_attempt=None, last_error="", sent=time)

    return _update(outbox, sent, mark)


def mark_failed(outbox: Outbox, failed: Due, error: str, *, permanent: bool, now: datetime) -> Outbox:
    """A try failed: pending with a longer wait each time, or given up when it cannot help to try again.

    Waits double from 1 minute to 6 hours. A passing fault is given up after tries that span 7 days; they are counted
    and not measured, so that neither a stepped clock nor the operator's own downtime uses them up.
    """

    def mark(delivery: Delivery) -> Delivery:
        if not delivery.is_pending:
            return delivery  # superseded or sent while this try was under way
        attempts, text = delivery.attempts + 1, _short(error)
        if not permanent and _span(attempts) >= GIVE_UP_AFTER:
            text = _short(f"given up after {attempts} tries: {error}")
        elif not permanent:
            wait = (now + _wait(attempts)).astimezone(UTC).replace(microsecond=0)
            return replace(delivery, attempts=attempts, next_attempt=wait, last_error=text)
        return replace(delivery, state=DeliveryState.FAILED, attempts=attempts, next_attempt=None, last_error=text)

    return _update(outbox, failed, mark)


def _wait(attempts: int) -> timedelta:
    """The wait after so many failed tries."""
    return min(LONGEST_RETRY, FIRST_RETRY * (1 << min(attempts - 1, 16)))


def _span(attempts: int) -> timedelta:
    """The shortest time that so many tries take."""
    return sum((_wait(done) for done in range(1, attempts)), timedelta())


def resend(
    outbox: Outbox, now: datetime, *, key: str | None = None, kind: str | None = None, channels: Collection[Channel]
) -> Outbox:
    """Send one message again: that with the key, or the newest of the kind (S4).

    What was sent or given up is sent anew, under another `delivery_id`, so that no server takes it for a repeat; so it
    is on a channel that was off for it. What still waits is tried now.

    Raises:
        InputError: there is no such message.
    """
    found = [entry for entry in outbox if (entry.key == key if key is not None else entry.kind == kind)]
    if not found:
        listed = ", ".join(entry.key for entry in outbox) or "nothing"
        raise InputError(f"no message {key or kind!r} in the outbox, which holds {listed}")
    entry = found[-1]
    deliveries = dict(entry.deliveries)
    for channel in Channel:
        if channel in channels:
            before = deliveries.get(channel)
            resends = 0 if before is None else before.resends + (not before.is_pending)
            deliveries[channel] = Delivery(next_attempt=now.astimezone(UTC).replace(microsecond=0), resends=resends)
    return _put(outbox, replace(entry, deliveries=deliveries))


def switch_off(outbox: Outbox, channel: Channel) -> Outbox:
    """The plan has no such channel any more: what waits for it is not sent. What was sent stays on record."""

    def without(entry: Entry) -> Entry:
        delivery = entry.deliveries.get(channel)
        if delivery is None or not delivery.is_pending:
            return entry
        return replace(entry, deliveries={other: item for other, item in entry.deliveries.items() if other != channel})

    return tuple(without(entry) for entry in outbox)


def keep_current(outbox: Outbox, is_current: Callable[[Entry], bool]) -> Outbox:
    """The outbox without waiting messages that are not true any more.

    Whoever got them now, when the mail server is back, would be told what is not so. What was sent or refused stays on
    record.
    """
    kept = []
    for entry in outbox:
        if is_current(entry):
            kept.append(entry)
            continue
        ended = {channel: item for channel, item in entry.deliveries.items() if not item.is_pending}
        if ended or entry.is_finished:
            kept.append(replace(entry, deliveries=ended))
    return tuple(kept)


def failing(outbox: Outbox) -> tuple[Due, ...]:
    """What failed for good, or three times and more. `NotificationFailing` says so until it is sent."""
    return tuple(
        Due(entry, channel)
        for entry in outbox
        for channel, delivery in entry.deliveries.items()
        if delivery.state is DeliveryState.FAILED or (delivery.is_pending and delivery.attempts >= FAILING_ATTEMPTS)
    )


def is_failing(outbox: Outbox) -> bool:
    """Whether the condition NotificationFailing holds."""
    return bool(failing(outbox))


def _put(outbox: Outbox, entry: Entry) -> Outbox:
    return tuple(entry if listed.key == entry.key else listed for listed in outbox)


def _update(outbox: Outbox, due: Due, change: Callable[[Delivery], Delivery]) -> Outbox:
    for entry in outbox:
        delivery = entry.deliveries.get(due.channel)
        if entry.key == due.entry.key and delivery is not None and delivery.resends == due.resends:
            return _put(outbox, replace(entry, deliveries={**entry.deliveries, due.channel: change(delivery)}))
    return outbox


def _short(error: str) -> str:
    """One short line; a server's words may hold escape sequences that a terminal would obey."""
    line = " ".join("".join(char if char.isprintable() else " " for char in error).split())
    return line if len(line) <= MAX_ERROR_LENGTH else line[: MAX_ERROR_LENGTH - 1] + "…"
