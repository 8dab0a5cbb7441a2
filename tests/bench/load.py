"""The work: so many clients of one agency, and the bare writes that the same work needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from clientorg.api.meta import FIELD_MANAGER, FINALIZER, LABEL_ORG_ID
from clientorg.api.orgplan import OrgPlanSpec
from clientorg.cluster.credentials import Source
from clientorg.cluster.events import Happening, Regarding
from clientorg.cluster.resources import (
    CLIENT_ORGS,
    EVENTS,
    NAMESPACES,
    ORG_PLANS,
    QUOTA_POOLS,
    Resource,
    resource_of,
)
from clientorg.cluster.rest import Api
from clientorg.domain.allocation import Holder
from clientorg.domain.client_facts import Facts
from clientorg.domain.client_status import status_of
from clientorg.domain.identity import org_id, workspace_namespace
from clientorg.domain.workspace import Org, PlanTemplate
from tests.support import builders

Json = dict[str, Any]
AGENCY = "bench"
CREATORS = 16
"""How many clients the load generator creates at the same time."""
CONCURRENCY = 32
"""Requests of the operator, and of the floor, at the same time."""


def clients(count: int, agency: str = AGENCY, prefix: str = "client") -> list[Json]:
    """The clients to create: ordinary ones, with an admin each."""
    return [
        builders.client(
            agency,
            f"{prefix}-{number:05d}",
            licenses={"visitors": 10},
            admins=[{"name": f"admin@{prefix}-{number:05d}.example", "kind": "User", "role": "Full"}],
        )
        for number in range(count)
    ]


async def agency(api: Api, name: str = AGENCY, licenses: int = 10_000_000) -> None:
    """A namespace with a pool and a plan."""
    await api.create(NAMESPACES, None, builders.namespace(name))
    await api.create(QUOTA_POOLS, name, builders.pool(name, visitors=licenses))
    workspace: Json = {
        "urlTemplate": "https://portal.example/orgs/$(orgID)",
        "access": {"agency": [{"name": "bench-admins"}], "support": [{"name": "bench-support"}]},
    }
    await api.create(ORG_PLANS, name, builders.plan(name, **workspace))


@asynccontextmanager
async def connection(kubeconfig: Path, concurrency: int) -> AsyncIterator[Api]:
    """A connection with the operator's own client, and its field manager."""
    api = await Api.connect(
        Source(str(kubeconfig)), concurrency=concurrency, component="bench", field_manager=FIELD_MANAGER
    )
    async with api:
        yield api


async def each(items: Iterable[Any], work: Callable[[Any], Awaitable[None]], concurrency: int) -> None:
    """Do the work for each item, so many at a time."""
    source = iter(items)

    async def worker() -> None:
        for item in source:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())


class _Metadata(msgspec.Struct):
    name: str


class _Object(msgspec.Struct):
    metadata: _Metadata


class _Event(msgspec.Struct):
    type: str
    object: _Object


class ReadyWatch:
    """Notes when each client of an agency becomes Active, by a watch that sees only those."""

    def __init__(self, api: Api, agency: str = AGENCY) -> None:
        self._api = api
        self._agency = agency
        self._changed = asyncio.Event()
        self.ready_at: dict[str, float] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        decoder = msgspec.json.Decoder(_Event)
        params = {"watch": "true", "fieldSelector": "status.state=Active"}
        while True:
            async for line in self._api.stream(CLIENT_ORGS.path(self._agency), params, silence_seconds=600):
                event = decoder.decode(line)
                if event.type == "ADDED":
                    self.ready_at.setdefault(event.object.metadata.name, time.perf_counter())
                    self._changed.set()

    async def wait(self, is_done: Callable[[dict[str, float]], bool], deadline_seconds: float) -> None:
        """Until what was noted satisfies."""
        async with asyncio.timeout(deadline_seconds):
            while not is_done(self.ready_at):
                self._changed.clear()
                await self._changed.wait()


async def create_all(api: Api, manifests: list[Json]) -> None:
    """POST the clients, a few at a time."""

    async def create(manifest: Json) -> None:
        await api.create(CLIENT_ORGS, manifest["metadata"]["namespace"], manifest)

    await each(manifests, create, CREATORS)


# -- the floor ----------------------------------------------------------------------------------------------------


def _facts(org: Org) -> Facts:
    return Facts(
        generation=1,
        org_id=org.org_id,
        namespace=org.namespace,
        url=f"https://portal.example/orgs/{org.org_id}",
        holder=Holder({"visitors": 10}, 1),
        asked={"visitors": 10},
        wanted={"visitors": 10},
        used={},
        provisioned=True,
        established=True,
        outbox=({"key": "delivery", "kind": "delivery", "params": {}, "created": "2026-01-01T00:00:00Z"},),
    )


async def floor(user: Api, api: Api, count: int, plan: Json) -> tuple[float, int]:
    """The bare API writes that `count` clients need, from one loop. Returns seconds and writes.

    `user` creates the clients, `api` has the operator's credentials, so that the same rights and policies are checked.

    The same objects with the same verbs and the same concurrency as the operator's, with nothing in between: nothing
    is watched, compared or decided. Everything that can be made beforehand is.
    """
    template = PlanTemplate(OrgPlanSpec.model_validate(plan["spec"]))
    manifests = clients(count)
    orgs = [_org(manifest) for manifest in manifests]
    children = [[(resource_of(m), m) for m in (child.manifest(org) for child in template.render(org))] for org in orgs]
    status = [status_of(_facts(org), {}, "2026-01-01T00:00:00Z") for org in orgs]
    slots = asyncio.Semaphore(CONCURRENCY)
    created: asyncio.Queue[int] = asyncio.Queue()
    writes = 0

    async def make(number: int) -> None:
        nonlocal writes
        org = orgs[number]
        patch: Json = {"metadata": {"finalizers": [FINALIZER], "labels": {LABEL_ORG_ID: org.org_id}}}
        await api.patch(CLIENT_ORGS, AGENCY, org.name, patch)
        (_, namespace), *rest = children[number]
        await api.create(NAMESPACES, None, namespace)

        async def apply(resource: Resource, manifest: Json) -> None:
            await api.apply(resource, org.namespace, manifest)

        await asyncio.gather(*(apply(resource, manifest) for resource, manifest in rest))
        await api.patch(CLIENT_ORGS, AGENCY, org.name, {"status": status[number]}, subresource="status")
        happening = Happening(
            Regarding("ClientOrg", AGENCY, org.name, org.uid),
            "Normal",
            "Ready",
            "Reconcile",
            "the client can work",
            "1",
            "2026-01-01T00:00:00.000000Z",
        )
        await api.create(EVENTS, AGENCY, happening.manifest("bench"))
        writes += 4 + len(rest)

    async def worker() -> None:
        while (number := await created.get()) >= 0:
            await make(number)

    async def create(number: int) -> None:
        async with slots:
            await user.create(CLIENT_ORGS, AGENCY, manifests[number])
        created.put_nowait(number)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CREATORS):
            group.create_task(worker())
        await each(range(count), create, CREATORS)
        for _ in range(CREATORS):
            created.put_nowait(-1)
    return time.perf_counter() - started, writes + count


def _org(manifest: Json) -> Org:
    name = manifest["metadata"]["name"]
    uid = f"00000000-0000-0000-0000-{name}"
    spec = manifest["spec"]
    return Org(
        name=name,
        agency=AGENCY,
        uid=uid,
        org_id=org_id(uid),
        namespace=workspace_namespace(name, org_id(uid)),
        display_name=spec["displayName"],
        language="en",
        admins=spec["admins"],
    )
