"""Times as Kubernetes writes them (RFC 3339, in UTC), and back."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """The time to the second (metav1.Time)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(moment: datetime) -> str:
    """The time to the second, without punctuation: 20261225T090000Z, for keys and names."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """The time to the microsecond (metav1.MicroTime)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """A time as Kubernetes or a person writes it; without an offset it is UTC.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def timestamp(text: str | None) -> datetime | None:
    """A time of the API server, to be shown; None where there is none, or it is malformed."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
