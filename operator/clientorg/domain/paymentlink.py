"""Payment links: a signed token for one client, one purpose, one site and a while (FEATURES A3; docs/payment-links.md).

The token is a JSON Web Token (RFC 7519), signed with HMAC-SHA256 under a key ID, with a type of its own (RFC 8725,
section 3.11). Receivers in Python may copy this file: it needs PyJWT alone. Others take a library of that name in
their language, and check what `verify` checks.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import jwt

TOKEN_TYPE: Final = "payment-link+jwt"
PURPOSE: Final = "payment-details"
CURRENT_ENTRY: Final = "current"
"""Entry of the Secret that names the key that signs, where there are two."""
MAX_KEYS: Final = 2
LEEWAY_SECONDS: Final = 60
"""How far the receiver's clock may be behind the issuer's."""
_ALGORITHM: Final = "HS256"
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says. Times are seconds since 1970.

    Attributes:
        agency: namespace of the agency.
        org_id: the client's Org ID.
        id: of this link and no other; a receiver that lets a link be used once remembers it until `expires`.
        audience: scheme and host of the payment page, for example https://pay.example.
    """

    agency: str
    org_id: str
    id: str
    audience: str
    issued: int
    expires: int


@dataclass(frozen=True, slots=True)
class Keys:
    """The signing keys by their ID, at most two, and the one that signs."""

    by_id: Mapping[str, bytes] = field(repr=False)
    current: str

    @classmethod
    def of(cls, entries: Mapping[str, str]) -> Keys:
        """From the entries of the Secret, decoded: key IDs with the base64 of 32 to 64 bytes, and `current`.

        Raises:
            ValueError: it names the entry that is wrong, and never what is in it.
        """
        texts = {name: text for name, text in entries.items() if name != CURRENT_ENTRY}
        if not 1 <= len(texts) <= MAX_KEYS:
            raise ValueError(f"holds {len(texts)} keys; it has to be one, or two while one replaces the other")
        keys = {name: _key(name, text) for name, text in texts.items()}
        current = entries.get(CURRENT_ENTRY, "").strip() or (next(iter(keys)) if len(keys) == 1 else "")
        if current not in keys:
            raise ValueError(
                f"entry {CURRENT_ENTRY!r} has to name the key that signs: one of {', '.join(sorted(keys))}"
            )
        return cls(keys, current)


def _key(name: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"entry {name!r} is no base64; make one with openssl rand -base64 32") from None
    if not 32 <= len(key) <= 64:
        raise ValueError(
            f"entry {name!r} has {len(key)} bytes, 32 to 64 are needed; make one with openssl rand -base64 32"
        )
    return key


def audience_of(address: str) -> str:
    """Scheme and host of an address, with the port where it is not the usual one."""
    parts = urlsplit(address)
    host, scheme = parts.hostname or "", parts.scheme.lower()
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port not in (None, _PORTS.get(scheme)) else ""
    return f"{scheme}://{host}{port}"


def sign(link: Link, keys: Keys) -> str:
    """The token. The same link and key give the same token."""
    claims = {
        "iss": link.agency,
        "sub": link.org_id,
        "aud": link.audience,
        "purpose": PURPOSE,
        "jti": link.id,
        "iat": link.issued,
        "exp": link.expires,
    }
    headers = {"kid": keys.current, "typ": TOKEN_TYPE}
    return jwt.encode(claims, keys.by_id[keys.current], algorithm=_ALGORITHM, headers=headers)


def verify(token: str, entries: Mapping[str, str], *, agency: str, audience: str, now: float) -> Link:
    """Check a token that came with a request to the payment page.

    Args:
        token: as it stood in the address.
        entries: of the Secret, decoded, as in `Keys.of`; both keys count while one replaces the other.
        agency: namespace of the agency whose keys these are.
        audience: scheme and host of this page, for example https://pay.example.
        now: seconds since 1970.

    Returns:
        What it says: whose payment details may be completed now.

    Raises:
        ValueError: it was not issued for this page and purpose, was changed, or has expired. Answer 403, tell the
            client to ask for a new link, and do nothing.
    """
    keys = Keys.of(entries)
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != TOKEN_TYPE:
            raise ValueError("not a payment link")
        key = keys.by_id.get(str(header.get("kid")))
        if key is None:
            raise ValueError("signed with a key that is not known any more")
        options = {"require": ["iss", "sub", "aud", "jti", "iat", "exp"], "verify_exp": False, "verify_iat": False}
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=audience,
            issuer=agency,
            options=options,  # type: ignore[arg-type]
        )
        if claims.get("purpose") != PURPOSE:
            raise ValueError("issued for another purpose")
        link = Link(claims["iss"], claims["sub"], claims["jti"], audience, int(claims["iat"]), int(claims["exp"]))
    except (jwt.PyJWTError, TypeError) as error:
        raise ValueError(f"not valid: {error}") from None
    if now >= link.expires:
        raise ValueError("expired")
    if now < link.issued - LEEWAY_SECONDS:
        raise ValueError("issued in the future")
    return link
