"""The end of a contract: scheduled, executed on time by itself, settled once (FEATURES S11). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from clientorg.domain.timestamps import parse_time, rfc3339

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Termination:
    """What is remembered of a termination.

    Attributes:
        scheduled: when it will run, or should have.
        executed: when it ran; there is no way back from here.
        settlement: name of the transaction that settled the account; None if nothing was left to settle.
        settled: when the account was settled.
    """

    scheduled: datetime
    executed: datetime | None = None
    settlement: str | None = None
    settled: datetime | None = None


def advance(record: Termination | None, order: Mapping[str, Any] | None, now: datetime) -> Termination | None:
    """The termination as spec.termination orders it now; what has run stays.

    Args:
        order: spec.termination, if there is one.
    """
    if record is not None and record.executed is not None:
        return record
    if order is None:
        return None
    scheduled = parse_time(order["time"]) if "time" in order else (record.scheduled if record is not None else now)
    record = Termination(scheduled)
    return replace(record, executed=now) if now >= scheduled or order.get("immediate") else record


def termination_of(status: Mapping[str, Any]) -> Termination | None:
    """What status remembers."""
    found = status.get("termination")
    if not found or not (found.get("scheduledTime") or found.get("executedTime")):
        return None
    executed, settled = found.get("executedTime"), found.get("settledTime")
    return Termination(
        scheduled=parse_time(found.get("scheduledTime") or executed),
        executed=parse_time(executed) if executed else None,
        settlement=found.get("settlement"),
        settled=parse_time(settled) if settled else None,
    )


def termination_json(record: Termination) -> Json:
    """The termination for status."""
    out: Json = {"scheduledTime": rfc3339(record.scheduled)}
    if record.executed is not None:
        out["executedTime"] = rfc3339(record.executed)
    if record.settlement is not None:
        out["settlement"] = record.settlement
    if record.settled is not None:
        out["settledTime"] = rfc3339(record.settled)
    return out
