"""Whether the workloads that a blueprint has changed have come up."""

from __future__ import annotations

from collections.abc import Sequence

from clientorg.api.conditions import Reason
from clientorg.cluster.resources import resource_of
from clientorg.cluster.rest import Api
from clientorg.domain.client_facts import Problem
from clientorg.domain.workloads import ROLLING_KINDS, gave_up, is_available
from clientorg.domain.workspace import Child
from clientorg.errors import NotFoundError


async def unavailable(api: Api, namespace: str, blueprint: Sequence[Child]) -> Problem | None:
    """What is not available yet of a blueprint's Deployments and StatefulSets; BlueprintInvalid where Kubernetes has
    given up on one. None when all are.

    Raises:
        ApiError: something could not be read.
        UnreachableError: no answer.
    """
    late = None
    for child in blueprint:
        if child.kind not in ROLLING_KINDS:
            continue
        try:
            found = await api.get(
                resource_of({"apiVersion": child.api_version, "kind": child.kind}), namespace, child.name
            )
        except NotFoundError:
            return Problem(Reason.ROLLING_OUT, f"{child.kind} {child.name} is not there any more")
        given_up = gave_up(found)
        if given_up:
            return Problem(Reason.BLUEPRINT_INVALID, f"{child.kind} {child.name}: {given_up}")
        if late is None and not is_available(found):
            late = Problem(Reason.ROLLING_OUT, f"{child.kind} {child.name} is not available yet")
    return late
