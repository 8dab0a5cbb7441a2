"""Deactivated, reminded, purged, reactivated (FEATURES Z7-Z9; DESIGN rules 5-8), through any clock and any downtime."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clientorg.api.clientorg import WantedState
from clientorg.api.notifications import Channel
from clientorg.domain.calendar import add_days, add_months
from clientorg.domain.lifecycle import Terms, brake_ends
from tests.unit.life_model import NOON, TERMS, TOKYO, Life, days

HOUR = timedelta(hours=1)
PRAGUE = ZoneInfo("Europe/Prague")


def is_braked(purges: list[datetime], now: datetime, most: int) -> bool:
    """Whether the next purge has to wait."""
    return brake_ends(purges, now, most) is not None


def deactivated(terms: Terms = TERMS, **fields: object) -> Life:
    """A client that was Active, and is deactivated at noon of 25 November."""
    life = Life(terms, **fields)  # type: ignore[arg-type]
    life.settle()
    life.state = WantedState.DEACTIVATED
    life.settle()
    return life


def reminded(life: Life) -> list[int]:
    """Days of the reminders that went out, in order."""
    return [mail.days for mail in life.mails]


# -- the usual course -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [(Channel.MAIL,), ()], ids=["mail", "no channel"])
def test_reminders_and_purge_come_by_themselves(channels: tuple[Channel, ...]) -> None:
    life = deactivated(channels=channels)
    announced = datetime(2027, 2, 25, 3, tzinfo=UTC)
    assert life.record is not None
    assert life.record.purge_after == announced

    life.wait(announced - timedelta(seconds=1))
    assert reminded(life) == [30, 14, 7, 1]
    assert not life.is_purged
    assert [mail.delivered for mail in life.mails] == [add_days(announced, -n, TOKYO) for n in (30, 14, 7, 1)]

    life.wait(announced)
    assert life.is_purged
    assert life.kinds == ["delivery", "deactivated", *["reminder"] * 4, "purged"]
    assert life.next_due is None


def test_reactivation_forgets_the_purge_and_the_next_deactivation_has_the_whole_grace_period() -> None:
    life = deactivated()
    life.wait(life.now + days(80))
    assert reminded(life) == [30, 14]

    life.state = WantedState.ACTIVE
    life.settle()
    assert life.record is None
    life.wait(life.now + days(200))
    assert life.status["state"] == "Active"

    life.state = WantedState.DEACTIVATED
    life.settle()
    assert life.record is not None
    assert life.record.purge_after == add_months(life.now, 3, TOKYO)
    life.wait(life.record.purge_after)
    assert reminded(life) == [30, 14, 30, 14, 7, 1]
    assert life.is_purged


def test_downtime_across_one_reminder_sends_it_late() -> None:
    life = deactivated()
    life.now += days(70)  # the 30 days' reminder was due at 62 days
    life.settle()

    assert reminded(life) == [30]
    assert life.record is not None
    assert life.record.purge_after == datetime(2027, 2, 25, 3, tzinfo=UTC)


def test_downtime_across_several_reminders_sends_the_last_of_them_only() -> None:
    life = deactivated()
    life.now = datetime(2027, 2, 20, 3, tzinfo=UTC)
    life.settle()

    assert reminded(life) == [7]
    assert life.record is not None
    assert {item.days: item.skipped for item in life.record.reminders} == {30: True, 14: True, 7: False}


def test_downtime_across_the_purge_date_purges_only_after_a_late_last_reminder_and_the_notice() -> None:
    life = deactivated()
    life.now = datetime(2027, 6, 1, 3, tzinfo=UTC)
    life.settle()

    assert reminded(life) == [1]
    assert life.record is not None
    assert life.record.purge_after == datetime(2027, 6, 2, 3, tzinfo=UTC)
    life.wait(datetime(2027, 6, 2, 2, 59, 59, tzinfo=UTC))
    assert not life.is_purged
    life.wait(datetime(2027, 6, 2, 3, tzinfo=UTC))
    assert life.is_purged
    assert reminded(life) == [1]


def test_late_last_reminder_brings_no_earlier_one_after_it() -> None:
    """It moves the purge by a day; the reminders before it are not due anew for that."""
    life = deactivated()
    life.wait(datetime(2027, 2, 20, 3, tzinfo=UTC))
    life.now = datetime(2027, 2, 25, 2, tzinfo=UTC)
    life.settle()
    life.wait(datetime(2027, 3, 1, tzinfo=UTC))

    assert reminded(life) == [30, 14, 7, 1]
    assert life.is_purged


def test_reminder_that_waits_for_the_mail_server_holds_the_purge_back() -> None:
    life = deactivated()
    life.wait(datetime(2027, 2, 24, 2, tzinfo=UTC))
    life.wait(datetime(2027, 3, 10, 3, tzinfo=UTC), delivers=False)
    assert not life.is_purged

    life.settle()

    assert life.record is not None
    assert life.record.purge_after == datetime(2027, 3, 11, 3, tzinfo=UTC)
    life.wait(life.record.purge_after)
    assert life.is_purged


def test_refused_reminder_holds_the_purge_back_until_it_is_sent_again() -> None:
    """Nothing is purged unannounced."""
    life = deactivated()
    life.wait(datetime(2027, 2, 24, 2, tzinfo=UTC))
    life.wait(datetime(2027, 2, 24, 3, tzinfo=UTC), delivers=False)
    life.run()
    life.deliver(refuse=True)
    life.wait(datetime(2027, 4, 1, 3, tzinfo=UTC))
    assert not life.is_purged
    assert life.decision is not None
    assert life.decision.awaits_notice

    life.resend()
    life.settle()

    assert reminded(life) == [30, 14, 7, 1]
    life.wait(datetime(2027, 4, 2, 3, tzinfo=UTC))
    assert life.is_purged


def test_reminder_that_could_not_be_sent_is_not_sent_after_a_later_one_or_a_reactivation() -> None:
    life = deactivated()
    life.wait(datetime(2027, 2, 24, 3, tzinfo=UTC), delivers=False)
    life.settle()
    assert reminded(life) == [1]

    life = deactivated()
    life.wait(datetime(2027, 2, 24, 3, tzinfo=UTC), delivers=False)
    life.state = WantedState.ACTIVE
    life.settle()
    assert reminded(life) == []
    assert life.kinds[-1] == "reactivated"


# -- plans ----------------------------------------------------------------------------------------------------------


def test_shorter_grace_period_brings_nothing_forward() -> None:
    life = deactivated()
    life.terms = replace(TERMS, grace_months=1)
    life.settle()
    assert life.record is not None
    assert life.record.purge_after == datetime(2027, 2, 25, 3, tzinfo=UTC)


def test_longer_grace_period_moves_the_purge_and_reminds_anew() -> None:
    life = deactivated()
    life.wait(datetime(2027, 2, 24, 12, tzinfo=UTC))
    assert reminded(life) == [30, 14, 7, 1]

    life.terms = replace(TERMS, grace_months=5)
    life.settle()

    assert life.record is not None
    assert life.record.purge_after == datetime(2027, 4, 25, 3, tzinfo=UTC)
    life.wait(datetime(2027, 4, 25, 3, tzinfo=UTC))
    assert reminded(life) == [30, 14, 7, 1] * 2
    assert life.is_purged


@pytest.mark.parametrize("notice", [1, 2, 5, 30, 90])
@pytest.mark.parametrize("reminders", [(30, 14, 7, 1), (1,), (3,), (60,), (365, 200)])
def test_any_terms_come_to_an_end(reminders: tuple[int, ...], notice: int) -> None:
    """Also where the notice is longer than the time from the last reminder to the purge: it moves it once."""
    terms = Terms(3, reminders, notice, TOKYO)
    life = deactivated(terms)

    life.wait(NOON + days(92 + 2 * notice + 2))

    assert life.is_purged
    assert len(life.mails) <= len(reminders)
    assert life.record is not None
    last = life.mails[-1]
    assert last.days == min(reminders)
    assert life.record.purge_started is not None
    assert life.record.purge_started >= add_days(last.delivered, notice, TOKYO)
    assert life.record.purge_started == life.record.purge_after


def test_clock_that_is_set_back_takes_nothing_back_and_sends_nothing_twice() -> None:
    life = deactivated()
    life.wait(datetime(2027, 2, 20, 3, tzinfo=UTC))
    before = life.record
    assert reminded(life) == [30, 14, 7]

    life.now = datetime(2026, 12, 1, tzinfo=UTC)
    life.settle()
    life.wait(datetime(2027, 2, 20, 3, tzinfo=UTC))
    assert (life.record, reminded(life)) == (before, [30, 14, 7])

    life.wait(datetime(2027, 2, 25, 3, tzinfo=UTC))
    assert life.is_purged
    assert reminded(life) == [30, 14, 7, 1]


def test_nothing_comes_back_after_the_purge_began() -> None:
    life = deactivated()
    life.wait(datetime(2027, 2, 25, 3, tzinfo=UTC))
    life.state = WantedState.ACTIVE
    life.settle()

    assert life.is_purged
    ready = next(item for item in life.status["conditions"] if item["type"] == "Stalled")
    assert (ready["status"], ready["reason"]) == ("True", "AlreadyPurged")
    assert life.status["state"] == "Purged"


# -- the brake ------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(-7200, 7200).map(lambda s: NOON + timedelta(seconds=s)), max_size=12),
    st.integers(1, 12),
)
def test_brake_holds_exactly_when_the_hour_is_full(purges: list[datetime], most: int) -> None:
    within = [time for time in purges if NOON - HOUR < time <= NOON]
    assert is_braked(purges, NOON, most) == (len(within) >= most)


@given(
    st.lists(st.integers(-3599, 0).map(lambda s: NOON + timedelta(seconds=s)), min_size=1, max_size=12),
    st.integers(1, 12),
)
def test_brake_says_when_it_lets_go(purges: list[datetime], most: int) -> None:
    end = brake_ends(purges, NOON, most)
    if not is_braked(purges, NOON, most):
        assert end is None
        return
    assert end is not None
    assert not is_braked(purges, end, most)
    assert is_braked(purges, end - timedelta(microseconds=1), most)


def test_braked_purge_wakes_up_by_itself() -> None:
    announced = datetime(2027, 2, 25, 3, tzinfo=UTC)
    life = deactivated()
    life.recent_purges = [announced - timedelta(minutes=minute) for minute in range(10)]
    life.wait(announced)
    assert not life.is_purged
    assert life.decision is not None
    assert life.decision.is_braked

    life.wait(announced + timedelta(minutes=51))

    assert life.is_purged


# -- any course -----------------------------------------------------------------------------------------------------

terms = st.builds(
    Terms,
    st.integers(1, 6),
    st.lists(st.sampled_from([1, 2, 3, 7, 14, 30, 60, 365]), min_size=1, max_size=4, unique=True).map(
        lambda found: tuple(sorted(found, reverse=True))
    ),
    st.sampled_from([1, 2, 3, 7, 30]),
    st.sampled_from([TOKYO, PRAGUE, ZoneInfo("UTC"), ZoneInfo("America/Havana")]),
)
spans = st.one_of(st.timedeltas(timedelta(), timedelta(days=2)), st.timedeltas(timedelta(), timedelta(days=120))).map(
    lambda span: timedelta(seconds=span // timedelta(seconds=1))
)


class AnyCourse(RuleBasedStateMachine):
    """Steps of the clock either way, downtime, plan edits, mail servers that are down, reactivations."""

    @initialize(terms=terms, channels=st.sampled_from([(Channel.MAIL,), ()]))
    def begin(self, terms: Terms, channels: tuple[Channel, ...]) -> None:
        """An Active client."""
        self.life = Life(terms, channels=channels)
        self.life.settle()
        self.announced: dict[datetime, datetime] = {}
        self.states: list[str] = []

    @rule()
    def deactivate(self) -> None:
        """Somebody deactivates it; not twice in the same second, which is how they are told apart."""
        while self.life.record is None and self.life.now in self.announced:
            self.life.now += timedelta(seconds=1)
        self.life.state = WantedState.DEACTIVATED
        self.life.settle()

    @rule()
    def reactivate(self) -> None:
        """Somebody makes it active again."""
        record = self.life.record
        self.life.state = WantedState.ACTIVE
        self.life.settle()
        if record is not None and record.purge_started is None:
            assert self.life.record is None, "reactivated in time, and not back"
            self.life.now += timedelta(seconds=1)  # a deactivation is told by the second it began in
            assert self.life.status["state"] == "Active"

    @rule(span=spans)
    def time_passes(self, span: timedelta) -> None:
        """The operator works, and the mail server too."""
        self.life.wait(self.life.now + span)
        self.life.settle()

    @rule(span=spans)
    def mail_server_is_down(self, span: timedelta) -> None:
        """The operator works, but nothing is delivered."""
        self.life.wait(self.life.now + span, delivers=False)
        self.life.run()

    @rule(span=spans)
    def operator_is_down(self, span: timedelta) -> None:
        """Nobody looks."""
        self.life.now += span

    @rule(span=spans)
    def clock_goes_back(self, span: timedelta) -> None:
        """As after a wrong time was set."""
        self.life.now -= span
        self.life.settle()

    @rule(terms=terms)
    def plan_is_edited(self, terms: Terms) -> None:
        """Other terms; the time zone stays, as most plans' does."""
        self.life.terms = replace(terms, time_zone=self.life.terms.time_zone)
        self.life.settle()

    @precondition(lambda self: not self.life.is_purged)
    @rule()
    def refused(self) -> None:
        """The address does not exist."""
        self.life.run()
        self.life.deliver(refuse=True)
        self.life.run()

    @invariant()
    def announced_purge_never_moves_earlier(self) -> None:
        """For one deactivation."""
        if (record := self.life.record) is not None:
            before = self.announced.get(record.since, record.purge_after)
            assert record.purge_after >= before
            self.announced[record.since] = record.purge_after

    @invariant()
    def purge_keeps_what_was_told(self) -> None:
        """Not before the date of the last mail, nor before the notice after it."""
        record = self.life.record
        if record is None or record.purge_started is None:
            return
        mails = [mail for mail in self.life.mails if mail.since == record.since]
        assert mails, "purged without a reminder"
        assert record.purge_started >= record.purge_after
        assert record.purge_started >= max(mail.told for mail in mails)
        if not hasattr(self, "purged_under"):
            self.purged_under = self.life.terms
        notice = self.purged_under.minimum_notice_days
        last = [mail for mail in mails if mail.days <= min(self.purged_under.reminder_days)]
        assert last, "purged without the last reminder"
        assert record.purge_started >= add_days(last[-1].delivered, notice, self.purged_under.time_zone) - 3 * HOUR

    @invariant()
    def reminder_is_sent_once_for_a_date(self) -> None:
        """Whatever the clock does."""
        for key, count in Counter((mail.since, mail.told, mail.days) for mail in self.life.mails).items():
            assert count == 1, key

    @invariant()
    def reminders_of_a_date_count_down(self) -> None:
        """After `tomorrow` nobody is told `in a week` of the same date."""
        told: dict[tuple[datetime, datetime], int] = {}
        for mail in self.life.mails:
            key = (mail.since, mail.told)
            assert mail.days < told.get(key, 10_000)
            told[key] = mail.days

    def teardown(self) -> None:
        """Left alone, a deactivated client is purged after all, and an active one never."""
        if not hasattr(self, "states"):
            return
        life = self.life
        life.settle()
        life.resend()
        life.settle()
        is_deactivated, is_gone = life.state is WantedState.DEACTIVATED, life.is_purged
        end = max([life.now, *self.announced.values()]) + days(2 * 30)
        record = life.record
        if record is not None:
            end = max(life.now, record.purge_after) + days(2 * life.terms.minimum_notice_days + 2)
        life.wait(end)
        life.settle()
        life.resend()
        life.wait(end + days(2 * life.terms.minimum_notice_days + 2))
        self.announced_purge_never_moves_earlier()
        self.purge_keeps_what_was_told()
        self.reminder_is_sent_once_for_a_date()
        assert life.is_purged == (is_deactivated or is_gone)


AnyCourse.TestCase.settings = settings(max_examples=300, stateful_step_count=20, deadline=None)
TestAnyCourse = AnyCourse.TestCase
