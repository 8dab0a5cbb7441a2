"""Product metrics that a plan declares: what they are called, and which way is better (FEATURES W11)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pydantic import ConfigDict, Field

from clientorg.api.base import ApiModel, DnsLabel, Json, Line64, Line128, cel, field_at

MAX_METRICS: Final = 32


class MetricKind(StrEnum):
    """How the values of a metric are read."""

    COUNTER = "Counter"
    GAUGE = "Gauge"
    RATIO = "Ratio"


class Better(StrEnum):
    """Which way a metric is to go."""

    UP = "Up"
    DOWN = "Down"


class Metric(ApiModel):
    """One metric of the product."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                field_at(
                    cel(
                        "(self.kind == 'Ratio') == has(self.numerator) && "
                        "(self.kind == 'Ratio') == has(self.denominator)",
                        "a Ratio has a numerator and a denominator, and nothing else has",
                    ),
                    ".kind",
                ),
                field_at(
                    cel(
                        "!(self.name in ['allocated', 'assigned', 'used'])",
                        "allocated, assigned and used are what reports call licenses; choose another name",
                    ),
                    ".name",
                ),
            ]
        }
    )

    name: DnsLabel = Field(description="Name, by which usage reports and `report metric` call it; each once.")
    display_name: Line128 | None = Field(default=None, description="Name as people write it. Absent means the name.")
    unit: Line64 = Field(description="Unit of the values, for example calls, ms or %. A Ratio of % is shown times 100.")
    kind: MetricKind = Field(
        description="Counter: reports give the total, a week's value is by how much it grew. Gauge: reports give what "
        "it is now, a week's value is the last one. Ratio: numerator divided by denominator, week by week; it is not "
        "reported."
    )
    numerator: DnsLabel | None = Field(
        default=None, description="Of a Ratio: name of the Counter or Gauge of this plan that is divided."
    )
    denominator: DnsLabel | None = Field(
        default=None, description="Of a Ratio: name of the Counter or Gauge of this plan that it is divided by."
    )
    better: Better = Field(default=Better.UP, description="Up: more is better; Down: less is. Absent means Up.")


def _names_a_part(part: str) -> Json:
    return field_at(
        cel(
            # A spec that is the schema's own default is judged before its lists are filled in.
            f"!has(self.metrics) || self.metrics.all(m, !has(m.{part}) || "
            f"self.metrics.exists(o, o.name == m.{part} && o.kind != 'Ratio'))",
            f"the {part} of a Ratio is no Counter or Gauge of this plan; declare it here too, or correct its name",
        ),
        ".metrics",
    )


METRIC_RULES: Final[list[Any]] = [_names_a_part("numerator"), _names_a_part("denominator")]
"""On the spec, because a Ratio refers to other entries of the list."""
