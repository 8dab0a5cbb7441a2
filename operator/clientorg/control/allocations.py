"""What the pools' passes decided, for the clients' passes. In memory: a restart decides anew from the same facts."""

from __future__ import annotations

from dataclasses import dataclass, field

from clientorg.control.store import Client
from clientorg.domain.allocation import Waiting


@dataclass
class Allocations:
    """The queues of all pools.

    Attributes:
        waiting: by client UID, why and where it waits.
        since: by client UID, since when it waits, RFC 3339.
        order: by client UID, the resourceVersion at which the request was first seen: times are to the second.
    """

    waiting: dict[str, Waiting] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)

    def settle(self, client: Client) -> None:
        """A client in a new version: one that asks for nothing more has left the queue."""
        if not client.raises:
            self.drop(client.uid)

    def drop(self, uid: str) -> None:
        """The client left the queue, or is gone."""
        self.waiting.pop(uid, None)
        self.since.pop(uid, None)
        self.order.pop(uid, None)
