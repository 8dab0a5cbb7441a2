"""`make bench CHARGES=1`: all clients of an agency are charged at one anchor, beside the bare API calls they need."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import uvloop
from rich.console import Console
from rich.table import Table

from clientorg.api.orgplan import Billing
from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, POINT_TRANSACTIONS, QUOTA_POOLS
from clientorg.cluster.rest import Api
from clientorg.domain.billing import Account, BillingTerms, charge_of
from clientorg.domain.ledger_records import charge_manifest
from tests.bench import load
from tests.bench.measuring import cpu_rows, cpu_seconds, fresh_plane, quantiles, quiet, settled, since
from tests.controlplane import ControlPlane
from tests.support.devclock import DevClock
from tests.support.install import NAMESPACE, SERVICE_ACCOUNT
from tests.support.process import OperatorProcess

Json = dict[str, Any]
console = Console(stderr=True)

BILLING: Json = {"basePoints": 1000, "includedUsers": 10, "pointsPerExtraUser": 50}
ANCHORS = (datetime(2026, 12, 25, tzinfo=UTC), datetime(2027, 1, 25, tzinfo=UTC))
"""At the first nothing else is done; at the second clients of another agency are edited meanwhile."""
PROBES = 20
_POLL_SECONDS = 0.02


async def measure(plane: ControlPlane, folder: Path, count: int) -> dict[str, Any]:
    """Provision, charge, and then the floor on the very same objects."""
    found: dict[str, Any] = {}
    credentials = plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
    clock = DevClock(folder / "clock")
    async with load.connection(plane.kubeconfig, load.CREATORS + 8) as api:
        await load.agency(api)
        await load.agency(api, "probes")
        await api.patch(ORG_PLANS, load.AGENCY, "standard", {"spec": {"billing": BILLING}})
        with OperatorProcess(credentials, folder / "operator.log", dev_clock=clock.path) as operator:
            await _provision(api, count)
            await settled(operator)
            await quiet(operator)
            before_writes, before_cpu = operator.writes(), cpu_seconds(plane, operator)
            started = time.perf_counter()
            clock.set(ANCHORS[0])
            await _all_charged(api, operator, count, count, before_writes)
            found["seconds"] = time.perf_counter() - started
            await settled(operator)
            found["cpu"] = since(cpu_seconds(plane, operator), before_cpu)
            found["writes"] = operator.writes() - before_writes
            before_writes, running = operator.writes(), asyncio.Event()
            probing = asyncio.create_task(_probe(api, running))
            clock.set(ANCHORS[1])
            await _all_charged(api, operator, count, 2 * count, before_writes)
            running.set()
            found["probes"] = await probing
            await settled(operator)
            found["rss"] = operator.peak_rss_bytes()
            charges = await api.list_all(POINT_TRANSACTIONS, load.AGENCY)
            found["charges"] = len({(item["spec"]["orgID"], item["spec"]["period"]) for item in charges})
            found["posted"] = sum(item["status"].get("phase") == "Posted" for item in charges)
        console.log("floor: the same calls from one loop, on the same objects")
        clients = await api.list_all(CLIENT_ORGS, load.AGENCY)
        async with load.connection(credentials, load.CONCURRENCY) as bare:
            before_cpu = cpu_seconds(plane)
            found["floor"] = await _floor(bare, clients, charges[0]["status"])
            found["floor_cpu"] = since(cpu_seconds(plane), before_cpu)
    return found


async def _provision(api: Api, count: int) -> None:
    watches = [load.ReadyWatch(api), load.ReadyWatch(api, "probes")]
    tasks = [asyncio.create_task(watch.run()) for watch in watches]
    await load.create_all(api, [*load.clients(count), *load.clients(PROBES, "probes", "probe")])
    await watches[0].wait(lambda ready: len(ready) >= count, 60 + count * 0.5)
    await watches[1].wait(lambda ready: len(ready) >= PROBES, 120)
    for task in tasks:
        task.cancel()


async def _all_charged(api: Api, operator: OperatorProcess, count: int, entries: int, before: float) -> None:
    """Until the pool's ledger has so many entries, none in flight, and each client's status was written."""
    while True:
        points = (await api.get(QUOTA_POOLS, load.AGENCY, "pool"))["status"].get("points") or {}
        is_posted = points.get("entries") == entries and not points.get("inFlight")
        if is_posted and operator.writes() - before >= 3 * count:
            return
        await asyncio.sleep(0.1)


async def _probe(api: Api, ended: asyncio.Event) -> list[float]:
    """Seconds until an edit of a client of another agency is answered in its status."""
    found: list[float] = []
    while not ended.is_set():
        name, tags = f"probe-{len(found) % PROBES:05d}", [f"probe-{len(found)}"]
        started = time.perf_counter()
        edited = await api.patch(CLIENT_ORGS, "probes", name, {"spec": {"tags": tags}})
        while not await _has_answered(api, name, edited["metadata"]["generation"]):  # noqa: ASYNC110 - another process
            await asyncio.sleep(_POLL_SECONDS)
        found.append(time.perf_counter() - started)
        await asyncio.sleep(0.25)
    return found


async def _has_answered(api: Api, name: str, generation: int) -> bool:
    status: Json = (await api.get(CLIENT_ORGS, "probes", name))["status"]
    return bool(status.get("observedGeneration", -1) >= generation)


async def _floor(api: Api, clients: list[Json], status: Json) -> float:
    """The bare calls of the next period: the client as it is now, a charge, its status, the client's status.

    The read is needed because nobody is charged on old news (DESIGN rule 6; FEATURES X2). Returns seconds.
    """
    terms = BillingTerms.of(Billing.model_validate(BILLING), "standard", 1, ZoneInfo("UTC"))
    assert terms is not None
    work = []
    for number, client in enumerate(clients, 1):
        metadata, org_id = client["metadata"], client["status"]["orgID"]
        charge = charge_of(Account("2026-12", "2027-01"), "2027-02", 0, terms)
        manifest = charge_manifest(load.AGENCY, metadata["name"], org_id, "pool", charge)
        posted = {**status, "entry": 2 * len(clients) + number, "orgID": org_id}
        points = {**client["status"]["points"], "balance": -3000, "chargedThrough": "2027-02"}
        work.append((manifest, posted, metadata["name"], points))

    async def one(item: tuple[Json, Json, str, Json]) -> None:
        manifest, posted, client, points = item
        name = manifest["metadata"]["name"]
        await api.get(CLIENT_ORGS, load.AGENCY, client)
        made = await api.create(POINT_TRANSACTIONS, load.AGENCY, manifest)
        body: Json = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "status": posted}
        await api.patch(POINT_TRANSACTIONS, load.AGENCY, name, body, subresource="status")
        await api.patch(CLIENT_ORGS, load.AGENCY, client, {"status": {"points": points}}, subresource="status")

    started = time.perf_counter()
    await load.each(work, one, load.CONCURRENCY)
    return time.perf_counter() - started


def report(count: int, found: dict[str, Any]) -> str:
    """Print the table; returns the last line, the ratio."""
    rows = [
        ("charges, each once, of two periods", f"{found['charges']} ({found['posted']} posted)"),
        ("floor: bare API calls", f"{found['floor']:.1f} s, {count / found['floor']:.0f} charges/s"),
        ("operator: posted, and in each status", f"{found['seconds']:.1f} s, {count / found['seconds']:.0f} charges/s"),
        ("writes per charge, beside one read", f"floor 3.00, operator {found['writes'] / count:.2f}"),
        (
            "another client's edit, meanwhile",
            f"{quantiles(found['probes'])}, at most {max(found['probes']):.2f} s",
        ),
        *cpu_rows(found["floor_cpu"], found["cpu"], count, count, "a charge"),
        ("peak RSS", f"{found['rss'] / 1e6:.0f} MB"),
    ]
    table = Table("measure", "value", title=f"clientorg-operator, {count} monthly charges at one anchor")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    return f"throughput ratio: {found['floor'] / found['seconds']:.2f}"


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="make bench CHARGES=1", description=__doc__)
    parser.add_argument("-n", type=int, default=1000, metavar="N", help="clients (default 1000)")
    arguments = parser.parse_args()
    console.log(f"{arguments.n} clients are provisioned, then charged, on a fresh control plane")
    with fresh_plane() as plane, tempfile.TemporaryDirectory() as folder:
        found = uvloop.run(measure(plane, Path(folder), arguments.n))
    print(report(arguments.n, found))
    return 0 if found["charges"] == found["posted"] == 2 * arguments.n else 1


if __name__ == "__main__":
    sys.exit(main())
