"""UsageReport: cumulative meters of one client, written by the product's metering agent (FEATURES Z6)."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from clientorg.api.base import ApiModel, Count, DnsLabel, LicenseName, Timestamp, cel, in_words, list_map
from clientorg.api.conditions import Condition


class MeterReading(ApiModel):
    """What a source has counted of one license so far."""

    license: LicenseName = Field(description="Name of the license that the count is of.")
    value: Count = Field(
        description="Total counted since the source began: it only grows. A smaller value than before means that the "
        "counter was reset, and what it counts from then on is added; nothing is taken away."
    )


_ORG_ID_PATTERN = r"^[0-9a-z]+$"
_ORG_ID_RULE = in_words(
    _ORG_ID_PATTERN, "must be an Org ID, as in the client's status.orgID: lower-case letters and digits"
)


class UsageReportSpec(ApiModel):
    """The report."""

    org_id: Annotated[
        str,
        Field(alias="orgID", min_length=1, max_length=32, pattern=_ORG_ID_PATTERN, json_schema_extra=_ORG_ID_RULE),
    ] = Field(
        alias="orgID",
        description="Org ID of the client, one of the same namespace. Immutable.",
    )
    source: DnsLabel = Field(
        default="default",
        description="Who counted. Counts of several sources are added up; reports of one source replace each other, "
        "whatever the objects are called. Absent means default.",
    )
    observed_time: Timestamp = Field(
        description="When the values were true. A report that is not newer than the last one of its source is late "
        "and changes nothing."
    )
    meters: Annotated[list[MeterReading], Field(min_length=1, max_length=16, json_schema_extra=list_map("license"))] = (
        Field(description="The counts; each license once.")
    )


class UsageReportStatus(ApiModel):
    """What became of the report. Only the operator writes here."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status answers; -1 before the first pass.",
        json_schema_extra={"format": "int64"},
    )
    client: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Name of the client that the report was counted for."
    )
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))] | None = Field(
        default=None, description="Ready, Reconciling and Stalled (kstatus)."
    )


class UsageReport(ApiModel):
    """Cumulative meters of one client; a repeated or late report is harmless."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel(
                    "self.spec.orgID == oldSelf.spec.orgID && self.spec.source == oldSelf.spec.source",
                    "spec.orgID, spec.source: immutable, because they say what was counted; make another report",
                ),
            ]
        }
    )

    spec: UsageReportSpec = Field(description="The report.")
    status: UsageReportStatus = Field(
        default=UsageReportStatus(observed_generation=-1),
        description="What became of the report. Only the operator writes here.",
    )
