"""Who gets licenses, and the protocol that keeps the pool's books right (FEATURES Z2, Z4, Z5; DESIGN rule 3).

Raises are written into the pool first, as grants in flight under a serial number and with a resourceVersion
precondition; the client's status then adopts them (`lastGrant` = serial), and at last the pool clears them. So

* a crash anywhere is resumed from the pool's grants in flight;
* an adoption happens once: a status whose `lastGrant` is not below the serial has had it, also if the grant was
  cleared meanwhile and the reader's view of the pool is old;
* two operators at once cannot over-allocate: whoever did not write the pool last recounts before it grants.

Reductions need no grant: they are the client's status write itself, and who has not seen it counts too much, which
is safe. Everything here is pure; the model test in tests/unit crashes it between any two writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Holdings = Mapping[str, int]
"""License name to quantity."""
_TRANSFER: Final = re.compile(r"([^/]+)/([^/]+)/([0-9]{1,16})/([0-9]{1,16})")


@dataclass(frozen=True, slots=True)
class Grant:
    """A raise that is committed in the pool and may not be adopted yet."""

    uid: str
    name: str
    serial: int
    license: str
    held: int
    to: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """A move of licenses from one client to another, written on the receiver (FEATURES Z5)."""

    source: str
    license: str
    source_to: int
    to: int

    @classmethod
    def parse(cls, text: str | None) -> Transfer | None:
        """Read the annotation; None when there is none or it cannot be read (it is a hint, not a spec)."""
        match = _TRANSFER.fullmatch(text or "")  # bounded: Python refuses to read a number of 5,000 digits
        return cls(match[1], match[2], int(match[3]), int(match[4])) if match else None

    def __str__(self) -> str:
        return f"{self.source}/{self.license}/{self.source_to}/{self.to}"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for beyond what it holds. All of it is granted at once, or none.

    Attributes:
        since: RFC 3339 time to the microsecond, since when it waits; earlier ones are served first.
        raises: license to the quantity wanted, for those above what is held.
        first: served before all others: the other half of a move whose source has let go already.
        blocked_by: name of the client that has to let go first, for a move that is only half written.
    """

    uid: str
    name: str
    since: str
    held: Holdings
    raises: Holdings
    first: bool = False
    blocked_by: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that is not served now, and why.

    Attributes:
        is_next: only because this round is full; nothing keeps it from being served in one of the next.
    """

    uid: str
    name: str
    position: int
    missing: Holdings
    blocked_by: str | None = None
    is_next: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one round of allocation decides."""

    grants: tuple[Grant, ...]
    waiting: tuple[Waiting, ...]


def allocate(
    *,
    capacity: Holdings,
    allocated: Holdings,
    requests: Iterable[Request],
    serial: int,
    strict: bool = False,
    most_grants: int | None = None,
) -> Outcome:
    """Serve the requests first come first served, never beyond the capacity.

    Args:
        capacity: what the pool has.
        allocated: what clients hold, grants in flight included; may exceed the capacity (a shrunk pool).
        serial: number for the grants of this round; above every one given out before.
        strict: nobody overtakes a request that waits for the same license (StrictFIFO).
        most_grants: at most so many grants; the rest is served in the next round.

    Returns:
        The grants to commit, and the queue of those that wait, in order.
    """
    free = {name: capacity[name] - allocated.get(name, 0) for name in capacity}
    held_back: set[str] = set()
    is_full = False  # once full, nobody is served: a small request must not take what an earlier one waits for
    grants: list[Grant] = []
    waiting: list[Waiting] = []
    for request in sorted(requests, key=lambda r: (not r.first, r.since, r.name, r.uid)):
        needs = {name: to - request.held.get(name, 0) for name, to in request.raises.items()}
        missing = {name: need - max(free.get(name, 0), 0) for name, need in needs.items()}
        short = {name: lack for name, lack in missing.items() if lack > 0}
        is_held_back = strict and not held_back.isdisjoint(needs)
        is_full = is_full or (most_grants is not None and len(grants) + len(needs) > most_grants)
        if short or is_held_back or is_full or request.blocked_by:
            is_next = not (short or is_held_back or request.blocked_by)
            waiting.append(Waiting(request.uid, request.name, len(waiting) + 1, short, request.blocked_by, is_next))
            if not request.blocked_by and not is_next:
                held_back.update(needs)
            continue
        for name, need in needs.items():
            free[name] -= need
            grants.append(
                Grant(request.uid, request.name, serial, name, request.held.get(name, 0), request.raises[name])
            )
    return Outcome(tuple(grants), tuple(waiting))


@dataclass(frozen=True, slots=True)
class Holder:
    """What the books need to know of one client."""

    held: Holdings
    last_grant: int = 0


@dataclass(slots=True)
class Books:
    """The pool's books: what is counted from the clients, plus what is in flight.

    Attributes:
        held: license to the sum over all clients' statuses.
        in_flight: grants that no client's status shows yet.
    """

    held: Mapping[str, int]
    in_flight: tuple[Grant, ...] = field(default=())

    def allocated(self, holder_of: Mapping[str, Holder]) -> dict[str, int]:
        """License to what is given out: a client in flight counts with the larger of before and after."""
        total = dict(self.held)
        for grant in self.in_flight:
            holder = holder_of.get(grant.uid)
            held = holder.held.get(grant.license, 0) if holder is not None else 0
            total[grant.license] = total.get(grant.license, 0) + max(0, grant.to - held)
        return total


def unsettled(in_flight: Iterable[Grant], holder_of: Mapping[str, Holder]) -> tuple[Grant, ...]:
    """The grants that still have to be adopted. One of a client that is gone, or that adopted it, is settled.

    `holder_of` must know every living client, or a grant could be dropped that is still to come.
    """
    return tuple(
        grant for grant in in_flight if (holder := holder_of.get(grant.uid)) and holder.last_grant < grant.serial
    )


def adopt(holder: Holder, grants: Sequence[Grant]) -> Holder:
    """What a client holds once its status says so: each grant with a serial above its `lastGrant`, once."""
    new = [grant for grant in grants if grant.serial > holder.last_grant]
    if not new:
        return holder
    held = dict(holder.held)
    for grant in new:
        held[grant.license] = grant.to
    return Holder(held, max(grant.serial for grant in new))


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a client holds after it gave back, and what it could not give back."""

    held: dict[str, int]
    kept_back: dict[str, tuple[int, int]]
    """License to (wanted, kept): more is used than is wanted, so that much stays (FEATURES Z4)."""


def reduce(held: Holdings, wanted: Holdings, used: Holdings) -> Reduction:
    """Give back what is not wanted any more, at once, but never below what is used."""
    after: dict[str, int] = {}
    kept: dict[str, tuple[int, int]] = {}
    for name, quantity in held.items():
        want = wanted.get(name, 0)
        floor = min(quantity, max(want, used.get(name, 0)))
        if floor > want:
            kept[name] = (want, floor)
        if floor > 0 or name in wanted:
            after[name] = floor
    return Reduction(after, kept)


def raises(held: Holdings, wanted: Holdings) -> dict[str, int]:
    """License to the quantity wanted, for those above what is held."""
    return {name: quantity for name, quantity in wanted.items() if quantity > held.get(name, 0)}


def shown_position(position: int) -> int:
    """The place in the queue as status shows it: exact to 10, then rounded up to 20, 50, 100, 200, 500 …

    Otherwise each grant would rewrite the status of everybody behind it.
    """
    if position <= 10:
        return position
    step = 10
    while True:
        for factor in (2, 5, 10):
            if position <= step * factor:
                return step * factor
        step *= 10
