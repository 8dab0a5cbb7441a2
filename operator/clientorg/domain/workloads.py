"""What a pause has to know of pods and their controllers. Pure."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

ROLLING_KINDS: Final = ("Deployment", "StatefulSet")
"""Kinds whose pods are replaced by and by when their spec changes."""
_SERVER_METADATA = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


def is_terminating(item: Json) -> bool:
    """Whether the object is being deleted."""
    return "deletionTimestamp" in item["metadata"]


def is_finished(item: Json) -> bool:
    """Whether a pod or Job has ended by itself."""
    status = item.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    return any(
        condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )


def is_gone(pod: Json) -> bool:
    """Whether nothing of the pod is left to wait for; one that has ended may be held by its finalizers."""
    return is_finished(pod) and not (is_terminating(pod) and pod["metadata"].get("finalizers"))


def is_applied_elsewhere(item: Json, manager: str, field: str) -> bool:
    """Whether somebody else states that field of the spec by server-side apply, as GitOps tools do.

    Only `Apply` says so: whoever creates an object by `Update` also owns the defaults that the server filled in.
    """
    return any(
        entry.get("operation") == "Apply"
        and entry.get("manager") != manager
        and f"f:{field}" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in item["metadata"].get("managedFields") or ()
    )


def is_bare(pod: Json) -> bool:
    """Whether no controller would make the pod again."""
    return not any(owner.get("controller") for owner in pod["metadata"].get("ownerReferences") or ())


def snapshot_of(pod: Json) -> Json:
    """A bare pod as it can be created again: without what the server and the scheduler added."""
    metadata = {name: value for name, value in pod["metadata"].items() if name not in _SERVER_METADATA}
    spec = {name: value for name, value in pod["spec"].items() if name != "nodeName"}
    # The token's volume is added anew by the ServiceAccount admission plugin.
    tokens = {volume["name"] for volume in spec.get("volumes") or () if volume["name"].startswith("kube-api-access-")}
    if tokens:
        spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in tokens]
        for group in ("containers", "initContainers"):
            for container in spec.get(group) or ():
                mounts = [mount for mount in container.get("volumeMounts") or () if mount["name"] not in tokens]
                container["volumeMounts"] = mounts
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def desired_pods(item: Json) -> int:
    """How many pods a ReplicaSet, StatefulSet, DaemonSet or Job wants now."""
    spec, status = item["spec"], item.get("status") or {}
    if "desiredNumberScheduled" in status:  # DaemonSet
        return int(status["desiredNumberScheduled"])
    if "replicas" in spec:  # ReplicaSet, StatefulSet
        return int(spec["replicas"])
    if spec.get("suspend") or is_finished(item):
        return 0
    if "parallelism" in spec or "completions" in spec:  # Job
        left = int(spec.get("completions") or spec.get("parallelism") or 1) - int(status.get("succeeded", 0))
        return max(0, min(int(spec.get("parallelism", 1)), left))
    return 0


def present_pods(item: Json) -> int:
    """How many pods it has."""
    status = item.get("status") or {}
    if "desiredNumberScheduled" in status:
        return int(status.get("currentNumberScheduled", 0))
    if "replicas" in item["spec"]:
        return int(status.get("replicas", 0))
    return int(status.get("active", 0))


def is_available(item: Json) -> bool:
    """Whether a Deployment or StatefulSet runs what its spec says, in all its pods (as `kubectl rollout status`)."""
    spec, status = item["spec"], item.get("status") or {}
    if int(status.get("observedGeneration", 0)) < item["metadata"]["generation"]:
        return False
    replicas = int(spec.get("replicas", 1))
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return int(status.get("availableReplicas", 0)) >= replicas  # nobody but the client updates the pods
    updated, available = int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0))
    is_whole = status.get("currentRevision") == status.get("updateRevision")  # a StatefulSet; absent in a Deployment
    partition = int(((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0))
    if partition:
        return updated >= replicas - partition and available >= replicas
    old = int(status.get("replicas", 0)) - updated if item["kind"] == "Deployment" else 0
    return (updated >= replicas or is_whole) and old <= 0 and available >= replicas


def gave_up(item: Json) -> str | None:
    """Why Kubernetes waits no longer for a Deployment to come up; None while it does."""
    for condition in (item.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("message") or "its progress deadline is exceeded")
    return None
