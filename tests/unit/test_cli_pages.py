"""Pages: describe with its advice, pools with their queue; all from objects, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clientorg.api.conditions import Reason
from clientorg.cli import advice as advice_module
from clientorg.cli.advice import advice
from clientorg.cli.describe import Facts, page
from clientorg.cli.pool import page as pool_page
from clientorg.cli.poolrows import BAR_WIDTH, bar, biggest, missing_text, queue, stock_rows
from clientorg.cli.rows import client_row
from tests.unit.cli_builders import client, granted, pool, ready

NOW = datetime(2026, 11, 1, 1, tzinfo=UTC)

FINE = {
    Reason.READY,
    Reason.ALLOCATED,
    Reason.PROVISIONED,
    Reason.WITHIN_CAPACITY,
    Reason.ACCEPTED,
    Reason.REDUCTION_WAITS,
    Reason.RUNNING,
    Reason.STOPPED,
    Reason.FRESH,
    Reason.DELIVERED,
    Reason.QUERIED,
    Reason.APPROVED,
    Reason.ON_TARGET,
    Reason.COVERED,
    Reason.WITHIN_LIMIT,
}
OF_POOLS = {
    Reason.IN_USE,
    Reason.OVER_COMMITTED,
    Reason.QUERY_FAILED,
    Reason.SUFFICIENT,
    Reason.LOW,
    Reason.SHORT,
}
OF_USAGE_REPORTS = {Reason.CLIENT_NOT_FOUND, Reason.TOO_MANY_SOURCES, Reason.OBSERVED_IN_FUTURE}
OF_APPROVALS = {Reason.SELF_APPROVAL, Reason.ALREADY_DECIDED, Reason.CLIENT_MISMATCH}
OF_TRANSACTIONS = {
    Reason.POSTED,
    Reason.POSTING,
    Reason.POOL_SHORT,
    Reason.GROUP_INCOMPLETE,
    Reason.FOREIGN_ACCOUNT,
    Reason.CLIENT_TERMINATED,
    Reason.REVERSAL_MISMATCH,
    Reason.BALANCE_OUT_OF_RANGE,
}
OF_SUBSCRIPTIONS = {Reason.TERM_OVERLAPS}
NOT_A_CLIENTS = OF_POOLS | OF_USAGE_REPORTS | OF_APPROVALS | OF_TRANSACTIONS | OF_SUBSCRIPTIONS
"""Reasons that only objects of other kinds have, and that cannot keep a client from Ready."""
OTHERWISE = {Reason.DELETING}  # told from the deletion's timestamp


@pytest.mark.parametrize("reason", sorted(set(Reason) - FINE - NOT_A_CLIENTS - OTHERWISE))
def test_every_reason_that_keeps_a_client_from_ready_has_advice(reason: str) -> None:
    """A new Reason in the API without advice fails here."""
    status = {"observedGeneration": 1, "conditions": [ready("False", reason, "why")]}
    lines = advice(client(status=status), pool(allocated=10, visitors=10), NOW)
    assert lines
    assert reason in advice_module._REMEDIES


def test_advice_knows_no_reason_that_the_api_does_not() -> None:
    assert set(Reason) >= advice_module._REMEDIES.keys()


def test_a_ready_client_needs_no_advice() -> None:
    assert advice(client(status=granted(visitors=500)), None, NOW) == []


def test_a_newer_spec_is_told_even_if_the_old_one_was_ready() -> None:
    lines = advice(client(status=granted(visitors=500), metadata={"generation": 2}), None, NOW)
    assert lines == ["The status is that of an earlier version; the operator has not answered the newest change yet."]


def test_a_client_nobody_has_seen_asks_whether_the_operator_runs() -> None:
    assert "kubectl get pods,leases -n clientorg-system" in advice(client(), None, NOW)[1]


def test_a_deletion_says_what_may_hold_it() -> None:
    item = client(
        metadata={"deletionTimestamp": "2026-11-01T00:55:00Z"}, status={"workspace": {"namespace": "acme-7k2m9q4xta"}}
    )
    text = "\n".join(advice(item, None, NOW))
    assert "5m" in text
    assert "kubectl get namespace acme-7k2m9q4xta" in text


def test_half_a_move_names_both_ways_out() -> None:
    item = client(
        metadata={"annotations": {"clientorg.dev/transfer-from": "globex/visitors/200/800"}},
        status={"observedGeneration": 1, "conditions": [ready("False", "TransferPending")]},
    )
    text = "\n".join(advice(item, None, NOW))
    assert "kubectl clientorg reallocate globex -n agency --license visitors --to 200" in text
    assert "kubectl annotate clientorgs acme -n agency clientorg.dev/transfer-from-" in text


def test_an_unknown_license_is_named_beside_those_there_are() -> None:
    item = client(
        licenses=[{"name": "visitors", "quantity": 5}, {"name": "seats", "quantity": 5}],
        status={"observedGeneration": 1, "conditions": [ready("False", "LicenseUnknown")]},
    )
    assert "has no license seats (it has visitors)" in advice(item, pool(visitors=5), NOW)[0]


def described(facts: Facts) -> str:
    """The page as text."""
    return "\n".join(page(facts, NOW, color=False))


def test_a_page_of_a_client_with_everything() -> None:
    item = client(
        status={
            **granted(visitors=500, used=480),
            "orgID": "7k2m9q4xta",
            "workspace": {"namespace": "acme-7k2m9q4xta", "url": "https://acme.example"},
        },
        address={"city": "Tokyo", "postalCode": "100-0001"},
        tags=["vip"],
        admins=[{"name": "yuki", "role": "Full"}],
    )
    text = described(
        Facts(
            item,
            {"metadata": {"name": "standard"}, "spec": {"displayName": "Standard"}},
            pool(allocated=500, visitors=900),
            [],
        )
    )
    for words in (
        "Plan:          standard (Standard)",
        "Org ID:        7k2m9q4xta",
        "Workspace:     acme-7k2m9q4xta",
        "URL:           https://acme.example",
        "City:      100-0001 Tokyo",
        "visitors      500       500    480          20            400",
        "yuki   User   Full   -",
        "Ready   True     60m   Ready",
    ):
        assert words in text
    assert "What to do" not in text
    assert "Events" not in text


def test_what_cannot_be_read_is_said_not_left_out() -> None:
    text = described(Facts(client(), None, None, None))
    assert "Plan:          standard (not found, or no right to read it)" in text
    assert "(no right to read them)" in text


def test_events_are_shown_newest_last_whichever_time_they_carry() -> None:
    events = [
        {"metadata": {}, "eventTime": "2026-11-01T00:30:00.000000Z", "type": "Normal", "reason": "Second", "note": "b"},
        {
            "metadata": {},
            "deprecatedLastTimestamp": "2026-11-01T00:10:00Z",
            "type": "Warning",
            "reason": "First",
            "note": "a",
        },
        {
            "metadata": {},
            "eventTime": "2026-10-01T00:00:00.000000Z",
            "series": {"count": 7, "lastObservedTime": "2026-11-01T00:40:00.000000Z"},
            "type": "Warning",
            "reason": "Third",
            "note": "c",
        },
    ]
    text = described(Facts(client(), None, None, events))
    assert [line.split() for line in text.splitlines() if "Normal" in line or "Warning" in line] == [
        ["50m", "Warning", "First", "1", "a"],
        ["30m", "Normal", "Second", "1", "b"],
        ["20m", "Warning", "Third", "7", "c"],
    ]


def waiting(name: str, position: int, since: str) -> Any:
    """A client in the queue."""
    status = {**granted(visitors=100), "pending": {"since": since, "position": position}}
    return client_row(client(name, status=status))


def test_the_queue_is_in_the_order_it_is_served() -> None:
    """Positions beyond ten are rounded, so that the time decides among equals."""
    rows = [
        waiting("c", 20, "2026-11-01T00:00:02Z"),
        waiting("b", 20, "2026-11-01T00:00:01Z"),
        waiting("a", 1, "2026-11-01T00:00:00Z"),
        client_row(client("ready", status=granted(visitors=500))),
    ]
    assert [row.name for row in queue(rows)] == ["a", "b", "c"]
    assert missing_text(rows[0]) == "visitors 400"


def test_the_biggest_hold_most() -> None:
    rows = [client_row(client(name, status=granted(visitors=count))) for name, count in (("a", 5), ("b", 9), ("c", 0))]
    assert [row.name for row, _ in biggest(rows, "visitors", 2)] == ["b", "a"]


@given(st.one_of(st.none(), st.floats(0, 3)), st.booleans())
@example(0.005, False)
@example(0.995, False)
def test_a_bar_is_full_only_when_nothing_is_left(share: float | None, unicode: bool) -> None:
    shown = bar(share, unicode=unicode)
    if share is None:
        assert shown == "-"
        return
    blocks, percent = shown.split(" ")
    full = "█" if unicode else "#"
    assert len(blocks) == BAR_WIDTH
    assert (blocks == full * BAR_WIDTH) == (share >= 1)
    assert (full not in blocks) == (share == 0)
    assert (percent == "0%") == (share == 0)
    assert not (percent == "100%" and share < 1)


def test_a_license_no_longer_in_the_pool_is_shown_while_it_is_held() -> None:
    item = pool(allocated=5, visitors=10, seats=3)
    item["spec"]["licenses"].pop()
    assert [(row.license, row.total, row.available) for row in stock_rows(item)] == [
        ("visitors", 10, 5),
        ("seats", 0, -5),
    ]


def test_a_page_of_a_pool() -> None:
    item = pool(allocated=900, visitors=1000)
    clients = [
        waiting("late", 1, "2026-11-01T00:00:00Z"),
        client_row(client("acme", status=granted(visitors=800, used=5))),
    ]
    text = "\n".join(pool_page(item, clients, NOW, top=5, color=False, unicode=False))
    for words in (
        "visitors   1,000         900         100         0   ##################.. 90%",
        "Waiting (1)",
        "late",
    ):
        assert words in text
    hidden = "\n".join(pool_page(item, None, NOW, top=5, color=False, unicode=False))
    assert "(its clients are not shown: no right to list them)" in hidden


# -- approval, users, points and the end of the contract --------------------------------------------------------------

BILLED: dict[str, Any] = {
    "metadata": {"name": "standard"},
    "spec": {
        "timeZone": "Asia/Tokyo",
        "approval": "Manual",
        "billing": {"basePoints": 1000, "pointsPerExtraUser": 50, "negativeToleranceDays": 3},
    },
}


def section(text: str, title: str) -> list[str]:
    """The lines of a section of a page, without their indent."""
    _, _, rest = text.partition(f"\n{title}\n")
    return [" ".join(line.split()) for line in rest.partition("\n\n")[0].splitlines()] if rest else []


def test_a_page_shows_who_asked_and_who_decided() -> None:
    waits = client(requestedBy="alice", metadata={"creationTimestamp": "2026-10-27T00:00:00Z"})
    assert section(described(Facts(waits, BILLED, None, [])), "Approval") == [
        "Requested by: alice",
        "Approval: overdue",
        "Waits since: 2026-10-27 09:00 JST (5d1h ago)",
        "Waited: 3 of 3 business days",
        "To work by: 2026-10-31 00:00 JST (34h ago)",
    ]
    record = {"requestedTime": "2026-10-30T00:00:00Z", "dueTime": "2026-11-04T15:00:00Z", "by": "bob", "reason": "fine"}
    record |= {"decision": "Approve", "decidedTime": "2026-10-31T00:00:00Z"}
    decided = client(requestedBy="alice", status={**granted(visitors=500), "approval": record})
    found = section(described(Facts(decided, BILLED, None, [])), "Approval")
    assert found[1:4] == ["Approval: approved by bob", "Decided: 2026-10-31 09:00 JST (25h ago)", "Reason: fine"]
    automatic = described(Facts(client(status=granted(visitors=500)), {"metadata": {"name": "p"}}, None, []))
    assert section(automatic, "Approval") == []


def test_a_page_shows_users_and_points_with_their_arithmetic() -> None:
    status = {
        **granted(visitors=500),
        "users": {"contracted": 30, "used": 31},
        "points": {
            "balance": -250,
            "pending": 500,
            "chargesFrom": "2026-03",
            "chargedThrough": "2026-10",
            "runwayMonths": 0,
            "negativeSince": "2026-10-30T15:00:00Z",
        },
    }
    text = described(Facts(client(contractedUsers=25, status=status), BILLED, None, []))
    assert section(text, "Users") == ["Contracted: 30, 25 from the next period on", "Used: 31 (1 too many)"]
    assert section(text, "Points") == [
        "Balance: -250",
        "Not posted yet: +500",
        "Next charge: 1,000 + (25 − 10) × 50 = 1,750 points for 2026-11, 2026-11-25 00:00 JST (in 23d)",
        "Projected: -2,000 after it",
        "Runway: 0 charges like the next",
        "Below zero: since 2026-10-31 00:00 JST (34h ago)",
        "Is paused: 2026-11-03 00:00 JST (in 38h), if it is still below zero then",
    ]


@pytest.mark.parametrize(
    ("wanted", "found", "lines"),
    [
        (
            {"time": "2027-01-30T15:00:00Z"},
            {"scheduledTime": "2027-01-30T15:00:00Z"},
            ["Ends: 2027-01-31 00:00 JST (in 90d)"],
        ),
        (
            {"immediate": True},
            {"executedTime": "2026-11-01T00:00:00Z"},
            ["Terminated: 2026-11-01 09:00 JST (60m ago)", "Settled: not yet"],
        ),
        (
            {"immediate": True},
            {
                "executedTime": "2026-11-01T00:00:00Z",
                "settledTime": "2026-11-01T00:30:00Z",
                "settlement": "x-settlement",
            },
            ["Terminated: 2026-11-01 09:00 JST (60m ago)", "Settled: 2026-11-01 09:30 JST (30m ago) (x-settlement)"],
        ),
    ],
)
def test_a_page_shows_the_end_of_the_contract(wanted: dict[str, Any], found: dict[str, Any], lines: list[str]) -> None:
    consent = {"acceptedBy": "yuki", "acceptedTime": "2026-10-20T00:00:00Z", "text": "a letter"}
    item = client(termination={**wanted, "consent": consent}, status={**granted(visitors=500), "termination": found})
    shown = section(described(Facts(item, BILLED, None, [])), "Termination")
    assert shown == [lines[0], "Consent: yuki, 2026-10-20 09:00 JST: a letter", *lines[1:]]


def paused_for_balance(*reasons: str) -> dict[str, Any]:
    """A client that owes points, and is paused for these reasons."""
    conditions = [
        ready("True", "Paused" if reasons else "Ready"),
        {"type": "BalanceNegative", "status": "True", "reason": "NegativeBalance"},
    ]
    points = {"balance": -250, "negativeSince": "2026-10-30T15:00:00Z"}
    return client(
        status={"observedGeneration": 1, "conditions": conditions, "points": points, "pauseReasons": list(reasons)}
    )


def test_who_owes_points_is_told_until_when_and_how_to_add_some() -> None:
    text = "\n".join(advice(paused_for_balance(), None, NOW, BILLED))
    assert "below zero (-250), and it is paused 2026-11-03 00:00 JST (in 38h). Add points:" in text
    assert "kubectl clientorg points add acme -n agency" in text


def test_what_a_pause_and_a_condition_say_both_is_said_once() -> None:
    lines = advice(paused_for_balance("NegativeBalance"), None, NOW, BILLED)
    assert sum("points add acme" in line for line in lines) == 1
    assert "for too long; it goes on when it is not any more" in lines[0]


def test_side_conditions_of_a_ready_client_have_advice() -> None:
    conditions = [
        ready("True", "Ready"),
        {"type": "UsersOverLimit", "status": "True", "reason": "OverLimit"},
        {"type": "ApprovalOnTarget", "status": "False", "reason": "Overdue"},
    ]
    users = {"contracted": 10, "used": 12}
    text = "\n".join(
        advice(client(status={"observedGeneration": 1, "conditions": conditions, "users": users}), None, NOW)
    )
    assert "more users (12) than the contract covers (10)" in text
    assert "kubectl clientorg approvals -n agency" in text
