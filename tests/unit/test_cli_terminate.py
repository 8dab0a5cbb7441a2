"""terminate: when, with whose consent, what is settled and what comes after; what is refused (FEATURES S11, X4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.clientorg import ClientOrgSpec
from clientorg.cli.account import arithmetic, charges_before, next_charges
from clientorg.cli.dates import Calendar
from clientorg.cli.exits import NotReachedError
from clientorg.cli.planrules import PlanRules, plan_rules
from clientorg.cli.running import Running, Workload
from clientorg.cli.schedule import terms_of
from clientorg.cli.terminatewait import is_reached
from clientorg.cli.termination import (
    Consent,
    Mode,
    View,
    check,
    parse_moment,
    settle,
    termination_patch,
    wanted_termination,
)
from clientorg.cli.terminationpreview import document, lines
from clientorg.dashboard.endactions import agreement
from clientorg.domain.billing import BillingTerms
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.points import suspension
from clientorg.errors import InputError
from tests.unit.apiserver import merged
from tests.unit.cli_builders import client, granted, pool
from tests.unit.life_model import TOKYO

Json = dict[str, Any]

NOW = datetime(2026, 11, 26, 3, tzinfo=UTC)
"""Noon in Tokyo, the day after a charge."""
END = datetime(2027, 1, 30, 15, tzinfo=UTC)
"""31 January, midnight in Tokyo: after the charges of December and January."""
CONSENT = Consent("yuki@acme.example", "letter of 20 November", datetime(2026, 11, 20, tzinfo=UTC))
BILLING: Json = {"basePoints": 1000, "pointsPerExtraUser": 50}
PLAN: Json = {
    "metadata": {"name": "standard", "generation": 3},
    "spec": {"timeZone": "Asia/Tokyo", "billing": BILLING, "deactivation": {"reminderDays": [30, 1]}},
}
RULES = plan_rules(PLAN)


def terms_with(**billing: Any) -> BillingTerms:
    """The plan's terms of charging, with changes."""
    found = plan_rules(PLAN | {"spec": PLAN["spec"] | {"billing": BILLING | billing}}).billing
    assert found is not None
    return found


def charged(balance: int, *, users: int = 25, through: str | None = "2026-11", **more: Any) -> Json:
    """A client that is charged since March; `termination` is that of the spec."""
    points = {"balance": balance, "chargesFrom": "2026-03", "chargedThrough": through, **more.pop("points", {})}
    status = {**granted(visitors=500, used=120), "points": points, **more.pop("status", {})}
    return client(contractedUsers=users, status=status, **more)


def view(mode: Mode = Mode.SCHEDULE, item: Json | None = None, **parts: Any) -> View:
    """A client that everything is known of; its contract is to end with January."""
    stock = pool(allocated=500, visitors=1000)
    stock["status"]["points"] = {"balance": 10_000}
    known = View(
        mode=mode,
        client=item or charged(1200),
        plan=PLAN,
        pool=stock,
        running=Running("acme-1", (Workload("Deployment", "web", 2, "deleted"),)),
        terms=terms_of(PLAN),
        rules=RULES,
        now=NOW,
        at=END if mode is Mode.SCHEDULE else None,
        consent=None if mode is Mode.WITHDRAW else CONSENT,
        calendar=Calendar(TOKYO, "Asia/Tokyo"),
    )
    return replace(known, **parts)


def shown(known: View) -> str:
    """The preview as a person sees it."""
    return "\n".join(lines(known, color=False))


# -- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31", "2027-01-30T15:00:00+00:00"),
        ("2027-01-31 18:00", "2027-01-31T09:00:00+00:00"),
        (" 2027-01-31T18:00:30.5 ", "2027-01-31T09:00:30+00:00"),
        ("2027-01-31T18:00:00Z", "2027-01-31T18:00:00+00:00"),
        ("2027-01-31T18:00:00+01:00", "2027-01-31T17:00:00+00:00"),
    ],
)
def test_times_are_of_the_plans_time_zone_unless_they_say_otherwise(text: str, moment: str) -> None:
    assert parse_moment(text, "--at", TOKYO) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("text", ["soon", "", "31.1.2027", "2027-02-30", "2027-01-31 25:00"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError, match=r"--at: .* is not a time; write for example 2027-01-31"):
        parse_moment(text, "--at", TOKYO)


def test_an_hour_that_clocks_skip_is_refused() -> None:
    prague = plan_rules({"metadata": {"name": "p"}, "spec": {"timeZone": "Europe/Prague"}}).time_zone
    with pytest.raises(InputError, match="does not exist in Europe/Prague"):
        parse_moment("2027-03-28 02:30", "--at", prague)
    assert parse_moment("2027-03-28 03:00", "--at", prague) == datetime(2027, 3, 28, 1, tzinfo=UTC)


def test_without_the_plan_a_time_needs_its_offset() -> None:
    with pytest.raises(InputError, match="write the time with its offset"):
        parse_moment("2027-01-31", "--at", None)
    assert parse_moment("2027-01-31T00:00Z", "--at", None) == datetime(2027, 1, 31, tzinfo=UTC)


# -- what is refused --------------------------------------------------------------------------------------------------

DONE: Json = {"termination": {"executedTime": "2026-11-25T00:00:00Z"}}


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (view(at=NOW), "spec.termination.time (--at): 2026-11-26 12:00 JST is in the past"),
        (view(at=NOW - timedelta(days=1)), "give a later time, or --now"),
        (
            view(Mode.NOW, charged(0, status=DONE)),
            "spec.termination: the contract of acme was terminated on 2026-11-25",
        ),
        (view(Mode.WITHDRAW, charged(0, status=DONE)), "that cannot be changed or withdrawn"),
        (view(item=client(metadata={"deletionTimestamp": "2026-11-25T00:00:00Z"})), "being deleted"),
        (
            view(consent=replace(CONSENT, time=NOW + timedelta(hours=1))),
            "spec.termination.consent.acceptedTime (--accepted-time): 2026-11-26 13:00 JST is in the future",
        ),
    ],
)
def test_what_cannot_be_names_the_field_and_what_can(known: View, words: str) -> None:
    with pytest.raises(InputError) as refused:
        check(known)
    assert words in str(refused.value)


@pytest.mark.parametrize("mode", Mode)
def test_what_can_be_is_not_refused(mode: Mode) -> None:
    check(view(mode))


# -- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, {"immediate": True}, {"time": "2027-06-01T00:00:00Z"}])
@pytest.mark.parametrize("mode", [Mode.NOW, Mode.SCHEDULE])
def test_a_patch_leaves_what_is_asked_for_whatever_was_there(mode: Mode, before: Json | None) -> None:
    known = view(mode)
    item = known.client if before is None else charged(1200, termination=before | {"consent": {"text": "old"}})
    patch = termination_patch(view(mode, item))
    after = merged(item, patch)["spec"]
    assert after["termination"] == wanted_termination(known)
    ClientOrgSpec.model_validate(after)
    assert patch["metadata"] == {"resourceVersion": "7"}, "only onto the version that was judged"


def test_a_withdrawal_takes_all_of_it_away() -> None:
    item = charged(0, termination=wanted_termination(view()))
    after = merged(item, termination_patch(view(Mode.WITHDRAW, item)))["spec"]
    assert "termination" not in after
    assert merge_patch(item["spec"], after) == {"termination": None}, "and nothing else"


@pytest.mark.parametrize(
    ("known", "unchanged"),
    [
        (view(), True),
        (view(consent=replace(CONSENT, time=None)), True),
        (view(at=END + timedelta(days=1)), False),
        (view(Mode.NOW), False),
        (view(consent=replace(CONSENT, by="hana")), False),
        (view(consent=replace(CONSENT, time=NOW)), False),
        (view(Mode.WITHDRAW), False),
    ],
    ids=["the same", "no time said", "another date", "now instead", "another person", "another time", "withdrawn"],
)
def test_what_is_asked_for_already_is_not_written(known: View, unchanged: bool) -> None:
    """The time of the consent is that of the first command, where it is not given."""
    assert replace(known, client=charged(0, termination=wanted_termination(view()))).is_unchanged is unchanged


def test_without_a_termination_only_a_withdrawal_changes_nothing() -> None:
    assert [view(mode).is_unchanged for mode in Mode] == [False, False, True]


# -- the settlement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("balance", "left", "source", "target", "words"),
    [
        (1200, -2300, "pool/tokyo", "org/acme", "the shortfall of 2,300 points is made up from pool tokyo, which has"),
        (3500, 0, None, None, "nothing is left, and nothing is missing"),
        (4000, 500, "org/acme", "consumed", "the surplus of 500 points is consumed; it does not return"),
    ],
)
def test_what_is_left_after_the_charges_is_made_up_or_consumed(
    balance: int, left: int, source: str | None, target: str | None, words: str
) -> None:
    """Two charges of 1,000 + 15 × 50 are due before the end."""
    known = view(item=charged(balance))
    found = settle(known)
    assert [(c.period, c.amount) for c in found.charges] == [("2026-12", 1750), ("2027-01", 1750)]
    assert (found.left, found.source, found.target, found.amount) == (left, source, target, abs(left))
    text = shown(known)
    assert words in text
    assert "charge 2026-12, 2026-12-25 00:00 JST   1,000 + (25 − 10) × 50 = 1,750   -1,750" in text


def test_a_pool_that_lacks_the_points_is_said() -> None:
    known = view(item=charged(-20_000), pool=pool(visitors=1000))
    assert settle(known).short == settle(known).from_pool == 23_500
    assert "The pool lacks 23,500 points: the settlement waits until it has them." in shown(known)
    assert settle(replace(known, pool=None)).short == 0, "of a pool that cannot be read nothing is claimed"


def test_what_ends_now_is_charged_no_more() -> None:
    assert settle(view(Mode.NOW)).left == 1200


def test_a_charge_that_is_due_and_not_made_counts() -> None:
    """The operator was down on the 25th."""
    assert settle(view(Mode.NOW, charged(1200, through="2026-10"))).left == 1200 - 1750


@pytest.mark.parametrize(
    "item",
    [
        charged(5, status={"deactivation": {"since": "2026-11-01T00:00:00Z", "purgeAfter": "2027-02-01T00:00:00Z"}}),
        charged(5, points={"chargesFrom": None}, through=None),
        client(status=granted(visitors=500)),
    ],
    ids=["deactivated", "charging has not begun", "never had points"],
)
def test_who_is_not_charged_is_not_charged_until_the_end(item: Json) -> None:
    assert settle(view(item=item)).charges == ()


@given(st.integers(-10_000, 10_000), st.integers(0, 400), st.integers(0, 60))
def test_settling_leaves_nothing(balance: int, days: int, users: int) -> None:
    """Whenever it ends: balance, charges and settlement add up to zero, and exactly the charges due are in it."""
    known = view(item=charged(balance, users=users), at=NOW + timedelta(days=days, seconds=1))
    found = settle(known)
    moved = found.amount if found.target == "org/acme" else -found.amount
    assert found.balance - sum(charge.amount for charge in found.charges) + moved == 0
    assert all(NOW < charge.due <= known.ends for charge in found.charges)
    assert len({charge.period for charge in found.charges}) == len(found.charges)
    later = next_charges(known.client, RULES.billing, len(found.charges) + 1)
    assert tuple(later[:-1]) == found.charges
    assert later[-1].due > known.ends


# -- what comes after -------------------------------------------------------------------------------------------------


def test_the_end_shows_what_stops_what_returns_and_when_everything_is_deleted() -> None:
    text = shown(view())
    assert "acme (Acme K.K.) is Active; its contract ends 2027-01-31 00:00 JST (in 65d)" in text
    assert "Consent of yuki@acme.example, 2026-11-20 09:00 JST: letter of 20 November" in text
    assert "2 pods in namespace acme-1" in text
    assert "Licenses that return to pool tokyo: 380 visitors" in text
    assert "2027-01-31 00:00   in 65d    everything stops, the account is settled" in text
    assert "2027-04-30 00:00   in 154d   everything is deleted, for ever" in text
    assert "kubectl clientorg terminate acme -n agency --withdraw" in text


def test_an_end_at_once_says_that_there_is_no_way_back() -> None:
    text = shown(view(Mode.NOW))
    assert "its contract ends now" in text
    assert text.endswith("There is no way back.")


def test_a_change_and_a_withdrawal_say_what_was_asked_for_before() -> None:
    item = charged(0, termination=wanted_termination(view()))
    assert "and not on 2027-01-31 00:00 JST" in shown(view(Mode.NOW, item))
    assert "its termination on 2027-01-31 00:00 JST is withdrawn" in shown(view(Mode.WITHDRAW, item))


def test_who_is_deactivated_keeps_the_dates_that_were_announced() -> None:
    record = {"since": "2026-11-01T00:00:00Z", "purgeAfter": "2027-02-01T00:00:00Z"}
    assert document(view(item=charged(0, status={"deactivation": record})))["purgeAfter"] == "2027-02-01T00:00:00Z"


def test_without_the_plan_nothing_is_made_up() -> None:
    known = view(plan=None, terms=None, rules=None)
    text = shown(known)
    assert "charges are not shown: the plan 'standard' cannot be read" in text
    assert "dates are not shown" in text
    assert settle(known).charges == ()


def test_an_end_as_data() -> None:
    data = document(view())
    assert data["termination"]["time"] == "2027-01-30T15:00:00Z"
    assert data["settlement"]["charges"][0] == {
        "period": "2026-12",
        "due": "2026-12-24T15:00:00Z",
        "users": 25,
        "points": 1750,
    }
    assert (data["settlement"]["amount"], data["settlement"]["poolBalance"]) == (2300, 10_000)
    assert (data["purgeAfter"], data["stops"]["pods"]) == ("2027-04-29T15:00:00Z", 2)
    assert document(view(Mode.WITHDRAW))["termination"] is None


# -- the account ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("users", "billing", "text"),
    [
        (25, {}, "1,000 + (25 − 10) × 50 = 1,750"),
        (10, {}, "1,000 for up to 10 users = 1,000"),
        (25, {"pointsPerExtraUser": 0}, "1,000 + (25 − 10) × 0 = 1,000"),
    ],
)
def test_a_charge_says_how_it_is_computed(users: int, billing: Json, text: str) -> None:
    (charge,) = next_charges(charged(0, users=users), terms_with(**billing), 1)
    assert arithmetic(charge) == text


def test_a_first_charge_that_is_prorated_is_told_from_the_status() -> None:
    """Only the time of the next charge says when the client began: on 5 December, 20 days before the anchor."""
    points = {"chargesFrom": "2026-11", "nextChargePeriod": "2026-11", "nextChargeTime": "2026-12-04T15:00:00Z"}
    item = charged(0, users=10, through=None, points=points)
    first, second = charges_before(item, terms_with(firstCharge="Prorated"), datetime(2026, 12, 31, tzinfo=UTC))
    assert (first.prorated, first.amount, second.amount) == ((20, 30), 667, 1000)
    assert arithmetic(first) == "(1,000 for up to 10 users) × 20/30 days = 667"


def test_a_negative_balance_suspends_after_the_plans_days() -> None:
    since = datetime(2026, 11, 24, 15, tzinfo=UTC)
    assert suspension(since, terms_with(negativeToleranceDays=3)) == datetime(2026, 11, 27, 15, tzinfo=UTC)


def test_a_plan_that_charges_nothing_has_no_terms() -> None:
    free: PlanRules = plan_rules({"metadata": {"name": "free"}, "spec": {}})
    assert free.billing is None
    assert next_charges(charged(0), free.billing, 3) == []


# -- when it is done --------------------------------------------------------------------------------------------------


def answered(generation: int = 2, reason: str = "Terminated", **termination: str) -> Json:
    """What the operator says of the version that was written."""
    conditions = [{"type": "Ready", "status": "True", "reason": reason}]
    status = {"observedGeneration": generation, "termination": termination, "conditions": conditions}
    return client(metadata={"generation": 2}, status=status)


WRITTEN = client(metadata={"generation": 2})
EXECUTED = "2026-11-26T03:00:01Z"


@pytest.mark.parametrize(
    ("mode", "item", "reached"),
    [
        (Mode.SCHEDULE, answered(scheduledTime="2027-01-30T15:00:00Z"), True),
        (Mode.SCHEDULE, answered(generation=1, scheduledTime="2027-01-30T15:00:00Z"), False),
        (Mode.SCHEDULE, answered(scheduledTime="2027-06-30T15:00:00Z"), False),
        (Mode.WITHDRAW, answered(scheduledTime="2027-01-30T15:00:00Z"), False),
        (Mode.WITHDRAW, answered(), True),
        (Mode.NOW, answered(), False),
        (Mode.NOW, answered(executedTime=EXECUTED, reason="SettlementPending"), False),
        (Mode.NOW, answered(executedTime=EXECUTED, settledTime=EXECUTED, reason="SettlementPending"), True),
        (Mode.NOW, answered(executedTime=EXECUTED), True),
    ],
)
def test_it_is_done_when_the_status_of_this_version_says_so(mode: Mode, item: Json, reached: bool) -> None:
    assert is_reached(view(mode), WRITTEN, item) is reached


@pytest.mark.parametrize(
    ("mode", "item"),
    [
        (Mode.NOW, None),
        (Mode.WITHDRAW, answered(executedTime=EXECUTED)),
        (Mode.SCHEDULE, client(metadata={"uid": "another"})),
    ],
)
def test_what_waiting_cannot_bring_ends_the_wait(mode: Mode, item: Json | None) -> None:
    with pytest.raises(NotReachedError):
        is_reached(view(mode), WRITTEN, item)


@pytest.mark.parametrize("mode", list(Mode))
def test_what_is_agreed_to_in_the_dashboard_does_not_move_while_it_is_read(mode: Mode) -> None:
    """A consent without a time is of the moment of writing, and an end that is now begins then: neither is news."""
    read = view(mode, consent=None if mode is Mode.WITHDRAW else Consent("", ""))
    assert agreement(replace(read, now=NOW + timedelta(seconds=90))) == agreement(read)
    if mode is not Mode.WITHDRAW:
        assert agreement(replace(read, consent=CONSENT)) == agreement(read)
        assert agreement(replace(read, client=charged(700))) != agreement(read)
    if mode is Mode.NOW:
        assert agreement(replace(read, now=NOW + timedelta(days=1))) != agreement(read)
    if mode is Mode.SCHEDULE:
        assert agreement(replace(read, at=END + timedelta(hours=1))) != agreement(read)
