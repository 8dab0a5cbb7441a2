"""`make bench REPORTS=1`: reports over a portfolio, beside the API server's own listing of it. One table."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uvloop
from rich.console import Console
from rich.table import Table

from clientorg.api.metric import MetricKind
from clientorg.cli.watching import PAGE
from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, SUBSCRIPTIONS, Resource
from clientorg.cluster.rest import Api
from clientorg.domain.snapshots import LicenseSample, MetricSample, Sample, last_weeks, take
from clientorg.domain.timestamps import rfc3339
from tests.bench import load
from tests.bench.measuring import fresh_plane
from tests.support import builders
from tests.support.builders import invoice

Json = dict[str, Any]
console = Console(stderr=True)

REPORTS: Final = (
    ("summary",),
    ("recent",),
    ("expiring",),
    ("renewing",),
    ("low-allocation",),
    ("over-limit",),
    ("usage",),
    ("performance",),
    ("metric", "calls"),
)
METRICS: Final = [{"name": "calls", "unit": "calls", "kind": "Counter"}]
NOW: Final = datetime.now(UTC)


def status(number: int) -> Json:
    """What the operator would have written after three months: thirteen snapshots of a license and a metric."""
    trends: Json | None = None
    for index, week in enumerate(last_weeks(NOW)):
        used = number % 50 + index * 3
        calls = MetricSample(MetricKind.COUNTER, {"agent": 100 * (index + 1) + number}, "agent")
        trends = take(trends, week, Sample({"visitors": LicenseSample(100, used // 2, used, used)}, {"calls": calls}))
    used = number % 50 + 40
    return {
        "observedGeneration": 1,
        "state": "Active",
        "orgID": f"id{number:08d}",
        "workspace": {"namespace": f"client-{number:05d}-id{number:08d}"},
        "licenses": [
            {"name": "visitors", "granted": 100, "used": used, "assigned": used // 2, "remaining": 100 - used}
        ],
        "licenseSummary": f"{used}/100",
        "standing": ["Active"],
        "meters": [
            {"source": "agent", "license": "visitors", "value": used, "total": used, "observedTime": rfc3339(NOW)}
        ],
        "trends": trends,
        "conditions": [
            {"type": kind, "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": rfc3339(NOW)}
            for kind in ("Ready", "LicensesAllocated", "WorkspaceReady", "UsageReported")
        ],
    }


async def fill(api: Api, count: int) -> None:
    """So many clients as they are after three months, each with a subscription and an invoice."""
    await load.agency(api)
    await api.patch(ORG_PLANS, load.AGENCY, "standard", {"spec": {"metrics": METRICS}})

    async def one(number: int) -> None:
        (manifest,) = load.clients(1, prefix=f"client-{number:05d}")
        await api.create(CLIENT_ORGS, load.AGENCY, manifest)
        name = manifest["metadata"]["name"]
        await api.patch(CLIENT_ORGS, load.AGENCY, name, {"status": status(number)}, subresource="status")
        start = (NOW - timedelta(days=number % 365)).date()
        order = builders.subscription(
            load.AGENCY,
            f"s-{number:05d}",
            client=name,
            startDate=start.isoformat(),
            autoRenew=number % 2 == 0,
            invoices=[invoice(f"R-{number}", start.isoformat(), state="Paid")],
        )
        await api.create(SUBSCRIPTIONS, load.AGENCY, order)

    await load.each(range(count), one, load.CREATORS)


async def listing(api: Api) -> float:
    """Seconds that the API server takes to list what a report reads, all at the same time, and nothing else."""

    async def read(resource: Resource) -> None:
        async for _ in api.list_pages(resource, load.AGENCY, chunk=PAGE):
            pass

    started = time.perf_counter()
    await asyncio.gather(*(read(resource) for resource in (CLIENT_ORGS, SUBSCRIPTIONS, ORG_PLANS)))
    return time.perf_counter() - started


def run(kubeconfig: Path, *arguments: str) -> float:
    """Seconds of the command as its own process, from its start to its end."""
    command = [sys.executable, "-c", "from clientorg.cli.main import run; run()", "--kubeconfig", str(kubeconfig)]
    command += ["-n", load.AGENCY, "report", *arguments]
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=300)
    return time.perf_counter() - started


def main() -> int:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench REPORTS=1", description=__doc__)
    parser.add_argument("-n", type=int, default=10_000, metavar="N", help="clients (default 10,000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of which the fastest counts (3)")
    arguments = parser.parse_args()
    with fresh_plane() as plane:
        console.log(f"creating {arguments.n} clients with subscriptions and three months of snapshots")

        async def prepare() -> list[float]:
            async with load.connection(plane.kubeconfig, load.CONCURRENCY) as api:
                await fill(api, arguments.n)
                return [await listing(api) for _ in range(arguments.rounds)]

        floor = min(uvloop.run(prepare()))
        table = Table("measure", "seconds", "beside the listing", title=f"reports, {arguments.n} clients")
        table.add_row("floor: the API server lists clients, subscriptions and plans", f"{floor:.2f}", "1.0")
        for report in REPORTS:
            seconds = min(run(plane.kubeconfig, *report) for _ in range(arguments.rounds))
            table.add_row(f"report {' '.join(report)}", f"{seconds:.2f}", f"{seconds / floor:.1f}")
    Console(width=100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
