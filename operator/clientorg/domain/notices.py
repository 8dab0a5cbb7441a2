"""What a client's contact is to be told, from what status said before and what is now (FEATURES Z6, Z9, S4). Pure.

A notice is added in the same status write that records its cause, so that neither is there without the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from clientorg.api.clientorg import ClientStatus, PauseReason
from clientorg.api.notifications import Channel, DeliveryState, NotificationKind
from clientorg.domain import outbox as box
from clientorg.domain.client_facts import Facts
from clientorg.domain.client_status import is_first_ready
from clientorg.domain.decision import Decision
from clientorg.domain.lifecycle import Deactivation, Terms, done_reminders, purge_told
from clientorg.domain.messages import Entry, Notice, Outbox, new_entry
from clientorg.domain.points_notices import is_terminated
from clientorg.domain.records import deactivation_of
from clientorg.domain.timestamps import compact, rfc3339

Json = dict[str, Any]


def notices(
    before: Mapping[str, Any], facts: Facts, decision: Decision, now: datetime, *, terminated: bool = False
) -> list[Notice]:
    """What is new since the last status, oldest cause first. What follows from points is in `points_notices`.

    Args:
        terminated: the contract has ended with this pass, or earlier. There is no way back then, and the message
            `terminated` tells what `deactivated` would.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    return [
        *_thresholds(facts, decision),
        *_pauses(before, facts, stamp),
        *_deactivation(before, facts, decision, stamp, terminated=terminated or is_terminated(before)),
        *_delivery(before, facts),
        *_trial(before, facts),
    ]


def _thresholds(facts: Facts, decision: Decision) -> Iterable[Notice]:
    """The highest new threshold of a license; at 100 % the pause says it."""
    highest: dict[str, int] = {}
    periods: dict[str, str] = {}
    for crossing in decision.new_crossings:
        highest[crossing.license] = max(crossing.percent, highest.get(crossing.license, 0))
        periods[crossing.license] = crossing.period
    for license, percent in sorted(highest.items()):
        if percent >= 100:
            continue
        params = {
            "license": license,
            "percent": percent,
            "used": facts.used[license],
            "granted": facts.holder.held.get(license, 0),
        }
        yield Notice(f"threshold-{license}-{periods[license]}-{percent}", NotificationKind.THRESHOLD, params)


def _pauses(before: Mapping[str, Any], facts: Facts, stamp: str) -> Iterable[Notice]:
    if facts.deactivation is not None:
        return
    was = {PauseReason(reason) for reason in before.get("pauseReasons") or ()}
    for reason in facts.pause_reasons:
        if reason not in was and not before.get("deactivation"):
            yield Notice(f"paused-{reason.value}-{stamp}", NotificationKind.PAUSED, {"reason": reason.value})
    if was and not facts.pause_reasons:
        # The one reason whose end has words of its own.
        of_points = {"reason": PauseReason.NEGATIVE_BALANCE.value} if was == {PauseReason.NEGATIVE_BALANCE} else {}
        yield Notice(f"resumed-{stamp}", NotificationKind.RESUMED, of_points)


def _deactivation(
    before: Mapping[str, Any], facts: Facts, decision: Decision, stamp: str, *, terminated: bool
) -> Iterable[Notice]:
    old, new = deactivation_of(before), facts.deactivation
    if new is None:
        if old is not None and old.purged is None:
            # One that waits for licenses is not active again yet; it is told that it runs when it does.
            if facts.waiting is None:
                yield Notice(f"reactivated-{stamp}", NotificationKind.REACTIVATED, {})
            else:
                shares = ",".join(
                    f"{name}={facts.holder.held.get(name, 0)}/{want}" for name, want in sorted(facts.wanted.items())
                )
                yield Notice(f"waiting-{stamp}", NotificationKind.WAITING, {"licenses": shares})
        return
    ended = {"terminated": "true"} if terminated else {}
    if old is None and not terminated:
        yield Notice(f"deactivated-{stamp}", NotificationKind.DEACTIVATED, {"purgeAfter": new.purge_after})
    if decision.reminder is not None and new.purge_started is None:
        params = {"days": decision.reminder, "purgeAfter": decision.purge_told, **ended}
        yield Notice(reminder_key(new, decision.reminder), NotificationKind.REMINDER, params)
    if new.purged is not None and (old is None or old.purged is None):
        yield Notice("purged", NotificationKind.PURGED, {})


def reminder_key(record: Deactivation, days: int) -> str:
    """Key of a reminder: of this deactivation, this announced date, so many days before it."""
    return f"reminder-{record.since.strftime('%Y%m%dT%H%M%SZ')}-{record.purge_after.strftime('%Y%m%d')}-{days}"


def as_of(entry: Entry, record: Deactivation | None, now: datetime, terms: Terms, *, terminated: bool = False) -> Entry:
    """The message as it is true when it is delivered now.

    A last reminder that comes late moves the purge it tells, and nobody is offered to be reactivated whose contract has
    ended meanwhile.
    """
    if terminated and entry.kind in _OF_A_PURGE:
        entry = replace(entry, params={**entry.params, "terminated": "true"})
    if entry.kind != NotificationKind.REMINDER or record is None or record.purge_started is not None:
        return entry
    purge_after = purge_told(record, int(entry.params.get("days", "0")), now, terms)
    return replace(entry, params={**entry.params, "purgeAfter": rfc3339(purge_after)})


def delivered_reminders(outbox: Outbox, record: Deactivation | None) -> dict[int, datetime]:
    """Reminders of the announced date that were delivered: days to when.

    One that was refused for good was not: nothing is purged unannounced, and the condition NotificationFailing asks
    for a better address. Where the plan has no channel, Events and status are the notice.
    """
    if record is None:
        return {}
    done: dict[int, datetime] = {}
    for entry in outbox:
        is_delivered = all(item.state is DeliveryState.SENT for item in entry.deliveries.values())
        if entry.kind != NotificationKind.REMINDER or not is_delivered:
            continue
        days = int(entry.params.get("days", "0"))
        if entry.key == reminder_key(record, days):
            done[days] = max([entry.created, *(item.sent for item in entry.deliveries.values() if item.sent)])
    return done


def without_outdated(
    outbox: Outbox, record: Deactivation | None, reminder: int | None, trial_ends: datetime | None = None
) -> Outbox:
    """The outbox without waiting messages of a coming purge, or of the end of a trial, that are not true any more.

    The client is active again, the date has moved, a later one is due, or something was bought.

    Args:
        reminder: days of the one that is due now, if any.
        trial_ends: when the trial ends that ends soon; None where none does.
    """

    def is_current(entry: Entry) -> bool:
        if entry.kind == NotificationKind.TRIAL_ENDING:
            return record is None and trial_ends is not None and entry.key == trial_key(trial_ends)
        return entry.kind not in _OF_A_PURGE or _is_current(entry, record, reminder)

    return box.keep_current(outbox, is_current)


_OF_A_PURGE = (NotificationKind.DEACTIVATED, NotificationKind.REMINDER)


def _is_current(entry: Entry, record: Deactivation | None, reminder: int | None) -> bool:
    if record is None or record.purge_started is not None:
        return False
    if entry.kind == NotificationKind.DEACTIVATED:
        return True
    days = int(entry.params.get("days", "0"))
    # With none due, only one that was delivered before and is sent again: a clock that went back makes others untimely.
    is_asked_for = days == reminder if reminder is not None else days in done_reminders(record)
    return is_asked_for and entry.key == reminder_key(record, days)


def _delivery(before: Mapping[str, Any], facts: Facts) -> Iterable[Notice]:
    """The workspace stands for the first time (FEATURES S4)."""
    if is_first_ready(facts, before):
        params = {"url": facts.url} if facts.url else {}
        yield Notice("delivery", NotificationKind.DELIVERY, params)


def _trial(before: Mapping[str, Any], facts: Facts) -> Iterable[Notice]:
    """The trial ends soon (FEATURES W5): told when it comes near, and again where its end was moved by some days."""
    if facts.trial_ends is None or facts.deactivation is not None or is_terminated(before) or facts.is_terminated:
        return
    key = trial_key(facts.trial_ends)
    told = [entry["key"] for entry in before.get("outbox") or () if entry["kind"] == NotificationKind.TRIAL_ENDING]
    was_near = set(_OF_AN_ENDING_TRIAL) <= set(before.get("standing") or ())
    if not was_near or (told and told[-1] != key):
        yield Notice(key, NotificationKind.TRIAL_ENDING, {"ends": facts.trial_ends})


def trial_key(ends: datetime) -> str:
    """Key of the message that a trial ends then."""
    return f"trial-ending-{compact(ends)}"


_OF_AN_ENDING_TRIAL = (ClientStatus.TRIAL, ClientStatus.EXPIRING_SOON)


def delivery_again(before: Mapping[str, Any], facts: Facts, outbox: Outbox, now: datetime) -> list[Notice]:
    """The delivery notice anew, on demand (FEATURES S4), where others have taken its place in the outbox."""
    is_listed = any(entry.kind == NotificationKind.DELIVERY for entry in outbox)
    if is_listed or facts.is_purged or not (before.get("workspace") or {}).get("readyTime"):
        return []
    return [Notice(f"delivery-{compact(now)}", NotificationKind.DELIVERY, {"url": facts.url} if facts.url else {})]


def add_all(
    outbox: Outbox, new: Iterable[Notice], now: datetime, channels: Collection[Channel]
) -> tuple[Outbox, list[Entry]]:
    """The outbox with the notices, and the messages that had to be given up for them."""
    given_up = []
    for notice in new:
        outbox, lost = box.add(outbox, new_entry(notice.key, notice.kind.value, notice.params, now, channels))
        if lost is not None:
            given_up.append(lost)
    return outbox, given_up


def failing_text(outbox: Outbox) -> str | None:
    """What could not be delivered, for NotificationFailing; empty when all is well, None when there is nothing."""
    if not any(entry.deliveries for entry in outbox):
        return None
    failing = box.failing(outbox)
    texts = [
        f"{due.entry.key} by {due.channel.value}: {due.entry.deliveries[due.channel].last_error}" for due in failing[:3]
    ]
    return "; ".join(texts) + (f"; and {len(failing) - 3} more" if failing[3:] else "")
