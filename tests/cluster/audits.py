"""What the API server's audit log tells of somebody's requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster.operators import IDENTITY, LEASE
from tests.controlplane.audit import read_events

Json = dict[str, Any]

_READS = ("get", "list", "watch")


class Audit:
    """The operator's writes from now on. Its Lease is left out: renewing it is its heartbeat."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self.rewind()

    def rewind(self) -> None:
        """Forget what was so far."""
        self._offset = self._log.stat().st_size

    def writes(self) -> list[str]:
        """Verb and path of each write that the server accepted."""
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in self._events()
            if event["responseStatus"]["code"] < 400
        ]

    def _events(self) -> Iterator[Json]:
        for event in read_events(self._log, self._offset):
            about = event.get("objectRef", {})
            is_lease = (about.get("resource"), about.get("name")) == ("leases", LEASE)
            if event["user"]["username"] == IDENTITY and event["verb"] not in _READS and not is_lease:
                yield event
