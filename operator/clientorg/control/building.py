"""Builds a client's workspace with its part of the plan's blueprint, and keeps record of what was made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clientorg.api.conditions import Reason
from clientorg.api.rollout import MAX_RECORDED_OBJECTS
from clientorg.control.children import ChildKey
from clientorg.control.clientobject import Client
from clientorg.control.clientpass import Surroundings
from clientorg.control.clientstatus import StatusWriter
from clientorg.control.gather import org_of
from clientorg.control.objects import Plan
from clientorg.control.rollouts import Part
from clientorg.control.workspaces import Outcome, Wanted
from clientorg.domain.client_facts import Problem
from clientorg.domain.rollout import FINAL_REASONS, Share
from clientorg.domain.workspace import Child, render_blueprint
from clientorg.errors import PlanError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Built:
    """How building went.

    Attributes:
        client: in the version that it has now.
        before: its status, decoded.
        blueprint: what the workspace has of the blueprint, for status.
    """

    client: Client
    before: Json
    outcome: Outcome
    blueprint: Json | None


class Builder:
    """Builds workspaces."""

    def __init__(self, surroundings: Surroundings, writer: StatusWriter) -> None:
        self._with = surroundings
        self._writer = writer

    async def build(self, client: Client, before: Json, plan: Plan, *, closed: bool, forced: bool) -> Built | None:
        """Bring the workspace to what the plan says, or said. None while nobody has looked at the plan's blueprint: its
        pass asks for another one here.

        Raises:
            ApiError: something could not be read, or the record not be written.
            UnreachableError: no answer.
        """
        rollouts = self._with.rollouts
        if forced:
            rollouts.again(client, plan)
        part = rollouts.part_of(client, plan)
        if part.share is Share.WAIT:
            return None
        try:
            children = render_blueprint(part.source, org_of(client)) if part.source is not None else None
        except PlanError as error:
            outcome = Outcome(
                established=self._with.workspaces.exists(client.namespace),
                problem=Problem(Reason.BLUEPRINT_INVALID, str(error)),
            )
            return self._told(client, before, plan, part, outcome, blueprint_of(before))
        client, before = await self._write_ahead(client, before, children or ())
        recorded = _recorded(before)
        wanted = Wanted(children, recorded, part.share is Share.CHANGE, closed)
        was_there = self._with.workspaces.exists(client.namespace)
        outcome = await self._with.workspaces.bring(org_of(client), plan.template, wanted, forced=forced)
        if outcome.problem is not None and not was_there and self._with.workspaces.exists(client.namespace):
            rollouts.moved(client)  # its plan counts it from now on; what it has of the blueprint does not change
        record = blueprint_of(before)
        if children is not None and outcome.provisioned and outcome.changing is None:
            record = _record(part.revision, client.plan, (child.key for child in children))
        return self._told(client, before, plan, part, outcome, record)

    async def _write_ahead(self, client: Client, before: Json, children: Iterable[Child]) -> tuple[Client, Json]:
        """Write down what is going to be made before it is: after a crash nobody else would know that it is ours."""
        recorded, wanted = _recorded(before), {child.key for child in children}
        if wanted <= recorded:
            return client, before
        every = wanted | set(sorted(recorded)[: MAX_RECORDED_OBJECTS - len(wanted)])
        workspace = {"blueprint": _record(client.blueprint, (blueprint_of(before) or {}).get("plan"), every)}
        client = await self._writer.note(client, {"workspace": workspace})
        return client, client.status

    def _told(
        self, client: Client, before: Json, plan: Plan, part: Part, outcome: Outcome, record: Json | None
    ) -> Built:
        if part.share is Share.CHANGE:
            problem = outcome.problem or outcome.changing
            final = problem is not None and problem.reason in FINAL_REASONS
            self._with.rollouts.tell(client, plan, problem, final=final)
        if outcome.problem is None and part.failure is not None:
            outcome = replace(outcome, provisioned=False, problem=part.failure)
        if outcome.problem is None and part.share is Share.LEAVE and _is_of_another_plan(client, before):
            turn = f"its turn to change to the blueprint of OrgPlan {client.plan!r} comes soon"
            outcome = replace(outcome, provisioned=False, problem=Problem(Reason.ROLLING_OUT, turn))
        return Built(client, before, outcome, record)


def blueprint_of(status: Mapping[str, Any]) -> Json | None:
    """What the status remembers of the blueprint."""
    found: Json | None = (status.get("workspace") or {}).get("blueprint")
    return found


def _recorded(status: Mapping[str, Any]) -> frozenset[ChildKey]:
    texts = (blueprint_of(status) or {}).get("objects") or ()
    return frozenset((kind, name) for kind, _, name in (text.partition("/") for text in texts))


def _is_of_another_plan(client: Client, status: Mapping[str, Any]) -> bool:
    """Whether the workspace has the blueprint of the client's former plan: its own spec is not carried out yet."""
    return bool((blueprint_of(status) or {}).get("plan", client.plan) != client.plan)


def _record(revision: str | None, plan: str | None, keys: Iterable[ChildKey]) -> Json:
    record = {"revision": revision, "plan": plan, "objects": sorted(f"{kind}/{name}" for kind, name in keys)}
    return {name: value for name, value in record.items() if value is not None}
