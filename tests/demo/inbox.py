"""A mail server for the story, on loopback, and what came in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.mailserver import MailServer, mail_server

START_SECONDS = 10.0


@dataclass(frozen=True)
class Mail:
    """What the story tells of a mail."""

    recipient: str
    subject: str

    def __str__(self) -> str:
        return f"Mail to {self.recipient}: {self.subject}"


class Inbox:
    """What the server received. May be read from any thread."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    @property
    def port(self) -> int:
        """Where the server listens, on 127.0.0.1."""
        return self._server.port

    @property
    def mails(self) -> list[Mail]:
        """All so far, oldest first."""
        return [Mail(item.recipients[0], str(item.message["Subject"])) for item in list(self._server.received)]


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """A server in a thread of its own, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="mail-server", daemon=True)
    thread.start()
    context = mail_server(login=False)
    server = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(START_SECONDS)
    try:
        yield Inbox(server)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_SECONDS)
        loop.close()
