"""`make bench`: the operator against the bare API calls that the same work needs. One table."""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS
from tests.bench import load
from tests.bench.measuring import (
    Cpu,
    cpu_rows,
    cpu_seconds,
    fresh_plane,
    median_of,
    quantiles,
    quiet,
    settled,
    since,
)
from tests.controlplane import ControlPlane
from tests.support.install import NAMESPACE, SERVICE_ACCOUNT
from tests.support.process import OperatorProcess

Json = dict[str, Any]
console = Console(stderr=True)


def measure_floor(count: int) -> dict[str, Any]:
    """Seconds, writes and CPU of the bare loop."""

    async def run(plane: ControlPlane) -> tuple[float, int, Cpu]:
        credentials = plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
        async with load.connection(plane.kubeconfig, load.CREATORS) as user:
            await load.agency(user)
            plan = await user.get(ORG_PLANS, load.AGENCY, "standard")
            async with load.connection(credentials, load.CONCURRENCY) as api:
                before = cpu_seconds(plane)
                seconds, writes = await load.floor(user, api, count, plan)
                return seconds, writes, since(cpu_seconds(plane), before)

    with fresh_plane() as plane:
        seconds, writes, cpu = uvloop.run(run(plane))
    gc.collect()
    return {"seconds": seconds, "writes": writes, "cpu": cpu}


def measure_operator(count: int, probes: int, *, load_only: bool = False) -> dict[str, Any]:
    """Everything else, on one control plane and with one operator process."""
    with fresh_plane() as plane, tempfile.TemporaryDirectory() as folder:
        credentials = plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
        operator = OperatorProcess(credentials, Path(folder) / "operator.log")
        with operator:
            return uvloop.run(_measure(plane, operator, count, probes, load_only))


async def _measure(
    plane: ControlPlane, operator: OperatorProcess, count: int, probes: int, load_only: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with load.connection(plane.kubeconfig, load.CREATORS + 8) as api:
        await load.agency(api)
        await load.agency(api, "probes")
        bulk, probe_watch = load.ReadyWatch(api), load.ReadyWatch(api, "probes")
        watches = [asyncio.create_task(watch.run()) for watch in (bulk, probe_watch)]
        found["idle"] = await _probe(api, probe_watch, probes, "idle")

        before_writes, before_cpu = operator.writes(), cpu_seconds(plane, operator)
        started = time.perf_counter()
        creating = asyncio.create_task(load.create_all(api, load.clients(count)))
        probing = asyncio.create_task(_probe_while(api, probe_watch, bulk, count))
        await bulk.wait(lambda ready: len(ready) >= count, 60 + count * 0.5)
        found["seconds"] = max(bulk.ready_at.values()) - started
        await creating
        found["loaded"] = await probing
        await settled(operator)
        await quiet(operator)
        found["cpu"] = since(cpu_seconds(plane, operator), before_cpu)
        found["writes"] = operator.writes() - before_writes
        found["probes"] = len(found["loaded"])
        found["rss_loaded"] = operator.peak_rss_bytes()
        pool = await api.get(QUOTA_POOLS, load.AGENCY, "pool")
        found["pool_in_flight"] = len(pool["status"].get("inFlight") or ())

        if not load_only:
            await _restart(plane, operator, count, found)
            await _change_plan(api, operator, count, found)
        for watch in watches:
            watch.cancel()
    return found


async def _restart(plane: ControlPlane, operator: OperatorProcess, count: int, found: dict[str, Any]) -> None:
    console.log("restart")
    operator.stop()
    started, before = time.perf_counter(), cpu_seconds(plane)
    await asyncio.to_thread(operator.start, 120)
    await settled(operator, passes=count)
    found["restart_seconds"] = time.perf_counter() - started
    found["restart_writes"] = operator.writes()
    found["rss_restart"] = operator.peak_rss_bytes()
    found["restart_cpu"] = since(cpu_seconds(plane, operator), before)


async def _change_plan(api: Any, operator: OperatorProcess, count: int, found: dict[str, Any]) -> None:
    console.log("plan change")
    before = operator.writes()
    started = time.perf_counter()
    patch = {"spec": {"workspace": {"network": {"allowInternet": True}}}}
    await api.patch(ORG_PLANS, load.AGENCY, "standard", patch)
    await _wait_writes(operator, before + count)
    await settled(operator)
    found["plan_seconds"] = time.perf_counter() - started
    found["plan_writes"] = operator.writes() - before
    found["rss"] = operator.peak_rss_bytes()


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


async def _wait_writes(operator: OperatorProcess, least: float) -> None:
    while operator.writes() < least:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.1)


def report(count: int, floors: list[dict[str, Any]], rounds: list[dict[str, Any]]) -> str:
    """Print the table; the last line is the ratio. Several rounds: their medians, the rest of the last one."""
    found, floor = rounds[-1], floors[-1]
    seconds, floor_seconds = (statistics.median(item["seconds"] for item in items) for items in (rounds, floors))
    clients = count + found["probes"]  # those of the other agency became Ready in the same time, by the same operator
    rows = [
        ("clients", f"{count}" + (f", median of {len(rounds)} rounds" if len(rounds) > 1 else "")),
        ("floor: bare API writes", f"{floor_seconds:.1f} s, {count / floor_seconds:.1f} clients/s"),
        ("operator: all Ready, also of the other agency", f"{seconds:.1f} s, {clients / seconds:.1f} clients/s"),
        ("writes per client, floor", f"{floor['writes'] / count:.2f} (1 of them the client itself)"),
        ("writes per client, operator", f"{found['writes'] / clients:.2f} (the client itself apart)"),
        ("single client to Ready, idle", quantiles(found["idle"])),
        ("single client to Ready, under load", quantiles(found["loaded"])),
        *cpu_rows(
            median_of([item["cpu"] for item in floors]),
            median_of([item["cpu"] for item in rounds]),
            count,
            clients,
            "a client",
        ),
        *(_later_rows(found) if "plan_seconds" in found else ()),
    ]
    table = Table("measure", "value", title=f"clientorg-operator, {count} clients")
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
    return f"throughput ratio: {(clients / seconds) / (count / floor_seconds):.2f}"


def _later_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    rss = " / ".join(f"{found[name] / 1e6:.0f} MB" for name in ("rss_loaded", "rss_restart", "rss"))
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["restart_cpu"].items() if seconds >= 0.05)
    return [
        ("peak RSS: load / restart / all", rss),
        ("restart to settled", f"{found['restart_seconds']:.1f} s, {found['restart_writes']:.0f} writes"),
        ("CPU of the restart", spent),
        (
            "plan change in every workspace",
            f"{found['plan_seconds']:.1f} s, {found['plan_writes']:.0f} writes, "
            f"{found['plan_writes'] / found['plan_seconds']:.0f} writes/s",
        ),
    ]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("-n", type=int, default=1000, metavar="N", help="clients (default 1000)")
    parser.add_argument("--probes", type=int, default=30, metavar="N", help="single clients timed while idle (30)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="floor and operator in turn, medians (1)")
    parser.add_argument("--load-only", action="store_true", help="to compare CPU: neither restart nor plan change")
    parser.add_argument("--skip-floor", action="store_true", help="for profiling: no floor, the ratios are 1")
    arguments = parser.parse_args()
    floors, rounds = [], []
    for number in range(1, arguments.rounds + 1):
        if not arguments.skip_floor:
            console.log(f"floor: the bare API writes for {arguments.n} clients, on a fresh control plane")
            floors.append(measure_floor(arguments.n))
        console.log(f"operator: {arguments.n} clients, on a fresh control plane")
        load_only = arguments.load_only or number < arguments.rounds
        rounds.append(measure_operator(arguments.n, arguments.probes, load_only=load_only))
    print(report(arguments.n, floors or rounds, rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
