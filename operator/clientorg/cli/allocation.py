"""What a reallocation would do, in numbers, before anything is written (FEATURES Z5, X4). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clientorg.api.meta import MAX_QUANTITY
from clientorg.cli.rows import LicenseRow, license_rows
from clientorg.cli.table import Cell, cells
from clientorg.cli.text import joined, number, signed
from clientorg.errors import InputError

Json = dict[str, Any]


@dataclass(frozen=True)
class Stock:
    """One license of a pool. What the pool's status does not say yet is None."""

    pool: str
    license: str
    total: int
    allocated: int | None
    available: int | None


@dataclass(frozen=True)
class Change:
    """One client's quantity of one license, before and after."""

    client: str
    holds: LicenseRow
    after: int

    @property
    def before(self) -> int:
        """The quantity in the spec now; a license that is not in it counts as none."""
        return self.holds.wanted or 0

    @property
    def drawn(self) -> int:
        """What the pool hands out for it once all is granted; below zero: what it gets back."""
        return self.after - (self.holds.granted or 0)


@dataclass(frozen=True)
class Plan:
    """All that a command changes: the receiver first, then the source of a move."""

    license: str
    changes: tuple[Change, ...]
    stock: Stock | None

    @property
    def is_move(self) -> bool:
        """Whether licenses go from one client to another."""
        return len(self.changes) == 2

    @property
    def filled(self) -> int:
        """How many of the licenses that move fill what the receiver waits for already."""
        if not self.is_move:
            return 0
        raised, lowered = self.changes
        return lowered.before - lowered.after - (raised.after - raised.before)

    @property
    def changes_nothing(self) -> bool:
        """Whether every quantity is already as wanted."""
        return all(change.before == change.after for change in self.changes)

    @property
    def allocated_after(self) -> int | None:
        """What clients hold of the license once the operator has carried it out."""
        if self.stock is None or self.stock.allocated is None:
            return None
        return self.stock.allocated + sum(change.drawn for change in self.changes)

    @property
    def available_after(self) -> int | None:
        """What the pool has left then; below zero: so many are missing, and the client waits for them."""
        after = self.allocated_after
        return None if after is None or self.stock is None else self.stock.total - after

    @property
    def shortage(self) -> int:
        """How many licenses the pool lacks for a raise; nobody can be granted what is not there."""
        after = self.available_after
        raised = any(change.after > (change.holds.granted or 0) for change in self.changes)
        return max(0, -after) if after is not None and raised else 0


def holding(client: Json, license_name: str) -> LicenseRow:
    """What a client wants, holds and uses of a license."""
    found = next((row for row in license_rows(client) if row.name == license_name), None)
    return found or LicenseRow(license_name, None, None, None)


def stock_of(pool: Json | None, license_name: str) -> Stock | None:
    """The pool's numbers for a license; None when the pool could not be read.

    Raises:
        InputError: the pool has no such license.
    """
    if pool is None:
        return None
    name = pool["metadata"]["name"]
    owned = {entry["name"]: entry["quantity"] for entry in pool["spec"]["licenses"]}
    if license_name not in owned:
        raise InputError(f"--license: pool {name!r} has no license {license_name!r}; it has {joined(owned)}")
    books = {entry["name"]: entry for entry in (pool.get("status") or {}).get("licenses") or ()}
    entry = books.get(license_name, {})
    # The total is the spec's: the status may not have caught up with a pool that was raised a moment ago.
    total, allocated = owned[license_name], entry.get("allocated")
    return Stock(name, license_name, total, allocated, None if allocated is None else total - allocated)


def checked(change: Change) -> Change:
    """The change, if it may be made.

    Raises:
        InputError: it goes below zero, below what is used, or beyond what Kubernetes keeps exactly.
    """
    name, used = change.holds.name, change.holds.used or 0
    if change.after < 0:
        raise InputError(
            f"{change.client} has {number(change.before)} {name}: {number(-change.after)} too few to take "
            f"{number(change.before - change.after)} away"
        )
    if change.after < change.before and change.after < used:
        raise InputError(
            f"{change.client} uses {number(used)} {name}, so {number(change.after)} are too few: choose at least "
            f"{number(used)}, or reduce the use first"
        )
    if change.after > MAX_QUANTITY:
        raise InputError(f"{number(change.after)} {name} are more than the largest quantity, {MAX_QUANTITY:,} (2^53)")
    return change


def set_quantity(client: Json, pool: Json | None, license_name: str, *, to: int | None, by: int | None) -> Plan:
    """One client gets exactly `to`, or `by` more (fewer when negative).

    Raises:
        InputError: see `checked` and `stock_of`.
    """
    _must_stay(client)
    row = holding(client, license_name)
    if to is None:
        to = (row.wanted or 0) + (by or 0)
    change = checked(Change(client["metadata"]["name"], row, to))
    stock = stock_of(pool, license_name) if change.after > change.before else _stock_if_any(pool, license_name)
    return Plan(license_name, (change,), stock)


def move(receiver: Json, source: Json, pool: Json | None, license_name: str, count: int) -> Plan:
    """`count` licenses go from one client to another of the same pool.

    What the receiver waits for in the queue is filled first: it has asked for that already, and asks for more only
    beyond it.

    Raises:
        InputError: they are the same or of different pools, and as for `set_quantity`.
    """
    names = receiver["metadata"]["name"], source["metadata"]["name"]
    _must_stay(receiver)
    _must_stay(source)
    if names[0] == names[1]:
        raise InputError(f"--from: {names[0]!r} cannot give licenses to itself")
    pools = receiver["spec"]["poolRef"]["name"], source["spec"]["poolRef"]["name"]
    if pools[0] != pools[1]:
        raise InputError(
            f"--from: {names[0]!r} draws on pool {pools[0]!r} and {names[1]!r} on {pools[1]!r}; licenses move only "
            "within a pool"
        )
    if count <= 0:
        raise InputError("--by: with --from it is how many licenses move, so it must be more than zero")
    gains, gives = holding(receiver, license_name), holding(source, license_name)
    if gives.wanted is None:
        raise InputError(f"--license: {names[1]!r} has no license {license_name!r}; {_has(source)}")
    lowered = checked(Change(names[1], gives, gives.wanted - count))
    asked = gains.wanted or 0
    after = max(asked, (gains.granted or 0) + count) if _waits(receiver) else asked + count
    raised = checked(Change(names[0], gains, after))
    return Plan(license_name, (raised, lowered), stock_of(pool, license_name))


def _must_stay(client: Json) -> None:
    if client["metadata"].get("deletionTimestamp"):
        name = client["metadata"]["name"]
        raise InputError(f"{name} is being deleted; its licenses return to the pool by themselves")


def _waits(client: Json) -> bool:
    """Whether the operator has put the client's present request into the queue."""
    status = client.get("status") or {}
    return bool(status.get("pending")) and status.get("observedGeneration") == client["metadata"]["generation"]


def _stock_if_any(pool: Json | None, license_name: str) -> Stock | None:
    """For lowering: a license that the pool no longer has may be given back all the same."""
    try:
        return stock_of(pool, license_name)
    except InputError:
        return None


def _has(client: Json) -> str:
    names = [row.name for row in license_rows(client) if row.wanted is not None]
    return f"it has {joined(names)}"


def licenses_patch(client: Json, change: Change) -> Json:
    """A merge patch of spec.licenses with the new quantity, for that very version of the client only."""
    licenses = [dict(entry) for entry in client["spec"]["licenses"]]
    entry = next((entry for entry in licenses if entry["name"] == change.holds.name), None)
    if entry is None:
        licenses.append({"name": change.holds.name, "quantity": change.after})
    else:
        entry["quantity"] = change.after
    return {
        "metadata": {"resourceVersion": client["metadata"]["resourceVersion"]},
        "spec": {"licenses": licenses},
    }


CLIENT_HEADER = ["CLIENT", "LICENSE", "QUANTITY", "AFTER", "CHANGE", "GRANTED", "USED", "REMAINING AFTER"]
POOL_HEADER = ["POOL", "LICENSE", "TOTAL", "ALLOCATED", "AFTER", "CHANGE", "AVAILABLE", "AVAILABLE AFTER"]


def client_cells(plan: Plan) -> Iterator[list[Cell]]:
    """A row for each client, under CLIENT_HEADER."""
    for change in plan.changes:
        yield cells(
            change.client,
            plan.license,
            Cell(number(change.before), right=True),
            Cell(number(change.after), "bold", right=True),
            _difference(change.after - change.before),
            Cell(number(change.holds.granted), right=True),
            Cell(number(change.holds.used), right=True),
            Cell(number(change.after - (change.holds.used or 0)), right=True),
        )


def pool_cells(plan: Plan) -> Iterator[list[Cell]]:
    """The row of the pool, under POOL_HEADER; none when the pool could not be read."""
    stock, after = plan.stock, plan.allocated_after
    if stock is None:
        return
    left = plan.available_after
    yield cells(
        stock.pool,
        stock.license,
        Cell(number(stock.total), right=True),
        Cell(number(stock.allocated), right=True),
        Cell(number(after), right=True),
        _difference(after - stock.allocated)
        if after is not None and stock.allocated is not None
        else Cell("-", right=True),
        Cell(number(stock.available), right=True),
        Cell(number(left), "red" if left is not None and left < 0 else "bold", right=True),
    )


def _difference(count: int) -> Cell:
    return Cell(signed(count), "green" if count > 0 else "yellow" if count < 0 else None, right=True)
