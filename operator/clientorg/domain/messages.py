"""Messages to contacts and webhooks, and their JSON in the `status.outbox` of clients and pools (issue 4). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from clientorg.api.notifications import (
    MAX_KEY_LENGTH,
    MAX_PARAM_LENGTH,
    MAX_PARAMS,
    Channel,
    DeliveryState,
    NotificationKind,
)
from clientorg.domain.timestamps import parse_time, rfc3339

Json = dict[str, Any]

# No dots: a webhook's signature is over `<id>.<time>.<body>`, and an id with a dot could be read another way.
_KEY: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_KEY_LENGTH - 1}}}")


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell; `new_entry` makes a message of it."""

    key: str
    kind: NotificationKind
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a message stands on one channel.

    Attributes:
        attempts: tries that failed.
        next_attempt: None while pending means at once.
        resends: how often it was sent anew on request.
    """

    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    next_attempt: datetime | None = None
    last_error: str = ""
    sent: datetime | None = None
    resends: int = 0

    @property
    def is_pending(self) -> bool:
        """Whether it is still to be sent."""
        return self.state is DeliveryState.PENDING


@dataclass(frozen=True, slots=True)
class Entry:
    """One message. Make new ones with `new_entry`."""

    key: str
    kind: str
    params: Mapping[str, str]
    created: datetime
    deliveries: Mapping[Channel, Delivery]
    """A channel that is not in it is off for this message."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing is to be sent any more."""
        return not any(delivery.is_pending for delivery in self.deliveries.values())


Outbox = tuple[Entry, ...]
"""In the order of adding, oldest first."""


@dataclass(frozen=True, slots=True)
class Due:
    """One message to be sent now on one channel; handed back with the outcome."""

    entry: Entry
    channel: Channel

    @property
    def resends(self) -> int:
        """How often it was sent anew on request before."""
        return self.entry.deliveries[self.channel].resends

    @property
    def delivery_id(self) -> str:
        """The same at each try, another one when somebody asks to have it sent again. Unique in its outbox."""
        return f"{self.entry.key}-again{self.resends}" if self.resends else self.entry.key


def new_entry(
    key: str, kind: str, params: Mapping[str, object], created: datetime, channels: Collection[Channel]
) -> Entry:
    """A message to be sent on these channels.

    Args:
        key: what it is about, letters, digits, `-` and `_`; the same key is sent once.
        kind: name of the template.
        params: what it says; a datetime becomes RFC 3339, a number its digits.
        created: when what it tells happened.

    Raises:
        ValueError: the key or the params do not fit into status.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"outbox key {key!r}: letters, digits, '-' and '_', at most {MAX_KEY_LENGTH} characters")
    texts = {name: rfc3339(value) if isinstance(value, datetime) else str(value) for name, value in params.items()}
    too_long = sorted(name for name, text in texts.items() if len(text) > MAX_PARAM_LENGTH)
    if too_long or len(texts) > MAX_PARAMS:
        raise ValueError(f"outbox entry {key}: at most {MAX_PARAMS} params of {MAX_PARAM_LENGTH} characters {too_long}")
    created = created.astimezone(UTC).replace(microsecond=0)
    return Entry(key, kind, texts, created, {channel: Delivery() for channel in Channel if channel in channels})


def to_status(outbox: Outbox) -> list[Json]:
    """The list for `status.outbox`."""
    return [
        {"key": entry.key, "kind": entry.kind, "params": dict(entry.params), "created": rfc3339(entry.created)}
        | {channel.value: _delivery_to_status(delivery) for channel, delivery in entry.deliveries.items()}
        for entry in outbox
    ]


def _delivery_to_status(delivery: Delivery) -> Json:
    item: Json = {"state": delivery.state.value, "attempts": delivery.attempts, "resends": delivery.resends}
    if delivery.next_attempt is not None:
        item["nextAttempt"] = rfc3339(delivery.next_attempt)
    if delivery.last_error:
        item["lastError"] = delivery.last_error
    if delivery.sent is not None:
        item["sent"] = rfc3339(delivery.sent)
    return item


def from_status(items: Iterable[Mapping[str, Any]]) -> Outbox:
    """What `to_status` wrote; the CRD keeps anything else out."""
    return tuple(
        Entry(
            key=item["key"],
            kind=item["kind"],
            params=dict(item.get("params") or {}),
            created=parse_time(item["created"]),
            deliveries={channel: _delivery_of(item[channel.value]) for channel in Channel if channel.value in item},
        )
        for item in items
    )


def _delivery_of(item: Mapping[str, Any]) -> Delivery:
    def time(name: str) -> datetime | None:
        return parse_time(item[name]) if item.get(name) else None

    return Delivery(
        state=DeliveryState(item["state"]),
        attempts=item.get("attempts", 0),
        next_attempt=time("nextAttempt"),
        last_error=item.get("lastError", ""),
        sent=time("sent"),
        resends=item.get("resends", 0),
    )
