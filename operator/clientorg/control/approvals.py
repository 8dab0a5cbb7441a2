"""One pass over one OrgApproval: its status says whether it counts. What it decides, the client's pass takes up."""

from __future__ import annotations

from clientorg.api.conditions import ConditionType, Reason
from clientorg.cluster.resources import ORG_APPROVALS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clientobject import Client
from clientorg.control.clock import Clock
from clientorg.control.objects import ApprovalObject, Name
from clientorg.control.store import Store
from clientorg.domain.approval import Objection, approval_of, objection
from clientorg.domain.conditions import false, merge, true
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.timestamps import rfc3339


class ApprovalReconciler:
    """Says of each decision whether it counts."""

    def __init__(self, api: Api, store: Store, clock: Clock) -> None:
        self._api = api
        self._store = store
        self._clock = clock

    async def reconcile(self, name: Name) -> None:
        """One pass. Raises ApiError and UnreachableError."""
        approval = self._store.approvals.get(name)
        if approval is None:
            return
        client = self._store.clients.get((name[0], approval.verdict.client))
        problem = self._problem(approval, client)
        if problem is None:
            message = f"the decision on client {approval.verdict.client} counts"
            if approval.verdict.is_restored:
                message += "; it was restored from a backup"
            states = [
                true(ConditionType.READY, Reason.ACCEPTED, message),
                false(ConditionType.RECONCILING, Reason.ACCEPTED),
                false(ConditionType.STALLED, Reason.ACCEPTED),
            ]
        else:
            states = [
                false(ConditionType.READY, problem.reason, problem.message),
                false(ConditionType.RECONCILING, problem.reason),
                true(ConditionType.STALLED, problem.reason, problem.message),
            ]
        status: Json = {
            "observedGeneration": approval.generation,
            "conditions": merge(
                approval.status.get("conditions") or (), states, approval.generation, rfc3339(self._clock.now())
            ),
        }
        patch = merge_patch(approval.status, status)
        if patch:
            body = {"metadata": {"resourceVersion": str(approval.version)}, "status": patch}
            self._store.put_approval(await self._api.patch(ORG_APPROVALS, *name, body, subresource="status"))

    def _problem(self, approval: ApprovalObject, client: Client | None) -> Objection | None:
        uid, requester = (client.uid, client.requested_by) if client is not None else (None, None)
        problem = objection(approval.verdict, uid, requester)
        if problem is not None or client is None:
            return problem
        decided = approval_of(client.status)
        if decided is not None and decided.name is not None and decided.name != approval.name[1]:
            return Objection(
                Reason.ALREADY_DECIDED,
                f"client {client.name[1]!r} was decided on by OrgApproval {decided.name!r}; this one changes nothing",
            )
        return None
