"""All that became of a pool and its clients, in the order of the API server, and the rules that must always hold."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Self

from clientorg.cluster.resources import CLIENT_ORGS, QUOTA_POOLS, Resource
from tests.cluster.verbs import Agency, granted_of
from tests.controlplane.waiting import wait_until
from tests.support.kube import Kube

Json = dict[str, Any]
Version = int
"""A resourceVersion: etcd's revision, one order for all kinds (KEP-5504)."""


class Follower:
    """One kind of an agency, watched in a thread from now on."""

    def __init__(self, kube: Kube, resource: Resource, namespace: str) -> None:
        self._kube = Kube(kube.access)  # a connection of its own
        self._resource = resource
        self._namespace = namespace
        page = kube.request("GET", resource.path(namespace))
        self._admin = kube
        self.seen: Version = int(page["metadata"]["resourceVersion"])
        self.first: list[Json] = page["items"]
        self.events: list[tuple[Version, str, Json]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with self._kube:
            while not self._stopping.is_set():
                for kind, item in self._kube.watch(self._resource, self._namespace, str(self.seen), seconds=1):
                    assert kind != "ERROR", item
                    self.seen = int(item["metadata"]["resourceVersion"])
                    self.events.append((self.seen, kind, item))

    def has_caught_up(self) -> bool:
        """Whether the newest version of each object has come by. Raises RuntimeError when the watch has failed."""
        if not self._thread.is_alive():
            raise RuntimeError(f"the watch of {self._resource.plural} has failed; its traceback is above")
        items = self._admin.list_all(self._resource, self._namespace)
        return all(int(item["metadata"]["resourceVersion"]) <= self.seen for item in items)

    def close(self) -> None:
        """End the watch."""
        self._stopping.set()
        self._thread.join()


class History:
    """A context manager around what a test does to one pool; on exit it checks each moment of it."""

    def __init__(self, agency: Agency, license: str = "visitors") -> None:
        self._agency = agency
        self._license = license

    def __enter__(self) -> Self:
        self._clients = Follower(self._agency.kube, CLIENT_ORGS, self._agency.name)
        self._pools = Follower(self._agency.kube, QUOTA_POOLS, self._agency.name)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                wait_until(
                    lambda: self._clients.has_caught_up() and self._pools.has_caught_up(), 30, "the watches to catch up"
                )
                self.check()
        finally:
            self._clients.close()
            self._pools.close()

    def check(self) -> None:
        """At each moment: the clients hold no more than the books say, and the books no more than the pool has.

        A pool that a test shrinks may have less than is allocated; then nothing may be granted beyond that.
        """
        held: dict[str, int] = {item["metadata"]["uid"]: self._granted(item) for item in self._clients.first}
        (pool,) = (item for item in self._pools.first if item["metadata"]["name"] == self._agency.pool.name)
        total, allocated = self._books(pool)
        for version, what, item in self._moments():
            before = sum(held.values())
            uid = item["metadata"]["uid"]
            if item["kind"] == "QuotaPool":
                if item["metadata"]["name"] != self._agency.pool.name:
                    continue
                was = allocated
                total, allocated = self._books(item)
                assert allocated <= max(total, was), f"at {version}: {allocated} of {total} allocated, {was} before"
            elif what == "DELETED":
                held.pop(uid, None)
            else:
                held[uid] = self._granted(item)
            now = sum(held.values())
            assert now <= max(allocated, before), f"at {version}: {now} held, {allocated} in the books"
            assert now <= max(total, before), f"at {version}: {now} held of {total}"

    def _moments(self) -> Iterator[tuple[Version, str, Json]]:
        for version, what, item in sorted([*self._clients.events, *self._pools.events], key=lambda event: event[0]):
            assert what != "ERROR", item
            yield version, what, item

    def grants(self) -> list[tuple[str, int]]:
        """Name and quantity of each change of a holding, in order."""
        held = {item["metadata"]["name"]: self._granted(item) for item in self._clients.first}
        changes = []
        for _, what, item in self._moments():
            name = item["metadata"]["name"]
            if item["kind"] != "ClientOrg" or what == "DELETED" or held.get(name, 0) == self._granted(item):
                continue
            held[name] = self._granted(item)
            changes.append((name, held[name]))
        return changes

    def _granted(self, client: Json) -> int:
        return granted_of(client).get(self._license, 0)

    def _books(self, pool: Json) -> tuple[int, int]:
        """What the pool has, by its spec, and what is allocated, by its books."""
        total = sum(item["quantity"] for item in pool["spec"]["licenses"] if item["name"] == self._license)
        books = (pool.get("status") or {}).get("licenses") or []
        return total, sum(item["allocated"] for item in books if item["name"] == self._license)
