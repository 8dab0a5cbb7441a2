"""Waiting until a message that was asked for again is sent, or has failed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from clientorg.api.notifications import DeliveryState
from clientorg.cli.exits import NotReachedError
from clientorg.cli.messagerows import find
from clientorg.cli.waiting import wait_until
from clientorg.domain.messages import Entry, from_status
from clientorg.errors import ClientOrgError

if TYPE_CHECKING:
    from clientorg.cli.session import Session

Json = dict[str, Any]


class NotSentError(ClientOrgError):
    """The message was refused for good, or given up."""


async def wait_until_sent(
    session: Session, name: str, stamp: str, key: str, ways: tuple[str, ...] | None, timeout_seconds: float
) -> None:
    """Wait until the operator has answered the request and the message is sent on each of these channels (None: all).

    Raises:
        NotSentError: a channel has failed.
        NotReachedError: time ran out; what fails in passing is still tried again.
    """
    from clientorg.cluster.resources import CLIENT_ORGS

    await wait_until(
        session.api,
        CLIENT_ORGS,
        session.namespace,
        name,
        partial(is_sent, name, stamp, key, ways),
        timeout_seconds=timeout_seconds,
        what=f"{key} to be sent",
        tell=partial(how_it_stands, key),
    )


def is_sent(name: str, stamp: str, key: str, ways: tuple[str, ...] | None, item: Json | None) -> bool:
    """Whether each of these channels has the message, once the operator has taken the request up.

    Raises:
        NotSentError: a channel has failed, or the message is no longer listed.
        NotReachedError: the client is gone.
    """
    if item is None:
        raise NotReachedError(f"{name} was deleted meanwhile")
    if (item.get("status") or {}).get("lastHandledResend") != stamp:
        return False
    entry = _entry(item, key)
    if entry is None:
        raise NotSentError(f"{key} is not in the outbox any more; newer messages took its place")
    # A channel that the plan has no more keeps what became of the message there before.
    asked = {way.value: one for way, one in entry.deliveries.items() if ways is None or way.value in ways}
    if any(one.is_pending for one in asked.values()):
        return False
    failed = [f"by {way}: {one.last_error}" for way, one in asked.items() if one.state is DeliveryState.FAILED]
    if failed:
        raise NotSentError(f"{key} was not sent {'; '.join(failed)}")
    return True


def _entry(item: Json, key: str) -> Entry | None:
    outbox = from_status((item.get("status") or {}).get("outbox") or ())
    return find(outbox, key)  # by its kind where the operator has to write it anew


def how_it_stands(key: str, item: Json | None) -> str:
    """The errors of the tries so far, for the progress line and the error."""
    entry = _entry(item or {}, key)
    errors = [d.last_error for d in entry.deliveries.values() if d.is_pending and d.last_error] if entry else []
    return "; ".join(errors) or "the operator has not answered yet (does it run?)"
