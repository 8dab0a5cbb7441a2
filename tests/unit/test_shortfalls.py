"""What clients need for their next charge, while their status follows the ledger (FEATURES S8, S10)."""

from __future__ import annotations

from typing import Any

import pytest

from clientorg.control.shortfalls import needed_points
from clientorg.control.store import Store
from clientorg.domain.identity import org_id
from tests.support import builders
from tests.unit.strategies import NOW

Json = dict[str, Any]

AGENCY, UID = "tokyo", "u1"
DECEMBER = "2026-12-25T00:00:00Z"


def client(balance: int, pending: int = 0) -> Json:
    """Acme, whose status says that 1,000 points are charged next."""
    manifest = builders.client(AGENCY, "acme", pool="pool", plan="standard", licenses={"seats": 10})
    manifest["metadata"] |= {"uid": UID, "resourceVersion": "1", "generation": 1, "creationTimestamp": NOW}
    points = {"balance": balance, "nextCharge": 1000, "nextChargeTime": DECEMBER, "projectedBalance": balance - 1000}
    manifest["status"] = {"points": points | ({"pending": pending} if pending else {})}
    return manifest


def movement(name: str, kind: str, source: str, target: str, amount: int, phase: str | None, *, named: bool) -> Json:
    """A transaction, with the client's Org ID in its spec or not."""
    spec: Json = {"kind": kind, "from": source, "to": target, "amount": amount}
    if named:
        spec["orgID"] = org_id(UID)
    if kind == "Charge":
        spec |= {"period": "2026-11", "charge": {"users": 10, "dueTime": "2026-11-25T00:00:00Z"}}
    metadata = {"namespace": AGENCY, "name": name, "uid": name, "resourceVersion": "2", "creationTimestamp": NOW}
    status: Json = {}
    if phase is not None:
        status = {"phase": phase} | ({"pool": "pool", "orgID": org_id(UID), "entry": 1} if phase == "Posted" else {})
    return {"kind": "PointTransaction", "metadata": metadata, "spec": spec, "status": status}


def needed(acme: Json, *movements: Json) -> tuple[int, str | None]:
    """What the store's clients need."""
    store = Store()
    store.put_client(acme)
    for item in movements:
        store.ledger.put(item)
    return needed_points(store.ledger, AGENCY, store.members((AGENCY, "pool")).short.values())


def top_up(amount: int, phase: str | None, *, named: bool = True) -> Json:
    """Points that the pool gives to Acme."""
    return movement("top-up", "TopUp", "pool/pool", "org/acme", amount, phase, named=named)


def test_client_that_falls_below_zero_needs_the_difference() -> None:
    assert needed(client(0)) == (1000, DECEMBER)
    assert needed(client(1000)) == (0, None)


@pytest.mark.parametrize("phase", [None, "Waiting", "Posted"])
@pytest.mark.parametrize("named", [True, False])
def test_points_on_their_way_are_needed_no_more_before_the_status_says_so(phase: str | None, named: bool) -> None:
    assert needed(client(0), top_up(1000, phase, named=named)) == (0, None)
    assert needed(client(0), top_up(400, phase, named=named)) == (600, DECEMBER)


def test_rejected_points_are_still_needed() -> None:
    assert needed(client(0), top_up(1000, "Rejected")) == (1000, DECEMBER)


def test_points_that_the_status_knows_of_count_once() -> None:
    assert needed(client(0, pending=400), top_up(400, "Waiting")) == (600, DECEMBER)


@pytest.mark.parametrize("phase", [None, "Posted"])
def test_charge_that_the_status_still_announces_does_not_count_twice(phase: str | None) -> None:
    """It was charged; the status that says so, with the charge after it, is on its way."""
    charge = movement("charge", "Charge", "org/acme", "consumed", 1000, phase, named=True)

    assert needed(client(0), charge) == (1000, DECEMBER)
