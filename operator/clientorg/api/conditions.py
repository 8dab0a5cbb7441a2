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


class Reason(StrEnum):
    """Machine-readable reasons; the condition's message tells a person what to do."""

    # All is well.
    READY = "Ready"
    ALLOCATED = "Allocated"
    PROVISIONED = "Provisioned"
    WITHIN_CAPACITY = "WithinCapacity"
    ACCEPTED = "Accepted"
    # On the way.
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
    # Somebody has to change something: not tried again before that.
    POOL_NOT_FOUND = "PoolNotFound"
    PLAN_NOT_FOUND = "PlanNotFound"
    LICENSE_UNKNOWN = "LicenseUnknown"
    NAMESPACE_CONFLICT = "NamespaceConflict"
    NAME_TOO_LONG = "NameTooLong"
    WORKSPACE_REFUSED = "WorkspaceRefused"
    BLUEPRINT_INVALID = "BlueprintInvalid"
    OVER_COMMITTED = "OverCommitted"
    PLAN_INVALID = "PlanInvalid"
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
        Reason.PLAN_INVALID,
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
