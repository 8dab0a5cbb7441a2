"""Weekly snapshots in a client's status: columns and not rows, so that ten thousand clients stay cheap.

Thirteen snapshots of two licenses and three metrics take about 700 bytes so; as a list of objects they would take four
times that in etcd, in every listing and in the operator's memory.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from clientorg.api.base import LIST_ATOMIC, ApiModel, Json, list_map
from clientorg.api.meta import MAX_QUANTITY
from clientorg.api.metric import MAX_METRICS

WEEKS: Final = 13
"""Snapshots that are kept: three months."""

_VALUE: Json = {"format": "int64", "nullable": True}
Value = Annotated[int | None, Field(ge=0, le=MAX_QUANTITY, json_schema_extra=_VALUE)]
Column = Annotated[list[Value], Field(max_length=WEEKS, json_schema_extra=LIST_ATOMIC)]
"""As many values as there are weeks; null where nothing was reported."""


class LicenseTrend(ApiModel):
    """One license, week by week."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the license.")
    allocated: Column = Field(description="Granted by the pool.")
    assigned: Column | None = Field(default=None, description="Assigned to users. Absent: never reported.")
    used: Column | None = Field(default=None, description="Used in the running period. Absent: never reported.")
    counted: Column | None = Field(
        default=None,
        description="All that was ever counted: the difference of two weeks is what was used between them.",
    )


class SourceValue(ApiModel):
    """What a source of a counter said last."""

    source: Annotated[str, Field(max_length=64)] = Field(description="Who counted.")
    value: Annotated[int, Field(ge=0, le=MAX_QUANTITY, json_schema_extra={"format": "int64"})] = Field(
        description="The counter as it was at the last snapshot that has it."
    )


class MetricTrend(ApiModel):
    """One product metric, week by week."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the metric.")
    values: Column = Field(
        description="Of a counter all that was counted since the first snapshot, resets added up; of a gauge its value."
    )
    sources: Annotated[list[SourceValue], Field(max_length=4, json_schema_extra=list_map("source"))] | None = Field(
        default=None, description="Of a counter: what the next growth is counted from."
    )


class Trends(ApiModel):
    """The snapshots of the last 13 weeks."""

    weeks: Annotated[
        list[Annotated[str, Field(max_length=10, json_schema_extra={"format": "date"})]],
        Field(max_length=WEEKS, json_schema_extra=LIST_ATOMIC),
    ] = Field(
        description="The Sundays (00:00 UTC) that there is a snapshot of, oldest first. A Sunday between them that is "
        "not here was missed: nothing is made up for it."
    )
    licenses: Annotated[list[LicenseTrend], Field(max_length=32, json_schema_extra=list_map("name"))] | None = Field(
        default=None, description="Licenses, each with as many values as there are weeks."
    )
    metrics: Annotated[list[MetricTrend], Field(max_length=MAX_METRICS, json_schema_extra=list_map("name"))] | None = (
        Field(default=None, description="Product metrics, each with as many values as there are weeks.")
    )
