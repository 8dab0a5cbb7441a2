"""Lines over weeks, for the charting library and as a table beside it. A week that was missed is a gap."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from clientorg.dashboard.words import Speech
from clientorg.reports.portfolio import UsageRow


@dataclass(frozen=True)
class Chart:
    """One figure.

    Attributes:
        series: name to a value for each week; None where it is not known.
        missed: weeks without a snapshot.
    """

    title: str
    weeks: Sequence[date]
    series: Sequence[tuple[str, Sequence[int | float | None]]]
    missed: Sequence[date] = ()

    @property
    def data(self) -> str:
        """What the script draws."""
        times = [int(datetime(week.year, week.month, week.day, tzinfo=UTC).timestamp()) for week in self.weeks]
        return json.dumps({"times": times, "series": [{"name": n, "values": list(v)} for n, v in self.series]})


def usage_charts(rows: Iterable[UsageRow], t: Speech) -> list[Chart]:
    """Allocated, assigned and used, for each product (FEATURES W10)."""
    by_product: dict[str, list[UsageRow]] = {}
    for row in rows:
        by_product.setdefault(row.product, []).append(row)
    charts = []
    for product, weeks in by_product.items():
        series: list[tuple[str, list[int | None]]] = [
            (t("trend.allocated"), [row.allocated for row in weeks]),
            (t("trend.used"), [row.used for row in weeks]),
        ]
        if any(row.assigned is not None for row in weeks):
            series.insert(1, (t("trend.assigned"), [row.assigned for row in weeks]))
        missed = [row.week for row in weeks if row.allocated is None and row.used is None]
        charts.append(Chart(product, [row.week for row in weeks], series, missed))
    return charts
