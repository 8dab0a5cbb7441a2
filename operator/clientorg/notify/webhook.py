"""Messages to the agency's own systems: CloudEvents 1.0 in JSON, signed, posted by https."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from clientorg import __version__
from clientorg.api.meta import GROUP
from clientorg.domain.messages import Due
from clientorg.domain.timestamps import rfc3339
from clientorg.errors import NotificationError
from clientorg.notify.destinations import Destinations, RefusedDestinationError, is_loopback
from clientorg.notify.kinds import kind_of, read_params
from clientorg.notify.lines import one_line
from clientorg.notify.secrets import SecretData
from clientorg.notify.settings import IN_PLAN, Place
from clientorg.notify.signature import key_of, sign

Json = dict[str, Any]

CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
_JSON_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
_MOST_KEYS: Final = 2


@dataclass(frozen=True, slots=True)
class Subject:
    """The client that an event is about."""

    agency: str
    name: str
    org_id: str
    display_name: str

    @property
    def identity(self) -> str:
        """What no other client or pool has."""
        return self.org_id

    @property
    def path(self) -> str:
        """Its part of the event's source."""
        return quote(self.org_id)

    @property
    def data(self) -> Json:
        """Who it is, for the receiver."""
        return {"agency": self.agency, "client": self.name, "orgID": self.org_id}


@dataclass(frozen=True, slots=True)
class PoolSubject:
    """The agency's pool that an event is about."""

    agency: str
    name: str
    uid: str
    display_name: str

    @property
    def identity(self) -> str:
        """What no other client or pool has; an Org ID is shorter."""
        return self.uid

    @property
    def path(self) -> str:
        """Its part of the event's source."""
        return f"quotapools/{quote(self.name)}"

    @property
    def data(self) -> Json:
        """Who it is, for the receiver."""
        return {"agency": self.agency, "pool": self.name, "poolUID": self.uid}


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvent. Its body is the same bytes at each try.

    Attributes:
        id: unique among all clients and pools, because receivers tell repeats by it alone (webhook-id).
    """

    id: str
    body: bytes


def event_of(due: Due, subject: Subject | PoolSubject) -> Event:
    """The event for an entry of the outbox, in no language.

    Raises:
        NotificationError: there is no such kind, or a param is missing or wrong. Permanent.
    """
    entry = due.entry
    params = read_params(kind_of(entry.kind), entry.params)
    event_id = f"{subject.identity}-{due.delivery_id}"
    document: Json = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/{GROUP}/{quote(subject.agency)}/{subject.path}",
        "type": f"dev.clientorg.{entry.kind}.v1",
        "subject": subject.name,
        "time": rfc3339(entry.created),
        "datacontenttype": "application/json",
        "data": {
            **subject.data,
            "displayName": one_line(subject.display_name),
            "key": entry.key,
            "params": {name: value for name, value in params.items() if value is not None},
        },
    }
    return Event(event_id, orjson.dumps(document, option=_JSON_OPTIONS))


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Where events go, and the keys they are signed with.

    Attributes:
        tls: verifies the receiver's certificate with the Secret's own authorities; None: with those of the system.
        place: where the address is set.
    """

    url: URL
    keys: tuple[bytes, ...] = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    place: Place = IN_PLAN

    @classmethod
    def of(cls, url: str, manifest: Mapping[str, Any], place: Place = IN_PLAN) -> WebhookConfig:
        """From the address that is set and the Secret that it names (keys secret, and optionally ca.crt).

        Raises:
            NotificationError: one of them is wrong. Passes when it is corrected.
        """
        data = SecretData(manifest)
        return cls(_checked(url, place), _keys(data), data.tls_context(), place)


def _checked(url: str, place: Place) -> URL:
    try:
        parsed = URL(url)
    except ValueError as error:
        raise _setting_problem(place, "is no address") from error
    if parsed.user is not None or parsed.password is not None:
        raise _setting_problem(
            place, f"has a user name or password; a {place.owner} is readable, and the signature is what proves us"
        )
    if not parsed.host or parsed.scheme not in ("https", "http"):
        raise _setting_problem(place, "is no https address")
    if parsed.scheme == "http" and not is_loopback(parsed.host):
        raise _setting_problem(place, "begins with http://; use https://")
    return parsed.with_fragment(None)


def _setting_problem(place: Place, what: str) -> NotificationError:
    return NotificationError(f"{place.path}.webhook.url of the {place.owner} {what}", permanent=False)


def _keys(data: SecretData) -> tuple[bytes, ...]:
    text = data.required("secret", "whsec_$(openssl rand -base64 32)")
    secrets = text.split()
    if len(secrets) > _MOST_KEYS:
        raise data.problem("secret", f"holds more than {_MOST_KEYS} signing secrets")
    try:
        return tuple(key_of(secret) for secret in secrets)
    except ValueError as error:
        raise data.problem("secret", f"is wrong: {error}; make one with whsec_$(openssl rand -base64 32)") from None


class Webhooks:
    """Posts events. Use it as an async context manager."""

    def __init__(self, destinations: Destinations, *, timeout_seconds: float = 30.0) -> None:
        self._destinations = destinations
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=10)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Webhooks:
        # No proxy from the environment: it would look names up itself, past the check of addresses. No connection is
        # kept: between two agencies' events there is nothing to share.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=self._destinations.open_socket, force_close=True, use_dns_cache=False
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"clientorg/{__version__}", "Content-Type": CONTENT_TYPE},
            timeout=self._timeout,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, config: WebhookConfig, event: Event, now: datetime) -> None:
        """Post one event. Returns when the receiver has answered 2xx.

        Its answer's body is not read, and nothing of it is told on: the receiver may be a server that whoever wrote the
        plan cannot reach.

        Raises:
            NotificationError: it did not. Permanent: it refuses this event for good (4xx but 408 and 429).
        """
        assert self._session is not None, "use as an async context manager"
        headers = sign(event.id, int(now.timestamp()), event.body, config.keys)
        try:
            async with self._session.post(
                config.url, data=event.body, headers=headers, allow_redirects=False, ssl=config.tls or True
            ) as response:
                status = response.status
        except aiohttp.ClientConnectorCertificateError as error:
            raise _problem(config, f"its certificate is not to be trusted ({error.certificate_error})") from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, RefusedDestinationError):
                raise _problem(config, f"{error.os_error.strerror}; correct the {config.place.owner}") from error
            raise _problem(config, f"cannot be reached ({error.os_error.strerror or error})") from error
        except aiohttp.InvalidURL as error:  # its text has the whole address in it
            problem = "is no address that can be asked; write a host name or a plain IP address"
            raise _setting_problem(config.place, problem) from error
        except TimeoutError as error:
            raise _problem(config, "does not answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _problem(config, str(error) or type(error).__name__) from error
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            advice = f"redirects are not followed, put the final address into the {config.place.owner}"
            raise _problem(config, f"answers {status}; {advice}")
        raise _problem(config, f"answers {status}", permanent=400 <= status < 500 and status not in (408, 429))


def _problem(config: WebhookConfig, what: str, *, permanent: bool = False) -> NotificationError:
    """The error, with the origin only: a path or query may hold a token."""
    return NotificationError(one_line(f"webhook {config.url.origin()}: {what}"), permanent=permanent)
