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
        since: by client UID, since when it waits, RFC 3339 to the microsecond (so that strings sort as times do).
    """

    waiting: dict[str, Waiting] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)

    def settle(self, client: Client) -> None:
        """A client in a new version: one that asks for nothing more has left the queue."""
        if not client.raises:
            self.drop(client.uid)

    def drop(self, uid: str) -> None:
        """The client left the queue, or is gone."""
        self.waiting.pop(uid, None)
        self.since.pop(uid, None)
