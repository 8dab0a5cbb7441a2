"""Webhooks against a real HTTPS server: signed, verified, not redirected, and not to where they must not go."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clientorg.api.notifications import Channel, DeliveryState
from clientorg.domain import outbox as box
from clientorg.domain.messages import Due, Outbox, new_entry
from clientorg.errors import NotificationError
from clientorg.notify.destinations import Destinations
from clientorg.notify.signature import verify
from clientorg.notify.webhook import Event, Subject, WebhookConfig, Webhooks, event_of
from tests.controlplane.certs import Authority
from tests.support.mailserver import server_tls, smtp_secret
from tests.support.messages import NOW

LOOPBACK = Destinations(allow_loopback=True)
ACME = Subject("agency-tokyo", "acme", "7k2m9q4xta", "Acme K.K.")
OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
SECRET_PATH = "/hook/s3cret-token"


@dataclass
class Receiver:
    """The agency's own system. Verifies as docs/notifications.md says, and knows repeats by webhook-id."""

    secret: str = OLD
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    delay_seconds: float = 0
    port: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    redirected: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One POST."""
        if request.path == "/elsewhere":
            self.redirected += 1
            return web.Response()
        body = await request.read()
        headers = dict(request.headers)
        self.requests.append((headers, body))
        await asyncio.sleep(self.delay_seconds)
        try:
            verify(headers, body, self.secret, NOW.timestamp())
        except ValueError as error:
            return web.Response(status=401, text=str(error))
        if self.status < 300:
            self.seen.add(headers["webhook-id"])
        return web.Response(status=self.status, headers=self.headers, text=self.body)

    def config(self, authority: Authority | None, *, scheme: str = "https", secret: str | None = None) -> WebhookConfig:
        """The plan's webhook and its Secret."""
        data = {"secret": secret or self.secret}
        if authority is not None:
            data["ca"] = authority.pair.certificate.decode()
        return WebhookConfig.of(f"{scheme}://localhost:{self.port}{SECRET_PATH}", smtp_secret(**data))


@asynccontextmanager
async def listening(receiver: Receiver, tls: ssl.SSLContext | None) -> AsyncIterator[Receiver]:
    """The receiver on a free port of loopback."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        receiver.port = runner.addresses[0][1]
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority that signed for the receiver."""
    return Authority.create("webhook test")


@pytest.fixture
def tls(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    """The receiver's certificate, for localhost."""
    return server_tls(authority, tmp_path)


def due(key: str = "reminder-2026-12-25-7", now: datetime = NOW) -> Due:
    """A reminder on its way."""
    entry = new_entry(key, "reminder", {"days": 7, "purgeAfter": now + timedelta(days=7)}, now, (Channel.WEBHOOK,))
    return Due(entry, Channel.WEBHOOK)


def event() -> Event:
    """The event of the reminder."""
    return event_of(due(), ACME)


async def refusal(config: WebhookConfig, destinations: Destinations = LOOPBACK, **options: Any) -> NotificationError:
    """The error that posting ends with; it never tells a token in the path."""
    async with Webhooks(destinations, **options) as webhooks:
        with pytest.raises(NotificationError) as raised:
            await webhooks.post(config, event(), NOW)
    assert "s3cret" not in str(raised.value)
    return raised.value


async def test_event_arrives_signed_over_https(authority: Authority, tls: ssl.SSLContext) -> None:
    async with listening(Receiver(), tls) as receiver, Webhooks(LOOPBACK) as webhooks:
        await webhooks.post(receiver.config(authority), event(), NOW)

        ((headers, body),) = receiver.requests
        assert body == event().body
        assert headers["Content-Type"] == "application/cloudevents+json; charset=UTF-8"
        assert headers["webhook-id"] == "7k2m9q4xta-reminder-2026-12-25-7"
        assert headers["User-Agent"].startswith("clientorg/")
        assert "Authorization" not in headers
        assert receiver.seen == {"7k2m9q4xta-reminder-2026-12-25-7"}


async def test_secret_is_replaced_without_a_lost_event(authority: Authority, tls: ssl.SSLContext) -> None:
    async with listening(Receiver(), tls) as receiver, Webhooks(LOOPBACK) as webhooks:
        config = receiver.config(authority, secret=f"{NEW} {OLD}")
        for receiver.secret in (OLD, NEW):
            await webhooks.post(config, event(), NOW)

        assert len(receiver.requests) == 2


async def test_receiver_refuses_what_another_has_signed(authority: Authority, tls: ssl.SSLContext) -> None:
    async with listening(Receiver(), tls) as receiver:
        error = await refusal(receiver.config(authority, secret=NEW))

        assert "answers 401" in str(error)
        assert receiver.seen == set()


async def test_receiver_with_a_certificate_of_another_authority_gets_nothing(tls: ssl.SSLContext) -> None:
    async with listening(Receiver(), tls) as receiver:
        for other in (None, Authority.create("somebody else")):
            error = await refusal(receiver.config(other))

            assert "its certificate is not to be trusted" in str(error)
            assert not error.permanent
        assert receiver.requests == []


async def test_plain_http_is_for_loopback_only() -> None:
    async with listening(Receiver(), None) as receiver, Webhooks(LOOPBACK) as webhooks:
        await webhooks.post(receiver.config(None, scheme="http"), event(), NOW)

        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (403, True), (404, True), (410, True), (408, False), (429, False), (500, False), (503, False)],
)
async def test_refusal_is_for_good_or_passes(
    authority: Authority, tls: ssl.SSLContext, status: int, permanent: bool
) -> None:
    async with listening(Receiver(status=status, body="internal data"), tls) as receiver:
        error = await refusal(receiver.config(authority))

        assert f"webhook https://localhost:{receiver.port}: answers {status}" in str(error)
        assert "internal data" not in str(error)
        assert error.permanent is permanent


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_is_not_followed(authority: Authority, tls: ssl.SSLContext, status: int) -> None:
    """It could lead to where the plan's address may not."""
    async with listening(Receiver(status=status, headers={"Location": "/elsewhere"}), tls) as receiver:
        error = await refusal(receiver.config(authority))

        assert f"answers {status}; redirects are not followed, put the final address into the plan" in str(error)
        assert not error.permanent
        assert receiver.redirected == 0


async def test_slow_receiver_is_given_up_in_time(authority: Authority, tls: ssl.SSLContext) -> None:
    async with listening(Receiver(delay_seconds=30), tls) as receiver:
        began = time.monotonic()
        error = await refusal(receiver.config(authority), timeout_seconds=0.3)

        assert "does not answer in time" in str(error)
        assert not error.permanent
        assert time.monotonic() - began < 3


async def test_receiver_that_is_down_or_does_not_exist_passes(authority: Authority) -> None:
    async with listening(Receiver(), None) as receiver:
        pass
    for url in (f"https://localhost:{receiver.port}", "https://hooks.invalid"):
        error = await refusal(WebhookConfig.of(url, smtp_secret(secret=OLD)))

        assert "cannot be reached" in str(error)
        assert not error.permanent


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "https://0251.0376.0251.0376/s3cret",
    ],
)
async def test_metadata_services_are_never_asked(url: str) -> None:
    error = await refusal(WebhookConfig.of(url, smtp_secret(secret=OLD)))

    assert re.search("is no address that (notifications may be sent to|can be asked)", str(error))
    assert not error.permanent


async def test_loopback_is_refused_where_it_is_not_allowed(authority: Authority, tls: ssl.SSLContext) -> None:
    async with listening(Receiver(), tls) as receiver:
        error = await refusal(receiver.config(authority), Destinations())

        assert "is no address that notifications may be sent to" in str(error)
        assert receiver.requests == []


async def test_proxy_of_the_environment_is_not_asked(
    authority: Authority, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look the name up itself, past the check of addresses."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with listening(Receiver(), tls) as receiver, Webhooks(LOOPBACK) as webhooks:
        await webhooks.post(receiver.config(authority), event(), NOW)

        assert len(receiver.requests) == 1


async def test_event_is_tried_again_until_it_is_taken_and_known_as_a_repeat(
    authority: Authority, tls: ssl.SSLContext
) -> None:
    async with listening(Receiver(status=503), tls) as receiver, Webhooks(LOOPBACK) as webhooks:
        config, now = receiver.config(authority), NOW
        outbox: Outbox = (due().entry,)
        for receiver.status in (503, 503, 200):
            for found in box.due(outbox, now):
                try:
                    await webhooks.post(config, event_of(found, ACME), NOW)
                except NotificationError as error:
                    outbox = box.mark_failed(outbox, found, str(error), permanent=error.permanent, now=now)
                else:
                    outbox = box.mark_sent(outbox, found, now)
            now = box.next_due(outbox, now) or now

        assert outbox[0].deliveries[Channel.WEBHOOK].state is DeliveryState.SENT
        assert now - NOW == timedelta(minutes=3)
        assert {headers["webhook-id"] for headers, _ in receiver.requests} == receiver.seen
        assert len({body for _, body in receiver.requests}) == 1
