"""The last steps of a deletion and of a purge, each on the newest state of the API server."""

from __future__ import annotations

import logging

from clientorg.api.meta import FINALIZER
from clientorg.cluster.resources import CLIENT_ORGS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clientobject import Client
from clientorg.errors import NotFoundError

logger = logging.getLogger(__name__)


class Deleter:
    """Asks the server once more before what cannot be undone."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def release(self, client: Client) -> Json | None:
        """Take our finalizer off; returns the object if others still hold it."""
        finalizers = [name for name in client.finalizers if name != FINALIZER]
        patch = {"metadata": {"resourceVersion": str(client.version), "finalizers": finalizers or None}}
        try:
            answer = await self._api.patch(CLIENT_ORGS, *client.name, patch)
        except NotFoundError:
            return None
        logger.info("client deleted")
        return answer if finalizers else None

    async def is_still_to_be_purged(self, client: Client) -> bool:
        """Whether the newest version of the client is the one that was judged. What we know may be old news."""
        try:
            found = await self._api.get(CLIENT_ORGS, *client.name)
        except NotFoundError:
            return False
        metadata = found["metadata"]
        return metadata["uid"] == client.uid and int(metadata["resourceVersion"]) == client.version
