"""How a changed blueprint reaches the workspaces of a plan, and how far it is (FEATURES A5)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, WithJsonSchema

from clientorg.api.base import LIST_ATOMIC, PRESERVE, ApiModel, Timestamp, cel, list_map

MAX_BLUEPRINT_OBJECTS: Final = 32
MAX_BLUEPRINT_BYTES: Final = 512 * 1024
"""Of a blueprint as JSON: with its copy in the status, a plan stays within the 1.5 MiB that etcd takes."""
MAX_IN_PROGRESS: Final = 100
"""Workspaces that change at once, however many the plan allows: their names stand in the plan's status."""
MAX_FAILURES: Final = 100
MAX_RECORDED_OBJECTS: Final = 512
"""Of one workspace: those of sixteen blueprints, of which none could be carried out whole and none repeats a name."""

_MAX_UNAVAILABLE: Final[dict[str, Any]] = {
    "x-kubernetes-int-or-string": True,
    "maxLength": 4,
    "x-kubernetes-validations": [
        cel(
            "type(self) == int ? int(self) >= 1 && int(self) <= 100000 : string(self).matches('^(100|[1-9][0-9]?)%$')",
            "must be a number of workspaces from 1, or a share of them from '1%' to '100%'",
        )
    ],
}


class Rollout(ApiModel):
    """How fast a changed blueprint goes out."""

    max_unavailable: Annotated[int | str, WithJsonSchema(_MAX_UNAVAILABLE)] = Field(
        default="10%",
        description="Workspaces that may be changing at once, as a number or as a share of them that is rounded up. "
        "The first one goes alone. Absent means 10%.",
    )
    progress_deadline_seconds: Annotated[int, Field(ge=5, le=86400)] = Field(
        default=600,
        description="Within so many seconds a workspace has to have the new objects, and their Deployments and "
        "StatefulSets to be available; else the change stops. Absent means 600.",
    )


class Change(ApiModel):
    """A workspace that is changing now."""

    client: Annotated[str, Field(max_length=63)] = Field(description="Name of the client.")
    since: Timestamp = Field(description="When its change began.")


class ChangeFailure(ApiModel):
    """A workspace that could not be changed. It has what it had before."""

    client: Annotated[str, Field(max_length=63)] = Field(description="Name of the client.")
    message: Annotated[str, Field(max_length=1024)] = Field(description="The object and why it was refused.")
    stops: bool = Field(
        default=False, description="Whether no other workspace is changed; not for what is this client's alone."
    )
    time: Timestamp = Field(description="When it failed.")


class BlueprintStatus(ApiModel):
    """How far the plan's blueprint is."""

    revision: Annotated[str, Field(max_length=32)] = Field(
        description="Digest of the blueprint that went through last. New workspaces get it, and those that could not "
        "be changed keep it."
    )
    objects: Annotated[
        list[Annotated[dict[str, Any], Field(json_schema_extra=PRESERVE)]],
        Field(max_length=MAX_BLUEPRINT_OBJECTS, json_schema_extra=LIST_ATOMIC),
    ] = Field(default=[], description="That blueprint, as it stood in the spec.")
    target: Annotated[str, Field(max_length=32)] = Field(
        description="Digest of the blueprint that workspaces are changed to; equal to revision when all are."
    )
    clients: int = Field(default=0, description="Workspaces of the plan.", json_schema_extra={"format": "int64"})
    updated: int = Field(
        default=0, description="Workspaces that have the target.", json_schema_extra={"format": "int64"}
    )
    progress: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="updated/clients, for kubectl get. Absent where the blueprint is and was empty."
    )
    in_progress: Annotated[list[Change], Field(max_length=MAX_IN_PROGRESS, json_schema_extra=list_map("client"))] = (
        Field(default=[], description="Workspaces that are changing now.")
    )
    failures: Annotated[list[ChangeFailure], Field(max_length=MAX_FAILURES, json_schema_extra=list_map("client"))] = (
        Field(
            default=[],
            description="Workspaces that could not be changed. They are tried again after a change of the blueprint, "
            "or when a pass over that client is asked for (kubectl clientorg reconcile).",
        )
    )


__all__ = ["BlueprintStatus", "Change", "ChangeFailure", "Rollout"]
