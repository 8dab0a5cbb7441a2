"""`points replenish`: who needs what, once, also when two do it at once or one is interrupted (FEATURES S9, S10)."""

from __future__ import annotations

import signal
from typing import Any

import orjson
import pytest

from clientorg.api.pointtransaction import TransactionKind
from clientorg.cli.exits import ExitCode
from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, POINT_TRANSACTIONS, QUOTA_POOLS
from clientorg.domain.ledger import Head, Transaction
from clientorg.domain.ledger_posting import post
from clientorg.domain.ledger_records import transaction_of
from clientorg.errors import UnreachableError
from tests.unit.cli_cluster import AGENCY, USER, CliCluster, cluster, run

Json = dict[str, Any]
Capture = pytest.CaptureFixture[str]

__all__ = ["cluster"]


@pytest.fixture
def agency(cluster: CliCluster) -> CliCluster:
    """acme lacks 200 for the charge of 1,000, globex 750 of 1,250 (15 users), initech nothing."""
    cluster.plan()
    cluster.pool(balance=5000, entries=3)
    cluster.client("acme", balance=800)
    cluster.client("globex", users=15, balance=500)
    cluster.client("initech", balance=1000)
    return cluster


def amounts(agency: CliCluster) -> dict[str, int]:
    """Name to points of what is not posted."""
    return {name: spec["amount"] for name, spec in agency.made().items()}


BOTH = {"idacme-replenish-2026-11-1": 200, "idglobex-replenish-2026-11-1": 750}


def test_everybody_gets_exactly_what_the_next_charge_needs(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "replenish", "--all", "--yes")
    assert answer.code == ExitCode.OK, answer.err
    assert amounts(agency) == BOTH
    assert agency.made()["idacme-replenish-2026-11-1"] == {
        "kind": "TopUp",
        "from": "pool/tokyo",
        "to": "org/acme",
        "amount": 200,
        "orgID": "idacme",
        "reason": "replenished for 2026-11",
        "requestedBy": USER,
    }
    due = "2026-11-25 00:00 UTC"
    assert answer.row("acme") == ["acme", "800", "0", "1,000", due, "-200", "+200", "0"]
    assert answer.row("globex") == ["globex", "500", "0", "1,250", due, "-750", "+750", "0"]
    assert answer.row("tokyo") == ["tokyo", "5,000", "0", "950", "4,050"]
    assert "initech" not in answer.out
    assert "2 top-ups created" in answer.out


def test_what_was_topped_up_is_exactly_what_the_charge_takes(agency: CliCluster, capsys: Capture) -> None:
    """S9: after the charge nobody is below zero, and nobody has a point too many."""
    run(capsys, "points", "replenish", "--all", "--yes")
    for name, spec in agency.made().items():
        agency.post(name, spec["kind"], spec["from"], spec["to"], spec["amount"])
    agency.charge("acme", "2026-11", 1000)
    agency.charge("globex", "2026-11", 1250)
    transactions = [transaction_of(item) for item in agency.server.found(POINT_TRANSACTIONS, AGENCY)]
    balances = {name: sum(t.org_change for t in transactions if t.org == name) for name in ("acme", "globex")}
    assert balances == {"acme": 0, "globex": 0}


def test_a_second_run_finds_nothing_to_do(agency: CliCluster, capsys: Capture) -> None:
    """Also right after the first, when no status shows it yet; and when it is posted but the status is behind."""
    run(capsys, "points", "replenish", "--all", "--yes")
    again = run(capsys, "points", "replenish", "--all", "--yes")
    assert "nothing to do: no client is below 0 after its next charge" in again.out
    agency.post("idacme-replenish-2026-11-1", "TopUp", "pool/tokyo", "org/acme", 200)
    assert "nothing to do" in run(capsys, "points", "replenish", "--all", "--yes").out
    assert len(agency.creations()) == 2


def test_a_charge_that_no_status_shows_yet_is_not_counted_twice(agency: CliCluster, capsys: Capture) -> None:
    agency.charge("initech", "2026-11", 1000)
    run(capsys, "points", "replenish", "initech", "--yes")
    assert amounts(agency) == {"idinitech-replenish-2026-12-1": 1000}


def test_points_on_their_way_count(agency: CliCluster, capsys: Capture) -> None:
    agency.transaction("order-1", "TopUp", "pool/tokyo", "org/acme", 150)
    answer = run(capsys, "points", "replenish", "--all", "--dry-run", "-o", "json")
    whole = orjson.loads(answer.out)
    assert [(one["client"], one["pending"], one["amount"]) for one in whole["topUps"]] == [
        ("acme", 150, 50),
        ("globex", 0, 750),
    ]
    assert whole["pools"] == [
        {"name": "tokyo", "balance": 5000, "waiting": 150, "asked": 800, "left": 4050, "missing": 0}
    ]


def test_a_rejected_transaction_does_not_count_and_its_name_is_not_taken_again(
    agency: CliCluster, capsys: Capture
) -> None:
    agency.transaction("idacme-replenish-2026-11-1", "TopUp", "pool/tokyo", "org/acme", 200)
    agency.server.edit_status(POINT_TRANSACTIONS, AGENCY, "idacme-replenish-2026-11-1", {"phase": "Rejected"})
    run(capsys, "points", "replenish", "acme", "--yes")
    assert agency.made()["idacme-replenish-2026-11-2"]["amount"] == 200


def test_a_later_need_of_the_same_period_gets_the_next_number(agency: CliCluster, capsys: Capture) -> None:
    run(capsys, "points", "replenish", "acme", "--yes")
    agency.server.edit(CLIENT_ORGS, AGENCY, "acme", {"spec": {"contractedUsers": 12}})
    run(capsys, "points", "replenish", "acme", "--yes")
    assert amounts(agency) == {"idacme-replenish-2026-11-1": 200, "idacme-replenish-2026-11-2": 100}


def test_to_keeps_so_many_points(agency: CliCluster, capsys: Capture) -> None:
    run(capsys, "points", "replenish", "--all", "--to", "100", "--yes")
    assert amounts(agency) == {
        "idacme-replenish-2026-11-1": 300,
        "idglobex-replenish-2026-11-1": 850,
        "idinitech-replenish-2026-11-1": 100,
    }


def test_clients_by_label_and_by_name(agency: CliCluster, capsys: Capture) -> None:
    agency.client("vip-1", labels={"tier": "gold"})
    run(capsys, "points", "replenish", "-l", "tier=gold", "--yes")
    assert amounts(agency) == {"idvip-1-replenish-2026-11-1": 1000}
    answer = run(capsys, "points", "replenish", "nobody", "--yes")
    assert answer.code == ExitCode.USAGE
    assert "there is no client 'nobody' in namespace agency" in answer.err


@pytest.mark.parametrize("words", [[], ["acme", "--all"], ["acme", "-l", "a=b"]])
def test_it_has_to_be_said_who(agency: CliCluster, capsys: Capture, words: list[str]) -> None:
    answer = run(capsys, "points", "replenish", *words)
    assert answer.code == ExitCode.USAGE
    assert "say which clients" in answer.err


def test_who_is_gone_gets_nothing_and_is_named(agency: CliCluster, capsys: Capture) -> None:
    agency.client("left", balance=-50, state="Deactivated")
    agency.client("ended", balance=-50)
    agency.server.edit_status(CLIENT_ORGS, AGENCY, "ended", {"termination": {"executedTime": "2026-11-01T00:00:00Z"}})
    answer = run(capsys, "points", "replenish", "--all", "--yes")
    assert amounts(agency) == BOTH
    assert "Left out: ended (terminated), left (deactivated)" in answer.out


def test_two_at_once_make_the_same_objects(agency: CliCluster, capsys: Capture) -> None:
    """The second person looked before the first one wrote."""

    def overtake(method: str, path: str, body: Json | None) -> None:
        if method == "POST" and path.endswith("/pointtransactions") and body is not None:
            name = body["metadata"]["name"]
            if agency.one(name) is None:
                other = {**body["spec"], "requestedBy": "the-other@agency.example"}
                agency.server.create(POINT_TRANSACTIONS, {**body, "spec": other})

    agency.before = overtake
    answer = run(capsys, "points", "replenish", "--all", "--yes")
    assert answer.code == ExitCode.OK, answer.err
    assert amounts(agency) == BOTH
    assert "0 top-ups created, 2 there already" in answer.out


def test_somebody_elses_other_numbers_stop_it(agency: CliCluster, capsys: Capture) -> None:
    def overtake(method: str, path: str, body: Json | None) -> None:
        if method == "POST" and path.endswith("/pointtransactions") and body is not None:
            agency.server.create(POINT_TRANSACTIONS, {**body, "spec": {**body["spec"], "amount": 1}})

    agency.before = overtake
    answer = run(capsys, "points", "replenish", "acme", "--yes")
    assert answer.code == ExitCode.FAILED
    assert "somebody else has topped up acme at the same time, with other numbers" in answer.err
    assert amounts(agency) == {"idacme-replenish-2026-11-1": 1}


@pytest.mark.parametrize(("by", "code"), [("network", ExitCode.FAILED), ("Ctrl-C", ExitCode.INTERRUPTED)])
def test_an_interrupted_run_says_how_far_it_came_and_goes_on(
    agency: CliCluster, capsys: Capture, by: str, code: ExitCode
) -> None:
    for number in range(40):
        agency.client(f"many-{number:02}")
    seen = 0

    def interrupt(method: str, path: str, body: Json | None) -> None:
        nonlocal seen
        if method == "POST" and path.endswith("/pointtransactions"):
            seen += 1
            if seen == 10 and by == "Ctrl-C":
                signal.raise_signal(signal.SIGINT)
            if seen > 10 and by == "network":
                raise UnreachableError("reset")

    agency.before = interrupt
    agency.server.edit_status(QUOTA_POOLS, AGENCY, "tokyo", {"points": {"balance": 100_000}})
    answer = run(capsys, "points", "replenish", "--all", "--yes")
    assert answer.code == code
    done = len(agency.made())
    assert 0 < done < 42
    assert f"{done} of 42 top-ups are there after" in answer.err
    agency.before = lambda method, path, body: None
    answer = run(capsys, "points", "replenish", "--all", "--yes")
    assert f"{42 - done} top-ups created" in answer.out
    assert len(agency.made()) == 42


# -- what is not true any more ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda server: server.edit(ORG_PLANS, AGENCY, "standard", {"spec": {"billing": {"basePoints": 2000}}}),
            "plan standard was edited (revision 1 → 2)",
        ),
        (
            lambda server: server.edit(CLIENT_ORGS, AGENCY, "acme", {"spec": {"contractedUsers": 99}}),
            "client acme: spec.contractedUsers was changed",
        ),
        (lambda server: server.remove(CLIENT_ORGS, AGENCY, "acme"), "client acme was deleted"),
    ],
)
def test_an_edit_between_preview_and_confirmation_stops_it(
    agency: CliCluster, capsys: Capture, monkeypatch: pytest.MonkeyPatch, change: Any, words: str
) -> None:
    def answer_slowly(question: str) -> bool:
        assert question == "Create 2 top-ups?"
        change(agency.server)
        return True

    monkeypatch.setattr("clientorg.cli.replenish.interactive", lambda: True)
    monkeypatch.setattr("clientorg.cli.replenish.confirm", answer_slowly)
    answer = run(capsys, "points", "replenish", "--all")
    assert answer.code == ExitCode.USAGE
    assert "nothing was created, because what was shown is not true any more:" in answer.err
    assert words in answer.err
    assert agency.made() == {}


def test_a_person_who_says_no_changes_nothing(
    agency: CliCluster, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clientorg.cli.replenish.interactive", lambda: True)
    monkeypatch.setattr("clientorg.cli.replenish.confirm", lambda question: False)
    assert run(capsys, "points", "replenish", "--all").code == ExitCode.USAGE
    assert agency.made() == {}


@pytest.mark.parametrize("dry_run", ["--dry-run", "--dry-run=client"])
def test_a_dry_run_writes_nothing(agency: CliCluster, capsys: Capture, dry_run: str) -> None:
    answer = run(capsys, "points", "replenish", "--all", dry_run)
    assert answer.code == ExitCode.OK
    assert agency.made() == {}
    assert answer.row("acme")[6] == "+200"


# -- a pool that is short ---------------------------------------------------------------------------------------------


def test_as_far_as_the_pool_reaches_the_soonest_charge_first(agency: CliCluster, capsys: Capture) -> None:
    agency.plan("early", anchorDay=22)
    agency.client("zeta", planRef={"name": "early"})
    agency.server.edit_status(QUOTA_POOLS, AGENCY, "tokyo", {"points": {"balance": 1250}})
    answer = run(capsys, "points", "replenish", "--all", "--yes")
    assert answer.code == ExitCode.OK, answer.err
    assert "pool tokyo lacks 700 points: 1 top-up will wait until it has them" in answer.err
    assert [body["spec"]["to"] for body in agency.creations()] == ["org/zeta", "org/acme", "org/globex"]
    assert answer.row("globex")[-1] == "waits"
    assert answer.row("tokyo")[-1] == "-700"
    assert "3 top-ups created; 1 waits for points" in answer.out


def test_atomic_is_refused_when_the_pool_is_short(agency: CliCluster, capsys: Capture) -> None:
    agency.server.edit_status(QUOTA_POOLS, AGENCY, "tokyo", {"points": {"balance": 949}})
    answer = run(capsys, "points", "replenish", "--all", "--atomic", "--yes")
    assert answer.code == ExitCode.USAGE
    assert "pool tokyo lacks 1 points" in answer.err
    assert agency.creations() == []


def test_what_waits_already_is_served_before(agency: CliCluster, capsys: Capture) -> None:
    agency.transaction("big", "TopUp", "pool/tokyo", "org/initech", 4100)
    answer = run(capsys, "points", "replenish", "--all", "--atomic", "--yes")
    assert answer.code == ExitCode.USAGE
    assert "lacks 50 points" in answer.err


def test_an_atomic_run_is_one_group_that_is_posted_whole(agency: CliCluster, capsys: Capture) -> None:
    assert run(capsys, "points", "replenish", "--all", "--atomic", "--yes").code == ExitCode.OK
    groups = {(spec["group"]["name"], spec["group"]["size"]) for spec in agency.made().values()}
    assert len(groups) == 1
    ((name, size),) = groups
    assert size == 2
    waiting = [_transaction(agency, one) for one in agency.made()]
    whole = post(Head(balance=5000), [(one, None) for one in waiting], org_ids={}, most=10)
    assert len(whole.posted) == 2
    part = post(Head(balance=5000), [(waiting[0], None)], org_ids={}, most=10)
    assert part.posted == ()
    labels = (agency.one("idacme-replenish-2026-11-1") or {})["metadata"]["labels"]
    assert labels == {"clientorg.dev/replenish-group": name}


def _transaction(agency: CliCluster, name: str) -> Transaction:
    found = agency.one(name)
    assert found is not None
    one = transaction_of(found)
    assert one.kind is TransactionKind.TOP_UP
    return one


def test_an_interrupted_atomic_run_is_finished_by_the_same_command(agency: CliCluster, capsys: Capture) -> None:
    run(capsys, "points", "replenish", "--all", "--atomic", "--yes")
    agency.server.remove(POINT_TRANSACTIONS, AGENCY, "idglobex-replenish-2026-11-1")  # as if it never was written
    answer = run(capsys, "points", "replenish", "--all", "--atomic", "--yes")
    assert answer.code == ExitCode.OK, answer.err
    assert "1 top-up created, 1 there already" in answer.out
    assert amounts(agency) == BOTH
    assert len({spec["group"]["name"] for spec in agency.made().values()}) == 1
    assert "nothing to do" in run(capsys, "points", "replenish", "--all", "--atomic", "--yes").out


@pytest.mark.parametrize("words", [["--all", "--yes"], ["--all", "--atomic", "--to", "5", "--yes"]])
def test_another_run_over_an_interrupted_atomic_one_says_how_to_drop_it(
    agency: CliCluster, capsys: Capture, words: list[str]
) -> None:
    run(capsys, "points", "replenish", "--all", "--atomic", "--yes")
    group = agency.made()["idacme-replenish-2026-11-1"]["group"]["name"]
    agency.server.remove(POINT_TRANSACTIONS, AGENCY, "idglobex-replenish-2026-11-1")
    answer = run(capsys, "points", "replenish", *words)
    assert answer.code == ExitCode.USAGE
    assert "1 of 2 transactions of its group" in answer.err
    assert f"kubectl delete pointtransactions -l clientorg.dev/replenish-group={group}" in answer.err


def test_a_large_agency_sees_the_first_of_its_top_ups_and_gets_all(agency: CliCluster, capsys: Capture) -> None:
    """The table stays readable; each is created once."""
    for number in range(1_500):
        agency.client(f"c{number}")
    agency.server.edit_status(QUOTA_POOLS, AGENCY, "tokyo", {"points": {"balance": 2_000_000}})
    answer = run(capsys, "points", "replenish", "--all", "--yes")
    assert answer.code == ExitCode.OK, answer.err
    assert "1,502 top-ups created" in answer.out
    assert "… and 1,452 more" in answer.out
    assert len({body["metadata"]["name"] for body in agency.creations()}) == len(agency.creations()) == 1502
