"""What the operator may be sent to, and what a Secret has to say (DESIGN rule 11)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from clientorg.errors import NotificationError
from clientorg.notify.destinations import Destinations, RefusedDestinationError, is_loopback
from clientorg.notify.smtp import Security, SmtpConfig
from clientorg.notify.webhook import WebhookConfig
from tests.controlplane.certs import Authority

KEY = "whsec_" + base64.b64encode(bytes(32)).decode()


def secret(**data: str) -> dict[str, Any]:
    """A Secret as the API server gives it; `_` in a key stands for `.` and `-`, as in ca.crt."""
    names = {"ca_crt": "ca.crt", "allow_insecure": "allow-insecure"}
    encoded = {names.get(key, key): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"name": "clientorg-smtp", "namespace": "agency"}, "data": encoded}


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "168.63.129.16",
        "100.100.100.200",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ],
)
def test_metadata_and_link_local_addresses_are_refused_always(address: str) -> None:
    with pytest.raises(RefusedDestinationError, match="no address that notifications may be sent to"):
        Destinations(allow_loopback=True).check(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_loopback_is_the_operators_own_and_refused_unless_allowed(address: str) -> None:
    with pytest.raises(RefusedDestinationError):
        Destinations().check(address)
    Destinations(allow_loopback=True).check(address)


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.1", "203.0.113.7", "2001:db8::1", "fd12:3456::1"])
def test_public_and_private_addresses_are_left_to_network_policies(address: str) -> None:
    Destinations().check(address)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "[::1]", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_told_by_name_and_address(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback("localhost.example.com")
    assert not is_loopback("10.0.0.1")


async def test_name_is_checked_by_the_address_it_resolves_to() -> None:
    """`localhost` and other spellings of an address lead to the check as well."""
    for host in ("localhost", "2130706433", "0x7f000001", "127.1"):
        with pytest.raises(RefusedDestinationError):
            await Destinations().connect(host, 1)


# -- the Secret of the mail server ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "port", "security"),
    [
        ({}, 587, Security.STARTTLS),
        ({"security": "tls"}, 465, Security.TLS),
        ({"security": "TLS", "port": "4650"}, 4650, Security.TLS),
        ({"security": "none", "allow_insecure": "true"}, 25, Security.NONE),
        ({"security": "none", "host": "127.0.0.1"}, 25, Security.NONE),
    ],
)
def test_mail_server_is_read_from_its_secret(data: dict[str, str], port: int, security: Security) -> None:
    config = SmtpConfig.from_secret(secret(**{"host": "smtp.example.com\n"} | data))

    assert (config.port, config.security) == (port, security)
    assert config.host in ("smtp.example.com", "127.0.0.1")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "Secret clientorg-smtp: key 'host' is missing; set it, for example to smtp.example.com"),
        ({"host": ""}, "key 'host' is missing"),
        ({"host": "https://smtp.example.com"}, "key 'host' is no host name"),
        ({"host": "a.example\r\nX: y"}, "key 'host' is no host name"),
        ({"host": "a.example", "port": "smtp"}, "key 'port' is no port"),
        ({"host": "a.example", "port": "0"}, "key 'port' is no port"),
        ({"host": "a.example", "port": "65536"}, "key 'port' is no port"),
        ({"host": "a.example", "security": "ssl"}, "key 'security' is none of starttls, tls, none"),
        ({"host": "a.example", "username": "u"}, "key 'password' is missing; set username and password, or neither"),
        ({"host": "a.example", "password": "hunter2"}, "key 'username' is missing"),
        ({"host": "a.example", "security": "none"}, "allow-insecure has to be true"),
        (
            {"host": "a.example", "security": "none", "allow_insecure": "true", "username": "u", "password": "hunter2"},
            "a password is not sent in the clear",
        ),
        ({"host": "a.example", "ca_crt": "hunter2"}, "key 'ca.crt' holds no certificates in PEM"),
    ],
)
def test_wrong_secret_is_told_by_its_key_and_not_by_its_content(data: dict[str, str], message: str) -> None:
    with pytest.raises(NotificationError) as raised:
        SmtpConfig.from_secret(secret(**data))

    assert message in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert not raised.value.permanent, "it passes when somebody corrects the Secret"


def test_value_that_is_no_text_is_told_by_its_key() -> None:
    manifest = secret(host="a.example")
    manifest["data"]["password"] = base64.b64encode(b"\xff\xfe").decode()
    manifest["data"]["username"] = "%%%"

    with pytest.raises(NotificationError, match="key 'username' is no text"):
        SmtpConfig.from_secret(manifest)


def test_password_does_not_show_in_the_configuration() -> None:
    authority = Authority.create("test").pair.certificate.decode()
    config = SmtpConfig.from_secret(secret(host="a.example", username="u", password="hunter2", ca_crt=authority))

    assert config.password == "hunter2"
    assert "hunter2" not in repr(config)


# -- the plan's webhook --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hooks.example/x", "begins with http://; use https://"),
        ("https://user:hunter2@hooks.example/x", "has a user name or password"),
        ("ftp://hooks.example/x", "is no https address"),
        ("https:///x", "is no https address"),
        ("//hooks.example", "is no https address"),
        ("http://[::1", "is no address"),
    ],
)
def test_wrong_webhook_address_is_refused(url: str, message: str) -> None:
    with pytest.raises(NotificationError) as raised:
        WebhookConfig.of(url, secret(secret=KEY))

    assert f"spec.notifications.webhook.url of the plan {message}" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "key 'secret' is missing; set it, for example to whsec_$(openssl rand -base64 32)"),
        ("hunter2", "a signing secret begins with whsec_"),
        ("whsec_hunter2", "after whsec_ a signing secret is base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "a signing secret has 24 to 64 bytes"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "a signing secret has 24 to 64 bytes"),
        (f"{KEY} {KEY} {KEY}", "holds more than 2 signing secrets"),
    ],
)
def test_wrong_signing_secret_is_refused_without_telling_it(value: str, message: str) -> None:
    with pytest.raises(NotificationError) as raised:
        WebhookConfig.of("https://hooks.example", secret(secret=value))

    assert message in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_signing_secret_does_not_show_in_the_configuration() -> None:
    config = WebhookConfig.of("https://hooks.example/x#part", secret(secret=f"{KEY}\n{KEY}\n"))

    assert config.keys == (bytes(32), bytes(32))
    assert "keys" not in repr(config)
    assert str(config.url) == "https://hooks.example/x"
