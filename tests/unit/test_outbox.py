"""The outbox: nothing twice, nothing lost, bounded (issue 4, deliverable 5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clientorg.api.clientorg import ClientOrgStatus
from clientorg.api.notifications import MAX_ERROR_LENGTH, MAX_OUTBOX, Channel, DeliveryState, NotificationKind
from clientorg.api.schema import structural_schema
from clientorg.domain import outbox as box
from clientorg.domain.messages import Delivery, Due, Entry, Outbox, from_status, new_entry, to_status
from clientorg.errors import InputError

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BOTH = (Channel.MAIL, Channel.WEBHOOK)
MAIL = (Channel.MAIL,)


def entry(key: str, *channels: Channel, created: datetime = NOW, kind: str = NotificationKind.RESUMED) -> Entry:
    """A message; by default a mail."""
    return new_entry(key, kind, {}, created, channels or MAIL)


def outbox_of(*entries: Entry) -> Outbox:
    """An outbox with these, none given up."""
    outbox: Outbox = ()
    for item in entries:
        outbox, given_up = box.add(outbox, item)
        assert given_up is None
    return outbox


def only(outbox: Outbox, channel: Channel = Channel.MAIL) -> Delivery:
    """The delivery of the only entry."""
    (item,) = outbox
    return item.deliveries[channel]


def fail(outbox: Outbox, now: datetime, *, permanent: bool = False, error: str = "server is down") -> Outbox:
    """Everything due fails."""
    for due in box.due(outbox, now):
        outbox = box.mark_failed(outbox, due, error, permanent=permanent, now=now)
    return outbox


def send(outbox: Outbox, now: datetime = NOW) -> Outbox:
    """Everything due is sent."""
    for due in box.due(outbox, now):
        outbox = box.mark_sent(outbox, due, now)
    return outbox


def test_new_message_is_due_at_once_on_each_of_its_channels() -> None:
    outbox = outbox_of(entry("resumed-1", *BOTH))

    assert [(due.entry.key, due.channel) for due in box.due(outbox, NOW)] == [
        ("resumed-1", Channel.MAIL),
        ("resumed-1", Channel.WEBHOOK),
    ]
    assert box.next_due(outbox, NOW) == NOW


def test_same_key_is_sent_once_also_after_it_was_sent() -> None:
    outbox = send(outbox_of(entry("reminder-2026-12-25-7")))
    outbox, given_up = box.add(outbox, entry("reminder-2026-12-25-7", created=NOW + timedelta(days=1)))

    assert (len(outbox), given_up) == (1, None)
    assert box.due(outbox, NOW + timedelta(days=2)) == ()
    assert box.next_due(outbox, NOW) is None


def test_one_channel_that_fails_does_not_hold_up_the_other() -> None:
    outbox = outbox_of(entry("paused-QuotaExhausted-3", *BOTH))
    mail, webhook = box.due(outbox, NOW)
    outbox = box.mark_failed(outbox, mail, "server is down", permanent=False, now=NOW)
    outbox = box.mark_sent(outbox, webhook, NOW)

    assert only(outbox, Channel.WEBHOOK) == Delivery(DeliveryState.SENT, sent=NOW)
    assert only(outbox).state is DeliveryState.PENDING
    assert box.next_due(outbox, NOW) == NOW + timedelta(minutes=1)


def test_waits_double_from_a_minute_to_six_hours() -> None:
    outbox, now, waits = outbox_of(entry("resumed-1")), NOW, []
    for _ in range(12):
        outbox = fail(outbox, now)
        following = box.next_due(outbox, now)
        assert following is not None
        assert box.due(outbox, following - timedelta(seconds=1)) == ()
        waits.append(int((following - now).total_seconds() // 60))
        now = following

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]


def test_passing_fault_is_not_given_up_within_seven_days_and_is_after() -> None:
    outbox, now = outbox_of(entry("resumed-1")), NOW
    while (following := box.next_due(outbox, now)) is not None:
        now = following
        outbox = fail(outbox, now)

    assert timedelta(days=7) <= now - NOW < timedelta(days=7) + box.LONGEST_RETRY
    assert only(outbox).state is DeliveryState.FAILED
    assert only(outbox).last_error == "given up after 37 tries: server is down"


def test_downtime_of_the_operator_does_not_use_up_the_tries() -> None:
    """The operator was away for a month: the first failure after is a first failure."""
    outbox = fail(outbox_of(entry("resumed-1")), NOW + timedelta(days=30))

    assert only(outbox).is_pending
    assert only(outbox).attempts == 1


def test_clock_put_back_does_not_leave_a_message_waiting_for_months() -> None:
    """The development clock went three months ahead and back again (X7)."""
    outbox = fail(outbox_of(entry("resumed-1")), NOW + timedelta(days=90))

    assert len(box.due(outbox, NOW)) == 1
    assert box.next_due(outbox, NOW) == NOW


def test_permanent_failure_is_not_tried_again() -> None:
    outbox = fail(outbox_of(entry("delivery")), NOW, permanent=True, error="550 no such user")

    assert only(outbox) == Delivery(DeliveryState.FAILED, attempts=1, last_error="550 no such user")
    assert box.next_due(outbox, NOW) is None


def test_errors_are_one_short_line_that_no_terminal_obeys() -> None:
    outbox = fail(outbox_of(entry("delivery")), NOW, error="554 \x1b[2J\r\nno\u202e" + "x" * 1000)
    text = only(outbox).last_error

    assert text.startswith("554 [2J no xxx")
    assert len(text) == MAX_ERROR_LENGTH
    assert text.isprintable()


def test_failing_from_the_third_try_until_it_is_sent() -> None:
    outbox, now, states = outbox_of(entry("resumed-1")), NOW, []
    for _ in range(3):
        outbox = fail(outbox, now)
        states.append(box.is_failing(outbox))
        now = box.next_due(outbox, now) or now

    assert states == [False, False, True]
    assert [due.entry.key for due in box.failing(outbox)] == ["resumed-1"]
    assert not box.is_failing(send(outbox, now))


def test_resent_message_has_another_id_and_a_repeated_try_the_same() -> None:
    """A mail server that drops a repeat must not drop what somebody asked for."""
    outbox = outbox_of(entry("delivery"))
    (first,) = box.due(outbox, NOW)
    outbox = fail(outbox, NOW)
    (again,) = box.due(outbox, NOW + timedelta(hours=1))
    outbox = box.resend(send(outbox, NOW + timedelta(hours=1)), NOW + timedelta(days=1), key="delivery", channels=MAIL)
    (resent,) = box.due(outbox, NOW + timedelta(days=1))

    assert [due.delivery_id for due in (first, again, resent)] == ["delivery", "delivery", "delivery-again1"]


def test_resend_of_what_still_waits_tries_now_under_the_same_id() -> None:
    outbox = fail(fail(outbox_of(entry("delivery")), NOW), NOW + timedelta(minutes=1))
    outbox = box.resend(outbox, NOW + timedelta(minutes=2), key="delivery", channels=MAIL)

    assert [due.delivery_id for due in box.due(outbox, NOW + timedelta(minutes=2))] == ["delivery"]


def test_resend_by_kind_takes_the_newest_and_switches_a_channel_on() -> None:
    """SMTP was set up only after the workspace was delivered (S4)."""
    old, new = (new_entry(key, "reminder", {}, NOW, ()) for key in ("reminder-2026-12-25-7", "reminder-2026-12-25-1"))
    outbox = box.resend(outbox_of(old, new), NOW, kind="reminder", channels=MAIL)

    assert [due.entry.key for due in box.due(outbox, NOW)] == ["reminder-2026-12-25-1"]


def test_resend_of_nothing_says_what_there_is() -> None:
    with pytest.raises(InputError, match="no message 'delivery' in the outbox, which holds resumed-1"):
        box.resend(outbox_of(entry("resumed-1")), NOW, kind="delivery", channels=MAIL)


def test_outcome_of_an_older_sending_does_not_count_for_the_one_asked_for_meanwhile() -> None:
    outbox = send(outbox_of(entry("delivery")))
    late = Due(outbox[0], Channel.MAIL)
    outbox = box.resend(outbox, NOW, key="delivery", channels=MAIL)

    assert only(box.mark_sent(outbox, late, NOW)).is_pending
    assert only(box.mark_failed(outbox, late, "late", permanent=True, now=NOW)).is_pending


def test_outcome_for_what_is_not_listed_any_more_changes_nothing() -> None:
    outbox = outbox_of(entry("resumed-1"))
    gone = Due(entry("resumed-0"), Channel.MAIL)

    assert box.mark_sent(outbox, gone, NOW) == outbox
    assert box.mark_failed(outbox, gone, "late", permanent=True, now=NOW) == outbox


def test_full_outbox_lets_the_oldest_finished_go_first() -> None:
    outbox = outbox_of(*(entry(f"resumed-{number}") for number in range(10)))
    for finished in (4, 2):
        outbox = box.mark_sent(outbox, Due(outbox[finished], Channel.MAIL), NOW)
    outbox += outbox_of(*(entry(f"paused-{number}") for number in range(10)))
    outbox, given_up = box.add(outbox, entry("newest"))

    assert given_up is None
    assert len(outbox) == MAX_OUTBOX
    assert {"resumed-2"} == {f"resumed-{number}" for number in range(10)} - {item.key for item in outbox}


def test_message_given_up_for_newer_ones_stays_listed_is_returned_and_counts_as_failing() -> None:
    outbox = outbox_of(*(entry(f"resumed-{number}", *BOTH) for number in range(MAX_OUTBOX - 1)))
    assert not box.is_failing(outbox)
    outbox, given_up = box.add(outbox, entry("newest"))

    assert given_up is not None
    assert (given_up.key, outbox[0], len(outbox)) == ("resumed-0", given_up, MAX_OUTBOX)
    assert given_up.deliveries[Channel.MAIL] == Delivery(DeliveryState.FAILED, last_error=box.SUPERSEDED)
    assert box.is_failing(outbox)
    assert "resumed-0" not in {due.entry.key for due in box.due(outbox, NOW)}


def test_message_given_up_while_it_was_under_way_is_sent_after_all() -> None:
    outbox = outbox_of(*(entry(f"resumed-{number}") for number in range(MAX_OUTBOX - 1)))
    under_way = box.due(outbox, NOW)[0]
    outbox, _ = box.add(outbox, entry("newest"))

    assert box.mark_failed(outbox, under_way, "slow", permanent=False, now=NOW) == outbox
    assert box.mark_sent(outbox, under_way, NOW)[0].deliveries[Channel.MAIL].state is DeliveryState.SENT


def test_message_without_a_channel_never_pushes_out_one_that_waits() -> None:
    outbox = outbox_of(
        *(entry(f"resumed-{number}") for number in range(MAX_OUTBOX - 1)), new_entry("off", "resumed", {}, NOW, ())
    )
    outbox = box.resend(outbox, NOW, key="off", channels=MAIL)  # now all twenty wait
    record = new_entry("record", "resumed", {}, NOW, ())

    assert box.add(outbox, record) == (outbox, None)


def test_channel_that_the_plan_gave_up_is_not_waited_for() -> None:
    outbox = box.switch_off(outbox_of(entry("resumed-1", *BOTH)), Channel.WEBHOOK)

    assert [due.channel for due in box.due(outbox, NOW)] == [Channel.MAIL]
    assert send(box.switch_off(send(outbox), Channel.MAIL)) == send(outbox)


@pytest.mark.parametrize("key", ["", "a.b", "a b", "a\nb", "é", "-a", "x" * 129])
def test_key_that_no_header_or_signature_could_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        entry(key)


def test_params_are_text_without_a_language() -> None:
    made = new_entry(
        "reminder-2026-12-25-7", "reminder", {"days": 7, "purgeAfter": NOW, "license": "visitors"}, NOW, MAIL
    )

    assert made.params == {"days": "7", "purgeAfter": "2026-11-23T09:00:00Z", "license": "visitors"}
    with pytest.raises(ValueError, match=r"at most 16 params of 1024 characters \['url'\]"):
        new_entry("delivery", "delivery", {"url": "x" * 1025}, NOW, MAIL)


# -- JSON ----------------------------------------------------------------------------------------------------------

times = st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
deliveries = st.builds(
    Delivery,
    state=st.sampled_from(DeliveryState),
    attempts=st.integers(0, 100),
    next_attempt=st.none() | times,
    last_error=st.text(st.characters(codec="utf-8"), max_size=20),
    sent=st.none() | times,
    resends=st.integers(0, 9),
)
entries = st.builds(
    Entry,
    key=st.from_regex(r"[a-z][a-zA-Z0-9-]{0,20}", fullmatch=True),
    kind=st.sampled_from([kind.value for kind in NotificationKind]),
    params=st.dictionaries(st.text("abcXYZ", min_size=1), st.text(max_size=20), max_size=16),
    created=times,
    deliveries=st.dictionaries(st.sampled_from(Channel), deliveries),
)


def defaulted(schema: Any, value: Any) -> Any:
    """The value as the API server stores it: with the schema's defaults, and nothing that the schema has not."""
    if schema["type"] == "array":
        return [defaulted(schema["items"], item) for item in value]
    if "properties" not in schema:
        return value
    out = {}
    for name, child in schema["properties"].items():
        if name in value or "default" in child:
            out[name] = defaulted(child, value.get(name, child.get("default")))
    return out


@settings(deadline=None)
@given(st.lists(entries, max_size=MAX_OUTBOX, unique_by=lambda item: item.key).map(tuple))
def test_status_tells_it_all_and_comes_back_from_the_server_unchanged(outbox: Outbox) -> None:
    """A default of the schema that we leave out would be a difference, and a write, at every pass."""
    schema = structural_schema(ClientOrgStatus)["properties"]["outbox"]
    items = to_status(outbox)

    assert from_status(items) == outbox
    jsonschema.validate(items, schema)
    assert defaulted(schema, items) == items


# -- whatever happens ----------------------------------------------------------------------------------------------


class Anything(RuleBasedStateMachine):
    """Messages come, servers fail or answer late, people resend, the clock goes forth and back, the operator crashes.

    The servers' own view is the measure: which message arrived how often under which id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outbox: Outbox = ()
        self.now = NOW
        self.serial = 0
        self.under_way: list[Due] = []
        self.arrived: dict[tuple[Channel, str], int] = {}
        self.crashed: set[tuple[Channel, str]] = set()
        self.promised: dict[str, frozenset[Channel]] = {}
        self.given_up: set[str] = set()
        self.refused: set[tuple[str, Channel]] = set()

    @rule(channels=st.sets(st.sampled_from(Channel)))
    def happens(self, channels: set[Channel]) -> None:
        """Something to tell."""
        self.serial += 1
        self._add(entry_on(f"event-{self.serial}", channels, self.now))

    @precondition(lambda self: self.outbox)
    @rule(data=st.data())
    def happens_again(self, data: st.DataObject) -> None:
        """The same is found at another pass."""
        listed = data.draw(st.sampled_from(self.outbox))
        before = self.outbox
        self._add(entry_on(listed.key, set(Channel), self.now))
        assert self.outbox == before

    def _add(self, item: Entry) -> None:
        self.outbox, given_up = box.add(self.outbox, item)
        if item.key in {listed.key for listed in self.outbox}:
            self.promised.setdefault(item.key, frozenset(item.deliveries))
        if given_up is not None:
            self.given_up.add(given_up.key)

    @rule()
    def begins_to_send(self) -> None:
        """The sender takes what is due; one message is under way once at a time."""
        taken = {(due.entry.key, due.channel, due.resends) for due in self.under_way}
        self.under_way += [
            due for due in box.due(self.outbox, self.now) if (due.entry.key, due.channel, due.resends) not in taken
        ]

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from(["sent", "transient", "permanent", "crash"]))
    def ends(self, data: st.DataObject, outcome: str) -> None:
        """One of those under way ends; a crash is after the server took it and before that was written down."""
        due = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(due)
        identity = (due.channel, due.delivery_id)
        if outcome in ("sent", "crash"):
            self.arrived[identity] = self.arrived.get(identity, 0) + 1
        if outcome == "sent":
            self.outbox = box.mark_sent(self.outbox, due, self.now)
        elif outcome == "crash":
            self.crashed.add(identity)
            self.under_way.clear()  # the process is gone; status is what is left
        else:
            permanent = outcome == "permanent"
            self.outbox = box.mark_failed(self.outbox, due, outcome, permanent=permanent, now=self.now)
            if permanent:
                self.refused.add((due.entry.key, due.channel))

    @precondition(lambda self: self.outbox)
    @rule(data=st.data(), channels=st.sets(st.sampled_from(Channel), min_size=1))
    def is_asked_for_again(self, data: st.DataObject, channels: set[Channel]) -> None:
        """`kubectl clientorg notify --resend`."""
        listed = data.draw(st.sampled_from(self.outbox))
        self.outbox = box.resend(self.outbox, self.now, key=listed.key, channels=channels)
        self.promised[listed.key] |= channels

    @rule(minutes=st.integers(-500, 1000))
    def clock_moves(self, minutes: int) -> None:
        """Time passes, or the clock is stepped."""
        self.now += timedelta(minutes=minutes)

    @invariant()
    def status_holds_it(self) -> None:
        """What is not in status does not survive a restart."""
        assert from_status(to_status(self.outbox)) == self.outbox

    @invariant()
    def is_bounded(self) -> None:
        """And each key is in it once."""
        assert len(self.outbox) <= MAX_OUTBOX
        assert len({item.key for item in self.outbox}) == len(self.outbox)

    @invariant()
    def nothing_arrives_twice(self) -> None:
        """Under one id, but for a crash between the server's answer and our note of it."""
        assert {identity for identity, count in self.arrived.items() if count > 1} <= self.crashed

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each message arrived, was refused, was given up aloud, or is still to be sent."""
        waiting = {
            (item.key, channel)
            for item in self.outbox
            for channel, delivery in item.deliveries.items()
            if delivery.is_pending
        }
        arrived = {(identity.partition("-again")[0], channel) for channel, identity in self.arrived}
        for key, channels in self.promised.items():
            for channel in channels:
                assert (key, channel) in waiting | arrived | self.refused or key in self.given_up, (
                    f"{key} to {channel} is lost"
                )

    def teardown(self) -> None:
        """In the end the servers work: all that waits is sent, and nothing is due any more."""
        # Twice: the clock may have been put back by more than the day, and a wait be of the time before.
        for _ in range(2):
            self.now += timedelta(days=1)
            self.outbox = send(self.outbox, self.now)
        assert box.next_due(self.outbox, self.now) is None


def entry_on(key: str, channels: set[Channel], created: datetime) -> Entry:
    """A message on these channels."""
    return new_entry(key, NotificationKind.RESUMED, {}, created, channels)


Anything.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnything = Anything.TestCase


@given(st.integers(1, 10_000))
def test_no_number_of_tries_breaks_the_arithmetic(attempts: int) -> None:
    waiting = Delivery(attempts=attempts)
    outbox: Outbox = (replace(entry("resumed-1"), deliveries={Channel.MAIL: waiting}),)

    assert only(fail(outbox, NOW)).attempts == attempts + 1
