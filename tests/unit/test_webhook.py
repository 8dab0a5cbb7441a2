"""Webhooks: CloudEvents as documented, and signatures that others can check (docs/notifications.md)."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from clientorg.api.notifications import Channel
from clientorg.domain import outbox as box
from clientorg.domain.messages import Due, new_entry
from clientorg.errors import NotificationError
from clientorg.notify.kinds import license_shares
from clientorg.notify.settings import IN_POOL
from clientorg.notify.signature import key_of, sign, verify
from clientorg.notify.webhook import Event, PoolSubject, Subject, WebhookConfig, event_of
from tests.support.messages import EVERY_PARAMS, NOW

DOCS = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"

ACME = Subject("agency-tokyo", "acme", "7k2m9q4xta", "Acme K.K.")

CLOUD_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "pattern": "^/[A-Za-z0-9./-]+$"},
        "type": {"type": "string", "pattern": r"^dev\.clientorg\.[a-z]+(-[a-z]+)*\.v1$"},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
        "datacontenttype": {"const": "application/json"},
        "data": {"type": "object"},
    },
    "additionalProperties": False,  # of attributes; extensions would be lower-case names of their own
}


def due(kind: str, params: dict[str, object], key: str = "key") -> Due:
    """A message on its way to the webhook."""
    return Due(new_entry(key, kind, params, NOW, (Channel.WEBHOOK,)), Channel.WEBHOOK)


@pytest.mark.parametrize(("kind", "params"), EVERY_PARAMS)
def test_every_message_is_a_cloud_event(kind: str, params: dict[str, object]) -> None:
    document = json.loads(event_of(due(kind, params), ACME).body)

    jsonschema.validate(document, CLOUD_EVENT)
    assert document["data"].keys() == {"agency", "client", "displayName", "orgID", "key", "params"}


def test_event_says_who_what_and_when_in_no_language() -> None:
    params = {"license": "visitors", "percent": 80, "used": 41241, "granted": 50000}
    event = event_of(due("threshold", params, "threshold-visitors-2026-12-80"), ACME)

    assert event.id == "7k2m9q4xta-threshold-visitors-2026-12-80"
    assert json.loads(event.body) == {
        "specversion": "1.0",
        "id": event.id,
        "source": "/clientorg.dev/agency-tokyo/7k2m9q4xta",
        "type": "dev.clientorg.threshold.v1",
        "subject": "acme",
        "time": "2026-12-18T01:05:00Z",
        "datacontenttype": "application/json",
        "data": {
            "agency": "agency-tokyo",
            "client": "acme",
            "displayName": "Acme K.K.",
            "orgID": "7k2m9q4xta",
            "key": "threshold-visitors-2026-12-80",
            "params": {"license": "visitors", "percent": 80, "used": 41241, "granted": 50000},
        },
    }


def test_event_about_the_agencys_pool_says_which() -> None:
    pool = PoolSubject("agency-tokyo", "main", "0b7c3f9e-uid", "Main stock")
    params: dict[str, object] = {"missing": 1000, "balance": 100, "transactions": 0}
    event = event_of(due("points-short", params, "points-short-20261218T010500Z"), pool)

    assert event.id == "0b7c3f9e-uid-points-short-20261218T010500Z"
    document = json.loads(event.body)
    jsonschema.validate(document, CLOUD_EVENT)
    assert document["source"] == "/clientorg.dev/agency-tokyo/quotapools/main"
    assert document["type"] == "dev.clientorg.points-short.v1"
    assert document["subject"] == "main"
    assert document["data"] == {
        "agency": "agency-tokyo",
        "pool": "main",
        "poolUID": "0b7c3f9e-uid",
        "displayName": "Main stock",
        "key": "points-short-20261218T010500Z",
        "params": params,
    }


def test_param_that_is_not_there_is_not_in_the_event_either() -> None:
    (delivery, purge) = (
        json.loads(event_of(due(kind, params), ACME).body)["data"]["params"]
        for kind, params in (("delivery", {}), ("reminder", {"days": 7, "purgeAfter": NOW, "terminated": "true"}))
    )

    assert delivery == {}
    assert purge["terminated"] is True


def test_address_that_is_wrong_is_corrected_where_it_is_set() -> None:
    secret = {"metadata": {"name": "hook", "namespace": "agency-tokyo"}, "data": {}}
    with pytest.raises(NotificationError, match=r"spec\.points\.notifications\.webhook\.url of the pool begins with"):
        WebhookConfig.of("http://hooks.example/x", secret, IN_POOL)
    with pytest.raises(NotificationError, match=r"spec\.notifications\.webhook\.url of the plan begins with"):
        WebhookConfig.of("http://hooks.example/x", secret)


def test_times_and_lists_are_json_too() -> None:
    purge = json.loads(event_of(due("reminder", {"days": 7, "purgeAfter": NOW}), ACME).body)
    waiting = json.loads(event_of(due("waiting", {"licenses": license_shares({"visitors": (300, 500)})}), ACME).body)

    assert purge["data"]["params"] == {"days": 7, "purgeAfter": "2026-12-18T01:05:00Z"}
    assert waiting["data"]["params"] == {"licenses": [{"name": "visitors", "granted": 300, "wanted": 500}]}


def test_repeat_has_the_same_id_and_another_client_or_a_resent_event_another() -> None:
    """Receivers tell repeats by webhook-id alone; on one day many clients have the same key."""
    first = due("reminder", {"days": 7, "purgeAfter": NOW}, "reminder-2026-12-25-7")
    outbox = box.mark_sent((first.entry,), first, NOW)
    (resent,) = box.due(box.resend(outbox, NOW, kind="reminder", channels=(Channel.WEBHOOK,)), NOW)
    other = Subject("agency-tokyo", "globex", "00000000g1", "Globex")

    assert event_of(first, ACME) == event_of(first, ACME)
    assert event_of(first, other).id == "00000000g1-reminder-2026-12-25-7"
    assert event_of(resent, ACME).id == "7k2m9q4xta-reminder-2026-12-25-7-again1"


def test_event_tells_nothing_of_persons() -> None:
    body = event_of(due("delivery", {"url": "https://portal.example/acme"}), ACME).body

    assert b"yuki" not in body.lower()


def test_what_is_no_known_event_is_refused_for_good() -> None:
    for kind in ("birthday", "threshold"):
        with pytest.raises(NotificationError) as raised:
            event_of(due(kind, {}), ACME)
        assert raised.value.permanent


# -- signatures ----------------------------------------------------------------------------------------------------

# The vector that the libraries of Standard Webhooks are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = Event("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
VECTOR_TIME = 1614265330
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


def signed() -> dict[str, str]:
    """The headers of the vector."""
    return sign(VECTOR.id, VECTOR_TIME, VECTOR.body, [key_of(SECRET)])


def test_signature_is_that_of_standard_webhooks() -> None:
    assert signed() == {
        "webhook-id": VECTOR.id,
        "webhook-timestamp": str(VECTOR_TIME),
        "webhook-signature": VECTOR_SIGNATURE,
    }
    verify(signed(), VECTOR.body, SECRET, VECTOR_TIME)
    verify({name.title(): value for name, value in signed().items()}, VECTOR.body, SECRET, VECTOR_TIME + 299)


def test_both_secrets_verify_while_one_replaces_the_other() -> None:
    headers = sign(VECTOR.id, VECTOR_TIME, VECTOR.body, [key_of(SECRET), key_of(OTHER)])

    verify(headers, VECTOR.body, SECRET, VECTOR_TIME)
    verify(headers, VECTOR.body, OTHER, VECTOR_TIME)


@pytest.mark.parametrize(
    ("changes", "body", "secret", "seconds_later", "message"),
    [
        ({}, VECTOR.body + b" ", SECRET, 0, "no signature matches"),
        ({}, VECTOR.body, OTHER, 0, "no signature matches"),
        ({"webhook-id": "msg_2"}, VECTOR.body, SECRET, 0, "no signature matches"),
        ({"webhook-timestamp": str(VECTOR_TIME + 1)}, VECTOR.body, SECRET, 0, "no signature matches"),
        ({"webhook-signature": ""}, VECTOR.body, SECRET, 0, "no signature matches"),
        ({"webhook-signature": VECTOR_SIGNATURE.replace("v1,", "v2,")}, VECTOR.body, SECRET, 0, "no signature matches"),
        ({"webhook-signature": "ü" + VECTOR_SIGNATURE}, VECTOR.body, SECRET, 0, "no signature matches"),
        ({}, VECTOR.body, SECRET, 301, "too old or too new"),
        ({}, VECTOR.body, SECRET, -301, "too old or too new"),
        ({"webhook-timestamp": "now"}, VECTOR.body, SECRET, 0, "no webhook-id, webhook-timestamp"),
    ],
)
def test_what_was_changed_or_played_again_does_not_verify(
    changes: dict[str, str], body: bytes, secret: str, seconds_later: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        verify(signed() | changes, body, secret, VECTOR_TIME + seconds_later)


def test_missing_header_does_not_verify() -> None:
    headers = signed()
    del headers["webhook-signature"]
    with pytest.raises(ValueError, match="no webhook-id"):
        verify(headers, VECTOR.body, SECRET, VECTOR_TIME)


def test_documented_example_is_what_is_sent() -> None:
    """The test vector in docs/notifications.md, for those who write receivers."""
    text = DOCS.read_text()
    example = re.search(r"```http\n(?P<head>POST .*?)\n\n(?P<body>\{.*?\})\n```", text, re.DOTALL)
    secret = re.search(r"`(whsec_[A-Za-z0-9+/=]+)`", text)
    assert example is not None
    assert secret is not None
    headers = dict(line.split(": ", 1) for line in example["head"].splitlines()[1:])
    params = {"license": "visitors", "percent": 80, "used": 41241, "granted": 50000}
    created = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    entry = new_entry("threshold-visitors-2026-11-80", "threshold", params, created, (Channel.WEBHOOK,))
    event = event_of(Due(entry, Channel.WEBHOOK), ACME)

    assert example["body"].encode() == event.body
    timestamp = int(headers["webhook-timestamp"])
    assert sign(event.id, timestamp, event.body, [key_of(secret[1])]).items() <= headers.items()
    verify(headers, example["body"].encode(), secret[1], timestamp)
