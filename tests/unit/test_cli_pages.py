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
}
NOT_A_CLIENTS = {
    Reason.IN_USE,
    Reason.OVER_COMMITTED,
    Reason.QUERY_FAILED,  # a pool's
    Reason.CLIENT_NOT_FOUND,  # a usage report's, as the next two
    Reason.TOO_MANY_SOURCES,
    Reason.OBSERVED_IN_FUTURE,
}
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
    text = described(Facts(item, {"spec": {"displayName": "Standard"}}, pool(allocated=500, visitors=900), []))
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
