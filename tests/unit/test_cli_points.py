"""`points add|remove|purchase|reverse`: what they write as whom, once, and what they say before (FEATURES S6, S10)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import typer

from clientorg.cli.app import app
from clientorg.cli.complete import _source
from clientorg.cli.exits import ExitCode
from clientorg.cli.transactions import parse_points
from clientorg.cli.words import locate
from clientorg.cluster.resources import CLIENT_ORGS, POINT_TRANSACTIONS
from clientorg.errors import ForbiddenError, InputError, UnreachableError
from tests.unit.cli_cluster import AGENCY, USER, CliCluster, cluster, run

Json = dict[str, Any]
Capture = pytest.CaptureFixture[str]

__all__ = ["cluster"]


@pytest.fixture
def agency(cluster: CliCluster) -> CliCluster:
    """acme has 800 points and is charged 1,000 on the 25th; the pool has 5,000."""
    cluster.plan()
    cluster.pool(balance=5000, entries=2)
    cluster.client("acme", balance=800)
    return cluster


# -- amounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "AMOUNT: '0' is too few"),
        ("-5", "AMOUNT: '-5' is below zero"),
        ("1.5", "AMOUNT: '1.5' is not whole"),
        (".5", "is not whole"),
        ("9007199254740993", "more than the largest amount, 9007199254740992 (2^53)"),
        ("1,000", "has separators, which mean different things; write 1000"),
        ("1.000", "write 1000"),
        ("1_000_000", "write 1000000"),
        ("ten", "AMOUNT: 'ten' is not a number"),
        ("", "is not a number"),
    ],
)
def test_an_amount_that_is_none_is_told_by_its_argument(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_points(text)
    assert words in str(caught.value)


def test_the_largest_amount_and_wide_digits_are_taken() -> None:
    assert parse_points("9007199254740992") == 2**53
    assert parse_points("１２") == 12
    assert parse_points("0", "--to", least=0) == 0


@pytest.mark.parametrize("amount", ["-5", "0", "1,000"])
def test_a_wrong_amount_asks_the_server_nothing(agency: CliCluster, capsys: Capture, amount: str) -> None:
    answer = run(capsys, "points", "add", "acme", amount, "--reason", "x")
    assert answer.code == ExitCode.USAGE
    assert answer.err.startswith("error: AMOUNT: ")
    assert agency.requests == []


# -- add --------------------------------------------------------------------------------------------------------------


def test_add_writes_one_top_up_as_the_user_for_that_very_client(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "by phone", "--name", "order-1")
    assert answer.code == ExitCode.OK, answer.err
    assert agency.made() == {
        "order-1": {
            "kind": "TopUp",
            "from": "pool/tokyo",
            "to": "org/acme",
            "amount": 500,
            "orgID": "idacme",
            "reason": "by phone",
            "requestedBy": USER,
        }
    }
    assert answer.row("org/acme") == ["org/acme", "800", "+500", "1,300", "0", "300"]
    assert answer.row("pool/tokyo") == ["pool/tokyo", "5,000", "-500", "4,500", "0", "-"]
    assert "pointtransaction.clientorg.dev/order-1 created" in answer.out


def test_without_a_name_one_is_told_before_the_write(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x", "-o", "name")
    (name,) = agency.made()
    assert name.startswith("topup-acme-")
    assert f"repeat it with --name {name}" in answer.err
    assert answer.out == f"pointtransaction.clientorg.dev/{name}\n"


def test_a_lost_answer_does_not_double(agency: CliCluster, capsys: Capture) -> None:
    lost: list[Json | None] = []

    def lose(method: str, path: str, body: Json | None) -> None:
        if method == "POST" and path.endswith("/pointtransactions") and not lost:
            lost.append(body)
            raise UnreachableError("API server: connection reset")

    agency.after = lose
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x")
    assert answer.code == ExitCode.OK, answer.err
    assert [spec["amount"] for spec in agency.made().values()] == [500]
    names = {body["metadata"]["name"] for body in agency.creations()}
    assert len(agency.creations()) == 2
    assert len(names) == 1
    assert answer.out.rstrip().endswith("created")


def test_no_answer_at_all_tells_how_to_find_out(agency: CliCluster, capsys: Capture) -> None:
    def lose(method: str, path: str, body: Json | None) -> None:
        if method == "POST" and path.endswith("/pointtransactions"):
            raise UnreachableError("API server: connection reset")

    agency.before = lose
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x")
    assert answer.code == ExitCode.FAILED
    name = agency.creations()[0]["metadata"]["name"]
    assert f"it is not known whether it was written: repeat the command with --name {name}" in answer.err


def test_the_same_name_and_content_is_the_same_movement(agency: CliCluster, capsys: Capture) -> None:
    words = ("points", "add", "acme", "500", "--reason", "x", "--name", "order-1")
    run(capsys, *words)
    agency.post("order-1", "TopUp", "pool/tokyo", "org/acme", 500)
    made = agency.server.one(POINT_TRANSACTIONS, AGENCY, "order-1")
    assert made is not None
    made["spec"]["requestedBy"] = "somebody-else"  # as if another one had made it; nobody can edit it
    again = run(capsys, *words)
    assert again.code == ExitCode.OK, again.err
    assert "order-1 unchanged: it is there already (Posted, entry 2)" in again.out
    assert len(agency.creations()) == 1


@pytest.mark.parametrize(
    ("client", "amount", "reason", "field"),
    [
        ("acme", "501", "x", "spec.amount is 500, and not 501"),
        ("acme", "500", "y", "spec.reason is x, and not y"),
        ("globex", "500", "x", "spec.to is org/acme, and not org/globex"),
    ],
)
def test_the_same_name_for_another_movement_is_refused(
    agency: CliCluster, capsys: Capture, client: str, amount: str, reason: str, field: str
) -> None:
    agency.client("globex")
    run(capsys, "points", "add", "acme", "500", "--reason", "x", "--name", "order-1")
    answer = run(capsys, "points", "add", client, amount, "--reason", reason, "--name", "order-1")
    assert answer.code == ExitCode.USAGE
    assert field in answer.err
    assert len(agency.creations()) == 1


def test_a_short_pool_is_told_before(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "add", "acme", "5001", "--reason", "x", "--dry-run=client")
    assert answer.code == ExitCode.OK
    assert "pool tokyo lacks 1 points, so the transaction waits until it has them" in answer.err
    assert "kubectl clientorg points purchase tokyo 1" in answer.err


@pytest.mark.parametrize("dry_run", ["--dry-run", "--dry-run=client"])
def test_a_dry_run_writes_nothing(agency: CliCluster, capsys: Capture, dry_run: str) -> None:
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x", dry_run)
    assert answer.code == ExitCode.OK
    assert agency.made() == {}
    assert answer.out.rstrip().endswith("dry run)")
    tried = [params.get("dryRun") for method, path, params, _ in agency.requests if path.endswith("transactions")]
    assert tried == (["All"] if dry_run == "--dry-run" else [])


def test_a_person_who_says_no_changes_nothing(
    agency: CliCluster, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def decline(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("clientorg.cli.pointflow.interactive", lambda: True)
    monkeypatch.setattr("clientorg.cli.pointflow.confirm", decline)
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x")
    assert answer.code == ExitCode.USAGE
    assert asked == ["Add 500 points?"]
    assert agency.made() == {}


def test_a_terminated_client_gets_nothing(agency: CliCluster, capsys: Capture) -> None:
    ended = {"termination": {"executedTime": "2026-11-01T00:00:00Z"}}
    agency.server.edit_status(CLIENT_ORGS, AGENCY, "acme", ended)
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x")
    assert answer.code == ExitCode.USAGE
    assert "the contract of acme was terminated" in answer.err
    assert agency.made() == {}


def test_a_refusal_of_the_server_is_exit_code_1(agency: CliCluster, capsys: Capture) -> None:
    def refuse(method: str, path: str, body: Json | None) -> None:
        if method == "POST" and path.endswith("/pointtransactions"):
            raise ForbiddenError(403, "Forbidden", "ValidatingAdmissionPolicy 'points' with binding 'points' denied "
                                 "request: you need the verb top-up")  # fmt: skip

    agency.before = refuse
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x")
    assert answer.code == ExitCode.FAILED
    assert "refused by the policy points: you need the verb top-up" in answer.err
    assert len(agency.creations()) == 1, "a refusal is not tried again"


def test_data_for_scripts(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x", "--name", "n", "-o", "json")
    whole = orjson.loads(answer.out)
    assert whole["created"] is True
    assert whole["transaction"]["spec"]["amount"] == 500
    assert whole["accounts"] == [
        {"account": "org/acme", "balance": 800, "change": 500, "after": 1300},
        {"account": "pool/tokyo", "balance": 5000, "change": -500, "after": 4500},
    ]


# -- remove, purchase, reverse ----------------------------------------------------------------------------------------


def test_remove_warns_below_zero_and_says_from_when_on_it_is_paused(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "remove", "acme", "900", "--reason", "x")
    assert answer.code == ExitCode.OK
    (spec,) = agency.made().values()
    assert (spec["kind"], spec["from"], spec["to"], spec["amount"]) == ("Withdrawal", "org/acme", "pool/tokyo", 900)
    assert answer.row("org/acme")[1:4] == ["800", "-900", "-100"]
    assert "acme is below zero then (-100), and paused from 2026-11-27 09:00 UTC on (NegativeBalance)" in answer.err


def test_remove_counts_the_tolerance_from_when_the_balance_fell(agency: CliCluster, capsys: Capture) -> None:
    points = {"points": {"balance": -1, "negativeSince": "2026-11-10T00:00:00Z"}}
    agency.server.edit_status(CLIENT_ORGS, AGENCY, "acme", points)
    answer = run(capsys, "points", "remove", "acme", "1", "--reason", "x", "--dry-run=client")
    assert "and paused at once (NegativeBalance)" in answer.err


def test_a_purchase_goes_to_the_pool(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "purchase", "tokyo", "100000", "--reference", "INV-1")
    assert answer.code == ExitCode.OK, answer.err
    ((name, spec),) = agency.made().items()
    assert name.startswith("purchase-tokyo-")
    assert spec == {
        "kind": "Purchase",
        "from": "external",
        "to": "pool/tokyo",
        "amount": 100000,
        "reference": "INV-1",
        "requestedBy": USER,
    }
    assert answer.row("pool/tokyo")[1:4] == ["5,000", "+100,000", "105,000"]


def test_a_purchase_for_no_pool_is_told_before_the_question(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "purchase", "osaka", "1", "--reference", "x")
    assert answer.code == ExitCode.FAILED
    assert agency.creations() == []


def test_a_reversal_is_the_mirrored_entry(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "reverse", "start-acme", "--reason", "wrong client")
    assert answer.code == ExitCode.OK, answer.err
    assert agency.made() == {
        "start-acme-reversal": {
            "kind": "Reversal",
            "from": "org/acme",
            "to": "pool/tokyo",
            "amount": 800,
            "orgID": "idacme",
            "reverses": "start-acme",
            "reason": "wrong client",
            "requestedBy": USER,
        }
    }
    again = run(capsys, "points", "reverse", "start-acme", "--reason", "another reason")
    assert again.code == ExitCode.OK
    assert "start-acme-reversal unchanged: it is there already" in again.out
    assert len(agency.creations()) == 1


def test_a_charge_is_given_back_to_the_client(agency: CliCluster, capsys: Capture) -> None:
    agency.charge("acme", "2026-10", 1000)
    run(capsys, "points", "reverse", "idacme-charge-2026-10", "--reason", "outage")
    spec = agency.made()["idacme-charge-2026-10-reversal"]
    assert (spec["from"], spec["to"], spec["amount"]) == ("consumed", "org/acme", 1000)


def test_what_is_not_posted_and_what_reverses_is_not_reversed(agency: CliCluster, capsys: Capture) -> None:
    agency.transaction("open", "TopUp", "pool/tokyo", "org/acme", 5)
    answer = run(capsys, "points", "reverse", "open")
    assert answer.code == ExitCode.USAGE
    assert "open is not posted" in answer.err
    assert "kubectl delete pointtransaction open -n agency" in answer.err
    agency.post("start-acme-reversal", "Reversal", "org/acme", "pool/tokyo", 800, reverses="start-acme")
    answer = run(capsys, "points", "reverse", "start-acme-reversal")
    assert answer.code == ExitCode.USAGE
    assert "is a reversal itself" in answer.err
    assert agency.creations() == []


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_waiting_ends_when_it_is_posted(agency: CliCluster, capsys: Capture) -> None:
    def post(method: str, path: str, body: Json | None) -> None:
        if method == "POST" and path.endswith("/pointtransactions"):
            agency.post("order-1", "TopUp", "pool/tokyo", "org/acme", 500)

    agency.after = post
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x", "--name", "order-1", "--wait")
    assert answer.code == ExitCode.OK, answer.err
    assert answer.out.endswith("order-1 posted\n")


@pytest.mark.parametrize(
    ("phase", "kind", "message", "words"),
    [
        (
            "Waiting",
            "Reconciling",
            "PoolShort: the pool lacks 5 of 10 points",
            "still waiting for order-1 to be posted",
        ),
        ("Rejected", "Stalled", "ForeignAccount: it belongs to another pool", "was rejected, and is never posted"),
    ],
)
def test_waiting_in_vain_says_what_is_missing(
    agency: CliCluster, capsys: Capture, phase: str, kind: str, message: str, words: str
) -> None:
    reason, _, text = message.partition(": ")

    def answer_it(method: str, path: str, body: Json | None) -> None:
        if method == "POST" and path.endswith("/pointtransactions"):
            found = [{"type": kind, "status": "True", "reason": reason, "message": text}]
            status = {"phase": phase, "conditions": found}
            agency.server.edit_status(POINT_TRANSACTIONS, AGENCY, "order-1", status)

    agency.after = answer_it
    answer = run(capsys, "points", "add", "acme", "500", "--reason", "x", "--name", "order-1", "--wait=0.2s")
    assert answer.code == ExitCode.NOT_REACHED
    assert words in answer.err
    assert message in answer.err


# -- help and completion ----------------------------------------------------------------------------------------------

WRITING = ("points add", "points remove", "points purchase", "points reverse", "points replenish")
READING = ("points history", "points estimate", "ledger verify", "ledger export")


@pytest.mark.parametrize("name", [*WRITING, *READING])
def test_every_command_of_a_group_has_the_shared_flags_and_examples(capsys: Capture, name: str) -> None:
    answer = run(capsys, *name.split(), "--help")
    assert answer.code == ExitCode.OK
    for words in ("-n, --namespace", "--debug", f"  kubectl clientorg {name}", "Exit codes: 0 done"):
        assert words in answer.out
    assert ("--dry-run" in answer.out) == (name in WRITING)


@pytest.mark.parametrize("name", ["points", "ledger"])
def test_a_group_alone_shows_its_help(capsys: Capture, name: str) -> None:
    alone, asked = run(capsys, name), run(capsys, name, "--help")
    assert alone.code == asked.code == ExitCode.OK
    assert alone.out.rstrip() == asked.out.rstrip()


def test_flags_before_the_last_word_count(agency: CliCluster, capsys: Capture) -> None:
    run(capsys, "points", "-n", "other", "history", "acme")
    assert {path.split("/")[5] for _, path, _, _ in agency.requests} == {"other"}


@pytest.mark.parametrize(
    ("words", "source"),
    [
        (["points", "add", ""], "clients"),
        (["points", "purchase", ""], "pools"),
        (["points", "reverse", ""], "transactions"),
        (["points", "history", "--pool", ""], "pools"),
        (["points", "replenish", "acme", ""], "clients"),
        (["points", "add", "acme", ""], None),
        (["points", "add", "acme", "5", "--name", ""], None),
        (["points", "add", "acme", "5", "--reason", ""], None),
    ],
)
def test_completion_knows_what_comes_next(words: list[str], source: str | None) -> None:
    position = locate(typer.main.get_command(app), words)
    assert position.param is not None
    assert _source(position.command.name, position.param.name) == source
