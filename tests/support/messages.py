"""Messages with sane defaults, for the tests of notifications and for their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from clientorg.api.notifications import NotificationKind
from clientorg.notify.kinds import license_shares
from clientorg.notify.render import Brand, Context

NOW: Final = datetime(2026, 12, 18, 1, 5, tzinfo=UTC)
"""18 December, 10:05 in Tokyo; a week before the purge of the examples."""

PARAMS: Final[Mapping[NotificationKind, tuple[dict[str, str], ...]]] = {
    NotificationKind.THRESHOLD: (
        {"license": "visitors", "percent": "80", "used": "1041241", "granted": "1300000"},
        {"license": "visitors", "percent": "90", "used": "1299999", "granted": "1300000"},
    ),
    NotificationKind.PAUSED: tuple(
        {"reason": reason}
        for reason in (
            "QuotaExhausted",
            "Requested",
            "NegativeBalance",
            "PaymentOverdue",
            "TrialExpired",
            "SomethingNew",
        )
    ),
    NotificationKind.RESUMED: ({},),
    NotificationKind.DEACTIVATED: ({"purgeAfter": "2026-12-25T01:05:00Z"},),
    NotificationKind.REMINDER: tuple(
        {"days": str(days), "purgeAfter": purge_after}
        for days, purge_after in (
            (7, "2026-12-25T01:05:00Z"),
            (3, "2026-12-21T01:05:00Z"),
            (1, "2026-12-19T01:05:00Z"),
            (1, "2026-12-18T12:00:00Z"),
        )
    ),
    NotificationKind.REACTIVATED: ({},),
    NotificationKind.PURGED: ({},),
    NotificationKind.DELIVERY: ({"url": "https://portal.example/acme-7k2m9q4xta"}, {}),
    NotificationKind.WAITING: ({"licenses": license_shares({"visitors": (300, 500), "seats": (0, 25)})},),
}
"""Params of each kind; the first of each is the usual one."""

EVERY_PARAMS: Final = [(kind, params) for kind, sets in PARAMS.items() for params in sets]


def context(params: Mapping[str, str] | None = None, **changes: Any) -> Context:
    """A message to Yuki Sato of Acme K.K., a client of a Tokyo agency."""
    usual = Context(
        client="Acme K.K.",
        org_id="7k2m9q4xta",
        first_name="Yuki",
        last_name="Sato",
        brand=Brand("Sakura Digital", "https://help.sakura.example", "https://sakura.example/support", True),
        time_zone=ZoneInfo("Asia/Tokyo"),
        created=NOW,
        now=NOW,
        params=params or {},
        license_names={"visitors": "Visitors"},
    )
    return replace(usual, **changes)
