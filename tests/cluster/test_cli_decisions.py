"""`kubectl clientorg approvals`, `approve`, `reject` and `terminate` against the API server (FEATURES S1, S2, S11).

No operator runs: the tests write the status as it would. With the operator: tests/cluster/test_cli_approval.py.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.cluster.resources import CLIENT_ORGS, ORG_APPROVALS, ORG_PLANS, QUOTA_POOLS
from tests.cluster._cli_faults import FaultProxy, before_first_write
from tests.cluster._cli_support import Agency, Cli, agency, expect_served, home, lines_with, plane, ready

__all__ = ["agency", "home", "plane"]  # fixtures

pytestmark = pytest.mark.cluster

Json = dict[str, Any]

PEOPLE = ("--display-name", "Acme K.K.", "--first-name", "Yuki", "--last-name", "Sato", "--email", "yuki@acme.example")
TERMS = ("--pool", "tokyo", "--plan", "standard", "--license", "visitors=2000")
CONSENT = ("--accepted-by", "yuki@acme.example", "--consent-text", "letter of 20 November")
OURS = "clientorgs.clientorg.dev,orgapprovals.clientorg.dev,orgplans.clientorg.dev,quotapools.clientorg.dev"


@pytest.fixture
def manual(agency: Agency) -> Agency:
    """The agency, whose plan asks for an approval and charges 1,000 points a month."""
    spec = {"approval": "Manual", "timeZone": "Asia/Tokyo", "billing": {"basePoints": 1000, "pointsPerExtraUser": 50}}
    agency.plane.patch(ORG_PLANS, agency.namespace, "standard", {"spec": spec})
    agency.pool_status(total=10_000, allocated=4_000)
    expect_served(agency, ORG_APPROVALS)
    return agency


def somebody(agency: Agency, name: str, resources: str = OURS, verbs: str = "get,list,watch,create,patch") -> Cli:
    """The command as a user who may do this in the agency, and nothing else."""
    user = f"{name}-{agency.namespace}"
    for kind in (
        ("role", user, f"--verb={verbs}", f"--resource={resources}"),
        ("rolebinding", user, f"--role={user}", f"--user={user}"),
    ):
        argv = [str(agency.plane.kubectl), "-n", agency.namespace, "create", *kind]
        subprocess.run(argv, check=True, capture_output=True, env=agency.cli.env(), timeout=60)
    return agency.cli.as_(agency.plane.kubeconfig_for(user))


def approvals(agency: Agency) -> list[Json]:
    """The OrgApprovals' specs."""
    found = agency.plane.call(lambda api: api.list_all(ORG_APPROVALS, agency.namespace))
    return [item["spec"] for item in found]


def termination(agency: Agency) -> Json | None:
    """The spec.termination of acme."""
    found: Json | None = agency.get("acme")["spec"].get("termination")
    return found


# -- approval ---------------------------------------------------------------------------------------------------------


def test_who_requests_does_not_decide_and_who_decides_is_recorded(manual: Agency) -> None:
    """S1, S2."""
    alice, bob = somebody(manual, "alice"), somebody(manual, "bob")
    reseller = ("--contracted-users", "25", "--reseller", "Reseller K.K.", "--reseller-reference", "PO-118")
    alice.do("create", "acme", *PEOPLE, *TERMS, *reseller)
    spec = manual.get("acme")["spec"]
    assert spec["requestedBy"] == f"alice-{manual.namespace}"
    assert (spec["contractedUsers"], spec["reseller"]) == (25, {"name": "Reseller K.K.", "reference": "PO-118"})

    (row,) = bob.do("approvals", "--no-headers").rows
    assert row[:3] == ["acme", "waiting", f"alice-{manual.namespace}"]
    assert "0 of 3 business days" in row
    refused = alice.run("approve", "acme")
    assert refused.code == 2
    assert "which is you, and nobody decides on their own request" in refused.err
    assert approvals(manual) == []

    for dry_run in ("--dry-run", "--dry-run=client"):
        said = bob.do("approve", "acme", dry_run).out
        assert lines_with(said, ["visitors", "2,000", "6,000", "4,000"])
        assert "acme approved (" in said
    assert approvals(manual) == [], "a dry run changes nothing"

    bob.do("approve", "acme", "--reason", "contract 2026-118")
    (written,) = approvals(manual)
    assert written == {
        "clientRef": {"name": "acme"},
        "clientUID": manual.get("acme")["metadata"]["uid"],
        "decision": "Approve",
        "reason": "contract 2026-118",
        "approvedBy": f"bob-{manual.namespace}",
    }
    assert "unchanged: it was approved already by bob-" in bob.do("approve", "acme").out
    late = bob.run("reject", "acme", "--reason", "no")
    assert (late.code, len(approvals(manual))) == (2, 1)
    assert "was approved by" in late.err


def test_a_rejection_is_final_and_made_anew_it_is_another_client(manual: Agency) -> None:
    manual.client("acme", requestedBy="alice")
    manual.cli.do("reject", "acme", "--reason", "in liquidation")
    assert [item["reason"] for item in approvals(manual)] == ["in liquidation"]
    refused = manual.cli.run("approve", "acme")
    assert refused.code == 2
    assert "a decision is final; to ask once more" in refused.err
    manual.cli.do("delete", "acme", "--confirm", "acme")
    manual.client("acme", requestedBy="alice")
    manual.cli.do("approve", "acme")
    assert sorted(item["decision"] for item in approvals(manual)) == ["Approve", "Reject"]


def test_a_mistyped_name_decides_on_nobody(manual: Agency) -> None:
    manual.client("acme", requestedBy="alice")
    manual.client("globex")
    answer = manual.cli.run("approve", "acme", "globex", "acmee")
    assert answer.code == 1
    assert "there is no client 'acmee'" in answer.err
    assert '{"spec":{"requestedBy":"USER"}}' in answer.err, "the other refusal is told too"
    assert approvals(manual) == []


def test_several_are_approved_at_once_and_told_as_data(manual: Agency) -> None:
    for name in ("acme", "globex"):
        manual.client(name, requestedBy="alice", licenses=[{"name": "visitors", "quantity": 4000}])
    data = json.loads(manual.cli.do("approve", "acme", "globex", "-o", "json").out)["clients"]
    assert [(one["name"], one["changed"], one["licenses"][0]["short"]) for one in data] == [
        ("acme", True, 0),
        ("globex", True, 2000),
    ]
    assert len(approvals(manual)) == 2


def test_who_may_only_create_decisions_decides_and_repeats_it_harmlessly(manual: Agency) -> None:
    """Without the right to list them, it is the name that tells the repetition."""
    manual.client("acme", requestedBy="alice")
    carol = somebody(manual, "carol", "clientorgs.clientorg.dev,orgplans.clientorg.dev", "get")
    user = f"carol-{manual.namespace}"
    for kind in (
        ("role", f"{user}-2", "--verb=create,get", "--resource=orgapprovals.clientorg.dev"),
        ("rolebinding", f"{user}-2", f"--role={user}-2", f"--user={user}"),
    ):
        argv = [str(manual.plane.kubectl), "-n", manual.namespace, "create", *kind]
        subprocess.run(argv, check=True, capture_output=True, env=manual.cli.env(), timeout=60)
    assert "acme approved" in carol.do("approve", "acme").out
    assert "unchanged: you have approved it already" in carol.do("approve", "acme").out
    assert len(approvals(manual)) == 1


def test_who_may_not_decide_is_told_which_right_is_missing(manual: Agency) -> None:
    manual.client("acme", requestedBy="alice")
    dave = somebody(manual, "dave", verbs="get,list,watch")
    answer = dave.run("approve", "acme")
    assert answer.code == 1
    assert "may not create orgapprovals.clientorg.dev" in answer.err


def test_a_plan_that_approves_by_itself_is_said(agency: Agency) -> None:
    agency.client("acme")
    answer = agency.cli.run("approve", "acme")
    assert answer.code == 2
    assert "approves by itself (spec.approval: Automatic)" in answer.err
    assert "No client waits for approval" in agency.cli.do("approvals").err


def test_waiting_ends_when_the_client_is_ready_or_somebody_was_faster(manual: Agency) -> None:
    manual.client("acme", requestedBy="alice")
    record = {"requestedTime": "2026-11-24T00:00:00Z", "dueTime": "2026-11-27T15:00:00Z"}
    running = manual.cli.start("approve", "acme", "--wait=50s")
    assert running.stdout is not None
    while "acme approved" not in running.stdout.readline():
        assert running.poll() is None
    manual.status("acme", approval=record | {"decision": "Approve"}, conditions=[ready("True", "Ready")])
    assert running.wait(60) == 0
    manual.client("globex", requestedBy="alice")
    answer = manual.cli.run("approve", "globex", "--wait=1s")
    assert answer.code == 3
    assert "still waiting for globex to become Ready" in answer.err


def test_decided_clients_are_listed_when_asked_for(manual: Agency) -> None:
    manual.client("acme", requestedBy="alice")
    record = {"requestedTime": "2026-11-24T00:00:00Z", "dueTime": "2026-11-27T15:00:00Z", "by": "bob", "reason": "no"}
    decided = record | {"decision": "Reject", "decidedTime": "2026-11-25T00:00:00Z"}
    said = [ready("False", "Rejected", "no")]
    manual.status("acme", observedGeneration=1, approval=decided, state="Rejected", conditions=said)
    assert manual.cli.do("approvals").out == ""
    (row,) = manual.cli.do("approvals", "--all", "-o", "wide", "--no-headers").rows
    assert row[1] == "rejected"
    assert row[-3:] == ["bob", "2026-11-25 09:00 JST", "no"]
    (data,) = yaml.safe_load(manual.cli.do("approvals", "--all", "-o", "yaml").out)["approvals"]
    assert (data["approval"], data["waitedBusinessDays"]) == ("rejected", 1)
    assert manual.cli.do("approvals", "--all", "-o", "name").out == "clientorg.clientorg.dev/acme\n"
    described = manual.cli.do("describe", "acme").out
    assert lines_with(described, ["Approval:", "rejected by bob"])
    assert lines_with(described, ["kubectl clientorg delete acme"])


# -- termination ------------------------------------------------------------------------------------------------------


def billed(agency: Agency, balance: int) -> None:
    """A client with points, charged through 2199 so that no charge comes before that, and a pool with 500."""
    agency.client("acme", granted=500, used=120)
    agency.status("acme", points={"balance": balance, "chargesFrom": "2026-03", "chargedThrough": "2199-11"})
    points = {"balance": 500, "entries": 0}
    agency.plane.patch(QUOTA_POOLS, agency.namespace, "tokyo", {"status": {"points": points}}, subresource="status")


def test_a_termination_is_shown_scheduled_changed_and_withdrawn(manual: Agency) -> None:
    """S11, on dates far away, so that the test's own day does not matter."""
    billed(manual, -800)
    order = ("terminate", "acme", "--at", "2199-12-26 18:00", *CONSENT)
    for dry_run in ("--dry-run", "--dry-run=client"):
        said = manual.cli.do(*order, dry_run).out
        assert lines_with(said, ["charge 2199-12, 2199-12-25 00:00 JST", "1,000 for up to 10 users = 1,000", "-1,000"])
        assert "the shortfall of 1,800 points is made up from pool tokyo, which has 500 now" in said
        assert "The pool lacks 1,300 points" in said
        assert "Licenses that return to pool tokyo: 380 visitors" in said
        assert lines_with(said, ["2200-03-26 18:00", "everything is deleted, for ever"])
    assert termination(manual) is None, "a dry run changes nothing"

    said = manual.cli.do(*order, "--accepted-time", "2026-11-20T09:00:00Z").out
    assert "termination scheduled for 2199-12-26 18:00 JST" in said
    consent = {
        "acceptedBy": "yuki@acme.example",
        "acceptedTime": "2026-11-20T09:00:00Z",
        "text": "letter of 20 November",
    }
    assert termination(manual) == {"time": "2199-12-26T09:00:00Z", "consent": consent}
    assert "unchanged: spec.termination says so already" in manual.cli.do(*order).out

    data = json.loads(manual.cli.do("terminate", "acme", "--at", "2199-12-20", *CONSENT, "-o", "json").out)
    assert (data["settlement"]["left"], data["settlement"]["charges"], data["changed"]) == (-800, [], True)
    assert (termination(manual) or {})["time"] == "2199-12-19T15:00:00Z"
    assert "Ends" in manual.cli.do("describe", "acme").out
    assert lines_with(manual.cli.do("timeline", "acme").out, ["2199-12-20 00:00", "Termination", "coming"])

    assert "termination withdrawn" in manual.cli.do("terminate", "acme", "--withdraw").out
    assert termination(manual) is None
    assert "unchanged: no termination is asked for" in manual.cli.do("terminate", "acme", "--withdraw").out


def test_now_takes_the_place_of_a_date(manual: Agency) -> None:
    billed(manual, 200)
    manual.cli.do("terminate", "acme", "--at", "2199-12-20", *CONSENT)
    said = manual.cli.do("terminate", "acme", "--now", *CONSENT).out
    assert "the surplus of 200 points is consumed" in said
    assert "and not on 2199-12-20 00:00 JST" in said
    found = termination(manual) or {}
    assert (found["immediate"], "time" in found) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--at", "2020-01-31", *CONSENT), "spec.termination.time (--at): 2020-01-31 00:00 JST is in the past"),
        (("--at", "tomorrow", *CONSENT), "--at: 'tomorrow' is not a time"),
        (("--now", "--accepted-by", "yuki"), "spec.termination.consent.text (--consent-text): required"),
        (
            ("--now", *CONSENT, "--accepted-time", "2199-01-01"),
            "(--accepted-time): 2199-01-01 00:00 JST is in the future",
        ),
    ],
)
def test_bad_input_names_the_field_and_changes_nothing(agency: Agency, arguments: tuple[str, ...], words: str) -> None:
    agency.plane.patch(ORG_PLANS, agency.namespace, "standard", {"spec": {"timeZone": "Asia/Tokyo"}})
    agency.client("acme", granted=500)
    answer = agency.cli.run("terminate", "acme", *arguments)
    assert (answer.code, termination(agency)) == (2, None)
    assert words in answer.err


@pytest.mark.parametrize("dry_run", ["--dry-run", "--dry-run=client"])
def test_what_the_api_does_not_take_is_refused_with_its_flag(agency: Agency, dry_run: str) -> None:
    agency.client("acme", granted=500)
    answer = agency.cli.run("terminate", "acme", "--now", "--accepted-by", "x" * 300, "--consent-text", "x", dry_run)
    assert answer.code in (1, 2)
    assert "spec.termination.consent.acceptedBy (--accepted-by)" in answer.err


def test_what_has_run_is_not_taken_back(manual: Agency) -> None:
    manual.client("acme", granted=500)
    manual.status("acme", state="Terminated", termination={"executedTime": "2026-11-20T00:00:00Z"})
    for arguments in (("--withdraw",), ("--now", *CONSENT)):
        answer = manual.cli.run("terminate", "acme", *arguments)
        assert answer.code == 2
        assert "was terminated on 2026-11-20 09:00 JST, and that cannot be changed or withdrawn" in answer.err
    assert lines_with(manual.cli.do("list").out, ["acme", "Terminated"])


def test_a_client_that_changed_meanwhile_is_judged_anew(manual: Agency, tmp_path: Path) -> None:
    """Somebody renames it between the look and the write: their change is not lost, and ours is made."""
    billed(manual, 0)
    with FaultProxy(manual.plane.client()) as proxy:
        change = {"spec": {"displayName": "Acme Holdings"}}
        proxy.step = before_first_write(
            "acme", lambda: manual.plane.patch(CLIENT_ORGS, manual.namespace, "acme", change)
        )
        manual.cli.as_(proxy.kubeconfig(tmp_path)).do("terminate", "acme", "--at", "2199-12-20", *CONSENT)
    assert manual.get("acme")["spec"]["displayName"] == "Acme Holdings"
    assert (termination(manual) or {})["time"] == "2199-12-19T15:00:00Z"


def test_a_termination_that_ran_meanwhile_is_not_withdrawn(manual: Agency, tmp_path: Path) -> None:
    billed(manual, 0)
    manual.cli.do("terminate", "acme", "--at", "2199-12-20", *CONSENT)
    with FaultProxy(manual.plane.client()) as proxy:
        proxy.step = before_first_write(
            "acme", lambda: manual.status("acme", termination={"executedTime": "2026-11-20T00:00:00Z"})
        )
        answer = manual.cli.as_(proxy.kubeconfig(tmp_path)).run("terminate", "acme", "--withdraw")
    assert answer.code == 2
    assert "was terminated on" in answer.err
    assert termination(manual) is not None
