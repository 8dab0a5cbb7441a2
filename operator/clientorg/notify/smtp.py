"""Sending mails by SMTP: verified TLS, credentials from the Secret that names the server, failures classified."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import StrEnum
from typing import Any, Final

import aiosmtplib

from clientorg.errors import NotificationError
from clientorg.notify.destinations import Destinations, is_loopback
from clientorg.notify.lines import one_line
from clientorg.notify.secrets import SecretData

_QUIT_SECONDS: Final = 2.0


class Security(StrEnum):
    """How the connection is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS: Final = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """A mail server and who we are there; both from one Secret, so that no credential goes to another's server.

    Attributes:
        tls: verifies its certificate and host name.
    """

    secret: str
    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    @classmethod
    def from_secret(cls, manifest: Mapping[str, Any]) -> SmtpConfig:
        """Read a Secret: host, and optionally port, security, username, password, ca.crt, allow-insecure.

        Raises:
            NotificationError: a key is missing or wrong; the message names it. Passes when it is corrected.
        """
        data = SecretData(manifest)
        host = data.required("host", "smtp.example.com")
        if one_line(host) != host or " " in host or not host.isascii() or "/" in host:
            raise data.problem("host", "is no host name; write it without a scheme, port and spaces")
        try:
            security = Security((data.get("security") or Security.STARTTLS).lower())
        except ValueError:
            raise data.problem("security", "is none of starttls, tls, none") from None
        port = data.get("port") or str(_PORTS[security])
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise data.problem("port", "is no port; write a number from 1 to 65535")
        username, password = data.get("username"), data.get("password")
        if (username is None) != (password is None):
            missing = "password" if password is None else "username"
            raise data.problem(missing, "is missing; set username and password, or neither")
        if security is Security.NONE and not is_loopback(host):
            if username is not None:
                raise data.problem("security", "is none, and a password is not sent in the clear; use starttls or tls")
            if (data.get("allow-insecure") or "").lower() != "true":
                raise data.problem("security", "is none, for which allow-insecure has to be true; better use starttls")
        tls = data.tls_context() or ssl.create_default_context()
        return cls(data.name, host, int(port), security, username, password, tls)


class Mailer:
    """Sends mails, each over a connection of its own: one that is slow or refused delays no other.

    Args:
        timeout_seconds: for each step of the dialogue.
        deadline_seconds: for all of it; a server that drips its answers is slow too.
    """

    def __init__(
        self,
        destinations: Destinations,
        *,
        timeout_seconds: float = 30.0,
        deadline_seconds: float = 120.0,
        hello_name: str | None = None,
    ) -> None:
        self._destinations = destinations
        self._timeout_seconds = timeout_seconds
        self._deadline_seconds = deadline_seconds
        self._hello_name = hello_name or _hello_name()

    async def send(self, config: SmtpConfig, message: EmailMessage) -> None:
        """Send to the mail's one recipient. Returns when the server has taken it.

        Raises:
            NotificationError: it did not. Permanent: it refuses this recipient or this content for good.
        """
        sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
        client: aiosmtplib.SMTP | None = None
        try:
            async with asyncio.timeout(self._deadline_seconds):
                client = await self._connect(config)
                await client.sendmail(sender, [recipient], message.as_bytes())
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _classified(error, config) from error
        finally:
            if client is not None:
                await _quit(client)

    async def _connect(self, config: SmtpConfig) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname=config.host,
            local_hostname=self._hello_name,
            timeout=self._timeout_seconds,
            use_tls=config.security is Security.TLS,
            start_tls=config.security is Security.STARTTLS,
            tls_context=config.tls,
            username=config.username,
            password=config.password,
        )
        async with asyncio.timeout(self._timeout_seconds):
            connection = await self._destinations.connect(config.host, config.port)
        await client.connect(sock=connection)  # from here on the socket is the client's to close
        return client


async def _quit(client: aiosmtplib.SMTP) -> None:
    """Say goodbye. Whatever comes of it, the mail was taken or refused before."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=_QUIT_SECONDS)
    client.close()


def _hello_name() -> str:
    """What we call ourselves to the server: the host's name, which needs no look-up and tells nothing new."""
    name = socket.gethostname()
    return name if name.isascii() and name and not any(char.isspace() for char in name) else "localhost"


def _classified(error: Exception, config: SmtpConfig) -> NotificationError:
    """What a failure means for the message. The server's words are kept short, and the password out of them."""
    server = f"{config.host}:{config.port}"

    def problem(what: str, *, permanent: bool = False) -> NotificationError:
        text = one_line(f"mail server {server}: {what}")
        return NotificationError(text.replace(config.password, "***") if config.password else text, permanent=permanent)

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return problem(
                f"its certificate is not to be trusted ({cause.verify_message}); put its authority into ca.crt of "
                f"Secret {config.secret}, or correct host"
            )
        cause = cause.__cause__ or cause.__context__
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return problem(
                f"refuses user name and password ({error.code} {error.message}); correct them in Secret {config.secret}"
            )
        case aiosmtplib.SMTPRecipientsRefused():
            refused = error.recipients[0]
            permanent = _is_about_this_mail(refused.code)
            return problem(f"refuses the recipient ({refused.code} {refused.message})", permanent=permanent)
        case aiosmtplib.SMTPSenderRefused():  # would refuse every mail: the setting's fault, not the message's
            return problem(
                f"refuses the sender {error.sender} ({error.code} {error.message}); correct fromAddress in the plan "
                "or pool"
            )
        case aiosmtplib.SMTPDataError():
            permanent = _is_about_this_mail(error.code)
            return problem(f"refuses the mail ({error.code} {error.message})", permanent=permanent)
        case aiosmtplib.SMTPResponseException():
            return problem(f"answers {error.code} {error.message}")
        case TimeoutError():
            return problem("does not answer in time")
        case aiosmtplib.SMTPException() if "STARTTLS" in error.message:
            return problem(f"offers no STARTTLS; set security in Secret {config.secret} to tls if it speaks that")
        case _:
            return problem(str(error) or type(error).__name__)


def _is_about_this_mail(code: int) -> bool:
    """A 5xx, but for those that say that we are not logged in or not encrypted: these go for every mail."""
    return 500 <= code < 600 and code not in (530, 534, 535, 538)
