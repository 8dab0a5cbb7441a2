"""Everything of a client stops within 10 s, nothing new starts, and all of it runs again within 10 s (FEATURES Z6).

On simulated nodes, with the real scheduler and controllers. All workloads are written by server-side apply as another
field manager, as Argo CD writes them, and applied again before, during and after the pause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import pytest

from clientorg.cluster.resources import CRON_JOBS, JOBS, PODS
from clientorg.domain.workloads import is_finished
from tests.cluster.verbs import Agency, Client, Json, expect_never
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import DeadlineExceededError, wait_until
from tests.support.kube import Kube, RefusedError, resource_of
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

STOP_SECONDS: Final = 10
RESUME_SECONDS: Final = 10
START_SECONDS: Final = 60
"""For the simulation to bring up what a test begins with; HPAs look every 15 s."""
GITOPS: Final = "argocd-controller"


@pytest.fixture(autouse=True)
def _nodes(cluster: Cluster) -> None:
    if not cluster.capabilities.has_nodes:
        pytest.skip("this cluster has no nodes that pods could run on")


class Workloads:
    """What runs in a client's workspace, as its GitOps tool sees it."""

    def __init__(self, client: Client) -> None:
        self.kube: Kube = client.kube
        self.namespace = client.workspace
        self.manifests: list[Json] = []

    def apply(self, *manifests: Json) -> None:
        """Apply, as at each sync; a conflict raises RefusedError."""
        for manifest in manifests:
            manifest["metadata"]["namespace"] = self.namespace
            self.kube.apply(manifest, GITOPS)
            same = (manifest["kind"], _name(manifest))
            self.manifests = [it for it in self.manifests if (it["kind"], _name(it)) != same] + [manifest]

    def create(self, manifest: Json) -> None:
        """Create what is in no repository."""
        manifest["metadata"]["namespace"] = self.namespace
        self.kube.create(manifest)

    def expect_in_sync(self) -> None:
        """Applying it all again, without force, meets no conflict and would change nothing."""
        for manifest in self.manifests:
            metadata = manifest["metadata"]
            live = self.kube.get(resource_of(manifest), metadata["name"], self.namespace)
            after = self.kube.apply(manifest, GITOPS, dryRun="All")
            assert _content(after) == _content(live), f"{manifest['kind']} {metadata['name']} differs"

    def owned(self) -> dict[tuple[str, str], list[Json]]:
        """The fields that the GitOps tool owns, for each object."""
        fields: dict[tuple[str, str], list[Json]] = {}
        for manifest in self.manifests:
            name = manifest["metadata"]["name"]
            live = self.kube.get(resource_of(manifest), name, self.namespace)
            entries = [entry for entry in live["metadata"]["managedFields"] if entry["manager"] == GITOPS]
            fields[manifest["kind"], name] = [entry["fieldsV1"] for entry in entries]
        return fields

    def pods(self) -> list[Json]:
        """The pods that have not ended by themselves."""
        return [pod for pod in self.kube.list_all(PODS, self.namespace) if not is_finished(pod)]

    def running(self) -> Counter[str]:
        """Ready pods by what they belong to."""
        found: Counter[str] = Counter()
        for pod in self.pods():
            conditions = pod["status"].get("conditions", [])
            ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
            if ready and "deletionTimestamp" not in pod["metadata"]:
                found[pod["metadata"]["labels"]["app"]] += 1
        return found

    def expect_running(self, seconds: float, pods: Mapping[str, int], *, at_least: bool = False) -> None:
        """Wait until exactly this runs, or, with `at_least`, this and maybe more."""
        wanted, running = Counter(pods), self.running()

        def runs() -> bool:
            nonlocal running
            running = self.running()
            return running >= wanted if at_least else running == wanted

        try:
            wait_until(runs, seconds, f"{wanted} to run")
        except DeadlineExceededError as error:
            raise AssertionError(f"{error}; missing: {wanted - running}, too many: {running - wanted}") from error

    def expect_nothing(self, seconds: float = STOP_SECONDS) -> None:
        """Wait until there is no pod."""
        wait_until(lambda: not self.pods(), seconds, f"no pod to be there; {[_name(pod) for pod in self.pods()]}")

    def job(self, name: str) -> Json:
        """A Job."""
        return self.kube.get(JOBS, name, self.namespace)

    def suspended(self) -> set[str]:
        """The CronJobs that do not begin anything."""
        return {_name(item) for item in self.kube.list_all(CRON_JOBS, self.namespace) if item["spec"].get("suspend")}


def _name(item: Json) -> str:
    return str(item["metadata"]["name"])


def _content(item: Json) -> Json:
    """What a GitOps tool compares."""
    metadata = {key: value for key, value in item["metadata"].items() if key in ("labels", "annotations")}
    return {"metadata": metadata, "spec": item["spec"]}


def template(app: str, annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    """A pod template."""
    containers = [{"name": "main", "image": "experiment"}]
    return {
        "metadata": {"labels": {"app": app}, "annotations": annotations or {}},
        "spec": {"containers": containers, **spec},
    }


def workload(kind: str, name: str, *, api_version: str = "apps/v1", app: str = "", **spec: Any) -> Json:
    """A controller of pods that are labelled with its name, or with `app`."""
    app = app or name
    body = {"selector": {"matchLabels": {"app": app}}, "template": template(app), **spec}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": {"app": app}}, "spec": body}


def job(name: str, seconds: float, **spec: Any) -> Json:
    """A Job whose pods run for so long and succeed; one that fails fails the Job."""
    delay = {"pod-complete.stage.kwok.x-k8s.io/delay": f"{seconds:g}s"}
    body = {"backoffLimit": 0, "template": template(name, delay, restartPolicy="Never"), **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def cron_job(name: str, **spec: Any) -> Json:
    """A CronJob that is due on New Year's Eve."""
    template = {"spec": job(name, 1)["spec"]}
    body = {"schedule": "59 23 31 12 *", "jobTemplate": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": body}


def pod(name: str) -> Json:
    """A pod that no controller makes again."""
    spec = template(name)["spec"] | {"terminationGracePeriodSeconds": 3600}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def scaler(name: str, least: int) -> Json:
    """An HPA of a Deployment."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": 10}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": spec,
    }


def without_replicas(manifest: Json) -> Json:
    """What Git has of a Deployment that is scaled by another."""
    manifest["spec"].pop("replicas", None)
    return manifest


@pytest.fixture
def acme(tokyo: Agency) -> Client:
    """A client whose workspace has room for what tests run in it."""
    tokyo.plan.change(resourceQuota={"pods": "50"})
    return tokyo.ready_client()


@pytest.fixture
def workloads(acme: Client) -> Workloads:
    """What runs in its workspace; nothing so far."""
    return Workloads(acme)


def test_everything_stops_and_comes_back_as_it_was(acme: Client, workloads: Workloads) -> None:
    workloads.apply(
        without_replicas(workload("Deployment", "scaled")),
        scaler("scaled", least=3),
        workload("Deployment", "web", replicas=3),
        workload("StatefulSet", "db", replicas=2, serviceName="db"),
        workload("DaemonSet", "agent"),
        workload("ReplicaSet", "set", replicas=2),
        job("train", 3600, parallelism=2, completions=2),
        cron_job("nightly"),
        cron_job("asleep", suspend=True),
    )
    workloads.create(pod("bare"))
    everything = {"scaled": 3, "web": 3, "db": 2, "agent": 2, "set": 2, "bare": 1, "train": 2}
    workloads.expect_running(START_SECONDS, everything)
    workloads.apply(job("steps", 2, parallelism=1, completions=3))
    wait_until(lambda: workloads.job("steps")["status"].get("succeeded"), START_SECONDS, "the first of three steps")
    workloads.expect_in_sync()
    owned = workloads.owned()

    acme.edit(state="Paused")

    workloads.expect_nothing()
    acme.expect_state("Paused", "Requested")
    acme.expect_condition("PauseBlocked", "False", "Stopped")
    done = workloads.job("steps")["status"]["succeeded"]
    assert 1 <= done < 3
    assert workloads.suspended() == {"nightly", "asleep"}
    workloads.expect_in_sync()
    assert workloads.owned() == owned

    # What somebody begins meanwhile waits, or is refused.
    workloads.apply(workload("Deployment", "web", replicas=4), job("late", 3600))
    with pytest.raises(RefusedError, match="exceeded quota: clientorg-paused"):
        workloads.create(pod("other"))
    expect_never(lambda: workloads.pods(), 2.0, "a pod started during the pause")

    acme.edit(state="Active")

    everything |= {"web": 4, "late": 1}
    workloads.expect_running(RESUME_SECONDS, everything, at_least=True)
    acme.expect_state("Active")
    wait_until(lambda: workloads.job("steps")["status"].get("succeeded") == 3, START_SECONDS, "the other steps")
    for name in ("steps", "train", "late"):
        status = workloads.job(name)["status"]
        assert not status.get("failed"), status
    assert workloads.suspended() == {"asleep"}
    workloads.expect_running(START_SECONDS, everything)
    workloads.expect_in_sync()
    assert {key: workloads.owned()[key] for key in owned} == owned


@pytest.fixture
def few(workloads: Workloads) -> Counter[str]:
    """A Deployment, a bare pod, a Job and a CronJob that run; by name."""
    workloads.apply(workload("Deployment", "web", replicas=2), job("train", 3600), cron_job("nightly"))
    workloads.create(pod("bare"))
    few = Counter({"web": 2, "train": 1, "bare": 1})
    workloads.expect_running(START_SECONDS, few)
    return few


def test_crash_in_the_middle_of_a_pause_or_resume_loses_nothing(
    acme: Client, workloads: Workloads, few: Counter[str], clockwork: OperatorProcess
) -> None:
    acme.edit(state="Paused")
    wait_until(lambda: workloads.suspended(), STOP_SECONDS, "the pause to begin")
    clockwork.kill()
    clockwork.start()
    workloads.expect_nothing()
    acme.expect_state("Paused", "Requested")

    acme.edit(state="Active")
    wait_until(lambda: not workloads.suspended(), RESUME_SECONDS, "the resume to begin")
    clockwork.kill()
    clockwork.start()

    workloads.expect_running(RESUME_SECONDS, few)
    acme.expect_state("Active")
    assert not workloads.suspended()
    assert not workloads.job("train")["status"].get("failed")
    workloads.expect_in_sync()


def test_wish_that_changes_in_the_middle_is_the_one_that_counts(
    acme: Client, workloads: Workloads, few: Counter[str]
) -> None:
    for state in ("Paused", "Active", "Paused", "Active", "Paused"):
        acme.edit(state=state)
        acme.expect(lambda it: it["status"]["observedGeneration"] == it["metadata"]["generation"], "have seen it")
    acme.expect_state("Paused", "Requested")
    assert not workloads.pods()
    assert workloads.suspended() == {"nightly"}

    acme.edit(state="Active")

    workloads.expect_running(RESUME_SECONDS, few)
    acme.expect_state("Active")
    assert not workloads.suspended()
    assert not workloads.job("train")["status"].get("failed")


def test_what_is_begun_in_the_moment_of_the_pause_does_not_slip_through(acme: Client, workloads: Workloads) -> None:
    acme.edit(state="Paused")
    workloads.apply(*(workload("Deployment", f"web-{number}", replicas=2) for number in range(10)))

    workloads.expect_nothing()
    acme.expect_state("Paused", "Requested")
    expect_never(lambda: workloads.pods(), 2.0, "a pod started during the pause")


def test_cron_job_whose_suspension_git_owns_is_stopped_by_the_gate_alone(acme: Client, workloads: Workloads) -> None:
    workloads.apply(cron_job("owned", suspend=False), cron_job("free"))
    owned = workloads.owned()

    acme.edit(state="Paused")

    acme.expect_state("Paused", "Requested")
    assert workloads.suspended() == {"free"}
    workloads.apply(*workloads.manifests)
    workloads.expect_in_sync()
    acme.edit(state="Active")
    acme.expect_state("Active")
    workloads.expect_in_sync()
    assert workloads.owned() == owned


def test_pod_that_does_not_go_is_named_with_the_reason(acme: Client, workloads: Workloads) -> None:
    held = pod("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    workloads.create(held)
    workloads.expect_running(START_SECONDS, {"held": 1})

    acme.edit(state="Paused")

    acme.expect_condition("PauseBlocked", "True", "Blocked", "pod held", "example.com/hold")
    acme.expect_condition("Ready", "False", "Pausing", "example.com/hold")
    workloads.kube.merge(PODS, "held", {"metadata": {"finalizers": None}}, workloads.namespace)
    acme.expect_condition("PauseBlocked", "False", "Stopped")
    acme.expect_state("Paused", "Requested")
    acme.edit(state="Active")
    workloads.expect_running(RESUME_SECONDS, {"held": 1})
    workloads.kube.merge(PODS, "held", {"metadata": {"finalizers": None}}, workloads.namespace)
