"""What clients use, as rows: each license with its period, thresholds and sources (FEATURES Z5, Z6). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clientorg.cli.dates import Calendar, next_period
from clientorg.cli.rows import client_row, condition
from clientorg.cli.text import age
from clientorg.domain.timestamps import rfc3339, timestamp

Json = dict[str, Any]

PROMETHEUS = "Prometheus"
"""What people see for `@prometheus`, the operator's name of that source; no report can have either."""


@dataclass(frozen=True)
class LicenseUse:
    """The use of one license.

    Attributes:
        period: the running one, for example 2026-11; all where the count never begins anew.
        next_period: when it begins anew.
        thresholds: those reached in the running period, lowest first, and when each was seen.
    """

    name: str
    used: int | None
    granted: int | None
    remaining: int | None
    percent: int | None
    period: str
    next_period: datetime | None
    thresholds: tuple[tuple[int, datetime | None], ...]


@dataclass(frozen=True)
class SourceUse:
    """What one source has counted of one license.

    Attributes:
        value: its counter as last reported.
        total: all it ever counted, resets added up.
        observed: when its last report was true; of Prometheus, which leaves no reports, when the count last changed.
    """

    source: str
    license: str
    value: int
    total: int
    observed: datetime | None

    def text(self, now: datetime) -> str:
        """How old its count is: `5m ago`."""
        if self.observed is None:
            return "-"
        return f"{'changed ' if self.source == PROMETHEUS else ''}{age(self.observed, now)} ago"


@dataclass(frozen=True)
class ClientUse:
    """The use of one client.

    Attributes:
        stale: why the numbers are old; empty when they are not.
        refused: usage reports that do not count, and why.
    """

    namespace: str
    name: str
    display_name: str
    org_id: str
    state: str
    plan: str
    pool: str
    licenses: tuple[LicenseUse, ...]
    sources: tuple[SourceUse, ...]
    stale: str
    refused: tuple[tuple[str, str], ...]
    calendar: Calendar

    @property
    def percent(self) -> int | None:
        """Of the license that is used up most."""
        return max((item.percent for item in self.licenses if item.percent is not None), default=None)

    def newest(self, license_name: str) -> SourceUse | None:
        """The source that reported on a license last."""
        found = [item for item in self.sources if item.license == license_name and item.observed is not None]
        return max(found, key=lambda item: item.observed or datetime.min, default=None)

    def reported(self, license_name: str) -> datetime | None:
        """When a license was last reported on."""
        source = self.newest(license_name)
        return source.observed if source is not None else None

    def sources_of(self, license_name: str) -> list[str]:
        """Who counts a license."""
        return [item.source for item in self.sources if item.license == license_name]


def client_use(item: Json, reports: Iterable[Json], pool: Json | None, calendar: Calendar, now: datetime) -> ClientUse:
    """The use of a client; `reports` are the usage reports of its Org ID."""
    row, status = client_row(item), item.get("status") or {}
    held = {entry["name"]: entry for entry in status.get("licenses") or ()}
    reports = list(reports)
    stale = condition(item, "UsageReported")
    return ClientUse(
        namespace=row.namespace,
        name=row.name,
        display_name=row.display_name,
        org_id=row.org_id,
        state=row.state,
        plan=row.plan,
        pool=row.pool,
        licenses=tuple(
            LicenseUse(
                name=license.name,
                used=license.used,
                granted=license.granted,
                remaining=license.remaining,
                percent=license.percent,
                period=held.get(license.name, {}).get("period", ""),
                next_period=next_period(pool, license.name, calendar, now),
                thresholds=_thresholds(status, license.name, held.get(license.name, {}).get("period")),
            )
            for license in row.licenses
        ),
        sources=tuple(_source(meter, reports) for meter in status.get("meters") or ()),
        stale=stale.get("message", "") if stale.get("status") == "False" else "",
        refused=tuple(_refused(reports)),
        calendar=calendar,
    )


def _thresholds(status: Json, license_name: str, period: str | None) -> tuple[tuple[int, datetime | None], ...]:
    found = [
        (entry["percent"], timestamp(entry.get("time")))
        for entry in status.get("thresholds") or ()
        if entry["license"] == license_name and period in (None, entry.get("period"))
    ]
    return tuple(sorted(found, key=lambda pair: pair[0]))


def _source(meter: Json, reports: Iterable[Json]) -> SourceUse:
    """A meter; its status is written only when the count changes, so that a newer report says how fresh it is."""
    name, license_name = meter["source"], meter["license"]
    times = [timestamp(meter.get("observedTime"))]
    times += [
        timestamp(spec.get("observedTime"))
        for spec in (report["spec"] for report in reports)
        if spec.get("source", "default") == name and any(m["license"] == license_name for m in spec["meters"])
    ]
    return SourceUse(
        source=PROMETHEUS if name == "@prometheus" else name,
        license=license_name,
        value=meter["value"],
        total=meter["total"],
        observed=max((time for time in times if time is not None), default=None),
    )


def _refused(reports: Iterable[Json]) -> Iterable[tuple[str, str]]:
    for report in reports:
        ready = condition(report, "Ready")
        if ready.get("status") == "False":
            yield report["metadata"]["name"], f"{ready.get('reason', '')}: {ready.get('message', '')}"


def by_use(uses: Iterable[ClientUse]) -> list[ClientUse]:
    """The clients that have used up most of a license first; those without a report last."""
    return sorted(uses, key=lambda use: (-1 if use.percent is None else use.percent, use.stale != ""), reverse=True)


def by_org_id(reports: Iterable[Json]) -> Mapping[str, list[Json]]:
    """Usage reports by the Org ID that they are for."""
    found: dict[str, list[Json]] = {}
    for report in reports:
        found.setdefault(report["spec"]["orgID"], []).append(report)
    return found


def document(use: ClientUse) -> Json:
    """For -o json."""

    def time(moment: datetime | None) -> str | None:
        return None if moment is None else rfc3339(moment)

    return {
        "namespace": use.namespace,
        "name": use.name,
        "orgID": use.org_id,
        "state": use.state,
        "percent": use.percent,
        "licenses": [
            {
                "name": item.name,
                "used": item.used,
                "granted": item.granted,
                "remaining": item.remaining,
                "percent": item.percent,
                "period": item.period or None,
                "nextPeriod": time(item.next_period),
                "thresholds": [{"percent": percent, "time": time(moment)} for percent, moment in item.thresholds],
                "reported": time(use.reported(item.name)),
            }
            for item in use.licenses
        ],
        "sources": [
            {
                "source": item.source,
                "license": item.license,
                "value": item.value,
                "total": item.total,
                "observed": time(item.observed),
            }
            for item in use.sources
        ],
        "stale": use.stale or None,
        "refusedReports": [{"name": name, "why": why} for name, why in use.refused],
    }


CSV_HEADER = (
    *("namespace", "name", "orgID", "state", "license", "used", "granted", "remaining", "percent"),
    *("period", "nextPeriod", "thresholds", "reported", "sources", "stale"),
)


def csv_rows(use: ClientUse) -> Iterable[list[str | int | None]]:
    """A row for each license, under CSV_HEADER."""
    for item in use.licenses:
        reported = use.reported(item.name)
        yield [
            *(use.namespace, use.name, use.org_id, use.state, item.name),
            *(item.used, item.granted, item.remaining, item.percent),
            item.period,
            rfc3339(item.next_period) if item.next_period else None,
            " ".join(str(percent) for percent, _ in item.thresholds),
            rfc3339(reported) if reported else None,
            " ".join(use.sources_of(item.name)),
            "true" if use.stale else "false",
        ]
