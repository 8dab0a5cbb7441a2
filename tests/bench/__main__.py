"""`make bench`: the operator against the bare API calls that the same work needs. One table."""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS
from tests.bench import load
from tests.controlplane import ControlPlane
from tests.support.install import NAMESPACE, SERVICE_ACCOUNT, install
from tests.support.process import OperatorProcess

Json = dict[str, Any]
console = Console(stderr=True)


@contextmanager
def fresh_plane() -> Iterator[ControlPlane]:
    """A control plane of its own, with everything installed but the operator."""
    with ControlPlane() as plane:
        install(plane.kubectl, plane.kubeconfig)
        yield plane


def cpu_seconds(plane: ControlPlane) -> float:
    """CPU time so far of the control plane and of this process."""
    processes = [psutil.Process(pid) for pid in plane.pids.values()] + [psutil.Process()]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measure_floor(count: int) -> dict[str, float]:
    """Seconds and writes of the bare loop."""

    async def run(plane: ControlPlane) -> tuple[float, int, float]:
        credentials = plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
        async with load.connection(plane.kubeconfig, load.CREATORS) as user:
            await load.agency(user)
            plan = await user.get(ORG_PLANS, load.AGENCY, "standard")
            async with load.connection(credentials, load.CONCURRENCY) as api:
                before = cpu_seconds(plane)
                seconds, writes = await load.floor(user, api, count, plan)
                return seconds, writes, cpu_seconds(plane) - before

    with fresh_plane() as plane:
        seconds, writes, cpu = uvloop.run(run(plane))
    gc.collect()
    return {"seconds": seconds, "writes": writes, "cpu": cpu}


def measure_operator(count: int, probes: int) -> dict[str, Any]:
    """Everything else, on one control plane and with one operator process."""
    with fresh_plane() as plane, tempfile.TemporaryDirectory() as folder:
        credentials = plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
        operator = OperatorProcess(credentials, Path(folder) / "operator.log")
        with operator:
            return uvloop.run(_measure(plane, operator, count, probes))


async def _measure(plane: ControlPlane, operator: OperatorProcess, count: int, probes: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with load.connection(plane.kubeconfig, load.CREATORS + 8) as api:
        await load.agency(api)
        await load.agency(api, "probes")
        bulk, probe_watch = load.ReadyWatch(api), load.ReadyWatch(api, "probes")
        watches = [asyncio.create_task(watch.run()) for watch in (bulk, probe_watch)]
        found["idle"] = await _probe(api, probe_watch, probes, "idle")

        before_writes, before_cpu, before_all = operator.writes(), operator.cpu_seconds(), cpu_seconds(plane)
        started = time.perf_counter()
        creating = asyncio.create_task(load.create_all(api, load.clients(count)))
        probing = asyncio.create_task(_probe_while(api, probe_watch, bulk, count))
        await bulk.wait(lambda ready: len(ready) >= count, 60 + count * 0.5)
        found["seconds"] = max(bulk.ready_at.values()) - started
        await creating
        found["loaded"] = await probing
        await _settled(operator)
        found["operator_cpu"] = operator.cpu_seconds() - before_cpu
        found["cpu"] = cpu_seconds(plane) - before_all + found["operator_cpu"]
        found["writes"] = operator.writes() - before_writes
        found["probes"] = len(found["loaded"])
        found["rss_loaded"] = operator.peak_rss_bytes()
        pool = await api.get(QUOTA_POOLS, load.AGENCY, "pool")
        found["pool_in_flight"] = len(pool["status"].get("inFlight") or ())

        console.log("restart")
        operator.stop()
        started = time.perf_counter()
        await asyncio.to_thread(operator.start, 120)
        await _settled(operator, passes=count)
        found["restart_seconds"] = time.perf_counter() - started
        found["restart_writes"] = operator.writes()
        found["rss_restart"] = operator.peak_rss_bytes()

        console.log("plan change")
        before = operator.writes()
        started = time.perf_counter()
        patch = {"spec": {"workspace": {"network": {"allowInternet": True}}}}
        await api.patch(ORG_PLANS, load.AGENCY, "standard", patch)
        await _wait_writes(operator, before + count)
        await _settled(operator)
        found["plan_seconds"] = time.perf_counter() - started
        found["plan_writes"] = operator.writes() - before
        found["rss"] = operator.peak_rss_bytes()
        for watch in watches:
            watch.cancel()
    return found


async def _probe(api: Any, watch: load.ReadyWatch, count: int, prefix: str) -> list[float]:
    """Seconds from POST to Ready of single clients, one after the other."""
    return [await _one(api, watch, manifest) for manifest in load.clients(count, "probes", prefix)]


async def _one(api: Any, watch: load.ReadyWatch, manifest: Json) -> float:
    name = manifest["metadata"]["name"]
    started = time.perf_counter()
    await api.create(CLIENT_ORGS, "probes", manifest)
    await watch.wait(lambda ready: name in ready, 120)
    return watch.ready_at[name] - started


async def _probe_while(api: Any, watch: load.ReadyWatch, bulk: load.ReadyWatch, count: int) -> list[float]:
    """Single clients of another agency, one after the other, while the bulk is under way: one for every 40."""
    found: list[float] = []
    while len(bulk.ready_at) < count:
        reached = len(bulk.ready_at) + 40
        manifest = load.clients(1, "probes", f"load-{len(found)}")[0]
        found.append(await _one(api, watch, manifest))
        await bulk.wait(partial(_is_at_least, min(reached, count)), 600)
    return found


def _is_at_least(least: int, ready: dict[str, float]) -> bool:
    return len(ready) >= least


async def _settled(operator: OperatorProcess, passes: float = 0) -> None:
    """Until the queue is empty and stays so for a moment, after at least so many passes over clients."""
    quiet = 0
    while quiet < 3:
        values = operator.metrics()
        done = sum(v for k, v in values.items() if k.startswith('clientorg_reconcile_total{kind="ClientOrg"'))
        depths = ("depth", "running", "delayed")
        busy = sum(values[f"clientorg_workqueue_{depth}"] for depth in depths)
        quiet = quiet + 1 if not busy and done >= passes and values["clientorg_synced"] else 0
        await asyncio.sleep(0.1)


async def _wait_writes(operator: OperatorProcess, least: float) -> None:
    while operator.writes() < least:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.1)


def _quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {statistics.median(ordered) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms ({len(ordered)} clients)"


def report(count: int, floor: dict[str, float], found: dict[str, Any]) -> str:
    """Print the table; the last line is the ratio."""
    floor_cpu, cpu = floor["cpu"] / count * 1000, found["cpu"] / (count + found["probes"]) * 1000
    rss = " / ".join(f"{found[name] / 1e6:.0f} MB" for name in ("rss_loaded", "rss_restart", "rss"))
    rows = [
        ("clients", f"{count}"),
        ("floor: bare API writes", f"{floor['seconds']:.1f} s, {count / floor['seconds']:.1f} clients/s"),
        ("operator: all Ready", f"{found['seconds']:.1f} s, {count / found['seconds']:.1f} clients/s"),
        ("writes per client, floor", f"{floor['writes'] / count:.2f} (1 of them the client itself)"),
        ("writes per client, operator", f"{found['writes'] / (count + found['probes']):.2f} (the client itself apart)"),
        ("single client to Ready, idle", _quantiles(found["idle"])),
        ("single client to Ready, under load", _quantiles(found["loaded"])),
        ("CPU of everything, a client", f"floor {floor_cpu:.1f} ms, operator {cpu:.1f} ms"),
        ("operator CPU", f"{found['operator_cpu']:.1f} s, {found['operator_cpu'] / count * 1000:.1f} ms a client"),
        ("peak RSS: load / restart / all", rss),
        ("restart to settled", f"{found['restart_seconds']:.1f} s, {found['restart_writes']:.0f} writes"),
        (
            "plan change in every workspace",
            f"{found['plan_seconds']:.1f} s, {found['plan_writes']:.0f} writes, "
            f"{found['plan_writes'] / found['plan_seconds']:.0f} writes/s",
        ),
    ]
    table = Table("measure", "value", title=f"clientorg-operator, {count} clients")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    return f"throughput ratio: {floor['seconds'] / found['seconds']:.2f}"


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("-n", type=int, default=1000, metavar="N", help="clients (default 1000)")
    parser.add_argument("--probes", type=int, default=30, metavar="N", help="single clients timed while idle (30)")
    parser.add_argument("--skip-floor", action="store_true", help="for profiling: no floor, no ratio")
    arguments = parser.parse_args()
    console.log(f"floor: the bare API writes for {arguments.n} clients, on a fresh control plane")
    floor = {"seconds": 0.0, "writes": 0.0, "cpu": 0.0} if arguments.skip_floor else measure_floor(arguments.n)
    console.log(f"operator: {arguments.n} clients, on a fresh control plane")
    found = measure_operator(arguments.n, arguments.probes)
    if arguments.skip_floor:
        floor = {"seconds": found["seconds"], "writes": found["writes"], "cpu": found["cpu"]}
    print(report(arguments.n, floor, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
