"""QuotaPool: the agency's stock of licenses, and the commit point for all it hands out (DESIGN rule 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from clientorg.api.base import LIST_ATOMIC, ApiModel, Count, LicenseName, Line128, Url, in_words, list_map
from clientorg.api.conditions import Condition

_LABEL_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
_LABEL_RULE = in_words(
    _LABEL_PATTERN, "must be the name of a Prometheus label: letters, digits and '_', and no digit first"
)
LabelName = Annotated[str, Field(max_length=64, pattern=_LABEL_PATTERN, json_schema_extra=_LABEL_RULE)]


class Queueing(StrEnum):
    """How requests that the pool cannot serve at once are ordered (terms of Kueue)."""

    BEST_EFFORT_FIFO = "BestEffortFIFO"
    STRICT_FIFO = "StrictFIFO"


class UsePeriod(StrEnum):
    """How often the count of what is used begins anew."""

    NEVER = "Never"
    MONTHLY = "Monthly"
    YEARLY = "Yearly"


class PoolLicense(ApiModel):
    """Stock of one license."""

    name: LicenseName = Field(description="Name of the license, for example visitors.")
    quantity: Count = Field(description="How many the agency owns.")
    display_name: Line128 | None = Field(default=None, description="Name of the license as people write it.")
    use_period: UsePeriod = Field(
        default=UsePeriod.NEVER,
        description="When the count of what a client uses begins anew: Never, Monthly (on the 1st) or Yearly (on "
        "1 January), at midnight in the time zone of the client's plan. Absent means Never.",
    )


class PrometheusUsage(ApiModel):
    """Usage from a Prometheus server: one query for all clients of the pool."""

    url: Url = Field(
        description="Base address of the server, for example http://prometheus.monitoring:9090. No "
        "credential is ever sent there."
    )
    query: Annotated[str, Field(min_length=1, max_length=2048)] = Field(
        description="PromQL that gives a cumulative count for each client, for example "
        "max by (org_id, license) (visitors_total). A count that falls is taken for a reset of all of it, so that a "
        "sum over processes that restart one by one counts too much."
    )
    org_id_label: Annotated[
        str, Field(alias="orgIDLabel", max_length=64, pattern=_LABEL_PATTERN, json_schema_extra=_LABEL_RULE)
    ] = Field(default="org_id", alias="orgIDLabel", description="Label with the Org ID. Absent means org_id.")
    license_label: LabelName = Field(
        default="license",
        description="Label with the license's name. Absent means license; a pool of one license needs none.",
    )
    interval_seconds: Annotated[int, Field(ge=5, le=86400)] = Field(
        default=60, description="Time between queries, in seconds. Absent means 60."
    )


class PoolUsage(ApiModel):
    """Where the pool's usage comes from, besides UsageReports."""

    prometheus: PrometheusUsage | None = Field(default=None, description="A Prometheus server. Absent means none.")
    stale_after_seconds: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        default=86400,
        description="A client whose usage was not reported for so long is marked; it is neither paused nor resumed for "
        "that. Absent means 86400, a day.",
    )


class QuotaPoolSpec(ApiModel):
    """What the agency owns and how it is handed out."""

    display_name: Line128 | None = Field(default=None, description="Name of the pool as people write it.")
    licenses: Annotated[list[PoolLicense], Field(min_length=1, max_length=64, json_schema_extra=list_map("name"))] = (
        Field(description="The stock; at least one license, each name once.")
    )
    queueing: Queueing = Field(
        default=Queueing.BEST_EFFORT_FIFO,
        description="BestEffortFIFO: first come first served, and a request that fits is not held up by an earlier, "
        "larger one that does not. StrictFIFO: nobody overtakes. Absent means BestEffortFIFO.",
    )
    usage: PoolUsage = Field(default=PoolUsage(), description="Where usage comes from, besides UsageReports.")


class PoolLicenseStatus(ApiModel):
    """Where the stock of one license is."""

    name: LicenseName = Field(description="Name of the license.")
    total: Count = Field(description="How many the pool has.")
    allocated: Count = Field(description="How many clients hold, grants in flight included.")
    available: int = Field(
        description="Total minus allocated; below zero while the pool is over-committed.",
        json_schema_extra={"format": "int64"},
    )
    pending: Count = Field(default=0, description="How many more the waiting clients ask for.")


class InFlightGrant(ApiModel):
    """A raise that is committed here and not yet seen in the client's status."""

    org_uid: Annotated[str, Field(max_length=64)] = Field(alias="orgUID", description="UID of the ClientOrg.")
    org_name: Annotated[str, Field(max_length=63)] = Field(description="Name of the ClientOrg.")
    grant: Count = Field(description="Serial number of the grant; the client's status.lastGrant once it has it.")
    license: LicenseName = Field(description="Name of the license.")
    from_: Count = Field(alias="from", description="What the client held before.")
    to: Count = Field(description="What the client holds once its status says so.")


class QuotaPoolStatus(ApiModel):
    """The pool's books. Only the operator writes here."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status answers; -1 before the first pass.",
        json_schema_extra={"format": "int64"},
    )
    licenses: Annotated[list[PoolLicenseStatus], Field(max_length=128, json_schema_extra=list_map("name"))] | None = (
        Field(default=None, description="Total, allocated and available, for each license.")
    )
    license_summary: Annotated[str, Field(max_length=8192)] | None = Field(
        default=None, description="Allocated and total licenses in one line, for kubectl get."
    )
    clients: int | None = Field(
        default=None, description="Clients that reference the pool.", json_schema_extra={"format": "int64"}
    )
    pending_clients: int | None = Field(
        default=None,
        description="Clients that wait for licenses of the pool.",
        json_schema_extra={"format": "int64"},
    )
    in_flight: (
        Annotated[
            list[InFlightGrant],
            Field(max_length=4096, json_schema_extra=LIST_ATOMIC),
        ]
        | None
    ) = Field(
        default=None,
        description="The batch of raises in flight: written here before any client's status, cleared after.",
    )
    last_grant: int | None = Field(
        default=None,
        description="Serial number of the last grant given out.",
        json_schema_extra={"format": "int64"},
    )
    writer: Annotated[str, Field(max_length=253)] | None = Field(
        default=None,
        description="Identity of the operator process that wrote last. Another one recounts before it grants.",
    )
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))] | None = Field(
        default=None, description="Ready, Reconciling and Stalled (kstatus), and OverCommitted."
    )


class QuotaPool(ApiModel):
    """The agency's stock of licenses; every grant to a client is committed here."""

    spec: QuotaPoolSpec = Field(description="What the agency owns and how it is handed out.")
    status: QuotaPoolStatus = Field(
        default=QuotaPoolStatus(observed_generation=-1),
        description="The pool's books. Only the operator writes here.",
    )
