"""The address of a payment link, made when its mail leaves: neither status nor Events nor webhooks ever hold it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from clientorg.api.paymentlink import TOKEN_VARIABLE, PaymentLink
from clientorg.control.clientobject import Client
from clientorg.control.gather import org_of
from clientorg.control.objects import Plan
from clientorg.domain.messages import Entry
from clientorg.domain.paymentlink import Keys, Link, audience_of, sign
from clientorg.domain.secretdata import texts_of
from clientorg.domain.substitution import substitute
from clientorg.domain.timestamps import parse_time
from clientorg.errors import ClientOrgError, NotFoundError, NotificationError

Json = dict[str, Any]
ReadSecret = Callable[[str, str], Awaitable[Json]]
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)*")


async def payment_address(
    client: Client, plan: Plan | None, entry: Entry, read_secret: ReadSecret, now: datetime
) -> str:
    """The address for a message; the same at each try, as long as the key is.

    Raises:
        NotificationError: there is no such link any more, it has expired (permanent), or the Secret is wrong.
    """
    terms = plan.template.spec.payment_link if plan is not None else None
    if terms is None:
        raise NotificationError("the plan has no spec.paymentLink any more", permanent=False)
    expires = parse_time(entry.params["expires"])
    if now >= expires:
        message = (
            "the link has expired before it could be sent; ask for a new one: kubectl clientorg payment-link --mail"
        )
        raise NotificationError(message, permanent=True)
    keys = await _keys(client.name[0], terms, read_secret)
    address = str(substitute(terms.url_template, org_of(client).url_variables))
    link = Link(
        agency=client.name[0],
        org_id=client.org_id,
        id=f"{client.org_id}-{entry.key}",
        audience=audience_of(address),
        issued=int(entry.created.timestamp()),
        expires=int(expires.timestamp()),
    )
    return address.replace(TOKEN_VARIABLE, sign(link, keys))


async def _keys(agency: str, terms: PaymentLink, read_secret: ReadSecret) -> Keys:
    name = terms.secret
    try:
        secret = await read_secret(agency, name)
    except NotFoundError as error:
        message = f"no Secret {name!r} in namespace {agency!r}; create it, or correct spec.paymentLink of the plan"
        raise NotificationError(message, permanent=False) from error
    except ClientOrgError as error:
        raise NotificationError(f"Secret {name!r} cannot be read: {error}", permanent=False) from error
    try:
        return Keys.of(texts_of(secret))
    except ValueError as error:
        raise NotificationError(f"Secret {name}: {error}", permanent=False) from None


def without_token(error: NotificationError) -> NotificationError:
    """The error without a token that a mail server may have repeated in its answer."""
    return NotificationError(_TOKEN.sub("…", str(error)), permanent=error.permanent)
