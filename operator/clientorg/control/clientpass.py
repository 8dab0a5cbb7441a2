"""What a pass over one client works with, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clientorg.api.orgapproval import ApprovalDecision
from clientorg.cluster.events import Happening, Records, Regarding
from clientorg.cluster.rest import Api
from clientorg.control.accounts import Accounts
from clientorg.control.allocations import Allocations
from clientorg.control.clientobject import Client
from clientorg.control.clock import Clock
from clientorg.control.contract import Contracts
from clientorg.control.deletion import Deleter
from clientorg.control.newest import Newest
from clientorg.control.objects import Name
from clientorg.control.rollouts import Rollouts
from clientorg.control.samples import Samples
from clientorg.control.store import Store
from clientorg.control.workspaces import Workspaces
from clientorg.domain.timestamps import rfc3339_micro

SETTLEMENT_POLL_SECONDS: Final = 2.0
"""An account that is being settled is looked at again after that."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a pass ended.

    Attributes:
        retry_after_seconds: come again after so long; None when only a change can help.
        failed: a fault that passes: come again with backoff, at the earliest after `retry_after_seconds`.
        next_due: when the passing of time changes something.
    """

    retry_after_seconds: float | None = None
    failed: bool = False
    next_due: datetime | None = None


DONE = Result()


@dataclass
class Surroundings:
    """What the passes over clients work with."""

    api: Api
    store: Store
    workspaces: Workspaces
    deleter: Deleter
    allocations: Allocations
    samples: Samples
    events: Records
    clock: Clock
    pool_changed: Callable[[Name], None]
    became_ready: Callable[[float], None]
    decided: Callable[[ApprovalDecision, float], None]
    onboarded: Callable[[bool], None]
    mail_due: Callable[[Name], None]
    contracts: Contracts
    accounts: Accounts
    newest: Newest
    rollouts: Rollouts
    purges_per_hour: int = 10

    def event(self, client: Client, kind: Any, reason: str, note: str, once: str, now: datetime) -> None:
        """Tell of something that happened to a client; `once` keeps the same from being told again."""
        about = Regarding("ClientOrg", *client.name, client.uid)
        self.events.record(Happening(about, kind, reason, "Reconcile", note, once, rfc3339_micro(now)))
