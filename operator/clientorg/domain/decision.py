"""What one pass decides for a client, from the facts alone (DESIGN rule 1). Pure; no I/O, no clock.

The order is the order of precedence: what is used, what is held, why it is paused, what becomes of a deactivated one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from clientorg.api.clientorg import PauseReason, WantedState
from clientorg.api.quotapool import UsePeriod
from clientorg.domain import lifecycle, usage
from clientorg.domain.allocation import Grant, Holder, adopt, reduce
from clientorg.domain.calendar import ALL_TIME, next_period_start, period_of, period_start
from clientorg.domain.lifecycle import Deactivation, Terms
from clientorg.domain.records import Crossing
from clientorg.domain.usage import Sample, Usage


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that a decision needs.

    Attributes:
        wanted: license to quantity, as the spec asks; also of a deactivated client.
        use_periods: license to the period its use is counted in, for the licenses of the pool.
        samples: what the sources report now.
        told: thresholds told before.
        deactivation: what is remembered.
        recent_purges: when purges of the same agency began.
    """

    now: datetime
    state: WantedState
    wanted: Mapping[str, int]
    holder: Holder
    grants: Sequence[Grant]
    usage: Usage
    samples: Sequence[Sample]
    use_periods: Mapping[str, UsePeriod]
    thresholds: Sequence[int]
    told: Sequence[Crossing]
    terms: Terms
    deactivation: Deactivation | None
    recent_purges: Sequence[datetime] = ()
    purges_per_hour: int = 10
    has_delivered: Mapping[int, datetime] = field(default_factory=dict)
    """Reminders by days, and when they were delivered."""
    is_overdrawn: bool = False
    """The balance has been below zero for longer than the plan tolerates."""
    is_terminated: bool = False
    """The contract has ended; what follows is as after a deactivation."""
    is_held: bool = False
    """Somebody with the right to do so has put a hold on it."""
    is_unpaid: bool = False
    """An invoice is overdue, and the plan pauses for that."""
    is_trial_over: bool = False
    """The trial is over, and the plan pauses for that."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be.

    Attributes:
        holder: licenses after adoption and reduction.
        kept_back: license to (wanted, kept) where more is used than wanted.
        crossings: thresholds reached in the running periods, told ones included.
        new_crossings: of those, the ones to tell now.
        exhausted: licenses of which nothing is left.
        reminder: days of the reminder to send now.
        purge_told: the purge that it tells.
        purge: delete everything now.
        is_braked: the purge waits, because the agency had as many as it may within the hour.
        awaits_notice: the purge waits for its last reminder, or for the notice after it.
        next_due: when the passing of time changes something; None when it does not.
    """

    holder: Holder
    kept_back: Mapping[str, tuple[int, int]]
    usage: Usage
    used: Mapping[str, int]
    crossings: tuple[Crossing, ...]
    new_crossings: tuple[Crossing, ...]
    exhausted: tuple[str, ...]
    pause_reasons: tuple[PauseReason, ...]
    deactivation: Deactivation | None
    reminder: int | None = None
    purge_told: datetime | None = None
    purge: bool = False
    is_braked: bool = False
    awaits_notice: bool = False
    next_due: datetime | None = None

    @property
    def is_deactivated(self) -> bool:
        """Whether the client is deactivated, or was purged."""
        return self.deactivation is not None

    @property
    def gate_closed(self) -> bool:
        """Whether nothing may run."""
        return bool(self.pause_reasons) or self.is_deactivated


def decide(situation: Situation) -> Decision:
    """What is to be, now."""
    record = _deactivation(situation)
    counted = _usage(situation)
    licenses = sorted(situation.wanted.keys() | situation.holder.held.keys())
    used = {name: value for name in licenses if (value := counted.used(name)) is not None}
    wanted = {} if record is not None else situation.wanted
    holder = adopt(situation.holder, situation.grants)
    reduction = reduce(holder.held, wanted, used if record is None or record.purged is None else {})
    holder = replace(holder, held=reduction.held)
    crossings, new = _crossings(situation, counted, holder, used if record is None else {})
    exhausted: tuple[str, ...] = ()
    if record is None and holder.last_grant > 0:  # before the first grant there is nothing to pause
        exhausted = tuple(
            name
            for name, quantity in situation.wanted.items()
            if usage.is_exhausted(used.get(name), holder.held.get(name, 0), quantity)
        )
    reasons: tuple[PauseReason, ...] = ()
    if record is None:
        reasons = lifecycle.pause_reasons(
            situation.state,
            exhausted,
            is_overdrawn=situation.is_overdrawn,
            is_held=situation.is_held,
            is_unpaid=situation.is_unpaid,
            is_trial_over=situation.is_trial_over,
        )
    decision = Decision(
        holder=holder,
        kept_back=reduction.kept_back if record is None else {},
        usage=counted,
        used=used,
        crossings=crossings,
        new_crossings=new,
        exhausted=exhausted,
        pause_reasons=reasons,
        deactivation=record,
        next_due=_next_due(situation, record),
    )
    return _end_of_grace(situation, decision)


def _deactivation(situation: Situation) -> Deactivation | None:
    """The record of the deactivation: begun, kept, or ended by a reactivation in time."""
    record, now, terms = situation.deactivation, situation.now, situation.terms
    if record is not None and (record.purged is not None or record.purge_started is not None):
        return record  # no way back
    if situation.state is not WantedState.DEACTIVATED and not situation.is_terminated:
        return None
    if record is None:
        return lifecycle.deactivate(now, terms)
    record = lifecycle.announce(record, terms)
    done = lifecycle.done_reminders(record)
    for days in sorted(situation.has_delivered, reverse=True):
        due, skipped = lifecycle.due_reminders(record, terms, now)
        if days not in done and due == days:
            record = lifecycle.remind(record, days, skipped, situation.has_delivered[days], terms)
    return record


def _usage(situation: Situation) -> Usage:
    now, zone = situation.now, situation.terms.time_zone
    names = situation.use_periods.keys()
    keys = {name: period_of(now, situation.use_periods[name], zone) for name in names}
    starts = {name: period_start(now, situation.use_periods[name], zone) for name in names}
    rolled = usage.roll(situation.usage, keys)
    known = [sample for sample in situation.samples if sample.license in situation.use_periods]
    return usage.ingest(rolled, known, starts)


def _crossings(
    situation: Situation, counted: Usage, holder: Holder, used: Mapping[str, int]
) -> tuple[tuple[Crossing, ...], tuple[Crossing, ...]]:
    """Thresholds of the running periods, and those that are new."""
    running = {name: period.key for name, period in counted.periods.items()}
    kept = [item for item in situation.told if running.get(item.license, item.period) == item.period]
    told = {item.key for item in kept}
    new = [
        Crossing(name, running.get(name, ALL_TIME), percent, situation.now)
        for name, value in used.items()
        if name in situation.wanted
        for percent in usage.crossed(value, holder.held.get(name, 0), situation.thresholds)
    ]
    new = [item for item in new if item.key not in told]
    return (*kept, *new), tuple(new)


def _end_of_grace(situation: Situation, decision: Decision) -> Decision:
    """Reminders, and the purge after them."""
    record, terms, now = decision.deactivation, situation.terms, situation.now
    if record is None or record.purged is not None:
        return decision
    if record.purge_started is not None:
        return replace(decision, purge=True)
    due, _ = lifecycle.due_reminders(record, terms, now)
    if due is not None:
        decision = replace(decision, reminder=due, purge_told=lifecycle.purge_told(record, due, now, terms))
    if not lifecycle.may_purge(record, terms, now):
        return replace(decision, awaits_notice=now >= record.purge_after)
    braked_until = lifecycle.brake_ends(situation.recent_purges, now, situation.purges_per_hour)
    if braked_until is not None:
        return replace(decision, is_braked=True, next_due=braked_until)
    return replace(decision, purge=True, deactivation=replace(record, purge_started=now))


def _next_due(situation: Situation, record: Deactivation | None) -> datetime | None:
    if record is not None and record.purged is not None:
        return None
    times = [
        next_period_start(situation.now, period, situation.terms.time_zone)
        for name, period in situation.use_periods.items()
        if name in situation.wanted
    ]
    if record is not None:
        times.append(lifecycle.next_due(record, situation.terms, situation.now))
    return min((time for time in times if time is not None), default=None)
