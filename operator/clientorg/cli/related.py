"""What belongs to a client, as far as the user's rights reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clientorg.cli.terminal import warn
from clientorg.cli.text import plain

if TYPE_CHECKING:
    from clientorg.cli.session import Session
    from clientorg.cluster.resources import Resource
    from clientorg.domain.lifecycle import Terms

Json = dict[str, Any]


async def read_or_none(session: Session, resource: Resource, name: str) -> Json | None:
    """One object of the namespace; None when it is not there, or there is no right to read it."""
    from clientorg.errors import ForbiddenError, NotFoundError

    try:
        return await session.api.get(resource, session.namespace, name) if name else None
    except (ForbiddenError, NotFoundError):
        return None


async def list_or_none(
    session: Session, resource: Resource, namespace: str | None, **selectors: str
) -> list[Json] | None:
    """Objects; None when there is no right to list them."""
    from clientorg.cli.watching import list_objects
    from clientorg.errors import ForbiddenError, NotFoundError

    try:
        return (await list_objects(session.api, resource, namespace, **selectors))[0]
    except (ForbiddenError, NotFoundError):  # the latter: the server does not know the kind
        return None


def read_terms(plan: Json | None) -> Terms | None:
    """The plan's terms of deactivation; None, with a warning, for a plan that the operator cannot read either."""
    from clientorg.cli.schedule import terms_of
    from clientorg.errors import PlanError

    if plan is None:
        return None
    try:
        return terms_of(plan)
    except (PlanError, ValueError) as error:  # pydantic's error is a ValueError
        warn(f"plan {plan['metadata']['name']}: {plain(str(error))}")
        return None
