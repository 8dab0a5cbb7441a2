"""Mails against a real SMTP server with STARTTLS and AUTH (issue 4): each once, and one that fails delays no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clientorg.api.notifications import Channel, DeliveryState
from clientorg.domain import outbox as box
from clientorg.domain.messages import Due, Outbox, from_status, new_entry, to_status
from clientorg.errors import NotificationError
from clientorg.notify.destinations import Destinations
from clientorg.notify.mail import Envelope, Mailbox, compose
from clientorg.notify.render import render
from clientorg.notify.smtp import Mailer, SmtpConfig
from tests.controlplane.certs import Authority
from tests.support.mailserver import PASSWORD, USERNAME, Mood, mail_server, server_tls, smtp_secret, talking_server
from tests.support.messages import NOW, context

FROM = "no-reply@sakura.example"
LOOPBACK = Destinations(allow_loopback=True)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority that signed for the mail server."""
    return Authority.create("mail test")


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> Any:
    """The server's certificate, for localhost."""
    return server_tls(authority, tmp_path)


@pytest.fixture
def config(authority: Authority) -> Any:
    """Reads the agency's Secret for a server at a port."""

    def at(port: int, **changes: str) -> SmtpConfig:
        usual = {
            "host": "localhost",
            "port": str(port),
            "username": USERNAME,
            "password": PASSWORD,
            "ca": authority.pair.certificate.decode(),
        }
        return SmtpConfig.from_secret(smtp_secret(**{**usual, **changes}))

    return at


def mail_to(recipient: str, key: str = "delivery", *, now: datetime = NOW, **changes: Any) -> Any:
    """A delivery notice."""
    rendered = render("delivery", "ja", context({"url": "https://portal.example/acme"}, **changes))
    envelope = Envelope(Mailbox("さくら", FROM), Mailbox("Sato Yuki", recipient), ("uid", key), "help@sakura.example")
    return compose(rendered, envelope, now)


async def refusal(config: SmtpConfig, message: Any, mailer: Mailer | None = None) -> NotificationError:
    """The error that sending ends with."""
    with pytest.raises(NotificationError) as raised:
        await (mailer or Mailer(LOOPBACK)).send(config, message)
    assert PASSWORD not in str(raised.value)
    return raised.value


# -- delivery ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["starttls", "tls"])
async def test_mail_arrives_once_encrypted_and_logged_in(tls: Any, config: Any, implicit_tls: bool) -> None:
    async with mail_server(tls, implicit_tls=implicit_tls) as server:
        security = {"security": "tls"} if implicit_tls else {}
        message = mail_to("yuki@acme.example")
        await Mailer(LOOPBACK).send(config(server.port, **security), message)

        (received,) = server.received
        assert (received.sender, received.recipients) == (FROM, ["yuki@acme.example"])
        assert received.encrypted or implicit_tls
        assert received.login == USERNAME.encode()
        assert received.content.rstrip() == message.as_bytes().rstrip()
        assert received.message["Subject"] == "Acme K.K. 様：ワークスペースのご用意ができました"
        assert "様" in received.message.get_body(("plain",)).get_content()  # type: ignore[union-attr]


async def test_line_breaks_in_names_reach_the_server_as_spaces(tls: Any, config: Any) -> None:
    name = "Acme\r\nBcc: victim@example.com\r\n\r\n.\r\nMAIL FROM:<x@y.example>\x00"
    async with mail_server(tls) as server:
        await Mailer(LOOPBACK).send(config(server.port), mail_to("yuki@acme.example", client=name, first_name=name))

        (received,) = server.received
        assert server.commands == ["MAIL"]
        assert received.recipients == ["yuki@acme.example"]
        assert received.message["Bcc"] is None
        assert received.message["Subject"].startswith("Acme Bcc: victim@example.com . MAIL FROM:<x@y.example> 様")


async def test_mail_counts_as_sent_when_the_server_goes_away_after_taking_it(tls: Any, config: Any) -> None:
    """Otherwise it would be sent twice."""
    async with mail_server(tls, mood=Mood(dies_after_taking=True)) as server:
        await Mailer(LOOPBACK).send(config(server.port), mail_to("yuki@acme.example"))

        assert len(server.received) == 1


async def test_server_on_loopback_may_do_without_tls_and_login() -> None:
    async with mail_server(login=False) as server:
        secret = smtp_secret(host="127.0.0.1", security="none", port=str(server.port))
        await Mailer(LOOPBACK).send(SmtpConfig.from_secret(secret), mail_to("yuki@acme.example"))

        assert len(server.received) == 1


# -- TLS and login -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["starttls", "tls"])
async def test_server_with_a_certificate_of_another_authority_is_not_trusted(
    tls: Any, config: Any, implicit_tls: bool
) -> None:
    other = Authority.create("somebody else").pair.certificate.decode()
    async with mail_server(tls, implicit_tls=implicit_tls) as server:
        security = "tls" if implicit_tls else "starttls"
        error = await refusal(config(server.port, ca=other, security=security), mail_to("yuki@acme.example"))

        assert "its certificate is not to be trusted" in str(error)
        assert "put its authority into ca.crt of Secret clientorg-smtp" in str(error)
        assert not error.permanent
        assert (server.received, server.logins) == ([], [])


async def test_server_with_a_certificate_for_another_name_is_not_trusted(
    authority: Authority, config: Any, tmp_path: Path
) -> None:
    async with mail_server(server_tls(authority, tmp_path, "other.example")) as server:
        error = await refusal(config(server.port), mail_to("yuki@acme.example"))

        assert "its certificate is not to be trusted" in str(error)
        assert server.logins == []


async def test_server_without_starttls_never_sees_the_password(config: Any) -> None:
    """Nor the mail: somebody in between could have taken the offer out."""
    async with mail_server() as server:
        error = await refusal(config(server.port), mail_to("yuki@acme.example"))

        assert "offers no STARTTLS" in str(error)
        assert not error.permanent
        assert (server.received, server.logins) == ([], [])


async def test_wrong_password_passes_when_the_secret_is_corrected(tls: Any, config: Any) -> None:
    async with mail_server(tls) as server:
        error = await refusal(config(server.port, password="wrong"), mail_to("yuki@acme.example"))

        assert "refuses user name and password (535" in str(error)
        assert "correct them in Secret clientorg-smtp" in str(error)
        assert not error.permanent
        await Mailer(LOOPBACK).send(config(server.port), mail_to("yuki@acme.example"))
        assert len(server.received) == 1


async def test_password_is_kept_out_of_the_servers_words(config: Any) -> None:
    async def parrot(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"554 you said {PASSWORD}\x1b[31m\r\n".encode())
        await writer.drain()

    async with talking_server(parrot) as port:
        error = await refusal(config(port), mail_to("yuki@acme.example"))

        assert "554 you said ***" in str(error)
        assert "\x1b" not in str(error)


async def test_loopback_is_refused_where_it_is_not_allowed(tls: Any, config: Any) -> None:
    async with mail_server(tls) as server:
        error = await refusal(config(server.port), mail_to("yuki@acme.example"), Mailer(Destinations()))

        assert "is no address that notifications may be sent to" in str(error)
        assert not error.permanent


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        ("550 5.1.1 no such user", True),
        ("553 5.1.3 bad address", True),
        ("530 5.7.0 log in first", False),
        ("450 4.2.1 greylisted", False),
        ("452 4.2.2 mailbox full", False),
    ],
)
async def test_refused_recipient(tls: Any, config: Any, answer: str, permanent: bool) -> None:
    async with mail_server(tls, mood=Mood(recipients={"yuki@acme.example": answer})) as server:
        error = await refusal(config(server.port), mail_to("yuki@acme.example"))

        assert f"refuses the recipient ({answer})" in str(error)
        assert error.permanent is permanent


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [("554 5.7.1 looks like spam", True), ("552 5.3.4 too large", True), ("451 4.3.0 try later", False)],
)
async def test_refused_content(tls: Any, config: Any, answer: str, permanent: bool) -> None:
    async with mail_server(tls, mood=Mood(data=answer)) as server:
        error = await refusal(config(server.port), mail_to("yuki@acme.example"))

        assert f"refuses the mail ({answer})" in str(error)
        assert error.permanent is permanent


async def test_refused_sender_is_the_plans_fault_and_passes(tls: Any, config: Any) -> None:
    async with mail_server(tls, mood=Mood(senders={FROM: "550 5.7.1 not yours"})) as server:
        error = await refusal(config(server.port), mail_to("yuki@acme.example"))

        assert f"refuses the sender {FROM} (550 5.7.1 not yours); correct fromAddress in the plan" in str(error)
        assert not error.permanent


async def test_server_that_is_down_or_does_not_exist_passes(config: Any) -> None:
    async with talking_server(lambda *_: None) as port:
        pass  # nobody listens there any more
    down = await refusal(config(port), mail_to("yuki@acme.example"))
    nowhere = await refusal(config(25, host="mail.invalid"), mail_to("yuki@acme.example"))

    assert not down.permanent
    assert not nowhere.permanent
    assert f"mail server localhost:{port}: " in str(down)
    assert "mail server mail.invalid:25: " in str(nowhere)


async def test_server_that_says_nothing_is_given_up_in_time(config: Any) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async with talking_server(silence) as port:
        began = time.monotonic()
        error = await refusal(config(port), mail_to("yuki@acme.example"), Mailer(LOOPBACK, timeout_seconds=0.3))

        assert "does not answer in time" in str(error)
        assert not error.permanent
        assert time.monotonic() - began < 3


async def test_server_that_drips_its_answer_is_given_up_at_the_deadline(config: Any) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"220-still here\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with talking_server(drip) as port:
        mailer = Mailer(LOOPBACK, timeout_seconds=30, deadline_seconds=0.5)
        began = time.monotonic()
        error = await refusal(config(port), mail_to("yuki@acme.example"), mailer)

        assert "does not answer in time" in str(error)
        assert time.monotonic() - began < 3


# -- with the outbox -----------------------------------------------------------------------------------------------


@dataclass
class Operator:
    """What the control loop does with an outbox: send what is due, write down what came of it. Time is stepped."""

    config: SmtpConfig
    outbox: Outbox = ()
    recipients: Mapping[str, str] = field(default_factory=dict)
    now: datetime = NOW
    mailer: Mailer = field(default_factory=lambda: Mailer(LOOPBACK, timeout_seconds=0.5))

    def tell(self, *keys: str) -> None:
        """Something happened."""
        for key in keys:
            self.outbox, _ = box.add(self.outbox, new_entry(key, "delivery", {}, self.now, (Channel.MAIL,)))

    async def send(self) -> None:
        """One pass; messages go at the same time."""
        await asyncio.gather(*(self._send(due) for due in box.due(self.outbox, self.now)))
        self.outbox = from_status(to_status(self.outbox))

    async def _send(self, due: Due) -> None:
        recipient = self.recipients.get(due.entry.key, "yuki@acme.example")
        try:
            await self.mailer.send(self.config, mail_to(recipient, due.delivery_id, now=self.now))
        except NotificationError as error:
            self.outbox = box.mark_failed(self.outbox, due, str(error), permanent=error.permanent, now=self.now)
        else:
            self.outbox = box.mark_sent(self.outbox, due, self.now)

    def states(self) -> dict[str, DeliveryState]:
        """Where each message stands."""
        return {entry.key: entry.deliveries[Channel.MAIL].state for entry in self.outbox}


async def test_one_refused_address_delays_only_its_message(tls: Any, config: Any) -> None:
    mood = Mood(recipients={"gone@acme.example": "550 no such user", "later@acme.example": "450 greylisted"})
    async with mail_server(tls, mood=mood) as server:
        recipients = {"b": "gone@acme.example", "c": "later@acme.example"}
        operator = Operator(config(server.port), recipients=recipients)
        operator.tell("a", "b", "c", "d")
        await operator.send()

        assert operator.states() == {"a": "Sent", "b": "Failed", "c": "Pending", "d": "Sent"}
        assert box.is_failing(operator.outbox)
        mood.recipients.clear()
        operator.now += timedelta(minutes=1)
        await operator.send()
        assert operator.states() == {"a": "Sent", "b": "Failed", "c": "Sent", "d": "Sent"}
        assert len(server.received) == 3


async def test_server_that_is_slow_for_one_mail_does_not_hold_up_the_others(tls: Any, config: Any) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async with mail_server(tls) as server, talking_server(silence) as slow:
        quick, stuck = Operator(config(server.port)), Operator(config(slow))
        for operator in (quick, stuck):
            operator.tell("a", "b")
        waiting = asyncio.create_task(stuck.send())
        await quick.send()

        assert quick.states() == {"a": "Sent", "b": "Sent"}
        assert not waiting.done()
        await waiting
        assert stuck.states() == {"a": "Pending", "b": "Pending"}


async def test_server_down_over_a_weekend_loses_nothing_and_repeats_nothing(tls: Any, config: Any) -> None:
    async with talking_server(lambda *_: None) as port:
        pass
    operator = Operator(config(port))
    operator.tell("a", "b")
    monday = operator.now + timedelta(days=3)
    while operator.now < monday:
        await operator.send()
        operator.now = box.next_due(operator.outbox, operator.now) or monday
        if operator.now - NOW > timedelta(minutes=3):
            assert box.is_failing(operator.outbox)
    async with mail_server(tls, port=port) as server:
        await operator.send()

        assert operator.states() == {"a": "Sent", "b": "Sent"}
        assert not box.is_failing(operator.outbox)
        await operator.send()
        assert len(server.received) == 2


async def test_mail_sent_again_after_a_crash_is_known_by_its_message_id(tls: Any, config: Any) -> None:
    """The operator dies between the server's answer and its own note of it."""
    async with mail_server(tls, mood=Mood(drops_repeats=True)) as server:
        operator = Operator(config(server.port))
        operator.tell("a")
        before = to_status(operator.outbox)
        await operator.send()
        restarted = Operator(config(server.port), from_status(before), now=NOW + timedelta(minutes=1))
        await restarted.send()

        assert restarted.states() == {"a": "Sent"}
        assert (len(server.received), server.repeats) == (1, 1)


async def test_mail_that_somebody_asks_for_again_is_not_taken_for_a_repeat(tls: Any, config: Any) -> None:
    async with mail_server(tls, mood=Mood(drops_repeats=True)) as server:
        operator = Operator(config(server.port))
        operator.tell("a")
        await operator.send()
        operator.outbox = box.resend(operator.outbox, operator.now, kind="delivery", channels=(Channel.MAIL,))
        await operator.send()

        assert (len(server.received), server.repeats) == (2, 0)
