"""One pass over one plan: who of its clients changes to a new blueprint now, and its status.

What else a plan changes in workspaces is done by the clients' passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from clientorg.api.conditions import ConditionType, Reason
from clientorg.cluster.events import Happening, Records, Regarding
from clientorg.cluster.resources import ORG_PLANS
from clientorg.cluster.rest import Api
from clientorg.control.clock import Clock
from clientorg.control.objects import Name, Plan
from clientorg.control.rollouts import Rollouts, is_too_large
from clientorg.control.store import Store
from clientorg.domain.conditions import State, false, merge, true
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.rollout import EMPTY, Record, advance, record_json, story
from clientorg.domain.timestamps import rfc3339, rfc3339_micro

Json = dict[str, Any]
_LOOK_SECONDS = 5.0
"""A plan whose workspaces are changing is looked at so often, for those that take too long."""


class PlanReconciler:
    """Keeps the plans' status.

    Args:
        seen: takes in what was written.
        again: asks for another pass after so many seconds.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        clock: Clock,
        rollouts: Rollouts,
        events: Records,
        seen: Callable[[Json], None],
        again: Callable[[Name, float], None],
    ) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._rollouts = rollouts
        self._events = events
        self._seen = seen
        self._again = again

    async def reconcile(self, name: Name) -> None:
        """One pass. Raises ApiError and UnreachableError."""
        plan = self._store.plans.get(name)
        if plan is None:
            return
        now, news, members = self._clock.now(), self._rollouts.news(name), self._rollouts.members(name)
        workspace, too_large = plan.template.spec.workspace, is_too_large(plan)
        record = plan.blueprint
        if too_large is None:
            record = advance(record, workspace.blueprint, members, news, workspace.rollout, now)
        status: Json = {"observedGeneration": plan.generation, "clients": self._store.count_of_plan(name)}
        if record is not None:
            status["blueprint"] = record_json(record, members)
        states = _states(record, status, too_large)
        status["conditions"] = merge(plan.status.get("conditions") or (), states, plan.generation, rfc3339(now))
        patch = merge_patch(plan.status, status)
        if patch:
            body = {"metadata": {"resourceVersion": str(plan.version)}, "status": patch}
            self._seen(await self._api.patch(ORG_PLANS, *name, body, subresource="status"))
        if record is not None:
            self._rollouts.heard(name, news, record)
            self._tell(plan, record, status, now)
            if record.changing:
                self._again(name, _LOOK_SECONDS)

    def _tell(self, plan: Plan, record: Record, status: Json, now: datetime) -> None:
        """An Event when a blueprint begins to go out, when that stops, and when it is everywhere."""
        before = plan.blueprint
        if before is None or before.target == before.revision == EMPTY == record.target:
            return
        if before.target != record.target and not record.is_proven:
            self._event(plan, "Normal", "RolloutStarted", story(record, status["blueprint"]), record, now)
        if record.stopped_by is not None and before.stopped_by is None:
            self._event(plan, "Warning", "RolloutStopped", _stopped(record, status["blueprint"]), record, now)
        if record.is_proven and before.revision != record.revision:
            self._event(plan, "Normal", "RolloutComplete", story(record, status["blueprint"]), record, now)

    def _event(self, plan: Plan, kind: Any, reason: str, note: str, record: Record, now: datetime) -> None:
        about = Regarding("OrgPlan", *plan.name, plan.uid)
        once = f"{record.target}/{plan.generation}/{rfc3339_micro(now)}"
        self._events.record(Happening(about, kind, reason, "Reconcile", note, once, rfc3339_micro(now)))


def _states(record: Record | None, status: Json, too_large: str | None) -> Sequence[State]:
    """Ready, Reconciling and Stalled (kstatus)."""
    if too_large is not None:
        return _stuck(too_large)
    if record is None or record.is_proven:
        others = ", ".join(sorted(record.failures)) if record is not None else ""
        note = f"; but its blueprint could not be brought to {others}: see their conditions" if others else ""
        return (
            true(ConditionType.READY, Reason.ACCEPTED, f"workspaces follow this plan{note}"),
            false(ConditionType.RECONCILING, Reason.ACCEPTED),
            false(ConditionType.STALLED, Reason.ACCEPTED),
        )
    if record.stopped_by is not None:
        return _stuck(_stopped(record, status["blueprint"]))
    text = story(record, status["blueprint"])
    return (
        false(ConditionType.READY, Reason.ROLLING_OUT, text),
        true(ConditionType.RECONCILING, Reason.ROLLING_OUT, text),
        false(ConditionType.STALLED, Reason.ROLLING_OUT),
    )


def _stuck(message: str) -> Sequence[State]:
    return (
        false(ConditionType.READY, Reason.BLUEPRINT_INVALID, message),
        false(ConditionType.RECONCILING, Reason.BLUEPRINT_INVALID),
        true(ConditionType.STALLED, Reason.BLUEPRINT_INVALID, message),
    )


def _stopped(record: Record, status: Json) -> str:
    client = record.stopped_by or ""
    return (
        f"client {client}: {record.failures[client].message}; {story(record, status)}, the others keep what they had. "
        f"Correct spec.workspace.blueprint, or mend that workspace and then: kubectl clientorg reconcile {client}"
    )
