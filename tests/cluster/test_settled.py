"""When nothing changes nothing is written, also after a restart (FEATURES X1; DESIGN section 3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from clientorg.cluster.resources import ORG_PLANS
from tests.cluster.audits import Audit
from tests.cluster.operators import expect_idle
from tests.cluster.test_drift import SITE, WELCOME
from tests.cluster.verbs import Agency, Client, expect_never, expect_tidy
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support.kube import Json, Kube
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster

WINDOW_SECONDS = 30.0


@pytest.fixture
def audit(cluster: Cluster, api: Kube) -> Audit:
    """The operator's writes, once what earlier tests left behind is gone."""
    log: Path | None = getattr(cluster, "audit_log", None)
    if log is None:
        pytest.skip("this cluster has no audit log that can be read")

    expect_tidy(api)
    return Audit(log)


@pytest.fixture(scope="module")
def settled(kyoto: Agency) -> list[Client]:
    """Clients in every state that lasts: Ready, waiting in the queue, Stalled; with admins and a blueprint."""
    links = [{"name": "help", "url": "https://docs.example/$(orgID)"}]
    kyoto.plan.change(
        urlTemplate="https://portal.example/$(orgID)",
        access={"agency": [{"name": "kyoto-admins"}], "support": [{"name": "kyoto-support"}]},
        portal={"menus": [{"name": "billing"}], "links": links},
        network={"allowInternet": True, "allowIngressFrom": ["ingress"]},
        resourceQuota={"requests.cpu": "0.5", "limits.memory": "1024Mi", "pods": "010"},
        limits={"default": {"cpu": "1000m", "memory": "1e9"}, "max": {"cpu": "4"}},
        blueprint=[SITE, WELCOME, *MORE],
    )
    kyoto.new_plan("broken", blueprint=[BROKEN])
    ready = [kyoto.client(f"ready-{n}", admins=[{"name": f"{n}@example.com", "role": "Full"}]) for n in range(5)]
    waiting = [kyoto.client(f"waiting-{n}", licenses={"visitors": 5000}) for n in range(3)]
    stalled = {
        "PoolNotFound": kyoto.client("no-pool", pool="none"),
        "PlanNotFound": kyoto.client("no-plan", plan="none"),
        "LicenseUnknown": kyoto.client("no-license", licenses={"seats": 1}),
        "BlueprintInvalid": kyoto.client("no-blueprint", plan="broken"),
    }
    kyoto.expect_all_ready(ready)
    for position, client in enumerate(waiting, 1):
        client.expect_pending(position)
    for reason, client in stalled.items():
        client.expect_stalled(reason)
    wait_until(lambda: _members(kyoto, "broken") == 1, 60, "the plan to count the workspace that it could not furnish")
    return [*ready, *waiting, *stalled.values()]


def _members(agency: Agency, plan: str) -> int:
    status: Json = agency.kube.get(ORG_PLANS, plan, agency.name).get("status") or {}
    return int((status.get("blueprint") or {}).get("clients", 0))


BROKEN = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "site"},
    "spec": {"selector": {"matchLabels": {"app": "one"}}, "template": {"metadata": {"labels": {"app": "two"}}}},
}
# Kinds whose fields the API server and the controllers fill in after the operator wrote them.
MORE = [
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "site"},
        "spec": {"selector": {"app": "site"}, "ports": [{"port": 80}]},
    },
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}},
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "first-steps"},
        "spec": {
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none.example/a"}]},
            },
        },
    },
    {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {
            "schedule": "0 3 * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [
                                {
                                    "name": "main",
                                    "image": "none.example/a",
                                    "resources": {"requests": {"cpu": "0.1", "memory": "1024Mi"}},
                                }
                            ],
                        }
                    }
                }
            },
        },
    },
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
    },
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "site"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "site"}}},
    },
    {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "site"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "site"},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ],
        },
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "site"},
        "spec": {"defaultBackend": {"service": {"name": "site", "port": {"number": 80}}}},
    },
]


def test_nobody_is_tried_in_vain(audit: Audit, settled: list[Client], operator: OperatorProcess) -> None:
    """Stalled and waiting clients are looked at when something changes, and no retry is planned (DESIGN rule 9)."""
    expect_idle(operator)
    before = passes(operator)

    expect_never(lambda: passes(operator) != before, 3, "a pass without a change")


def passes(operator: OperatorProcess) -> float:
    """Passes over clients so far."""
    return sum(
        value
        for name, value in operator.metrics().items()
        if name.startswith('clientorg_reconcile_total{kind="ClientOrg"')
    )


def test_settled_system_writes_nothing(audit: Audit, settled: list[Client], operator: OperatorProcess) -> None:
    """Not for 30 s, not when the caches are audited, and not after a restart. Only the Lease is renewed."""
    expect_idle(operator)
    audit.rewind()
    expect_never(audit.writes, WINDOW_SECONDS, "the settled operator to write")

    operator.stop()
    audit.rewind()
    operator.start()
    expect_idle(operator)
    expect_never(audit.writes, WINDOW_SECONDS / 2, "the restarted operator to write")


def test_what_changes_nothing_in_the_workspace_writes_one_status(
    audit: Audit, settled: list[Client], operator: OperatorProcess
) -> None:
    """The answer to a requested full pass, or the new observedGeneration; and no more."""
    acme = settled[0]
    path = f"patch /apis/clientorg.dev/v1alpha1/namespaces/{acme.namespace}/clientorgs/{acme.name}/status"
    changes: list[Json] = [{"contact": {"phone": "+81 3 1234 5678"}}, {"tags": ["vip"]}, {"industry": "Retail"}]
    for number, change in enumerate([{}, *changes]):
        expect_idle(operator)
        audit.rewind()
        if change:
            acme.edit(**change)
            acme.expect_ready()
        else:
            acme.ask_for_reconcile("today")
            acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "today", "answer")
        expect_idle(operator)

        (written,) = audit.writes()
        assert written.startswith(path), number
