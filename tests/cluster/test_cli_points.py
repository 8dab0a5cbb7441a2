"""`kubectl clientorg points` and `ledger` with the operator at work: an agency's month (FEATURES S6-S10, X3).

The operator and the command read the same development clock, so that anchors pass in a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster._cli_support import DatedCli, home, lines_with
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client
from tests.controlplane.choose import Cluster
from tests.support.kube import Kube

__all__ = ["home"]  # fixture

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

BEFORE, ANCHOR, AFTER = "2026-11-20T09:00:00Z", "2026-11-25T00:00:05Z", "2026-12-25T00:00:05Z"
BILLING = {"basePoints": 1000, "pointsPerExtraUser": 50}


@pytest.fixture(scope="module")
def clock(operators_of_session: Operators, api: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file with the time; the operator of this module goes by it."""
    path = tmp_path_factory.mktemp("clock") / "time"
    path.write_text(BEFORE)
    operators_of_session.stop_all()
    operators_of_session.start(leader_election=False, dev_clock=path)
    yield path
    operators_of_session.stop_all()


@pytest.fixture
def cli(cluster: Cluster, tokyo: Agency, home: Path, clock: Path) -> DatedCli:
    """The command in an agency whose plan charges 1,000 on the 25th, five days before one."""
    cli = DatedCli(Path(cluster.kubeconfig), tokyo.name, home, clock)
    cli.is_now(BEFORE)
    tokyo.plan.edit(billing=BILLING)
    return cli


@pytest.fixture
def acme(cli: DatedCli, tokyo: Agency) -> Client:
    """A client that has its licenses, and is charged for 12 users from the next anchor on."""
    client = tokyo.ready_client("acme", contractedUsers=12)
    client.expect(lambda it: (it["status"].get("points") or {}).get("chargesFrom") == "2026-11", "be charged")
    return client


def expect_balance(client: Client, balance: int) -> None:
    """Wait until the status says so."""
    client.expect(lambda it: (it["status"].get("points") or {}).get("balance") == balance, f"have {balance} points")


def purchase(cli: DatedCli, amount: int) -> None:
    """The distributor has sold points."""
    cli.do("points", "purchase", "pool", str(amount), "--reference", "INV-1", "--yes", "--wait")


def test_points_are_bought_given_taken_and_corrected(cli: DatedCli, acme: Client) -> None:
    """S6, S10: each command waits until it is posted; the ledger holds."""
    purchase(cli, 5000)
    cli.do("points", "add", "acme", "500", "--reason", "phone", "--name", "order-1", "--wait")
    expect_balance(acme, 500)
    again = cli.do("points", "add", "acme", "500", "--reason", "phone", "--name", "order-1")
    assert "unchanged: it is there already (Posted, entry 2)" in again.out
    warned = cli.do("points", "remove", "acme", "600", "--reason", "too many", "--wait").err
    assert "acme is below zero then (-100), and paused from 2026-11-27" in warned
    expect_balance(acme, -100)
    cli.do("points", "reverse", "order-1", "--reason", "wrong client", "--wait")
    expect_balance(acme, -600)
    entries = cli.data("points", "history", "acme")["entries"]
    assert [(entry["entry"], entry["amount"], entry["balance"]) for entry in entries] == [
        (2, 500, 500),
        (3, -600, -100),
        (4, -500, -600),
    ]
    assert "The ledger holds." in cli.do("ledger", "verify").out


def test_a_month_is_estimated_replenished_and_charged(cli: DatedCli, acme: Client, tokyo: Agency) -> None:
    """S7-S9: the estimate is what is charged; after it nobody is below zero, and nobody has a point too many."""
    tokyo.ready_client("globex")
    purchase(cli, 5000)
    estimated = {one["name"]: one for one in cli.data("points", "estimate")["clients"]}
    assert estimated["acme"]["charges"] == [{"period": "2026-11", "due": "2026-11-25T00:00:00Z", "points": 1100}]
    said = cli.do("points", "replenish", "--all", "--atomic", "--yes").out
    assert lines_with(said, ["acme", "-1,100", "+1,100"])
    assert lines_with(said, ["pool", "5,000", "2,100", "2,900"])
    expect_balance(acme, 1100)
    assert "nothing to do" in cli.do("points", "replenish", "--all", "--yes").out
    cli.is_now(ANCHOR)
    expect_balance(acme, 0)
    expect_balance(Client(tokyo.kube, tokyo.name, "globex"), 0)
    explained = cli.do("points", "history", "acme", "--explain", "2026-11").out
    assert lines_with(explained, ["More users:", "12 contracted − 10 included = 2; × 50 = 100"])
    assert cli.data("points", "estimate", "acme")["clients"][0]["charges"][0]["period"] == "2026-12"
    assert "The ledger holds." in cli.do("ledger", "verify").out


def test_a_short_pool_says_what_is_missing_and_a_purchase_serves_who_waits(
    cli: DatedCli, acme: Client, tokyo: Agency
) -> None:
    """S10."""
    globex = tokyo.ready_client("globex")
    purchase(cli, 1200)
    warned = cli.do("points", "replenish", "--all", "--yes").err
    assert "pool pool lacks 900 points: 1 top-up will wait until it has them" in warned
    expect_balance(acme, 1100)
    name = f"{globex.org_id}-replenish-2026-11-1"
    waiting = cli.run("points", "add", "globex", "5", "--reason", "x", "--name", "five-more", "--wait=60s")
    assert waiting.code == 0, "a smaller one overtakes"
    assert "nothing to do" in cli.do("points", "replenish", "--all", "--yes").out, "what waits counts"
    refused = cli.run("points", "replenish", "--all", "--to", "500", "--atomic", "--yes")
    assert (refused.code, "--atomic: nothing was created" in refused.err) == (2, True)
    purchase(cli, 905)
    expect_balance(globex, 1005)
    assert name in [entry["name"] for entry in cli.data("points", "history", "--pool", "pool")["entries"]]
    assert "The ledger holds." in cli.do("ledger", "verify").out


def test_missed_anchors_are_charged_each(cli: DatedCli, acme: Client) -> None:
    """S7: two anchors pass at once; a reversal gives one back."""
    purchase(cli, 5000)
    cli.do("points", "add", "acme", "3000", "--reason", "phone", "--wait")
    cli.is_now(AFTER)
    expect_balance(acme, 3000 - 2 * 1100)
    cli.do("points", "reverse", f"{acme.org_id}-charge-2026-11", "--reason", "outage", "--wait")
    expect_balance(acme, 3000 - 1100)
    entries = cli.data("ledger", "verify")
    assert entries["ok"] is True
    assert entries["checked"]["OneChargePerPeriod"] == 2
