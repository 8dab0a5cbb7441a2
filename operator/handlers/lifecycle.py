"""Start and end of the operator, and what Kopf's own defaults are changed to (DESIGN section 8)."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from collections.abc import Iterator
from typing import Any

import kopf
from pydantic import ValidationError

from clientorg.cluster.credentials import Credentials, Source
from clientorg.cluster.informer import SILENCE_SECONDS, WATCH_SECONDS
from clientorg.control.runtime import Runtime, connect
from clientorg.control.settings import Settings
from clientorg.errors import ConfigurationError
from handlers.session import session_for

logger = logging.getLogger(__name__)


class NoDiffBase(kopf.DiffBaseStorage):
    """Kopf's last-handled essence serves its change handlers only; computing it costs half of an event's time."""

    def build(self, **_: Any) -> Any:
        """Nothing to compare."""
        return {}

    def fetch(self, **_: Any) -> Any:
        """Nothing remembered."""
        return None

    def store(self, **_: Any) -> None:
        """Nothing stored."""


class EndlessBackoffs:
    """Seconds between the tries of one request: growing, capped, without end. An outage is waited out."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1.0, 2.0, 4.0, 8.0), itertools.repeat(15.0))


def _tune(settings: kopf.OperatorSettings) -> None:
    settings.posting.enabled = False  # Events are ours: events.k8s.io/v1, once a transition
    settings.scanning.disabled = True  # no watching of CRDs and namespaces for kinds to come
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.networking.error_backoffs = EndlessBackoffs()
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 10
    settings.watching.chunk_size = 500
    # The server ends each watch, so that a quiet one is told within a minute from one that is cut off and stays open.
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.inactivity_timeout = SILENCE_SECONDS
    settings.watching.client_timeout = SILENCE_SECONDS
    settings.watching.connect_timeout = 10
    settings.queueing.idle_timeout = 0.2  # a worker is a task; ten thousand idle ones are memory
    settings.queueing.exit_timeout = 5.0
    settings.process.ultimate_exiting_timeout = 60.0


@kopf.on.startup(errors=kopf.ErrorsMode.PERMANENT)
async def start(settings: kopf.OperatorSettings, memo: Any, **_: Any) -> None:
    """Tune Kopf; connect and begin to fill the caches, unless `python -m handlers` has done so already."""
    _tune(settings)
    if memo.get("runtime") is None:
        try:
            memo.runtime = await begin(Settings())
            memo.runtime.on_failure = _terminate
        except (ConfigurationError, ValidationError) as error:
            raise kopf.PermanentError(str(error)) from error


async def begin(settings: Settings) -> Runtime:
    """Connect, listen for probes, begin to fill the caches.

    Raises:
        ConfigurationError: there are no usable credentials, or an address is taken.
    """
    runtime = await connect(settings)
    try:
        await runtime.start()
    except BaseException:
        await runtime.stop()
        raise
    logger.info("started", extra={"identity": settings.identity, "addresses": runtime.health.addresses})
    return runtime


@kopf.on.cleanup()
async def stop(memo: Any, **_: Any) -> None:
    """SIGTERM: finish what is under way, then go."""
    runtime = memo.get("runtime")
    if runtime is not None:
        await runtime.stop()


@kopf.on.login()
async def login(memo: Any, **_: Any) -> kopf.AiohttpSession:
    """The same credentials as ours, read anew each time that Kopf asks."""
    ours = memo.runtime.settings
    credentials = await Credentials.load(Source(ours.kubeconfig, ours.context))
    return session_for(credentials, memo.runtime.list_kind, memo.runtime.knows)


def _terminate(error: BaseException) -> None:
    """A part of the operator ended that must not: end it all; whoever supervises us starts us anew."""
    logger.critical("ending the process: %s", error)
    os.kill(os.getpid(), signal.SIGTERM)
