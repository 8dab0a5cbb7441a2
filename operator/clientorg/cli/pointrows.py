"""An account's history as rows: entries with the balance after each, and why a charge is what it is (X3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clientorg.cli.dates import Calendar
from clientorg.cli.table import Cell, cells, pairs
from clientorg.cli.terminal import Color
from clientorg.cli.text import number, plural, signed
from clientorg.domain.timestamps import rfc3339, timestamp
from clientorg.errors import InputError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One transaction, as the account sees it.

    Attributes:
        entry: number in the pool's ledger; None: not posted.
        time: when it was posted; of one that is not, when it was created.
        amount: what it adds to the account.
        balance: of the account after it; None: not posted.
        phase: Posted, Waiting or Rejected; empty before the operator has seen it.
        who: who asked for it; empty: the operator.
    """

    name: str
    entry: int | None
    time: datetime | None
    kind: str
    period: str
    amount: int
    balance: int | None
    phase: str
    who: str
    reason: str
    reference: str
    source: str
    target: str
    message: str


def history(account: str, transactions: Iterable[Json]) -> list[HistoryRow]:
    """The account's rows: what is posted by its number, then what is not, the oldest first.

    Args:
        account: `org/<name>` or `pool/<name>`; each transaction is one of it.
    """
    posted: list[Json] = []
    open_: list[Json] = []
    for item in transactions:
        (posted if (item.get("status") or {}).get("phase") == "Posted" else open_).append(item)
    balance, rows = 0, []
    for item in sorted(posted, key=lambda one: (one["status"].get("entry") or 0, one["metadata"]["name"])):
        balance += _change(account, item["spec"])
        rows.append(_row(account, item, balance))
    open_.sort(key=lambda one: (one["metadata"].get("creationTimestamp", ""), one["metadata"]["name"]))
    return rows + [_row(account, item, None) for item in open_]


def _change(account: str, spec: Json) -> int:
    sign: int = (spec["to"] == account) - (spec["from"] == account)
    return int(spec["amount"]) * sign


def _row(account: str, item: Json, balance: int | None) -> HistoryRow:
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    phase = status.get("phase") or ""
    told: Json = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    return HistoryRow(
        name=metadata["name"],
        entry=status.get("entry") if phase == "Posted" else None,
        time=timestamp(status.get("postedTime")) or timestamp(metadata.get("creationTimestamp")),
        kind=spec["kind"],
        period=spec.get("period", ""),
        amount=_change(account, spec),
        balance=balance,
        phase=phase,
        who=spec.get("requestedBy", ""),
        reason=spec.get("reason", ""),
        reference=spec.get("reference", ""),
        source=spec["from"],
        target=spec["to"],
        message="" if phase == "Posted" else f"{told.get('reason', '')}: {told.get('message', '')}".strip(": "),
    )


def between(rows: Iterable[HistoryRow], since: datetime | None, until: datetime | None) -> list[HistoryRow]:
    """Rows of a span of time, its end left out; the balances stay those of the whole history."""
    return [
        row
        for row in rows
        if (since is None or (row.time is not None and row.time >= since))
        and (until is None or (row.time is not None and row.time < until))
    ]


_PHASE_COLORS: dict[str, Color] = {"Waiting": "yellow", "Rejected": "red"}


def header(*, wide: bool) -> list[str]:
    """Headings of the table."""
    more = ["FROM", "TO", "REFERENCE", "MESSAGE"] if wide else []
    return ["ENTRY", "TIME", "KIND", "PERIOD", "AMOUNT", "BALANCE", "WHO", "WHY", "NAME", *more]


def row_cells(row: HistoryRow, calendar: Calendar, *, wide: bool) -> list[Cell]:
    """A row under `header`; what is not posted says so in place of its number."""
    entry = number(row.entry) if row.entry is not None else (row.phase or "New")
    return cells(
        Cell(entry, _PHASE_COLORS.get(row.phase), right=True),
        calendar.text(row.time) if row.time is not None else "-",
        row.kind,
        row.period or "-",
        Cell(signed(row.amount), "green" if row.amount > 0 else None, right=True),
        Cell(number(row.balance), "red" if (row.balance or 0) < 0 else None, right=True),
        row.who or "-",
        row.reason or "-",
        row.name,
        *((row.source, row.target, row.reference or "-", row.message) if wide else ()),
    )


CSV_HEADER = (
    *("account", "entry", "time", "kind", "period", "amount", "balance", "phase", "who", "reason", "reference"),
    *("from", "to", "name"),
)


def csv_row(account: str, row: HistoryRow) -> tuple[str | int | None, ...]:
    """A row under CSV_HEADER."""
    time = rfc3339(row.time) if row.time is not None else ""
    return (
        *(account, row.entry, time, row.kind, row.period, row.amount, row.balance, row.phase, row.who, row.reason),
        *(row.reference, row.source, row.target, row.name),
    )


def document(row: HistoryRow) -> Json:
    """For -o json and yaml."""
    return {
        "name": row.name,
        "entry": row.entry,
        "time": rfc3339(row.time) if row.time is not None else None,
        "kind": row.kind,
        "period": row.period or None,
        "amount": row.amount,
        "balance": row.balance,
        "phase": row.phase or None,
        "requestedBy": row.who or None,
        "reason": row.reason or None,
        "reference": row.reference or None,
        "from": row.source,
        "to": row.target,
        "message": row.message or None,
    }


# -- why this charge? -------------------------------------------------------------------------------------------------


def charge_in(transactions: Sequence[Json], client: str, period: str) -> Json:
    """The charge of a period; a posted one before one that is not.

    Raises:
        InputError: there is none.
    """
    found = [t for t in transactions if t["spec"]["kind"] == "Charge" and t["spec"].get("period") == period]
    if not found:
        periods = sorted(t["spec"]["period"] for t in transactions if t["spec"].get("period"))
        there = f"there are charges for {periods[0]} to {periods[-1]}" if periods else "nothing was charged yet"
        raise InputError(f"--explain: {client} has no charge for {period}; {there}")
    return min(found, key=lambda t: (t.get("status") or {}).get("phase") != "Posted")


def explain(item: Json, transactions: Sequence[Json], calendar: Calendar) -> Iterator[str]:
    """The arithmetic that is frozen in a charge, computed once more by the function that charged."""
    from clientorg.domain.ledger_records import charge_of_json

    spec, status = item["spec"], item.get("status") or {}
    charge = charge_of_json(spec["charge"], spec["period"])
    extra, full = charge.extra_users, charge.full_amount
    posted = timestamp(status.get("postedTime"))
    yield f"{number(spec['amount'])} points for {charge.period} ({item['metadata']['name']})"
    lines = [
        ("Due", calendar.full(charge.due)),
        (
            "Posted",
            f"{calendar.full(posted)}, entry {number(status.get('entry'))}"
            if posted is not None
            else f"not yet ({status.get('phase') or 'the operator has not seen it'})",
        ),
        ("Plan", f"{charge.plan}, revision {charge.generation}"),
        ("Base", f"{number(charge.base_points)} for up to {plural(charge.included_users, 'user')}"),
        (
            "More users",
            f"{number(charge.users)} contracted − {number(charge.included_users)} included = {number(extra)}; × "
            f"{number(charge.points_per_extra_user)} = {number(extra * charge.points_per_extra_user)}"
            if extra
            else f"none: {number(charge.users)} contracted",
        ),
        ("Sum", f"{number(charge.base_points)} + {number(extra * charge.points_per_extra_user)} = {number(full)}"),
    ]
    if charge.prorated is not None:
        days, of_days = charge.prorated
        lines.append(
            (
                "Prorated",
                f"{number(full)} × {days} of {of_days} days = {number(charge.amount)}, rounded half up: the client "
                "began within the period",
            )
        )
    began = ", where charging began anew" if charge.resumed else ""
    lines.append(("Period before", f"{charge.previous}{began}" if charge.previous else "none: the first charge"))
    reversal = next((t for t in transactions if t["spec"].get("reverses") == item["metadata"]["name"]), None)
    if reversal is not None:
        phase = (reversal.get("status") or {}).get("phase") or "not posted yet"
        why = f": {reversal['spec']['reason']}" if reversal["spec"].get("reason") else ""
        lines.append(("Reversed", f"by {reversal['metadata']['name']} ({phase}){why}"))
    yield from pairs(lines, "  ")
    if charge.amount != spec["amount"]:
        yield f"  This does not give {number(spec['amount'])}: see kubectl clientorg ledger verify"
