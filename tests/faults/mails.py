"""The mails of a story, as a real mail server took them, and what is promised of them (docs/notifications.md).

Each message reaches its address. It comes again only where the operator died after the server had taken it and before
that was written down, once for each such crash and under the same Message-ID; where two operators are active, each may
send it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from clientorg.api.notifications import Channel, DeliveryState
from clientorg.domain.messages import Due, from_status
from tests.cluster.verbs import Agency
from tests.support import builders
from tests.support.mailserver import Received, smtp_secret

Json = dict[str, Any]

BILLING_TEAM: Final = "billing@sakura.example"
"""Who of the agency is told about its points."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that was taken, comparable with that of another telling.

    Attributes:
        identity: its Message-ID without the domain.
        taken: when, in seconds of the monotonic clock.
    """

    identity: str
    address: str
    subject: str
    taken: float

    @property
    def text(self) -> tuple[str, str]:
        """What is the same in each telling."""
        return self.address, self.subject


@dataclass(frozen=True)
class Deliveries:
    """The mails of one telling.

    Attributes:
        written: identity to when the server accepted a write by which it was sent, in seconds of the monotonic clock.
        crashes: of the operator.
        operators: that were active at a time.
    """

    mails: tuple[Mail, ...] = ()
    written: Mapping[str, float] = field(default_factory=dict)
    crashes: int = 0
    operators: int = 1

    @property
    def repeats(self) -> int:
        """How many of the mails had come before."""
        return len(self.mails) - len({mail.identity for mail in self.mails})

    @property
    def problems(self) -> list[str]:
        """What is wrong in itself, one line each."""
        return [line for mails in self._by_identity().values() for line in self._problems_of(mails)]

    def differences(self, other: Deliveries) -> Iterator[str]:
        """Which messages the other lacks, and which it has besides, one line each; repeats are not counted."""
        expected, found = self._messages(), other._messages()
        for what, messages in (("is missing", expected - found), ("is too much", found - expected)):
            for (address, subject), count in sorted(messages.items()):
                yield f"mail to {address}, {subject!r}: {what}{f', {count} times' if count > 1 else ''}"

    def _by_identity(self) -> Mapping[str, list[Mail]]:
        """The mails under each Message-ID, in the order in which they came."""
        found: defaultdict[str, list[Mail]] = defaultdict(list)
        for mail in sorted(self.mails, key=lambda it: it.taken):
            found[mail.identity].append(mail)
        return found

    def _messages(self) -> Counter[tuple[str, str]]:
        """Address and subject to how many messages there are; repeats count once, if they say the same."""
        return Counter(text for mails in self._by_identity().values() for text in {mail.text for mail in mails})

    def _problems_of(self, mails: list[Mail]) -> Iterator[str]:
        first, most = mails[0], self.crashes + self.operators
        name = f"mail to {first.address}, {first.subject!r}"
        if first.identity not in self.written:
            yield f"{name}: was taken, and no status says so"
        if len(mails) > most:
            yield f"{name}: came {len(mails)} times, with {self.crashes} crashes of {self.operators} operators"
        if any(mail.text != first.text for mail in mails):
            yield f"{name}: came again as {[mail.text for mail in mails if mail.text != first.text]}"
        written = self.written.get(first.identity, float("inf"))
        if self.operators == 1 and any(mail.taken > written for mail in mails[1:]):
            yield f"{name}: came again after status said that it was sent"


def open_with_mail(agency: Agency, port: int) -> None:
    """Create an agency whose clients, and who itself, get mails by the server on that port of this machine.

    Everything is there from the beginning, so that no story waits for it.
    """
    secret = smtp_secret(host="127.0.0.1", port=str(port), security="none")
    secret["metadata"]["namespace"] = agency.name
    sending = {"senderName": "Sakura Digital", "fromAddress": sender_of(agency.name)}
    pool, plan = builders.pool(agency.name), builders.plan(agency.name)
    pool["spec"]["points"] = {
        "contact": {"name": "Billing team", "email": BILLING_TEAM},
        "notifications": sending,
    }
    plan["spec"]["notifications"] = sending
    for manifest in (builders.namespace(agency.name), {"apiVersion": "v1", "kind": "Secret", **secret}, pool, plan):
        agency.create(manifest)


def sender_of(agency: str) -> str:
    """The address that an agency's mails come from, by which they are told from those of others."""
    return f"no-reply@{agency}.example"


def mails_of(agency: str, received: list[Received], plain: Callable[[str], str]) -> tuple[Mail, ...]:
    """What a server took from an agency.

    Args:
        plain: takes out of a text what differs from one telling to the next.
    """
    return tuple(
        Mail(
            str(one.message["Message-ID"]).strip(" <>").partition("@")[0],
            plain(address),
            plain(str(one.message["Subject"])),
            one.taken,
        )
        for one in received
        if one.sender == sender_of(agency)
        for address in one.recipients
    )


def sent_by(payload: bytes) -> frozenset[str]:
    """The identities of the mails that an object's status says were sent.

    Args:
        payload: the object as the server answers it.
    """
    if b'"outbox"' not in payload:
        return frozenset()
    manifest = json.loads(payload)
    outbox = from_status((manifest.get("status") or {}).get("outbox") or ())
    return frozenset(
        identity_of(manifest["metadata"]["uid"], Due(entry, Channel.MAIL).delivery_id)
        for entry in outbox
        if Channel.MAIL in entry.deliveries and entry.deliveries[Channel.MAIL].state is DeliveryState.SENT
    )


def identity_of(uid: str, delivery_id: str) -> str:
    """What stands before the `@` of a Message-ID: it follows from the object and the message alone."""
    return hashlib.sha256(f"{uid}\0{delivery_id}".encode()).hexdigest()[:40]


def is_waiting(manifest: Json) -> bool:
    """Whether a message of an object's outbox is still to be sent."""
    return any(not entry.is_finished for entry in from_status((manifest.get("status") or {}).get("outbox") or ()))
