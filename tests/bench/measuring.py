"""What the benchmarks measure with."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from tests.controlplane import ControlPlane
from tests.support.install import install
from tests.support.process import OperatorProcess


@contextmanager
def fresh_plane() -> Iterator[ControlPlane]:
    """A control plane of its own, with everything installed but the operator."""
    with ControlPlane() as plane:
        install(plane.kubectl, plane.kubeconfig)
        yield plane


Cpu = dict[str, float]
"""CPU seconds by process."""
OPERATOR, OURSELVES = "operator", "load generator"


def cpu_seconds(plane: ControlPlane, operator: OperatorProcess | None = None) -> Cpu:
    """CPU time so far of each process of the control plane, of the operator, and of this process: in the floor it is
    the loop, beside the operator it creates the clients and watches them become Ready."""
    pids = {**plane.pids, **({OPERATOR: operator.pid} if operator is not None else {}), OURSELVES: os.getpid()}
    return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in pids.items()}


def since(after: Cpu, before: Cpu) -> Cpu:
    """What was spent in between."""
    return {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}


def median_of(rounds: Sequence[Cpu]) -> Cpu:
    """The median of each process over several rounds."""
    return {name: statistics.median(cpu[name] for cpu in rounds) for name in rounds[0]}


def cpu_rows(floor: Cpu, found: Cpu, floor_count: int, count: int, what: str) -> list[tuple[str, str]]:
    """Rows of a table: CPU of each process for one client or charge, in the floor and with the operator."""
    rows = []
    for name in [*(name for name in found if name not in (OPERATOR, OURSELVES)), OPERATOR, OURSELVES]:
        left, right = floor.get(name, 0.0) / floor_count * 1000, found[name] / count * 1000
        if max(left, right) >= 0.05:
            rows.append((f"CPU {what}: {name}", f"floor {left:.1f} ms, operator {right:.1f} ms"))
    left, right = sum(floor.values()) / floor_count * 1000, sum(found.values()) / count * 1000
    total = f"floor {left:.1f} ms, operator {right:.1f} ms; ratio {left / right:.2f}"
    return [*rows, (f"CPU {what}: everything", total)]


async def settled(operator: OperatorProcess, passes: float = 0) -> None:
    """Until the queue is empty and stays so for a moment, after at least so many passes over clients."""
    quiet = 0
    while quiet < 3:
        values = operator.metrics()
        done = sum(v for k, v in values.items() if k.startswith('clientorg_reconcile_total{kind="ClientOrg"'))
        depths = ("depth", "running", "delayed")
        busy = sum(values[f"clientorg_workqueue_{depth}"] for depth in depths)
        quiet = quiet + 1 if not busy and done >= passes and values["clientorg_synced"] else 0
        await asyncio.sleep(0.1)


async def quiet(operator: OperatorProcess) -> None:
    """Until nothing was written for two seconds: Events are posted behind the work."""
    before, last = operator.writes(), time.perf_counter()
    while time.perf_counter() - last < 2:
        await asyncio.sleep(0.2)
        now = operator.writes()
        if now != before:
            before, last = now, time.perf_counter()


def quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {statistics.median(ordered) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms ({len(ordered)} clients)"
