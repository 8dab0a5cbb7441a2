"""`ledger verify` and `ledger export`: whether the books are right, and all of them as data (FEATURES X3, S12)."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson
import pytest

from clientorg.cli.exits import ExitCode
from clientorg.cluster.resources import CLIENT_ORGS, POINT_TRANSACTIONS, QUOTA_POOLS
from clientorg.domain.ledger_audit import Invariant
from tests.unit.cli_cluster import AGENCY, CliCluster, cluster, run

Json = dict[str, Any]
Capture = pytest.CaptureFixture[str]

__all__ = ["cluster"]


@pytest.fixture
def agency(cluster: CliCluster) -> CliCluster:
    """A ledger that holds: a purchase of 5,000, 800 for acme, a charge of 1,000."""
    cluster.plan()
    cluster.pool()
    cluster.post("bought", "Purchase", "external", "pool/tokyo", 5000, reference="=1+1")
    cluster.client("acme", balance=800)
    cluster.charge("acme", "2026-11", 1000)
    points = {"balance": -200, "chargesFrom": "2026-11", "chargedThrough": "2026-11"}
    cluster.server.edit_status(CLIENT_ORGS, AGENCY, "acme", {"points": points})
    cluster.server.edit_status(QUOTA_POOLS, AGENCY, "tokyo", {"points": {"balance": 4200, "entries": 3}})
    return cluster


def test_a_ledger_that_holds_says_what_was_checked(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "ledger", "verify")
    assert answer.code == ExitCode.OK, answer.out
    for name in Invariant:
        assert answer.row(f"{name} ")[2] == "ok"
    assert answer.row("SumZero")[1] == "3"
    assert answer.row("ClientBalanceEqualsFold")[1] == "1"
    assert answer.out.endswith("The ledger holds.\n")


def test_what_does_not_hold_is_named_and_is_exit_code_1(agency: CliCluster, capsys: Capture) -> None:
    agency.server.edit_status(CLIENT_ORGS, AGENCY, "acme", {"points": {"balance": 7}})
    answer = run(capsys, "ledger", "verify")
    assert answer.code == ExitCode.FAILED
    assert answer.row("ClientBalanceEqualsFold  ")[2] == "1 violated"
    assert "ClientBalanceEqualsFold: clientorg/acme: status.points.balance is 7" in answer.out
    assert answer.out.endswith("1 violation.\n")
    whole = orjson.loads(run(capsys, "ledger", "verify", "-o", "json").out)
    assert (whole["ok"], whole["namespace"], whole["checked"]["SumZero"]) == (False, AGENCY, 3)
    assert [finding["object"] for finding in whole["findings"]] == ["clientorg/acme"]
    assert whole["balances"]["pool/tokyo"] == 4200


def test_what_is_just_being_written_is_no_violation(agency: CliCluster, capsys: Capture) -> None:
    """The client's status follows the entry: the second look sees it."""
    looks = 0
    agency.server.edit_status(CLIENT_ORGS, AGENCY, "acme", {"points": {"balance": 800}})

    def catch_up(method: str, path: str, body: Json | None) -> None:
        nonlocal looks
        if path.endswith("/clientorgs"):
            looks += 1
            agency.server.edit_status(CLIENT_ORGS, AGENCY, "acme", {"points": {"balance": -200}})

    agency.after = catch_up
    assert run(capsys, "ledger", "verify").code == ExitCode.OK
    assert looks == 2


def test_every_agency_is_verified_for_itself(agency: CliCluster, capsys: Capture) -> None:
    spec = {"kind": "Purchase", "from": "external", "to": "pool/osaka", "amount": 5}
    other = {"metadata": {"name": "bought", "namespace": "other"}, "spec": spec}
    agency.server.create(POINT_TRANSACTIONS, other)
    status = {"phase": "Posted", "entry": 1, "pool": "osaka", "postedTime": "2026-11-01T00:00:00Z"}
    agency.server.edit_status(POINT_TRANSACTIONS, "other", "bought", status)
    agency.server.create(QUOTA_POOLS, {"metadata": {"name": "osaka", "namespace": "other"}, "spec": {"licenses": []}})
    agency.server.edit_status(QUOTA_POOLS, "other", "osaka", {"points": {"balance": 6, "entries": 1}})
    answer = run(capsys, "ledger", "verify", "-A", "-o", "json")
    assert answer.code == ExitCode.FAILED
    found = {one["namespace"]: one for one in orjson.loads(answer.out)["agencies"]}
    assert found[AGENCY]["ok"] is True
    assert [finding["invariant"] for finding in found["other"]["findings"]] == ["PoolBalanceEqualsFold"]
    assert run(capsys, "ledger", "verify").code == ExitCode.OK
    assert "PoolBalanceEqualsFold: other/quotapool/osaka:" in run(capsys, "ledger", "verify", "-A").out


# -- export -----------------------------------------------------------------------------------------------------------


def exported(capsys: Capture, *words: str) -> list[dict[str, str]]:
    """The rows of a CSV export."""
    answer = run(capsys, "ledger", "export", "--format", "csv", *words)
    assert answer.code == ExitCode.OK, answer.err
    return list(csv.DictReader(io.StringIO(answer.out)))


def test_the_export_has_every_posted_entry_in_its_order(agency: CliCluster, capsys: Capture) -> None:
    agency.transaction("a-waiting-one", "TopUp", "pool/tokyo", "org/acme", 1)
    rows = exported(capsys)
    assert [(row["Entry"], row["Name"]) for row in rows] == [
        ("1", "bought"),
        ("2", "start-acme"),
        ("3", "idacme-charge-2026-11"),
    ]
    assert rows[0]["Reference"] == "'=1+1", "no text acts as a formula"
    charge = rows[2]
    assert (charge["Amount"], charge["Period"], charge["Org ID"]) == ("1000", "2026-11", "idacme")
    assert (charge["Users charged"], charge["Base points"]) == ("10", "1000")
    assert (charge["From"], charge["To"], charge["Pool"]) == ("org/acme", "consumed", "tokyo")
    assert charge["Posted (UTC)"] == "2026-11-01 00:00:00"


def test_the_export_as_json_is_typed_and_always_the_same(agency: CliCluster, capsys: Capture) -> None:
    first = run(capsys, "ledger", "export", "--format", "json").out
    entries = orjson.loads(first)["entries"]
    assert [one["entry"] for one in entries] == [1, 2, 3]
    assert entries[0]["reference"] == "=1+1"
    assert entries[2]["amount"] == 1000
    assert entries[0]["users"] is None
    assert (entries[2]["planGeneration"], entries[2]["postedTime"]) == (1, "2026-11-01T00:00:00Z")
    assert run(capsys, "ledger", "export", "--format", "json").out == first


def test_a_part_of_the_ledger(agency: CliCluster, capsys: Capture) -> None:
    later = {"postedTime": "2026-11-25T00:00:00Z"}
    agency.server.edit_status(POINT_TRANSACTIONS, AGENCY, "idacme-charge-2026-11", later)
    agency.server.edit_status(POINT_TRANSACTIONS, AGENCY, "bought", {"pool": "osaka"})
    assert [row["Entry"] for row in exported(capsys, "--since", "2026-11-25")] == ["3"]
    assert [row["Entry"] for row in exported(capsys, "--until", "2026-11-25")] == ["1", "2"]
    assert [row["Entry"] for row in exported(capsys, "--pool", "tokyo")] == ["2", "3"]
    answer = run(capsys, "ledger", "export", "--since", "2026-11-25", "--until", "2026-11-25")
    assert answer.code == ExitCode.USAGE
    assert "--until: it is not after --since" in answer.err
