"""From an entry of the outbox to the contact's mailbox and the agency's system, by what plan and Secrets say."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clientorg.api.notifications import Channel, Notifications, Webhook
from clientorg.domain import outbox as box
from clientorg.domain.messages import Due, new_entry
from clientorg.errors import ForbiddenError, NotFoundError, NotificationError
from clientorg.notify.destinations import Destinations
from clientorg.notify.sender import Recipient, Sender, Terms, channels_of
from clientorg.notify.smtp import Mailer
from clientorg.notify.webhook import Webhooks
from tests.controlplane.certs import Authority
from tests.integration.test_webhook_delivery import OLD, Receiver, listening
from tests.support.mailserver import PASSWORD, USERNAME, mail_server, server_tls, smtp_secret
from tests.support.messages import NOW

YUKI = Recipient(
    uid="uid",
    agency="agency-tokyo",
    name="acme",
    org_id="7k2m9q4xta",
    display_name="Acme K.K.",
    first_name="Yuki",
    last_name="Sato",
    email="yuki@acme.example",
    language="ja-JP",
)
PLAN = Notifications(
    sender_name="Sakura Digital", from_address="no-reply@sakura.example", reply_to="help@sakura.example"
)
TERMS = Terms(PLAN, ZoneInfo("Asia/Tokyo"), support_url="https://sakura.example/support")


class Secrets:
    """The agency's Secrets."""

    def __init__(self, **secrets: dict[str, Any]) -> None:
        self.secrets = {name.replace("_", "-"): secret for name, secret in secrets.items()}
        self.reads = 0

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        """One Secret, as the API server answers."""
        self.reads += 1
        assert namespace == "agency-tokyo"
        if name == "forbidden":
            raise ForbiddenError(403, "Forbidden", 'secrets "forbidden" is forbidden')
        if name not in self.secrets:
            raise NotFoundError(404, "NotFound", f'secrets "{name}" not found')
        return self.secrets[name]


def reminder(channel: Channel) -> Due:
    """Seven days before the purge."""
    purge_after = NOW + timedelta(days=7)
    return Due(
        new_entry("reminder-2026-12-25-7", "reminder", {"days": 7, "purgeAfter": purge_after}, NOW, tuple(Channel)),
        channel,
    )


async def test_reminder_reaches_contact_and_agency(tmp_path: Path) -> None:
    authority = Authority.create("sender test")
    certificate = authority.pair.certificate.decode()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(mail_server(server_tls(authority, tmp_path)))
        receiver = await stack.enter_async_context(listening(Receiver(), server_tls(authority, tmp_path)))
        destinations = Destinations(allow_loopback=True)
        webhooks = await stack.enter_async_context(Webhooks(destinations))
        login = {"username": USERNAME, "password": PASSWORD, "ca": certificate}
        secrets = Secrets(
            clientorg_smtp=smtp_secret(host="localhost", port=str(server.port), **login),
            hook=smtp_secret(secret=OLD, ca=certificate),
        )
        url = f"https://localhost:{receiver.port}/hook"
        terms = replace(TERMS, notifications=PLAN.model_copy(update={"webhook": Webhook(url=url, secret="hook")}))
        sender = Sender(Mailer(destinations), webhooks, secrets.read)
        outbox = (reminder(Channel.MAIL).entry,)
        assert channels_of(terms.notifications) == set(Channel)

        await asyncio.gather(*(sender.send(due, YUKI, terms, NOW) for due in box.due(outbox, NOW)))

        (mail,) = server.received
        assert mail.message["Subject"] == "【重要】Acme K.K. 様：データの完全削除のお知らせ（あと7日）"
        assert mail.message["From"] == "Sakura Digital <no-reply@sakura.example>"
        assert mail.message["To"] == "Sato Yuki <yuki@acme.example>", "family name first"
        assert mail.message["Reply-To"] == "help@sakura.example"
        assert mail.message["Content-Language"] == "ja-JP"
        ((_, body),) = receiver.requests
        assert json.loads(body)["data"]["params"] == {"days": 7, "purgeAfter": "2026-12-25T01:05:00Z"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"smtp_secret": "missing"}, "no Secret 'missing' in namespace 'agency-tokyo'; create it, or correct"),
        ({"smtp_secret": "forbidden"}, "Secret 'forbidden' cannot be read: secrets \"forbidden\" is forbidden"),
        ({"smtp_secret": "empty"}, "Secret clientorg-smtp: key 'host' is missing"),
        ({"from_address": None}, "the plan has no spec.notifications.fromAddress any more"),
    ],
)
async def test_what_somebody_can_correct_is_no_permanent_failure(changes: dict[str, Any], message: str) -> None:
    sender = Sender(Mailer(Destinations()), Webhooks(Destinations()), Secrets(empty=smtp_secret()).read)
    terms = replace(TERMS, notifications=PLAN.model_copy(update=changes))
    with pytest.raises(NotificationError) as raised:
        await sender.send(reminder(Channel.MAIL), YUKI, terms, NOW)

    assert message in str(raised.value)
    assert not raised.value.permanent


async def test_webhook_that_the_plan_gave_up_is_no_permanent_failure() -> None:
    sender = Sender(Mailer(Destinations()), Webhooks(Destinations()), Secrets().read)
    with pytest.raises(NotificationError, match=r"the plan has no spec\.notifications\.webhook any more"):
        await sender.send(reminder(Channel.WEBHOOK), YUKI, TERMS, NOW)


async def test_message_that_cannot_be_written_is_refused_before_any_secret_is_read() -> None:
    secrets = Secrets()
    sender = Sender(Mailer(Destinations()), Webhooks(Destinations()), secrets.read)
    due = Due(new_entry("birthday", "birthday", {}, NOW, (Channel.MAIL,)), Channel.MAIL)
    with pytest.raises(NotificationError, match="unknown kind") as raised:
        await sender.send(due, YUKI, TERMS, NOW)

    assert raised.value.permanent
    assert secrets.reads == 0


def test_plan_without_settings_has_no_channels() -> None:
    assert channels_of(None) == set()
    assert channels_of(Notifications()) == set()
    assert channels_of(PLAN) == {Channel.MAIL}
