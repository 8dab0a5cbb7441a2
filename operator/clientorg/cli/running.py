"""What runs in a client's workspace, and what a pause would do to it (FEATURES Z6, Z7, X4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clientorg.cli.related import list_or_none
from clientorg.cli.table import Cell, cells, table
from clientorg.cli.text import joined, number, plural
from clientorg.domain.workloads import is_finished, is_terminating

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]

_MADE_AGAIN = "its pods are deleted; made again when the client goes on"
_KEPT = "deleted; made again when the client goes on"
_NO_RUNS = "suspended: no new runs"
_ENDING = "ends already"


@dataclass(frozen=True)
class Workload:
    """One thing that runs, or would start something.

    Attributes:
        pods: how many run now; None for what has none of its own.
        effect: what a pause does to it.
    """

    kind: str
    name: str
    pods: int | None
    effect: str


@dataclass(frozen=True)
class Running:
    """What runs in a workspace.

    Attributes:
        namespace: the workspace; empty while there is none.
        hidden: what could not be listed for lack of a right.
    """

    namespace: str
    workloads: tuple[Workload, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def pods(self) -> int:
        """All pods together."""
        return sum(item.pods or 0 for item in self.workloads)

    def document(self) -> Json:
        """For -o json."""
        items = [
            {"kind": item.kind, "name": item.name, "effect": item.effect}
            | ({} if item.pods is None else {"pods": item.pods})
            for item in self.workloads
        ]
        return {"namespace": self.namespace, "pods": self.pods, "workloads": items, "notShown": list(self.hidden)}


async def read_running(session: Session, namespace: str) -> Running:
    """What runs there, as far as the user's rights reach."""
    from clientorg.cluster.resources import CRON_JOBS, JOBS, PODS, REPLICA_SETS

    if not namespace:
        return Running("")
    pods, replica_sets, jobs, cron_jobs = await asyncio.gather(
        *(list_or_none(session, resource, namespace) for resource in (PODS, REPLICA_SETS, JOBS, CRON_JOBS))
    )
    shown = ((PODS, pods), (JOBS, jobs), (CRON_JOBS, cron_jobs))
    return Running(
        namespace,
        tuple(workloads(pods or (), replica_sets or (), jobs or (), cron_jobs or ())),
        tuple(resource.plural for resource, items in shown if items is None),
    )


def workloads(
    pods: Iterable[Json], replica_sets: Iterable[Json], jobs: Sequence[Json], cron_jobs: Iterable[Json]
) -> Iterator[Workload]:
    """What would stop, by what controls it: Deployments and the like, Jobs, CronJobs, bare pods."""
    deployments = {item["metadata"]["name"]: _controller(item) for item in replica_sets}
    running: Counter[tuple[str, str]] = Counter()
    ending: Counter[tuple[str, str]] = Counter()
    held: dict[tuple[str, str], list[str]] = {}
    for pod in pods:
        if is_finished(pod):
            continue
        owner = _owner(pod, deployments)
        (ending if is_terminating(pod) else running)[owner] += 1
        held.setdefault(owner, []).extend(pod["metadata"].get("finalizers") or ())
    known_jobs = {item["metadata"]["name"] for item in jobs}
    open_jobs = {item["metadata"]["name"]: item for item in jobs if _can_be_suspended(item)}
    for kind, name in sorted(running.keys() | ending.keys()):
        if kind == "Job" and name in open_jobs:
            continue
        effect = _KEPT if kind == "Pod" else _MADE_AGAIN if running[kind, name] else _ENDING
        if kind == "Job":  # one that ends already, or that could not be read
            effect = _ENDING if name in known_jobs else "suspended"
        yield Workload(kind, name, running[kind, name] + ending[kind, name], effect + _hold(held[kind, name]))
    for name, item in sorted(open_jobs.items()):
        hold = _hold(held.get(("Job", name), ()))
        yield Workload("Job", name, running["Job", name] + ending["Job", name], _job_effect(item) + hold)
    for item in sorted(cron_jobs, key=lambda item: str(item["metadata"]["name"])):
        if _can_be_suspended(item):
            yield Workload("CronJob", item["metadata"]["name"], None, _NO_RUNS)


def _controller(item: Json) -> tuple[str, str] | None:
    owners = item["metadata"].get("ownerReferences") or ()
    return next(((owner["kind"], owner["name"]) for owner in owners if owner.get("controller")), None)


def _owner(pod: Json, deployments: Mapping[str, tuple[str, str] | None]) -> tuple[str, str]:
    """What a person knows the pod by: the Deployment rather than its ReplicaSet; a bare pod itself."""
    owner = _controller(pod)
    if owner is None:
        return "Pod", pod["metadata"]["name"]
    return (deployments.get(owner[1]) or owner) if owner[0] == "ReplicaSet" else owner


def _can_be_suspended(item: Json) -> bool:
    """What is suspended, finished or going is left alone by a pause."""
    return not (item["spec"].get("suspend") or is_finished(item) or is_terminating(item))


def _job_effect(job: Json) -> str:
    done = (job.get("status") or {}).get("succeeded", 0)
    wanted = job["spec"].get("completions")
    kept = f" ({number(done)} of {number(wanted)})" if wanted is not None else f" ({number(done)})" if done else ""
    return f"suspended; keeps its completions{kept}"


def _hold(finalizers: Iterable[str]) -> str:
    names = list(dict.fromkeys(finalizers))
    # The Job controller's own; it releases it by itself.
    foreign = [name for name in names if name != "batch.kubernetes.io/job-tracking"]
    return f"; stays until its finalizers are released: {joined(foreign)}" if foreign else ""


def running_lines(running: Running, *, color: bool) -> Iterator[str]:
    """The table of what would stop, or why there is none."""
    if not running.namespace:
        yield "No workspace is reported yet: nothing runs."
        return
    if running.workloads:
        count = f"{plural(running.pods, 'pod')} in namespace {running.namespace}"
        yield f"What stops: {count}"
        body = [
            cells(
                f"{item.kind}/{item.name}",
                Cell("-" if item.pods is None else number(item.pods), right=True),
                item.effect,
            )
            for item in running.workloads
        ]
        yield from (f"  {line}" for line in table(["WORKLOAD", "PODS", "EFFECT"], body, color=color))
    elif not running.hidden:
        yield f"Nothing runs in namespace {running.namespace}."
    if running.hidden:
        yield f"(not shown, for lack of the right to list them there: {joined(running.hidden)})"
