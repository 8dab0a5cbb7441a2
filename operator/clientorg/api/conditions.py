"""Condition types, their reasons, and the standard Condition (one enum each: nothing is spelled by hand)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from clientorg.api.base import ApiModel, Timestamp


class ConditionType(StrEnum):
    """Types on ClientOrg, QuotaPool and OrgPlan. Ready, Reconciling and Stalled follow kstatus."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    LICENSES_ALLOCATED = "LicensesAllocated"
    WORKSPACE_READY = "WorkspaceReady"
    OVER_COMMITTED = "OverCommitted"
    PAUSED = "Paused"
    PAUSE_BLOCKED = "PauseBlocked"
    USAGE_REPORTED = "UsageReported"
    NOTIFICATION_FAILING = "NotificationFailing"
    USAGE_SOURCE_READY = "UsageSourceReady"
    APPROVED = "Approved"
    APPROVAL_ON_TARGET = "ApprovalOnTarget"
    BALANCE_NEGATIVE = "BalanceNegative"
    USERS_OVER_LIMIT = "UsersOverLimit"
    POINTS_LOW = "PointsLow"
    POINTS_SHORT = "PointsShort"


class Reason(StrEnum):
    """Machine-readable reasons; the condition's message tells a person what to do."""

    # All is well.
    READY = "Ready"
    ALLOCATED = "Allocated"
    PROVISIONED = "Provisioned"
    WITHIN_CAPACITY = "WithinCapacity"
    ACCEPTED = "Accepted"
    RUNNING = "Running"
    PAUSED = "Paused"
    DEACTIVATED = "Deactivated"
    PURGED = "Purged"
    STOPPED = "Stopped"
    FRESH = "Fresh"
    DELIVERED = "Delivered"
    QUERIED = "Queried"
    APPROVED = "Approved"
    ON_TARGET = "OnTarget"
    COVERED = "Covered"
    WITHIN_LIMIT = "WithinLimit"
    SUFFICIENT = "Sufficient"
    POSTED = "Posted"
    TERMINATED = "Terminated"
    # Why a client is paused.
    REQUESTED = "Requested"
    QUOTA_EXHAUSTED = "QuotaExhausted"
    NEGATIVE_BALANCE = "NegativeBalance"
    HOLD = "Hold"
    PAYMENT_OVERDUE = "PaymentOverdue"
    TRIAL_EXPIRED = "TrialExpired"
    # On the way.
    PAUSING = "Pausing"
    RESUMING = "Resuming"
    PURGING = "Purging"
    PURGE_BRAKED = "PurgeBraked"
    NOTICE_PENDING = "NoticePending"
    PROVISIONING = "Provisioning"
    QUOTA_PENDING = "QuotaPending"
    TRANSFER_PENDING = "TransferPending"
    REDUCTION_WAITS = "ReductionWaits"
    APPROVAL_PENDING = "ApprovalPending"
    OVERDUE = "Overdue"
    OVER_LIMIT = "OverLimit"
    SETTLEMENT_PENDING = "SettlementPending"
    POSTING = "Posting"
    POOL_SHORT = "PoolShort"
    LOW = "Low"
    SHORT = "Short"
    GROUP_INCOMPLETE = "GroupIncomplete"
    ROLLING_OUT = "RollingOut"
    DELETING = "Deleting"
    IN_USE = "InUse"
    # Passing faults: tried again with backoff, for ever.
    APPLY_FAILED = "ApplyFailed"
    FORBIDDEN = "Forbidden"
    POOL_DELETING = "PoolDeleting"
    STALE = "Stale"
    DELIVERY_FAILED = "DeliveryFailed"
    QUERY_FAILED = "QueryFailed"
    BLOCKED = "Blocked"
    # Somebody has to change something: not tried again before that.
    POOL_NOT_FOUND = "PoolNotFound"
    PLAN_NOT_FOUND = "PlanNotFound"
    LICENSE_UNKNOWN = "LicenseUnknown"
    NAMESPACE_CONFLICT = "NamespaceConflict"
    NAME_TOO_LONG = "NameTooLong"
    WORKSPACE_REFUSED = "WorkspaceRefused"
    BLUEPRINT_INVALID = "BlueprintInvalid"
    NAME_TAKEN = "NameTaken"
    OVER_COMMITTED = "OverCommitted"
    ALREADY_PURGED = "AlreadyPurged"
    PLAN_INVALID = "PlanInvalid"
    CLIENT_NOT_FOUND = "ClientNotFound"
    TOO_MANY_SOURCES = "TooManySources"
    OBSERVED_IN_FUTURE = "ObservedInFuture"
    STATUS_REFUSED = "StatusRefused"
    REJECTED = "Rejected"
    REQUESTER_UNKNOWN = "RequesterUnknown"
    SELF_APPROVAL = "SelfApproval"
    ALREADY_DECIDED = "AlreadyDecided"
    CLIENT_MISMATCH = "ClientMismatch"
    FOREIGN_ACCOUNT = "ForeignAccount"
    CLIENT_TERMINATED = "ClientTerminated"
    REVERSAL_MISMATCH = "ReversalMismatch"
    BALANCE_OUT_OF_RANGE = "BalanceOutOfRange"
    TERM_OVERLAPS = "TermOverlaps"


STALLING_REASONS: frozenset[str] = frozenset(
    {
        Reason.POOL_NOT_FOUND,
        Reason.PLAN_NOT_FOUND,
        Reason.LICENSE_UNKNOWN,
        Reason.NAMESPACE_CONFLICT,
        Reason.NAME_TOO_LONG,
        Reason.WORKSPACE_REFUSED,
        Reason.BLUEPRINT_INVALID,
        Reason.NAME_TAKEN,
        Reason.ALREADY_PURGED,
        Reason.PLAN_INVALID,
        Reason.CLIENT_NOT_FOUND,
        Reason.TOO_MANY_SOURCES,
        Reason.OBSERVED_IN_FUTURE,
        Reason.STATUS_REFUSED,
        Reason.REJECTED,
        Reason.REQUESTER_UNKNOWN,
        Reason.SELF_APPROVAL,
        Reason.ALREADY_DECIDED,
        Reason.CLIENT_MISMATCH,
        Reason.FOREIGN_ACCOUNT,
        Reason.CLIENT_TERMINATED,
        Reason.REVERSAL_MISMATCH,
        Reason.BALANCE_OUT_OF_RANGE,
        Reason.TERM_OVERLAPS,
    }
)
"""A spec that cannot be carried out as it stands: `Stalled=True`, no retries (DESIGN rule 9)."""


class ConditionStatus(StrEnum):
    """Status of a condition as Kubernetes spells it."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """A standard Kubernetes condition (metav1.Condition)."""

    type: Annotated[str, Field(max_length=64)] = Field(description="What the condition is about.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that the condition was computed for.",
        json_schema_extra={"format": "int64"},
    )
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    reason: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="Why, in one CamelCase word.")
    message: Annotated[str, Field(max_length=4096)] = Field(
        default="", description="Why, for a person, with what to do about it."
    )
