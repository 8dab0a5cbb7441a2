"""Events (events.k8s.io/v1) about our objects, each once: the name follows from what it says (DESIGN rule 4)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import Literal, Protocol

from clientorg.api.meta import API_VERSION
from clientorg.cluster.resources import EVENTS
from clientorg.cluster.rest import Api, Json
from clientorg.errors import AlreadyExistsError, ApiError, ClientOrgError

logger = logging.getLogger(__name__)

_CONTROLLER = "clientorg.dev/operator"
_MOST_WAITING = 10_000
_MAX_NOTE = 1024


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object an Event is about."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One Event.

    Attributes:
        once: what makes it this one and no other, for example a transition's time; with the same the API server
            refuses the second, also after a restart.
        time: RFC 3339 with microseconds.
    """

    regarding: Regarding
    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str
    once: str
    time: str

    def manifest(self, instance: str) -> Json:
        """The Event object."""
        about = self.regarding
        digest = hashlib.sha256(f"{about.uid}/{self.reason}/{self.once}".encode()).hexdigest()[:16]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{about.name}.{digest}", "namespace": about.namespace},
            "eventTime": self.time,
            "type": self.type,
            "reason": self.reason,
            "action": self.action,
            "note": self.note[:_MAX_NOTE],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "reportingController": _CONTROLLER,
            "reportingInstance": instance[:128],
        }


class Records(Protocol):
    """Where Events go."""

    def record(self, happening: Happening) -> None:
        """Post it soon."""


class Recorder:
    """Posts Events in the background; they never hold up a reconcile, and are dropped rather than piled up."""

    def __init__(self, api: Api, instance: str) -> None:
        self._api = api
        self._instance = instance
        self._waiting: asyncio.Queue[Happening] = asyncio.Queue(maxsize=_MOST_WAITING)
        self.dropped = 0

    def record(self, happening: Happening) -> None:
        """Post it soon."""
        try:
            self._waiting.put_nowait(happening)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            happening = await self._waiting.get()
            try:
                await self._api.create(EVENTS, happening.regarding.namespace, happening.manifest(self._instance))
            except AlreadyExistsError:
                pass
            except ApiError as error:
                self.dropped += 1
                logger.debug("event %s of %s refused: %s", happening.reason, happening.regarding.name, error)
            except ClientOrgError as error:
                self.dropped += 1
                logger.warning("event %s of %s lost: %s", happening.reason, happening.regarding.name, error)
            finally:
                self._waiting.task_done()

    async def flush(self, timeout_seconds: float) -> None:
        """Wait until what is waiting is posted, at most so long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._waiting.join()
        except TimeoutError:
            logger.warning("%d events were not posted before the end", self._waiting.qsize())
