"""`kubectl clientorg points` and `ledger` on a real API server; the tests do the operator's part (FEATURES S6, S9)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clientorg.cluster.resources import ORG_PLANS, POINT_TRANSACTIONS, QUOTA_POOLS
from tests.cluster._cli_support import Agency, agency, home, lines_with, plane

__all__ = ["agency", "home", "plane"]  # fixtures

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

BILLING = {"basePoints": 1000, "pointsPerExtraUser": 50}


@pytest.fixture
def billed(agency: Agency) -> Agency:
    """A pool with 5,000 points, and acme with 300 of its own, which is charged 1,000 from 2027-01 on."""
    agency.plane.patch(ORG_PLANS, agency.namespace, "standard", {"spec": {"billing": BILLING}})
    pool_points(agency, balance=5000, entries=2)
    account(agency, "acme", 300)
    return agency


def pool_points(agency: Agency, **points: Any) -> None:
    """The head of the pool's ledger."""
    patch = {"status": {"points": points}}
    agency.plane.patch(QUOTA_POOLS, agency.namespace, "tokyo", patch, subresource="status")


def account(agency: Agency, name: str, balance: int) -> None:
    """A client with an account."""
    agency.client(name, granted=10)
    agency.status(name, orgID=f"id{name}", points={"balance": balance, "chargesFrom": "2027-01"})
    if balance:
        metadata = {"name": f"start-{name}", "namespace": agency.namespace}
        spec = {"kind": "TopUp", "from": "pool/tokyo", "to": f"org/{name}", "amount": balance, "orgID": f"id{name}"}
        manifest = {"apiVersion": "clientorg.dev/v1alpha1", "kind": "PointTransaction", "metadata": metadata}
        agency.plane.create(POINT_TRANSACTIONS, agency.namespace, {**manifest, "spec": spec})
        post(agency, f"start-{name}", 1)


def post(agency: Agency, name: str, entry: int) -> None:
    """What the operator does in the end."""
    org_id = transaction(agency, name)["spec"]["orgID"]
    status = {"phase": "Posted", "entry": entry, "pool": "tokyo", "postedTime": "2026-11-01T00:00:00Z", "orgID": org_id}
    agency.plane.patch(POINT_TRANSACTIONS, agency.namespace, name, {"status": status}, subresource="status")


def transaction(agency: Agency, name: str) -> Json:
    """A transaction."""
    return agency.plane.get(POINT_TRANSACTIONS, agency.namespace, name)


def names(agency: Agency) -> set[str]:
    """Names of all transactions."""
    items = agency.plane.call(lambda api: api.list_all(POINT_TRANSACTIONS, agency.namespace))
    return {item["metadata"]["name"] for item in items}


def test_the_server_takes_what_is_added_reversed_and_bought(billed: Agency) -> None:
    """Under the user's own name, which the policy compares; the same name is the same movement."""
    cli = billed.cli
    for dry_run in ("--dry-run", "--dry-run=client"):
        assert "created (" in cli.do("points", "add", "acme", "200", "--reason", "phone", dry_run).out
    assert names(billed) == {"start-acme"}
    added = cli.do("points", "add", "acme", "200", "--reason", "phone", "--name", "order-1").out
    assert lines_with(added, ["org/acme", "300", "+200", "500"])
    assert transaction(billed, "order-1")["spec"]["requestedBy"]
    assert "unchanged" in cli.do("points", "add", "acme", "200", "--reason", "phone", "--name", "order-1").out
    other = cli.run("points", "add", "acme", "201", "--reason", "phone", "--name", "order-1")
    assert (other.code, "spec.amount is 200, and not 201" in other.err) == (2, True)
    cli.do("points", "reverse", "start-acme", "--reason", "wrong client")
    assert transaction(billed, "start-acme-reversal")["spec"]["from"] == "org/acme"
    cli.do("points", "purchase", "tokyo", "1000", "--reference", "INV-1", "--name", "inv-1")
    assert names(billed) == {"start-acme", "start-acme-reversal", "order-1", "inv-1"}


def test_waiting_says_that_nobody_answers(billed: Agency) -> None:
    answer = billed.cli.run("points", "add", "acme", "1", "--reason", "x", "--name", "slow", "--wait=1s")
    assert answer.code == 3
    assert "after 1 s still waiting for slow to be posted: the operator has not answered yet" in answer.err


def test_a_history_is_selected_by_the_server(billed: Agency) -> None:
    account(billed, "globex", 0)
    billed.cli.do("points", "add", "globex", "7", "--reason", "x", "--name", "seven")
    found = json.loads(billed.cli.do("points", "history", "globex", "-o", "json").out)
    assert [entry["name"] for entry in found["entries"]] == ["seven"]
    found = json.loads(billed.cli.do("points", "history", "--pool", "tokyo", "-o", "json").out)
    assert [(entry["name"], entry["amount"]) for entry in found["entries"]] == [("start-acme", -300), ("seven", -7)]


def test_a_replenish_is_done_once(billed: Agency) -> None:
    """S9: all or nothing, as one group with a label; a second run finds nothing to do."""
    account(billed, "globex", 0)
    said = billed.cli.do("points", "replenish", "--all", "--atomic", "--yes").out
    assert "2 top-ups created" in said
    made = {name: transaction(billed, name) for name in names(billed) if "-replenish-" in name}
    assert {name: item["spec"]["amount"] for name, item in made.items()} == {
        "idacme-replenish-2027-01-1": 700,
        "idglobex-replenish-2027-01-1": 1000,
    }
    group = made["idacme-replenish-2027-01-1"]["spec"]["group"]
    assert group["size"] == 2
    assert {item["metadata"]["labels"]["clientorg.dev/replenish-group"] for item in made.values()} == {group["name"]}
    assert "nothing to do" in billed.cli.do("points", "replenish", "--all", "--atomic", "--yes").out


def test_a_ledger_is_verified_and_exported(billed: Agency) -> None:
    pool_points(billed, balance=5000, entries=1)
    answer = billed.cli.run("ledger", "verify")
    assert answer.code == 1, "5,000 points that nobody bought"
    assert lines_with(answer.out, ["PoolBalanceEqualsFold: quotapool/tokyo", "5000"])
    entries = json.loads(billed.cli.do("ledger", "export", "--format", "json").out)["entries"]
    assert [(entry["entry"], entry["amount"]) for entry in entries] == [(1, 300)]
