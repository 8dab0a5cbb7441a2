"""How a message of an outbox leaves: who it is about and for, for `clientorg.notify`, which does the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import TracebackType

from clientorg.api.notifications import Channel, NotificationKind
from clientorg.cluster.resources import SECRETS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clientobject import Client
from clientorg.control.clock import Clock
from clientorg.control.gather import org_of
from clientorg.control.mailboxes import Mailbox
from clientorg.control.objects import Plan, Pool
from clientorg.control.paymentlinks import payment_address, without_token
from clientorg.control.store import Store
from clientorg.domain.calendar import zone
from clientorg.domain.messages import Due, Entry
from clientorg.domain.notices import as_of
from clientorg.domain.points_notices import is_terminated
from clientorg.domain.records import deactivation_of
from clientorg.domain.substitution import substitute
from clientorg.errors import NotificationError
from clientorg.notify.destinations import Destinations
from clientorg.notify.sender import Recipient, Sender, Terms
from clientorg.notify.settings import IN_POOL
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

    async def deliver(self, mailbox: Mailbox, due: Due) -> None:
        """Send one message on one channel.

        Raises:
            NotificationError: it could not be made or delivered.
        """
        now, owner, entry = self._clock.now(), mailbox.owner, due.entry
        if isinstance(owner, Pool):
            recipient, terms = _agency(owner), _pool_terms(owner)
        else:
            recipient, terms = _recipient(owner), self._plan_terms(owner, mailbox.plan)
            entry = _as_of(entry, owner, mailbox.plan, now)
            if entry.kind == NotificationKind.PAYMENT_LINK and due.channel is Channel.MAIL:
                await self._send_payment_link(owner, mailbox.plan, replace(due, entry=entry), recipient, terms, now)
                return
        await self._sender.send(replace(due, entry=entry), recipient, terms, now)

    async def _send_payment_link(
        self, client: Client, plan: Plan | None, due: Due, recipient: Recipient, terms: Terms, now: datetime
    ) -> None:
        """The address goes into the mail alone."""
        address = await payment_address(client, plan, due.entry, self._secret, now)
        entry = replace(due.entry, params={**due.entry.params, "url": address})
        try:
            await self._sender.send(replace(due, entry=entry), recipient, terms, now)
        except NotificationError as error:
            raise without_token(error) from None

    def _plan_terms(self, client: Client, plan: Plan | None) -> Terms:
        notifications = plan.template.spec.notifications if plan is not None else None
        if plan is None or notifications is None:
            raise NotificationError("the plan sends nothing any more", permanent=False)
        links = {link.name: link.url for link in plan.template.spec.workspace.portal.links}
        variables = org_of(client).url_variables
        return Terms(
            notifications,
            plan.template.terms.time_zone,
            help_url=substitute(links.get("help"), variables),
            support_url=substitute(links.get("support"), variables),
            license_names=self._license_names(client),
        )

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


def _as_of(entry: Entry, client: Client, plan: Plan | None, now: datetime) -> Entry:
    if plan is None:
        return entry
    status = client.status
    return as_of(entry, deactivation_of(status), now, plan.template.terms, terminated=is_terminated(status))


def _pool_terms(pool: Pool) -> Terms:
    notifications = pool.points.notifications
    if notifications is None:
        raise NotificationError("the pool sends nothing any more", permanent=False)
    try:
        time_zone = zone(pool.points.time_zone)
    except ValueError as error:
        raise NotificationError(f"spec.points.timeZone of the pool: {error}", permanent=False) from error
    return Terms(notifications, time_zone, place=IN_POOL)


def _agency(pool: Pool) -> Recipient:
    """Whoever looks after the agency's points: a person or a team, by one name."""
    contact = pool.points.contact
    return Recipient(
        uid=pool.uid,
        agency=pool.name[0],
        name=pool.name[1],
        org_id="",
        display_name=pool.display_name or pool.name[1],
        first_name="",
        last_name=contact.name if contact is not None else "",
        email=contact.email if contact is not None else "",
        language=contact.language if contact is not None else "en",
    )
