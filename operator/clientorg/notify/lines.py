"""Text that other people wrote, made safe for a header, a mail and an address."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

# Control characters (also C1), line and paragraph separators, marks that turn the reading direction (with which a
# name can show as another), byte order marks, surrogates. Joiners stay: Devanagari and emoji need them.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)


def one_line(text: str) -> str:
    """The text on one line, without anything that could end a header or mislead a reader."""
    return " ".join(_UNSAFE.sub(" ", text).split())


def web_address(text: str | None) -> str | None:
    """The address if it is one that may be a link in a mail (http or https, of a host); None otherwise."""
    if not text or one_line(text) != text or " " in text:
        return None
    try:
        parts = urlsplit(text)
        return text if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None
