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
    NotificationKind.RESUMED: ({}, {"reason": "NegativeBalance"}, {"reason": "SomethingNew"}),
    NotificationKind.DEACTIVATED: (
        {"purgeAfter": "2026-12-25T01:05:00Z"},
        {"purgeAfter": "2026-12-25T01:05:00Z", "terminated": "true"},
    ),
    NotificationKind.REMINDER: (
        *(
            {"days": str(days), "purgeAfter": purge_after}
            for days, purge_after in (
                (7, "2026-12-25T01:05:00Z"),
                (3, "2026-12-21T01:05:00Z"),
                (1, "2026-12-19T01:05:00Z"),
                (1, "2026-12-18T12:00:00Z"),
            )
        ),
        {"days": "7", "purgeAfter": "2026-12-25T01:05:00Z", "terminated": "true"},
    ),
    NotificationKind.REACTIVATED: ({},),
    NotificationKind.PURGED: ({},),
    NotificationKind.DELIVERY: ({"url": "https://portal.example/acme-7k2m9q4xta"}, {}),
    NotificationKind.WAITING: ({"licenses": license_shares({"visitors": (300, 500), "seats": (0, 25)})},),
    NotificationKind.BALANCE_NEGATIVE: (
        {
            "balance": "-12500",
            "since": "2026-12-18T01:05:00Z",
            "pausesAfter": "2026-12-25T01:05:00Z",
            "nextCharge": "13000",
            "nextChargeTime": "2027-01-24T15:00:00Z",
        },
        {"balance": "-1", "since": "2026-12-18T01:05:00Z"},
    ),
    NotificationKind.REJECTED: ({"reason": "No contract was signed."}, {}),
    NotificationKind.TERMINATION_SCHEDULED: (
        {"time": "2027-01-31T15:00:00Z"},
        {"time": "2027-02-28T15:00:00Z", "formerTime": "2027-01-31T15:00:00Z"},
    ),
    NotificationKind.TERMINATION_WITHDRAWN: ({"time": "2027-01-31T15:00:00Z"},),
    NotificationKind.TERMINATED: tuple(
        {"time": "2026-12-18T01:05:00Z", "purgeAfter": "2027-01-18T01:05:00Z", **settlement}
        for settlement in ({"settlement": "12500"}, {"settlement": "-2"}, {"settlement": "1"}, {})
    ),
    NotificationKind.POINTS_LOW: ({"balance": "80000", "threshold": "100000"},),
    NotificationKind.POINTS_SHORT: (
        {"missing": "22500", "balance": "4000", "neededBy": "2026-12-24T15:00:00Z", "transactions": "3"},
        {"missing": "1", "balance": "0", "transactions": "1"},
        {"missing": "0", "balance": "0", "transactions": "0"},
    ),
    NotificationKind.PAYMENT_LINK: (
        {"expires": "2026-12-21T01:05:00Z", "url": "https://pay.sakura.example/setup?org=7k2m9q4xta&token=eyJ0eXAi"},
    ),
    NotificationKind.TRIAL_ENDING: ({"ends": "2026-12-25T15:00:00Z"},),
    NotificationKind.POINTS_RESTORED: ({"balance": "120000"}, {"balance": "4000", "threshold": "100000"}),
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
