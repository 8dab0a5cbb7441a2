"""Watching: objects as they are and as they change, over lost connections and expired resource versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

from clientorg.errors import ApiError, GoneError, UnauthorizedError, UnreachableError

if TYPE_CHECKING:
    from clientorg.cluster.resources import Resource
    from clientorg.cluster.rest import Api

Json = dict[str, Any]

PAGE = 10_000
"""Objects in one page. Measured on Kubernetes 1.37: the first page comes from the API server's watch cache (10,000
clients in 1.3 s), each further one from etcd (0.2 s for 500), so that pages of 500 take 5 s for the same 10,000."""
LIST_TRIES = 3
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.25, 10.0


@dataclass(frozen=True)
class Change:
    """What a watch tells: the objects there are (once, and again after a break), or one that changed."""

    kind: Literal["SNAPSHOT", "ADDED", "MODIFIED", "DELETED", "LOST"]
    items: tuple[Json, ...]


async def follow(
    api: Api,
    resource: Resource,
    namespace: str | None,
    *,
    label_selector: str | None = None,
    field_selector: str | None = None,
) -> AsyncIterator[Change]:
    """A snapshot, then every change, for ever.

    The first list's errors are the caller's; later ones are told as LOST and tried again with growing pauses, until
    another snapshot tells that it goes on.
    """
    params = {"watch": "true", "allowWatchBookmarks": "true"}
    if label_selector:
        params["labelSelector"] = label_selector
    if field_selector:
        params["fieldSelector"] = field_selector
    version, pause, begun = "", 0.0, False
    while True:
        try:
            if not version:
                items, version = await list_objects(
                    api, resource, namespace, label_selector=label_selector, field_selector=field_selector
                )
                begun = True
                yield Change("SNAPSHOT", tuple(items))
            async for line in _lines(api, resource.path(namespace), {**params, "resourceVersion": version}):
                event = orjson.loads(line)
                item, kind = event["object"], event["type"]
                if kind == "ERROR":
                    version = ""  # too old: list again
                    break
                version, pause = item["metadata"]["resourceVersion"], 0.0
                if kind != "BOOKMARK":
                    yield Change(kind, (item,))
            await asyncio.sleep(MIN_PAUSE_SECONDS)  # the server ends watches now and then; not in a tight loop
        except (UnreachableError, ApiError) as error:
            passing = isinstance(error, UnreachableError | GoneError) or error.is_transient
            if not begun or not passing:
                raise
            version = ""  # what is listed anew tells what was missed, and that the server is back
            pause = min(MAX_PAUSE_SECONDS, pause * 2 or MIN_PAUSE_SECONDS)
            if not isinstance(error, GoneError):
                yield Change("LOST", ())
            await asyncio.sleep(pause)


async def _lines(api: Api, path: str, params: dict[str, str]) -> AsyncIterator[bytes]:
    """A watch. One that ends in 401 is as good as expired: the list that follows renews the credentials, or tells."""
    try:
        async for line in api.stream(path, params):
            yield line
    except UnauthorizedError as error:
        raise GoneError(410, "Expired", error.message) from error


async def list_objects(
    api: Api,
    resource: Resource,
    namespace: str | None,
    *,
    label_selector: str | None = None,
    field_selector: str | None = None,
) -> tuple[list[Json], str]:
    """Every object and the resource version of the list. A continue token that expires begins it anew."""
    for attempt in range(LIST_TRIES):
        items: list[Json] = []
        version = ""
        try:
            async for page in api.list_pages(
                resource, namespace, label_selector=label_selector, field_selector=field_selector, chunk=PAGE
            ):
                items.extend(page["items"])
                version = page["metadata"]["resourceVersion"]
            return items, version
        except GoneError:
            if attempt == LIST_TRIES - 1:
                raise
    raise AssertionError("unreachable")


async def follow_one(api: Api, resource: Resource, namespace: str, name: str) -> AsyncIterator[Json | None]:
    """One object now and after each change; None while it is not there."""
    async for change in follow(api, resource, namespace, field_selector=f"metadata.name={name}"):
        if change.kind == "SNAPSHOT":
            yield change.items[0] if change.items else None
        elif change.kind == "DELETED":
            yield None
        elif change.kind != "LOST":
            yield change.items[0]
