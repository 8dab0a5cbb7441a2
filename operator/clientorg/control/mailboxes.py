"""Whose messages are delivered: clients, and the pools of agencies. Both keep an outbox in their status."""

from __future__ import annotations

from dataclasses import dataclass

from clientorg.control.clientobject import Client
from clientorg.control.keys import Key, Kind
from clientorg.control.objects import Json, Plan, Pool
from clientorg.control.store import Store
from clientorg.domain.messages import Outbox, from_status


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A client or a pool in its newest known version.

    Attributes:
        plan: of a client; None where it is missing, and for a pool, which has its own terms.
    """

    owner: Client | Pool
    plan: Plan | None = None

    @property
    def uid(self) -> str:
        """UID of the object."""
        return self.owner.uid

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        return self.owner.version

    @property
    def outbox(self) -> Outbox:
        """Its messages."""
        return from_status(self.owner.status.get("outbox") or ())

    @property
    def has_terms(self) -> bool:
        """Whether it is known how messages go. Those of a client whose plan is missing wait for it."""
        return self.plan is not None or isinstance(self.owner, Pool)


def find(store: Store, key: Key) -> Mailbox | None:
    """The mailbox of a client or a pool; None when there is no such object."""
    kind, name = key
    if kind is Kind.POOL:
        pool = store.pools.get(name)
        return Mailbox(pool) if pool is not None else None
    client = store.clients.get(name)
    return Mailbox(client, store.plans.get((name[0], client.plan))) if client is not None else None


def put(store: Store, kind: Kind, manifest: Json) -> None:
    """Take in the newest version of its object."""
    if kind is Kind.POOL:
        store.put_pool(manifest)
    else:
        store.put_client(manifest)
