"""Signatures of webhooks: HMAC-SHA256 as Standard Webhooks has it (github.com/standard-webhooks, version 1.0.0).

Receivers in Python may copy this file: it needs the standard library only. Others find a library of that name in
their language.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300


def key_of(secret: str) -> bytes:
    """The key in `whsec_<base64>`.

    Raises:
        ValueError: it is written another way, or has fewer than 24 or more than 64 bytes.
    """
    if not secret.startswith(PREFIX):
        raise ValueError(f"a signing secret begins with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"after {PREFIX} a signing secret is base64") from error
    if not 24 <= len(key) <= 64:
        raise ValueError("a signing secret has 24 to 64 bytes")
    return key


def sign(message_id: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers for a body, signed with each key: with two while one replaces the other."""
    signatures = " ".join("v1," + base64.b64encode(_digest(message_id, timestamp, body, key)).decode() for key in keys)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def verify(
    headers: Mapping[str, str], body: bytes, secret: str, now: float, *, tolerance_seconds: int = TOLERANCE_SECONDS
) -> None:
    """Check that a request comes from who knows the secret, unchanged, and is not an old one played again.

    Args:
        headers: of the request.
        body: its bytes as they came, before any JSON reader has had them.
        now: seconds since 1970.

    Raises:
        ValueError: it does not; answer 401 and do nothing.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp = found["webhook-id"], int(found["webhook-timestamp"])
        signatures = found["webhook-signature"].split(" ")
    except (KeyError, ValueError) as error:
        raise ValueError("no webhook-id, webhook-timestamp or webhook-signature") from error
    if abs(now - timestamp) > tolerance_seconds:
        raise ValueError("the timestamp is too old or too new")
    wanted = "v1," + base64.b64encode(_digest(message_id, timestamp, body, key_of(secret))).decode()
    if not any(hmac.compare_digest(wanted.encode(), signature.encode()) for signature in signatures):
        raise ValueError("no signature matches")


def _digest(message_id: str, timestamp: int, body: bytes, key: bytes) -> bytes:
    return hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
