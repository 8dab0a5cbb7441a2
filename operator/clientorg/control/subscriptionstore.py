"""The subscriptions the operator knows, and which client each is of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from clientorg.control.objects import Json, Name, name_of, version_of
from clientorg.domain import subscription
from clientorg.domain.subscription import Subscription


@dataclass(slots=True)
class SubscriptionObject:
    """One Subscription."""

    name: Name
    uid: str
    version: int
    generation: int
    facts: Subscription
    status: Json

    @property
    def client(self) -> Name | None:
        """The client it is of, whether there is one of that name or not; None of an order."""
        return None if self.facts.client is None else (self.name[0], self.facts.client)

    @classmethod
    def of(cls, manifest: Json) -> SubscriptionObject:
        """Read an object of the API server.

        Raises:
            KeyError, ValueError: the CRD does not admit it.
        """
        metadata = manifest["metadata"]
        return cls(
            name=name_of(manifest),
            uid=metadata["uid"],
            version=version_of(manifest),
            generation=metadata.get("generation", 1),
            facts=subscription.read(manifest),
            status=manifest.get("status") or {},
        )


class SubscriptionStore:
    """The newest version of every Subscription, by name and by client."""

    def __init__(self) -> None:
        self.all: dict[Name, SubscriptionObject] = {}
        self._by_client: dict[Name, dict[Name, SubscriptionObject]] = defaultdict(dict)

    def put(self, manifest: Json) -> SubscriptionObject | None:
        """Take in a subscription, unless a newer version is known. Returns what is new, or None."""
        known = self.all.get(name_of(manifest))
        if known is not None and known.version >= version_of(manifest):
            return None
        item = SubscriptionObject.of(manifest)
        if known is not None:
            self.drop(known.name, known.uid)
        self.all[item.name] = item
        if item.client is not None:
            self._by_client[item.client][item.name] = item
        return item

    def drop(self, name: Name, uid: str) -> SubscriptionObject | None:
        """A subscription is gone; a newer one of the same name stays. Returns what was dropped."""
        known = self.all.get(name)
        if known is None or known.uid != uid:
            return None
        del self.all[name]
        if known.client is not None:
            of_client = self._by_client[known.client]
            of_client.pop(name, None)
            if not of_client:
                del self._by_client[known.client]
        return known

    def of(self, client: Name) -> list[SubscriptionObject]:
        """The subscriptions of a client, also those that do not count."""
        return list(self._by_client.get(client, {}).values())
