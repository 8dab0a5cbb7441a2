"""approvals, approve, reject: who waits, what is refused, what would happen, when it is done (FEATURES S2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.orgapproval import OrgApprovalSpec
from clientorg.cli.approvalrows import Standing, approval_row, by_urgency, document, header, row_cells
from clientorg.cli.decidewait import is_reached
from clientorg.cli.decision import (
    Choice,
    View,
    approval_name,
    check,
    draws,
    in_turn,
    lines,
    manifest,
    says_the_same,
    verdict_of,
)
from clientorg.cli.decision import document as decision_document
from clientorg.cli.exits import NotReachedError
from clientorg.dashboard.stateactions import decision_agreement
from clientorg.domain.approval import objection
from clientorg.errors import InputError
from tests.unit.cli_builders import client, granted, pool, ready

Json = dict[str, Any]

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
"""Wednesday, noon in Tokyo."""
TUESDAY = "2026-11-24T00:00:00Z"
WEEK_AGO = "2026-11-18T00:00:00Z"


def plan(approval: str | None = "Manual", **spec: Any) -> Json:
    """A plan, in Tokyo."""
    full = {"timeZone": "Asia/Tokyo", "approval": approval, **spec}
    return {
        "metadata": {"name": "standard", "namespace": "agency"},
        "spec": {key: value for key, value in full.items() if value is not None},
    }


def waiting(name: str = "acme", *, since: str = TUESDAY, requested_by: str | None = "alice", **parts: Any) -> Json:
    """A client that nobody has decided on, and that the operator has not seen."""
    metadata = {"creationTimestamp": since, "uid": f"uid-{name}-0123", **parts.pop("metadata", {})}
    return client(name, requestedBy=requested_by, metadata=metadata, **parts)


def recorded(decision: str | None = None, **more: Any) -> Json:
    """A status with the operator's record."""
    record = {"requestedTime": TUESDAY, "dueTime": "2026-11-27T15:00:00Z"}
    if decision is not None:
        record |= {"decision": decision, "decidedTime": "2026-11-25T00:00:00Z", "by": "bob", "name": "x"}
    return {"observedGeneration": 1, "state": "PendingApproval", "approval": record | more}


def approval(by: str, decision: str = "Approve", *, uid: str = "uid-acme-0123", created: str = TUESDAY) -> Json:
    """An OrgApproval."""
    spec = {"clientRef": {"name": "acme"}, "clientUID": uid, "decision": decision, "approvedBy": by}
    return {"metadata": {"name": f"{by}-{decision}", "creationTimestamp": created}, "spec": spec}


# -- who waits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "terms", "standing"),
    [
        (waiting(), plan(), Standing.WAITING),
        (waiting(), plan("Automatic"), Standing.NOT_ASKED),
        (waiting(), plan(None), Standing.NOT_ASKED),
        (waiting(), None, Standing.UNKNOWN),
        (waiting(), plan(timeZone="Asia/Nowhere"), Standing.UNKNOWN),
        (waiting(status=recorded()), None, Standing.WAITING),
        (waiting(status=recorded()), plan("Automatic"), Standing.NOT_ASKED),
        (waiting(status=granted(visitors=500)), plan(), Standing.NOT_ASKED),
        (waiting(status=recorded("Approve")), plan(), Standing.APPROVED),
        (waiting(status=recorded("Reject")), None, Standing.REJECTED),
        (waiting(metadata={"deletionTimestamp": TUESDAY}), plan(), Standing.NOT_ASKED),
    ],
)
def test_who_waits_is_by_the_record_and_before_it_by_the_plan(item: Json, terms: Json, standing: Standing) -> None:
    assert approval_row(item, terms, NOW).standing is standing


def test_business_days_are_counted_and_due_by_the_plan() -> None:
    """From Tuesday on, with the Thursday off, three business days end with the next Monday."""
    terms = plan(approvalTarget={"businessDays": 3, "holidays": ["2026-11-26"]})
    item = approval_row(waiting(), terms, NOW)
    assert (item.waited, item.target, item.is_late, item.word) == (1, 3, False, "waiting")
    assert item.due == datetime(2026, 11, 30, 15, tzinfo=UTC), "midnight in Tokyo"
    late = approval_row(waiting(since=WEEK_AGO), plan(), NOW)
    assert (late.waited, late.is_late, late.word) == (5, True, "overdue")


def test_a_decided_client_no_longer_waits() -> None:
    item = approval_row(waiting(status=recorded("Approve", reason="fine")), plan(), datetime(2027, 1, 1, tzinfo=UTC))
    assert (item.waited, item.is_late, item.by, item.reason) == (1, False, "bob", "fine")


def test_an_approved_client_that_is_not_built_in_time_is_late() -> None:
    """S2 measures the working client; the operator's condition says so."""
    status = recorded("Approve") | {"conditions": [{"type": "ApprovalOnTarget", "status": "False"}]}
    item = approval_row(waiting(status=status), plan(), NOW)
    assert (item.is_late, item.word) == (True, "approved")


def test_those_that_wait_come_first_and_the_most_urgent_before_the_others() -> None:
    rows = [
        approval_row(waiting("done", status=recorded("Reject")), plan(), NOW),
        approval_row(waiting("new"), plan(), NOW),
        approval_row(waiting("old", since=WEEK_AGO), plan(), NOW),
    ]
    assert [item.row.name for item in by_urgency(rows)] == ["old", "new", "done"]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("status", [None, recorded("Reject", reason="no")])
def test_rows_have_the_cells_of_their_header(status: Json | None, wide: bool) -> None:
    item = approval_row(waiting(status=status, contractedUsers=25), plan(), NOW)
    shown = [cell.text for cell in row_cells(item, wide=wide, namespaces=True)]
    assert len(shown) == len(header(wide=wide, namespaces=True))
    assert shown[3:6] == ["alice", "2026-11-24 09:00 JST", "1 of 3 business days"]
    assert shown[8] == "visitors 500"


def test_approvals_as_data() -> None:
    data = document(approval_row(waiting(since=WEEK_AGO), plan(), NOW))
    assert (data["approval"], data["overdue"], data["waitedBusinessDays"]) == ("waiting", True, 5)
    assert (data["requestedBy"], data["decidedBy"], data["timeZone"]) == ("alice", None, "Asia/Tokyo")
    assert data["licenses"] == [{"name": "visitors", "quantity": 500}]


# -- what is refused --------------------------------------------------------------------------------------------------


def view(choice: Choice, item: Json | None = None, *verdicts: Json, **parts: Any) -> View:
    """What bob, who did not request it, decides on."""
    known = View(
        choice=choice,
        client=item or waiting(),
        plan=plan(),
        pool=pool(allocated=600, visitors=1000),
        verdicts=tuple(verdict_of(entry) for entry in verdicts),
        user="bob",
        reason="no" if choice is Choice.REJECT else None,
        now=NOW,
    )
    return replace(known, **parts)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (view(Choice.APPROVE, user="alice"), "requested by 'alice', which is you"),
        (view(Choice.REJECT, user="alice"), "kubectl clientorg delete acme -n agency"),
        (view(Choice.APPROVE, waiting(requested_by=None)), '{"spec":{"requestedBy":"USER"}}'),
        (view(Choice.APPROVE, plan=plan("Automatic")), "approves by itself (spec.approval: Automatic)"),
        (view(Choice.APPROVE, waiting(status=granted(visitors=500))), "is not asked about again"),
        (view(Choice.APPROVE, plan=None), "its plan 'standard' is not there or cannot be read"),
        (view(Choice.APPROVE, waiting(metadata={"deletionTimestamp": TUESDAY})), "being deleted"),
        (view(Choice.APPROVE, waiting(status=recorded("Reject"))), "was rejected by 'bob' on 2026-11-25 09:00 JST"),
        (view(Choice.REJECT, waiting(status=recorded("Approve"))), "kubectl clientorg deactivate acme -n agency"),
        (view(Choice.REJECT, None, approval("carol")), "was approved by 'carol'"),
    ],
)
def test_what_cannot_be_says_why_and_what_can(known: View, words: str) -> None:
    with pytest.raises(InputError) as refused:
        check(known)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "known",
    [
        view(Choice.APPROVE),
        view(Choice.REJECT),
        view(Choice.APPROVE, verdicts=None),
        view(Choice.APPROVE, None, approval("alice")),
        view(Choice.APPROVE, None, approval("carol", "Reject", uid="an-earlier-one")),
    ],
    ids=["approve", "reject", "no right to list", "own approval does not count", "of an earlier object"],
)
def test_what_can_be_is_not_refused(known: View) -> None:
    check(known)
    assert known.decided is None


def test_who_is_approved_already_is_unchanged() -> None:
    for known in (view(Choice.APPROVE, waiting(status=recorded("Approve"))), view(Choice.APPROVE, None, approval("c"))):
        check(known)
        assert known.is_unchanged


def test_the_first_of_two_decisions_counts() -> None:
    both = (approval("carol", "Reject", created="2026-11-24T02:00:00Z"), approval("dave", created=TUESDAY))
    decided = view(Choice.APPROVE, None, *both).decided
    assert decided is not None
    assert (decided.decision, decided.by) == ("Approve", "dave")


# -- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", Choice)
def test_what_is_written_is_what_the_api_and_the_rules_take(choice: Choice) -> None:
    written = manifest(view(choice))
    OrgApprovalSpec.model_validate(written["spec"])
    assert objection(verdict_of(written), "uid-acme-0123", "alice") is None
    assert written["metadata"]["namespace"] == "agency"


names = st.from_regex(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True)


@given(names, st.uuids(), st.text(min_size=1), st.text(min_size=1))
def test_a_name_is_of_one_client_person_and_decision(client_name: str, uid: Any, one: str, other: str) -> None:
    """Repeating is harmless, and nobody takes the name that somebody else's decision would have."""
    first = approval_name(client_name, str(uid), Choice.APPROVE, one)
    assert first == approval_name(client_name, str(uid), Choice.APPROVE, one)
    assert first != approval_name(client_name, str(uid), Choice.REJECT, one)
    assert (first == approval_name(client_name, str(uid), Choice.APPROVE, other)) == (one == other)
    assert len(first) <= 253


def test_the_same_decision_is_told_from_another_one() -> None:
    wanted = manifest(view(Choice.APPROVE))
    assert says_the_same({"spec": wanted["spec"] | {"reason": "an earlier word"}}, wanted)
    assert not says_the_same({"spec": wanted["spec"] | {"approvedBy": "carol"}}, wanted)


# -- what would happen ------------------------------------------------------------------------------------------------


def shown(known: View) -> str:
    """The preview as a person sees it."""
    return "\n".join(lines(known, color=False))


def test_an_approval_shows_what_it_draws_and_what_is_left() -> None:
    text = shown(view(Choice.APPROVE, waiting(contractedUsers=25)))
    assert "acme (Acme K.K.) waits for approval since 2026-11-24 09:00 JST, requested by alice" in text
    assert "1 of 3 business days; to work by 2026-11-28 00:00 JST" in text
    assert "25 contracted users" in text
    assert "  visitors     500         400      0     100" in text
    assert "The pool lacks 100 visitors: acme waits for them (QuotaPending) when it is approved." in text


def test_what_the_pool_gives_to_one_it_does_not_have_for_the_next() -> None:
    """400 are left for three: the second waits, and the third has what the first left."""
    views = [
        view(Choice.APPROVE, waiting(name, licenses=[{"name": "visitors", "quantity": wanted}]))
        for name, wanted in (("acme", 300), ("globex", 200), ("initech", 100))
    ]
    assert [(draws(one)[0].left, draws(one)[0].short) for one in in_turn(views)] == [(100, 0), (0, 100), (0, 0)]


@pytest.mark.parametrize("stock", [None, pool(visitors=1000)], ids=["not read", "not counted yet"])
def test_of_a_pool_that_is_not_known_nothing_is_claimed(stock: Json | None) -> None:
    known = view(Choice.APPROVE, pool=stock)
    assert (draws(known)[0].available, draws(known)[0].short) == (None, 0)
    assert "lacks" not in shown(known)


def test_a_rejection_is_said_to_be_final() -> None:
    text = shown(view(Choice.REJECT))
    assert "final for this acme, and says: no" in text
    assert "LICENSE" not in text


def test_a_decision_as_data() -> None:
    known = view(Choice.APPROVE)
    data = decision_document(known, manifest(known))
    assert (data["decision"], data["approvedBy"], data["requestedBy"]) == ("Approve", "bob", "alice")
    assert data["approval"] == manifest(known)["metadata"]["name"]
    assert data["licenses"] == [{"name": "visitors", "asked": 500, "available": 400, "left": 0, "short": 100}]


# -- when it is done --------------------------------------------------------------------------------------------------


def test_an_approval_is_done_when_the_client_is_ready_and_no_earlier() -> None:
    uid = "uid-acme-0123"
    old = waiting(status={"conditions": [ready("True", "Ready")]})
    approved = waiting(status=recorded("Approve"))
    done = waiting(status=recorded("Approve") | {"conditions": [ready("True", "Ready")]})
    assert [is_reached(Choice.APPROVE, "acme", uid, item) for item in (old, approved, done)] == [False, False, True]


def test_a_rejection_is_done_when_it_is_recorded() -> None:
    items = (waiting(), waiting(status=recorded("Reject")))
    assert [is_reached(Choice.REJECT, "acme", "uid-acme-0123", item) for item in items] == [False, True]


@pytest.mark.parametrize(
    "item",
    [None, waiting(metadata={"uid": "another"}), waiting(status=recorded("Reject"))],
    ids=["deleted", "made anew", "rejected by somebody else"],
)
def test_what_waiting_cannot_bring_ends_the_wait(item: Json | None) -> None:
    with pytest.raises(NotReachedError):
        is_reached(Choice.APPROVE, "acme", "uid-acme-0123", item)


@pytest.mark.parametrize("choice", list(Choice))
def test_what_is_agreed_to_in_the_dashboard_does_not_move_while_it_is_read(choice: Choice) -> None:
    """Neither how long the client has waited nor that it is late by now, which days alone change."""
    read = view(choice)
    assert decision_agreement(replace(read, now=NOW + timedelta(days=30))) == decision_agreement(read)
    assert decision_agreement(replace(read, user="carol")) != decision_agreement(read)
