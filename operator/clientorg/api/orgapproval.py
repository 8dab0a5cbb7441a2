"""OrgApproval: the decision on one ClientOrg; immutable; whoever may create it is an approver (FEATURES S2)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from clientorg.api.base import ApiModel, Line256, LocalRef, cel, field_at, list_map
from clientorg.api.conditions import Condition


class ApprovalDecision(StrEnum):
    """What is decided."""

    APPROVE = "Approve"
    REJECT = "Reject"


class OrgApprovalSpec(ApiModel):
    """The decision. Immutable."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel("self == oldSelf", "immutable, because it is a record of who decided what; make another one"),
                field_at(
                    cel(
                        "self.decision != 'Reject' || has(self.reason)",
                        "required to reject; say why",
                    ),
                    ".reason",
                ),
            ]
        }
    )

    client_ref: LocalRef = Field(description="The ClientOrg, in the same namespace, that is decided on.")
    client_uid: Annotated[str, Field(alias="clientUID", min_length=1, max_length=64)] = Field(
        alias="clientUID",
        description="metadata.uid of that ClientOrg: the decision is on this very object, and on none that is made "
        "later under its name.",
    )
    decision: ApprovalDecision = Field(description="Approve or Reject. A rejection is final for the object.")
    reason: Line256 | None = Field(default=None, description="Why; required to reject.")
    approved_by: Line256 = Field(
        description="Who decides: the authenticated user, as the API server knows them. Not who requested the client."
    )


class OrgApprovalStatus(ApiModel):
    """Whether the decision counts. Only the operator writes here."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status answers; -1 before the first pass.",
        json_schema_extra={"format": "int64"},
    )
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))] | None = Field(
        default=None, description="Ready, Reconciling and Stalled (kstatus)."
    )


class OrgApproval(ApiModel):
    """The decision on one ClientOrg of a plan with manual approval."""

    spec: OrgApprovalSpec = Field(description="The decision. Immutable.")
    status: OrgApprovalStatus = Field(
        default=OrgApprovalStatus(observed_generation=-1),
        description="Whether the decision counts. Only the operator writes here.",
    )
