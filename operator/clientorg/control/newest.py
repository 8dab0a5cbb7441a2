"""A last look at the server before what cannot be undone: what was judged may be old news."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clientobject import Client
from clientorg.control.objects import Name, Plan, version_of
from clientorg.errors import ConflictError, NotFoundError

_MOST_KNOWN = 1000
_MOST_HELD = 20_000
"""Clients; of one that is forgotten the server is asked."""


class Newest:
    """Confirms that a client and its plan are still what was judged.

    Args:
        seen: takes in a plan in its newest version, and wakes whom it concerns.
        gone: takes in that a plan with this name and UID is not there any more.
    """

    def __init__(self, api: Api, seen: Callable[[Json], None], gone: Callable[[Name, str], None]) -> None:
        self._api = api
        self._seen = seen
        self._gone = gone
        self._confirmed: dict[tuple[str, int], datetime] = {}
        self._held: dict[str, None] = {}

    def hold(self, client: Client) -> None:
        """This process has put its finalizer on the client: it does not go without our hearing of it first."""
        self._held[client.uid] = None
        if len(self._held) > _MOST_HELD:
            del self._held[next(iter(self._held))]

    def holds(self, client: Client) -> bool:
        """Whether the client is there, whatever is heard late."""
        return client.uid in self._held

    async def confirm_client(self, client: Client) -> None:
        """Raises ConflictError where it changed since, NotFoundError where it is gone: the pass begins anew."""
        found = await self._api.get(CLIENT_ORGS, *client.name)
        if found["metadata"]["uid"] != client.uid or version_of(found) != client.version:
            raise ConflictError(409, "Conflict", "the client changed since it was judged")

    async def confirm_plan(self, plan: Plan, now: datetime, since: datetime | None = None) -> None:
        """Raises ConflictError where its spec changed since, or it is gone: the pass begins anew.

        Args:
            since: good enough is what a look after that has confirmed: a run of charges asks once.
        """
        key = (plan.uid, plan.generation)
        last = self._confirmed.get(key)
        if since is not None and last is not None and since <= last:
            return
        try:
            found = await self._api.get(ORG_PLANS, *plan.name)
        except NotFoundError:
            self._gone(plan.name, plan.uid)
            raise ConflictError(409, "Conflict", f"OrgPlan {plan.name[1]!r} is gone") from None
        if (found["metadata"]["uid"], found["metadata"]["generation"]) != key:
            self._seen(found)
            raise ConflictError(409, "Conflict", f"OrgPlan {plan.name[1]!r} changed since it was judged")
        self._confirmed[key] = now
        if len(self._confirmed) > _MOST_KNOWN:
            del self._confirmed[next(iter(self._confirmed))]
