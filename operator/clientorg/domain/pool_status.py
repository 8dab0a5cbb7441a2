"""A pool's status, computed from the books (FEATURES Z2, Z5). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.meta import MAX_QUANTITY
from clientorg.domain.allocation import Grant, Waiting
from clientorg.domain.conditions import State, false, merge, true

Json = dict[str, Any]
_MAX_SUMMARY = 1024


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
        "conditions": merge(previous.get("conditions") or (), _states(facts, licenses), facts.generation, now),
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
    return status


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


def _states(facts: PoolFacts, licenses: Sequence[Json]) -> list[State]:
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
    message = over_committed.message or "the pool serves requests"
    return [
        true(ConditionType.READY, Reason.OVER_COMMITTED if over else Reason.READY, message),
        false(ConditionType.RECONCILING, Reason.READY),
        false(ConditionType.STALLED, Reason.READY),
        over_committed,
        *_source(facts),
    ]


def _source(facts: PoolFacts) -> list[State]:
    if facts.source is None:
        return []
    error, note = facts.source
    kind = ConditionType.USAGE_SOURCE_READY
    return [false(kind, Reason.QUERY_FAILED, error) if error else true(kind, Reason.QUERIED, note)]
