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
    # Why a client is paused.
    REQUESTED = "Requested"
    QUOTA_EXHAUSTED = "QuotaExhausted"
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
    OVER_COMMITTED = "OverCommitted"
    ALREADY_PURGED = "AlreadyPurged"
    PLAN_INVALID = "PlanInvalid"
    CLIENT_NOT_FOUND = "ClientNotFound"
    TOO_MANY_SOURCES = "TooManySources"
    OBSERVED_IN_FUTURE = "ObservedInFuture"
    STATUS_REFUSED = "StatusRefused"


STALLING_REASONS: frozenset[str] = frozenset(
    {
        Reason.POOL_NOT_FOUND,
        Reason.PLAN_NOT_FOUND,
        Reason.LICENSE_UNKNOWN,
        Reason.NAMESPACE_CONFLICT,
        Reason.NAME_TOO_LONG,
        Reason.WORKSPACE_REFUSED,
        Reason.BLUEPRINT_INVALID,
        Reason.ALREADY_PURGED,
        Reason.PLAN_INVALID,
        Reason.CLIENT_NOT_FOUND,
        Reason.TOO_MANY_SOURCES,
        Reason.OBSERVED_IN_FUTURE,
        Reason.STATUS_REFUSED,
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
