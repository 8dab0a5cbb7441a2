"""What a change of a client's state would do, in lines and as data, before anything is written (FEATURES X4). Pure.

The dates come from the rules that the operator follows (`clientorg.domain.lifecycle`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from clientorg.cli.dates import next_period, relative
from clientorg.cli.messagerows import addressees, channels_of
from clientorg.cli.options import PROGRAM
from clientorg.cli.poolrows import stock_rows
from clientorg.cli.rows import ClientRow
from clientorg.cli.running import running_lines
from clientorg.cli.schedule import agenda, expected_purge, reminder_steps
from clientorg.cli.statechange import Action, View
from clientorg.cli.staying import stay_lines
from clientorg.cli.table import Cell, cells, table
from clientorg.cli.text import joined, number, plain, plural
from clientorg.domain.allocation import reduce
from clientorg.domain.timestamps import rfc3339

Json = dict[str, Any]


@dataclass(frozen=True)
class Share:
    """One license of a deactivation or reactivation.

    Attributes:
        moved: what goes back to the pool now, or is drawn from it.
        available: what the pool has; None when that is not known.
    """

    name: str
    granted: int
    used: int
    moved: int
    available: int | None = None

    @property
    def kept(self) -> int:
        """What stays with the client, because it is used."""
        return self.granted - self.moved

    @property
    def short(self) -> int:
        """How many the pool lacks for a reactivation."""
        return 0 if self.available is None else max(0, self.moved - max(0, self.available))


def returns(row: ClientRow) -> list[Share]:
    """What a deactivation gives back: everything but what is used."""
    held = {item.name: item.granted or 0 for item in row.licenses if item.granted}
    used = {item.name: item.used for item in row.licenses if item.used}
    after = reduce(held, {}, used).held
    return [Share(name, count, used.get(name, 0), count - after.get(name, 0)) for name, count in held.items()]


def needs(view: View) -> list[Share]:
    """What a reactivation draws from the pool, and what the pool has of it then."""
    return [
        Share(
            item.name,
            item.granted or 0,
            item.used or 0,
            item.missing,
            _available(view, item.name),
        )
        for item in view.row.licenses
        if item.wanted is not None
    ]


def _available(view: View, license_name: str) -> int | None:
    """What the pool has left. The total is the spec's: the status may not have caught up with a pool just raised."""
    if view.pool is None:
        return None
    row = next((row for row in stock_rows(view.pool) if row.license == license_name), None)
    if row is None:
        return 0
    return None if row.available is None else row.available - view.taken.get(license_name, 0)


def in_turn(views: Iterable[View]) -> Iterator[View]:
    """Several reactivations one after the other: what the pool gives to one it does not have for the next."""
    taken: dict[str, Counter[str]] = {}
    for view in views:
        before = taken.setdefault(view.row.pool, Counter())
        view = replace(view, taken=dict(before))
        shares = needs(view)
        if view.action is Action.REACTIVATE and not view.is_unchanged and not any(share.short for share in shares):
            before.update({share.name: share.moved for share in shares})
        yield view


def lines(view: View, *, color: bool) -> Iterator[str]:
    """What would happen, for a person."""
    row = view.row
    title = f" ({plain(row.display_name)})" if row.display_name else ""
    why = f" ({', '.join(row.pause_reasons)})" if row.pause_reasons else ""
    yield (
        f"{row.name}{title} is {row.state or 'not seen by the operator yet'}{why}; "
        f"spec.state: {view.state} → {view.action.wanted}"
    )
    match view.action:
        case Action.PAUSE:
            yield from running_lines(view.running, color=color)
        case Action.RESUME:
            yield from _resume_lines(view)
        case Action.DEACTIVATE:
            yield from _deactivate_lines(view, color=color)
        case Action.REACTIVATE:
            yield from _reactivate_lines(view, color=color)


def _resume_lines(view: View) -> Iterator[str]:
    stays = list(stay_lines(view.client, view.pool, view.calendar, view.now))
    yield from stays or ("Everything that ran before the pause is started again.",)


def _deactivate_lines(view: View, *, color: bool) -> Iterator[str]:
    record = view.record
    if record is not None and record.purge_started is not None:
        began = f"began on {view.calendar.full(record.purge_started)}"
        yield f"The deletion of everything {began}; this only makes spec.state agree with it."
        return
    yield from running_lines(view.running, color=color)
    shares = returns(view.row)
    if shares:
        yield f"Licenses that return to pool {view.row.pool}:"
        body = [
            cells(share.name, *(Cell(number(n), right=True) for n in (share.granted, share.used, share.moved)))
            for share in shares
        ]
        yield from (f"  {text}" for text in table(["LICENSE", "GRANTED", "USED", "RETURNED"], body, color=color))
        for share in shares:
            if share.kept:
                anew = next_period(view.pool, share.name, view.calendar, view.now)
                until = (
                    "everything is deleted" if anew is None else f"the count begins anew, {view.calendar.full(anew)}"
                )
                yield f"  {number(share.kept)} {share.name} are used and stay with the client until {until}."
    yield from date_lines(view, color=color)


def date_lines(view: View, *, color: bool) -> Iterator[str]:
    """When reminders go out and when everything is deleted."""
    record, terms = view.record, view.terms
    if record is None or terms is None:
        yield f"(dates are not shown: the plan {view.row.plan!r} cannot be read; the operator does nothing without it)"
        return
    yield f"What comes ({view.calendar.name}):"
    body = [
        cells(view.calendar.text(time), "now" if state == "due" else relative(time, view.now), text, state)
        for time, text, state in agenda(record, terms, view.now)
    ]
    yield from (f"  {text}" for text in table(["", "", "", ""], body, color=color, headers=False))
    yield _addressees(view)
    yield (f"Until then everything comes back with:  {PROGRAM} reactivate {view.row.name} -n {view.row.namespace}")


def _addressees(view: View) -> str:
    ways = channels_of(view.plan)
    if ways == ():
        return f"Nobody is reminded by mail or webhook: the plan {view.row.plan} sends nothing; Events and status tell."
    return f"Reminders go {addressees(view.client, ways)}."


def _reactivate_lines(view: View, *, color: bool) -> Iterator[str]:
    shares = needs(view)
    if any(share.moved for share in shares):
        yield f"Licenses that are drawn from pool {view.row.pool}:"
        body = [
            cells(
                share.name,
                Cell(number(share.granted), right=True),
                Cell(number(share.moved), right=True),
                Cell(number(share.available), right=True),
                Cell(number(share.short) if share.available is not None else "-", "red" if share.short else None, True),
            )
            for share in shares
        ]
        header = ["LICENSE", "HELD", "NEEDED", "AVAILABLE", "SHORT"]
        yield from (f"  {text}" for text in table(header, body, color=color))
    yield from waits(view) or ("Everything that ran before comes back as it was; nothing is deleted any more.",)


def waits(view: View) -> list[str]:
    """Why a reactivation would wait, and what to do; nothing when the pool has it all, or could not be read."""
    short = [f"{number(share.short)} {share.name}" for share in needs(view) if share.short]
    if not short:
        return []
    queued = ((view.pool or {}).get("status") or {}).get("pendingClients") or 0
    behind = f", behind {plural(queued, 'client')} that wait{'s' if queued == 1 else ''} already" if queued else ""
    return [
        f"The pool lacks {joined(short)}: {view.row.name} waits for them (QuotaPending){behind}. Nothing runs until "
        "then, and nothing is deleted; a later deactivation counts from its own day.",
        f"  {PROGRAM} pool {view.row.pool} -n {view.row.namespace}   # who holds most; raise it, or move licenses",
    ]


def document(view: View) -> Json:
    """What would happen, as data."""
    row = view.row
    out: Json = {"name": row.name, "namespace": row.namespace, "from": view.state, "to": view.action.wanted}
    out |= {"state": row.state, "pauseReasons": list(row.pause_reasons)}
    if view.action in (Action.PAUSE, Action.DEACTIVATE):
        out["stops"] = view.running.document()
    if view.action is Action.DEACTIVATE:
        out["licenses"] = [
            {"name": s.name, "granted": s.granted, "used": s.used, "returned": s.moved, "kept": s.kept}
            for s in returns(row)
        ]
        out |= _dates_document(view)
    elif view.action is Action.REACTIVATE:
        out["licenses"] = [
            {"name": s.name, "held": s.granted, "needed": s.moved, "available": s.available, "short": s.short}
            for s in needs(view)
        ]
        out["waits"] = bool(waits(view))
    elif view.action is Action.RESUME:
        out["staysPausedFor"] = [reason for reason in row.pause_reasons if reason != "Requested"]
    return out


def _dates_document(view: View) -> Json:
    record, terms = view.record, view.terms
    if record is None or terms is None:
        return {}
    steps = reminder_steps(record, terms, view.now)
    purge = expected_purge(record, terms, view.now)
    return {
        "since": rfc3339(record.since),
        "reminders": [{"days": s.days, "time": rfc3339(s.time), "state": s.state.value} for s in steps],
        "purgeAfter": rfc3339(record.purge_after),
        "timeZone": view.calendar.name,
    } | ({"expectedPurge": rfc3339(purge)} if purge is not None else {})
