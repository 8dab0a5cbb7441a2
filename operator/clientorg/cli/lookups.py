"""What completion asks the cluster, within a deadline."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clientorg.cli.options import Target
from clientorg.cli.rows import license_rows, state_of
from clientorg.cli.session import Session, connect
from clientorg.cli.text import number
from clientorg.cli.watching import PAGE
from clientorg.cli.words import Position

if TYPE_CHECKING:
    from clientorg.cluster.resources import Resource

Json = dict[str, Any]
Candidates = list[tuple[str, str]]


def lookup(target: Target, ask: Callable[[Lookups], Awaitable[Candidates]], deadline_seconds: float) -> Candidates:
    """Ask the cluster; what came by the deadline is what there is.

    Raises:
        ClientOrgError: no credentials, no right, no answer.
        TimeoutError: nothing came in time.
    """

    async def run() -> Candidates:
        loop = asyncio.get_running_loop()
        async with connect(target, timeout_seconds=deadline_seconds) as session:
            return await ask(Lookups(session, loop.time() + deadline_seconds))

    return asyncio.run(asyncio.wait_for(run(), deadline_seconds + 1))


class Lookups:
    """One method for each kind of candidate."""

    def __init__(self, session: Session, deadline: float) -> None:
        self._session = session
        self._deadline = deadline

    async def _items(self, resource: Resource, namespace: str | None) -> list[Json]:
        """Objects, page by page, as many as come in time."""
        items: list[Json] = []
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._deadline):
                async for page in self._session.api.list_pages(resource, namespace, chunk=PAGE):
                    items.extend(page["items"])
        return items

    async def _clients(self) -> list[Json]:
        from clientorg.cluster.resources import CLIENT_ORGS

        return await self._items(CLIENT_ORGS, self._session.namespace)

    async def _pools(self) -> list[Json]:
        from clientorg.cluster.resources import QUOTA_POOLS

        return await self._items(QUOTA_POOLS, self._session.namespace)

    async def clients(self, position: Position) -> Candidates:
        """Names of the clients that the command is for, with what people call them and their state."""
        command = position.command.name or ""
        wanted, unsuited = _SUITED.get(command), _UNSUITED.get(command, ())
        return [
            _described(item)
            for item in await self._clients()
            if wanted is None or (item["spec"].get("state") or "Active") in wanted
            if state_of(item) not in unsuited
        ]

    async def messages(self, position: Position) -> Candidates:
        """Kinds and keys of the messages in a client's outbox, with their states."""
        from clientorg.cluster.resources import CLIENT_ORGS

        name = position.first("name")
        if not name:
            return []
        client = await self._session.api.get(CLIENT_ORGS, self._session.namespace, name)
        outbox = (client.get("status") or {}).get("outbox") or ()
        kinds = dict.fromkeys(entry["kind"] for entry in outbox)
        return [(kind, "the newest of this kind") for kind in kinds] + [_told(entry) for entry in reversed(outbox)]

    async def sources(self, position: Position) -> Candidates:
        """Clients of the same pool that hold the license, with how many they could give."""
        clients = await self._clients()
        name, license_name = position.first("name"), position.first("license_name")
        receiver = next((item for item in clients if item["metadata"]["name"] == name), None)
        found: Candidates = []
        for item in clients:
            if item is receiver or (receiver and item["spec"]["poolRef"] != receiver["spec"]["poolRef"]):
                continue
            held = {row.name: row for row in license_rows(item)}
            if license_name is None:
                found.append(_described(item))
            elif license_name in held:
                found.append((item["metadata"]["name"], f"{number(held[license_name].remaining)} remaining"))
        return found

    async def pools(self, position: Position) -> Candidates:
        """Names of pools, with what is available."""
        from clientorg.cli.poolrows import stock_rows

        return [
            (
                pool["metadata"]["name"],
                ", ".join(f"{row.license} {number(row.available)} of {number(row.total)}" for row in stock_rows(pool)),
            )
            for pool in await self._pools()
        ]

    async def plans(self, position: Position) -> Candidates:
        """Names of plans."""
        from clientorg.cluster.resources import ORG_PLANS

        plans = await self._items(ORG_PLANS, self._session.namespace)
        return [(plan["metadata"]["name"], plan["spec"].get("displayName", "")) for plan in plans]

    async def namespaces(self, position: Position) -> Candidates:
        """Names of namespaces, agencies first."""
        from clientorg.api.meta import LABEL_AGENCY
        from clientorg.cluster.resources import NAMESPACES

        agency, other = [], []
        for item in await self._items(NAMESPACES, None):
            labels = item["metadata"].get("labels") or {}
            if LABEL_AGENCY in labels:
                agency.append((item["metadata"]["name"], "agency"))
            elif "clientorg.dev/org-id" not in labels:  # workspaces have no clients
                other.append((item["metadata"]["name"], ""))
        return agency + other

    async def licenses(self, position: Position) -> Candidates:
        """Licenses of the client's pool, with what the pool has left."""
        from clientorg.cluster.resources import CLIENT_ORGS

        name = position.first("name")
        pool = None
        if name:
            client = await self._session.api.get(CLIENT_ORGS, self._session.namespace, name)
            pool = client["spec"]["poolRef"]["name"]
        return await self._licenses_of(pool)

    async def license_requests(self, position: Position) -> Candidates:
        """`name=`, to be followed by a quantity."""
        if "=" in position.incomplete:
            return []
        return [(f"{name}=", text) for name, text in await self._licenses_of(position.first("pool"))]

    async def _licenses_of(self, pool_name: str | None) -> Candidates:
        from clientorg.cli.poolrows import stock_rows

        found: dict[str, str] = {}
        for pool in await self._pools():
            if pool_name in (None, pool["metadata"]["name"]):
                for row in stock_rows(pool):
                    found.setdefault(row.license, f"{number(row.available)} available in {row.pool}")
        return list(found.items())

    async def transactions(self, position: Position) -> Candidates:
        """Posted transactions, which can be reversed."""
        from clientorg.cluster.resources import POINT_TRANSACTIONS

        return [
            (item["metadata"]["name"], f"{item['spec']['kind']} of {number(item['spec']['amount'])}")
            for item in await self._items(POINT_TRANSACTIONS, self._session.namespace)
            if (item.get("status") or {}).get("phase") == "Posted" and item["spec"]["kind"] != "Reversal"
        ]

    async def tags(self, position: Position) -> Candidates:
        """Tags in use."""
        return [(tag, "") for tag in sorted({t for c in await self._clients() for t in c["spec"].get("tags") or ()})]


_SUITED = {
    "pause": ("Active",),
    "resume": ("Paused",),
    "deactivate": ("Active", "Paused"),
    "reactivate": ("Deactivated",),
}
"""By command: the spec.state that it makes sense for."""

_WORKING = ("Active", "Paused", "Deactivated", "Terminated", "Purged", "Deleting")
_UNSUITED = {
    "approve": (*_WORKING, "Rejected"),
    "reject": (*_WORKING, "Rejected"),
    "terminate": ("Terminated", "Deleting"),
}
"""By command: the status.state that it makes no sense for."""


def _told(entry: Json) -> tuple[str, str]:
    states = [f"{way} {entry[way]['state']}" for way in ("mail", "webhook") if way in entry]
    return entry["key"], ", ".join(states)


def _described(item: Json) -> tuple[str, str]:
    state = state_of(item)
    display = item["spec"].get("displayName", "")
    return item["metadata"]["name"], f"{display} ({state})" if state else display


def contexts(kubeconfig: str | None) -> Candidates:
    """Contexts of the kubeconfig; read plainly, because no cluster is needed for it."""
    import yaml

    files = (kubeconfig or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())).split(os.pathsep)
    found: Candidates = []
    for file in files:
        path = Path(file).expanduser()
        if file and path.exists():
            content = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
            found += [
                (entry["name"], (entry.get("context") or {}).get("namespace") or "")
                for entry in content.get("contexts") or ()
            ]
    return found
