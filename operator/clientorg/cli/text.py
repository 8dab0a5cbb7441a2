"""Text for people: ages, numbers, durations, and what keeps a stranger's text from steering the terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta

from clientorg.api.meta import MAX_QUANTITY
from clientorg.domain.timestamps import timestamp
from clientorg.errors import InputError

_SAFE_CONTROL = {"\n", "\t"}
_JOINERS = "\u200c\u200d"  # letters of Hindi and Persian, and emoji, are written with them
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_COUNT = re.compile(r"(\d+|\d{1,3}(?:[,_]\d{3})+)([kM]?)")
_FACTORS = {"": 1, "k": 1_000, "M": 1_000_000}


def plain(text: str) -> str:
    """The text on one line, without control characters: no name or message may move the cursor or set a title."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if ch in _SAFE_CONTROL else "�" if _is_control(ch) else ch for ch in text)


def _is_control(ch: str) -> bool:
    # Cf holds the bidirectional overrides, which can make a line read backwards.
    return unicodedata.category(ch) in ("Cc", "Cf", "Zl", "Zp") and ch not in _JOINERS


def number(value: int | None) -> str:
    """An integer with thousands separators; `-` when it is not known."""
    return "-" if value is None else f"{value:,}"


def signed(value: int) -> str:
    """A difference: +5,000, -300 or 0."""
    return f"{value:+,}" if value else "0"


def plural(count: int, noun: str) -> str:
    """`1 client`, `2 clients`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def joined(items: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    words = list(items)
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + f" {last} {words[-1]}"


def age(since: str | datetime | None, now: datetime) -> str:
    """How long ago, as kubectl writes it (at most two units); `-` when it is not known."""
    moment = timestamp(since) if isinstance(since, str) else since
    return "-" if moment is None else duration(now - moment)


def duration(span: timedelta) -> str:
    """As kubectl's duration.HumanDuration: exact while short, coarser as it grows."""
    seconds = max(0, int(span.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{seconds % 60}s" if seconds % 60 else "")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    if days < 365 * 2:
        return f"{days}d"
    if days < 365 * 8:
        return f"{days // 365}y" + (f"{days % 365}d" if days % 365 else "")
    return f"{days // 365}y"


def parse_duration(text: str, flag: str) -> float:
    """Seconds of `90s`, `5m`, `1h30m`, `2d` or a bare number of seconds.

    Raises:
        InputError: it is none of these.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise InputError(f"{flag}: {plain(text)!r} is not a duration; write for example 90s, 5m or 1h30m")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_count(text: str, flag: str) -> int:
    """A number of licenses: 50000, 50,000, 50_000, 50k or 2M.

    Raises:
        InputError: it is none of these, or more than Kubernetes keeps exactly.
    """
    match = _COUNT.fullmatch(unicodedata.normalize("NFKC", text).strip())  # a Japanese keyboard gives wide digits
    if match is None:
        raise InputError(
            f"{flag}: {plain(text)!r} is not a whole number of zero or more; write for example 50000 or 50k"
        )
    value = int(match[1].replace(",", "").replace("_", "")) * _FACTORS[match[2]]
    if value > MAX_QUANTITY:
        raise InputError(f"{flag}: {value:,} is more than the largest quantity, {MAX_QUANTITY:,} (2^53)")
    return value


def checked_text(flag: str, text: str | None, most: int) -> str | None:
    """A line of text for people.

    Raises:
        InputError: it is empty or too long.
    """
    if text is None:
        return None
    line = plain(text).strip()
    if not line or len(line) > most:
        raise InputError(f"{flag}: a line of text of at most {most} characters")
    return line
