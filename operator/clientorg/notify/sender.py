"""One message of an outbox on its way: rendered, addressed and sent as the plan and its Secrets say."""

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
from clientorg.notify.smtp import Mailer, SmtpConfig
from clientorg.notify.webhook import Subject, WebhookConfig, Webhooks, event_of

Json = dict[str, Any]
ReadSecret = Callable[[str, str], Awaitable[Json]]
"""Namespace and name to the Secret; raises NotFoundError and other errors of `clientorg.cluster`."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """The client that a message is about, and its contact, who gets the mail."""

    uid: str
    agency: str
    name: str
    org_id: str
    display_name: str
    first_name: str
    last_name: str
    email: str
    language: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the plan says of messages.

    Attributes:
        help_url, support_url: the portal's links of these names, if it has them, their variables replaced.
        license_names: display names of the pool's licenses.
    """

    notifications: Notifications
    time_zone: ZoneInfo
    help_url: str | None = None
    support_url: str | None = None
    license_names: Mapping[str, str] = field(default_factory=dict)


def channels_of(notifications: Notifications | None) -> frozenset[Channel]:
    """The channels that a plan has, for `new_entry`, `resend` and `switch_off`."""
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
        plan = terms.notifications
        if plan.from_address is None:
            raise NotificationError("the plan has no spec.notifications.fromAddress any more", permanent=False)
        agency = plan.sender_name or recipient.agency
        message = Context(
            client=recipient.display_name,
            org_id=recipient.org_id,
            first_name=recipient.first_name,
            last_name=recipient.last_name,
            brand=Brand(agency, terms.help_url, terms.support_url, takes_replies=plan.reply_to is not None),
            time_zone=terms.time_zone,
            created=due.entry.created,
            now=now,
            params=due.entry.params,
            license_names=terms.license_names,
        )
        contact = language_of(recipient.language).full_name(recipient.first_name, recipient.last_name)
        envelope = Envelope(
            sender=Mailbox(agency, plan.from_address),
            recipient=Mailbox(contact, recipient.email),
            identity=(recipient.uid, due.delivery_id),
            reply_to=plan.reply_to,
        )
        mail = compose(render(due.entry.kind, recipient.language, message), envelope, now)
        await self._mailer.send(await self._server(recipient.agency, plan.smtp_secret), mail)

    async def _server(self, agency: str, name: str) -> SmtpConfig:
        """The mail server; its certificates are read once for each version of the Secret."""
        secret = await self._secret(agency, name)
        version = str(secret["metadata"].get("resourceVersion", ""))
        known = self._servers.get((agency, name))
        if known is None or known[0] != version or not version:
            known = self._servers[agency, name] = (version, SmtpConfig.from_secret(secret))
        return known[1]

    async def _post(self, due: Due, recipient: Recipient, terms: Terms, now: datetime) -> None:
        webhook = terms.notifications.webhook
        if webhook is None:
            raise NotificationError("the plan has no spec.notifications.webhook any more", permanent=False)
        subject = Subject(recipient.agency, recipient.name, recipient.org_id, recipient.display_name)
        event = event_of(due, subject)
        config = WebhookConfig.of(webhook.url, await self._secret(recipient.agency, webhook.secret))
        await self._webhooks.post(config, event, now)

    async def _secret(self, agency: str, name: str) -> Json:
        try:
            return await self._read_secret(agency, name)
        except NotFoundError as error:
            message = (
                f"no Secret {name!r} in namespace {agency!r}; create it, or correct spec.notifications of the plan"
            )
            raise NotificationError(message, permanent=False) from error
        except ClientOrgError as error:
            raise NotificationError(f"Secret {name!r} cannot be read: {error}", permanent=False) from error
