"""How a message of an outbox leaves: rendered in the contact's language, by mail or to the agency's webhook."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from clientorg.api.notifications import Channel, Notifications
from clientorg.cluster.resources import SECRETS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clock import Clock
from clientorg.control.gather import org_of
from clientorg.control.store import Client, Plan, Store
from clientorg.domain.messages import Due
from clientorg.domain.substitution import substitute
from clientorg.errors import ForbiddenError, NotFoundError, NotificationError
from clientorg.notify.destinations import Destinations
from clientorg.notify.mail import Envelope, Mailbox, compose
from clientorg.notify.render import Brand, Context, render
from clientorg.notify.smtp import Mailer, SmtpConfig
from clientorg.notify.webhook import Subject, WebhookConfig, Webhooks, event_of


class Delivery:
    """Sends one message at a time for its callers. Use it as an async context manager."""

    def __init__(self, api: Api, store: Store, clock: Clock, *, allow_loopback: bool) -> None:
        destinations = Destinations(allow_loopback=allow_loopback)
        self._api = api
        self._store = store
        self._clock = clock
        self._mailer = Mailer(destinations)
        self._webhooks = Webhooks(destinations)

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
        terms = plan.template.spec.notifications
        if terms is None:
            raise NotificationError("the plan sends nothing any more", permanent=True)
        if due.channel is Channel.MAIL:
            await self._mail(client, plan, terms, due)
        else:
            await self._post(client, terms, due)

    async def _mail(self, client: Client, plan: Plan, terms: Notifications, due: Due) -> None:
        if terms.from_address is None:
            raise NotificationError("the plan has no spec.notifications.fromAddress any more", permanent=True)
        spec, now = client.spec, self._clock.now()
        contact, brand = spec["contact"], self._brand(client, plan, terms)
        context = Context(
            client=spec["displayName"],
            org_id=client.org_id,
            first_name=contact["firstName"],
            last_name=contact["lastName"],
            brand=brand,
            time_zone=plan.template.terms.time_zone,
            created=due.entry.created,
            now=now,
            params=due.entry.params,
            license_names=self._license_names(client),
        )
        envelope = Envelope(
            sender=Mailbox(brand.name, terms.from_address),
            recipient=Mailbox(f"{contact['firstName']} {contact['lastName']}", contact["email"]),
            identity=(client.uid, due.delivery_id),
            reply_to=terms.reply_to,
        )
        rendered = render(due.entry.kind, contact.get("language", "en"), context)
        message = compose(rendered, envelope, now)
        config = SmtpConfig.from_secret(await self._secret(client, terms.smtp_secret))
        await self._mailer.send(config, message)

    async def _post(self, client: Client, terms: Notifications, due: Due) -> None:
        if terms.webhook is None:
            raise NotificationError("the plan has no spec.notifications.webhook any more", permanent=True)
        subject = Subject(client.name[0], client.name[1], client.org_id, client.spec["displayName"])
        config = WebhookConfig.of(terms.webhook.url, await self._secret(client, terms.webhook.secret))
        await self._webhooks.post(config, event_of(due, subject), self._clock.now())

    def _brand(self, client: Client, plan: Plan, terms: Notifications) -> Brand:
        """The agency's name and links; the links are those of the portal."""
        variables = org_of(client).url_variables
        links: dict[str, Any] = {
            link.name: substitute(link.url, variables) for link in plan.template.spec.workspace.portal.links
        }
        return Brand(
            name=terms.sender_name or client.name[0],
            help_url=links.get("help"),
            support_url=links.get("support"),
            takes_replies=terms.reply_to is not None,
        )

    def _license_names(self, client: Client) -> dict[str, str]:
        pool = self._store.pools.get((client.name[0], client.pool))
        return pool.display_names if pool is not None else {}

    async def _secret(self, client: Client, name: str) -> Json:
        """A Secret of the agency; read anew each time, so that a corrected one counts at once and none is kept."""
        namespace = client.name[0]
        try:
            return await self._api.get(SECRETS, namespace, name)
        except NotFoundError as error:
            raise NotificationError(
                f"no Secret {name!r} in namespace {namespace!r}; create it (docs/notifications.md)", permanent=False
            ) from error
        except ForbiddenError as error:
            raise NotificationError(
                f"the operator may not read Secret {name!r} in namespace {namespace!r}; it reads clientorg-smtp and "
                "clientorg-webhook, for another name give its ServiceAccount a Role there (docs/notifications.md)",
                permanent=False,
            ) from error
