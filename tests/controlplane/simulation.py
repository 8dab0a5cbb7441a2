"""Simulated nodes: KWOK plays the kubelet, so that pods, Jobs and everything above them run their real course.

What a test can steer is on the pod (of a template: `spec.template.metadata.annotations`):

- `pod-complete.stage.kwok.x-k8s.io/delay: 30s`: how long a Job's pod runs before it succeeds (default 1 s).
- `pod-complete.stage.kwok.x-k8s.io/exit-code: "1"`: the Job's pod fails instead.
- `pod-ready.stage.kwok.x-k8s.io/delay`, `pod-terminate.stage.kwok.x-k8s.io/delay`: the same for start and end (0 s).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .commands import POD_CIDR

NODE_PREFIX = "node-"
NODE_LEASE_SECONDS = 40  # kubelet's; renewed at a quarter, and the node-lifecycle controller waits 50 s
HEARTBEAT_MILLISECONDS = 240_000
JOB_MILLISECONDS = 1_000

_NOT_DELETED = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
_DELETED = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
_NODE_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'

_NODE_CONDITIONS = """
{{ $now := Now }}
{{ $since := or .metadata.creationTimestamp $now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $since | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
"""

_NODE_READY_STATUS = (
    _NODE_CONDITIONS
    + """
addresses:
- {address: {{ NodeIP | Quote }}, type: InternalIP}
- {address: {{ .metadata.name | Quote }}, type: Hostname}
allocatable:
{{ YAML .status.allocatable 1 }}
capacity:
{{ YAML .status.capacity 1 }}
nodeInfo:
  architecture: amd64
  bootID: ""
  containerRuntimeVersion: kwok-{{ Version }}
  kernelVersion: kwok-{{ Version }}
  kubeProxyVersion: kwok-{{ Version }}
  kubeletVersion: kwok-{{ Version }}
  machineID: ""
  operatingSystem: linux
  osImage: ""
  systemUUID: ""
phase: Running
"""
)

_POD_RUNNING_STATUS = """
{{ $now := Now }}
conditions:
{{ range $type := (list "Initialized" "PodReadyToStartContainers" "ContainersReady" "Ready") }}
- {lastTransitionTime: {{ $now | Quote }}, status: "True", type: {{ $type }}}
{{ end }}
{{ range .spec.readinessGates }}
- {lastTransitionTime: {{ $now | Quote }}, status: "True", type: {{ .conditionType | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  imageID: ""
  name: {{ .name | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- image: {{ .image | Quote }}
  imageID: ""
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  {{ if eq .restartPolicy "Always" }}
  started: true
  state: {running: {startedAt: {{ $now | Quote }}}}
  {{ else }}
  started: false
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
  {{ end }}
{{ end }}
{{ range $index, $ip := NodeIPsWith .spec.nodeName }}
{{ if eq $index 0 }}
hostIP: {{ $ip | Quote }}
hostIPs:
{{ end }}
- ip: {{ $ip | Quote }}
{{ end }}
{{ $name := or .metadata.name "" }}
{{ $namespace := or .metadata.namespace "" }}
{{ range $index, $ip := PodIPsWith .spec.nodeName (or .spec.hostNetwork false) (or .metadata.uid "") $name $namespace }}
{{ if eq $index 0 }}
podIP: {{ $ip | Quote }}
podIPs:
{{ end }}
- ip: {{ $ip | Quote }}
{{ end }}
phase: Running
startTime: {{ $now | Quote }}
"""


def _terminated(exit_code: str, reason: str, phase: str) -> str:
    """Status of a pod whose containers ended, as a kubelet reports it."""
    return f"""
{{{{ $now := Now }}}}
{{{{ $code := {exit_code} }}}}
conditions:
- {{lastTransitionTime: {{{{ $now | Quote }}}}, status: "False", type: Ready, reason: {reason}}}
- {{lastTransitionTime: {{{{ $now | Quote }}}}, status: "False", type: ContainersReady, reason: {reason}}}
containerStatuses:
{{{{ range .spec.containers }}}}
- image: {{{{ .image | Quote }}}}
  imageID: ""
  name: {{{{ .name | Quote }}}}
  ready: false
  started: false
  restartCount: 0
  state:
    terminated:
      exitCode: {{{{ $code }}}}
      reason: {{{{ if eq (printf "%v" $code) "0" }}}}Completed{{{{ else }}}}Error{{{{ end }}}}
      startedAt: {{{{ $now | Quote }}}}
      finishedAt: {{{{ $now | Quote }}}}
{{{{ end }}}}
phase: {phase}
"""


_EXIT_CODE = "pod-complete.stage.kwok.x-k8s.io/exit-code"
_FAILS = {"key": f'.metadata.annotations["{_EXIT_CODE}"] // "0"', "operator": "NotIn", "values": ["0"]}
_SUCCEEDS = {**_FAILS, "operator": "In"}


def _phase(*phases: str) -> dict[str, Any]:
    return {"key": ".status.phase", "operator": "In", "values": list(phases)}


def _stage(
    name: str, kind: str, when: list[dict[str, Any]], then: dict[str, Any], *, milliseconds: int = 0, delay: str = ""
) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": when},
        "next": then,
    }
    if milliseconds or delay:
        spec["delay"] = {"durationMilliseconds": milliseconds}
    if delay:
        annotation = f'.metadata.annotations["{delay}.stage.kwok.x-k8s.io/delay"]'
        spec["delay"]["durationFrom"] = {"expressionFrom": annotation}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _stages() -> list[dict[str, Any]]:
    not_ready = {"key": _NODE_READY, "operator": "NotIn", "values": ["True"]}
    is_ready = {"key": _NODE_READY, "operator": "In", "values": ["True"]}
    of_job = {"key": ".metadata.ownerReferences.[].kind", "operator": "In", "values": ["Job"]}
    return [
        _stage("node-initialize", "Node", [not_ready], {"statusTemplate": _NODE_READY_STATUS}),
        _stage(
            "node-heartbeat",
            "Node",
            [is_ready],
            {"statusTemplate": _NODE_CONDITIONS},
            milliseconds=HEARTBEAT_MILLISECONDS,
        ),
        _stage(
            "pod-ready",
            "Pod",
            [_NOT_DELETED, _phase("Pending"), not_ready],
            {"statusTemplate": _POD_RUNNING_STATUS},
            delay="pod-ready",
        ),
        _stage(
            "pod-complete",
            "Pod",
            [_NOT_DELETED, _phase("Running"), of_job, _SUCCEEDS],
            {"statusTemplate": _terminated("0", "PodCompleted", "Succeeded")},
            milliseconds=JOB_MILLISECONDS,
            delay="pod-complete",
        ),
        _stage(
            "pod-fail",
            "Pod",
            [_NOT_DELETED, _phase("Running"), of_job, _FAILS],
            {"statusTemplate": _terminated(f'index .metadata.annotations "{_EXIT_CODE}"', "PodFailed", "Failed")},
            milliseconds=JOB_MILLISECONDS,
            delay="pod-complete",
        ),
        # A kubelet first ends the containers and says so, then deletes the pod: Job and PDB accounting go by that.
        _stage(
            "pod-terminate",
            "Pod",
            [_DELETED, _phase("Pending", "Running")],
            {"statusTemplate": _terminated("143", "PodFailed", "Failed")},
            delay="pod-terminate",
        ),
        _stage("pod-delete", "Pod", [_DELETED, _phase("Succeeded", "Failed")], {"delete": True}),
    ]


def write_config(path: Path) -> None:
    """Write KWOK's configuration with all stages. (Its own defaults need CRDs, or the network, to get them.)"""
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "manageAllNodes": True,
            "cidr": POD_CIDR,
            "nodeIP": "127.0.0.1",
            "nodeLeaseDurationSeconds": NODE_LEASE_SECONDS,
            # With a configuration file KWOK leaves what it does not name at zero, and then refuses to start.
            "nodePlayStageParallelism": 4,
            "nodeLeaseParallelism": 4,
            "podPlayStageParallelism": 16,
            "podsOnNodeSyncParallelism": 4,
        },
    }
    path.write_text(yaml.safe_dump_all([options, *_stages()], sort_keys=False), encoding="utf-8")


def node(index: int) -> dict[str, Any]:
    """A Node object for the API: big enough that tests meet quotas before they meet the node."""
    name = f"{NODE_PREFIX}{index}"
    resources = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "5000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "type": "kwok",
            },
        },
        "status": {"capacity": resources, "allocatable": resources},
    }


def is_schedulable(node_object: dict[str, Any]) -> bool:
    """Whether the node is Ready and the node-lifecycle controller has taken its not-ready taint away."""
    conditions = node_object.get("status", {}).get("conditions", [])
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return ready and not node_object.get("spec", {}).get("taints")
