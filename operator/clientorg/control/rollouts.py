"""The plans' blueprints on their way: which one a workspace gets now, and what its change runs into.

What is decided stands in the plans' status (`domain.rollout`). Kept here is only what a pass over a client found since;
after a crash it is found again, since the client's change is still written down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clientorg.api.conditions import Reason
from clientorg.api.rollout import MAX_BLUEPRINT_BYTES
from clientorg.control.clientobject import Client
from clientorg.control.objects import Name, Plan
from clientorg.control.store import Store
from clientorg.domain.client_facts import Problem
from clientorg.domain.rollout import Member, News, Record, Share, share_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A client's part in the blueprint of its plan.

    Attributes:
        source: the blueprint; None where it is left as it is.
        revision: of that blueprint.
        failure: why the workspace has not what the plan says, if it could not be changed.
    """

    share: Share
    source: Sequence[Json] | None = None
    revision: str | None = None
    failure: Problem | None = None


class Rollouts:
    """What passes over clients tell those over plans.

    Args:
        exists: whether a workspace's namespace is there.
        plan_changed: asks for a pass over a plan, now.
        moved: one of a plan's workspaces has another blueprint.
    """

    def __init__(
        self,
        store: Store,
        exists: Callable[[str], bool],
        plan_changed: Callable[[Name], None],
        moved: Callable[[Name], None],
    ) -> None:
        self._store = store
        self._exists = exists
        self._plan_changed = plan_changed
        self._moved = moved
        self._problems: dict[Name, dict[str, Problem]] = defaultdict(dict)
        self._again: dict[Name, set[str]] = defaultdict(set)

    def part_of(self, client: Client, plan: Plan) -> Part:
        """What the client's workspace gets of the blueprint now."""
        blueprint, record = plan.template.spec.workspace.blueprint, plan.blueprint
        wanted = plan.template.revision
        share = share_of(record, wanted, member_of(client))
        failure = None
        if record is not None and record.target == wanted and client.name[1] in record.failures:
            failure = Problem(Reason.BLUEPRINT_INVALID, _failed(record.failures[client.name[1]].message))
        if share in (Share.TARGET, Share.CHANGE) or record is None:
            return Part(share, blueprint, wanted, failure)
        if share is Share.STABLE:
            return Part(share, record.objects, record.revision, failure)
        return Part(share, failure=failure)

    def tell(self, client: Client, plan: Plan, problem: Problem | None, *, final: bool) -> None:
        """What the change of a workspace runs into; `final` where only a change of the plan or the client can help."""
        if problem is None:
            self._problems[plan.name].pop(client.name[1], None)
            return
        self._problems[plan.name][client.name[1]] = problem
        if final:
            self._plan_changed(plan.name)

    def moved(self, client: Client) -> None:
        """A workspace has another blueprint, or is about to be deleted."""
        self._moved((client.name[0], client.plan))

    def again(self, client: Client, plan: Plan) -> None:
        """Somebody asked to look at the client anew: it is tried again where it had failed."""
        if plan.blueprint is not None and client.name[1] in plan.blueprint.failures:
            self._again[plan.name].add(client.name[1])
            self._plan_changed(plan.name)

    def news(self, plan: Name) -> News:
        """What was told of a plan's clients."""
        return News(dict(self._problems.get(plan, {})), frozenset(self._again.get(plan, ())))

    def heard(self, plan: Name, news: News, record: Record) -> None:
        """The news are written down."""
        problems = self._problems[plan]
        for name in [name for name in problems if name not in record.changing]:
            del problems[name]
        self._again[plan] -= news.again

    def members(self, plan: Name) -> list[Member]:
        """The clients of a plan that have a workspace."""
        clients = (self._store.clients[name] for name in self._store.clients_of_plan(plan))
        return [member_of(client) for client in clients if self._counts(client)]

    def _counts(self, client: Client) -> bool:
        if client.deleting or client.purge_started is not None:
            return False
        return client.blueprint is not None or (client.last_grant > 0 and self._exists(client.namespace))


def member_of(client: Client) -> Member:
    """The client as its plan's blueprint knows it."""
    return Member(client.name[1], client.blueprint)


def _failed(message: str) -> str:
    return f"{message}; the workspace has what it had before"


def changed_shares(before: Plan, after: Plan, clients: Sequence[Client]) -> list[Name]:
    """The clients whose part is another one by a plan's new status."""
    wanted = after.template.revision
    old, new = before.blueprint, after.blueprint
    failed = (old.failures.keys() if old else set()) ^ (new.failures.keys() if new else set())
    return [
        client.name
        for client in clients
        if client.name[1] in failed
        or share_of(old, wanted, member_of(client)) is not share_of(new, wanted, member_of(client))
    ]


def is_too_large(plan: Plan) -> str | None:
    """Why the plan's blueprint is too large to be rolled out, if it is."""
    size = plan.template.blueprint_bytes
    if size <= MAX_BLUEPRINT_BYTES:
        return None
    return (
        f"spec.workspace.blueprint: {size:,} bytes, at most {MAX_BLUEPRINT_BYTES:,} fit beside their copy in the "
        "status; take something out, for example a large ConfigMap that pods can load from elsewhere"
    )
