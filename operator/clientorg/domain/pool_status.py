"""A pool's status, computed from the books (FEATURES Z2, Z5). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clientorg.api.conditions import ConditionStatus, ConditionType, Reason
from clientorg.api.meta import MAX_QUANTITY
from clientorg.domain.allocation import Grant, Waiting
from clientorg.domain.conditions import State, false, find, merge, true
from clientorg.domain.ledger import Entry, Head

Json = dict[str, Any]
_MAX_SUMMARY = 1024


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """The pool's points after a round (FEATURES S8, S10).

    Attributes:
        waiting_points: what waiting transactions ask of the pool; `waiting` is how many they are.
        next_charges: points of all clients' next charges.
        needed: points that keep every client from falling below zero at its next charge.
        needed_by: the earliest of those charges, RFC 3339.
        low_below: the balance below which the pool is low; 0: never.
    """

    head: Head
    in_flight: Sequence[Entry]
    waiting_points: int
    waiting: int
    next_charges: int
    needed: int
    needed_by: str | None
    low_below: int

    @property
    def missing(self) -> int:
        """Points that the pool lacks for what is waited for and needed."""
        return max(0, self.waiting_points + self.needed - self.head.balance)


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """The books of one pool after a round.

    Attributes:
        allocated: license to what is given out, this round's grants included.
        wanted_more: license to what the waiting clients ask for beyond what they hold.
    """

    generation: int
    deleting: bool
    capacity: Mapping[str, int]
    allocated: Mapping[str, int]
    in_flight: Sequence[Grant]
    waiting: Sequence[Waiting]
    wanted_more: Mapping[str, int]
    clients: int
    last_grant: int
    writer: str
    source: tuple[str, str] | None = None
    """What is wrong with the usage source, and what is well; None where the pool has none."""
    ledger: LedgerFacts | None = None
    """None where there never were any points."""

    def with_writer(self, writer: str) -> PoolFacts:
        """The same books, written by another."""
        return replace(self, writer=writer)


def pool_status(facts: PoolFacts, previous: Mapping[str, Any], now: str) -> Json:
    """The whole status; the same facts give the same status."""
    licenses = [_license(facts, name) for name in sorted(facts.capacity.keys() | _held(facts))]
    status: Json = {
        "observedGeneration": facts.generation,
        "licenses": licenses,
        "licenseSummary": _license_summary(licenses),
        "clients": facts.clients,
        "pendingClients": len(facts.waiting),
        "lastGrant": facts.last_grant,
        "writer": facts.writer,
        "conditions": merge(
            previous.get("conditions") or (), _states(facts, licenses, previous), facts.generation, now
        ),
    }
    if facts.in_flight:
        status["inFlight"] = [
            {
                "orgUID": grant.uid,
                "orgName": grant.name,
                "grant": grant.serial,
                "license": grant.license,
                "from": grant.held,
                "to": grant.to,
            }
            for grant in facts.in_flight
        ]
    if facts.ledger is not None:
        status["points"] = _points(facts.ledger)
    return status


def _points(ledger: LedgerFacts) -> Json:
    out: Json = {"balance": ledger.head.balance, "entries": ledger.head.entries}
    if ledger.in_flight:
        out["inFlight"] = [
            {"name": entry.name, "uid": entry.uid, "entry": entry.number}
            | ({"orgID": entry.org_id} if entry.org_id is not None else {})
            | ({"poolChange": entry.pool_change} if entry.pool_change else {})
            for entry in ledger.in_flight
        ]
    if ledger.head.groups:
        out["groups"] = [
            {"name": group.name, "left": group.left, "reserved": group.reserved} for group in ledger.head.groups
        ]
    sums = {
        "waiting": ledger.waiting_points,
        "waitingTransactions": ledger.waiting,
        "needed": ledger.needed,
        "neededBy": ledger.needed_by,
        "nextCharges": ledger.next_charges,
    }
    return out | {name: min(v, MAX_QUANTITY) if isinstance(v, int) else v for name, v in sums.items() if v}


def _points_states(facts: PoolFacts, previous: Mapping[str, Any]) -> list[State]:
    ledger = facts.ledger
    if ledger is None:
        return []
    short = _short(ledger)
    held = find(previous.get("conditions") or (), ConditionType.POINTS_SHORT)
    if ledger.in_flight and not ledger.waiting and held is not None:
        # Half of the clients are charged, or topped up, and half are not yet: nobody is told of what passes by itself.
        short = State(short.type, ConditionStatus(held["status"]), Reason(held["reason"]), held["message"])
    states = []
    if ledger.low_below:
        low = ledger.head.balance < ledger.low_below
        text = f"{ledger.head.balance} points are left, fewer than {ledger.low_below}; purchase points"
        kind = ConditionType.POINTS_LOW
        states.append(true(kind, Reason.LOW, text) if low else false(kind, Reason.SUFFICIENT))
    return [*states, short]


def _short(ledger: LedgerFacts) -> State:
    if not ledger.missing:
        return false(ConditionType.POINTS_SHORT, Reason.SUFFICIENT)
    parts = []
    if ledger.waiting:
        many = "transaction waits" if ledger.waiting == 1 else "transactions wait"
        parts.append(f"{ledger.waiting} {many} for {ledger.waiting_points}")
    if ledger.needed:
        parts.append(f"{ledger.needed} keep clients from falling below zero at the charge of {ledger.needed_by}")
    text = (
        f"{ledger.missing} points are missing: {' and '.join(parts)}; the pool has {ledger.head.balance}. Record a "
        "purchase: kubectl clientorg points purchase"
    )
    return true(ConditionType.POINTS_SHORT, Reason.SHORT, text)


def _held(facts: PoolFacts) -> set[str]:
    return {name for name, quantity in facts.allocated.items() if quantity > 0}


def _license(facts: PoolFacts, name: str) -> Json:
    total, allocated = facts.capacity.get(name, 0), facts.allocated.get(name, 0)
    return {
        "name": name,
        "total": total,
        "allocated": allocated,
        "available": total - allocated,
        "pending": min(facts.wanted_more.get(name, 0), MAX_QUANTITY),  # anybody may ask for more than can be shown
    }


def _license_summary(licenses: Sequence[Json]) -> str:
    parts = [(item["name"], f"{item['allocated']}/{item['total']}") for item in licenses]
    text = parts[0][1] if len(parts) == 1 else ", ".join(f"{name} {text}" for name, text in parts)
    return text if len(text) <= _MAX_SUMMARY else text[: _MAX_SUMMARY - 1] + "…"


def _states(facts: PoolFacts, licenses: Sequence[Json], previous: Mapping[str, Any]) -> list[State]:
    over = [f"{item['name']} by {-item['available']}" for item in licenses if item["available"] < 0]
    if over:
        over_committed = true(
            ConditionType.OVER_COMMITTED,
            Reason.OVER_COMMITTED,
            f"more is allocated than the pool has: {', '.join(over)}; nobody is evicted and nothing more is granted. "
            "Raise spec.licenses, or lower the quantity of clients",
        )
    else:
        over_committed = false(ConditionType.OVER_COMMITTED, Reason.WITHIN_CAPACITY)
    if facts.deleting:
        message = f"{facts.clients} clients still use the pool; it goes when they are deleted"
        return [
            false(ConditionType.READY, Reason.IN_USE, message),
            true(ConditionType.RECONCILING, Reason.IN_USE, message),
            false(ConditionType.STALLED, Reason.IN_USE),
            over_committed,
            *_source(facts),
        ]
    points = _points_states(facts, previous)
    message = over_committed.message or "the pool serves requests"
    return [
        true(ConditionType.READY, Reason.OVER_COMMITTED if over else Reason.READY, message),
        false(ConditionType.RECONCILING, Reason.READY),
        false(ConditionType.STALLED, Reason.READY),
        over_committed,
        *_source(facts),
        *points,
    ]


def _source(facts: PoolFacts) -> list[State]:
    if facts.source is None:
        return []
    error, note = facts.source
    kind = ConditionType.USAGE_SOURCE_READY
    return [false(kind, Reason.QUERY_FAILED, error) if error else true(kind, Reason.QUERIED, note)]
