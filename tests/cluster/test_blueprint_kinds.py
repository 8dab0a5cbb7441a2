"""Every kind that a blueprint may hold, from its first object to its last (FEATURES A5; DESIGN rule 11)."""

from __future__ import annotations

from functools import partial

import pytest

from clientorg.api.meta import ANNOTATION_RECONCILE
from clientorg.api.orgplan import BLUEPRINT_KINDS
from clientorg.cluster.resources import CLIENT_ORGS, Resource, resource_of
from tests.cluster.verbs import Agency, Client
from tests.controlplane.waiting import wait_until
from tests.support.kube import Json, Kube

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

LABELS = {"app": "kit"}
CONTAINERS = [{"name": "main", "image": "none.example/a"}]
POD: Json = {"metadata": {"labels": LABELS}, "spec": {"containers": CONTAINERS}}
JOB: Json = {"template": {"metadata": {"labels": LABELS}, "spec": {"containers": CONTAINERS, "restartPolicy": "Never"}}}
PORT = {"name": "kit", "port": {"number": 80}}
SPECS: dict[str, Json] = {
    "ConfigMap": {"data": {"text": "hello"}},
    "Service": {"spec": {"selector": LABELS, "ports": [{"port": 80}]}},
    "ServiceAccount": {"automountServiceAccountToken": False},
    "PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "Deployment": {"spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": POD}},
    "StatefulSet": {
        "spec": {
            "replicas": 1,
            "serviceName": "kit",
            "selector": {"matchLabels": {"app": "set"}},
            "template": {**POD, "metadata": {"labels": {"app": "set"}}},
        }
    },
    "CronJob": {"spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": JOB}}},
    "Job": {"spec": JOB},
    "HorizontalPodAutoscaler": {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kit"},
            "minReplicas": 1,
            "maxReplicas": 2,
        }
    },
    "PodDisruptionBudget": {"spec": {"minAvailable": 0, "selector": {"matchLabels": LABELS}}},
    "Ingress": {"spec": {"defaultBackend": {"service": PORT}}},
}


def is_gone(client: Client, resource: Resource) -> bool:
    """Whether the workspace has no such object any more."""
    return not client.has(resource, "kit")


def test_objects_of_every_kind_are_made_looked_at_and_pruned(tokyo: Agency, api: Kube) -> None:
    """With an empty blueprint everything of it goes again, and nothing else."""
    blueprint = [
        {"apiVersion": version, "kind": kind, "metadata": {"name": "kit"}, **SPECS[kind]}
        for version, kind in BLUEPRINT_KINDS
    ]
    resources = [resource_of(item) for item in blueprint]
    tokyo.plan.change(blueprint=blueprint)
    acme = tokyo.ready_client()
    for resource in resources:
        acme.expect_child(resource, "kit")

    annotation = {ANNOTATION_RECONCILE: "every-object"}
    api.merge(CLIENT_ORGS, "acme", {"metadata": {"annotations": annotation}}, tokyo.name)
    acme.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "every-object", "have been looked at")
    acme.expect_ready()

    tokyo.plan.change(blueprint=[])

    for resource in resources:
        wait_until(partial(is_gone, acme, resource), 60, f"{resource.kind} to be gone")
    acme.expect_ready()
