"""What may be posted, in which order, and that the pool never falls below zero (FEATURES S6, S10)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clientorg.api.conditions import Reason
from clientorg.api.meta import MAX_QUANTITY
from clientorg.api.pointtransaction import Phase, TransactionKind
from clientorg.api.quotapool import PoolPointsStatus
from clientorg.domain.ledger import (
    GroupState,
    Head,
    Transaction,
    charge_name,
    fold,
    reversal_name,
    settlement,
    settlement_name,
)
from clientorg.domain.ledger_posting import MAX_GROUPS, Round, post
from clientorg.domain.ledger_rules import OrgAccount, Refusal, judge

KIND_OF = {
    "external pool": TransactionKind.PURCHASE,
    "pool org": TransactionKind.TOP_UP,
    "org pool": TransactionKind.WITHDRAWAL,
    "org consumed": TransactionKind.CHARGE,
}
ORG_IDS = {name: f"id-{name}" for name in ("ant", "bee", "cat")}
FOREVER = Refusal(Reason.CLIENT_TERMINATED, "", is_final=True)
FOR_NOW = Refusal(Reason.CLIENT_NOT_FOUND, "")


def move(name: str, source: str, target: str, amount: int, **fields: Any) -> Transaction:
    """A movement; its UID is `u-<name>`, and it was made in the order of names."""
    kind = KIND_OF.get(f"{source.split('/', maxsplit=1)[0]} {target.split('/', maxsplit=1)[0]}")
    default = {"kind": kind or TransactionKind.REVERSAL, "created": "2026-11-01T00:00:00Z"}
    return Transaction(f"u-{name}", name, source=source, target=target, amount=amount, **{**default, **fields})


def purchase(name: str, amount: int, **fields: Any) -> Transaction:
    """The pool gets points."""
    return move(name, "external", "pool/tokyo", amount, **fields)


def top_up(name: str, amount: int, org: str = "ant", **fields: Any) -> Transaction:
    """A client gets points of the pool."""
    return move(name, "pool/tokyo", f"org/{org}", amount, **fields)


def withdraw(name: str, amount: int, org: str = "ant", **fields: Any) -> Transaction:
    """The pool gets them back."""
    return move(name, f"org/{org}", "pool/tokyo", amount, **fields)


def charge(name: str, amount: int, org: str = "ant", **fields: Any) -> Transaction:
    """A client pays."""
    return move(name, f"org/{org}", "consumed", amount, **fields)


def reversal(of: Transaction, **fields: Any) -> Transaction:
    """The same the other way round."""
    default = {"reverses": of.name, "kind": TransactionKind.REVERSAL}
    return move(reversal_name(of.name), of.target, of.source, of.amount, **{**default, **fields})


def account(name: str = "ant", **fields: Any) -> OrgAccount:
    """A client of the pool tokyo, that has nothing."""
    default: dict[str, Any] = {"org_id": f"id-{name}", "pool": "tokyo", "balance": 0}
    return OrgAccount(name, **{**default, **fields})


def round_of(
    head: Head,
    *transactions: Transaction,
    most: int = 100,
    strict: bool = False,
    refusals: Mapping[str, Refusal] | None = None,
) -> Round:
    """One round; refusals are by name."""
    judged = [(item, (refusals or {}).get(item.name)) for item in transactions]
    org_ids = {item.uid: f"id-{item.org}" for item in transactions if item.org}
    return post(head, judged, org_ids=org_ids, most=most, strict=strict)


def names(done: Round) -> list[str]:
    """What was posted, in the order of its numbers."""
    return [entry.name for entry in sorted(done.posted, key=lambda entry: entry.number)]


def why(done: Round) -> dict[str, Reason]:
    """Name to reason of what was not posted."""
    return {uid.removeprefix("u-"): refusal.reason for uid, refusal in done.refused.items()}


# -- judge: clients ---------------------------------------------------------------------------------------------------


def refused(
    item: Transaction, at: OrgAccount | None = None, original: Transaction | None = None
) -> tuple[Reason, bool]:
    """Reason, and whether it is final."""
    refusal = judge(item, "tokyo", at, original)
    assert refusal is not None
    assert refusal.message.startswith("spec.")
    return refusal.reason, refusal.is_final


@pytest.mark.parametrize("item", [top_up("a", 5), withdraw("a", 5), charge("a", 5)])
def test_client_of_the_pool_may_have_what_it_likes(item: Transaction) -> None:
    assert judge(item, "tokyo", account(), None) is None


def test_purchase_needs_no_client() -> None:
    assert judge(purchase("a", 5), "tokyo", None, None) is None


def test_unknown_client_is_waited_for() -> None:
    assert refused(top_up("a", 5)) == (Reason.CLIENT_NOT_FOUND, False)


def test_org_id_means_that_client_and_no_later_one_of_the_name() -> None:
    item = top_up("a", 5, org_id="id-of-the-former")

    assert refused(item, account()) == (Reason.CLIENT_NOT_FOUND, False)
    assert judge(item, "tokyo", account(org_id="id-of-the-former"), None) is None


def test_account_of_a_client_that_is_gone_is_settled_all_the_same() -> None:
    kind = TransactionKind.SETTLEMENT
    assert judge(charge("a", 5, kind=kind, org_id="id-ant"), "tokyo", None, None) is None
    assert refused(charge("a", 5, kind=kind)) == (Reason.CLIENT_NOT_FOUND, False)


def test_charge_of_a_client_that_is_gone_is_not_posted_after_its_settlement() -> None:
    """The settlement waited for every charge; one that comes later is from a process that did not know of the end."""
    assert refused(charge("a", 5, org_id="id-ant")) == (Reason.CLIENT_NOT_FOUND, False)


def test_charge_that_was_due_after_the_end_of_the_contract_is_refused() -> None:
    end = datetime(2026, 11, 25, tzinfo=UTC)
    ended = account(terminated=True, ends=end)

    assert refused(charge("a", 5, org_id="id-ant", due=end), ended) == (Reason.CLIENT_TERMINATED, True)
    assert judge(charge("a", 5, org_id="id-ant", due=end - timedelta(days=1)), "tokyo", ended, None) is None


def test_client_of_another_pool_is_foreign() -> None:
    assert refused(top_up("a", 5), account(pool="osaka")) == (Reason.FOREIGN_ACCOUNT, True)
    assert refused(charge("a", 5), account(pool="osaka")) == (Reason.FOREIGN_ACCOUNT, True)


@pytest.mark.parametrize(
    ("item", "at"),
    [
        (move("a", "external", "pool/osaka", 5), None),
        (move("a", "pool/osaka", "org/ant", 5), account()),
        (move("a", "pool/osaka", "org/ant", 5, kind=TransactionKind.SETTLEMENT, org_id="id-ant"), None),
    ],
)
def test_points_of_another_pool_are_foreign(item: Transaction, at: OrgAccount | None) -> None:
    assert refused(item, at) == (Reason.FOREIGN_ACCOUNT, True)


def test_terminated_client_is_only_charged_and_settled() -> None:
    ended = account(terminated=True, balance=50)

    assert refused(top_up("a", 5), ended) == (Reason.CLIENT_TERMINATED, True)
    assert refused(withdraw("a", 5), ended) == (Reason.CLIENT_TERMINATED, True)
    assert refused(reversal(charge("c", 5, phase=Phase.POSTED)), ended) == (Reason.CLIENT_TERMINATED, True)
    assert judge(charge("a", 5), "tokyo", ended, None) is None
    assert judge(charge("a", 50, kind=TransactionKind.SETTLEMENT), "tokyo", ended, None) is None


def test_ledger_of_a_contract_that_ended_comes_back_from_a_backup() -> None:
    """All that was entered before its end is entered again; no charge that fell due after it."""
    end = datetime(2026, 11, 25, tzinfo=UTC)
    ended = account(terminated=True, balance=50, ends=end, is_restoring=True)

    assert judge(top_up("a", 5), "tokyo", ended, None) is None
    assert judge(withdraw("a", 5), "tokyo", ended, None) is None
    assert judge(charge("a", 5, org_id="id-ant", due=end - timedelta(days=1)), "tokyo", ended, None) is None
    assert refused(charge("a", 5, org_id="id-ant", due=end), ended) == (Reason.CLIENT_TERMINATED, True)


@pytest.mark.parametrize(
    ("item", "balance"),
    [(top_up("a", 5), MAX_QUANTITY - 4), (charge("a", 5), 4 - MAX_QUANTITY), (withdraw("a", 5), 4 - MAX_QUANTITY)],
)
def test_balance_of_a_client_stays_within_what_json_keeps(item: Transaction, balance: int) -> None:
    nearer = balance - 1 if balance > 0 else balance + 1

    assert refused(item, account(balance=balance)) == (Reason.BALANCE_OUT_OF_RANGE, True)
    assert judge(item, "tokyo", account(balance=nearer), None) is None


# -- judge: reversals -------------------------------------------------------------------------------------------------


def test_posted_transaction_is_reversed_the_other_way_round() -> None:
    original = top_up("a", 5, phase=Phase.POSTED, org_id="id-ant")

    assert judge(reversal(original), "tokyo", account(), original) is None


@pytest.mark.parametrize("original", [None, top_up("a", 5), top_up("a", 5, phase=Phase.WAITING)])
def test_reversal_of_what_is_not_posted_waits(original: Transaction | None) -> None:
    assert refused(reversal(top_up("a", 5)), account(), original) == (Reason.REVERSAL_MISMATCH, False)


@pytest.mark.parametrize("other", [{"amount": 4}, {"source": "org/bee"}, {"target": "external"}])
def test_reversal_of_another_movement_is_refused_for_ever(other: dict[str, Any]) -> None:
    original = top_up("a", 5, phase=Phase.POSTED)
    fields = {"source": "org/ant", "target": "pool/tokyo", "amount": 5, **other}
    item = move("a-reversal", **fields, kind=TransactionKind.REVERSAL, reverses="a")

    assert refused(item, account(), original) == (Reason.REVERSAL_MISMATCH, True)


def test_reversal_does_not_reach_a_later_client_of_the_name() -> None:
    original = top_up("a", 5, phase=Phase.POSTED, org_id="id-of-the-former")

    assert refused(reversal(original), account(), original) == (Reason.REVERSAL_MISMATCH, True)


# -- post: order ------------------------------------------------------------------------------------------------------


def test_entries_are_numbered_on_from_the_last() -> None:
    done = round_of(Head(balance=20, entries=7), top_up("a", 5), top_up("b", 6, "bee"))

    assert [(entry.name, entry.number, entry.org_id) for entry in done.posted] == [
        ("a", 8, "id-ant"),
        ("b", 9, "id-bee"),
    ]
    assert done.head == Head(balance=9, entries=9)
    assert (done.refused, done.waiting, done.waiting_points) == ({}, 0, 0)


def test_first_come_first_served_by_creation_and_then_by_name() -> None:
    late = top_up("a", 6, created="2026-11-02T00:00:00Z")

    done = round_of(Head(balance=12), late, top_up("c", 6), top_up("b", 6))

    assert names(done) == ["b", "c"]
    assert why(done) == {"a": Reason.POOL_SHORT}


def test_best_effort_lets_a_small_one_overtake_and_strict_does_not() -> None:
    queue = [top_up("a", 9), top_up("b", 3), charge("c", 100)]

    loose, strict = round_of(Head(balance=5), *queue), round_of(Head(balance=5), *queue, strict=True)

    assert names(loose) == ["c", "b"]
    assert names(strict) == ["c"], "charges take nothing from the pool"
    assert why(strict) == {"a": Reason.POOL_SHORT, "b": Reason.POOL_SHORT}
    assert "lacks 4 of 9 points" in strict.refused["u-a"].message
    assert "earlier transactions are served first" in strict.refused["u-b"].message
    assert (strict.waiting, strict.waiting_points) == (2, 12)
    assert (loose.waiting, loose.waiting_points) == (1, 9)


def test_purchase_of_the_same_round_serves_the_top_ups_that_wait() -> None:
    done = round_of(Head(), top_up("a", 5), purchase("b", 8, created="2026-11-09T00:00:00Z"))

    assert names(done) == ["b", "a"]
    assert done.head.balance == 3


def test_withdrawal_of_the_same_round_serves_them_too() -> None:
    assert names(round_of(Head(), top_up("a", 5, "bee"), withdraw("b", 5))) == ["b", "a"]


def test_purchase_that_is_spent_cannot_be_reversed_before_the_pool_has_the_points() -> None:
    item = reversal(purchase("a", 5))

    assert why(round_of(Head(balance=4), item)) == {"a-reversal": Reason.POOL_SHORT}
    assert round_of(Head(balance=5), item).head == Head(balance=0, entries=1)


def test_round_has_at_most_so_many_entries_and_the_rest_comes_next() -> None:
    queue = [top_up(name, 1) for name in "abcde"]

    first = round_of(Head(balance=5), *queue, most=3)
    second = round_of(first.head, *queue[3:], most=3)

    assert names(first) == ["a", "b", "c"]
    assert (first.waiting, first.waiting_points, dict(first.refused)) == (2, 2, {})
    assert names(second) == ["d", "e"]
    assert second.head == Head(balance=0, entries=5)


def test_refused_transactions_keep_their_reason_and_move_nothing() -> None:
    done = round_of(Head(balance=9), top_up("a", 5), top_up("b", 5), refusals={"a": FOREVER})

    assert done.refused["u-a"] is FOREVER
    assert names(done) == ["b"]


def test_pool_holds_no_more_than_json_keeps() -> None:
    done = round_of(Head(balance=MAX_QUANTITY - 5), purchase("a", 6), purchase("b", 5), withdraw("c", 1))

    assert names(done) == ["b"]
    assert why(done) == {"a": Reason.BALANCE_OUT_OF_RANGE, "c": Reason.BALANCE_OUT_OF_RANGE}
    assert all(refusal.is_final for refusal in done.refused.values())


# -- post: groups -----------------------------------------------------------------------------------------------------


def group(*items: Transaction, name: str = "g", size: int | None = None) -> list[Transaction]:
    """The same transactions as a group."""
    made = (size if size is not None else len(items), name)
    return [
        Transaction(**{field: getattr(item, field) for field in Transaction.__slots__} | {"group": made[::-1]})
        for item in items
    ]


def test_group_waits_until_all_of_it_is_there() -> None:
    done = round_of(Head(balance=9), *group(top_up("a", 1), top_up("b", 1), size=3), top_up("c", 9))

    assert names(done) == ["c"]
    assert why(done) == {"a": Reason.GROUP_INCOMPLETE, "b": Reason.GROUP_INCOMPLETE}
    assert (done.waiting, done.waiting_points) == (2, 2)


def test_group_is_posted_whole_or_not_at_all() -> None:
    members = group(top_up("a", 4), top_up("b", 4))

    short, enough = round_of(Head(balance=7), *members), round_of(Head(balance=8), *members)

    assert names(short) == []
    assert why(short) == {"a": Reason.POOL_SHORT, "b": Reason.POOL_SHORT}
    assert "lacks 1 of 8 points" in short.refused["u-a"].message
    assert names(enough) == ["a", "b"]
    assert enough.head == Head(balance=0, entries=2)


def test_member_that_cannot_be_posted_keeps_the_others_back() -> None:
    members = group(top_up("a", 4), top_up("b", 4))

    done = round_of(Head(balance=9), *members, refusals={"b": FOREVER})

    assert names(done) == []
    assert why(done) == {"a": Reason.GROUP_INCOMPLETE, "b": Reason.CLIENT_TERMINATED}


def test_group_larger_than_a_round_keeps_its_points_until_it_is_posted() -> None:
    members = group(*(top_up(name, 2) for name in "abcde"))
    rival = top_up("0", 3)

    first = round_of(Head(balance=12), *members, most=2)
    second = round_of(first.head, *members[2:], rival, most=2)
    third = round_of(second.head, *members[4:], rival, most=2)

    assert (names(first), first.head.groups) == (["a", "b"], (GroupState("g", 3, 6),))
    assert (names(second), second.head.groups) == (["c", "d"], (GroupState("g", 1, 2),))
    assert names(third) == ["e"]
    assert third.head == Head(balance=2, entries=5)
    assert why(third) == {"0": Reason.POOL_SHORT}


@pytest.mark.parametrize("strict", [False, True])
def test_group_that_was_begun_is_finished_whatever_waits(strict: bool) -> None:
    head = Head(balance=6, groups=(GroupState("g", 1, 4),))
    members = group(top_up("z", 4), size=9)

    done = round_of(head, top_up("a", 100), *members, purchase("p", 1), most=1, strict=strict)

    assert names(done) == ["z"]
    assert done.head == Head(balance=2, entries=1)


def test_points_of_a_group_are_not_taken_by_others_meanwhile() -> None:
    """Its members are not posted in this round because their client has gone; they wait for it."""
    head = Head(balance=6, groups=(GroupState("g", 1, 4),))
    member = group(top_up("z", 4), size=9)

    done = round_of(head, *member, top_up("a", 3), top_up("b", 2), refusals={"z": FOR_NOW})

    assert names(done) == ["b"]
    assert done.head.groups == head.groups
    assert "lacks 1 of 3 points" in done.refused["u-a"].message


@pytest.mark.parametrize("refusals", [{"z": FOREVER}, {}])
def test_member_that_is_rejected_or_deleted_sets_its_points_free(refusals: dict[str, Refusal]) -> None:
    head = Head(balance=6, groups=(GroupState("g", 1, 4),))
    queue = [*(group(top_up("z", 4), size=9) if refusals else []), top_up("a", 6)]

    done = round_of(head, *queue, refusals=refusals)

    assert names(done) == ["a"]
    assert done.head == Head(balance=0, entries=1)


def test_group_that_gives_and_takes_needs_only_the_difference() -> None:
    members = group(top_up("a", 10, "bee"), withdraw("b", 7))

    assert names(round_of(Head(balance=3), *members)) == ["b", "a"]
    assert why(round_of(Head(balance=2), *members)) == {"a": Reason.POOL_SHORT, "b": Reason.POOL_SHORT}


def test_points_that_a_group_gives_are_kept_for_what_it_takes() -> None:
    """What it gives is posted, then the round is full; nobody else may have those points."""
    members = group(withdraw("a", 10), top_up("b", 10, "bee"))

    first = round_of(Head(), *members, most=1)
    second = round_of(first.head, members[1], top_up("0", 10, "cat"), most=5)

    assert first.head == Head(balance=10, entries=1, groups=(GroupState("g", 1, 10),))
    assert names(second) == ["b"]
    assert second.head == Head(balance=0, entries=2)


def test_what_a_group_gives_is_there_before_it_takes_even_when_another_gives_later() -> None:
    """Short as the round begins, and served by a purchase of the same round: what it gives still comes first."""
    members = group(top_up("a", 10, "bee"), withdraw("b", 5))

    done = round_of(Head(balance=3), *members, purchase("p", 4), most=2)

    assert names(done) == ["p", "b"]
    assert done.head.groups == (GroupState("g", 1, 10),)
    assert names(round_of(done.head, members[0])) == ["a"]


def test_group_does_not_begin_if_what_it_gives_is_more_than_the_pool_can_hold() -> None:
    members = group(withdraw("a", 3), withdraw("b", 3, "bee"))

    done = round_of(Head(balance=MAX_QUANTITY - 5), *members)

    assert names(done) == []
    assert set(why(done).values()) == {Reason.BALANCE_OUT_OF_RANGE}


def test_room_that_a_group_needs_is_kept_for_it() -> None:
    members = group(withdraw("b", 3), withdraw("c", 3, "bee"))

    first = round_of(Head(balance=MAX_QUANTITY - 8), *members, most=1)
    second = round_of(first.head, members[1], purchase("a", 3), most=9)

    assert names(second) == ["c"]
    assert why(second) == {"a": Reason.BALANCE_OUT_OF_RANGE}


def test_strict_queue_is_not_overtaken_by_a_group() -> None:
    members = group(top_up("b", 1), top_up("c", 1))

    done = round_of(Head(balance=5), top_up("a", 9), *members, strict=True)

    assert names(done) == []
    assert "earlier transactions are served first" in done.refused["u-b"].message


def test_largest_size_counts_where_members_disagree() -> None:
    members = [*group(top_up("a", 1), size=1), *group(top_up("b", 1), size=3)]

    assert why(round_of(Head(balance=5), *members)) == {"a": Reason.GROUP_INCOMPLETE, "b": Reason.GROUP_INCOMPLETE}


def test_no_more_groups_are_begun_than_the_pool_can_remember() -> None:
    stuck = [group(top_up(f"s{number}", 1), name=f"stuck-{number}", size=2)[0] for number in range(MAX_GROUPS)]
    head = Head(balance=50, groups=tuple(GroupState(f"stuck-{number}", 1, 1) for number in range(MAX_GROUPS)))
    refusals = {item.name: FOR_NOW for item in stuck}

    done = round_of(head, *stuck, *group(top_up("a", 1)), top_up("b", 1), refusals=refusals)
    freed = round_of(head, *stuck[1:], *group(top_up("a", 1)), refusals=refusals)

    assert names(done) == ["b"]
    assert why(done)["a"] is Reason.POSTING
    assert names(freed) == ["a"]


def test_pool_remembers_as_many_groups_as_the_rules_say() -> None:
    field = PoolPointsStatus.model_json_schema()["properties"]["groups"]

    assert field["anyOf"][0]["maxItems"] == MAX_GROUPS


# -- settlement, names, folds -----------------------------------------------------------------------------------------


def test_shortfall_is_made_up_from_the_pool_and_a_surplus_is_consumed() -> None:
    assert settlement("ant", "tokyo", -30) == ("pool/tokyo", "org/ant", 30)
    assert settlement("ant", "tokyo", 70) == ("org/ant", "consumed", 70)
    assert settlement("ant", "tokyo", 0) is None


def test_what_must_happen_once_has_one_name() -> None:
    assert charge_name("id", "2026-11") == "id-charge-2026-11"
    assert settlement_name("id") == "id-settlement"
    assert reversal_name("a") == "a-reversal"


def test_only_what_is_posted_counts_and_all_accounts_sum_to_zero() -> None:
    posted = [
        purchase("a", 100, phase=Phase.POSTED),
        top_up("b", 30, phase=Phase.POSTED),
        charge("c", 40, phase=Phase.POSTED),
        top_up("d", 5, phase=Phase.WAITING),
        top_up("e", 6),
    ]

    balances = fold(posted)

    assert balances == {"external": -100, "pool/tokyo": 70, "org/ant": -10, "consumed": 40}
    assert sum(balances.values()) == 0
