"""UsageReport: cumulative meters of one client, written by the product's metering agent (FEATURES Z6)."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from clientorg.api.base import ApiModel, Count, DnsLabel, LicenseName, Timestamp, cel, field_at, in_words, list_map
from clientorg.api.conditions import Condition
from clientorg.api.meta import MAX_USERS
from clientorg.api.metric import MAX_METRICS


class MeterReading(ApiModel):
    """What a source has counted of one license so far."""

    license: LicenseName = Field(description="Name of the license that the count is of.")
    value: Count = Field(
        description="Total counted since the source began: it only grows. A smaller value than before means that the "
        "counter was reset, and what it counts from then on is added; nothing is taken away."
    )
    assigned: Count | None = Field(
        default=None,
        description="How many of the license are assigned to users now. Of several sources the sum counts. Absent "
        "means that this source does not know.",
    )


class MetricReading(ApiModel):
    """What a source says of one product metric."""

    name: DnsLabel = Field(description="Name of the metric, one that the client's plan declares in spec.metrics.")
    value: Count = Field(
        description="Of a counter the total since the source began, which only grows (smaller means that it was "
        "reset); of a gauge what it is now. A whole number: choose the unit so that it can be one."
    )


class UserReading(ApiModel):
    """How many users the client has now."""

    total: Annotated[int, Field(ge=0, le=MAX_USERS, json_schema_extra={"format": "int64"})] = Field(
        description="All users, administrators among them."
    )
    administrators: Annotated[int, Field(ge=0, le=MAX_USERS, json_schema_extra={"format": "int64"})] = Field(
        default=0, description="Administrators among them, who are not counted (FEATURES S5). Absent means 0."
    )


_ORG_ID_PATTERN = r"^[0-9a-z]+$"
_ORG_ID_RULE = in_words(
    _ORG_ID_PATTERN, "must be an Org ID, as in the client's status.orgID: lower-case letters and digits"
)


class UsageReportSpec(ApiModel):
    """The report."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                field_at(
                    cel(
                        "has(self.users) || self.meters.size() > 0 || self.metrics.size() > 0",
                        "nothing is reported; give at least one license and its count, users, or a metric",
                    ),
                    ".meters",
                ),
                field_at(
                    cel(
                        "!has(self.users) || self.users.administrators <= self.users.total",
                        "more than spec.users.total; administrators are among the users",
                    ),
                    ".users.administrators",
                ),
            ]
        }
    )

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
    meters: Annotated[list[MeterReading], Field(max_length=16, json_schema_extra=list_map("license"))] = Field(
        default=[],
        description="The counts; each license once. Absent means none; then `users` or `metrics` is required.",
    )
    metrics: Annotated[list[MetricReading], Field(max_length=MAX_METRICS, json_schema_extra=list_map("name"))] = Field(
        default=[],
        description="Product metrics; each once. They are taken down weekly (Sunday 00:00 UTC). Absent means none.",
    )
    users: UserReading | None = Field(
        default=None,
        description="How many users the client has at observedTime. Of several sources the latest counts. Absent means "
        "that this source does not know.",
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
