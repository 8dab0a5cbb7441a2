"""What the end of a contract would do, in lines and as data, before anything is written (FEATURES S11, X4). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clientorg.cli.account import arithmetic
from clientorg.cli.dates import relative
from clientorg.cli.options import PROGRAM
from clientorg.cli.running import running_lines
from clientorg.cli.schedule import agenda
from clientorg.cli.statepreview import returns
from clientorg.cli.table import Cell, cells, table
from clientorg.cli.termination import Mode, Settlement, View, settle, wanted_termination
from clientorg.cli.text import joined, number, plain, signed
from clientorg.domain.timestamps import rfc3339, timestamp

Json = dict[str, Any]


def lines(view: View, *, color: bool) -> Iterator[str]:
    """What would happen, for a person."""
    row = view.row
    title = f" ({plain(row.display_name)})" if row.display_name else ""
    is_now = f"{row.name}{title} is {row.state or 'not seen by the operator yet'}"
    before = before_text(view)
    if view.mode is Mode.WITHDRAW:
        yield f"{is_now}; its termination {before} is withdrawn, and the contract goes on."
        return
    instead = f", and not {before}" if before else ""
    when = "now" if view.at is None else view.calendar.with_distance(view.at, view.now)
    yield f"{is_now}; its contract ends {when}{instead}"
    if view.consent is not None:
        accepted = view.calendar.full(view.consent.time or view.now)
        yield f"Consent of {plain(view.consent.by)}, {accepted}: {plain(view.consent.text)}"
    yield from settlement_lines(view, settle(view), color=color)
    yield from running_lines(view.running, color=color)
    returned = [f"{number(share.moved)} {share.name}" for share in returns(row) if share.moved]
    if returned:
        yield f"Licenses that return to pool {plain(row.pool)}: {joined(returned)}"
    yield from _date_lines(view, color=color)
    if view.mode is Mode.NOW:
        yield "There is no way back."
    else:
        where = f"{row.name} -n {row.namespace}"
        yield f"Until then it can be changed, or taken back:  {PROGRAM} terminate {where} --withdraw"


def before_text(view: View) -> str:
    """When the termination that is there already runs; empty where there is none."""
    if view.before is None:
        return ""
    time = timestamp(view.before.get("time"))
    return "now" if time is None else f"on {view.calendar.full(time)}"


def settlement_lines(view: View, found: Settlement, *, color: bool) -> Iterator[str]:
    """The balance, what is charged before, and what becomes of the rest."""
    if view.rules is None:
        yield f"(charges are not shown: the plan {view.row.plan!r} cannot be read)"
    yield "Points:"
    body = [
        cells("balance now", "", Cell(number(found.balance), right=True)),
        *(
            cells(
                f"charge {charge.period}, {view.calendar.full(charge.due)}",
                arithmetic(charge),
                Cell(signed(-charge.amount), right=True),
            )
            for charge in found.charges
        ),
        cells("left", "", Cell(number(found.left), "red" if found.left < 0 else None, right=True)),
    ]
    yield from (f"  {text}" for text in table(["", "", ""], body, color=color, headers=False))
    if found.pending:
        yield f"  (not counted: what is not posted yet, {signed(found.pending)})"
    yield from _settlement_lines(view, found)


def _settlement_lines(view: View, found: Settlement) -> Iterator[str]:
    pool, where = plain(view.row.pool), f"-n {view.row.namespace}"
    if found.left > 0:
        yield f"Settlement: the surplus of {number(found.amount)} points is consumed; it does not return to the pool."
        yield f"  {PROGRAM} points remove {view.row.name} {where} …   # back to the pool, while the contract runs"
    elif found.left == 0:
        yield "Settlement: nothing is left, and nothing is missing."
    else:
        has = "" if found.pool_balance is None else f", which has {number(found.pool_balance)} now"
        yield f"Settlement: the shortfall of {number(found.amount)} points is made up from pool {pool}{has}."
        if found.short:
            yield f"  The pool lacks {number(found.short)} points: the settlement waits until it has them."
            yield f"  {PROGRAM} points purchase {where} …   # more points from the distributor"


def _date_lines(view: View, *, color: bool) -> Iterator[str]:
    record, terms = view.record, view.terms
    if record is None or terms is None:
        yield f"(dates are not shown: the plan {view.row.plan!r} cannot be read; the operator does nothing without it)"
        return
    if record.purge_started is not None:
        yield f"Its deletion began on {view.calendar.full(record.purge_started)} already."
        return
    yield f"What comes ({view.calendar.name}):"
    end = "" if view.at is None else relative(view.ends, view.now)
    body = [cells(view.calendar.text(view.ends), end or "now", "everything stops, the account is settled")]
    for time, text, _ in agenda(record, terms, max(view.now, view.ends)):
        body.append(cells(view.calendar.text(time), relative(time, view.now), text))
    yield from (f"  {text}" for text in table(["", "", ""], body, color=color, headers=False))


def document(view: View) -> Json:
    """What would happen, as data; times are in UTC."""
    row = view.row
    out: Json = {"name": row.name, "namespace": row.namespace, "mode": view.mode.value, "state": row.state}
    out["before"] = view.before
    out["termination"] = None if view.mode is Mode.WITHDRAW else wanted_termination(view)
    if view.mode is Mode.WITHDRAW:
        return out
    found = settle(view)
    out["settlement"] = {
        "balance": found.balance,
        "pending": found.pending,
        "charges": [
            {"period": c.period, "due": rfc3339(c.due), "users": c.users, "points": c.amount} for c in found.charges
        ],
        "left": found.left,
        "from": found.source,
        "to": found.target,
        "amount": found.amount,
        "poolBalance": found.pool_balance,
        "short": found.short,
    }
    out["stops"] = view.running.document()
    out["licenses"] = [
        {"name": s.name, "granted": s.granted, "returned": s.moved, "kept": s.kept} for s in returns(row)
    ]
    if view.record is not None:
        out["purgeAfter"] = rfc3339(view.record.purge_after)
    return out | {"timeZone": view.calendar.name}
