"""A change of what a client is to be: paused, active, deactivated; and what refuses it (FEATURES Z6-Z9). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from clientorg.cli.dates import Calendar
from clientorg.cli.options import PROGRAM
from clientorg.cli.rows import ClientRow, client_row
from clientorg.cli.running import Running
from clientorg.cli.staying import stay_lines
from clientorg.domain import lifecycle
from clientorg.domain.lifecycle import Deactivation, Terms
from clientorg.domain.records import deactivation_of
from clientorg.domain.timestamps import timestamp
from clientorg.errors import InputError

Json = dict[str, Any]


class Action(StrEnum):
    """What is asked for; the value is the command's name."""

    PAUSE = "pause"
    RESUME = "resume"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"

    @property
    def done(self) -> str:
        """Past tense, for the line that reports it."""
        return f"{self.value}d"

    @property
    def wanted(self) -> str:
        """The spec.state that it asks for."""
        return {Action.PAUSE: "Paused", Action.DEACTIVATE: "Deactivated"}.get(self, "Active")


@dataclass(frozen=True)
class View:
    """One client and what was found about it.

    Attributes:
        plan: None: there is none, or no right to read it.
        pool: the same.
        terms: None where the plan's cannot be read.
        taken: license to what the clients named before this one draw from the same pool.
    """

    action: Action
    client: Json
    plan: Json | None
    pool: Json | None
    running: Running
    terms: Terms | None
    now: datetime
    calendar: Calendar = field(default_factory=Calendar)
    taken: Mapping[str, int] = field(default_factory=dict)

    @property
    def row(self) -> ClientRow:
        """The client, flat."""
        return client_row(self.client)

    @property
    def status(self) -> Json:
        """What the operator says."""
        return self.client.get("status") or {}

    @property
    def state(self) -> str:
        """The spec.state now."""
        return wanted_state(self.client)

    @property
    def is_unchanged(self) -> bool:
        """Whether the spec asks for it already."""
        return self.state == self.action.wanted

    @property
    def record(self) -> Deactivation | None:
        """The deactivation: that of status with the terms of today, or the one that would begin now."""
        record = deactivation_of(self.status)
        if self.terms is None or (record is not None and record.purge_started is not None):
            return record
        if record is not None:
            return lifecycle.announce(record, self.terms)
        return lifecycle.deactivate(self.now, self.terms) if self.action is Action.DEACTIVATE else None


def wanted_state(client: Json) -> str:
    """The spec.state, with the API's default."""
    return str((client.get("spec") or {}).get("state") or "Active")


def check(view: View) -> None:
    """Raise InputError for what cannot be, with what to do instead."""
    row, action = view.row, view.action
    where = f"{row.name} -n {row.namespace}"
    if view.client["metadata"].get("deletionTimestamp"):
        raise InputError(f"{row.name} is being deleted; there is no way back")
    executed = timestamp((view.status.get("termination") or {}).get("executedTime"))
    if executed is not None:
        raise InputError(
            f"the contract of {row.name} was terminated on {view.calendar.full(executed)}: nothing runs in it, and "
            f"there is no way back. To see what comes:  {PROGRAM} timeline {where}"
        )
    record = deactivation_of(view.status)
    if record is not None and action is not Action.DEACTIVATE:
        _check_not_gone(view, record)
    if action is Action.PAUSE and view.state == "Deactivated":
        raise InputError(
            f"{row.name} is deactivated, so nothing runs in it; to bring it back:  {PROGRAM} reactivate {where}"
        )
    if action is Action.RESUME and view.state == "Deactivated":
        raise InputError(f"{row.name} is deactivated, not paused; to bring it back:  {PROGRAM} reactivate {where}")
    if action is Action.REACTIVATE and view.state == "Paused":
        raise InputError(f"{row.name} is paused, not deactivated; to let it go on:  {PROGRAM} resume {where}")
    if action is Action.RESUME and view.state == "Active":
        stays = list(stay_lines(view.client, view.pool, view.calendar, view.now))
        if stays:
            raise InputError("\n  ".join([f"{row.name} is not paused by wish, so resume cannot end it", *stays]))


def _check_not_gone(view: View, record: Deactivation) -> None:
    name, where = view.row.name, f"-n {view.row.namespace}"
    if record.purged is not None:
        raise InputError(
            f"everything of {name} was deleted on {view.calendar.full(record.purged)} and cannot be brought back; only "
            "its record is there. To begin anew, delete the record and create the client again:\n"
            f"  {PROGRAM} delete {name} {where} --confirm {name}\n"
            f"  {PROGRAM} create {name} {where} …"
        )
    if record.purge_started is not None:
        raise InputError(
            f"the deletion of everything of {name} began on {view.calendar.full(record.purge_started)}; there is no "
            f"way back. To see how it goes:  {PROGRAM} describe {name} {where}"
        )
