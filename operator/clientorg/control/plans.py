"""One pass over one plan: its status. What a plan changes in workspaces is done by the clients' passes."""

from __future__ import annotations

from clientorg.api.conditions import ConditionType, Reason
from clientorg.cluster.resources import ORG_PLANS
from clientorg.cluster.rest import Api
from clientorg.control.clock import Clock
from clientorg.control.store import Name, Store
from clientorg.domain.conditions import false, merge, true
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.timestamps import rfc3339


class PlanReconciler:
    """Keeps the plans' status."""

    def __init__(self, api: Api, store: Store, clock: Clock) -> None:
        self._api = api
        self._store = store
        self._clock = clock

    async def reconcile(self, name: Name) -> None:
        """One pass. Raises ApiError and UnreachableError."""
        plan = self._store.plans.get(name)
        if plan is None:
            return
        states = [
            true(ConditionType.READY, Reason.ACCEPTED, "workspaces follow this plan"),
            false(ConditionType.RECONCILING, Reason.ACCEPTED),
            false(ConditionType.STALLED, Reason.ACCEPTED),
        ]
        now = rfc3339(self._clock.now())
        status = {
            "observedGeneration": plan.generation,
            "clients": self._store.count_of_plan(name),
            "conditions": merge(plan.status.get("conditions") or (), states, plan.generation, now),
        }
        patch = merge_patch(plan.status, status)
        if patch:
            body = {"metadata": {"resourceVersion": str(plan.version)}, "status": patch}
            self._store.put_plan(await self._api.patch(ORG_PLANS, *name, body, subresource="status"))
