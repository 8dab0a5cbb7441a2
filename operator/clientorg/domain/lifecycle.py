"""The life of a client: paused, deactivated, reminded, purged, reactivated (FEATURES Z6-Z9; DESIGN rules 5-8). Pure.

Nothing here remembers: what has to be remembered is the `Deactivation` record in status, which only ever moves an
announced purge later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from clientorg.api.clientorg import PauseReason, WantedState
from clientorg.domain.calendar import add_days, add_months

_HOUR = timedelta(hours=1)
_SAME_DATE = 3 * _HOUR
"""A purge that moves by no more is still the one that was told: a plan's new time zone is no reason for a mail."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The plan's terms for deactivation.

    Attributes:
        grace_months: calendar months from deactivation to purge.
        reminder_days: so many days before the purge a reminder is due; at least one.
        minimum_notice_days: from the delivery of the last reminder to the purge, at least.
    """

    grace_months: int
    reminder_days: tuple[int, ...]
    minimum_notice_days: int
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Reminder:
    """A reminder that was delivered, or passed over because a later one was due already.

    Attributes:
        told: the purge that it announced, or that its delivery brought about.
    """

    days: int
    time: datetime
    told: datetime
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Deactivation:
    """What is remembered of a deactivation.

    Attributes:
        since: when it was first seen.
        purge_after: the announced time; moves later, never earlier.
        reminders: those done with, in the order they were.
        purge_started: when deleting began, written before it does; from then on there is no way back.
        purged: when everything was deleted; the client is a tombstone from then on.
    """

    since: datetime
    purge_after: datetime
    reminders: tuple[Reminder, ...] = ()
    purge_started: datetime | None = None
    purged: datetime | None = None


def deactivate(now: datetime, terms: Terms) -> Deactivation:
    """A deactivation begins."""
    return Deactivation(now, add_months(now, terms.grace_months, terms.time_zone))


def announce(record: Deactivation, terms: Terms) -> Deactivation:
    """The purge as the terms have it now, but not earlier than announced: a plan edit cannot shorten a grace period."""
    purge_after = max(record.purge_after, add_months(record.since, terms.grace_months, terms.time_zone))
    return replace(record, purge_after=purge_after)


def reminder_time(record: Deactivation, days: int, terms: Terms) -> datetime:
    """When the reminder so many days before the purge is due."""
    return add_days(record.purge_after, -days, terms.time_zone)


def done_reminders(record: Deactivation) -> dict[int, Reminder]:
    """The reminders that count for the purge as announced now, by days.

    One that was sent before the date moved to later told another date, and is due again.
    """
    return {item.days: item for item in record.reminders if item.told >= record.purge_after - _SAME_DATE}


def _is_last(days: int, terms: Terms) -> bool:
    return days <= min(terms.reminder_days, default=days)


def last_reminder(record: Deactivation, terms: Terms) -> Reminder | None:
    """The delivered reminder after which there is none for the announced purge."""
    done = [item for item in done_reminders(record).values() if _is_last(item.days, terms) and not item.skipped]
    return max(done, key=lambda item: item.time, default=None)


def _pending_reminders(record: Deactivation, terms: Terms) -> list[int]:
    """Days of the reminders still to come, the nearest to the purge first. After a later one no earlier one is sent."""
    nearest = min(done_reminders(record), default=None)
    return sorted(days for days in set(terms.reminder_days) if nearest is None or days < nearest)


def due_reminders(record: Deactivation, terms: Terms, now: datetime) -> tuple[int | None, tuple[int, ...]]:
    """The reminder to send now, and those to pass over because it is the later one.

    After a long downtime several are due at once: the client gets one mail, not four.
    """
    due = [days for days in _pending_reminders(record, terms) if reminder_time(record, days, terms) <= now]
    if not due:
        return None, ()
    return due[0], tuple(due[1:])


def remind(record: Deactivation, days: int, skipped: Iterable[int], delivered: datetime, terms: Terms) -> Deactivation:
    """A reminder was delivered. One that came late moves the purge, so that the minimum notice holds."""
    purge_after = record.purge_after
    if _is_last(days, terms):
        purge_after = max(purge_after, notice_ends(delivered, terms))
    passed = [Reminder(other, delivered, purge_after, skipped=True) for other in sorted(skipped, reverse=True)]
    new = {item.days: item for item in (*record.reminders, *passed, Reminder(days, delivered, purge_after))}
    return replace(record, purge_after=purge_after, reminders=tuple(new.values()))


def purge_told(record: Deactivation, days: int, now: datetime, terms: Terms) -> datetime:
    """The purge that a reminder has to tell when it is delivered now: moved later, if that very delivery moves it."""
    if days in done_reminders(record):
        return record.purge_after  # somebody has it sent again
    return remind(record, days, (), now, terms).purge_after


def notice_ends(delivered: datetime, terms: Terms) -> datetime:
    """When the minimum notice after a reminder that is delivered then has passed."""
    return add_days(delivered, terms.minimum_notice_days, terms.time_zone)


def may_purge(record: Deactivation, terms: Terms, now: datetime) -> bool:
    """Whether everything may be deleted: after the grace period, the last reminder and the minimum notice."""
    if record.purged is not None or now < record.purge_after:
        return False
    reminder = last_reminder(record, terms)
    return reminder is not None and now >= notice_ends(reminder.time, terms)


def next_due(record: Deactivation, terms: Terms, now: datetime) -> datetime | None:
    """When something happens next by itself; None after the purge."""
    if record.purged is not None:
        return None
    times = [record.purge_after, *(reminder_time(record, days, terms) for days in _pending_reminders(record, terms))]
    if (reminder := last_reminder(record, terms)) is not None:
        times.append(notice_ends(reminder.time, terms))
    return min((time for time in times if time > now), default=None)


def brake_ends(purged_times: Collection[datetime], now: datetime, most_per_hour: int) -> datetime | None:
    """When the next purge of the agency may begin, if it had so many within the last hour; None: now.

    A wrong clock or plan edit must not wipe an agency before somebody notices (DESIGN rule 7).
    """
    recent = sorted(time for time in purged_times if now - _HOUR < time <= now)
    return recent[-most_per_hour] + _HOUR if len(recent) >= most_per_hour else None


def pause_reasons(
    wanted: WantedState,
    exhausted: Sequence[str],
    *,
    is_overdrawn: bool = False,
    is_held: bool = False,
    is_unpaid: bool = False,
    is_trial_over: bool = False,
) -> tuple[PauseReason, ...]:
    """Why the client is paused; empty when it is not."""
    reasons = []
    if wanted is WantedState.PAUSED:
        reasons.append(PauseReason.REQUESTED)
    if exhausted:
        reasons.append(PauseReason.QUOTA_EXHAUSTED)
    if is_overdrawn:
        reasons.append(PauseReason.NEGATIVE_BALANCE)
    if is_held:
        reasons.append(PauseReason.HOLD)
    if is_unpaid:
        reasons.append(PauseReason.PAYMENT_OVERDUE)
    if is_trial_over:
        reasons.append(PauseReason.TRIAL_EXPIRED)
    return tuple(reasons)
