"""Waiting for what a story tells, with a deadline, and saying what was seen if it does not come."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import DemoError
from .inbox import Mail
from .kubectl import Kubectl

Json = dict[str, Any]
POLL_SECONDS = 0.2

S = TypeVar("S")


@dataclass(frozen=True)
class Seen:
    """A client, its workspace and its mails, at one moment.

    Attributes:
        pods: those that run or are about to end, by name, with their phase.
        mails: those that were not told yet.
    """

    client: Json
    namespace_exists: bool
    pods: dict[str, str]
    mails: tuple[Mail, ...]

    @property
    def status(self) -> Json:
        """What the operator says of the client."""
        status: Json = self.client.get("status") or {}
        return status

    @property
    def state(self) -> str:
        """The client's state."""
        return str(self.status.get("state", "none yet"))

    @property
    def ready(self) -> tuple[str, str]:
        """Status and reason of the condition Ready."""
        return ready_of(self.client)

    @property
    def running(self) -> int:
        """How many pods run."""
        return sum(phase == "Running" for phase in self.pods.values())

    @property
    def thresholds(self) -> set[int]:
        """Thresholds reached, in percent."""
        return {item["percent"] for item in self.status.get("thresholds") or ()}

    @property
    def reminders(self) -> set[int]:
        """Reminders that count as delivered, by days before the purge."""
        record = self.status.get("deactivation") or {}
        return {item["days"] for item in record.get("remindersSent") or () if not item.get("skipped")}

    def __str__(self) -> str:
        pods = ", ".join(f"{name} {phase}" for name, phase in sorted(self.pods.items())) or "none"
        mails = "; ".join(mail.subject for mail in self.mails) or "none"
        ready = "=".join(self.ready)
        workspace = "there" if self.namespace_exists else "gone"
        return (
            f"state {self.state}, Ready {ready}, thresholds {sorted(self.thresholds)}, reminders "
            f"{sorted(self.reminders)}, workspace {workspace}, pods: {pods}, new mails: {mails}"
        )


def ready_of(client: Json) -> tuple[str, str]:
    """Status and reason of the condition Ready; Unknown while it is not about the spec as it stands."""
    status = client.get("status") or {}
    if status.get("observedGeneration") != client["metadata"]["generation"]:
        return "Unknown", "NotObserved"
    for condition in status.get("conditions") or ():
        if condition["type"] == "Ready":
            return condition["status"], condition["reason"]
    return "Unknown", "NotObserved"


def look(kubectl: Kubectl, agency: str, name: str, mails: tuple[Mail, ...]) -> Seen:
    """Look at a client and its workspace."""
    client = json.loads(kubectl.run("get", "clientorgs", name, f"--namespace={agency}", "--output=json"))
    namespace = ((client.get("status") or {}).get("workspace") or {}).get("namespace")
    exists, pods = False, {}
    if namespace is not None:
        exists = kubectl.exists("namespace", namespace)
        for pod in json.loads(kubectl.run("get", "pods", f"--namespace={namespace}", "--output=json"))["items"]:
            is_ending = "deletionTimestamp" in pod["metadata"]
            pods[pod["metadata"]["name"]] = "Terminating" if is_ending else pod["status"].get("phase", "Pending")
    return Seen(client, exists, pods, mails)


def until(look_again: Callable[[], S], what: str, condition: Callable[[S], bool], seconds: float) -> S:
    """Look until it is so; returns what was seen.

    Raises:
        DemoError: it was not so in time; the message has what was seen last.
    """
    began = time.monotonic()
    while True:
        is_last = time.monotonic() - began >= seconds
        seen = look_again()
        if condition(seen):
            return seen
        if is_last:
            raise DemoError(f"Waited {seconds:.0f} s for this: {what}. Seen instead: {seen}")
        time.sleep(POLL_SECONDS)
