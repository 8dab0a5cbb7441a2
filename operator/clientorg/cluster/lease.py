"""Leader election on a coordination.k8s.io Lease.

A lease is for efficiency: what two leaders at once would do is guarded by resourceVersions and names (DESIGN rule 3).
The library's elector measures with the wall clock, cannot release and lets everything but an ApiException escape
(docs/decisions/0003); this one follows client-go: who holds is judged by how long the record stood still on our own
monotonic clock, so that nobody's clock has to be right.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from clientorg.cluster.resources import LEASES
from clientorg.cluster.rest import Api, Json
from clientorg.domain.timestamps import rfc3339_micro
from clientorg.errors import AlreadyExistsError, ClientOrgError, ConflictError, NotFoundError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTimes:
    """How long things take, in seconds; the defaults are client-go's."""

    duration_seconds: float = 15.0
    renew_deadline_seconds: float = 10.0
    retry_seconds: float = 2.0


class LostLeadershipError(ClientOrgError):
    """The lease could not be renewed in time; the process has to end, since another may lead already."""


class Elector:
    """Takes part in the election until it wins, and keeps the lease from then on."""

    def __init__(self, api: Api, namespace: str, name: str, identity: str, times: LeaseTimes | None = None) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times or LeaseTimes()
        self._record: object = None
        self._record_seen = 0.0
        self.is_leader = False

    async def run(self, on_elected: Callable[[], None]) -> None:
        """Wait to be elected, call `on_elected`, and renew until cancelled.

        Raises:
            LostLeadershipError: the lease was lost, or could not be renewed within the deadline.
        """
        while not await self._try():  # noqa: ASYNC110 - the event waited for is in the API server
            await asyncio.sleep(self._times.retry_seconds)
        self.is_leader = True
        logger.info("elected leader", extra={"identity": self._identity})
        on_elected()
        renewed = self._now()
        while True:
            await asyncio.sleep(self._times.retry_seconds)
            if await self._try():
                renewed = self._now()
            elif self._now() - renewed > self._times.renew_deadline_seconds or self._is_held_by_another():
                self.is_leader = False
                raise LostLeadershipError(f"lease {self._namespace}/{self._name} could not be renewed")

    async def release(self) -> None:
        """Give the lease up, so that the next leader need not wait for it to run out."""
        if not self.is_leader:
            return
        self.is_leader = False
        try:
            lease = await self._api.get(LEASES, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._api.replace(LEASES, self._namespace, lease)
        except ClientOrgError as error:
            logger.warning("lease not released, it runs out by itself: %s", error)

    async def _try(self) -> bool:
        """Take or renew the lease; whether it is ours now. A fault counts as no."""
        try:
            async with asyncio.timeout(self._times.renew_deadline_seconds):
                return await self._take()
        except (ConflictError, AlreadyExistsError):
            return False
        except (ClientOrgError, TimeoutError) as error:
            logger.warning("lease %s/%s: %s", self._namespace, self._name, error or "timed out")
            return False

    async def _take(self) -> bool:
        try:
            lease = await self._api.get(LEASES, self._namespace, self._name)
        except NotFoundError:
            await self._api.create(LEASES, self._namespace, self._manifest())
            return True
        spec = lease.get("spec") or {}
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._record:
            self._record, self._record_seen = record, self._now()
        holder = spec.get("holderIdentity")
        if holder and holder != self._identity:
            duration = float(spec.get("leaseDurationSeconds") or self._times.duration_seconds)
            if self._now() - self._record_seen < duration:
                return False
        lease["spec"] = self._spec(spec)
        answer = await self._api.replace(LEASES, self._namespace, lease)
        spec = answer["spec"]
        self._record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        self._record_seen = self._now()
        return True

    def _is_held_by_another(self) -> bool:
        holder = self._record[0] if isinstance(self._record, tuple) else None
        return bool(holder) and holder != self._identity

    def _manifest(self) -> Json:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec({}),
        }

    def _spec(self, before: Json) -> Json:
        now = rfc3339_micro(datetime.now(UTC))  # for people; nothing is decided by it
        is_ours = before.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._times.duration_seconds),
            "acquireTime": before.get("acquireTime", now) if is_ours else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if is_ours else 1),
        }

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
