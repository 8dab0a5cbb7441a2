"""From the outbox of a pool to the agency's mailbox and system: the operator's own notifier, and real servers (S10)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from kubernetes.aio.client import Configuration

from clientorg.api.notifications import Channel
from clientorg.cluster.credentials import Credentials, Source
from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS, SECRETS
from clientorg.cluster.rest import Api
from clientorg.control.delivery import Delivery
from clientorg.control.keys import Kind
from clientorg.control.notifier import Notifier
from clientorg.control.objects import Name
from clientorg.control.poolmessages import with_pool_messages
from clientorg.control.store import Store
from clientorg.domain.messages import from_status, new_entry, to_status
from clientorg.errors import ApiError
from clientorg.notify.destinations import Destinations
from clientorg.notify.sender import channels_of
from tests.controlplane.certs import Authority
from tests.integration.test_webhook_delivery import OLD, Receiver, listening
from tests.support import builders
from tests.support.mailserver import MailServer, mail_server, server_tls
from tests.support.messages import NOW
from tests.unit.apiserver import MemoryServer

AGENCY = "agency-tokyo"
FROM = "no-reply@sakura.example"
WELL: dict[str, Any] = {"points": {"balance": 5000, "entries": 1}, "conditions": []}
SHORT: dict[str, Any] = {
    "points": {
        "balance": 4000,
        "entries": 2,
        "waiting": 1500,
        "waitingTransactions": 3,
        "needed": 25000,
        "neededBy": "2026-12-24T15:00:00Z",
    },
    "conditions": [
        {"type": "PointsShort", "status": "True", "reason": "Short", "lastTransitionTime": "2026-12-18T01:05:00Z"}
    ],
}


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it comes true in servers and in the notifier alike
            await asyncio.sleep(0.01)


class DirectApi(Api):
    """A connection to the API server in memory."""

    def __init__(self, server: MemoryServer) -> None:
        super().__init__(Credentials(Source(), Configuration(host="http://api.invalid"), "default"))
        self._server = server
        self.lost_answers = 0
        """So many writes of a status to come are done, and answered with 500."""
        self.refusals = 0
        """So many after these are not done."""

    async def _send(
        self, method: str, path: str, params: Mapping[str, str] | None, data: bytes | None, content_type: str
    ) -> bytes:
        body = orjson.loads(data) if data is not None else None
        if method == "PATCH" and self.lost_answers:
            self.lost_answers -= 1
            self._server.handle(method, path, dict(params or {}), body, content_type)
            raise ApiError(500, "InternalError", "the answer is lost")
        if method == "PATCH" and self.refusals:
            self.refusals -= 1
            raise ApiError(500, "InternalError", "not for now")
        return orjson.dumps(self._server.handle(method, path, dict(params or {}), body, content_type))


@dataclass
class StepClock:
    """A clock that stands still until it is stepped."""

    time: datetime = NOW

    def now(self) -> datetime:
        """The time, in UTC."""
        return self.time


@dataclass
class Office:
    """An agency's pool with somebody who looks after its points, and the operator that writes to them."""

    server: MemoryServer
    store: Store
    clock: StepClock
    api: DirectApi
    notifier: Notifier
    post: MailServer
    receiver: Receiver
    woken: list[Name] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)

    @property
    def status(self) -> dict[str, Any]:
        """The pool's status on the server."""
        found = self.server.one(QUOTA_POOLS, AGENCY, "pool")
        assert found is not None
        status: dict[str, Any] = found["status"]
        return status

    def edit(self, spec: dict[str, Any]) -> None:
        """Somebody edits the pool, and the operator hears of it."""
        self.store.put_pool(self.server.edit(QUOTA_POOLS, AGENCY, "pool", {"spec": spec}))

    def pass_over_pool(self, after: dict[str, Any]) -> None:
        """What a pass over the pool does: one status, with its messages, which are then due."""
        pool = self.store.pools[AGENCY, "pool"]
        outbox = with_pool_messages(pool, pool.status, after, self.clock.now())
        status = {**after, "outbox": outbox}
        self.store.put_pool(self.server.edit_status(QUOTA_POOLS, AGENCY, "pool", status))
        self.notifier.due(pool.name, Kind.POOL)

    async def expect(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Wait until the pool's outbox is so."""
        await until(lambda: condition(self.status.get("outbox", [])))
        found: list[dict[str, Any]] = self.status["outbox"]
        return found

    async def expect_states(self, **states: str) -> dict[str, Any]:
        """Wait until the only message stands so on its channels."""
        (entry,) = await self.expect(
            lambda outbox: [{name: entry[name]["state"] for name in states} for entry in outbox] == [states]
        )
        return entry


def secret(name: str, **data: str) -> dict[str, Any]:
    """A Secret of the agency."""
    encoded = {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"name": name, "namespace": AGENCY}, "data": encoded}


@asynccontextmanager
async def an_office(folder: Path) -> AsyncIterator[Office]:
    """The agency, with its servers, and the notifier at work."""
    authority = Authority.create("pool notifier test")
    clock = StepClock()
    async with AsyncExitStack() as stack:
        post = await stack.enter_async_context(mail_server(login=False))
        receiver = await stack.enter_async_context(listening(Receiver(), server_tls(authority, folder)))
        server, store = MemoryServer(clock.now), Store()
        certificate = authority.pair.certificate.decode()
        server.create(SECRETS, secret("clientorg-smtp", host="localhost", port=str(post.port), security="none"))
        server.create(SECRETS, secret("hook", secret=OLD, ca_crt=certificate))
        notifications = {
            "senderName": "Sakura Digital",
            "fromAddress": FROM,
            "webhook": {"url": f"https://localhost:{receiver.port}/hook", "secret": "hook"},
        }
        pool = builders.pool(AGENCY)
        pool["spec"] |= {
            "displayName": "Main stock",
            "points": {
                "lowBelow": 10000,
                "timeZone": "Asia/Tokyo",
                "contact": {"name": "経理部", "email": "billing@sakura.example", "language": "ja"},
                "notifications": notifications,
            },
        }
        store.put_pool(server.create(QUOTA_POOLS, pool))
        api = DirectApi(server)
        await stack.enter_async_context(api)
        delivery = Delivery(api, store, clock, Destinations(allow_loopback=True))
        await stack.enter_async_context(delivery)
        woken: list[Name] = []
        tries: Counter[str] = Counter()

        def count(channel: str, outcome: str) -> None:
            tries[f"{channel} {outcome}"] += 1

        notifier = Notifier(api, store, clock, delivery, lambda name, _: woken.append(name), count)
        gate = asyncio.Event()
        gate.set()
        working = asyncio.create_task(notifier.run(2, gate))
        try:
            office = Office(server, store, clock, api, notifier, post, receiver, woken, tries)
            office.pass_over_pool(WELL)
            yield office
            assert not working.done()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


async def test_agency_is_told_once_by_mail_and_webhook(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        office.pass_over_pool(SHORT)
        await office.expect_states(mail="Sent", webhook="Sent")
        office.pass_over_pool({**SHORT, "points": {**SHORT["points"], "balance": 3999}})
        await office.notifier.queue.wait_idle()

        assert office.tries == {"mail sent": 1, "webhook sent": 1}
        assert office.woken == [], "no client has to do with it"
        (mail,) = office.post.received
        assert mail.recipients == ["billing@sakura.example"]
        assert mail.message["Subject"] == "【重要】Main stock：ポイント不足のお知らせ"
        assert mail.message["From"] == f"Sakura Digital <{FROM}>"
        assert mail.message["To"] == "経理部 <billing@sakura.example>"
        body = mail.message.get_body(("plain",))
        assert body is not None
        text = body.get_content()
        assert "経理部 様" in text
        assert "22,500ポイント不足しています。2026年12月25日までに" in text
        ((headers, content),) = office.receiver.requests
        event = json.loads(content)
        assert event["source"] == f"/clientorg.dev/{AGENCY}/quotapools/pool"
        assert event["type"] == "dev.clientorg.points-short.v1"
        assert event["subject"] == "pool"
        assert headers["webhook-id"] == event["id"] == "uid-3-points-short-20261218T010500Z"
        assert event["data"]["params"] == {
            "missing": 22500,
            "balance": 4000,
            "neededBy": "2026-12-24T15:00:00Z",
            "transactions": 3,
        }


async def test_refused_mail_to_the_agency_is_tried_again_without_a_pass_over_its_pool(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        office.post.mood.senders = {FROM: "451 4.7.1 try later"}
        office.pass_over_pool(SHORT)
        entry = await office.expect_states(mail="Pending", webhook="Sent")
        if entry["mail"]["attempts"] == 0:  # the webhook was first
            (entry,) = await office.expect(lambda outbox: outbox[0]["mail"]["attempts"] == 1)
        assert "correct fromAddress" in entry["mail"]["lastError"]
        assert entry["mail"]["nextAttempt"] == "2026-12-18T01:06:00Z"

        office.post.mood.senders = {}
        office.clock.time += timedelta(minutes=1)
        await office.expect_states(mail="Sent", webhook="Sent")

        assert office.tries == {"mail failed": 1, "mail sent": 1, "webhook sent": 1}


async def test_outcome_is_written_onto_what_a_pass_has_written_meanwhile(tmp_path: Path) -> None:
    """The operator has not heard of it yet."""
    async with an_office(tmp_path) as office:
        office.post.mood.silent = asyncio.Event()
        office.pass_over_pool(SHORT)
        await until(lambda: "MAIL" in office.post.commands)
        office.server.edit_status(QUOTA_POOLS, AGENCY, "pool", {"points": {"balance": 1}, "clients": 7})
        office.post.mood.silent.set()
        await office.expect_states(mail="Sent", webhook="Sent")

        assert office.status["points"]["balance"] == 1
        assert office.status["clients"] == 7
        assert len(office.post.received) == 1


@pytest.mark.parametrize(("lost_answers", "refusals"), [(1, 0), (0, 3), (2, 2)])
async def test_message_is_sent_once_however_often_its_outcome_cannot_be_written(
    tmp_path: Path, lost_answers: int, refusals: int
) -> None:
    """It was sent anew at each try to write that it was sent."""
    async with an_office(tmp_path) as office:
        office.api.lost_answers, office.api.refusals = lost_answers, refusals
        office.pass_over_pool(SHORT)
        await office.expect_states(mail="Sent", webhook="Sent")
        await until(lambda: (office.api.lost_answers, office.api.refusals) == (0, 0))
        await office.notifier.queue.wait_idle()

        assert office.tries == {"mail sent": 1, "webhook sent": 1}
        assert len(office.post.received) == len(office.receiver.requests) == 1


async def test_agency_can_correct_what_it_has_set_wrong(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        office.edit({"points": {"notifications": {"smtpSecret": "missing"}, "timeZone": "Asia/Nowhere"}})
        office.pass_over_pool(SHORT)
        (entry,) = await office.expect(lambda outbox: bool(outbox) and outbox[0]["mail"]["attempts"] == 1)
        assert entry["mail"]["lastError"].startswith("spec.points.timeZone of the pool: unknown time zone")
        for minutes, problem in (
            (1, "no Secret 'missing' in namespace 'agency-tokyo'; create it, or correct"),
            (2, ""),
        ):
            office.edit({"points": {"timeZone": "Asia/Tokyo"}})
            office.clock.time += timedelta(minutes=minutes)
            (entry,) = await office.expect(
                lambda outbox, before=entry: outbox[0]["mail"] != before["mail"]  # type: ignore[misc]
            )
            assert problem in entry["mail"].get("lastError", "")
            office.edit({"points": {"notifications": {"smtpSecret": "clientorg-smtp"}}})
        await office.expect_states(mail="Sent", webhook="Sent")


async def test_pool_that_is_deleted_meanwhile_is_not_told_again_and_again(tmp_path: Path) -> None:
    """The operator has not heard of it yet."""
    async with an_office(tmp_path) as office:
        office.post.mood.silent = asyncio.Event()
        office.pass_over_pool(SHORT)
        await until(lambda: "MAIL" in office.post.commands)
        office.server.remove(QUOTA_POOLS, AGENCY, "pool")
        office.post.mood.silent.set()
        await office.notifier.queue.wait_idle()

        assert len(office.notifier.timers) == 0
        assert office.tries == {"mail sent": 1}


async def test_client_without_a_plan_waits_for_one(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        name = (AGENCY, "acme")
        office.server.create(CLIENT_ORGS, builders.client(AGENCY, "acme"))
        entry = new_entry("delivery", "delivery", {}, NOW, [Channel.MAIL])
        office.store.put_client(office.server.edit_status(CLIENT_ORGS, *name, {"outbox": to_status((entry,))}))
        office.notifier.due(name)
        await office.notifier.queue.wait_idle()
        assert office.tries == {}

        plan = builders.plan(AGENCY)
        plan["spec"] |= {"notifications": {"fromAddress": FROM}}
        office.store.put_plan(office.server.create(ORG_PLANS, plan))
        office.notifier.due(name)
        await office.notifier.queue.wait_idle()
        assert office.tries == {"mail sent": 1}


async def test_client_and_agency_are_written_to_by_the_same_notifier(tmp_path: Path) -> None:
    async with an_office(tmp_path) as office:
        plan = builders.plan(AGENCY)
        plan["spec"] |= {"notifications": {"fromAddress": FROM}, "timeZone": "Europe/Prague"}
        office.store.put_plan(office.server.create(ORG_PLANS, plan))
        client = office.server.create(CLIENT_ORGS, builders.client(AGENCY, "acme"))
        notifications = office.store.plans[AGENCY, "standard"].template.spec.notifications
        params = {"time": NOW, "purgeAfter": NOW + timedelta(days=30), "settlement": -50}
        entry = new_entry("terminated-1", "terminated", params, NOW, channels_of(notifications))
        status = {"outbox": to_status((entry,))}
        name = (AGENCY, client["metadata"]["name"])
        office.store.put_client(office.server.edit_status(CLIENT_ORGS, *name, status))

        office.notifier.due(name)
        office.pass_over_pool(SHORT)
        await office.expect_states(mail="Sent", webhook="Sent")
        await until(lambda: bool(office.woken))

        assert office.woken == [name]
        told = office.server.one(CLIENT_ORGS, *name)
        assert told is not None
        (sent,) = from_status(told["status"]["outbox"])
        assert sent.is_finished
        subjects = {mail.message["Subject"] for mail in office.post.received}
        assert len(subjects) == 2
        assert any("your contract has ended" in subject for subject in subjects)
