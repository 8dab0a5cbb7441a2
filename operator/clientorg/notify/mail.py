"""A rendered message as a mail (RFC 5322): headers that nobody can inject into, an id that tells a repeat. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any, Final

from clientorg.api.base import EMAIL_PATTERN
from clientorg.errors import NotificationError
from clientorg.notify.lines import one_line
from clientorg.notify.render import Rendered

_ADDRESS: Final = re.compile(EMAIL_PATTERN)
_LONGEST_QUOTED_NAME: Final = 30
_LONGEST_PLAIN_SUBJECT: Final = 66  # on one line with its name


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A name and an address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who writes to whom about what.

    Attributes:
        identity: what makes it this mail and no other: the client's UID and `Due.delivery_id`. The same at each try.
    """

    sender: Mailbox
    recipient: Mailbox
    identity: tuple[str, str]
    reply_to: str | None = None


def compose(rendered: Rendered, envelope: Envelope, now: datetime) -> EmailMessage:
    """The mail, in plain text and HTML. The same but for its Date at each try.

    Raises:
        NotificationError: an address or a header cannot be written. Permanent.
    """
    digest = hashlib.sha256("\0".join(envelope.identity).encode()).hexdigest()[:40]
    message = EmailMessage(policy=_POLICY)
    try:
        sender = _address(envelope.sender)
        message["From"] = sender
        message["To"] = _address(envelope.recipient)
        if envelope.reply_to:
            message["Reply-To"] = _address(Mailbox("", envelope.reply_to))
        message["Subject"] = one_line(rendered.subject)
        message["Date"] = now
        message["Message-ID"] = f"<{digest}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message.set_content(rendered.text)
        message.add_alternative(rendered.html, subtype="html")
        message.set_boundary(f"=_{digest}")
        message["Content-Language"] = rendered.language  # only now: before, it would become the first part's
        message.as_bytes()  # what cannot be written shows here and not in the middle of a dialogue
    except (MessageError, ValueError, LookupError, TypeError) as error:
        reason = one_line(str(error)) or type(error).__name__
        raise NotificationError(f"the mail cannot be written: {reason}", permanent=True) from error
    return message


def _address(mailbox: Mailbox) -> Address:
    """The address for a header. It is taken as it is: a wrong one is refused and never repaired into another.

    Raises:
        ValueError: it is none that the CRD admits.
    """
    if not _ADDRESS.fullmatch(mailbox.address):
        raise ValueError(f"{one_line(mailbox.address)!r} is no mail address")
    return Address(display_name=one_line(mailbox.name), addr_spec=mailbox.address)


class _Policy(EmailPolicy):
    """Encodes subjects and names itself where they are not short ASCII.

    Python's own folding (3.11.7 for one) loses the quotes of a long name, so that what stands in the name becomes an
    address (gh-80222), and spaces between encoded words (gh-92081).
    """

    def fold(self, name: str, value: Any) -> str:
        """The header, as text."""
        if name.lower() == "subject" and _needs_encoding(value, _LONGEST_PLAIN_SUBJECT):
            return f"{name}: {_encoded(str(value), name)}{self.linesep}"
        addresses: Sequence[Address] = getattr(value, "addresses", ())
        if len(addresses) == 1 and _needs_encoding(addresses[0].display_name, _LONGEST_QUOTED_NAME):
            address = addresses[0]
            words = _encoded(address.display_name, name)
            return f"{name}: {words}{self.linesep} <{address.addr_spec}>{self.linesep}"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: Any) -> bytes:
        """The header, as bytes."""
        return self.fold(name, value).encode("ascii", "surrogateescape")


_POLICY: Final = _Policy(linesep="\r\n", raise_on_defect=True, cte_type="7bit")  # passes servers without 8BITMIME


def _needs_encoding(text: str, longest: int) -> bool:
    return not (text.isascii() and len(text) <= longest)


def _encoded(text: str, header: str) -> str:
    """Encoded words (RFC 2047), of 75 characters at most, with the spaces in them."""
    return Header(text, "utf-8", maxlinelen=75, header_name=header).encode(linesep="\r\n")
