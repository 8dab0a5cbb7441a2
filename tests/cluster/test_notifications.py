"""Mails to the contacts, once each, whatever the mail server does (FEATURES S4, Z9; DESIGN rule 4).

The sender itself is tested in tests/integration; here the operator sends, what its passes put into the outboxes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from clientorg.api.meta import ANNOTATION_RESEND
from clientorg.cluster.resources import NAMESPACES
from clientorg.domain.timestamps import rfc3339
from clientorg.notify.signature import verify
from tests.cluster.test_deactivation import PURGE, deactivate, expect_purge_to_begin, sent
from tests.cluster.verbs import Agency, Client, Json, expect_never, messages_of
from tests.controlplane.waiting import wait_until
from tests.support.canary import CANARY
from tests.support.devclock import DevClock
from tests.support.httpserver import LocalServer, QuietHandler
from tests.support.kube import RefusedError
from tests.support.mailserver import MailHost, smtp_secret
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

FROM = "no-reply@sakura.example"


@pytest.fixture
def post() -> Iterator[MailHost]:
    """A mail server."""
    with MailHost() as post:
        yield post


@pytest.fixture
def sakura(tokyo: Agency, post: MailHost) -> Agency:
    """An agency that sends mails by that server."""
    return with_mail(tokyo, post)


def with_mail(agency: Agency, post: MailHost) -> Agency:
    """Have an agency send mails by a server."""
    secret = smtp_secret(host="localhost", port=str(post.port), security="none")
    secret["metadata"]["namespace"] = agency.name
    agency.create({"apiVersion": "v1", "kind": "Secret", **secret})
    agency.plan.edit(timeZone="Asia/Tokyo", notifications={"senderName": "Sakura Digital", "fromAddress": FROM})
    return agency


def new_client(agency: Agency, name: str, language: str = "en") -> Client:
    """A client with a contact of that language."""
    contact = {"firstName": "Yuki", "lastName": "Sato", "email": f"yuki@{name}.example", "language": language}
    return agency.client(name, contact=contact)


def delivered_client(agency: Agency, name: str) -> Client:
    """A client whose first mail, that its workspace is there, was sent."""
    client = new_client(agency, name)
    client.expect(lambda it: states(it) == ["Sent"], "have its first mail sent")
    return client


def states(manifest: Json) -> list[str]:
    """How far each mail of the outbox is."""
    return [entry["mail"]["state"] for entry in manifest["status"].get("outbox", [])]


def expect_mails(post: MailHost, client: str, number: int) -> None:
    """Wait until a client's contact has so many mails."""
    address = f"yuki@{client}.example"
    wait_until(lambda: len(post.mails_to(address)) >= number, 20, f"{number} mails to {address}")
    assert len(post.mails_to(address)) == number


def test_each_contact_is_told_once_in_its_language(
    sakura: Agency, post: MailHost, clock: DevClock, clockwork: OperatorProcess
) -> None:
    languages = {"acme": "en", "sato": "ja", "novak": "cs", "sharma": "hi", "other": "tlh"}
    clients = [new_client(sakura, name, language) for name, language in languages.items()]
    for client in clients:
        client.expect(lambda it: states(it) == ["Sent"], "have its first mail sent")
    for client in clients:
        deactivate(client)
    for client in clients:
        client.expect(lambda it: states(it) == ["Sent", "Sent"], "have told the deactivation")
    clock.set(PURGE - timedelta(days=30))
    for client in clients:
        client.expect(lambda it: sent(it) == [30], "have sent the reminder")

    clockwork.kill()
    clockwork.start()
    for client in clients:
        client.ask_for_reconcile()
        client.expect(lambda it: it["status"].get("lastHandledReconcileAt") == "now", "have looked")

    for name, language in languages.items():
        expect_mails(post, name, 3)
        mails = post.mails_to(f"yuki@{name}.example")
        assert {mail["Content-Language"] for mail in mails} == {language if language != "tlh" else "en"}
        assert {mail["From"] for mail in mails} == {f"Sakura Digital <{FROM}>"}
    subjects = {mail.message["Subject"] for mail in post.received}
    assert len(subjects) > 8, f"different in each language: {subjects}"
    ids = [mail.message["Message-ID"] for mail in post.received]
    assert len(set(ids)) == len(ids)


def test_server_that_is_down_delays_its_mail_and_says_so(
    sakura: Agency, osaka: Agency, post: MailHost, clock: DevClock
) -> None:
    acme = delivered_client(sakura, "acme")
    with MailHost() as other_post:
        beta = delivered_client(with_mail(osaka, other_post), "beta")
        post.stop()

        acme.edit(state="Paused")
        beta.edit(state="Paused")

        acme.expect_state("Paused", "Requested")
        expect_mails(other_post, "beta", 2)
        for minutes in (2, 4):  # three tries in all
            acme.expect(partial(has_failed, minutes // 2), "have tried")
            clock.step(seconds=60 * minutes)
        failing = acme.expect_condition("NotificationFailing", "True", "DeliveryFailed", "paused-Requested", "by mail")
        assert "localhost" in failing["message"]
        beta.expect_condition("NotificationFailing", "False", "Delivered")
    post.start()
    clock.step(hours=1)

    expect_mails(post, "acme", 2)
    acme.expect_condition("NotificationFailing", "False", "Delivered")
    assert states(acme.read()) == ["Sent", "Sent"]


def has_failed(times: int, manifest: Json) -> bool:
    """Whether the last mail was tried in vain so often."""
    return bool(manifest["status"]["outbox"][-1]["mail"]["attempts"] == times)


def test_slow_server_holds_up_nothing_but_its_mail(sakura: Agency, osaka: Agency, post: MailHost) -> None:
    acme = delivered_client(sakura, "acme")
    with MailHost() as other_post:
        beta = delivered_client(with_mail(osaka, other_post), "beta")
        post.fall_silent()

        acme.edit(state="Paused")
        acme.expect_state("Paused", "Requested")
        beta.edit(state="Paused")
        expect_mails(other_post, "beta", 2)
        acme.edit(state="Active")
        acme.expect_state("Active")
        assert states(acme.read()) == ["Sent", "Pending", "Pending"]
    post.speak()

    acme.expect(lambda it: states(it) == ["Sent", "Sent", "Sent"], "have sent both")
    expect_mails(post, "acme", 3)


def test_refused_address_fails_alone_until_it_is_corrected(sakura: Agency, post: MailHost) -> None:
    post.mood.recipients["yuki@gone.example"] = "550 no such user"
    acme = delivered_client(sakura, "acme")

    gone = sakura.ready_client("gone")

    failing = gone.expect_condition("NotificationFailing", "True", "DeliveryFailed", "no such user")
    assert "delivery by mail" in failing["message"]
    assert states(gone.read()) == ["Failed"]
    acme.expect_condition("NotificationFailing", "False", "Delivered")
    contact = gone.read()["spec"]["contact"] | {"email": "yuki@here.example"}
    gone.edit(contact=contact)
    gone.annotate({ANNOTATION_RESEND: "delivery@1"})
    gone.expect_condition("NotificationFailing", "False", "Delivered")
    expect_mails(post, "here", 1)
    gone.annotate({ANNOTATION_RESEND: "nothing@2"})
    wait_until(lambda: any(event["reason"] == "ResendRefused" for event in gone.events()), 20, "the wrong key is told")
    expect_mails(post, "here", 1)


def test_nobody_is_purged_before_the_last_reminder_is_delivered(
    sakura: Agency, post: MailHost, clock: DevClock
) -> None:
    acme = delivered_client(sakura, "acme")
    deactivate(acme)
    acme.expect(lambda it: states(it) == ["Sent", "Sent"], "have told the deactivation")
    post.stop()
    clock.set(PURGE - timedelta(days=1))
    acme.expect_message("reminder", days="1")

    clock.set(PURGE + timedelta(days=3))

    acme.expect_condition("Ready", "True", "NoticePending", "resend reminder")
    assert acme.kube.find(NAMESPACES, acme.workspace) is not None
    assert sent(acme.read()) == []
    post.start()
    back = clock.step(hours=6)

    manifest = acme.expect(lambda it: sent(it) == [1], "have sent the reminder")
    purge_after = back + timedelta(days=1)
    assert manifest["status"]["deactivation"]["purgeAfter"] == rfc3339(purge_after)
    (reminder,) = messages_of(manifest, "reminder")
    assert reminder["mail"]["sent"] == rfc3339(back)
    expect_mails(post, "acme", 3)
    text = post.mails_to("yuki@acme.example")[-1].get_body(("plain",))
    assert text is not None
    assert "on March 2, 2027, tomorrow" in text.get_content(), "the date that is true, in the plan's time zone"
    clock.set(purge_after - timedelta(seconds=1))
    expect_never(lambda: acme.status["state"] == "Purged", 1.0, "a purge before the notice has passed")
    clock.set(purge_after)
    expect_purge_to_begin(acme)


class Hook(LocalServer):
    """The agency's own system, that messages are posted to. A context manager."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        hook = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}/hook"


def test_agency_is_posted_what_happens_signed_and_again_until_it_takes_it(tokyo: Agency, clock: DevClock) -> None:
    secret = smtp_secret(secret=CANARY)
    secret["metadata"] = {"name": "clientorg-webhook", "namespace": tokyo.name}
    tokyo.create({"apiVersion": "v1", "kind": "Secret", **secret})
    with Hook() as hook:
        hook.status = 503
        tokyo.plan.edit(notifications={"webhook": {"url": hook.url, "secret": "clientorg-webhook"}})
        acme = tokyo.ready_client()
        acme.expect(lambda it: it["status"]["outbox"][0]["webhook"]["attempts"] == 1, "have tried")
        hook.status = 204
        clock.step(seconds=120)
        acme.expect(lambda it: it["status"]["outbox"][0]["webhook"]["state"] == "Sent", "have been taken")

        tokyo.report(acme.org_id, clock.now, visitors=8)
        acme.expect_message("threshold", percent="80")
        acme.expect(lambda it: it["status"]["outbox"][-1]["webhook"]["state"] == "Sent", "have been taken")

    for headers, body in hook.posts:
        verify(headers, body, CANARY, clock.now.timestamp())
    events = [json.loads(body) for _, body in hook.posts]
    assert [event["type"].split(".")[2] for event in events] == ["delivery", "delivery", "threshold"]
    assert events[0]["id"] == events[1]["id"], "known as a repeat"
    assert events[2]["data"]["params"] == {"license": "visitors", "percent": 80, "used": 8, "granted": 10}


@pytest.mark.parametrize("evil", ["Acme\r\nBcc: eve@evil.example", "Acme\nX: 1", "Acme\x00", "Acme\x1b[2J"])
@pytest.mark.parametrize("field", ["displayName", "firstName", "lastName", "email"])
def test_line_breaks_and_control_characters_are_refused(tokyo: Agency, evil: str, field: str) -> None:
    contact = {"firstName": "Yuki", "lastName": "Sato", "email": "yuki@acme.example"}
    fields = {"displayName": evil} if field == "displayName" else {"contact": contact | {field: evil}}

    with pytest.raises(RefusedError) as refused:
        tokyo.client(**fields)

    assert field in refused.value.message


def test_line_separators_that_only_unicode_knows_are_harmless(sakura: Agency, post: MailHost) -> None:
    evil = "Acme\u2028Bcc: eve@evil.example\u0085X-Evil: 1\u2029<script>alert(1)</script>"
    contact = {"firstName": "Yu\u2028ki", "lastName": "\u202eSato", "email": "yuki@acme.example"}

    sakura.ready_client(displayName=evil, contact=contact)

    expect_mails(post, "acme", 1)
    (mail,) = post.received
    assert mail.recipients == ["yuki@acme.example"]
    assert mail.message["Bcc"] is None
    assert mail.message["X-Evil"] is None
    assert b"\nBcc:" not in mail.content
    html = mail.message.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()


def test_sender_that_would_break_a_header_is_refused(tokyo: Agency) -> None:
    for field in ("senderName", "fromAddress", "replyTo"):
        with pytest.raises(RefusedError, match=field):
            tokyo.plan.edit(notifications={field: "Sakura\r\nBcc: eve@evil.example"})
