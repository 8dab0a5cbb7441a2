"""A real SMTP server of our own (aiosmtpd) with the moods that servers have."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from pathlib import Path
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.controlplane.certs import Authority

USERNAME, PASSWORD = "clientorg", "correct horse battery staple"


@dataclass
class Received:
    """One mail as the server took it.

    Attributes:
        taken: when, in seconds of the monotonic clock.
    """

    sender: str
    recipients: list[str]
    message: EmailMessage
    content: bytes
    encrypted: bool
    login: bytes | None
    taken: float


@dataclass
class Mood:
    """How the server answers. `recipients` and `senders`: address to answer, for those it does not take."""

    recipients: dict[str, str] = field(default_factory=dict)
    senders: dict[str, str] = field(default_factory=dict)
    data: str | None = None
    silent: asyncio.Event | None = None
    drops_repeats: bool = False
    dies_after_taking: bool = False


class MailServer:
    """A server and what it received."""

    def __init__(self, mood: Mood | None = None) -> None:
        self.mood = mood or Mood()
        self.port = 0
        self.received: list[Received] = []
        self.logins: list[tuple[str, str]] = []
        self.repeats = 0
        self.commands: list[str] = []

    # -- aiosmtpd's hooks -------------------------------------------------------------------------------------------

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """MAIL FROM."""
        self.commands.append("MAIL")
        if address in self.mood.senders:
            return self.mood.senders[address]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RCPT TO."""
        if self.mood.silent is not None:
            await self.mood.silent.wait()
        if address in self.mood.recipients:
            return self.mood.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The mail itself."""
        if self.mood.data is not None:
            return self.mood.data
        content = envelope.content
        assert isinstance(content, bytes)
        assert envelope.mail_from is not None
        message = message_from_bytes(content, policy=POLICY)
        assert isinstance(message, EmailMessage)
        if self.mood.drops_repeats and any(r.message["Message-ID"] == message["Message-ID"] for r in self.received):
            self.repeats += 1
            return "250 OK, known"
        login = session.auth_data.login if isinstance(session.auth_data, LoginPassword) else None
        self.received.append(
            Received(
                envelope.mail_from,
                list(envelope.rcpt_tos),
                message,
                content,
                session.ssl is not None,
                login,
                time.monotonic(),
            )
        )
        if self.mood.dies_after_taking:
            asyncio.get_running_loop().call_soon(_transport(server).abort)
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """AUTH."""
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        login, password = data.login.decode(), data.password.decode()
        self.logins.append((login, password))
        return AuthResult(success=(login, password) == (USERNAME, PASSWORD), handled=False, auth_data=data)


def _transport(server: SMTP) -> asyncio.Transport:
    transport = server.transport
    assert isinstance(transport, asyncio.Transport)
    return transport


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None,
    *,
    implicit_tls: bool = False,
    login: bool = True,
    mood: Mood | None = None,
    port: int = 0,
) -> AsyncIterator[MailServer]:
    """A server on loopback; by default with STARTTLS, if it has a certificate, and AUTH."""
    found = MailServer(mood)
    connections: set[asyncio.Transport] = set()

    class Protocol(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if isinstance(transport, asyncio.Transport):
                connections.add(transport)
            super().connection_made(transport)

    def protocol() -> SMTP:
        return Protocol(
            found,
            hostname="mail.test",
            tls_context=None if implicit_tls else tls,
            require_starttls=tls is not None and not implicit_tls,
            authenticator=found.authenticate if login else None,
            auth_required=login and tls is not None and not implicit_tls,
            auth_require_tls=tls is not None and not implicit_tls,
            loop=asyncio.get_running_loop(),
        )

    async with _serving(protocol, tls if implicit_tls else None, port) as found.port:
        try:
            yield found
        finally:
            for transport in connections:
                transport.abort()


@asynccontextmanager
async def _serving(
    protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None, port: int
) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def talking_server(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[int]:
    """A server that says what `talk` says, for what no real one would; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()


def server_tls(authority: Authority, folder: Path, *names: str, addresses: tuple[str, ...] = ()) -> ssl.SSLContext:
    """TLS for a server of these names, by default localhost, signed by the authority."""
    pair = authority.issue_server("mail", names=names or ("localhost",), addresses=addresses)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair.write(folder, f"mail-{'-'.join(names) or 'localhost'}"))
    return context


def smtp_secret(**data: str) -> dict[str, Any]:
    """The agency's Secret with the mail server; `ca` is ca.crt."""
    named = {"ca.crt" if key == "ca" else key: value for key, value in data.items()}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in named.items()}
    return {"metadata": {"name": "clientorg-smtp", "namespace": "agency-tokyo"}, "data": encoded}


class MailHost:
    """The servers above in a thread with a loop of its own, for tests that are not asynchronous. A context manager.

    Attributes:
        received: what the server has taken, over all its starts.
        port: of 127.0.0.1; the same at each start.
    """

    def __init__(self) -> None:
        self.mood = Mood()
        self.received: list[Received] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._serving = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        """Listen, without TLS and login, as a server on the operator's own machine may."""

        async def start() -> None:
            server = await self._serving.enter_async_context(mail_server(login=False, mood=self.mood, port=self.port))
            server.received = self.received
            self.port = server.port

        self._run(start())

    def stop(self) -> None:
        """Refuse connections, and drop those there are."""
        self.speak()
        self._run(self._serving.aclose())

    def fall_silent(self) -> None:
        """Answer nobody until `speak`."""

        async def fall_silent() -> None:
            self.mood.silent = asyncio.Event()

        self._run(fall_silent())

    def speak(self) -> None:
        """Answer again, also those who wait."""
        if self.mood.silent is not None:
            self._loop.call_soon_threadsafe(self.mood.silent.set)
            self.mood.silent = None

    def mails_to(self, address: str) -> list[EmailMessage]:
        """What the server took for an address, oldest first."""
        return [mail.message for mail in list(self.received) if mail.recipients == [address]]

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
