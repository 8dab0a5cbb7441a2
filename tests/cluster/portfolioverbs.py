"""A portfolio as tests speak of it: subscriptions that end and renew, use over weeks, product metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.domain import snapshots
from clientorg.domain.timestamps import rfc3339
from tests.cluster.verbs import Agency, Client, Json
from tests.support import builders

METRICS: Final[list[Json]] = [
    {"name": "calls", "displayName": "Calls", "unit": "calls", "kind": "Counter"},
    {"name": "wait", "displayName": "Waiting time", "unit": "ms", "kind": "Gauge", "better": "Down"},
]
_DAY: Final = timedelta(days=1)


def fill(agency: Agency) -> None:
    """Make each table and each chart of the portfolio have something to show.

    `hooli` expires in forty days with little of it used, `umbrella` renews in twenty and is over its limit; of both
    there are weekly snapshots and metrics, with one week missed. The plan `standard` declares the metrics. The order
    `stark-1` has no client yet.
    """
    agency.create(order(agency, "stark-1", "Stark Industries"))
    agency.plan.set(metrics=METRICS)
    now = datetime.now(UTC)
    for name, licenses, used, days, renews in (("hooli", 120, 9, 40, False), ("umbrella", 20, 23, 20, True)):
        client = agency.ready_client(name, licenses={"visitors": licenses})
        end = (now + days * _DAY).date()
        agency.create(
            builders.subscription(
                agency.name,
                f"{name}-1",
                client=name,
                products=[{"name": "visitors", "licenses": licenses}],
                startDate=str(end - 365 * _DAY),
                term={"months": 12},
                autoRenew=renews,
                order={"id": f"PO-2026-{name}", "time": rfc3339(now - 80 * _DAY)},
            )
        )
        agency.report(client.org_id, now - timedelta(minutes=1), name, visitors=used)
        client.expect_used(visitors=used)
        _remember(client, licenses, used, now)


def order(agency: Agency, name: str, customer: str) -> Json:
    """An order of 30 visitors that nobody has set up."""
    contact = {"firstName": "Aya", "lastName": "Mori", "email": "aya@stark.example"}
    return builders.subscription(
        agency.name,
        name,
        client=None,
        customer={"displayName": customer, "contact": contact},
        products=[{"name": "visitors", "licenses": 30}],
        poolRef={"name": agency.pool.name},
        planRef={"name": agency.plan.name},
    )


def _remember(client: Client, licenses: int, used: int, now: datetime) -> None:
    """Weekly snapshots, as the operator would have taken them, without that of four weeks ago."""
    weeks = list(snapshots.last_weeks(now, 13))
    weeks.remove(weeks[-4])
    counted = [used * (index + 1) // len(weeks) for index in range(len(weeks))]
    trends = {
        "weeks": [str(week) for week in weeks],
        "licenses": [
            {
                "name": "visitors",
                "allocated": [licenses] * len(weeks),
                "assigned": [count // 2 for count in counted],
                "used": counted,
                "counted": counted,
            }
        ],
        "metrics": [
            {"name": "calls", "values": [(index + 1) ** 2 * licenses for index in range(len(weeks))]},
            {"name": "wait", "values": [400 - 7 * index for index in range(len(weeks))]},
        ],
    }
    client.kube.merge(CLIENT_ORGS, client.name, {"status": {"trends": trends}}, client.namespace, "status")
    client.expect(lambda item: (item["status"].get("trends") or {}).get("weeks") == trends["weeks"], "keep its trends")
