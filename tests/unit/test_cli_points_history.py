"""`points history` and `points estimate`: what was, why, and what comes (FEATURES S6, S8, X3, X4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.orgplan import Billing
from clientorg.cli.exits import ExitCode
from clientorg.cli.forecast import Position, forecast
from clientorg.cli.planrules import billing_terms
from clientorg.cli.pointrows import history
from clientorg.cluster.resources import CLIENT_ORGS, POINT_TRANSACTIONS
from clientorg.domain.billing import Account, BillingTerms, due_charges
from tests.unit.cli_builders import client as client_org
from tests.unit.cli_cluster import AGENCY, NOW, CliCluster, cluster, run

Json = dict[str, Any]
Capture = pytest.CaptureFixture[str]

__all__ = ["cluster"]


@pytest.fixture
def agency(cluster: CliCluster) -> CliCluster:
    """acme: 800 points, then a charge of 1,000; a top-up of 300 waits."""
    cluster.plan(zone="Asia/Tokyo")
    cluster.pool(balance=5000, entries=2)
    cluster.client("acme", balance=800)
    cluster.charge("acme", "2026-10", 1000)
    cluster.transaction("late", "TopUp", "pool/tokyo", "org/acme", 300, reason="=cmd()", requestedBy="aiko")
    cluster.server.edit_status(POINT_TRANSACTIONS, AGENCY, "late", {"phase": "Waiting"})
    return cluster


# -- history ----------------------------------------------------------------------------------------------------------


def test_a_history_has_the_balance_after_each_entry(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "history", "acme")
    assert answer.code == ExitCode.OK, answer.err
    time = "2026-11-01 09:00"
    assert answer.row("start-acme") == ["1", time, "TopUp", "-", "+800", "800", "-", "-", "start-acme"]
    charge = "idacme-charge-2026-10"
    assert answer.row(charge) == ["2", time, "Charge", "2026-10", "-1,000", "-200", "-", "-", charge]
    assert answer.row("late") == [*("Waiting", "2026-11-20 18:00", "TopUp", "-", "+300", "-", "aiko", "=cmd()", "late")]
    lines = answer.out.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["start-acme", charge, "late"]


def test_the_history_of_a_pool_is_seen_from_the_pool(agency: CliCluster, capsys: Capture) -> None:
    agency.post("bought", "Purchase", "external", "pool/tokyo", 5000, reference="INV-1")
    whole = orjson.loads(run(capsys, "points", "history", "--pool", "tokyo", "-o", "json").out)
    assert whole["account"] == "pool/tokyo"
    assert [(one["name"], one["amount"], one["balance"]) for one in whole["entries"]] == [
        ("start-acme", -800, -800),
        ("bought", 5000, 4200),
        ("late", -300, None),
    ]


def test_a_span_of_time_keeps_the_balances(agency: CliCluster, capsys: Capture) -> None:
    later = {"phase": "Posted", "entry": 3, "postedTime": "2026-11-10T15:00:00Z", "orgID": "idacme"}
    agency.server.edit_status(POINT_TRANSACTIONS, AGENCY, "late", later)
    words = ("points", "history", "acme", "-o", "json")
    # In the plan's time zone the 11th begins at 15:00 UTC.
    found = orjson.loads(run(capsys, *words, "--since", "2026-11-11").out)["entries"]
    assert [(one["name"], one["balance"]) for one in found] == [("late", 100)]
    found = orjson.loads(run(capsys, *words, "--until", "2026-11-11").out)["entries"]
    assert [one["name"] for one in found] == ["start-acme", "idacme-charge-2026-10"]
    answer = run(capsys, *words, "--since", "soon")
    assert answer.code == ExitCode.USAGE
    assert "--since: 'soon' is not a date" in answer.err


def test_no_text_of_a_csv_is_a_formula(agency: CliCluster, capsys: Capture) -> None:
    lines = run(capsys, "points", "history", "acme", "-o", "csv").out.splitlines()
    assert lines[0].startswith("account,entry,time,kind,period,amount,balance")
    assert lines[2].startswith("org/acme,2,2026-11-01T00:00:00Z,Charge,2026-10,-1000,-200,Posted")
    assert ",'=cmd()," in lines[3]


def test_a_client_made_anew_does_not_see_what_its_predecessor_had(agency: CliCluster, capsys: Capture) -> None:
    agency.server.edit_status(CLIENT_ORGS, AGENCY, "acme", {"orgID": "another"})
    answer = run(capsys, "points", "history", "acme")
    assert "No entries in org/acme." in answer.err
    assert "3 transactions of an earlier client of that name are not shown" in answer.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say whose account"),
        (["acme", "--pool", "tokyo"], "say whose account"),
        (["acme", "--explain", "November"], "--explain: 'November' is not a period"),
        (["acme", "--explain", "2026-09"], "acme has no charge for 2026-09; there are charges for 2026-10 to 2026-10"),
        (["--pool", "tokyo", "--explain", "2026-10"], "--explain: it is about one charge of a client"),
    ],
)
def test_wrong_usage_of_history(agency: CliCluster, capsys: Capture, words: list[str], told: str) -> None:
    answer = run(capsys, "points", "history", *words)
    assert answer.code == ExitCode.USAGE
    assert told in answer.err


@given(st.lists(st.tuples(st.sampled_from(["in", "out", "open"]), st.integers(1, 10**9)), max_size=20))
def test_the_last_balance_is_the_sum_of_what_is_posted(moves: list[tuple[str, int]]) -> None:
    items = []
    for number, (way, amount) in enumerate(moves, 1):
        source, target = ("org/a", "pool/p") if way == "out" else ("pool/p", "org/a")
        status = {} if way == "open" else {"phase": "Posted", "entry": number}
        spec = {"kind": "TopUp", "from": source, "to": target, "amount": amount}
        items.append({"metadata": {"name": f"t{number}"}, "spec": spec, "status": status})
    rows = history("org/a", reversed(items))
    total = sum({"in": amount, "out": -amount, "open": 0}[way] for way, amount in moves)
    assert next((row.balance for row in reversed(rows) if row.balance is not None), 0) == total
    entries = [row.entry for row in rows]
    assert entries == sorted((entry for entry in entries if entry), key=int) + [None] * entries.count(None)


# -- why this charge? -------------------------------------------------------------------------------------------------


def test_a_charge_is_explained_by_what_is_frozen_in_it(agency: CliCluster, capsys: Capture) -> None:
    agency.charge("acme", "2026-11", 750, users=20, proratedDays=15, periodDays=30, previousPeriod="2026-10")
    agency.transaction(
        "idacme-charge-2026-11-reversal", "Reversal", "consumed", "org/acme", 750,
        reverses="idacme-charge-2026-11", reason="outage",
    )  # fmt: skip
    answer = run(capsys, "points", "history", "acme", "--explain", "2026-11")
    assert answer.code == ExitCode.OK, answer.err
    assert answer.out.splitlines()[0] == "750 points for 2026-11 (idacme-charge-2026-11)"
    told = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in answer.out.splitlines()[1:]}
    assert told == {
        "Due": "2026-11-25 09:00 JST",
        "Posted": "2026-11-01 09:00 JST, entry 3",
        "Plan": "standard, revision 1",
        "Base": "1,000 for up to 10 users",
        "More users": "20 contracted − 10 included = 10; × 50 = 500",
        "Sum": "1,000 + 500 = 1,500",
        "Prorated": "1,500 × 15 of 30 days = 750, rounded half up: the client began within the period",
        "Period before": "2026-10",
        "Reversed": "by idacme-charge-2026-11-reversal (not posted yet): outage",
    }


def test_a_charge_that_does_not_add_up_says_so(agency: CliCluster, capsys: Capture) -> None:
    agency.charge("acme", "2026-11", 999)
    answer = run(capsys, "points", "history", "acme", "--explain", "2026-11")
    assert "This does not give 999: see kubectl clientorg ledger verify" in answer.out


# -- estimate ---------------------------------------------------------------------------------------------------------


def status(agency: CliCluster, name: str, **points: Any) -> None:
    """The points in a client's status."""
    agency.server.edit_status(CLIENT_ORGS, AGENCY, name, {"points": points})


def test_an_estimate_says_what_is_left_and_what_is_missing(agency: CliCluster, capsys: Capture) -> None:
    status(agency, "acme", balance=-200, pending=300, chargedThrough="2026-10")
    agency.client("globex", users=30, balance=4500)
    answer = run(capsys, "points", "estimate")
    assert answer.code == ExitCode.OK, answer.err
    due = "2026-11-25 00:00 JST"
    assert answer.row("acme") == ["acme", "standard", "-200", "300", due, "2026-11", "1,000", "-900", "0"]
    assert answer.row("globex") == ["globex", "standard", "4,500", "0", due, "2026-11", "2,000", "2,500", "2"]
    assert answer.out.splitlines()[-1] == (
        "Pool tokyo has 5,000 points; charges of all together: 3,000. 1 client of it needs 900 by 2026-11-25 00:00 "
        "JST; the pool has them: kubectl clientorg points replenish --all"
    )


def test_an_estimate_as_of_a_date_has_all_charges_until_then(agency: CliCluster, capsys: Capture) -> None:
    status(agency, "acme", balance=500, chargedThrough="2026-10")
    whole = orjson.loads(run(capsys, "points", "estimate", "acme", "--as-of", "2027-01-25", "-o", "json").out)
    (acme,) = whole["clients"]
    assert [one["period"] for one in acme["charges"]] == ["2026-11", "2026-12", "2027-01"]
    assert acme["charges"][0] == {"period": "2026-11", "due": "2026-11-24T15:00:00Z", "points": 1000}
    assert acme["projected"] == 500 - 3000
    assert whole["pools"][0]["needed"] == 2500
    assert whole["pools"][0]["neededBy"] == "2026-11-24T15:00:00Z"
    whole = orjson.loads(run(capsys, "points", "estimate", "acme", "--as-of", "2027-01-24", "-o", "json").out)
    assert [one["period"] for one in whole["clients"][0]["charges"]] == ["2026-11", "2026-12"]


def test_a_short_pool_says_how_much_to_buy(agency: CliCluster, capsys: Capture) -> None:
    status(agency, "acme", balance=-7000, chargedThrough="2026-10")
    text = run(capsys, "points", "estimate", "--pool", "tokyo").out.splitlines()[-1]
    assert "3,000 are missing: kubectl clientorg points purchase tokyo 3000" in text


def test_an_estimate_in_the_past_is_refused(agency: CliCluster, capsys: Capture) -> None:
    answer = run(capsys, "points", "estimate", "--as-of", "2026-11-01")
    assert answer.code == ExitCode.USAGE
    assert "--as-of: 2026-11-01 is in the past" in answer.err


@pytest.mark.parametrize(
    ("change", "spec", "why"),
    [
        ({"termination": {"executedTime": "2026-11-01T00:00:00Z"}}, {}, "terminated"),
        ({"deactivation": {"since": "2026-11-01T00:00:00Z"}}, {}, "deactivated"),
        ({"points": {"chargesFrom": None}}, {}, "not begun"),
        ({}, {"termination": {"time": "2026-11-24T15:00:00Z"}}, "the contract ends before"),
    ],
)
def test_who_is_not_charged_says_why(agency: CliCluster, capsys: Capture, change: Json, spec: Json, why: str) -> None:
    agency.server.edit(CLIENT_ORGS, AGENCY, "acme", {"spec": spec})
    agency.server.edit_status(CLIENT_ORGS, AGENCY, "acme", change)
    (acme,) = orjson.loads(run(capsys, "points", "estimate", "-o", "json").out)["clients"]
    assert (acme["charges"], acme["notCharged"]) == ([], why)


_BILLING = st.fixed_dictionaries(
    {
        "basePoints": st.integers(0, 10**6),
        "includedUsers": st.integers(0, 50),
        "pointsPerExtraUser": st.integers(0, 1000),
        "anchorDay": st.integers(1, 31),
    }
)


@given(
    billing=_BILLING,
    users=st.integers(0, 100),
    charged=st.sampled_from([None, "2026-08", "2026-11"]),
    days=st.integers(0, 400),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/Sao_Paulo", "Europe/Prague"]),
)
def test_what_is_estimated_is_what_is_charged(
    billing: Json, users: int, charged: str | None, days: int, zone: str
) -> None:
    """S8: the estimate as of a moment is what the operator charges if it looks then."""
    until = datetime.fromtimestamp(NOW.timestamp() + days * 86400, UTC)
    plan = {"metadata": {"name": "p", "generation": 7}, "spec": {"timeZone": zone, "billing": billing}}
    points = {"chargesFrom": "2026-08", "chargedThrough": charged}
    item = client_org(contractedUsers=users, status={"points": points})
    terms = BillingTerms.of(Billing.model_validate(billing), "p", 7, ZoneInfo(zone))
    assert terms is not None
    charges = list(due_charges(Account("2026-08", charged), until, users, terms))
    found = forecast(item, billing_terms(plan), Position(balance=10**6, pending=5), NOW, until)
    assert list(found.charges) == charges
    assert found.projected == 10**6 + 5 - sum(charge.amount for charge in charges)
