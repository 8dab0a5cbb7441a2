"""One pass over one client: gather facts, decide, apply, patch status once (DESIGN rule 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from clientorg.api.clientorg import PauseReason, WantedState
from clientorg.api.conditions import Reason
from clientorg.control.building import Builder
from clientorg.control.clientends import Ends
from clientorg.control.clientfinish import Finisher
from clientorg.control.clientobject import Client
from clientorg.control.clientpass import DONE, SETTLEMENT_POLL_SECONDS, Result, Surroundings
from clientorg.control.clientstatus import REMEMBERED, StatusWriter
from clientorg.control.contract import Contract
from clientorg.control.gather import (
    Freshness,
    freshness,
    licensing_problem,
    org_of,
    report_samples,
    situation_of,
    workspace_problem,
)
from clientorg.control.objects import Name, Plan, Pool
from clientorg.control.portfolio import obligations_of, portfolio_facts
from clientorg.control.workspaces import Outcome
from clientorg.domain.allocation import adopt, reduce
from clientorg.domain.client_facts import Facts, Problem, Run
from clientorg.domain.decision import Decision, decide
from clientorg.domain.messages import from_status
from clientorg.domain.notices import failing_text
from clientorg.domain.records import deactivation_of, usage_of
from clientorg.errors import PlanError

Json = dict[str, Any]


class ClientReconciler:
    """Brings clients to what their specs, plans and pools say."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._with = surroundings
        self._writer = StatusWriter(surroundings)
        self._finisher = Finisher(surroundings, self._writer)
        self._builder = Builder(surroundings, self._writer)
        self._ends = Ends(surroundings, self._writer, self._finisher)

    async def reconcile(self, name: Name) -> Result:
        """One pass. Raises ApiError and UnreachableError, which pass."""
        cleared = await self._ends.clear(name)
        client = self._with.store.clients.get(name)
        if client is None:
            return cleared
        result = await self._pass(client)
        if result.retry_after_seconds is None:
            return replace(result, retry_after_seconds=cleared.retry_after_seconds)
        return result

    async def _pass(self, client: Client) -> Result:
        if client.deleting:
            return await self._ends.delete(client)
        pool, plan = self._references(client)
        problem = workspace_problem(self._with.store, client, plan) or licensing_problem(client, pool)
        if problem is None and (not client.has_finalizer or client.org_label != client.org_id):
            client = await self._writer.mark(client)
            pool, plan = self._references(client)
        if plan is None:
            return await self._without_terms(client, pool, workspace_problem(self._with.store, client, None))
        return await self._with_plan(client, pool, plan)

    def _references(self, client: Client) -> tuple[Pool | None, Plan | None]:
        store, namespace = self._with.store, client.name[0]
        return store.pools.get((namespace, client.pool)), store.plans.get((namespace, client.plan))

    async def _without_terms(self, client: Client, pool: Pool | None, problem: Problem | None) -> Result:
        """Without terms nothing is decided but what the pool gave already; everything stays as it is."""
        grants = pool.grants.get(client.uid, ()) if pool is not None else ()
        holder = adopt(client.holder, grants)
        holder = replace(holder, held=reduce(holder.held, client.wanted, client.used).held)
        status = client.status
        deactivation = deactivation_of(status)
        pause_reasons = tuple(PauseReason(reason) for reason in status.get("pauseReasons") or ())
        facts = Facts(
            generation=client.generation,
            org_id=client.org_id,
            namespace=client.namespace,
            url=None,
            holder=holder,
            asked=client.asked,
            wanted=client.wanted,
            used=client.used,
            usage=usage_of(status),
            licensing=licensing_problem(client, pool),
            workspace=problem,
            established=client.last_grant > 0 and self._with.workspaces.exists(client.namespace),
            pause_reasons=pause_reasons,
            exhausted=tuple(name for name, used in client.used.items() if used >= holder.held.get(name, 0)),
            deactivation=deactivation,
            run=Run.STOPPED if pause_reasons or deactivation is not None else Run.RUNNING,
            undelivered=failing_text(from_status(status.get("outbox") or ())),
            reconcile_requested=client.reconcile_requested,
            hold=client.hold,
        )
        await self._writer.patch(client, status, facts, keep=REMEMBERED)
        return DONE

    async def _with_plan(self, client: Client, pool: Pool | None, plan: Plan) -> Result:
        now, status = self._with.clock.now(), client.status
        samples = [*report_samples(self._with.store, client, now), *self._with.samples.of(client)]
        try:
            contract = await self._with.contracts.of(client, pool, plan, status, now)
            obligations = obligations_of(self._with.store, client, plan, now)
            situation = situation_of(
                self._with.store,
                client,
                pool,
                plan,
                status,
                samples,
                now,
                self._with.purges_per_hour,
                contract,
                obligations,
            )
        except PlanError as error:
            problem = Problem(Reason.PLAN_INVALID, f"OrgPlan {client.plan!r}: {error}")
            return await self._without_terms(client, pool, problem)
        if contract.charged:
            return DONE  # when the charges are posted there is another pass: one status for both
        decision = decide(situation)
        fresh = Freshness()
        if not decision.is_deactivated:  # else nothing runs in it that could be reported
            fresh = freshness(decision.usage, pool, self._with.samples.seen(client), samples, now)
        next_due = _earliest(decision.next_due, contract.next_due(now), fresh.stale_from)
        if next_due != decision.next_due:
            decision = replace(decision, next_due=next_due)
        facts = self._facts(client, status, pool, plan, decision, contract)
        if fresh.staleness:
            facts = replace(facts, staleness=fresh.staleness)
        facts, watch = portfolio_facts(self._with.store, client, plan, status, facts, obligations, now)
        if watch is not None:
            decision = replace(decision, next_due=_earliest(decision.next_due, watch))
        is_told = contract.approval is None or contract.approval.decision == client.approval
        if facts.wanted and is_told and self._is_undecided(client, facts):
            return DONE  # the pool has not decided yet; its pass asks for another one here
        if decision.purge:
            return await self._ends.purge(client, status, plan, facts, decision)
        outcome, org = Outcome(), org_of(client)
        is_there = self._with.workspaces.exists(client.namespace)
        if facts.workspace is None and not facts.is_purged and _may_provision(facts, is_there=is_there):
            await self._confirm(client, is_opening=not decision.gate_closed)
            forced = client.reconcile_requested != status.get("lastHandledReconcileAt")
            built = await self._builder.build(client, status, plan, closed=decision.gate_closed, forced=forced)
            if built is None:
                return DONE
            client, status, outcome = built.client, built.before, built.outcome
            facts = _with_outcome(replace(facts, blueprint=built.blueprint), outcome, plan)
        elif facts.run is Run.STOPPING and not is_there:
            facts = replace(facts, run=Run.STOPPED)  # there is nothing that could run
        facts = _with_target(replace(facts, access=self._with.workspaces.access(org)), now)
        result = await self._finisher.finish(client, status, plan, facts, decision, outcome)
        if contract.again:
            return replace(result, retry_after_seconds=0.0)
        if facts.settling and result.retry_after_seconds is None:
            return replace(result, retry_after_seconds=SETTLEMENT_POLL_SECONDS)
        return result

    async def _confirm(self, client: Client, *, is_opening: bool) -> None:
        """Nothing is built and nothing resumed for a client that is gone, purged or stopped by now: what a start has
        listed may be old. Raises ConflictError or NotFoundError then."""
        workspaces, newest = self._with.workspaces, self._with.newest
        is_built = not workspaces.exists(client.namespace) and not newest.holds(client)
        if is_built or (is_opening and workspaces.is_paused(client.namespace)):
            await newest.confirm_client(client)

    # -- gather and decide --------------------------------------------------------------------------------------

    def _is_undecided(self, client: Client, facts: Facts) -> bool:
        """Whether the pool has yet to decide, and there is nothing else to do until then."""
        is_short = _is_short(facts.holder.held, facts.wanted)
        return is_short and facts.waiting is None and facts.licensing is None and facts.holder == client.holder

    def _facts(
        self, client: Client, before: Json, pool: Pool | None, plan: Plan, decision: Decision, contract: Contract
    ) -> Facts:
        wanted = client.wanted if contract.is_let_in and not contract.is_terminated else {}
        is_short = _is_short(decision.holder.held, wanted)
        waiting = self._with.allocations.waiting.get(client.uid) if is_short else None
        workspace, url = workspace_problem(self._with.store, client, plan), None
        try:
            url = plan.template.url(org_of(client)) if plan.template.spec.workspace.url_template else None
        except PlanError as error:
            workspace = workspace or Problem(Reason.PLAN_INVALID, f"OrgPlan {client.plan!r}: {error}")
        note = None
        if decision.is_braked:
            note = Problem(Reason.PURGE_BRAKED, "the purge waits: the agency had as many as it may within an hour")
        elif decision.awaits_notice:
            note = Problem(
                Reason.NOTICE_PENDING,
                "the purge waits: the last reminder is not delivered, or its notice has not passed. See status.outbox; "
                "correct the contact or the mail server, then: kubectl clientorg notify --resend reminder",
            )
        return Facts(
            generation=client.generation,
            org_id=client.org_id,
            namespace=client.namespace,
            url=url,
            holder=decision.holder,
            asked=client.asked,
            wanted=wanted,
            used=decision.used,
            state=WantedState(client.state),
            usage=decision.usage,
            crossings=decision.crossings,
            kept_back=decision.kept_back,
            waiting=waiting,
            pending_since=self._with.allocations.since(client) if is_short else None,
            licensing=licensing_problem(client, pool),
            workspace=workspace,
            established=client.last_grant > 0 and self._with.workspaces.exists(client.namespace),
            pause_reasons=decision.pause_reasons,
            exhausted=decision.exhausted,
            deactivation=decision.deactivation,
            run=Run.STOPPING if decision.gate_closed else Run.RUNNING,
            note=note,
            transferred=_transferred(client, before, decision),
            reconcile_requested=client.reconcile_requested,
            approval=contract.approval,
            is_let_in=contract.is_let_in,
            has_requester=client.requested_by is not None,
            points=contract.points,
            users=contract.users,
            termination=contract.termination,
            settling=contract.settling,
            hold=client.hold,
        )


def _earliest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _with_target(facts: Facts, now: datetime) -> Facts:
    """Whether approval and provisioning keep within the plan's target (FEATURES S2)."""
    approval = facts.approval
    if approval is None:
        return facts
    if approval.is_approved and approval.ready is None and facts.provisioned:
        approval = replace(approval, ready=now)
    return replace(facts, approval=approval, overdue=(approval.ready or now) > approval.due)


def _is_short(held: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Whether something is wanted that is not held."""
    return any(quantity > held.get(name, 0) for name, quantity in wanted.items())


def _transferred(client: Client, before: Json, decision: Decision) -> str | None:
    """The move that is done now, or the one before."""
    move = client.transfer
    if move is not None and decision.holder.held.get(move.license, 0) >= move.to:
        return str(move)
    last: str | None = before.get("lastTransfer")
    return last


def _may_provision(facts: Facts, *, is_there: bool) -> bool:
    """Nothing is built before the first grant; what is built stays in order while a later raise waits.

    Of a contract that has ended only what is there is kept, for the grace period: there is no way back, so that a
    client from a backup needs no workspace if its data did not come back.
    """
    if facts.is_terminated and not is_there:
        return False
    if facts.holder.last_grant > 0:
        return True
    if not facts.is_let_in:
        return False
    return facts.deactivation is None and facts.licensing is None and not _is_short(facts.holder.held, facts.wanted)


def _with_outcome(facts: Facts, outcome: Outcome, plan: Plan) -> Facts:
    problem = outcome.problem
    if problem is not None and problem.reason is Reason.BLUEPRINT_INVALID and "OrgPlan" not in problem.message:
        problem = replace(problem, message=f"OrgPlan {plan.name[1]!r}: {problem.message}")
    return replace(
        facts,
        provisioned=outcome.provisioned,
        established=outcome.established,
        workspace=problem,
        run=outcome.run,
        blocked=outcome.blocked,
    )
