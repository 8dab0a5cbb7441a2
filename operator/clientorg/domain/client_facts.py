"""What one pass over a client found: its status, and the messages about it, are computed from that. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from clientorg.api.clientorg import ClientStatus, PauseReason, WantedState
from clientorg.api.conditions import Reason
from clientorg.domain.allocation import Holder, Waiting
from clientorg.domain.approval import Approval
from clientorg.domain.lifecycle import Deactivation
from clientorg.domain.points import Points, Users
from clientorg.domain.records import Crossing
from clientorg.domain.termination import Termination
from clientorg.domain.usage import NOTHING, Usage

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way, and what to do about it."""

    reason: Reason
    message: str


class Run(Enum):
    """Whether the workloads run."""

    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    RESUMING = "resuming"


@dataclass(frozen=True, slots=True)
class Facts:
    """What one pass found.

    Attributes:
        holder: licenses held, adopted grants included and reductions made.
        asked: license to quantity, as the spec asks.
        wanted: what is drawn from the pool for it; nothing for a deactivated client.
        used: license to quantity, in the running period.
        kept_back: license to (wanted, kept) where more is used than wanted.
        waiting: the client's place in the pool's queue; None when it waits for nothing, or the pool has not decided.
        pending_since: since when it waits, RFC 3339.
        licensing: what keeps the pool from serving the client at all.
        workspace: what is wrong with the workspace; None when nothing is.
        provisioned: the workspace stands as wanted.
        established: everything of the workspace is there, if not all as wanted: a raise may wait, a child be repaired.
        reconcile_requested: the annotation that asked for a full pass, for status.lastHandledReconcileAt.
        transferred: the annotation of the last move of licenses that is done, for status.lastTransfer.
        resend_requested: the annotation that asked for a message again, for status.lastHandledResend.
        blocked: what does not stop, and why; empty when all does.
        note: what the deactivation waits for, if anything.
        staleness: when usage was last reported, if that is too long ago; empty when it is not.
        undelivered: what could not be delivered, and why; None when nothing is to be delivered.
        approval: where the plan asks for one, or asked.
        is_let_in: nobody has to say yes before licenses are granted, or somebody did.
        overdue: the approval, or what follows it, takes longer than the plan's target.
        points: the points account; None where there is none.
        users: users of the client; None where the plan charges for none and nobody reports any.
        termination: scheduled or done.
        hold: why somebody has put a hold on it; None where nobody has.
        payment_link_requested: the annotation that asked for a payment link, for status.lastHandledPaymentLink.
        blueprint: what the workspace has of the plan's blueprint, for status; None where this pass did not look.
        access: what the provider's people may do in the workspace, for status.access; None while there is none.
        settling: why the account of a terminated client is not settled yet; empty when it is.
        unpaid: the invoice that is overdue; empty when none is.
        trial_over: which trial ended when; empty when none has, or something was bought.
        trial_ends: when the trial ends that ends soon; None where none does.
        assigned: license to quantity; licenses of which it is not reported are not in it.
        standing: the statuses of row W1.
        trends: the weekly snapshots, as the status has them; None before the first.
    """

    generation: int
    org_id: str
    namespace: str
    url: str | None
    holder: Holder
    asked: Mapping[str, int]
    wanted: Mapping[str, int]
    used: Mapping[str, int]
    state: WantedState = WantedState.ACTIVE
    usage: Usage = NOTHING
    crossings: tuple[Crossing, ...] = ()
    kept_back: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    waiting: Waiting | None = None
    pending_since: str | None = None
    licensing: Problem | None = None
    workspace: Problem | None = None
    provisioned: bool = False
    established: bool = False
    pause_reasons: tuple[PauseReason, ...] = ()
    exhausted: tuple[str, ...] = ()
    deactivation: Deactivation | None = None
    run: Run = Run.RUNNING
    blocked: str = ""
    note: Problem | None = None
    staleness: str = ""
    undelivered: str | None = None
    outbox: tuple[Json, ...] = ()
    reconcile_requested: str | None = None
    resend_requested: str | None = None
    transferred: str | None = None
    deleting: str | None = None
    approval: Approval | None = None
    is_let_in: bool = True
    overdue: bool = False
    has_requester: bool = True
    points: Points | None = None
    users: Users | None = None
    termination: Termination | None = None
    settling: str = ""
    hold: str | None = None
    blueprint: Json | None = None
    payment_link_requested: str | None = None
    unpaid: str = ""
    trial_over: str = ""
    trial_ends: datetime | None = None
    assigned: Mapping[str, int] = field(default_factory=dict)
    standing: tuple[ClientStatus, ...] = ()
    trends: Json | None = None
    access: Json | None = None

    @property
    def is_purged(self) -> bool:
        """Whether the client is a tombstone."""
        return self.deactivation is not None and self.deactivation.purged is not None

    @property
    def is_terminated(self) -> bool:
        """Whether the contract has ended."""
        return self.termination is not None and self.termination.executed is not None
