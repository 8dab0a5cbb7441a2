"""A client's status from the facts of one pass: by a table, and what kstatus promises whatever the facts are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.clientorg import ClientOrgStatus
from clientorg.api.conditions import STALLING_REASONS, Reason
from clientorg.domain.allocation import Holder, Waiting
from clientorg.domain.client_facts import Facts, Problem
from clientorg.domain.client_status import refused_status, status_of
from clientorg.domain.merge_patch import merge_patch
from tests.unit.apiserver import merged
from tests.unit.strategies import LATER, NOW, Json, any_facts, conditions_of, facts

NOTHING = Holder({}, 0)
SHORT: Json = {"holder": NOTHING, "provisioned": False, "established": False}


def waiting(position: int = 3, **fields: Any) -> Waiting:
    """A place in the queue for ten seats, of which the pool lacks four."""
    return Waiting("u", "acme", position, **{"missing": {"seats": 4}, **fields})


# -- the table -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "state", "ready", "reconciling", "stalled", "reason"),
    [
        ({}, "Active", "True", "False", "False", Reason.READY),
        ({"kept_back": {"seats": (2, 5)}}, "Active", "True", "False", "False", Reason.READY),
        ({**SHORT, "waiting": waiting()}, "Provisioning", "False", "True", "False", Reason.QUOTA_PENDING),
        (
            {**SHORT, "waiting": waiting(blocked_by="bee")},
            "Provisioning",
            "False",
            "True",
            "False",
            Reason.TRANSFER_PENDING,
        ),
        (SHORT, "Provisioning", "False", "True", "False", Reason.PROVISIONING),
        ({"provisioned": False, "established": False}, "Provisioning", "False", "True", "False", Reason.PROVISIONING),
        (
            {"holder": Holder({"seats": 5}, 1), "waiting": waiting()},
            "Active",
            "False",
            "True",
            "False",
            Reason.QUOTA_PENDING,
        ),
        (
            {"provisioned": False, "workspace": Problem(Reason.APPLY_FAILED, "again")},
            "Active",
            "False",
            "True",
            "False",
            Reason.APPLY_FAILED,
        ),
        (
            {"provisioned": False, "workspace": Problem(Reason.FORBIDDEN, "no right")},
            "Active",
            "False",
            "True",
            "False",
            Reason.FORBIDDEN,
        ),
        (
            {"provisioned": False, "workspace": Problem(Reason.NAMESPACE_CONFLICT, "another's")},
            "Active",
            "False",
            "False",
            "True",
            Reason.NAMESPACE_CONFLICT,
        ),
        (
            {**SHORT, "licensing": Problem(Reason.POOL_NOT_FOUND, "no pool")},
            "Provisioning",
            "False",
            "False",
            "True",
            Reason.POOL_NOT_FOUND,
        ),
        (
            {**SHORT, "licensing": Problem(Reason.POOL_DELETING, "going")},
            "Provisioning",
            "False",
            "True",
            "False",
            Reason.POOL_DELETING,
        ),
        (
            {**SHORT, "waiting": waiting(), "workspace": Problem(Reason.PLAN_NOT_FOUND, "no plan")},
            "Provisioning",
            "False",
            "False",
            "True",
            Reason.PLAN_NOT_FOUND,
        ),
        ({"deleting": "deleting namespace x"}, "Deleting", "False", "True", "False", Reason.DELETING),
        (
            {"deleting": "deleting namespace x", "workspace": Problem(Reason.NAMESPACE_CONFLICT, "another's")},
            "Deleting",
            "False",
            "True",
            "False",
            Reason.DELETING,
        ),
    ],
    ids=[
        "all is well",
        "a reduction waits for what is used",
        "short pool",
        "half a move",
        "the pool has not decided",
        "granted, not built yet",
        "a raise waits while the client works on",
        "a child is being repaired",
        "a right is missing",
        "the namespace is another's",
        "no pool",
        "the pool is being deleted",
        "somebody has to act, beside what passes",
        "deletion",
        "deletion beats everything",
    ],
)
def test_state_and_conditions(found: Json, state: str, ready: str, reconciling: str, stalled: str, reason: str) -> None:
    status = status_of(facts(**found), {}, NOW)
    conditions = conditions_of(status)

    assert status["state"] == state
    assert [conditions[kind]["status"] for kind in ("Ready", "Reconciling", "Stalled")] == [ready, reconciling, stalled]
    assert conditions["Ready"]["reason"] == reason


def test_message_tells_what_is_missing_and_what_to_do() -> None:
    status = status_of(facts(**SHORT, waiting=waiting(3)), {}, NOW)
    message = conditions_of(status)["Ready"]["message"]

    assert message == (
        "position 3 in the queue, granted seats 0 of 10: the pool lacks 4 seats; raise the pool, free licenses of "
        "other clients, or ask for fewer"
    )


def test_message_of_one_who_waits_only_for_others() -> None:
    status = status_of(facts(**SHORT, waiting=waiting(2, missing={})), {}, NOW)

    assert conditions_of(status)["Ready"]["message"].endswith("earlier requests are served first")


def test_message_of_half_a_move_names_who_has_to_let_go() -> None:
    message = conditions_of(status_of(facts(**SHORT, waiting=waiting(blocked_by="bee")), {}, NOW))["Ready"]["message"]

    assert "client bee" in message
    assert "clientorg.dev/transfer-from" in message


# -- the rest of it ------------------------------------------------------------------------------------------------


def test_licenses_are_those_wanted_and_those_held_by_name() -> None:
    status = status_of(
        facts(holder=Holder({"seats": 10, "old": 2}, 1), wanted={"seats": 10, "mails": 0}, used={"seats": 4}), {}, NOW
    )

    assert status["licenses"] == [
        {"name": "mails", "granted": 0},
        {"name": "old", "granted": 2},
        {"name": "seats", "granted": 10, "used": 4, "remaining": 6},
    ]
    assert status["licenseSummary"] == "mails -/0, old -/2, seats 4/10"


def test_single_license_needs_no_name_in_the_summary() -> None:
    assert status_of(facts(used={"seats": 4}), {}, NOW)["licenseSummary"] == "4/10"


def test_more_used_than_granted_shows_below_zero() -> None:
    """Reported use may exceed what is granted; nothing else ever goes below zero."""
    status = status_of(facts(used={"seats": 14}), {}, NOW)

    assert status["licenses"][0] == {"name": "seats", "granted": 10, "used": 14, "remaining": -4}


def test_place_in_the_queue_is_shown_rounded_and_since_when() -> None:
    status = status_of(facts(**SHORT, waiting=waiting(37), pending_since=NOW), {}, LATER)

    assert status["pending"] == {"since": NOW, "position": 50}
    assert "position 50" in conditions_of(status)["Ready"]["message"]
    assert "pending" not in status_of(facts(), status, LATER)


def test_workspace_address_and_answered_request_are_shown_where_there_are_any() -> None:
    status = status_of(facts(url="https://acme.example", reconcile_requested="2026-11-01"), {}, NOW)

    where = {"namespace": "acme-7k2m9q4xta", "readyTime": NOW}
    assert status["workspace"] == where | {"url": "https://acme.example"}
    assert status["lastHandledReconcileAt"] == "2026-11-01"
    bare = status_of(facts(), status, LATER)
    assert bare["workspace"] == where, "the time of the first day stays"
    assert "lastHandledReconcileAt" not in bare


def test_refused_status_is_stalled_and_says_why() -> None:
    before = status_of(facts(), {}, NOW)
    conditions = conditions_of(refused_status(4, "status.x: too long", before, LATER))

    assert [conditions[kind]["status"] for kind in ("Ready", "Reconciling", "Stalled")] == ["False", "False", "True"]
    assert "too long" in conditions["Stalled"]["message"]


# -- whatever the facts --------------------------------------------------------------------------------------------


@given(any_facts())
def test_kstatus_holds_whatever_the_facts(found: Facts) -> None:
    """Never Reconciling and Stalled at once; Ready is neither; and not Ready is one of them (DESIGN rule 10)."""
    status = status_of(found, {}, NOW)
    conditions = conditions_of(status)
    ready, reconciling, stalled = (conditions[kind]["status"] for kind in ("Ready", "Reconciling", "Stalled"))

    assert (ready, reconciling, stalled) in {
        ("True", "False", "False"),
        ("False", "True", "False"),
        ("False", "False", "True"),
    }
    assert status["observedGeneration"] == found.generation
    assert {condition["observedGeneration"] for condition in conditions.values()} == {found.generation}


@given(any_facts())
def test_ready_means_that_every_part_is(found: Facts) -> None:
    conditions = conditions_of(status_of(found, {}, NOW))
    parts = [conditions[kind]["status"] for kind in ("LicensesAllocated", "WorkspaceReady")]

    assert (conditions["Ready"]["status"] == "True") == (parts == ["True", "True"] and found.deleting is None)


@given(any_facts())
def test_stalled_means_that_somebody_has_to_act(found: Facts) -> None:
    conditions = conditions_of(status_of(found, {}, NOW))
    stalling = [
        part
        for part in (conditions["LicensesAllocated"], conditions["WorkspaceReady"])
        if part["status"] != "True" and part["reason"] in STALLING_REASONS
    ]

    assert (conditions["Stalled"]["status"] == "True") == (bool(stalling) and found.deleting is None)
    if conditions["Stalled"]["status"] == "True":
        assert conditions["Ready"]["reason"] in {part["reason"] for part in stalling}
        assert conditions["Stalled"]["message"], "and is told what to do"


@given(any_facts())
def test_same_facts_give_the_same_status_later(found: Facts) -> None:
    """So that a pass that finds nothing new writes nothing."""
    status = status_of(found, {}, NOW)

    assert merge_patch(status, status_of(found, status, LATER)) == {}


@given(any_facts(), any_facts())
def test_patch_of_a_pass_leaves_exactly_the_new_status(first: Facts, second: Facts) -> None:
    """Nothing of an old status is left over, whatever a pass found before."""
    before = status_of(first, {}, NOW)
    after = status_of(second, before, LATER)

    assert merged(before, merge_patch(before, after)) == after


@given(any_facts(), any_facts())
def test_transition_time_moves_only_with_a_status(first: Facts, second: Facts) -> None:
    before = status_of(first, {}, NOW)
    for kind, condition in conditions_of(status_of(second, before, LATER)).items():
        old = conditions_of(before).get(kind)
        changed = old is None or old["status"] != condition["status"]
        assert condition["lastTransitionTime"] == (LATER if changed else NOW)


@given(any_facts(), st.integers(0, 40))
def test_status_fits_its_schema(found: Facts, licenses: int) -> None:
    """Lengths included: a status that the server refuses leaves the client without any."""
    names = {f"license-{number:050}": 2**53 for number in range(min(licenses, 32))}
    status = status_of(facts(holder=Holder(names, 1), wanted=names), {}, NOW) if licenses else status_of(found, {}, NOW)

    ClientOrgStatus.model_validate(status)
