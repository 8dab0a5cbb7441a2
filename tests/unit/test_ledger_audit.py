"""The audit of the ledger: silent on what the rules make, and each invariant found when exactly it is broken (X3)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.orgplan import FirstCharge, UserReduction
from clientorg.api.pointtransaction import TransactionKind
from clientorg.domain.billing import BillingTerms, begin, due_charges, resume
from clientorg.domain.ledger import Head
from clientorg.domain.ledger_audit import Audit, Invariant, audit
from clientorg.domain.ledger_posting import post
from clientorg.domain.ledger_records import (
    charge_manifest,
    settlement_manifest,
    transaction_manifest,
    transaction_of,
)

Json = dict[str, Any]

AGENCY = "agency-tokyo"
TERMS = BillingTerms(
    "standard", 1, 100, 10, 5, 25, FirstCharge.PRORATED, UserReduction.NEXT_PERIOD, 7, ZoneInfo("Asia/Tokyo")
)
BEGUN = datetime(2026, 8, 10, tzinfo=UTC)


class Books:
    """The objects of one agency, made by the rules."""

    def __init__(self) -> None:
        self.transactions: list[Json] = []
        self.pool: Json = {"metadata": {"name": "tokyo"}, "status": {"points": {"balance": 0, "entries": 0}}}
        self.clients: list[Json] = []

    @property
    def points(self) -> Json:
        """The pool's head."""
        points: Json = self.pool["status"]["points"]
        return points

    def client(self, name: str) -> None:
        """A client whose Org ID is `id<name>`."""
        status = {"orgID": f"id{name}", "points": {"balance": 0}}
        self.clients.append({"metadata": {"name": name}, "status": status})

    def add(self, manifest: Json) -> None:
        """As the API server keeps it."""
        number = len(self.transactions) + 1
        manifest["metadata"] |= {"uid": f"u-{number}", "creationTimestamp": f"2026-11-01T00:00:{number % 60:02d}Z"}
        self.transactions.append(manifest)

    def move(self, name: str, source: str, target: str, amount: int, kind: TransactionKind, **more: Any) -> None:
        """A movement."""
        self.add(transaction_manifest(AGENCY, name, kind=kind, source=source, target=target, amount=amount, **more))

    def charge(self, name: str, months: int, pause: int = 0) -> None:
        """The client's charges of so many months, and then of one more after a pause of others."""
        account, now = begin(BEGUN, TERMS), BEGUN + timedelta(days=30 * months)
        for item in due_charges(account, now, 12, TERMS):
            self.add(charge_manifest(AGENCY, name, f"id{name}", "tokyo", item))
            account = replace(account, charged=item.period)
        if pause:
            now += timedelta(days=31 * pause)
            for item in due_charges(resume(account, now, TERMS), now + timedelta(days=31), 12, TERMS):
                self.add(charge_manifest(AGENCY, name, f"id{name}", "tokyo", item))

    def post(self) -> None:
        """Post what can be."""
        open_ = [transaction_of(item) for item in self.transactions if not item.get("status")]
        ids = {item.uid: f"id{item.org}" for item in open_ if item.org}
        done = post(
            Head(self.points["balance"], self.points["entries"]),
            [(item, None) for item in open_],
            org_ids=ids,
            most=1000,
        )
        numbers = {entry.uid: entry for entry in done.posted}
        for item in self.transactions:
            if entry := numbers.get(item["metadata"]["uid"]):
                item["status"] = {"phase": "Posted", "entry": entry.number, "pool": "tokyo"}
                if entry.org_id:
                    item["status"]["orgID"] = entry.org_id
        self.points.update(balance=done.head.balance, entries=done.head.entries)
        for client in self.clients:
            status, mine = client["status"], [transaction_of(item) for item in self.transactions]
            status["points"]["balance"] = sum(
                item.org_change for item in mine if item.is_posted and item.org_id == status["orgID"]
            )
            periods = [item.period for item in mine if item.org_id == status["orgID"] and item.period]
            if periods:
                status["points"]["chargedThrough"] = max(periods)

    def find(self, name: str) -> Json:
        """The transaction of that name."""
        return next(item for item in self.transactions if item["metadata"]["name"] == name)

    def append_posted(self, like: str, name: str, spec: Json) -> None:
        """Post another one past the rules: like that one, but for its name and some of its spec."""
        copy = deepcopy(self.find(like))
        copy["metadata"] |= {"name": name, "uid": f"u-{name}-{len(self.transactions)}"}
        copy["spec"] |= spec
        self.points["entries"] += 1
        copy["status"]["entry"] = self.points["entries"]
        self.transactions.append(copy)

    def audit(self) -> Audit:
        """What the audit says."""
        return audit(self.transactions, [self.pool], self.clients)


def books() -> Books:
    """A ledger with something of everything, all of it right."""
    made = Books()
    for name in ("ant", "bee", "cat"):
        made.client(name)
    made.move("purchase", "external", "pool/tokyo", 5000, TransactionKind.PURCHASE)
    made.move("top-up", "pool/tokyo", "org/ant", 900, TransactionKind.TOP_UP)
    for number, name in enumerate(("ant", "bee")):
        group = {"name": "all", "size": 2}
        made.move(f"group-{number}", "pool/tokyo", f"org/{name}", 50, TransactionKind.TOP_UP, group=group)
    made.charge("ant", 4)
    made.charge("cat", 3, pause=3)
    made.post()
    made.move("top-up-reversal", "org/ant", "pool/tokyo", 900, TransactionKind.REVERSAL, reverses="top-up")
    settled = settlement_manifest(AGENCY, "bee", "idbee", "tokyo", 50)
    assert settled is not None
    made.add(settled)
    made.post()
    return made


def test_ledger_that_the_rules_made_has_no_findings() -> None:
    made = books()
    result = made.audit()

    assert result.findings == ()
    assert set(result.checked) == set(Invariant)
    assert min(result.checked.values()) > 0, "an invariant was checked for nothing"
    assert sum(result.balances.values()) == 0
    assert result.balances["pool/tokyo"] == made.points["balance"] == 5800 - 1000 + 100
    assert result.balances["org/bee/idbee"] == 0


# -- each invariant, broken alone -------------------------------------------------------------------------------------


def strange_account(made: Books) -> None:
    """To an account that does not exist."""
    made.append_posted("purchase", "p2", {"to": "bank/x"})


def pool_balance(made: Books) -> None:
    """The pool says it has one more."""
    made.points["balance"] += 1


def client_balance(made: Books) -> None:
    """A client says it has one more."""
    made.clients[0]["status"]["points"]["balance"] += 1


def overdrawn(made: Books) -> None:
    """A top-up of more than the pool had is posted, and a purchase after it."""
    made.append_posted("top-up", "big", {"amount": 9000})
    made.append_posted("purchase", "p2", {"amount": 9000})
    made.clients[0]["status"]["points"]["balance"] += 9000


def number_twice(made: Books) -> None:
    """One entry has another's number."""
    made.find("group-1")["status"]["entry"] = made.find("group-0")["status"]["entry"]


def charged_twice(made: Books) -> None:
    """The same charge is there once more, as from a backup."""
    made.append_posted("idant-charge-2026-09", "idant-charge-2026-09", {})
    made.clients[0]["status"]["points"]["balance"] -= 110


def missed_period(made: Books) -> None:
    """Charging went on after a gap, and does not say that it began anew."""
    chain = sorted(item["metadata"]["name"] for item in made.transactions if "idcat-charge" in item["metadata"]["name"])
    last = made.find(chain[-1])
    assert last["spec"]["charge"]["resumed"]
    last["spec"]["charge"]["resumed"] = False


def other_arithmetic(made: Books) -> None:
    """The frozen users make another amount."""
    made.find("idant-charge-2026-09")["spec"]["charge"]["users"] += 1


def reversal_of_another_amount(made: Books) -> None:
    """More is taken back than was given."""
    made.find("top-up-reversal")["spec"]["amount"] += 1
    made.points["balance"] += 1
    made.clients[0]["status"]["points"]["balance"] -= 1


def points_after_settlement(made: Books) -> None:
    """A settled client gets points."""
    made.append_posted("group-1", "late", {"amount": 7, "group": None})
    made.points["balance"] -= 7
    made.clients[1]["status"]["points"]["balance"] += 7


def half_a_group(made: Books) -> None:
    """One of a group of two is posted."""
    group = {"name": "half", "size": 2}
    made.append_posted("purchase", "half-1", {"amount": 1, "group": group})
    made.points["balance"] += 1
    made.move("half-2", "external", "pool/tokyo", 1, TransactionKind.PURCHASE, group=group)


BROKEN: list[tuple[Callable[[Books], None], Invariant, str]] = [
    (strange_account, Invariant.SUM_ZERO, "pointtransaction/p2"),
    (pool_balance, Invariant.POOL_BALANCE, "quotapool/tokyo"),
    (client_balance, Invariant.CLIENT_BALANCE, "clientorg/ant"),
    (overdrawn, Invariant.POOL_NOT_NEGATIVE, "quotapool/tokyo"),
    (number_twice, Invariant.ENTRIES, "quotapool/tokyo"),
    (charged_twice, Invariant.ONE_CHARGE, "pointtransaction/idant-charge-2026-09"),
    (missed_period, Invariant.NO_MISSED_PERIOD, "pointtransaction/idcat-charge-"),
    (other_arithmetic, Invariant.CHARGE_REPRODUCIBLE, "pointtransaction/idant-charge-2026-09"),
    (reversal_of_another_amount, Invariant.REVERSAL, "pointtransaction/top-up-reversal"),
    (points_after_settlement, Invariant.SETTLEMENT, "pointtransaction/idbee-settlement"),
    (half_a_group, Invariant.GROUPS, "group/half"),
]


def test_every_invariant_is_broken_once() -> None:
    assert {invariant for _, invariant, _ in BROKEN} == set(Invariant)


@pytest.mark.parametrize(("damage", "invariant", "where"), BROKEN)
def test_damage_is_found_and_nothing_else(damage: Callable[[Books], None], invariant: Invariant, where: str) -> None:
    made = books()
    damage(made)

    found = made.audit().findings

    assert {item.invariant for item in found} == {invariant}
    assert all(item.object.startswith(where) for item in found)


# -- entries in flight ------------------------------------------------------------------------------------------------


def put_in_flight(made: Books, name: str) -> None:
    """Committed in the pool's status, and not marked yet."""
    item = made.find(name)
    entry = {"name": name, "uid": item["metadata"]["uid"], **{key: item["status"][key] for key in ("entry", "orgID")}}
    made.points.setdefault("inFlight", []).append(entry)
    item["status"] = {"phase": "Waiting"}


@pytest.mark.parametrize("ahead", [False, True])
def test_entry_in_flight_counts_like_a_posted_one(ahead: bool) -> None:
    """The copy of the balance in the client's status may have it or not."""
    made = books()
    if not ahead:
        made.clients[0]["status"]["points"]["balance"] -= 50
    put_in_flight(made, "group-0")

    assert made.audit().findings == ()


def test_entry_in_flight_for_what_was_deleted_is_found() -> None:
    made = books()
    put_in_flight(made, "group-0")
    made.transactions.remove(made.find("group-0"))

    found = {(item.invariant, item.object) for item in made.audit().findings}

    assert (Invariant.ENTRIES, "quotapool/tokyo") in found
    assert (Invariant.POOL_BALANCE, "quotapool/tokyo") in found


def test_group_that_is_being_posted_is_no_finding() -> None:
    made = books()
    half_a_group(made)
    made.points["groups"] = [{"name": "half", "left": 1, "reserved": 0}]

    assert made.audit().findings == ()


# -- further damage ---------------------------------------------------------------------------------------------------


def invariants(made: Books) -> set[str]:
    """Names of those that do not hold."""
    return {item.invariant for item in made.audit().findings}


def test_deleted_charge_is_missed() -> None:
    made = books()
    made.transactions.remove(made.find("idant-charge-2026-09"))

    assert Invariant.NO_MISSED_PERIOD in invariants(made)


def test_last_charge_that_was_deleted_is_missed_by_the_clients_status() -> None:
    made = books()
    last = max(name for item in made.transactions if (name := item["metadata"]["name"]).startswith("idant-charge"))
    made.transactions.remove(made.find(last))

    assert Invariant.NO_MISSED_PERIOD in invariants(made)


def test_charge_under_another_name_is_found() -> None:
    made = books()
    made.find("idant-charge-2026-09")["metadata"]["name"] = "by-hand"

    assert invariants(made) == {Invariant.CHARGE_REPRODUCIBLE}


@pytest.mark.parametrize("damage", [{"periodDays": 0}, {"proratedDays": 40}, {"users": None}, {"dueTime": "soon"}])
def test_charge_that_cannot_be_computed_is_found(damage: Json) -> None:
    made = books()
    made.find("idant-charge-2026-07")["spec"]["charge"] |= {"proratedDays": 15, "periodDays": 31} | damage

    assert Invariant.CHARGE_REPRODUCIBLE in invariants(made)


def test_client_of_an_old_name_does_not_inherit() -> None:
    """bee was purged, and another client has its name now."""
    made = books()
    made.clients[1]["status"] = {"orgID": "idnew", "points": {"balance": 0}}
    assert made.audit().findings == ()

    made.clients[1]["status"]["points"]["balance"] = 50
    assert invariants(made) == {Invariant.CLIENT_BALANCE}


# -- ledgers that the rules made --------------------------------------------------------------------------------------


amounts = st.integers(1, 300)
orgs = st.sampled_from(["ant", "bee", "cat"])
moves = st.one_of(
    st.tuples(st.just("purchase"), orgs, amounts),
    st.tuples(st.just("top-up"), orgs, amounts),
    st.tuples(st.just("group"), orgs, amounts),
    st.tuples(st.just("reverse"), orgs, amounts),
    st.tuples(st.just("post"), orgs, amounts),
)


@given(st.lists(moves, max_size=25), st.dictionaries(orgs, st.tuples(st.integers(0, 8), st.integers(0, 4))))
def test_any_ledger_that_the_rules_made_has_no_findings(
    history: list[tuple[str, str, int]], charged: dict[str, tuple[int, int]]
) -> None:
    made = Books()
    for name in ("ant", "bee", "cat"):
        made.client(name)
    for name, (months, pause) in charged.items():
        made.charge(name, months, pause)
    for number, (what, org, amount) in enumerate(history):
        if what == "purchase":
            made.move(f"t{number}", "external", "pool/tokyo", amount, TransactionKind.PURCHASE)
        elif what == "top-up":
            made.move(f"t{number}", "pool/tokyo", f"org/{org}", amount, TransactionKind.TOP_UP)
        elif what == "group":
            for place, name in enumerate(("ant", org)):
                group, source = {"name": f"g{number}", "size": 2}, "pool/tokyo"
                made.move(f"t{number}-{place}", source, f"org/{name}", amount, TransactionKind.TOP_UP, group=group)
        elif what == "reverse":
            posted = [i for i in made.transactions if i.get("status") and i["spec"]["kind"] in ("Purchase", "TopUp")]
            item = posted[amount % len(posted)] if posted else None
            name = f"{item['metadata']['name']}-reversal" if item else ""
            if item and all(other["metadata"]["name"] != name for other in made.transactions):
                spec = item["spec"]
                made.move(
                    name, spec["to"], spec["from"], spec["amount"], TransactionKind.REVERSAL,
                    reverses=item["metadata"]["name"],
                )  # fmt: skip
        else:
            made.post()
    made.post()

    assert made.audit().findings == ()
