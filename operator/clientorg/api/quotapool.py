"""QuotaPool: the agency's stock of licenses, and the commit point for all it hands out (DESIGN rule 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from clientorg.api.base import (
    LIST_ATOMIC,
    ApiModel,
    Count,
    Email,
    Language,
    LicenseName,
    Line128,
    SignedCount,
    Timestamp,
    Url,
    in_words,
    list_map,
)
from clientorg.api.conditions import Condition
from clientorg.api.meta import MAX_QUANTITY
from clientorg.api.notifications import MAX_OUTBOX, Notifications, OutboxEntry, TimeZoneName

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


class PoolContact(ApiModel):
    """Who of the agency is told about its points."""

    name: Line128 = Field(description="Name of the person or team.")
    email: Email = Field(description="Email address, for example billing@agency.example.")
    language: Language = Field(
        default="en", description="Language of the messages, as a BCP 47 tag (en, ja, cs, hi). Absent means en."
    )


class PoolPoints(ApiModel):
    """The agency's own points."""

    low_below: Annotated[int, Field(ge=0, le=MAX_QUANTITY, json_schema_extra={"format": "int64"})] = Field(
        default=0,
        description="Below this balance the condition PointsLow is True and the agency is told. Absent means 0: never.",
    )
    time_zone: TimeZoneName = Field(
        default="UTC", description="Time zone of the dates that the agency is told. Absent means UTC."
    )
    contact: PoolContact | None = Field(
        default=None, description="Who of the agency is told by mail. Absent means nobody."
    )
    notifications: Notifications | None = Field(
        default=None, description="How the agency is told. Absent means that nothing is sent (Events are posted)."
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
    points: PoolPoints = Field(default=PoolPoints(), description="The agency's own points.")
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


class GroupProgress(ApiModel):
    """A group of transactions that is being posted."""

    name: Annotated[str, Field(max_length=253)] = Field(description="Name of the group.")
    left: Count = Field(description="How many of its transactions are still to be posted.")
    reserved: Count = Field(description="Points that those take from the pool, which are kept for them.")


class InFlightEntry(ApiModel):
    """A transaction that is committed here and not yet seen as Posted."""

    name: Annotated[str, Field(max_length=253)] = Field(description="Name of the PointTransaction.")
    uid: Annotated[str, Field(max_length=64)] = Field(description="UID of the PointTransaction.")
    entry: Count = Field(description="Its number in the ledger.")
    pool_change: SignedCount = Field(default=0, description="What it added to the pool's balance.")
    org_id: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, alias="orgID", description="Org ID of the client whose balance it changes."
    )


class PoolPointsStatus(ApiModel):
    """The agency's points account, and the head of the ledger."""

    balance: SignedCount = Field(description="Points that the agency has, entries in flight included.")
    entries: Count = Field(description="Number of the last entry of the ledger.")
    in_flight: Annotated[list[InFlightEntry], Field(max_length=1024, json_schema_extra=LIST_ATOMIC)] | None = Field(
        default=None,
        description="Entries that are committed: written here first, then on the transactions, then cleared.",
    )
    groups: Annotated[list[GroupProgress], Field(max_length=16, json_schema_extra=LIST_ATOMIC)] | None = Field(
        default=None, description="Groups that are being posted, and what of them is reserved still."
    )
    waiting: Count | None = Field(default=None, description="Points that waiting transactions ask of the pool.")
    waiting_transactions: Count | None = Field(default=None, description="How many transactions wait for points.")
    needed: Count | None = Field(
        default=None, description="Points that keep every client from falling below zero at its next charge."
    )
    needed_by: Timestamp | None = Field(default=None, description="The earliest of those charges.")
    next_charges: Count | None = Field(default=None, description="Points of all clients' next charges together.")


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
    points: PoolPointsStatus | None = Field(
        default=None, description="The agency's points; absent while there never were any."
    )
    outbox: Annotated[list[OutboxEntry], Field(max_length=MAX_OUTBOX, json_schema_extra=list_map("key"))] | None = (
        Field(default=None, description="Messages to the agency about its points, oldest first.")
    )
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))] | None = Field(
        default=None,
        description="Ready, Reconciling and Stalled (kstatus), OverCommitted, UsageSourceReady, PointsLow and "
        "PointsShort.",
    )


class QuotaPool(ApiModel):
    """The agency's stock of licenses; every grant to a client is committed here."""

    spec: QuotaPoolSpec = Field(description="What the agency owns and how it is handed out.")
    status: QuotaPoolStatus = Field(
        default=QuotaPoolStatus(observed_generation=-1),
        description="The pool's books. Only the operator writes here.",
    )
