"""What the user may do, as the API server says (SelfSubjectAccessReview): buttons that would be refused are off."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from clientorg.cluster.resources import CLIENT_ORGS, ORG_APPROVALS, POINT_TRANSACTIONS, SUBSCRIPTIONS, Resource
from clientorg.cluster.rest import Api
from clientorg.errors import ClientOrgError

REVIEWS: Final = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)
KEPT_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Right:
    """What an action needs: verbs on a resource."""

    resource: Resource
    verbs: tuple[str, ...]

    def __str__(self) -> str:
        """For the person who is to ask for it."""
        return f"{', '.join(self.verbs)} {self.resource.plural}.{self.resource.group}"


CHANGE_CLIENTS: Final = Right(CLIENT_ORGS, ("patch",))
DECIDE: Final = Right(ORG_APPROVALS, ("create",))
TOP_UP: Final = Right(POINT_TRANSACTIONS, ("create", "top-up"))
WITHDRAW: Final = Right(POINT_TRANSACTIONS, ("create", "withdraw"))
CREATE_CLIENTS: Final = Right(CLIENT_ORGS, ("create",))
BIND_ORDERS: Final = Right(SUBSCRIPTIONS, ("patch",))
ALL: Final = (CHANGE_CLIENTS, DECIDE, TOP_UP, WITHDRAW, CREATE_CLIENTS, BIND_ORDERS)


class Rights:
    """The answers, kept for half a minute: rights change while a page is open."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._known: dict[tuple[Resource, str], tuple[float, bool]] = {}

    async def held(self) -> frozenset[Right]:
        """Those of `ALL` that the user has. What the server does not answer for counts as not held."""
        pairs = {(right.resource, verb) for right in ALL for verb in right.verbs}
        answers = dict(zip(pairs, await asyncio.gather(*(self._may(*pair) for pair in pairs)), strict=True))
        return frozenset(right for right in ALL if all(answers[right.resource, verb] for verb in right.verbs))

    async def _may(self, resource: Resource, verb: str) -> bool:
        known = self._known.get((resource, verb))
        if known is not None and time.monotonic() - known[0] < KEPT_SECONDS:
            return known[1]
        attributes = {
            "namespace": self._namespace,
            "group": resource.group,
            "resource": resource.plural,
            "verb": verb,
        }
        review = {
            "apiVersion": REVIEWS.api_version,
            "kind": REVIEWS.kind,
            "spec": {"resourceAttributes": attributes},
        }
        try:
            answer = await self._api.create(REVIEWS, None, review)
        except ClientOrgError:
            return False
        allowed = bool(answer["status"]["allowed"])
        self._known[resource, verb] = (time.monotonic(), allowed)
        return allowed
