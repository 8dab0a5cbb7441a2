"""The mail as bytes: one sender, one recipient, one subject, whatever the names are (issue 4, bad input)."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clientorg.errors import NotificationError
from clientorg.notify.lines import one_line
from clientorg.notify.mail import Envelope, Mailbox, compose
from clientorg.notify.render import Rendered, render
from tests.support.messages import NOW, PARAMS, context

FROM, TO = "no-reply@sakura.example", "yuki@acme.example"


def envelope(sender_name: str = "Sakura Digital", recipient_name: str = "Yuki Sato", **changes: Any) -> Envelope:
    """From the agency to the contact, by these names."""
    usual: dict[str, Any] = {
        "sender": Mailbox(sender_name, FROM),
        "recipient": Mailbox(recipient_name, TO),
        "identity": ("uid", "delivery"),
    }
    return Envelope(**usual | changes)


def read(message: EmailMessage) -> EmailMessage:
    """The mail as its recipient reads it."""
    parsed = message_from_bytes(message.as_bytes(), policy=SMTP)
    assert isinstance(parsed, EmailMessage)
    return parsed


def plain(subject: str = "Hello") -> Rendered:
    """A mail of no importance."""
    return Rendered(subject, "Hello\n", "<p>Hello</p>", "en")


@pytest.mark.parametrize("language", ["en", "ja", "cs", "hi"])
def test_mail_has_text_and_html_and_the_headers_of_an_automatic_one(language: str) -> None:
    (kind, (params, *_)) = next(iter(PARAMS.items()))
    rendered = render(kind, language, context(params))
    mail = read(compose(rendered, envelope(reply_to="help@sakura.example"), NOW))

    assert mail.get_content_type() == "multipart/alternative"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == rendered.text
    assert html.get_content().replace("\r\n", "\n").rstrip("\n") == rendered.html.rstrip("\n")
    assert mail["Subject"] == rendered.subject
    assert mail["From"] == f"Sakura Digital <{FROM}>"
    assert mail["To"] == f"Yuki Sato <{TO}>"
    assert mail["Reply-To"] == "help@sakura.example"
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == language


@pytest.mark.parametrize("language", ["ja", "hi"])
def test_mail_passes_servers_that_know_only_ascii_and_short_lines(language: str) -> None:
    rendered = render("delivery", language, context(client="株式会社" * 32))
    content = compose(rendered, envelope("さくら" * 40, "佐藤" * 60), NOW).as_bytes()

    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) <= 998


def test_repeated_try_is_the_same_mail_but_for_its_date() -> None:
    """A mail server that drops repeats knows them by the Message-ID."""
    first = compose(plain(), envelope(), NOW)
    again = compose(plain(), envelope(), NOW + timedelta(hours=1))

    assert re.fullmatch(r"<[0-9a-f]{40}@sakura\.example>", first["Message-ID"])
    del first["Date"], again["Date"]
    assert first.as_bytes() == again.as_bytes()


@pytest.mark.parametrize("identity", [("uid", "delivery-again1"), ("other-uid", "delivery"), ("uiddelivery", "")])
def test_another_client_or_a_resent_mail_has_another_id(identity: tuple[str, str]) -> None:
    usual, other = (compose(plain(), envelope(identity=each), NOW) for each in (("uid", "delivery"), identity))

    assert usual["Message-ID"] != other["Message-ID"]


@pytest.mark.parametrize(
    "name", ["Acme\r\nBcc: victim@example.com", "Acme\nSubject: Free", "Acme\x00\x0b\x0c\x85\u2028X"]
)
def test_line_breaks_in_names_make_no_header(name: str) -> None:
    mail = read(compose(plain(name), envelope(name, name), NOW))

    assert set(mail.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language"),
        *("MIME-Version", "Content-Type"),
    }
    assert mail.get_all("Subject") == [one_line(name)]


@pytest.mark.parametrize(
    "address",
    [
        "yuki@acme.example\r\nBcc: victim@example.com",
        "yuki@acme.example, victim@example.com",
        "victim@example.com <yuki@acme.example>",
        "yuki@acme.example\x00",
        "yuki@acme.example (comment)",
        "yuki",
        "yuki@",
        "@acme.example",
        ".yuki@acme.example",
        "ゆき@acme.example",
        "",
    ],
)
@pytest.mark.parametrize("place", ["sender", "recipient", "reply_to"])
def test_wrong_address_is_refused_for_good_and_never_repaired(address: str, place: str) -> None:
    changes: dict[str, Any] = {place: address if place == "reply_to" else Mailbox("Name", address)}
    if place == "reply_to" and not address:
        return  # no Reply-To at all
    with pytest.raises(NotificationError, match="the mail cannot be written") as raised:
        compose(plain(), envelope(**changes), NOW)

    assert raised.value.permanent
    assert "\n" not in str(raised.value)


def raw(mail: EmailMessage, header: str) -> str:
    """A header as it is written, unfolded."""
    return next(str(value) for name, value in mail.raw_items() if name == header).replace("\r\n", "")


def decoded_name(mail: EmailMessage, header: str) -> str:
    """The name before the address, by the older of Python's readers: the newer one puts spaces between words."""
    ((name, _),) = getaddresses([raw(mail, header)])
    return str(make_header(decode_header(name)))


names = (
    st.text(st.characters(codec="utf-8"), max_size=128)
    | st.text('ab "\\,;:<>@()[].é日', max_size=128)
    | st.lists(
        st.sampled_from(["Acme", "<evil@example.com>", "Inc.,", "(Tokyo)", '"x"', "é"]), min_size=9, max_size=12
    ).map(" ".join)
)


@settings(max_examples=400, deadline=None)
@given(sender=names, recipient=names, subject=names)
def test_no_name_changes_who_writes_to_whom(sender: str, recipient: str, subject: str) -> None:
    """Python's own folding of headers loses the quotes of a name and spaces between words (gh-80222, gh-92081)."""
    composed = compose(plain(subject), envelope(sender, recipient), NOW)
    mail = read(composed)

    for header, name, address in (("From", sender, FROM), ("To", recipient, TO)):
        assert [found.addr_spec for found in mail[header].addresses] == [address]
        assert getaddresses([raw(mail, header)]) == [(ANY, address)]
        assert decoded_name(mail, header) == one_line(name)
    assert mail["Subject"] == one_line(subject)
    head = composed.as_bytes().split(b"\r\n\r\n")[0]
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    assert all(len(word) <= 75 for word in re.findall(rb"=\?\S*\?=", head))


@pytest.mark.parametrize(
    "name",
    [
        "Acme, Inc.",
        'Sato "Yuki" (Tokyo)',
        "株式会社さくらデジタル（東京）",
        "Nováková, Jana <evil@example.com>",
        "A very long name of an agency, with a comma and an <evil@example.com> in the middle of it",
    ],
)
def test_names_show_as_they_are(name: str) -> None:
    mail = read(compose(plain(), envelope(name), NOW))

    assert decoded_name(mail, "From") == name
    assert [address.addr_spec for address in mail["From"].addresses] == [FROM]


def test_quoted_name_before_a_long_address_stays_one_name() -> None:
    address = "a" * 64 + "@" + ".".join(["b" * 60] * 3)
    mail = read(compose(plain(), envelope(sender=Mailbox("Acme, <evil@example.com>", address)), NOW))

    assert [found.addr_spec for found in mail["From"].addresses] == [address]
