"""`kubectl clientorg` and the contract of a client: requested, approved, charged, ended (FEATURES S1, S2, S7, S11).

The operator and the command read the same development clock, so that months pass in a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster._cli_support import DatedCli, home, lines_with, set_clock
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support.kube import Kube

__all__ = ["home"]  # fixture

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

NOVEMBER, DECEMBER, END = "2026-11-26T00:00:00Z", "2026-12-25T00:00:05Z", "2027-01-10T00:00:05Z"
CONTACT = ("--first-name", "Yuki", "--last-name", "Sato", "--email", "yuki@acme.example")
CONSENT = ("--accepted-by", "yuki@acme.example", "--consent-text", "letter of 20 November")
TRANSACTIONS = "/apis/clientorg.dev/v1alpha1/namespaces/{}/pointtransactions"


@pytest.fixture(scope="module")
def clock(operators_of_session: Operators, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file with the time; the operator of this module goes by it."""
    path = tmp_path_factory.mktemp("clock") / "time"
    set_clock(path, NOVEMBER)
    operators_of_session.stop_all()
    operators_of_session.start(leader_election=False, dev_clock=path)
    yield path
    operators_of_session.stop_all()


@pytest.fixture
def cli(cluster: Cluster, tokyo: Agency, home: Path, clock: Path) -> DatedCli:
    """The command in an agency with 1,000 visitors, as an administrator, on 26 November."""
    set_clock(clock, NOVEMBER)
    return DatedCli(Path(cluster.kubeconfig), tokyo.name, home, clock)


@pytest.fixture
def manual(tokyo: Agency) -> Agency:
    """Its plan asks for an approval and charges 1,000 points a month."""
    tokyo.plan.set(approval="Manual", billing={"basePoints": 1000, "pointsPerExtraUser": 50})
    return tokyo


def create(cli: DatedCli, name: str, *arguments: str) -> None:
    """Somebody else than the administrator requests a client."""
    terms = ("--pool", "pool", "--plan", "standard", "--license", "visitors=300", "--requested-by", "alice")
    cli.do("create", name, "--display-name", name.capitalize(), *CONTACT, *terms, *arguments)


def move(kube: Kube, agency: Agency, name: str, **spec: Any) -> None:
    """A movement of points, posted."""
    path = TRANSACTIONS.format(agency.name)
    metadata = {"name": name, "namespace": agency.name}
    manifest = {"apiVersion": "clientorg.dev/v1alpha1", "kind": "PointTransaction", "metadata": metadata, "spec": spec}
    kube.request("POST", path, manifest)

    def is_posted() -> bool:
        found: Json = kube.request("GET", f"{path}/{name}")
        return bool((found.get("status") or {}).get("phase") == "Posted")

    wait_until(is_posted, 60, f"{name} to be posted")


def give_points(kube: Kube, agency: Agency, client: str, amount: int) -> None:
    """The agency purchases 10,000 points and tops the client up."""
    move(kube, agency, "purchase", kind="Purchase", amount=10_000, **{"from": "external", "to": "pool/pool"})
    move(kube, agency, "top-up", kind="TopUp", amount=amount, **{"from": "pool/pool", "to": f"org/{client}"})


def pool_balance(agency: Agency) -> int | None:
    """Points of the agency."""
    found: int | None = (agency.pool.status.get("points") or {}).get("balance")
    return found


# -- approval ---------------------------------------------------------------------------------------------------------


def test_nothing_is_built_before_somebody_else_approves(cli: DatedCli, manual: Agency) -> None:
    """S2: the command and the operator agree on who waits, since when and until when."""
    create(cli, "acme", "--contracted-users", "25")
    acme = Client(manual.kube, manual.name, "acme")
    acme.expect_state_of("PendingApproval")
    acme.expect_condition("Ready", "False", "ApprovalPending")
    (row,) = cli.data("approvals")["approvals"]
    assert (row["requestedBy"], row["approval"], row["overdue"]) == ("alice", "waiting", False)
    assert row["due"] == acme.status["approval"]["dueTime"]
    assert not any(acme.granted.values())
    described = cli.do("describe", "acme").out
    assert lines_with(described, ["kubectl clientorg approve acme"])

    cli.do("approve", "acme", "--reason", "contract 2026-118", "--wait")
    assert acme.granted == {"visitors": 300}
    assert acme.status["approval"]["decision"] == "Approve"
    assert acme.condition("ApprovalOnTarget")["status"] == "True"
    assert lines_with(cli.do("timeline", "acme").out, ["Approved", "contract 2026-118"])
    assert cli.do("approvals").out == ""
    assert "unchanged: it was approved already" in cli.do("approve", "acme").out


def test_a_rejection_says_why_and_is_final(cli: DatedCli, manual: Agency) -> None:
    create(cli, "acme")
    cli.do("reject", "acme", "--reason", "in liquidation", "--wait")
    acme = Client(manual.kube, manual.name, "acme")
    acme.expect_condition("Approved", "False", "Rejected", "in liquidation")
    assert not any(acme.granted.values())
    assert lines_with(cli.do("list").out, ["acme", "Rejected"])
    answer = cli.run("approve", "acme")
    assert answer.code == 2
    assert "a decision is final; to ask once more" in answer.err


def test_who_waits_too_long_is_overdue(cli: DatedCli, manual: Agency) -> None:
    create(cli, "acme")
    acme = Client(manual.kube, manual.name, "acme")
    acme.expect_state_of("PendingApproval")
    cli.is_now("2026-12-02T00:00:05Z")
    acme.expect(lambda it: acme.condition("ApprovalOnTarget").get("status") == "False", "be overdue")
    (row,) = cli.data("approvals")["approvals"]
    assert row["overdue"]
    assert row["waitedBusinessDays"] > row["targetBusinessDays"]


def test_a_request_without_a_requester_says_what_is_missing(cli: DatedCli, manual: Agency) -> None:
    acme = manual.client("acme")
    acme.expect_condition("Ready", "False", "RequesterUnknown")
    assert '{"spec":{"requestedBy":"USER"}}' in cli.run("approve", "acme").err
    acme.edit(requestedBy="alice")
    cli.do("approve", "acme", "--wait")


# -- termination ------------------------------------------------------------------------------------------------------


def test_the_settlement_that_was_shown_is_the_one_that_is_made(cli: DatedCli, manual: Agency) -> None:
    """S11, X4: what the preview says in November is what happens in January, a charge between them."""
    create(cli, "acme", "--contracted-users", "12")
    cli.do("approve", "acme", "--wait")
    acme = Client(manual.kube, manual.name, "acme")
    give_points(manual.kube, manual, "acme", 600)
    acme.expect(lambda it: (it["status"].get("points") or {}).get("balance") == 600, "have 600 points")
    order = ("terminate", "acme", "--at", "2027-01-10", *CONSENT)
    promised = cli.data(*order, "--dry-run")
    assert [(c["period"], c["points"]) for c in promised["settlement"]["charges"]] == [("2026-12", 1100)]
    assert (promised["settlement"]["from"], promised["settlement"]["amount"]) == ("pool/pool", 500)
    assert lines_with(cli.do("timeline", "acme").out, ["2026-12-25", "Charge", "balance then -500"])

    cli.do(*order, "--wait")
    assert lines_with(cli.do("timeline", "acme").out, ["2027-01-10", "Termination", "coming"])
    cli.is_now(DECEMBER)
    acme.expect(lambda it: it["status"]["points"]["balance"] == -500, "be charged")
    assert lines_with(cli.do("describe", "acme").out, ["Below zero:"])
    before = pool_balance(manual)
    cli.is_now(END)
    acme.expect_state("Terminated")
    acme.expect(lambda it: it["status"]["points"]["balance"] == 0, "be settled")
    acme.expect(lambda it: it["status"]["termination"].get("settledTime"), "say so")
    assert pool_balance(manual) == (before or 0) - promised["settlement"]["amount"]
    assert acme.status["deactivation"]["purgeAfter"].startswith("2027-04-10T00:00:0")
    assert lines_with(cli.do("list").out, ["acme", "Terminated"])
    for arguments in (("terminate", "acme", "--withdraw"), ("reactivate", "acme"), order):
        assert cli.run(*arguments).code == 2


def test_a_termination_is_changed_and_withdrawn_until_it_runs(cli: DatedCli, tokyo: Agency) -> None:
    acme = tokyo.ready_client("acme", licenses={"visitors": 300})
    cli.do("terminate", "acme", "--at", "2026-12-10", *CONSENT, "--wait")
    cli.do("terminate", "acme", "--at", "2027-01-05", *CONSENT, "--wait")
    cli.is_now("2026-12-11T00:00:00Z")
    cli.do("reconcile", "acme", "--wait")
    assert acme.status["state"] == "Active", "it is the new date that counts"
    cli.do("terminate", "acme", "--withdraw", "--wait")
    cli.is_now(END)
    cli.do("reconcile", "acme", "--wait")
    assert acme.status["state"] == "Active"


def test_an_end_at_once_is_waited_for(cli: DatedCli, tokyo: Agency) -> None:
    acme = tokyo.ready_client("acme", licenses={"visitors": 300})
    cli.do("terminate", "acme", "--now", *CONSENT, "--wait")
    assert acme.status["state"] == "Terminated"
    tokyo.pool.expect_allocated(visitors=0)
    assert "there is no way back" in cli.run("reactivate", "acme").err
