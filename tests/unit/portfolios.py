"""Portfolios for the tests of reports: objects as the API server gives them, with sane defaults."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from clientorg.reports.portfolio_read import Portfolio, portfolio, read_client, read_plan, read_subscriptions
from tests.support import builders

Json = dict[str, Any]
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday
LAST = date(2026, 11, 22)


def client(name: str = "acme", *, created: str = "2026-01-01T00:00:00Z", **more: Any) -> Json:
    """A client with 100 visitors, of which 40 are used and 60 assigned."""
    status: Json = {"state": "Active", "orgID": f"id{name}", **more.pop("status", {})}
    licenses = more.pop("licenses", {"visitors": (100, 40, 60)})
    status["licenses"] = [
        {"name": license, "granted": granted}
        | ({"used": used} if used is not None else {})
        | ({"assigned": assigned} if assigned is not None else {})
        for license, (granted, used, assigned) in licenses.items()
    ]
    item = builders.client("agency", name, **more)
    item["metadata"]["creationTimestamp"] = created
    item["status"] = status
    return item


def meters(total: int, observed: str = "2026-11-27T00:00:00Z") -> Json:
    """What was counted of visitors, for a status."""
    return {
        "meters": [
            {"source": "a", "license": "visitors", "value": total, "total": total, "observedTime": observed},
        ]
    }


def trends(*counted: int | None, metrics: dict[str, list[int | None]] | None = None) -> Json:
    """Snapshots of visitors until the last Sunday, for a status; None is a missed week."""
    weeks = [LAST - timedelta(days=7 * back) for back in reversed(range(len(counted)))]
    taken = [(week, value) for week, value in zip(weeks, counted, strict=True) if value is not None]
    values = [value for _, value in taken]
    found: Json = {
        "weeks": [week.isoformat() for week, _ in taken],
        "licenses": [
            {
                "name": "visitors",
                "allocated": [100 for _ in values],
                "assigned": [value // 2 for value in values],
                "used": values,
                "counted": values,
            }
        ],
    }
    if metrics:
        kept = [index for index, value in enumerate(counted) if value is not None]
        found["metrics"] = [
            {"name": name, "values": [column[index] for index in kept]} for name, column in metrics.items()
        ]
    return {"trends": found}


def plan(name: str = "standard", **spec: Any) -> Json:
    """An OrgPlan."""
    item = builders.plan("agency", name)
    item["spec"] |= spec
    return item


def build(
    *clients: Json,
    subscriptions: tuple[Json, ...] = (),
    plans: tuple[Json, ...] = (),
    as_of: datetime | None = None,
    now: datetime = NOW,
) -> Portfolio:
    """The portfolio of these objects."""
    facts = [read_plan(item) for item in (plans or (plan(),))]
    by_name = {("agency", item.name): item for item in facts}
    return portfolio(map(read_client, clients), read_subscriptions(subscriptions), by_name, now, as_of)
