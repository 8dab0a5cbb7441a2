"""What each kind of message says: its params as they stand in the outbox, read into numbers, times and lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clientorg.api.notifications import NotificationKind
from clientorg.errors import NotificationError
from clientorg.notify.lines import one_line, web_address


@dataclass(frozen=True, slots=True)
class LicenseShare:
    """One of the licenses that a reactivation waits for."""

    name: str
    granted: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Param:
    """How one param is read, and whether it has to be there."""

    read: Callable[[str], Any]
    required: bool = True


_SHARE: Final = re.compile(r"(?P<name>[^=,/]+)=(?P<granted>\d+)/(?P<wanted>\d+)")


def license_shares(granted_and_wanted: Mapping[str, tuple[int, int]]) -> str:
    """The param `licenses` of `waiting`: `visitors=300/500,users=0/25`, granted of wanted."""
    return ",".join(f"{name}={granted}/{wanted}" for name, (granted, wanted) in sorted(granted_and_wanted.items()))


def _shares(text: str) -> list[LicenseShare]:
    matches = [_SHARE.fullmatch(part) for part in text.split(",")]
    shares = [LicenseShare(one_line(m["name"]), int(m["granted"]), int(m["wanted"])) for m in matches if m]
    if len(shares) != len(matches):
        raise ValueError("licenses are written as name=granted/wanted, with commas between")
    return shares


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset from UTC")
    return moment


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("either true or false")
    return text == "true"


_TEXT = Param(one_line)
_NUMBER = Param(int)
_TIME = Param(_time)
_MAYBE_TEXT = Param(one_line, required=False)
_MAYBE_NUMBER = Param(int, required=False)
_MAYBE_TIME = Param(_time, required=False)
_TERMINATED = Param(_flag, required=False)

PARAMS: Final[Mapping[NotificationKind, Mapping[str, Param]]] = {
    NotificationKind.THRESHOLD: {"license": _TEXT, "percent": _NUMBER, "used": _NUMBER, "granted": _NUMBER},
    NotificationKind.PAUSED: {"reason": _TEXT},
    NotificationKind.RESUMED: {"reason": _MAYBE_TEXT},
    NotificationKind.DEACTIVATED: {"purgeAfter": _TIME, "terminated": _TERMINATED},
    NotificationKind.REMINDER: {"days": _NUMBER, "purgeAfter": _TIME, "terminated": _TERMINATED},
    NotificationKind.REACTIVATED: {},
    NotificationKind.PURGED: {},
    NotificationKind.DELIVERY: {"url": Param(web_address, required=False)},
    NotificationKind.WAITING: {"licenses": Param(_shares)},
    NotificationKind.BALANCE_NEGATIVE: {
        "balance": _NUMBER,
        "since": _TIME,
        "pausesAfter": _MAYBE_TIME,
        "nextCharge": _MAYBE_NUMBER,
        "nextChargeTime": _MAYBE_TIME,
    },
    NotificationKind.REJECTED: {"reason": _MAYBE_TEXT},
    NotificationKind.TERMINATION_SCHEDULED: {"time": _TIME, "formerTime": _MAYBE_TIME},
    NotificationKind.TERMINATION_WITHDRAWN: {"time": _TIME},
    NotificationKind.TERMINATED: {"time": _TIME, "purgeAfter": _TIME, "settlement": _MAYBE_NUMBER},
    NotificationKind.POINTS_LOW: {"balance": _NUMBER, "threshold": _NUMBER},
    NotificationKind.POINTS_SHORT: {
        "missing": _NUMBER,
        "balance": _NUMBER,
        "neededBy": _MAYBE_TIME,
        "transactions": _NUMBER,
    },
    NotificationKind.PAYMENT_LINK: {"expires": _TIME, "url": Param(web_address, required=False)},
    NotificationKind.TRIAL_ENDING: {"ends": _TIME},
    NotificationKind.POINTS_RESTORED: {"balance": _NUMBER, "threshold": _MAYBE_NUMBER},
}
"""Params of each kind, as in docs/notifications.md."""


def kind_of(name: str) -> NotificationKind:
    """The kind of that name.

    Raises:
        NotificationError: there is none; an older operator met the entry of a newer one. Permanent.
    """
    try:
        return NotificationKind(name)
    except ValueError as error:
        known = ", ".join(NotificationKind)
        raise NotificationError(f"unknown kind of message {name!r}; known are {known}", permanent=True) from error


def read_params(kind: NotificationKind, params: Mapping[str, str]) -> dict[str, Any]:
    """Every param of the kind, read; None for one that may be absent and is. Others are left out.

    Raises:
        NotificationError: one is missing or cannot be read. Permanent.
    """
    values: dict[str, Any] = {}
    for name, param in PARAMS[kind].items():
        text = params.get(name)
        if text is None and param.required:
            raise NotificationError(f"{kind.value}: param {name!r} is missing", permanent=True)
        try:
            values[name] = None if text is None else param.read(text)
        except ValueError as error:
            message = f"{kind.value}: param {name!r} cannot be read: {error}"
            raise NotificationError(message, permanent=True) from error
    return values
