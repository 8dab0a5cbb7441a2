"""What the pools' passes decided, for the clients' passes. In memory: a restart decides anew from the same facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from clientorg.control.clientobject import Client
from clientorg.control.clock import Clock
from clientorg.domain.allocation import Waiting
from clientorg.domain.timestamps import rfc3339_micro

_SEEN_AT_ONCE = timedelta(seconds=2)
_NEVER = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass
class Allocations:
    """The queues of all pools.

    Attributes:
        waiting: by client UID, why and where it waits.
    """

    clock: Clock
    waiting: dict[str, Waiting] = field(default_factory=dict)
    _since: dict[str, str] = field(default_factory=dict)
    _last: datetime = _NEVER

    def settle(self, client: Client) -> None:
        """A client in a new version: one that asks for more waits from now on; one that does not has left the queue."""
        if client.raises:
            self.since(client)
        else:
            self.drop(client.uid)

    def since(self, client: Client) -> str:
        """Since when a client waits, RFC 3339 to the microsecond, so that strings sort as times do.

        Its status says so, or else it is when its request was first seen: events come in the order of the requests.
        The status comes first: two operators at once would else write their own views in turns, for ever.
        """
        if client.pending_since is not None:
            self._since[client.uid] = client.pending_since
        elif client.uid not in self._since:
            self._since[client.uid] = rfc3339_micro(self._first_seen(client))
        return self._since[client.uid]

    def _first_seen(self, client: Client) -> datetime:
        now = self.clock.now()
        if client.is_new:
            created = datetime.fromisoformat(client.created)
            if now - created > _SEEN_AT_ONCE:  # nobody looked meanwhile; a creationTimestamp is to the second
                return created
        if timedelta() <= self._last - now < _SEEN_AT_ONCE:  # a clock that does not tick between two requests
            now = self._last + _MICROSECOND
        self._last = now
        return now

    def drop(self, uid: str) -> None:
        """The client left the queue, or is gone."""
        self.waiting.pop(uid, None)
        self._since.pop(uid, None)
