"""Usage from the pools' Prometheus servers: one query for all clients of a pool (DESIGN section 5).

Prometheus has no maintained asynchronous client of its own worth the name; its HTTP API is one GET. Nothing secret is
sent (DESIGN rule 11): no Authorization header, no cookies, no redirects followed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import orjson

from clientorg.api.meta import MAX_QUANTITY
from clientorg.api.quotapool import PrometheusUsage
from clientorg.control.clock import Clock
from clientorg.control.objects import Name, Pool
from clientorg.control.samples import Samples
from clientorg.control.store import Store
from clientorg.errors import ClientOrgError
from clientorg.notify.destinations import Destinations

logger = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_MOST_BYTES = 64 * 1024 * 1024
_LOOK_SECONDS = 1.0

Values = dict[str, dict[str, int]]
"""Org ID to license to value."""


class QueryError(ClientOrgError):
    """The query has no usable answer; the message says why and what to do."""


@dataclass(frozen=True)
class Answer:
    """What a query gave.

    Attributes:
        values: what can be counted.
        ignored: what cannot, and why; for the pool's condition.
    """

    values: Values
    ignored: tuple[str, ...] = ()


def read_answer(document: Any, usage: PrometheusUsage, licenses: Mapping[str, int]) -> Answer:
    """The values in an answer of /api/v1/query.

    A series that cannot be counted (no Org ID, an unknown license, no number, a duplicate) is left out by itself; a
    duplicate leaves out both, since nobody knows which one is right.

    Raises:
        QueryError: the whole answer is of no use.
    """
    if not isinstance(document, dict) or document.get("status") != "success":
        error = document.get("error") if isinstance(document, dict) else None
        raise QueryError(f"spec.usage.prometheus.query: {error or 'no answer that Prometheus would give'}; correct it")
    data = document.get("data") or {}
    if data.get("resultType") != "vector":
        raise QueryError(
            f"spec.usage.prometheus.query: gives a {data.get('resultType')}, not a vector with a value a client; "
            f"write for example max by ({usage.org_id_label}, {usage.license_label}) (visitors_total)"
        )
    values: Values = {}
    ignored: list[str] = []
    twice: set[tuple[str, str]] = set()
    only = next(iter(licenses)) if len(licenses) == 1 else None
    for series in data.get("result") or ():
        labels = series.get("metric") or {}
        org_id, license = str(labels.get(usage.org_id_label, "")), str(labels.get(usage.license_label, only))
        if not org_id:
            ignored.append(f"a series without the label {usage.org_id_label}")
            continue
        if license not in licenses:
            ignored.append(f"{org_id}: license {license!r} is none of the pool's")
            continue
        number = _number(series.get("value"))
        if number is None:
            ignored.append(f"{org_id}: {license} is no count from 0 to 2^53")
            continue
        if license in values.get(org_id, {}) or (org_id, license) in twice:
            twice.add((org_id, license))
            continue
        values.setdefault(org_id, {})[license] = number
    for org_id, license in sorted(twice):
        values[org_id].pop(license, None)
        ignored.append(f"{org_id}: {license} is there twice; max by ({usage.org_id_label}, {usage.license_label})")
    return Answer({org_id: found for org_id, found in values.items() if found}, tuple(ignored))


def _number(value: Any) -> int | None:
    try:
        number = float(value[1])
    except (TypeError, ValueError, IndexError):
        return None
    if math.isnan(number) or not 0 <= number <= MAX_QUANTITY:
        return None
    return math.floor(number)


@dataclass
class SourceState:
    """How a pool's last query went, for its condition UsageSourceReady."""

    error: str = ""
    ignored: tuple[str, ...] = ()
    clients: int = 0


@dataclass(frozen=True)
class _Asked:
    """What was asked last, and when it is asked again, on the event loop's clock."""

    usage: PrometheusUsage
    next_time: float
    task: asyncio.Task[None]


@dataclass
class Poller:
    """Asks the pools' servers in turn, each at its interval.

    Attributes:
        client_changed: asks for a pass over a client with something new to count.
        pool_changed: asks for a pass over a pool whose source came or went.
    """

    store: Store
    samples: Samples
    clock: Clock
    client_changed: Callable[[Name, bool], None]
    pool_changed: Callable[[Name], None]
    destinations: Destinations
    states: dict[Name, SourceState] = field(default_factory=dict)
    _asked: dict[Name, _Asked] = field(default_factory=dict)

    async def run(self, gate: asyncio.Event) -> None:
        """Ask until cancelled, while this process leads."""
        # Whoever writes a pool must not make the operator ask the machine's metadata service.
        connector = aiohttp.TCPConnector(socket_factory=self.destinations.open_socket, use_dns_cache=False)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            ) as session,
            asyncio.TaskGroup() as questions,
        ):
            while True:
                await gate.wait()
                self._ask_all(session, questions)
                await asyncio.sleep(_LOOK_SECONDS)

    def _ask_all(self, session: aiohttp.ClientSession, questions: asyncio.TaskGroup) -> None:
        """Ask every server whose time has come, each by itself: a slow one holds up no other."""
        now = asyncio.get_running_loop().time()
        sources = {pool.name: usage for pool in self.store.pools.values() if (usage := pool.usage.prometheus)}
        for name in self._asked.keys() - sources.keys():
            self._forget(name)
        for name, usage in sources.items():
            asked = self._asked.get(name)
            if asked is not None and not asked.task.done() and asked.usage == usage:
                continue
            if asked is None or asked.usage != usage or asked.next_time <= now:  # a corrected query is asked at once
                self._forget_question(name)
                task = questions.create_task(self._ask(session, name, usage))
                self._asked[name] = _Asked(usage, now + usage.interval_seconds, task)

    def _forget_question(self, name: Name) -> None:
        """Whatever was asked before counts for nothing any more."""
        if (asked := self._asked.pop(name, None)) is not None:
            asked.task.cancel()

    def _forget(self, name: Name) -> None:
        """The pool is gone, or has no server any more; what was counted stays counted."""
        self._forget_question(name)
        self.states.pop(name, None)
        self.samples.answers.pop(name, None)
        self.pool_changed(name)

    async def _ask(self, session: aiohttp.ClientSession, name: Name, usage: PrometheusUsage) -> None:
        before = self.states.get(name)
        try:
            document = await self._query(session, usage)
            pool = self.store.pools.get(name)
            if pool is None:
                return
            answer = read_answer(document, usage, pool.capacity)
        except QueryError as error:
            state = SourceState(error=str(error))
            logger.warning("usage of pool %s: %s", "/".join(name), error)
        except Exception as error:
            state = SourceState(error=f"spec.usage.prometheus: the answer cannot be read: {type(error).__name__}")
            logger.exception("usage of pool %s", "/".join(name))
        else:
            known = {
                org_id: values
                for org_id, values in answer.values.items()
                if self.store.client_of_org(name[0], org_id) is not None
            }
            strangers = len(answer.values) - len(known)
            ignored = answer.ignored + ((f"{strangers} Org IDs are none of this agency's",) if strangers else ())
            state = SourceState(ignored=ignored, clients=len(known))
            self._take(pool, known)
        self.states[name] = state
        if before != state:
            self.pool_changed(name)

    def _take(self, pool: Pool, values: Values) -> None:
        """Keep the answer, and wake the clients for which something is new: seen again, or counted on."""
        now, before = self.clock.now(), self.samples.answers.get(pool.name)
        self.samples.answers[pool.name] = (now, values)
        stale_after = timedelta(seconds=pool.usage.stale_after_seconds)
        # After a long silence also those who used nothing in it are looked at: their condition says that it is stale.
        old = before[1] if before is not None and now - before[0] < stale_after else {}
        for org_id in old.keys() | values.keys():
            if old.get(org_id) != values.get(org_id):
                name = self.store.client_of_org(pool.name[0], org_id)
                if name is not None:
                    self.client_changed(name, False)

    async def _query(self, session: aiohttp.ClientSession, usage: PrometheusUsage) -> Any:
        url = usage.url.rstrip("/") + "/api/v1/query"
        try:
            async with session.post(url, data={"query": usage.query}, allow_redirects=False) as response:
                payload = await _read(response, _MOST_BYTES)
                if response.status >= 300 and response.status not in (400, 422):
                    raise QueryError(f"spec.usage.prometheus.url: {url} answers {response.status}; correct the address")
                return orjson.loads(payload)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            text = str(error) or type(error).__name__
            raise QueryError(f"spec.usage.prometheus.url: no answer from {url}: {text}; it is asked again") from error


async def _read(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """The whole answer, in however many pieces it comes."""
    payload = bytearray()
    async for chunk in response.content.iter_any():
        payload += chunk
        if len(payload) > most_bytes:
            raise QueryError(
                f"spec.usage.prometheus.query: the answer has more than {most_bytes >> 20} MiB; aggregate it, for "
                "example with max by (org_id, license)"
            )
    return bytes(payload)
