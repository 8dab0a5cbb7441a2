"""Brings a client's workspace to what was decided: its objects, the gate, and what runs in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from clientorg.api.conditions import STALLING_REASONS
from clientorg.cluster.rest import Api, Json
from clientorg.control.applier import Applier, WorkspaceError
from clientorg.control.availability import unavailable
from clientorg.control.children import ChildKey, Children
from clientorg.control.clock import Clock
from clientorg.control.pause import Pauser, explain
from clientorg.domain.access import access_json, first_grant
from clientorg.domain.client_facts import Problem, Run
from clientorg.domain.timestamps import rfc3339
from clientorg.domain.workspace import Child, Gate, Org, PlanTemplate

_STOP_POLL_SECONDS = 1.0
_CHANGE_POLL_SECONDS = 1.0
_RESUME_POLL_SECONDS = 0.4
_TOUCH_EVERY_SECONDS = 2.0
_BLOCKED_AFTER_SECONDS = 10.0
_KEPT_POLL_SECONDS = 30.0
_RESUME_GIVES_UP_SECONDS = 60.0
"""A workload that cannot start for reasons of its own (an image, a quota) must not keep the resume open for ever."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a workspace stands after a pass.

    Attributes:
        provisioned: every object is as wanted.
        established: every object that is not from the blueprint is there, if not as wanted.
        changing: what the change to another blueprint still waits for; its objects are there.
        retry_after_seconds: look again after so long: something is on its way.
        failed: a fault that passes; come again with backoff.
    """

    provisioned: bool = False
    established: bool = False
    problem: Problem | None = None
    changing: Problem | None = None
    run: Run = Run.RUNNING
    blocked: str = ""
    retry_after_seconds: float | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a workspace is to be.

    Attributes:
        blueprint: the blueprint's objects; None where those that are there are left as they are.
        recorded: what was made from a blueprint before.
        is_change: it is this workspace's turn to change to that blueprint.
    """

    blueprint: Sequence[Child] | None
    recorded: frozenset[ChildKey] = frozenset()
    is_change: bool = False
    closed: bool = False


@dataclass(slots=True)
class _Resume:
    """A resume under way; times are the event loop's."""

    since: float
    next_touch: float = 0.0
    touches: int = 0


class Workspaces:
    """All workspaces. What it remembers is only when it began to stop or resume one, to be patient for so long."""

    def __init__(self, api: Api, children: Children, clock: Clock) -> None:
        self._children = children
        self._api = api
        self._applier = Applier(api, children)
        self._pauser = Pauser(api)
        self._clock = clock
        self._stopping: dict[str, float] = {}
        self._stopped: set[str] = set()
        self._resuming: dict[str, _Resume] = {}

    async def bring(self, org: Org, template: PlanTemplate, wanted: Wanted, *, forced: bool) -> Outcome:
        """Bring the workspace to what is wanted, gate first.

        One whose turn it is to change asks the server about the whole blueprint before it writes anything of it, so
        that a broken one leaves the old one in place.

        Raises:
            ApiError: something could not be read.
            UnreachableError: no answer.
        """
        closed = wanted.closed
        gate = Gate.CLOSED if closed else Gate.OPENING if self.is_paused(org.namespace) else Gate.OPEN
        core: set[ChildKey] = set()
        try:
            org = replace(org, grant=await self._applier.granted(org))
            children = template.render(org, gate, wanted.blueprint or ())
            core = {child.key for child in children if not child.is_blueprint}
            written = await self._try_out(org, children, wanted) if wanted.is_change else 0
            written += await self._ensure(org, children, wanted, forced=forced)
            grant = self._children.grant(org.namespace)
            if org.grant is None and grant != first_grant(org.agency_access):
                org = replace(org, grant=grant)  # it stood already, and nobody had seen it
                written += await self._ensure(org, template.render(org, gate, wanted.blueprint or ()), wanted)
            if closed:
                return await self._stop(org.namespace, just_closed=written > 0)
            self._stopped.discard(org.namespace)
            self._stopping.pop(org.namespace, None)
            if gate is Gate.OPENING:
                return await self._resume(org, template, wanted)
        except WorkspaceError as error:
            return Outcome(
                established=core <= self._children.keys(org.namespace),
                problem=Problem(error.reason, error.message),
                run=Run.STOPPING if closed else Run.RUNNING,
                retry_after_seconds=error.retry_after_seconds or None,
                failed=error.reason not in STALLING_REASONS,
            )
        changing = await unavailable(self._api, org.namespace, wanted.blueprint or ()) if wanted.is_change else None
        again = _CHANGE_POLL_SECONDS if changing is not None else None
        return Outcome(provisioned=True, established=True, changing=changing, retry_after_seconds=again)

    async def _try_out(self, org: Org, children: Sequence[Child], wanted: Wanted) -> int:
        """What is not from the blueprint first: a quota that has become larger may be what the blueprint needs."""
        core = [child for child in children if not child.is_blueprint]
        written = await self._applier.ensure(org, core, keeps_blueprint=True)
        await self._applier.try_out(org, wanted.blueprint or ())
        return written

    async def _ensure(self, org: Org, children: Sequence[Child], wanted: Wanted, *, forced: bool = False) -> int:
        return await self._applier.ensure(
            org, children, forced=forced, recorded=wanted.recorded, keeps_blueprint=wanted.blueprint is None
        )

    async def _stop(self, namespace: str, *, just_closed: bool) -> Outcome:
        self._resuming.pop(namespace, None)
        if just_closed:  # the gate may have been taken away, and something begun meanwhile
            self._stopped.discard(namespace)
        if namespace in self._stopped:
            return Outcome(provisioned=True, established=True, run=Run.STOPPED)
        is_first = namespace not in self._stopping
        since = self._stopping.setdefault(namespace, _monotonic())
        stopped = await self._pauser.stop(namespace)
        if not stopped.running:
            # The API server takes a new quota up with a delay, in which a controller may still make a pod: look twice.
            is_sure = (is_first and not just_closed) or _monotonic() - since >= _STOP_POLL_SECONDS
            if is_sure:
                self._stopping.pop(namespace, None)
                self._stopped.add(namespace)
            again = None if is_sure else _STOP_POLL_SECONDS
            return Outcome(provisioned=True, established=True, run=Run.STOPPED, retry_after_seconds=again)
        is_late = _monotonic() - since > _BLOCKED_AFTER_SECONDS
        return Outcome(
            provisioned=True,
            established=True,
            run=Run.STOPPING,
            blocked=explain(stopped.blocked) if is_late else "",
            retry_after_seconds=5.0 if is_late else _STOP_POLL_SECONDS,
        )

    async def _resume(self, org: Org, template: PlanTemplate, wanted: Wanted) -> Outcome:
        """The gate is open and the mark still there: bring everything back, then take the mark off."""
        now = _monotonic()
        # The first look is right after the gate opened, when nobody has tried again yet: look once more.
        is_first = org.namespace not in self._resuming
        resume = self._resuming.setdefault(org.namespace, _Resume(now))
        is_late = now - resume.since >= _RESUME_GIVES_UP_SECONDS
        touch = None
        if now >= resume.next_touch and not is_late:
            resume.touches, resume.next_touch = resume.touches + 1, now + _TOUCH_EVERY_SECONDS
            touch = f"{rfc3339(self._clock.now())}/{resume.touches}"
        missing = await self._pauser.resume(org.namespace, touch)
        if (missing or is_first) and not is_late:
            return Outcome(
                provisioned=True, established=True, run=Run.RESUMING, retry_after_seconds=_RESUME_POLL_SECONDS
            )
        if missing.kept:  # nobody else would make them: the mark stays until they are there
            return Outcome(provisioned=True, established=True, retry_after_seconds=_KEPT_POLL_SECONDS)
        self._resuming.pop(org.namespace, None)
        await self._ensure(org, template.render(org, Gate.OPEN, wanted.blueprint or ()), wanted)
        return Outcome(provisioned=True, established=True)

    def access(self, org: Org) -> Json | None:
        """What the provider's people may do, for the status; None while the workspace does not say."""
        grant = self._children.grant(org.namespace)
        return access_json(org.agency_access, grant) if grant is not None else None

    def exists(self, namespace: str) -> bool:
        """Whether the workspace's namespace is there, as far as we have seen."""
        return self._children.namespace(namespace) is not None

    def is_paused(self, namespace: str) -> bool:
        """Whether the workspace's namespace is marked as paused, as far as we have seen."""
        seen = self._children.namespace(namespace)
        return seen is not None and seen.paused

    async def delete(self, org: Org) -> str | None:
        """Delete everything. None when it is gone, which the server is asked; else what is in the way, if anything."""
        left = await self._applier.delete_namespace(org)
        if left is None:
            self.forget(org.namespace)
        return left

    def forget(self, namespace: str) -> None:
        """The workspace is gone."""
        self._stopped.discard(namespace)
        self._stopping.pop(namespace, None)
        self._resuming.pop(namespace, None)


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
