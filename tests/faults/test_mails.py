"""What is promised of mails, and when a telling breaks it."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from clientorg.api.notifications import Channel
from clientorg.domain import outbox as box
from clientorg.domain.messages import Due, Outbox, new_entry, to_status
from clientorg.notify.mail import Envelope, Mailbox, compose
from clientorg.notify.render import Rendered
from tests.faults.mails import Deliveries, Mail, identity_of, is_waiting, mails_of, sender_of, sent_by
from tests.faults.recording import Recording
from tests.support.mailserver import Received
from tests.support.messages import NOW

READY = Mail("id-1", "yuki@acme.example", "Acme: your workspace is ready", 10.0)
REMINDER = Mail("id-2", "yuki@acme.example", "Acme will be permanently deleted tomorrow", 20.0)
WRITTEN = {"id-1": 11.0, "id-2": 23.0}


def again(mail: Mail, taken: float, **changes: str) -> Mail:
    """The mail, once more."""
    fields = {"identity": mail.identity, "address": mail.address, "subject": mail.subject} | changes
    return Mail(**fields, taken=taken)


def deliveries(*mails: Mail, crashes: int = 0, operators: int = 1) -> Deliveries:
    """Mails of which all is written down."""
    return Deliveries(mails, WRITTEN, crashes, operators)


def outbox(*, is_sent: bool, resends: int = 0) -> list[dict[str, Any]]:
    """A reminder, sent or not."""
    found: Outbox = (new_entry("reminder-1", "reminder", {}, NOW, (Channel.MAIL,)),)
    for _ in range(resends):
        found = box.resend(
            box.mark_sent(found, Due(found[0], Channel.MAIL), NOW), NOW, key="reminder-1", channels=(Channel.MAIL,)
        )
    return to_status(box.mark_sent(found, Due(found[0], Channel.MAIL), NOW) if is_sent else found)


def mail_of(agency: str) -> EmailMessage:
    """A mail as it is on the line, where its headers are folded."""
    names = Mailbox("A", sender_of(agency)), Mailbox("Y", "yuki@acme.example")
    envelope = Envelope(*names, identity=(f"{agency}-uid", "ready"))
    mail = compose(Rendered(subject=f"{agency}: ready", text="t", html="h", language="en"), envelope, NOW)
    found = message_from_bytes(mail.as_bytes(), policy=SMTP)
    assert isinstance(found, EmailMessage)
    return found


def client(**status: Any) -> dict[str, Any]:
    """A client as the server answers it."""
    return {"metadata": {"uid": "uid-7", "name": "acme"}, "status": status}


def test_same_mails_in_another_order_and_under_other_ids_are_the_same() -> None:
    other = Deliveries((again(REMINDER, 1.0, identity="x"), again(READY, 2.0, identity="y")))

    assert list(deliveries(READY, REMINDER).differences(other)) == []


def test_mail_that_is_missing_and_one_that_is_too_much_are_named() -> None:
    found = list(deliveries(READY, REMINDER).differences(deliveries(READY, again(REMINDER, 20.0, subject="today"))))

    assert found == [
        "mail to yuki@acme.example, 'Acme will be permanently deleted tomorrow': is missing",
        "mail to yuki@acme.example, 'today': is too much",
    ]


def test_mail_to_another_address_is_another() -> None:
    other = deliveries(again(READY, 1.0, address="hana@acme.example"))

    assert len(list(deliveries(READY).differences(other))) == 2


def test_two_messages_of_the_same_words_are_two() -> None:
    other = deliveries(READY, again(READY, 12.0, identity="id-2"))

    assert list(deliveries(READY).differences(other)) == [
        "mail to yuki@acme.example, 'Acme: your workspace is ready': is too much"
    ]


def test_repeat_of_a_crash_is_no_difference_and_no_problem() -> None:
    found = deliveries(READY, REMINDER, again(REMINDER, 22.0), crashes=1)

    assert list(deliveries(READY, REMINDER).differences(found)) == []
    assert found.problems == []
    assert found.repeats == 1


def test_repeat_without_a_crash_is_a_problem() -> None:
    (problem,) = deliveries(REMINDER, again(REMINDER, 22.0)).problems

    assert "came 2 times, with 0 crashes of 1 operators" in problem


def test_more_repeats_than_crashes_are_a_problem() -> None:
    (problem,) = deliveries(REMINDER, again(REMINDER, 21.0), again(REMINDER, 22.0), crashes=1).problems

    assert "came 3 times, with 1 crashes" in problem


def test_repeat_of_what_was_written_down_is_a_problem_for_all_that_there_was_a_crash() -> None:
    (problem,) = deliveries(again(REMINDER, 24.0), REMINDER, crashes=1).problems

    assert "came again after status said that it was sent" in problem


def test_repeat_under_another_id_is_too_much() -> None:
    found = deliveries(READY, again(READY, 10.5, identity="id-2"), crashes=1)

    assert len(list(deliveries(READY).differences(found))) == 1


def test_repeat_of_other_words_is_a_problem() -> None:
    (problem,) = deliveries(REMINDER, again(REMINDER, 22.0, subject="today"), crashes=1).problems

    assert "came again as [('yuki@acme.example', 'today')]" in problem


def test_each_of_two_operators_may_send_a_mail_and_neither_twice() -> None:
    twice = deliveries(REMINDER, again(REMINDER, 24.0), operators=2)
    thrice = deliveries(REMINDER, again(REMINDER, 24.0), again(REMINDER, 25.0), operators=2)

    assert twice.problems == []
    assert ["came 3 times" in problem for problem in thrice.problems] == [True]


def test_mail_of_which_no_status_says_that_it_was_sent_is_a_problem() -> None:
    assert Deliveries((READY,)).problems == [
        "mail to yuki@acme.example, 'Acme: your workspace is ready': was taken, and no status says so"
    ]


def test_mails_of_one_agency_are_told_from_those_of_others() -> None:
    received = [
        Received(sender_of(agency), ["yuki@acme.example"], mail_of(agency), b"", encrypted=False, login=None, taken=3.0)
        for agency in ("tokyo", "osaka")
    ]

    found = mails_of("osaka", received, lambda text: text.replace("osaka", "<agency>"))

    assert found == (Mail(identity_of("osaka-uid", "ready"), "yuki@acme.example", "<agency>: ready", 3.0),)


@pytest.mark.parametrize("resends", [0, 1])
def test_status_tells_of_the_mail_by_the_id_that_it_has(resends: int) -> None:
    status = client(outbox=outbox(is_sent=True, resends=resends))
    delivery_id = "reminder-1-again1" if resends else "reminder-1"
    envelope = Envelope(Mailbox("A", "a@a.example"), Mailbox("B", "b@b.example"), ("uid-7", delivery_id))
    mail = compose(Rendered(subject="s", text="t", html="h", language="en"), envelope, NOW)

    (identity,) = sent_by(json.dumps(status).encode())

    assert str(mail["Message-ID"]) == f"<{identity}@a.example>"
    assert identity == identity_of("uid-7", delivery_id)


def test_what_waits_is_not_sent() -> None:
    waiting, done = client(outbox=outbox(is_sent=False)), client(outbox=outbox(is_sent=True))

    assert sent_by(json.dumps(waiting).encode()) == frozenset()
    assert sent_by(json.dumps(client()).encode()) == frozenset()
    assert is_waiting(waiting)
    assert not any(map(is_waiting, (done, client(), {"metadata": {}})))


def test_only_what_the_server_accepted_is_written_down() -> None:
    recording = Recording("tokyo")
    path = "/apis/clientorg.dev/v1alpha1/namespaces/tokyo/clientorgs/acme/status"
    payload = json.dumps(client(outbox=outbox(is_sent=True))).encode()
    patch = json.dumps({"status": {"outbox": outbox(is_sent=True)}}).encode()
    record = recording.enter("PATCH", path, "", patch)

    recording.take_answer(record, 409, payload)
    recording.take_answer(recording.enter("GET", path, "", b""), 200, payload)
    assert recording.sent == {}
    recording.take_answer(record, 200, payload)
    recording.restart()

    assert set(recording.sent) == {identity_of("uid-7", "reminder-1")}
    assert record.gist == "reminder sent"
