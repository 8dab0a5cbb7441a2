"""Operators on the API server in memory: the real runtime, with the network between them in the test's hands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache

import msgspec
import orjson
from kubernetes.aio.client import Configuration

from clientorg.api.meta import LABEL_ORG_ID
from clientorg.cluster.credentials import Credentials, Source
from clientorg.cluster.resources import (
    BLUEPRINT_RESOURCES,
    WORKSPACE_RESOURCES,
)
from clientorg.cluster.rest import Api
from clientorg.control.children import Item
from clientorg.control.clock import Clock
from clientorg.control.keys import RESOURCES, Kind
from clientorg.control.runtime import Runtime
from clientorg.control.settings import Settings
from clientorg.errors import ApiError, UnreachableError
from tests.unit.apiserver import MemoryServer, WatchEvent
from tests.unit.virtualtime import VirtualClock, VirtualTimeLoop

_OURS = {resource.plural: kind for kind, resource in RESOURCES.items()}
_CHILDREN = {resource.plural: resource.kind for resource in (*WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES)}
_SLOW = ("/clientorgs", "/quotapools", "/pointtransactions", "/orgapprovals")
_ITEM = msgspec.json.Decoder(Item)


@cache
def _credentials() -> Credentials:
    return Credentials(Source(), Configuration(host="http://api.invalid"), "default")


@cache
def _settings() -> Settings:
    return Settings(leader_election=False, pool_interval_seconds=0)


@dataclass
class Call:
    """A request under way: sent, then carried out, then answered; or lost before or after it was carried out."""

    server: MemoryServer
    method: str
    path: str
    params: dict[str, str]
    data: bytes | None
    content_type: str
    reply: asyncio.Future[bytes] = field(default_factory=asyncio.Future)
    result: bytes | ApiError | None = None

    def carry_out(self) -> None:
        """The server does what was asked, once."""
        if self.result is not None:
            return
        body = orjson.loads(self.data) if self.data is not None else None
        try:
            answer = self.server.handle(self.method, self.path, self.params, body, self.content_type)
            self.result = orjson.dumps(answer)
        except ApiError as error:
            self.result = error

    def answer(self) -> None:
        """The answer arrives, of a request that was carried out or is now."""
        self.carry_out()
        if isinstance(self.result, ApiError):
            self.reply.set_exception(self.result)
        elif self.result is not None:
            self.reply.set_result(self.result)

    def lose(self) -> None:
        """The connection breaks."""
        self.reply.set_exception(UnreachableError("API server: connection reset"))


class MemoryApi(Api):
    """A connection to the server in memory. Requests about clients, pools and the ledger wait in `calls`."""

    def __init__(self, server: MemoryServer) -> None:
        super().__init__(_credentials(), field_manager="clientorg-operator")
        self._server = server
        self.calls: list[Call] = []

    async def _send(
        self, method: str, path: str, params: Mapping[str, str] | None, data: bytes | None, content_type: str
    ) -> bytes:
        call = Call(self._server, method, path, dict(params or {}), data, content_type)
        if any(part in path for part in _SLOW):
            self.calls.append(call)
        else:
            call.answer()
        try:
            return await call.reply
        finally:
            if call in self.calls:
                self.calls.remove(call)


class Operator:
    """One operator process: starts from a list, hears of changes when the test delivers them, may crash."""

    def __init__(
        self,
        server: MemoryServer,
        loop: VirtualTimeLoop,
        identity: str,
        version: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._server = server
        self._loop = loop
        self._clock = clock or VirtualClock(loop)
        self.identity = identity
        self.deaf_to: AbstractSet[Kind] = frozenset()
        """Kinds whose events stay undelivered for now."""
        self.version = server.version if version is None else version
        """Up to where it heard of the objects in workspaces."""
        self.heard = dict.fromkeys(_OURS.values(), self.version)
        loop.run_until_complete(self._connect())
        loop.call(self._prime)
        self.runtime._gate.set()
        self._task = loop.create_task(self.runtime._queue.run(self.runtime._worker.work, 4, self.runtime._gate))
        loop.run_until_idle()

    async def _connect(self) -> None:
        self.api = MemoryApi(self._server)
        settings = _settings().model_copy(update={"identity": self.identity})
        self.runtime = Runtime(settings, self.api, self._clock)
        await self.api.close()  # the sockets; nothing here uses them
        await self.runtime._lease_api.close()

    def _prime(self) -> None:
        """Begin with the state at `version`, which may be old."""
        self._sinks = {informer.resource.kind: informer.sink for informer in self.runtime._informers}
        for key, manifest in self._server.snapshot(self.version).items():
            if key[0] in _OURS:
                self.runtime.observe(_OURS[key[0]], "LISTED", manifest)
            else:
                self._hear_child(WatchEvent(0, key, "ADDED", orjson.dumps(manifest)))
        for sink in self._sinks.values():
            sink.sweep(self.version)

    @property
    def calls(self) -> list[Call]:
        """Requests under way."""
        return self.api.calls

    @property
    def is_quiet(self) -> bool:
        """Nothing is under way, and everything that happened was heard."""
        return not self.calls and not any(self.undelivered(kind) for kind in self.heard)

    def undelivered(self, kind: Kind) -> list[WatchEvent]:
        """Events of a kind that did not arrive yet, in order."""
        return [event for event in self._server.since(self.heard[kind]) if _OURS.get(event.plural) is kind]

    def deliver(self, kind: Kind, most: int | None = None) -> None:
        """The next watch events of a kind arrive."""
        for event in self.undelivered(kind)[:most]:
            self.heard[kind] = event.version
            self._loop.call(self.runtime.observe, kind, event.type, event.decoded())

    def relist(self) -> None:
        """The watch was cut (410 Gone): each kind is listed again, which also shows what was deleted meanwhile."""
        found: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        for (plural, _, _), manifest in self._server.snapshot(self._server.version).items():
            if plural in _OURS:
                found[_OURS[plural]].add(manifest["metadata"]["uid"])
                self._loop.call(self.runtime.observe, _OURS[plural], "LISTED", manifest)
        for kind, uids in found.items():
            self._loop.call(self.runtime._sources.drop_phantoms, kind, uids, self._server.version)
        self.heard = dict.fromkeys(self.heard, self._server.version)

    def hear_children(self) -> None:
        """Events of what stands in the workspaces arrive."""
        for event in self._server.since(self.version):
            if event.plural in _CHILDREN:
                self._loop.call(self._hear_child, event)
        self.version = self._server.version

    def _hear_child(self, event: WatchEvent) -> None:
        item = _ITEM.decode(event.manifest)
        if LABEL_ORG_ID not in (item.metadata.labels or {}):
            return
        sink = self._sinks[_CHILDREN[event.plural]]
        if event.type == "DELETED":
            sink.drop(item)
        else:
            sink.put(item)

    def look_at_clock(self) -> None:
        """What is due by the operator's clock is looked at."""
        self._loop.call(self.runtime._timers.look)

    def audit(self) -> None:
        """The audit that finds missed deletions, begun; its requests wait in `calls` like all."""
        self._auditing = self._loop.create_task(self.runtime.list_kind(Kind.CLIENT))
        self._loop.run_until_idle()

    def has_delayed(self) -> bool:
        """Whether something is due at a later time."""
        return self.runtime._queue.delayed() > 0

    def crash(self) -> None:
        """The process is gone; what it had sent and was not carried out never arrives."""
        for call in list(self.calls):
            call.reply.cancel()
        self._task.cancel()
        self._loop.run_until_idle()
