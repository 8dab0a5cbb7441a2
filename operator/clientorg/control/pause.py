"""Stops what runs in a workspace and brings it back as it was (FEATURES Z6-Z8; DESIGN section 3, Pause).

The gate (a namespace label and a ResourceQuota `pods: 0`) is part of the workspace's wanted objects and closes before
anything here runs, so that what is deleted cannot come back. Nothing is remembered outside the cluster: a suspended
Job carries its mark, a bare pod is kept as a ConfigMap, and the namespace's label says that a resume is not finished.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from clientorg.api.meta import (
    ANNOTATION_RESUMED,
    ANNOTATION_SUSPENDED,
    FIELD_MANAGER,
    LABEL_COMPONENT,
    LABEL_MANAGED_BY,
)
from clientorg.cluster.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    JOBS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from clientorg.cluster.rest import Api
from clientorg.domain.workloads import (
    desired_pods,
    is_applied_elsewhere,
    is_bare,
    is_finished,
    is_gone,
    is_terminating,
    present_pods,
    snapshot_of,
)
from clientorg.errors import AlreadyExistsError, ApiError, ConflictError, InvalidError, NotFoundError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
SNAPSHOT_COMPONENT = "paused-pod"
MOST_GRACE_SECONDS = 5
"""Pods are given at most so long to end: nothing runs 10 s after a pause (FEATURES Z6)."""
_TOUCHED: tuple[Resource, ...] = (REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS, JOBS)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What is left of a workspace's pods.

    Attributes:
        running: pods that are still there.
        blocked: of those, why one does not go: name and reason.
    """

    running: int
    blocked: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """What a resume has not brought back yet.

    Attributes:
        pods: that their controllers have to make.
        kept: bare ones that we have to make; they are known to nobody else.
    """

    pods: int
    kept: int

    def __bool__(self) -> bool:
        return bool(self.pods or self.kept)


class Pauser:
    """Stops and resumes the workloads of one workspace at a time."""

    def __init__(self, api: Api) -> None:
        self._api = api

    # -- stop ---------------------------------------------------------------------------------------------------

    async def stop(self, namespace: str) -> Stopped:
        """Suspend Jobs and CronJobs, delete pods. To be called until nothing runs; writes nothing when nothing does.

        Raises:
            ApiError: something could not be listed.
        """
        await asyncio.gather(self._suspend_all(JOBS, namespace), self._suspend_all(CRON_JOBS, namespace))
        pods = [pod for pod in await self._api.list_all(PODS, namespace) if not is_gone(pod)]
        outcomes = await asyncio.gather(*(self._stop_pod(namespace, pod) for pod in pods))
        blocked = tuple((pod["metadata"]["name"], why) for pod, why in zip(pods, outcomes, strict=True) if why)
        return Stopped(len(pods), blocked)

    async def _suspend_all(self, resource: Resource, namespace: str) -> None:
        await asyncio.gather(
            *(self._suspend(resource, namespace, item) for item in await self._api.list_all(resource, namespace))
        )

    async def _suspend(self, resource: Resource, namespace: str, item: Json) -> None:
        """Mark and suspend in one write, so that there is never a suspension whose origin is unknown.

        What its owner suspended, or has ended, is left alone. A Job is suspended in any case, because its pods could
        not be deleted otherwise without counting as failures.
        """
        metadata, spec = item["metadata"], item["spec"]
        if spec.get("suspend") or is_terminating(item) or is_finished(item):
            return
        if resource is CRON_JOBS and is_applied_elsewhere(item, FIELD_MANAGER, "suspend"):
            return  # Git says so, and would say so again; the gate holds whatever it begins
        patch: Json = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "annotations": {ANNOTATION_SUSPENDED: metadata["uid"]},
            },
            "spec": {"suspend": True},
        }
        try:
            await self._api.patch(resource, namespace, metadata["name"], patch)
        except (ConflictError, NotFoundError):
            return  # changed or gone meanwhile: the next round looks again

    async def _stop_pod(self, namespace: str, pod: Json) -> str:
        """Delete one pod; returns why it stays, or nothing."""
        metadata = pod["metadata"]
        name, uid = metadata["name"], metadata["uid"]
        grace = min(MOST_GRACE_SECONDS, pod["spec"].get("terminationGracePeriodSeconds", MOST_GRACE_SECONDS))
        if is_terminating(pod):
            finalizers = metadata.get("finalizers") or ()
            if finalizers:
                return f"its finalizers {', '.join(finalizers)} are not released"
            if metadata.get("deletionGracePeriodSeconds", 0) <= MOST_GRACE_SECONDS:
                return "it is still ending"
        elif any(owner.get("kind") == "Job" for owner in metadata.get("ownerReferences") or ()):
            return "its Job is being suspended"  # deleting it now would count as a failure of the Job
        elif is_bare(pod):
            await self._keep(namespace, pod)
        try:
            await self._api.delete(PODS, namespace, name, uid=uid, grace_seconds=grace)
        except (NotFoundError, ConflictError):
            return ""
        except ApiError as error:
            return error.message
        return "it is still ending"

    async def _keep(self, namespace: str, pod: Json) -> None:
        """Nobody would make a bare pod again but us: keep it, once, before it is deleted."""
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"clientorg-paused-pod-{pod['metadata']['uid']}",
                "namespace": namespace,
                "labels": {LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_COMPONENT: SNAPSHOT_COMPONENT},
            },
            "data": {"pod.json": orjson.dumps(snapshot_of(pod)).decode()},
        }
        try:
            await self._api.create(CONFIG_MAPS, namespace, manifest)
        except AlreadyExistsError:
            return

    # -- resume -------------------------------------------------------------------------------------------------

    async def resume(self, namespace: str, touch: str | None) -> Missing:
        """Bring everything back; returns what is still missing. To be called until that is nothing.

        Args:
            touch: another value each time, to wake the controllers with; None leaves them alone. After pods were
                refused they back off, up to 16 minutes; any change of their object makes them look again at once.
        """
        await asyncio.gather(self._unsuspend_all(JOBS, namespace), self._unsuspend_all(CRON_JOBS, namespace))
        kept, missing = await self._restore_pods(namespace), 0
        for resource in _TOUCHED:
            items = [item for item in await self._api.list_all(resource, namespace) if not is_terminating(item)]
            short = [item for item in items if desired_pods(item) > present_pods(item)]
            missing += sum(desired_pods(item) - present_pods(item) for item in short)
            if touch is not None:
                await asyncio.gather(*(self._touch(resource, namespace, item, touch) for item in short))
        return Missing(missing, kept)

    async def _unsuspend_all(self, resource: Resource, namespace: str) -> None:
        items = await self._api.list_all(resource, namespace)
        await asyncio.gather(*(self._unsuspend(resource, namespace, item) for item in items))

    async def _unsuspend(self, resource: Resource, namespace: str, item: Json) -> None:
        """Only what carries our mark, and only if it is still the object that we marked."""
        metadata = item["metadata"]
        mark = (metadata.get("annotations") or {}).get(ANNOTATION_SUSPENDED)
        if mark is None:
            return
        patch: Json = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "annotations": {ANNOTATION_SUSPENDED: None},
            }
        }
        if mark == metadata["uid"]:
            patch["spec"] = {"suspend": False}
        try:
            await self._api.patch(resource, namespace, metadata["name"], patch)
        except (ConflictError, NotFoundError):
            return

    async def _restore_pods(self, namespace: str) -> int:
        """Make the bare pods again; returns how many could not be made yet."""
        selector = f"{LABEL_COMPONENT}={SNAPSHOT_COMPONENT},{LABEL_MANAGED_BY}={FIELD_MANAGER}"
        kept = await self._api.list_all(CONFIG_MAPS, namespace, label_selector=selector)
        outcomes = await asyncio.gather(*(self._restore_pod(namespace, item) for item in kept))
        return sum(1 for restored in outcomes if not restored)

    async def _restore_pod(self, namespace: str, kept: Json) -> bool:
        try:
            pod = orjson.loads(kept["data"]["pod.json"])
            name = pod["metadata"]["name"]
        except (KeyError, TypeError, ValueError):  # the client's own, or changed by it: no snapshot of ours
            logger.warning("ConfigMap %s/%s is no snapshot of a pod", namespace, kept["metadata"]["name"])
            return True
        try:
            await self._api.create(PODS, namespace, pod)
        except AlreadyExistsError:
            found = await self._api.get(PODS, namespace, name)
            if is_terminating(found):
                return False  # the old one has not gone yet
        except InvalidError as error:  # nobody can make it again; the ConfigMap stays for its owner
            logger.warning("pod %s/%s cannot be made again: %s", namespace, name, error)
            return True
        except ApiError as error:  # the quota's cache is a moment behind
            logger.info("pod %s/%s not made yet: %s", namespace, name, error)
            return False
        await self._delete_quietly(CONFIG_MAPS, namespace, kept["metadata"]["name"])
        return True

    async def _touch(self, resource: Resource, namespace: str, item: Json, value: str) -> None:
        patch = {"metadata": {"annotations": {ANNOTATION_RESUMED: value}}}
        try:
            await self._api.patch(resource, namespace, item["metadata"]["name"], patch)
        except NotFoundError:
            return

    async def _delete_quietly(self, resource: Resource, namespace: str, name: str) -> None:
        try:
            await self._api.delete(resource, namespace, name)
        except NotFoundError:
            return


def explain(blocked: Iterable[tuple[str, str]], most: int = 5) -> str:
    """What does not stop and why, for the condition PauseBlocked."""
    items = list(blocked)
    text = "; ".join(f"pod {name}: {why}" for name, why in items[:most])
    return text + (f"; and {len(items) - most} more" if len(items) > most else "")
