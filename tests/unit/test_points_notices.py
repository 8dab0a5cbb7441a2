"""What a client is told of approval, points and the end of its contract: each change once (FEATURES S2, S6, S11)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clientorg.api.notifications import Channel
from clientorg.domain import outbox as box
from clientorg.domain.messages import Entry, Notice, Outbox, new_entry
from clientorg.domain.notices import add_all
from clientorg.domain.points_notices import is_terminated, points_notices, without_untrue
from clientorg.notify.kinds import read_params

Json = dict[str, Any]

NOW = datetime(2026, 12, 18, 1, 5, tzinfo=UTC)
PAUSE = NOW + timedelta(days=7)
JANUARY, FEBRUARY = "2027-01-31T15:00:00Z", "2027-02-28T15:00:00Z"

POSITIVE: Json = {"points": {"balance": 500, "nextCharge": 1000, "nextChargeTime": "2026-12-24T15:00:00Z"}}
NEGATIVE: Json = {
    "points": {
        "balance": -500,
        "nextCharge": 1000,
        "nextChargeTime": "2026-12-24T15:00:00Z",
        "negativeSince": "2026-12-18T01:05:00Z",
    }
}
ENDED: Json = {
    "points": {"balance": 0},
    "termination": {
        "scheduledTime": "2026-12-18T01:00:00Z",
        "executedTime": "2026-12-18T01:05:00Z",
        "settlement": "7k2m9q4xta-settlement",
        "settledTime": "2026-12-18T01:05:01Z",
    },
    "deactivation": {"since": "2026-12-18T01:05:00Z", "purgeAfter": "2027-03-18T01:05:00Z"},
}


def scheduled(time: str) -> Json:
    """Status of a client whose termination is scheduled."""
    return {"termination": {"scheduledTime": time}}


def decided(decision: str) -> Json:
    """Status of a client on whom somebody has decided."""
    return {"approval": {"decision": decision, "decidedTime": "2026-12-18T01:04:00Z", "reason": "No contract."}}


def without(status: Json, part: str, name: str) -> Json:
    """The status, but for one field of a part."""
    return {**status, part: {key: value for key, value in status[part].items() if key != name}}


def told(
    before: Json, after: Json, *, suspends_after: datetime | None = PAUSE, settlement: int | None = None
) -> list[Notice]:
    """What is told when the one status follows the other."""
    found = list(points_notices(before, after, NOW, suspends_after=suspends_after, settlement=settlement))
    for notice in found:
        params = new_entry(notice.key, notice.kind.value, notice.params, NOW, ()).params
        assert set(params) <= set(read_params(notice.kind, params)), "every param is one that the templates know"
    return found


def keys(notices: Iterable[Notice]) -> list[str]:
    """Their keys."""
    return [notice.key for notice in notices]


def test_balance_below_zero_is_told_with_what_follows() -> None:
    (notice,) = told(POSITIVE, NEGATIVE)

    assert notice.key == "balance-negative-20261218T010500Z"
    assert notice.params == {
        "balance": -500,
        "since": NOW,
        "pausesAfter": PAUSE,
        "nextCharge": 1000,
        "nextChargeTime": datetime(2026, 12, 24, 15, tzinfo=UTC),
    }


def test_balance_is_told_once_until_it_falls_below_zero_again() -> None:
    worse = {"points": {**NEGATIVE["points"], "balance": -1500}}
    again = {"points": {**NEGATIVE["points"], "negativeSince": "2027-01-24T15:00:00Z"}}

    assert told(NEGATIVE, worse) == []
    assert told(worse, POSITIVE) == []
    assert keys(told(POSITIVE, again)) == ["balance-negative-20270124T150000Z"]
    assert keys(told(NEGATIVE, again)) == ["balance-negative-20270124T150000Z"], "it was well between two passes"
    assert keys(told({}, NEGATIVE)) == ["balance-negative-20261218T010500Z"]


def test_balance_that_never_pauses_or_is_never_charged_says_nothing_of_it() -> None:
    (notice,) = told({}, {"points": {"balance": -1, "negativeSince": "2026-12-18T01:05:00Z"}}, suspends_after=None)

    assert set(notice.params) == {"balance", "since"}


def test_balance_that_pauses_at_once_is_told_by_the_pause() -> None:
    assert told(POSITIVE, {**NEGATIVE, "pauseReasons": ["NegativeBalance"]}) == []
    assert len(told(POSITIVE, {**NEGATIVE, "pauseReasons": ["Requested"]})) == 1


def test_balance_of_an_ended_contract_is_settled_and_not_told() -> None:
    assert told(POSITIVE, {**NEGATIVE, "termination": {"executedTime": "2026-12-18T01:05:00Z"}}) == []


def test_rejection_is_told_with_its_reason() -> None:
    pending: Json = {"approval": {"requestedTime": "2026-12-17T01:00:00Z"}}
    (notice,) = told(pending, decided("Reject"))

    assert (notice.key, notice.params) == ("rejected-20261218T010400Z", {"reason": "No contract."})
    assert keys(told({}, decided("Reject"))) == [notice.key]
    assert told(decided("Reject"), decided("Reject")) == []
    assert told(pending, decided("Approve")) == []


def test_termination_is_told_when_scheduled_changed_and_withdrawn() -> None:
    january, february = (datetime.fromisoformat(time) for time in (JANUARY, FEBRUARY))
    (first,) = told({}, scheduled(JANUARY))
    (changed,) = told(scheduled(JANUARY), scheduled(FEBRUARY))
    (withdrawn,) = told(scheduled(FEBRUARY), {})

    assert (first.key, first.params) == ("termination-scheduled-20261218T010500Z", {"time": january})
    assert changed.params == {"time": february, "formerTime": january}
    assert (withdrawn.kind.value, withdrawn.params) == ("termination-withdrawn", {"time": february})
    assert told(scheduled(JANUARY), scheduled(JANUARY)) == []
    assert told(scheduled(JANUARY), scheduled("2027-02-01T00:00:00+09:00")) == [], "the same moment"


def test_same_date_scheduled_again_after_it_was_withdrawn_is_told_again() -> None:
    outbox: Outbox = ()
    now: datetime = NOW
    status: Json = {}
    for after in (scheduled(JANUARY), {}, scheduled(JANUARY)):
        outbox, _ = add_all(outbox, points_notices(status, after, now, suspends_after=None), now, [Channel.MAIL])
        now, status = now + timedelta(minutes=1), after

    assert [entry.kind for entry in outbox] == [
        "termination-scheduled",
        "termination-withdrawn",
        "termination-scheduled",
    ]


def test_termination_at_once_is_not_announced() -> None:
    assert told({}, scheduled("2026-12-18T01:05:00Z")) == []
    assert keys(told({}, ENDED)) == ["terminated-20261218T010500Z"]


@pytest.mark.parametrize("settlement", [500, -1200, None])
def test_end_is_told_with_settlement_and_the_date_of_the_purge(settlement: int | None) -> None:
    (notice,) = told(scheduled("2026-12-18T01:00:00Z"), ENDED, settlement=settlement)

    assert notice.params == {
        "time": NOW,
        "purgeAfter": datetime(2027, 3, 18, 1, 5, tzinfo=UTC),
        **({} if settlement is None else {"settlement": settlement}),
    }


@pytest.mark.parametrize(("part", "name"), [("termination", "settledTime"), ("deactivation", "purgeAfter")])
def test_end_is_told_once_when_all_of_it_is_known(part: str, name: str) -> None:
    """The settlement may wait for points of the pool."""
    incomplete = without(ENDED, part, name)

    assert told(scheduled("2026-12-18T01:00:00Z"), incomplete) == []
    assert keys(told(incomplete, ENDED)) == ["terminated-20261218T010500Z"]
    assert told(ENDED, ENDED) == []
    assert told(ENDED, {**ENDED, "deactivation": {**ENDED["deactivation"], "purgedTime": "2027-03-19T00:00:00Z"}}) == []


def test_end_of_a_client_without_points_has_nothing_to_settle() -> None:
    never = {name: part for name, part in without(ENDED, "termination", "settledTime").items() if name != "points"}

    assert keys(told({}, never)) == ["terminated-20261218T010500Z"]


def test_contract_has_ended_when_its_termination_ran() -> None:
    assert is_terminated(ENDED)
    assert not is_terminated(scheduled(JANUARY))
    assert not is_terminated({"termination": {"executedTime": None}})
    assert not is_terminated({})


# -- what waits and is not true any more -----------------------------------------------------------------------------


def outbox_of(before: Json, after: Json) -> Outbox:
    """The outbox with what is told then, and nothing sent yet."""
    outbox, _ = add_all((), told(before, after), NOW, [Channel.MAIL])
    assert len(outbox) == 1
    return outbox


@pytest.mark.parametrize(
    ("before", "after", "later"),
    [
        (POSITIVE, NEGATIVE, POSITIVE),
        (POSITIVE, NEGATIVE, {**NEGATIVE, "pauseReasons": ["NegativeBalance"]}),
        (POSITIVE, NEGATIVE, {**NEGATIVE, **{k: v for k, v in ENDED.items() if k != "points"}}),
        (POSITIVE, NEGATIVE, {"points": {**NEGATIVE["points"], "negativeSince": "2027-01-24T15:00:00Z"}}),
        ({}, scheduled(JANUARY), {}),
        ({}, scheduled(JANUARY), scheduled(FEBRUARY)),
        ({}, scheduled(JANUARY), {"termination": {"scheduledTime": JANUARY, "executedTime": JANUARY}}),
        (scheduled(JANUARY), {}, scheduled(JANUARY)),
        (scheduled(JANUARY), {}, ENDED),
    ],
)
def test_waiting_message_that_is_not_true_any_more_is_not_sent(before: Json, after: Json, later: Json) -> None:
    outbox = outbox_of(before, after)
    (due,) = box.due(outbox, NOW)
    sent = box.mark_sent(outbox, due, NOW)

    assert without_untrue(outbox, after) == outbox, "true until then"
    assert without_untrue(outbox, later) == ()
    assert without_untrue(sent, later) == sent, "what was sent stays on record"


def test_messages_of_other_kinds_wait_on() -> None:
    outbox: tuple[Entry, ...] = (
        new_entry("delivery", "delivery", {}, NOW, [Channel.MAIL]),
        *outbox_of({}, decided("Reject")),
        *outbox_of({}, ENDED),
    )

    assert without_untrue(outbox, {}) == outbox
