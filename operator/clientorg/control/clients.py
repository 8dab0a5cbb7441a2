"""One pass over one client: gather facts, decide, apply, patch status once (DESIGN rule 1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from clientorg.api.clientorg import OrgState, PauseReason, WantedState
from clientorg.api.conditions import ConditionType, Reason
from clientorg.api.meta import FINALIZER, LABEL_ORG_ID
from clientorg.api.notifications import Channel, NotificationKind
from clientorg.cluster.events import Happening, Regarding
from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.cluster.rest import Api
from clientorg.control.allocations import Allocations
from clientorg.control.clock import Clock
from clientorg.control.deletion import Deleter
from clientorg.control.gather import (
    freshness,
    licensing_problem,
    org_of,
    report_samples,
    situation_of,
    workspace_problem,
)
from clientorg.control.samples import Samples
from clientorg.control.store import Client, Name, Plan, Pool, Store
from clientorg.control.workspaces import Outcome, Workspaces
from clientorg.domain import outbox as box
from clientorg.domain.allocation import adopt, reduce
from clientorg.domain.client_status import Facts, Problem, Run, refused_status, status_of
from clientorg.domain.conditions import find
from clientorg.domain.decision import Decision, decide
from clientorg.domain.lifecycle import brake_ends
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.messages import Entry, Outbox, from_status, to_status
from clientorg.domain.notices import add_all, failing_text, notices, without_outdated
from clientorg.domain.records import deactivation_of, usage_of
from clientorg.domain.timestamps import rfc3339, rfc3339_micro
from clientorg.errors import ConflictError, InputError, InvalidError, PlanError
from clientorg.notify.sender import channels_of

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_DELETION_POLL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a pass ended.

    Attributes:
        retry_after_seconds: come again after so long; None when only a change can help.
        failed: a fault that passes: come again with backoff, at the earliest after `retry_after_seconds`.
        next_due: when the passing of time changes something.
    """

    retry_after_seconds: float | None = None
    failed: bool = False
    next_due: datetime | None = None


DONE = Result()
_REMEMBERED = ("deactivation", "meters", "thresholds", "outbox", "lastHandledResend", "lastTransfer")
"""What status remembers, and a pass that decides nothing leaves as it is."""


class Records(Protocol):
    """Where Events go."""

    def record(self, happening: Happening) -> None:
        """Post it soon."""


@dataclass
class Surroundings:
    """What the passes over clients work with."""

    api: Api
    store: Store
    workspaces: Workspaces
    deleter: Deleter
    allocations: Allocations
    samples: Samples
    events: Records
    clock: Clock
    pool_changed: Callable[[Name], None]
    became_ready: Callable[[float], None]
    mail_due: Callable[[Name], None]
    purges_per_hour: int = 10


class ClientReconciler:
    """Brings clients to what their specs, plans and pools say."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._with = surroundings
        self._purge_begins = asyncio.Lock()

    async def reconcile(self, name: Name) -> Result:
        """One pass. Raises ApiError and UnreachableError, which pass."""
        client = self._with.store.clients.get(name)
        if client is None:
            return DONE
        if client.deleting:
            return await self._delete(client)
        pool, plan = self._references(client)
        problem = workspace_problem(client, plan) or licensing_problem(client, pool)
        if problem is None and (not client.has_finalizer or client.org_label != client.org_id):
            client = await self._mark(client)
            pool, plan = self._references(client)
        if plan is None:
            return await self._without_terms(client, pool, workspace_problem(client, None))
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
        )
        await self._patch_status(client, status, facts, keep=_REMEMBERED)
        return DONE

    async def _with_plan(self, client: Client, pool: Pool | None, plan: Plan) -> Result:
        now, status = self._with.clock.now(), client.status
        samples = [*report_samples(self._with.store, client, now), *self._with.samples.of(client)]
        try:
            situation = situation_of(
                self._with.store, client, pool, plan, status, samples, now, self._with.purges_per_hour
            )
        except PlanError as error:
            problem = Problem(Reason.PLAN_INVALID, f"OrgPlan {client.plan!r}: {error}")
            return await self._without_terms(client, pool, problem)
        decision = decide(situation)
        facts = self._facts(client, status, pool, plan, decision)
        fresh = freshness(decision.usage, pool, self._with.samples.seen(client), samples, now)
        is_asked = not decision.is_deactivated  # nothing runs in it that could be reported
        facts = replace(facts, staleness=fresh.staleness if is_asked else "")
        if fresh.stale_from is not None and is_asked:
            decision = replace(decision, next_due=min(decision.next_due or fresh.stale_from, fresh.stale_from))
        if facts.wanted and self._is_undecided(client, facts):
            return DONE  # the pool has not decided yet; its pass asks for another one here
        if decision.purge:
            return await self._purge(client, status, plan, facts, decision)
        outcome = Outcome()
        if facts.workspace is None and not facts.is_purged and _may_provision(facts):
            forced = client.reconcile_requested != status.get("lastHandledReconcileAt")
            outcome = await self._with.workspaces.bring(
                org_of(client), plan.template, closed=decision.gate_closed, forced=forced
            )
            facts = _with_outcome(facts, outcome, plan)
        return await self._finish(client, status, plan, facts, decision, outcome)

    async def _finish(
        self, client: Client, before: Json, plan: Plan, facts: Facts, decision: Decision, outcome: Outcome
    ) -> Result:
        """The messages that follow, the status, and when to come again."""
        facts, outbox, given_up = self._with_messages(client, before, plan, facts, decision)
        after = await self._patch_status(client, before, facts, decision)
        for entry in given_up:
            note = f"message {entry.key} was given up: the outbox is full of others that cannot be delivered"
            self._event(client, "Warning", "MessageGivenUp", note, entry.key, self._with.clock.now())
        next_message = box.next_due(outbox, self._with.clock.now())
        if next_message is not None:
            self._with.mail_due(client.name)
        if decision.reminder is not None and after.version != client.version and next_message is None:
            return Result(0.0, outcome.failed, decision.next_due)  # no channel is on: it is delivered by being told
        dues = [due for due in (decision.next_due, next_message) if due is not None]
        return Result(outcome.retry_after_seconds, outcome.failed, min(dues, default=None))

    def _with_messages(
        self, client: Client, before: Json, plan: Plan, facts: Facts, decision: Decision
    ) -> tuple[Facts, Outbox, list[Entry]]:
        now = self._with.clock.now()
        channels = channels_of(plan.template.spec.notifications)
        outbox = from_status(before.get("outbox") or ())
        for channel in Channel:
            if channel not in channels:
                outbox = box.switch_off(outbox, channel)
        outbox = without_outdated(outbox, facts.deactivation, decision.reminder)
        outbox, given_up = add_all(outbox, notices(before, facts, decision, now), now, channels)
        if client.resend is not None and client.resend != before.get("lastHandledResend"):
            wanted = client.resend.partition("@")[0]
            is_key = any(entry.key == wanted for entry in outbox)
            try:
                outbox = box.resend(
                    outbox, now, key=wanted if is_key else None, kind=None if is_key else wanted, channels=channels
                )
            except InputError as error:
                self._event(client, "Warning", "ResendRefused", str(error), client.resend, now)
        facts = replace(
            facts,
            outbox=tuple(to_status(outbox)),
            undelivered=failing_text(outbox),
            resend_requested=client.resend or before.get("lastHandledResend"),
        )
        return facts, outbox, given_up

    # -- gather and decide --------------------------------------------------------------------------------------

    def _is_undecided(self, client: Client, facts: Facts) -> bool:
        """Whether the pool has yet to decide, and there is nothing else to do until then."""
        is_short = _is_short(facts.holder.held, facts.wanted)
        return is_short and facts.waiting is None and facts.licensing is None and facts.holder == client.holder

    def _facts(self, client: Client, before: Json, pool: Pool | None, plan: Plan, decision: Decision) -> Facts:
        is_short = _is_short(decision.holder.held, client.wanted)
        waiting = self._with.allocations.waiting.get(client.uid) if is_short else None
        workspace, url = workspace_problem(client, plan), None
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
            wanted=client.wanted,
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
        )

    # -- apply --------------------------------------------------------------------------------------------------

    async def _mark(self, client: Client) -> Client:
        """Our finalizer and the Org ID label, before anything is made that they guard."""
        patch: Json = {
            "metadata": {
                "resourceVersion": str(client.version),
                "labels": {LABEL_ORG_ID: client.org_id},
                "finalizers": list(dict.fromkeys((*client.finalizers, FINALIZER))),
            }
        }
        return self._take(await self._with.api.patch(CLIENT_ORGS, *client.name, patch), client)

    def _take(self, manifest: Json, before: Client) -> Client:
        """The server's answer to our write, which is newer than any event so far."""
        self._with.store.put_client(manifest)
        client = self._with.store.clients.get(before.name, before)
        self._with.allocations.settle(client)
        return client

    async def _patch_status(
        self, client: Client, before: Json, facts: Facts, decision: Decision | None = None, keep: tuple[str, ...] = ()
    ) -> Client:
        """The one status patch of the pass, only if something changed, only onto the version we judged.

        Args:
            before: the client's status, decoded once a pass.
        """
        now = self._with.clock.now()
        status = status_of(facts, before, rfc3339(now))
        status |= {name: before[name] for name in keep if name in before}
        patch = merge_patch(before, status)
        if not patch:
            return client
        body: Json = {"metadata": {"resourceVersion": str(client.version)}, "status": patch}
        try:
            answer = await self._with.api.patch(CLIENT_ORGS, *client.name, body, subresource="status")
        except InvalidError as error:  # a status that does not fit its schema must not leave the client without any
            logger.exception("status refused")
            status = refused_status(facts.generation, str(error), before, rfc3339(now))
            body["status"] = {name: status[name] for name in ("observedGeneration", "conditions")}
            answer = await self._with.api.patch(CLIENT_ORGS, *client.name, body, subresource="status")
        after = self._take(answer, client)
        if facts.holder != client.holder:
            self._with.pool_changed((client.name[0], client.pool))
        self._tell(client, before, status, decision, now)
        return after

    def _tell(self, client: Client, before: Json, status: Json, decision: Decision | None, now: datetime) -> None:
        """An Event for each transition of Ready (its status or its reason), and for each threshold."""
        for crossing in decision.new_crossings if decision is not None else ():
            note = f"{crossing.percent} % of {crossing.license} are used in period {crossing.period}"
            self._event(client, "Warning", "ThresholdReached", note, "/".join(map(str, crossing.key)), now)
        told = {entry["key"] for entry in before.get("outbox") or ()}
        for entry in status.get("outbox") or ():
            if entry["kind"] == NotificationKind.REMINDER and entry["key"] not in told:
                note = f"everything will be deleted after {entry['params']['purgeAfter']}; reactivate the client before"
                self._event(client, "Warning", "PurgeReminder", note, entry["key"], now)
        old = find(before.get("conditions") or (), ConditionType.READY)
        new = find(status["conditions"], ConditionType.READY)
        if new is None or (old is not None and (old["status"], old["reason"]) == (new["status"], new["reason"])):
            return
        if new["status"] == "True" and before.get("state") in (None, OrgState.PROVISIONING):
            self._with.became_ready((now - datetime.fromisoformat(client.created)).total_seconds())
        is_warning = new["status"] != "True" and new["reason"] not in _UNREMARKABLE
        once = f"{new['status']}/{client.generation}/{rfc3339_micro(now)}"
        self._event(client, "Warning" if is_warning else "Normal", new["reason"], new["message"], once, now)

    def _event(self, client: Client, kind: Any, reason: str, note: str, once: str, now: datetime) -> None:
        about = Regarding("ClientOrg", *client.name, client.uid)
        self._with.events.record(Happening(about, kind, reason, "Reconcile", note, once, rfc3339_micro(now)))

    # -- the end ------------------------------------------------------------------------------------------------

    async def _delete(self, client: Client) -> Result:
        """Everything of the client goes; the finalizer is released when the server says that it is gone (Z10)."""
        if not client.has_finalizer:
            return DONE
        left = await self._with.workspaces.delete(org_of(client))
        if left is None:
            answer = await self._with.deleter.release(client)
            if answer is not None:
                self._take(answer, client)
            return DONE
        facts = Facts(
            generation=client.generation,
            org_id=client.org_id,
            namespace=client.namespace,
            url=None,
            holder=client.holder,
            asked=client.asked,
            wanted=client.wanted,
            used=client.used,
            reconcile_requested=client.reconcile_requested,
            deleting=_deleting(client, left),
        )
        await self._patch_status(client, client.status, facts, keep=_REMEMBERED)
        return Result(retry_after_seconds=_DELETION_POLL_SECONDS)

    async def _purge(self, client: Client, before: Json, plan: Plan, facts: Facts, decision: Decision) -> Result:
        """The end of the grace period: everything goes but the record (FEATURES Z9, DESIGN rules 7 and 8).

        That the purge begins is written down first, onto the version that was judged: a reactivation in the meantime
        makes that write fail. Only then, and after a look at the newest state, is anything deleted.
        """
        record = decision.deactivation
        if record is None or client.purge_started is None:
            return await self._begin_purge(client, before, plan, facts, decision)
        if not await self._with.deleter.is_still_to_be_purged(client):
            raise ConflictError(409, "Conflict", "the client changed before its purge")
        left = await self._with.workspaces.delete(org_of(client))
        if left is not None:
            facts = replace(facts, note=Problem(Reason.PURGING, _deleting(client, left)))
            await self._patch_status(client, before, facts, decision, keep=("outbox",))
            return Result(retry_after_seconds=_DELETION_POLL_SECONDS)
        record = replace(record, purged=self._with.clock.now())
        facts = replace(facts, deactivation=record, holder=replace(facts.holder, held={}), used={})
        return await self._finish(client, before, plan, facts, decision, Outcome())

    async def _begin_purge(self, client: Client, before: Json, plan: Plan, facts: Facts, decision: Decision) -> Result:
        """Write down that the purge begins; one client at a time, so that each is counted before the next one."""
        async with self._purge_begins:
            begun = self._with.store.purges_started(client.name[0])
            if brake_ends(begun, self._with.clock.now(), self._with.purges_per_hour) is not None:
                return Result(0.0)  # others began since this was decided: decide again
            facts = self._with_messages(client, before, plan, facts, decision)[0]
            after = await self._patch_status(client, before, facts, decision)
        return Result(0.0 if after.version != client.version else 1.0)


_UNREMARKABLE = frozenset({Reason.PROVISIONING, Reason.DELETING, Reason.PAUSING, Reason.RESUMING, Reason.PURGING})


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


def _deleting(client: Client, left: str) -> str:
    text = f"deleting namespace {client.namespace} with everything in it"
    return f"{text}; in the way: {left}" if left else text


def _may_provision(facts: Facts) -> bool:
    """Nothing is built before the first grant; what is built stays in order while a later raise waits."""
    if facts.holder.last_grant > 0:
        return True
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
