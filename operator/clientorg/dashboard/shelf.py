"""One kind of object as it is now: listed, watched, and over a lost connection listed again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Generic, TypeVar

from clientorg.cli.watching import MAX_PAUSE_SECONDS, Change, follow
from clientorg.cluster.resources import Resource
from clientorg.cluster.rest import Api
from clientorg.errors import ClientOrgError, ForbiddenError, NotFoundError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
T = TypeVar("T")

FIRST_PAGE = 100
"""So many objects are shown before the whole list is there: 10,000 clients take the API server more than a second."""
SLICE = 500
"""So many are taken in before other requests are served again."""


class Health(StrEnum):
    """How far what is on a shelf can be trusted."""

    LOADING = "loading"
    LIVE = "live"
    LOST = "lost"
    """The watch is lost: what is shown is how it was, and is listed again as soon as the server answers."""
    HIDDEN = "hidden"
    """No right to list them, or the server does not know the kind."""


class Shelf(Generic[T]):
    """Keeps what `make` reads from each object of one kind in one namespace.

    Args:
        on_change: called after each change of the items or of the health.
    """

    def __init__(
        self, api: Api, resource: Resource, namespace: str, make: Callable[[Json], T], on_change: Callable[[str], None]
    ) -> None:
        self.resource = resource
        self.items: dict[str, T] = {}
        self.health = Health.LOADING
        self.why = ""
        """What the server said when the watch was lost, or when it refused."""
        self.revision = 0
        """Counts the changes, so that what is derived from the items can be kept until the next."""
        self.synced = asyncio.Event()
        """Set once the first whole list is there, or is known not to come."""
        self._api, self._namespace, self._make, self._on_change = api, namespace, make, on_change

    @property
    def is_whole(self) -> bool:
        """Whether all objects are there, as of now or as of when the watch was lost."""
        return self.synced.is_set() and self.health is not Health.HIDDEN

    def values(self) -> Iterable[T]:
        """The items, in no order."""
        return self.items.values()

    async def run(self) -> None:
        """Keep it until cancelled."""
        pause = 0.25
        await self._first_page()
        while True:
            try:
                async for change in follow(self._api, self.resource, self._namespace):
                    await self._take(change)
            except (ForbiddenError, NotFoundError) as error:
                self.items.clear()
                self._is(Health.HIDDEN, str(error))
                self.synced.set()
                pause = MAX_PAUSE_SECONDS  # the right may be given while the page is open
            except ClientOrgError as error:  # the very first list failed, or the credentials were refused
                logger.warning("%s: %s", self.resource.plural, error)
                self._is(Health.LOST, str(error))
            await asyncio.sleep(pause)
            pause = min(MAX_PAUSE_SECONDS, pause * 2)

    async def _first_page(self) -> None:
        try:
            async for page in self._api.list_pages(self.resource, self._namespace, chunk=FIRST_PAGE):
                self.items = {item["metadata"]["name"]: self._make(item) for item in page["items"]}
                self._changed()
                return
        except ClientOrgError:
            return  # told by the whole list that follows

    async def _take(self, change: Change) -> None:
        if change.kind == "LOST":
            self._is(Health.LOST, "the API server does not answer")
            return
        if change.kind == "SNAPSHOT":
            items: dict[str, T] = {}
            for index, item in enumerate(change.items):
                items[item["metadata"]["name"]] = self._make(item)
                if index % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
            self.items = items
            self.synced.set()
        for item in change.items if change.kind != "SNAPSHOT" else ():
            name = item["metadata"]["name"]
            if change.kind == "DELETED":
                self.items.pop(name, None)
            else:
                self.items[name] = self._make(item)
        self._is(Health.LIVE, "")

    def _is(self, health: Health, why: str) -> None:
        self.health, self.why = health, why
        self._changed()

    def _changed(self) -> None:
        self.revision += 1
        self._on_change(self.resource.plural)
