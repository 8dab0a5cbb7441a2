"""How a message of an outbox leaves: who it is about and for, for `clientorg.notify`, which does the rest."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType

from clientorg.cluster.resources import SECRETS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clock import Clock
from clientorg.control.gather import org_of
from clientorg.control.store import Client, Plan, Store
from clientorg.domain.messages import Due
from clientorg.domain.notices import as_of
from clientorg.domain.records import deactivation_of
from clientorg.domain.substitution import substitute
from clientorg.errors import NotificationError
from clientorg.notify.destinations import Destinations
from clientorg.notify.sender import Recipient, Sender, Terms
from clientorg.notify.smtp import Mailer
from clientorg.notify.webhook import Webhooks


class Delivery:
    """Sends one message at a time for each of its callers. Use it as an async context manager."""

    def __init__(self, api: Api, store: Store, clock: Clock, destinations: Destinations) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._webhooks = Webhooks(destinations)
        self._sender = Sender(Mailer(destinations), self._webhooks, self._secret)

    async def __aenter__(self) -> Delivery:
        await self._webhooks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._webhooks.__aexit__(kind, error, trace)

    async def deliver(self, client: Client, plan: Plan, due: Due) -> None:
        """Send one message on one channel.

        Raises:
            NotificationError: it could not be made or delivered.
        """
        notifications = plan.template.spec.notifications
        if notifications is None:
            raise NotificationError("the plan sends nothing any more", permanent=False)
        links = {link.name: link.url for link in plan.template.spec.workspace.portal.links}
        variables = org_of(client).url_variables
        terms = Terms(
            notifications,
            plan.template.terms.time_zone,
            help_url=substitute(links.get("help"), variables),
            support_url=substitute(links.get("support"), variables),
            license_names=self._license_names(client),
        )
        now = self._clock.now()
        entry = as_of(due.entry, deactivation_of(client.status), now, plan.template.terms)
        await self._sender.send(replace(due, entry=entry), _recipient(client), terms, now)

    def _license_names(self, client: Client) -> dict[str, str]:
        pool = self._store.pools.get((client.name[0], client.pool))
        return pool.display_names if pool is not None else {}

    async def _secret(self, namespace: str, name: str) -> Json:
        """Read anew each time, so that a corrected one counts at once; never kept but for the server it names."""
        return await self._api.get(SECRETS, namespace, name)


def _recipient(client: Client) -> Recipient:
    spec = client.spec
    contact = spec["contact"]
    return Recipient(
        uid=client.uid,
        agency=client.name[0],
        name=client.name[1],
        org_id=client.org_id,
        display_name=spec["displayName"],
        first_name=contact["firstName"],
        last_name=contact["lastName"],
        email=contact["email"],
        language=contact.get("language", "en"),
    )
