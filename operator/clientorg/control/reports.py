"""One pass over one usage report: its status. What it counts is taken up by the client's pass."""

from __future__ import annotations

from clientorg.api.conditions import ConditionType, Reason
from clientorg.cluster.resources import USAGE_REPORTS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clock import Clock
from clientorg.control.contract import FUTURE_SLACK
from clientorg.control.gather import MOST_SOURCES
from clientorg.control.objects import Name, Report
from clientorg.control.store import Store
from clientorg.domain.conditions import State, false, merge, true
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.timestamps import rfc3339


class ReportReconciler:
    """Says of each report whether it counts."""

    def __init__(self, api: Api, store: Store, clock: Clock) -> None:
        self._api = api
        self._store = store
        self._clock = clock

    async def reconcile(self, name: Name) -> None:
        """One pass. Raises ApiError and UnreachableError."""
        report = self._store.reports.get(name)
        if report is None:
            return
        client = self._store.client_of_org(name[0], report.org_id)
        problem = self._problem(report, client)
        if problem is None:
            states = [
                true(ConditionType.READY, Reason.ACCEPTED, self._counted(report, client)),
                false(ConditionType.RECONCILING, Reason.ACCEPTED),
                false(ConditionType.STALLED, Reason.ACCEPTED),
            ]
        else:
            reason, message = problem
            states = [
                State(ConditionType.READY, false(ConditionType.READY, reason).status, reason, message),
                false(ConditionType.RECONCILING, reason),
                true(ConditionType.STALLED, reason, message),
            ]
        now = rfc3339(self._clock.now())
        status: Json = {
            "observedGeneration": report.generation,
            "conditions": merge(report.status.get("conditions") or (), states, report.generation, now),
        }
        if client is not None:
            status["client"] = client[1]
        patch = merge_patch(report.status, status)
        if patch:
            body = {"metadata": {"resourceVersion": str(report.version)}, "status": patch}
            self._store.put_report(await self._api.patch(USAGE_REPORTS, *name, body, subresource="status"))

    def _counted(self, report: Report, client: Name | None) -> str:
        """What is counted, and what of it is not."""
        known = self._store.clients.get(client) if client is not None else None
        pool = self._store.pools.get((report.name[0], known.pool)) if known is not None else None
        strange = sorted(report.values.keys() - pool.capacity.keys()) if pool is not None else []
        if not strange:
            return "counted"
        return f"counted, but for {', '.join(strange)}: the client's pool has no such license; correct the name"

    def _problem(self, report: Report, client: Name | None) -> tuple[Reason, str] | None:
        if client is None:
            return (
                Reason.CLIENT_NOT_FOUND,
                f"spec.orgID: no client of namespace {report.name[0]!r} has the Org ID {report.org_id!r}; report in "
                "the client's own namespace, with the Org ID in its status.orgID",
            )
        if report.observed > self._clock.now() + FUTURE_SLACK:
            return (
                Reason.OBSERVED_IN_FUTURE,
                "spec.observedTime is in the future; set the agent's clock and report again",
            )
        known = self._store.clients.get(client)
        sources = self._store.sources_of(known) if known is not None else []
        counted = sources[:MOST_SOURCES]
        if report.source not in counted:
            return (
                Reason.TOO_MANY_SOURCES,
                f"spec.source: at most {MOST_SOURCES} sources are counted for a client, and {', '.join(counted)} are; "
                "report under one of them",
            )
        return None
