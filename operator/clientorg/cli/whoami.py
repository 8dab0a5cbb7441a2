"""Who the API server takes us for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clientorg.cli.session import Session


async def authenticated_user(session: Session) -> str:
    """The user's name as policies and RBAC see it: a SelfSubjectReview, which every authenticated user may make.

    Raises:
        ApiError: the server does not say (before Kubernetes 1.28), or the right was taken away.
    """
    from clientorg.cluster.resources import SELF_SUBJECT_REVIEWS

    review = {"apiVersion": SELF_SUBJECT_REVIEWS.api_version, "kind": SELF_SUBJECT_REVIEWS.kind}
    answer = await session.api.create(SELF_SUBJECT_REVIEWS, None, review)
    return str(answer["status"]["userInfo"]["username"])
