"""What can be done to the requests of an operator on their way: the base does nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.recording import Record


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens in place of an answer, or of a watch's next event.

    Attributes:
        code: of a failure that is answered; 0: none, the connection ends.
        reason: as the server would give it.
        is_forwarded: whether the server gets the request, and answers it, all the same.
        hangs: nothing comes, and the connection stays open until the operator gives up.
        headers: of the answer.
    """

    code: int = 0
    reason: str = ""
    is_forwarded: bool = False
    hangs: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        what = f"{self.code} {self.reason}" if self.code else "silence" if self.hangs else "a cut"
        return f"{what}{' after it was done' if self.is_forwarded else ''}"

    @property
    def body(self) -> bytes:
        """The answer: a Status, as the API server sends it."""
        return json.dumps(self._status()).encode()

    @property
    def event(self) -> bytes:
        """The event with which a watch ends."""
        return json.dumps({"type": "ERROR", "object": self._status()}).encode()

    def _status(self) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "code": self.code,
            "reason": self.reason,
            "message": f"a fault of the test: {self.reason}",
        }


class Meddler:
    """Sees what passes through the proxy, and may change it. Called in the proxy's thread."""

    def delays(self, record: Record) -> bool:
        """Whether a request is to wait before it is forwarded."""
        return False

    def request(self, record: Record) -> Fault | None:
        """What to do with a request instead of answering it as the server does."""

    def page(self, record: Record, payload: bytes) -> bytes:
        """What is answered to a request for a list."""
        return payload

    def holds(self, record: Record) -> bool:
        """Whether the next event of a watch is to wait."""
        return False

    def event(self, record: Record, line: bytes) -> Fault | None:
        """What happens instead of a watch's next event; after it the watch is over."""
