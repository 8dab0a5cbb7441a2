"""List and watch of one kind, decoded into small structs: what Kopf would hold as dicts costs ten times the memory.

Kopf watches the project's own kinds; the objects in the workspaces are a dozen for each client, and of those only a
digest is kept (`control.children`). The loop is the usual one: list, watch from there, resume after a cut, list
again after 410 Gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from clientorg.cluster.resources import Resource
from clientorg.cluster.rest import LIST_CHUNK, Api
from clientorg.errors import ApiError, ClientOrgError, GoneError, UnreachableError

logger = logging.getLogger(__name__)

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

WATCH_SECONDS = 40
"""The server ends each watch after that: a quiet kind is told within a minute from a dead line."""
SILENCE_SECONDS = 50.0
"""A watch that has told nothing for so long, not even that it ends, is dead."""
_RETRY_FIRST_SECONDS = 0.5
_RETRY_MOST_SECONDS = 30.0


class Sink(Protocol[T_contra]):
    """Where an informer delivers."""

    def begin(self) -> None:
        """A list begins."""

    def put(self, item: T_contra) -> None:
        """An object was added or changed, or is there at a list."""

    def drop(self, item: T_contra) -> None:
        """An object is gone, or does not match the selector any more."""

    def sweep(self, listed_at: int) -> None:
        """A list, as of that resourceVersion, is complete: what it did not name is gone."""


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""  # noqa: N815 - the field's name on the wire
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct):
    items: list[msgspec.Raw] | None
    metadata: _ListMeta


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Probe(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _BookmarkMeta(msgspec.Struct):
    resourceVersion: str  # noqa: N815


class _Bookmark(msgspec.Struct):
    metadata: _BookmarkMeta


class Informer(Generic[T]):
    """Keeps a sink up to date with one kind.

    Args:
        api: connection.
        resource: the kind, in all namespaces.
        item_type: a msgspec struct with `metadata.resourceVersion`; fields it does not name are not decoded.
        version_of: resourceVersion of an item.
        sink: where the items go; its methods must not block.
        label_selector: narrows what is listed and watched.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource,
        item_type: type[T],
        version_of: Callable[[T], str],
        sink: Sink[T],
        label_selector: str,
    ) -> None:
        self._api = api
        self.resource = resource
        self.sink = sink
        self._version_of = version_of
        self._selector = label_selector
        self.synced = asyncio.Event()
        self.healthy = False
        """Whether the last watch was accepted and has not failed since."""
        self._items = msgspec.json.Decoder(item_type)
        self._lists = msgspec.json.Decoder(_List)
        self._probes = msgspec.json.Decoder(_Probe)
        self._bookmarks = msgspec.json.Decoder(_Bookmark)
        self._statuses = msgspec.json.Decoder(_Status)

    async def run(self) -> None:
        """List and watch until cancelled; failures are retried for ever with backoff."""
        delay = _RETRY_FIRST_SECONDS
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list()
                    self.synced.set()
                version = await self._watch(version)
                delay = _RETRY_FIRST_SECONDS
            except GoneError:
                if not version:  # of the list itself: not at once again
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, _RETRY_MOST_SECONDS)
                version = ""
            except (ClientOrgError, msgspec.MsgspecError) as error:  # the latter: a line cut short
                self.healthy = False
                logger.warning("watch of %s failed, again in %.1f s: %s", self.resource.plural, delay, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _RETRY_MOST_SECONDS)
                if not isinstance(error, UnreachableError):
                    version = ""

    def _opened(self) -> None:
        self.healthy = True

    async def _list(self) -> str:
        params = {"limit": str(LIST_CHUNK), "labelSelector": self._selector}
        self.sink.begin()
        while True:
            page = self._lists.decode(await self._api.request_bytes("GET", self.resource.path(), params))
            for item in page.items or ():
                self.sink.put(self._items.decode(item))
            if not page.metadata.continue_:
                self.sink.sweep(int(page.metadata.resourceVersion))
                return str(page.metadata.resourceVersion)
            params["continue"] = page.metadata.continue_

    async def _watch(self, version: str) -> str:
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": self._selector,
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        path = self.resource.path()
        async for line in self._api.stream(path, params, silence_seconds=SILENCE_SECONDS, on_open=self._opened):
            event = self._probes.decode(line)
            if event.type == "BOOKMARK":
                version = self._bookmarks.decode(event.object).metadata.resourceVersion
                continue
            if event.type == "ERROR":
                status = self._statuses.decode(event.object)
                if status.code == 410:
                    raise GoneError(410, "Expired", status.message)
                raise ApiError(status.code, "", status.message)
            item = self._items.decode(event.object)
            version = self._version_of(item)
            if event.type == "DELETED":
                self.sink.drop(item)
            else:
                self.sink.put(item)
        return version
