"""One pass over one client: gather facts, decide, apply, patch status once (DESIGN rule 1)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from clientorg.api.clientorg import OrgState
from clientorg.api.conditions import STALLING_REASONS, ConditionType, Reason
from clientorg.api.meta import FINALIZER, LABEL_ORG_ID, MAX_CLIENT_NAME_LENGTH
from clientorg.cluster.events import Happening, Regarding
from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.cluster.rest import Api
from clientorg.control.allocations import Allocations
from clientorg.control.applier import Applier, WorkspaceError
from clientorg.control.children import Children
from clientorg.control.clock import Clock, rfc3339, rfc3339_micro
from clientorg.control.store import Client, Name, Plan, Pool, Store
from clientorg.domain.allocation import adopt, reduce
from clientorg.domain.client_status import Facts, Problem, refused_status, status_of
from clientorg.domain.conditions import find
from clientorg.domain.identity import is_name_too_long
from clientorg.domain.merge_patch import merge_patch
from clientorg.domain.workspace import Child, Org
from clientorg.errors import InvalidError, NotFoundError, PlanError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
_DELETION_POLL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a pass ended.

    Attributes:
        retry_after_seconds: come again after so long; None when only a change can help.
        failed: a fault that passes: come again with backoff, at the earliest after `retry_after_seconds`.
    """

    retry_after_seconds: float | None = None
    failed: bool = False


DONE = Result()


class Records(Protocol):
    """Where Events go."""

    def record(self, happening: Happening) -> None:
        """Post it soon."""


class ClientReconciler:
    """Brings clients to what their specs, plans and pools say."""

    def __init__(
        self,
        api: Api,
        store: Store,
        children: Children,
        allocations: Allocations,
        events: Records,
        clock: Clock,
        pool_changed: Callable[[Name], None],
        became_ready: Callable[[float], None],
    ) -> None:
        self._api = api
        self._store = store
        self._children = children
        self._applier = Applier(api, children)
        self._allocations = allocations
        self._events = events
        self._clock = clock
        self._pool_changed = pool_changed
        self._became_ready = became_ready

    async def reconcile(self, name: Name) -> Result:
        """One pass. Raises ApiError and UnreachableError, which pass."""
        client = self._store.clients.get(name)
        if client is None:
            return DONE
        if client.deleting:
            return await self._delete(client)
        pool, plan = self._store.pools.get(self._pool_of(client)), self._store.plans.get(self._plan_of(client))
        problem = _spec_problem(client, pool, plan)
        if problem is None and (not client.has_finalizer or client.org_label != client.org_id):
            client = await self._mark(client)
            pool, plan = self._store.pools.get(self._pool_of(client)), self._store.plans.get(self._plan_of(client))
        facts = self._gather(client, pool, plan)
        if facts is None:
            return DONE  # the pool has not decided yet; its pass asks for another one here
        failure: WorkspaceError | None = None
        if facts.workspace is None and plan is not None and _may_provision(facts):
            forced = client.reconcile_requested != client.status.get("lastHandledReconcileAt")
            children: Sequence[Child] = ()
            try:
                org = _org(client)
                children = plan.template.render(org)
                await self._applier.ensure(org, children, forced=forced)
                facts = replace(facts, provisioned=True, established=True)
            except PlanError as error:
                problem = Problem(Reason.BLUEPRINT_INVALID, f"OrgPlan {client.plan!r}: {error}")
                facts = replace(facts, workspace=problem)
            except WorkspaceError as error:
                failure = error
                established = bool(children) and {c.key for c in children} <= self._children.keys(client.namespace)
                problem = Problem(error.reason, error.message)
                facts = replace(facts, workspace=problem, established=established)
        await self._patch_status(client, facts)
        if failure is not None and failure.reason not in STALLING_REASONS:
            return Result(failure.retry_after_seconds, failed=True)
        return DONE

    # -- gather -------------------------------------------------------------------------------------------------

    def _gather(self, client: Client, pool: Pool | None, plan: Plan | None) -> Facts | None:
        """The facts of this pass; None while the pool has yet to decide on a client that has nothing to show."""
        grants = pool.grants.get(client.uid, ()) if pool is not None else ()
        holder = adopt(client.holder, grants)
        reduction = reduce(holder.held, client.wanted, client.used)
        holder = replace(holder, held=reduction.held)
        licensing = _licensing_problem(client, pool)
        is_short = any(quantity > holder.held.get(name, 0) for name, quantity in client.wanted.items())
        waiting = self._allocations.waiting.get(client.uid) if is_short else None
        if is_short and waiting is None and licensing is None and holder == client.holder:
            return None  # with a grant to adopt it goes on: the next round decides on what is asked beyond it
        url, workspace = None, _workspace_problem(client, plan)
        if plan is not None and plan.template.spec.workspace.url_template:
            try:
                url = plan.template.url(_org(client))
            except PlanError as error:
                workspace = workspace or Problem(Reason.PLAN_INVALID, f"OrgPlan {client.plan!r}: {error}")
        return Facts(
            generation=client.generation,
            org_id=client.org_id,
            namespace=client.namespace,
            url=url,
            holder=holder,
            wanted=client.wanted,
            used=client.used,
            kept_back=reduction.kept_back,
            waiting=waiting,
            pending_since=self._allocations.since.get(client.uid) if waiting is not None else None,
            licensing=licensing,
            workspace=workspace,
            established=self._children.namespace(client.namespace) is not None and holder.last_grant > 0,
            reconcile_requested=client.reconcile_requested,
        )

    @staticmethod
    def _pool_of(client: Client) -> Name:
        return client.name[0], client.pool

    @staticmethod
    def _plan_of(client: Client) -> Name:
        return client.name[0], client.plan

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
        namespace, name = client.name
        return self._take(await self._api.patch(CLIENT_ORGS, namespace, name, patch), client)

    def _take(self, manifest: Json, before: Client) -> Client:
        """The server's answer to our write, which is newer than any event so far."""
        self._store.put_client(manifest)
        client = self._store.clients.get(before.name, before)
        self._allocations.settle(client)
        return client

    async def _patch_status(self, client: Client, facts: Facts) -> None:
        """The one status patch of the pass, only if something changed, only onto the version we judged."""
        before = client.status
        now = self._clock.now()
        status = status_of(facts, before, rfc3339(now))
        patch = merge_patch(before, status)
        if not patch:
            return
        body: Json = {"metadata": {"resourceVersion": str(client.version)}, "status": patch}
        namespace, name = client.name
        try:
            answer = await self._api.patch(CLIENT_ORGS, namespace, name, body, subresource="status")
        except InvalidError as error:  # a status that does not fit its schema must not leave the client without any
            logger.exception("status refused")
            status = refused_status(facts.generation, str(error), before, rfc3339(now))
            body["status"] = {name: status[name] for name in ("observedGeneration", "conditions")}
            answer = await self._api.patch(CLIENT_ORGS, namespace, name, body, subresource="status")
        self._take(answer, client)
        if facts.holder != client.holder:
            self._pool_changed(self._pool_of(client))
        self._tell(client, before, status, rfc3339_micro(now))

    def _tell(self, client: Client, before: Json, status: Json, now: str) -> None:
        """An Event for each transition of Ready: its status or its reason."""
        old = find(before.get("conditions") or (), ConditionType.READY)
        new = find(status["conditions"], ConditionType.READY)
        if new is None or (old is not None and (old["status"], old["reason"]) == (new["status"], new["reason"])):
            return
        if new["status"] == "True" and before.get("state") != OrgState.ACTIVE:
            self._became_ready((self._clock.now() - datetime.fromisoformat(client.created)).total_seconds())
        is_warning = new["status"] != "True" and new["reason"] not in (Reason.PROVISIONING, Reason.DELETING)
        self._events.record(
            Happening(
                regarding=Regarding("ClientOrg", *client.name, client.uid),
                type="Warning" if is_warning else "Normal",
                reason=new["reason"],
                action="Reconcile",
                note=new["message"],
                once=f"{new['status']}/{client.generation}/{now}",
                time=now,
            )
        )

    # -- delete -------------------------------------------------------------------------------------------------

    async def _delete(self, client: Client) -> Result:
        """Everything of the client goes; the finalizer is released when the server says that it is gone (Z10)."""
        if not client.has_finalizer:
            return DONE
        if not await self._applier.delete_namespace(_org(client)):
            facts = self._gather_deletion(client)
            await self._patch_status(client, facts)
            return Result(retry_after_seconds=_DELETION_POLL_SECONDS)
        finalizers = [name for name in client.finalizers if name != FINALIZER]
        patch = {"metadata": {"resourceVersion": str(client.version), "finalizers": finalizers or None}}
        namespace, name = client.name
        try:
            answer = await self._api.patch(CLIENT_ORGS, namespace, name, patch)
        except NotFoundError:
            return DONE
        if finalizers:
            self._take(answer, client)
        logger.info("client deleted")
        return DONE

    def _gather_deletion(self, client: Client) -> Facts:
        namespace = self._children.namespace(client.namespace)
        what = f"deleting namespace {client.namespace} with everything in it"
        return Facts(
            generation=client.generation,
            org_id=client.org_id,
            namespace=client.namespace,
            url=None,
            holder=client.holder,
            wanted=client.wanted,
            used=client.used,
            established=namespace is not None,
            reconcile_requested=client.reconcile_requested,
            deleting=what,
        )


def _org(client: Client) -> Org:
    spec = client.spec
    return Org(
        name=client.name[1],
        agency=client.name[0],
        uid=client.uid,
        org_id=client.org_id,
        namespace=client.namespace,
        display_name=spec["displayName"],
        language=spec["contact"].get("language", "en"),
        admins=spec.get("admins") or (),
    )


def _may_provision(facts: Facts) -> bool:
    """Nothing is built before the first grant; what is built stays in order while a later raise waits."""
    is_satisfied = all(facts.holder.held.get(name, 0) >= want for name, want in facts.wanted.items())
    return facts.holder.last_grant > 0 or (is_satisfied and facts.licensing is None)


def _spec_problem(client: Client, pool: Pool | None, plan: Plan | None) -> Problem | None:
    return _workspace_problem(client, plan) or _licensing_problem(client, pool)


def _licensing_problem(client: Client, pool: Pool | None) -> Problem | None:
    if pool is None:
        return Problem(
            Reason.POOL_NOT_FOUND,
            f"spec.poolRef.name: no QuotaPool {client.pool!r} in namespace {client.name[0]!r}; create it, or make the "
            "client anew with another pool",
        )
    unknown = sorted(name for name in client.wanted if name not in pool.capacity)
    if unknown:
        return Problem(
            Reason.LICENSE_UNKNOWN,
            f"spec.licenses: QuotaPool {client.pool!r} has no license {', '.join(unknown)}; it has "
            f"{', '.join(sorted(pool.capacity))}. Correct the name, or add the license to the pool",
        )
    if pool.deleting and client.raises:
        return Problem(
            Reason.POOL_DELETING,
            f"QuotaPool {client.pool!r} is being deleted and grants nothing any more; what is granted stays",
        )
    return None


def _workspace_problem(client: Client, plan: Plan | None) -> Problem | None:
    if plan is None:
        return Problem(
            Reason.PLAN_NOT_FOUND,
            f"spec.planRef.name: no OrgPlan {client.plan!r} in namespace {client.name[0]!r}; create it, or correct the "
            "name",
        )
    if is_name_too_long(client.name[1]):
        return Problem(
            Reason.NAME_TOO_LONG,
            f"metadata.name: at most {MAX_CLIENT_NAME_LENGTH} characters, so that the workspace's namespace fits; make "
            "the client anew with a shorter name",
        )
    return None
