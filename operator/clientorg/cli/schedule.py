"""What comes for a deactivated client and when, by the operator's own rules (FEATURES Z7-Z9, X4). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from clientorg.api.orgplan import OrgPlanSpec
from clientorg.domain import lifecycle
from clientorg.domain.lifecycle import Deactivation, Terms
from clientorg.domain.workspace import PlanTemplate

Json = dict[str, Any]


class ReminderState(StrEnum):
    """Where a reminder stands."""

    SENT = "sent"
    SKIPPED = "skipped"
    DUE = "due"
    COMING = "coming"


@dataclass(frozen=True)
class ReminderStep:
    """One reminder of the coming purge.

    Attributes:
        days: so many days before the purge.
        time: when it was delivered or passed over; when it is due, if it was not yet.
    """

    days: int
    time: datetime
    state: ReminderState


def terms_of(plan: Json) -> Terms:
    """The plan's terms of deactivation.

    Raises:
        PlanError: its time zone is none.
        pydantic.ValidationError: it is none that the API admits.
    """
    return PlanTemplate(OrgPlanSpec.model_validate(plan.get("spec") or {})).terms


def reminder_steps(record: Deactivation, terms: Terms, now: datetime) -> Iterator[ReminderStep]:
    """Every reminder of the announced purge, the first one first."""
    done = lifecycle.done_reminders(record)
    due, _ = lifecycle.due_reminders(record, terms, now)
    nearest = min([*done, *([due] if due is not None else [])], default=None)
    for days in sorted({*terms.reminder_days, *done}, reverse=True):
        if days in done:
            state = ReminderState.SKIPPED if done[days].skipped else ReminderState.SENT
            yield ReminderStep(days, done[days].time, state)
            continue
        state = ReminderState.COMING
        if days == due:
            state = ReminderState.DUE
        elif nearest is not None and days > nearest:  # after a later one no earlier one is sent
            state = ReminderState.SKIPPED
        yield ReminderStep(days, lifecycle.reminder_time(record, days, terms), state)


def expected_purge(record: Deactivation, terms: Terms, now: datetime) -> datetime | None:
    """When everything is deleted if every reminder is delivered when it is due; None after it began.

    Never before the announced time, and never before the notice after the last reminder has passed.
    """
    if record.purge_started is not None or record.purged is not None:
        return None
    last = lifecycle.last_reminder(record, terms)
    due = max(now, lifecycle.reminder_time(record, min(terms.reminder_days), terms))
    delivered = due if last is None else last.time
    return max(record.purge_after, lifecycle.notice_ends(delivered, terms))


def reminder_text(days: int) -> str:
    """`reminder 7 days before the deletion`."""
    return f"reminder {days} day{'' if days == 1 else 's'} before the deletion"
