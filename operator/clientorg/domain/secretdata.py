"""The entries of a Secret as text. Pure; errors name the entry and never what is in it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any


def texts_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Every entry that holds something, decoded, without the line break that `echo` leaves.

    Raises:
        ValueError: one of them is no text.
    """
    data: Mapping[str, str] = manifest.get("data") or {}
    return {name: text for name, encoded in data.items() if (text := text_of(name, encoded))}


def text_of(name: str, encoded: str) -> str:
    """One entry, decoded.

    Raises:
        ValueError: it is no text.
    """
    try:
        return base64.b64decode(encoded, validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"entry {name!r} is no text") from None
