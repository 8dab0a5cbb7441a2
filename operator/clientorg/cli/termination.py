"""The end of a contract: what is asked for, what refuses it, the settlement before it runs (FEATURES S11). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.cli.account import charges_before
from clientorg.cli.dates import Calendar
from clientorg.cli.planrules import PlanRules
from clientorg.cli.rows import ClientRow, client_row
from clientorg.cli.running import Running
from clientorg.cli.text import plain
from clientorg.domain import lifecycle
from clientorg.domain.billing import Charge
from clientorg.domain.ledger import settlement
from clientorg.domain.lifecycle import Deactivation, Terms
from clientorg.domain.points_record import points_record, status_points
from clientorg.domain.records import deactivation_of
from clientorg.domain.timestamps import rfc3339, timestamp
from clientorg.errors import InputError

Json = dict[str, Any]


class Mode(StrEnum):
    """What is asked for."""

    SCHEDULE = "schedule"
    NOW = "now"
    WITHDRAW = "withdraw"


@dataclass(frozen=True)
class Consent:
    """Who agreed to the end, and to what; `time` is None where it is not said, and is then the moment of writing."""

    by: str
    text: str
    time: datetime | None = None


@dataclass(frozen=True)
class View:
    """One client, the end that is asked for, and what was found about it.

    Attributes:
        at: when the contract is to end; None for now, and for a withdrawal.
        consent: None for a withdrawal only.
        terms: the plan's terms of deactivation; None where they cannot be read.
        rules: the plan's rules of charging; None where they cannot be read.
    """

    mode: Mode
    client: Json
    plan: Json | None
    pool: Json | None
    running: Running
    terms: Terms | None
    rules: PlanRules | None
    now: datetime
    at: datetime | None = None
    consent: Consent | None = None
    calendar: Calendar = field(default_factory=Calendar)

    @property
    def row(self) -> ClientRow:
        """The client, flat."""
        return client_row(self.client)

    @property
    def ends(self) -> datetime:
        """When the contract ends."""
        return self.at or self.now

    @property
    def before(self) -> Json | None:
        """The spec.termination that is there."""
        found: Json | None = (self.client.get("spec") or {}).get("termination")
        return found

    @property
    def record(self) -> Deactivation | None:
        """The path to the purge: the one it is on already, or the one that begins with the termination."""
        record = deactivation_of(self.client.get("status") or {})
        if self.terms is None or (record is not None and record.purge_started is not None):
            return record
        return lifecycle.announce(record, self.terms) if record else lifecycle.deactivate(self.ends, self.terms)

    @property
    def is_unchanged(self) -> bool:
        """Whether the spec asks for it already."""
        before = self.before
        if self.mode is Mode.WITHDRAW or before is None:
            return self.mode is Mode.WITHDRAW and before is None
        wanted = wanted_termination(self)
        consent = dict(wanted["consent"])
        if self.consent is not None and self.consent.time is None:  # not said: what was written stays
            consent["acceptedTime"] = (before.get("consent") or {}).get("acceptedTime")
        same_time = timestamp(before.get("time")) == self.at and bool(before.get("immediate")) == (
            self.mode is Mode.NOW
        )
        return same_time and before.get("consent") == consent


def parse_moment(text: str, flag: str, time_zone: ZoneInfo | None) -> datetime:
    """A time, in UTC: with an offset as it is, without one in the plan's time zone; a date is its first moment.

    Args:
        time_zone: None where the plan cannot be read.

    Raises:
        InputError: it is none, does not exist in the time zone, or has no offset while the time zone is not known.
    """
    try:
        moment = datetime.fromisoformat(text.strip()).replace(microsecond=0)
    except ValueError:
        raise InputError(
            f"{flag}: {plain(text)!r} is not a time; write for example 2027-01-31, '2027-01-31 18:00' (in the plan's "
            "time zone) or 2027-01-31T09:00:00Z"
        ) from None
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if time_zone is None:
        raise InputError(
            f"{flag}: the time zone of the client's plan cannot be read; write the time with its offset, for example "
            "2027-01-31T09:00:00Z"
        )
    there = moment.replace(tzinfo=time_zone).astimezone(UTC)
    if there.astimezone(time_zone).replace(tzinfo=None) != moment:
        raise InputError(
            f"{flag}: {plain(text)!r} does not exist in {time_zone.key}, where clocks skip it; give another time, or "
            "one with its offset"
        )
    return there


def check(view: View) -> None:
    """Raise InputError for what cannot be, with what to do instead."""
    row, status = view.row, view.client.get("status") or {}
    if view.client["metadata"].get("deletionTimestamp"):
        raise InputError(f"{row.name} is being deleted; there is no contract to end")
    executed = timestamp((status.get("termination") or {}).get("executedTime"))
    if executed is not None:
        done = f"the contract of {row.name} was terminated on {view.calendar.full(executed)}"
        raise InputError(f"spec.termination: {done}, and that cannot be changed or withdrawn")
    if view.mode is Mode.SCHEDULE and view.ends <= view.now:
        raise InputError(
            f"spec.termination.time (--at): {view.calendar.full(view.ends)} is in the past; give a later time, or --now"
        )
    accepted = view.consent.time if view.consent is not None else None
    if accepted is not None and accepted > view.now:
        raise InputError(
            f"spec.termination.consent.acceptedTime (--accepted-time): {view.calendar.full(accepted)} is in the "
            "future; give the time at which it was agreed to"
        )


def wanted_termination(view: View) -> Json:
    """The spec.termination that is asked for."""
    if view.consent is None:
        raise ValueError("a withdrawal has no termination")
    consent = {
        "acceptedBy": view.consent.by,
        "acceptedTime": rfc3339(view.consent.time or view.now),
        "text": view.consent.text,
    }
    when: Json = {"time": rfc3339(view.at)} if view.at is not None else {"immediate": True}
    return {**when, "consent": consent}


def termination_patch(view: View) -> Json:
    """A merge patch of spec.termination, for that very version of the client only."""
    wanted: Json | None = None
    if view.mode is not Mode.WITHDRAW:
        wanted = {"time": None, "immediate": None, **wanted_termination(view)}
    metadata = {"resourceVersion": view.client["metadata"]["resourceVersion"]}
    return {"metadata": metadata, "spec": {"termination": wanted}}


@dataclass(frozen=True)
class Settlement:
    """How the points account is settled when the contract ends, if nothing changes before.

    Attributes:
        pending: what transactions that are not posted yet would change; not counted.
        charges: those that are due by then.
        left: balance after them; below zero it is made up from the pool, above it is consumed.
        pool_balance: points of the pool now; None where it cannot be read.
    """

    balance: int
    pending: int
    charges: tuple[Charge, ...]
    left: int
    source: str | None
    target: str | None
    amount: int
    pool_balance: int | None

    @property
    def from_pool(self) -> int:
        """Points that the pool makes up."""
        return max(0, -self.left)

    @property
    def short(self) -> int:
        """Points that the pool lacks for it."""
        return 0 if self.pool_balance is None else max(0, self.from_pool - max(0, self.pool_balance))


def settle(view: View) -> Settlement:
    """The settlement, by the operator's own rules (`domain.billing`, `domain.ledger.settlement`)."""
    points = points_record(view.client)
    balance, pending = (points.balance, points.pending) if points is not None else (0, 0)
    charges = tuple(charges_before(view.client, view.rules.billing if view.rules is not None else None, view.ends))
    left = balance - sum(charge.amount for charge in charges)
    source, target, amount = settlement(view.row.name, view.row.pool, left) or (None, None, 0)
    return Settlement(balance, pending, charges, left, source, target, amount, _pool_balance(view.pool))


def _pool_balance(pool: Json | None) -> int | None:
    return None if pool is None else int(status_points(pool).get("balance") or 0)
