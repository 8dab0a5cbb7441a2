"""What a pause would stop, from what is in the workspace (FEATURES Z6, Z7, X4)."""

from __future__ import annotations

from typing import Any

import pytest

from clientorg.cli.running import Running, running_lines, workloads

Json = dict[str, Any]

AGAIN = "made again when the client goes on"


def pod(name: str, owner: tuple[str, str] | None = None, *, phase: str = "Running", **metadata: Any) -> Json:
    """A pod."""
    owners = {"ownerReferences": [{"kind": owner[0], "name": owner[1], "controller": True}]} if owner else {}
    return {"metadata": {"name": name, **owners, **metadata}, "status": {"phase": phase}}


def job(name: str, spec: Json | None = None, status: Json | None = None, **metadata: Any) -> Json:
    """A Job or CronJob."""
    return {"metadata": {"name": name, **metadata}, "spec": spec or {}, "status": status or {}}


REPLICA_SET = pod("web-5d", ("Deployment", "web"))


def found(*pods: Json, jobs: tuple[Json, ...] = (), cron_jobs: tuple[Json, ...] = ()) -> list[tuple[Any, ...]]:
    """The rows."""
    rows = workloads(pods, [REPLICA_SET], jobs, cron_jobs)
    return [(f"{row.kind}/{row.name}", row.pods, row.effect) for row in rows]


def test_pods_are_told_by_what_a_person_made() -> None:
    rows = found(
        pod("web-5d-1", ("ReplicaSet", "web-5d")),
        pod("web-5d-2", ("ReplicaSet", "web-5d")),
        pod("old-1", ("ReplicaSet", "old")),
        pod("db-0", ("StatefulSet", "db")),
        pod("bare"),
    )
    assert rows == [
        ("Deployment/web", 2, f"its pods are deleted; {AGAIN}"),
        ("Pod/bare", 1, f"deleted; {AGAIN}"),
        ("ReplicaSet/old", 1, f"its pods are deleted; {AGAIN}"),
        ("StatefulSet/db", 1, f"its pods are deleted; {AGAIN}"),
    ]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_what_has_ended_does_not_stop(phase: str) -> None:
    assert found(pod("done", phase=phase)) == []


def test_what_ends_already_is_said() -> None:
    ending: Json = {"deletionTimestamp": "2026-11-25T09:00:00Z"}
    assert found(pod("db-0", ("StatefulSet", "db"), **ending)) == [("StatefulSet/db", 1, "ends already")]
    assert found(pod("run-1", ("Job", "run")), jobs=(job("run", **ending),)) == [("Job/run", 1, "ends already")]


def test_what_waits_for_a_finalizer_names_it() -> None:
    """The Job controller's own is no news."""
    finalizers = ["example.com/backup", "batch.kubernetes.io/job-tracking"]
    (row,) = found(pod("db-0", ("StatefulSet", "db"), finalizers=finalizers))
    assert row[2].endswith("; stays until its finalizers are released: example.com/backup")
    (row,) = found(pod("db-0", ("StatefulSet", "db"), finalizers=finalizers[1:]))
    assert "finalizers" not in row[2]


@pytest.mark.parametrize(
    ("spec", "status", "effect"),
    [
        ({}, {}, "suspended; keeps its completions"),
        ({"completions": 10}, {"succeeded": 4}, "suspended; keeps its completions (4 of 10)"),
        ({}, {"succeeded": 4}, "suspended; keeps its completions (4)"),
        ({"suspend": True}, {}, None),
        ({}, {"conditions": [{"type": "Complete", "status": "True"}]}, None),
    ],
)
def test_jobs_are_suspended(spec: Json, status: Json, effect: str | None) -> None:
    assert found(jobs=(job("run", spec, status),)) == ([("Job/run", 0, effect)] if effect else [])


def test_cron_jobs_start_nothing_new() -> None:
    rows = found(cron_jobs=(job("nightly"), job("weekly", {"suspend": True})))
    assert rows == [("CronJob/nightly", None, "suspended: no new runs")]


def test_jobs_that_could_not_be_read_are_told_by_their_pods() -> None:
    assert found(pod("run-1", ("Job", "run"))) == [("Job/run", 1, "suspended")]


@pytest.mark.parametrize(
    ("running", "text"),
    [
        (Running(""), "No workspace is reported yet: nothing runs."),
        (Running("acme-1"), "Nothing runs in namespace acme-1."),
        (Running("acme-1", (), ("pods",)), "(not shown, for lack of the right to list them there: pods)"),
    ],
)
def test_nothing_to_stop_is_said_only_where_one_could_look(running: Running, text: str) -> None:
    assert list(running_lines(running, color=False)) == [text]
