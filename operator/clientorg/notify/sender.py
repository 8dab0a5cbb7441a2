"""One message of an outbox on its way: rendered, addressed and sent as plan or pool and their Secrets say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.api.notifications import Channel, Notifications
from clientorg.domain.messages import Due
from clientorg.errors import ClientOrgError, NotFoundError, NotificationError
from clientorg.notify.language import language_of
from clientorg.notify.mail import Envelope, Mailbox, compose
from clientorg.notify.render import Brand, Context, render
from clientorg.notify.settings import IN_PLAN, Place
from clientorg.notify.smtp import Mailer, SmtpConfig
from clientorg.notify.webhook import PoolSubject, Subject, WebhookConfig, Webhooks, event_of

Json = dict[str, Any]
ReadSecret = Callable[[str, str], Awaitable[Json]]
"""Namespace and name to the Secret; raises NotFoundError and other errors of `clientorg.cluster`."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """The client or pool that a message is about, and its contact, who gets the mail.

    Attributes:
        agency: namespace of the agency.
        org_id: of the client; empty for a pool.
        first_name: empty for a team.
        email: empty where nobody gets mails.
    """

    uid: str
    agency: str
    name: str
    org_id: str
    display_name: str
    first_name: str
    last_name: str
    email: str
    language: str

    @property
    def subject(self) -> Subject | PoolSubject:
        """What a webhook's event is about."""
        if self.org_id:
            return Subject(self.agency, self.name, self.org_id, self.display_name)
        return PoolSubject(self.agency, self.name, self.uid, self.display_name)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the plan says of messages, or the pool of those to the agency.

    Attributes:
        place: where the notifications are set.
        help_url, support_url: the portal's links of these names, if it has them, their variables replaced.
        license_names: display names of the pool's licenses.
    """

    notifications: Notifications
    time_zone: ZoneInfo
    help_url: str | None = None
    support_url: str | None = None
    license_names: Mapping[str, str] = field(default_factory=dict)
    place: Place = IN_PLAN


def channels_of(notifications: Notifications | None) -> frozenset[Channel]:
    """The channels that these settings have, for `new_entry`, `resend` and `switch_off`."""
    if notifications is None:
        return frozenset()
    on = {Channel.MAIL: notifications.from_address, Channel.WEBHOOK: notifications.webhook}
    return frozenset(channel for channel, setting in on.items() if setting is not None)


class Sender:
    """Sends messages; how many at a time is the caller's to bound."""

    def __init__(self, mailer: Mailer, webhooks: Webhooks, read_secret: ReadSecret) -> None:
        self._mailer = mailer
        self._webhooks = webhooks
        self._read_secret = read_secret
        self._servers: dict[tuple[str, str], tuple[str, SmtpConfig]] = {}

    async def send(self, due: Due, recipient: Recipient, terms: Terms, now: datetime) -> None:
        """Send one message on its channel. Returns when the other side has taken it.

        Raises:
            NotificationError: it has not; for `mark_failed`.
        """
        match due.channel:
            case Channel.MAIL:
                await self._mail(due, recipient, terms, now)
            case Channel.WEBHOOK:
                await self._post(due, recipient, terms, now)

    async def _mail(self, due: Due, recipient: Recipient, terms: Terms, now: datetime) -> None:
        settings, place = terms.notifications, terms.place
        if settings.from_address is None:
            raise NotificationError(f"the {place.owner} has no {place.path}.fromAddress any more", permanent=False)
        if not recipient.email:
            raise NotificationError(f"the {place.owner} has no contact any more", permanent=False)
        agency = settings.sender_name or recipient.agency
        message = Context(
            client=recipient.display_name,
            org_id=recipient.org_id,
            first_name=recipient.first_name,
            last_name=recipient.last_name,
            brand=Brand(agency, terms.help_url, terms.support_url, takes_replies=settings.reply_to is not None),
            time_zone=terms.time_zone,
            created=due.entry.created,
            now=now,
            params=due.entry.params,
            license_names=terms.license_names,
        )
        contact = language_of(recipient.language).full_name(recipient.first_name, recipient.last_name)
        envelope = Envelope(
            sender=Mailbox(agency, settings.from_address),
            recipient=Mailbox(contact, recipient.email),
            identity=(recipient.uid, due.delivery_id),
            reply_to=settings.reply_to,
        )
        mail = compose(render(due.entry.kind, recipient.language, message), envelope, now)
        await self._mailer.send(await self._server(recipient.agency, settings.smtp_secret, place), mail)

    async def _server(self, agency: str, name: str, place: Place) -> SmtpConfig:
        """The mail server; its certificates are read once for each version of the Secret."""
        secret = await self._secret(agency, name, place)
        version = str(secret["metadata"].get("resourceVersion", ""))
        known = self._servers.get((agency, name))
        if known is None or known[0] != version or not version:
            known = self._servers[agency, name] = (version, SmtpConfig.from_secret(secret))
        return known[1]

    async def _post(self, due: Due, recipient: Recipient, terms: Terms, now: datetime) -> None:
        webhook, place = terms.notifications.webhook, terms.place
        if webhook is None:
            raise NotificationError(f"the {place.owner} has no {place.path}.webhook any more", permanent=False)
        event = event_of(due, recipient.subject)
        config = WebhookConfig.of(webhook.url, await self._secret(recipient.agency, webhook.secret, place), place)
        await self._webhooks.post(config, event, now)

    async def _secret(self, agency: str, name: str, place: Place) -> Json:
        try:
            return await self._read_secret(agency, name)
        except NotFoundError as error:
            setting = f"{place.path} of the {place.owner}"
            message = f"no Secret {name!r} in namespace {agency!r}; create it, or correct {setting}"
            raise NotificationError(message, permanent=False) from error
        except ClientOrgError as error:
            raise NotificationError(f"Secret {name!r} cannot be read: {error}", permanent=False) from error
