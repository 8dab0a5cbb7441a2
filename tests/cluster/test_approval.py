"""Approval before anything is provisioned (FEATURES S1, S2), on the stepped clock."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from clientorg.cluster.resources import NAMESPACES
from tests.cluster.pointverbs import approve
from tests.cluster.verbs import Agency, Client, condition_of, expect_never
from tests.support.devclock import DevClock
from tests.support.kube import Kube
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]


@pytest.fixture
def admin(api: Kube) -> str:
    """Who the tests are to the API server."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    return str(answer["status"]["userInfo"]["username"])


@pytest.fixture
def waiting(tokyo: Agency) -> Client:
    """A client that waits for approval; somebody else requested it."""
    tokyo.plan.set(approval="Manual")
    client = tokyo.client(requestedBy="yuki@agency.example")
    client.expect_state_of("PendingApproval")
    return client


def test_nothing_is_provisioned_before_somebody_else_says_yes(tokyo: Agency, waiting: Client, admin: str) -> None:
    manifest = waiting.read()
    assert condition_of(manifest, "Ready")["reason"] == "ApprovalPending"
    assert waiting.granted.get("visitors", 0) == 0
    assert waiting.kube.find(NAMESPACES, waiting.workspace) is None
    assert tokyo.pool.books().get("allocated", 0) == 0

    decision = approve(tokyo, waiting, admin, reason="the contract is signed")

    decision.expect_ready()
    manifest = waiting.expect_ready()
    record = manifest["status"]["approval"]
    assert (record["decision"], record["by"], record["reason"]) == ("Approve", admin, "the contract is signed")
    assert "readyTime" in record
    assert waiting.granted == {"visitors": 10}
    waiting.expect_condition("Approved", "True", "Approved", admin)
    decision.delete()
    tokyo.plan.edit(displayName="Standard")
    assert waiting.expect_ready()["status"]["approval"]["decision"] == "Approve", "what was decided stays decided"


def test_rejection_is_final(tokyo: Agency, waiting: Client, admin: str) -> None:
    approve(tokyo, waiting, admin, "Reject", reason="no contract").expect_ready()

    waiting.expect_stalled("Rejected", "no contract", "final")
    assert waiting.status["state"] == "Rejected"
    late = approve(tokyo, waiting, admin, "Approve")
    late.expect_stalled("AlreadyDecided")
    tokyo.plan.set(approval="Automatic")
    expect_never(lambda: waiting.granted.get("visitors"), 1.0, "a rejected client got licenses")
    assert waiting.status["state"] == "Rejected"


def test_nobody_approves_their_own_request(tokyo: Agency, admin: str) -> None:
    tokyo.plan.set(approval="Manual")
    client = tokyo.client(requestedBy=admin)
    client.expect_state_of("PendingApproval")

    approve(tokyo, client, admin).expect_stalled("SelfApproval", admin, "somebody else")

    assert client.status["state"] == "PendingApproval"


def test_requester_has_to_be_said(tokyo: Agency) -> None:
    tokyo.plan.set(approval="Manual")
    client = tokyo.client()
    client.expect_stalled("RequesterUnknown", "spec.requestedBy")
    client.edit(requestedBy="yuki@agency.example")
    client.expect_condition("Approved", "False", "ApprovalPending")


def test_decision_is_on_one_object_only(tokyo: Agency, waiting: Client, admin: str) -> None:
    old_uid = waiting.uid
    waiting.delete_confirmed()
    waiting.expect_gone()
    again = tokyo.client(requestedBy="yuki@agency.example")
    again.expect_state_of("PendingApproval")
    tokyo.create(
        {
            "apiVersion": "clientorg.dev/v1alpha1",
            "kind": "OrgApproval",
            "metadata": {"name": "old", "namespace": tokyo.name},
            "spec": {
                "clientRef": {"name": "acme"},
                "clientUID": old_uid,
                "decision": "Approve",
                "approvedBy": admin,
            },
        }
    )

    expect_never(lambda: again.granted.get("visitors"), 1.0, "an approval of another object counted")


def test_target_is_told_and_missed(tokyo: Agency, clock: DevClock, clockwork: OperatorProcess, admin: str) -> None:
    missed = clockwork.metrics().get('clientorg_onboarded_total{target="missed"}', 0.0)
    tokyo.plan.set(approval="Manual", approvalTarget={"businessDays": 60, "weekend": []})
    client = tokyo.client(requestedBy="yuki@agency.example")
    client.expect_state_of("PendingApproval")
    due = datetime.fromisoformat(client.status["approval"]["dueTime"])
    client.expect_condition("ApprovalOnTarget", "True", "OnTarget")

    clock.set(max(due, clock.now) + timedelta(seconds=1))

    client.expect_condition("ApprovalOnTarget", "False", "Overdue", "approval was to be done")
    approve(tokyo, client, admin)
    client.expect_ready()
    client.expect_condition("ApprovalOnTarget", "False", "Overdue", "ready after the target")
    values = clockwork.metrics()
    assert values['clientorg_onboarded_total{target="missed"}'] == missed + 1
    assert values['clientorg_approval_wait_seconds_count{decision="Approve"}'] > 0


def test_plan_that_asks_no_more_lets_everybody_in(tokyo: Agency, waiting: Client) -> None:
    tokyo.plan.set(approval="Automatic")
    waiting.expect_ready()
    tokyo.plan.set(approval="Manual")
    tokyo.plan.edit(displayName="Standard")
    assert waiting.expect_ready()["status"]["state"] == "Active"
