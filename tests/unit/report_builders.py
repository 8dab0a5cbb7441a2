"""Objects and languages for the tests of reports and exports."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.reports.language import Language, Tongue
from clientorg.reports.statement import Statement, statement_of
from clientorg.reports.table import Column, Kind, Table, Value
from tests.unit.cli_builders import client, ready

Json = dict[str, Any]

ORG_ID = "7k2m9q4xta"
NOW = datetime(2027, 1, 10, 9, tzinfo=UTC)
CHARGE: Json = {
    "plan": "standard",
    "planGeneration": 1,
    "dueTime": "2026-11-25T00:00:00Z",
    "users": 15,
    "includedUsers": 10,
    "basePoints": 1000,
    "pointsPerExtraUser": 50,
}


def language(tongue: str = "en", zone: str = "UTC") -> Language:
    """A reader."""
    return Language(Tongue(tongue), ZoneInfo(zone))


def movement(
    entry: int,
    kind: str = "TopUp",
    amount: int = 100,
    posted: str = "2026-11-10T00:00:00Z",
    *,
    name: str = "acme",
    org_id: str | None = ORG_ID,
    phase: str = "Posted",
    **spec: Any,
) -> Json:
    """A PointTransaction of a client, as the operator leaves it."""
    pool, org = "pool/tokyo", f"org/{name}"
    source, target = {
        "Purchase": ("external", pool),
        "TopUp": (pool, org),
        "Withdrawal": (org, pool),
        "Charge": (org, "consumed"),
        "Settlement": (org, "consumed"),
        "Reversal": (org, pool),
    }[kind]
    status: Json = {"phase": phase, "entry": entry, "postedTime": posted, "pool": "tokyo"}
    if phase != "Posted":
        status = {"phase": phase}
    if org_id is not None and kind != "Purchase":
        status["orgID"] = org_id
    return {
        "metadata": {"name": f"tx-{entry}", "namespace": "agency"},
        "spec": {"kind": kind, "from": source, "to": target, "amount": amount, **spec},
        "status": status,
    }


def account(name: str = "acme", **overrides: Any) -> Json:
    """A client whose account the movements are of."""
    return client(name, **{"status": {"orgID": ORG_ID}, **overrides})


def november(*movements: Json, zone: str = "UTC", now: datetime = NOW, **spec: Any) -> Statement:
    """The statement of November 2026."""
    return statement_of(
        account(**spec), movements, month="2026-11", zone=ZoneInfo(zone), agency="Harbor Digital", now=now
    )


def full_client() -> Json:
    """A client of which everything is known."""
    status = {
        "orgID": ORG_ID,
        "state": "Active",
        "licenses": [{"name": "visitors", "granted": 500, "used": 120, "remaining": 380}],
        "users": {"contracted": 15, "used": 12},
        "points": {
            "balance": -250,
            "nextChargeTime": "2026-12-24T15:00:00Z",
            "nextCharge": 1250,
            "projectedBalance": -1500,
        },
        "deactivation": {"since": "2026-11-30T15:30:00Z", "purgeAfter": "2027-02-28T15:30:00Z"},
        "termination": {"scheduledTime": "2027-03-31T15:00:00Z"},
        "conditions": [ready("True", "Ready")],
    }
    return client(
        "acme",
        status=status,
        contact={
            "firstName": "Yuki",
            "lastName": "Sato",
            "email": "yuki@acme.example",
            "language": "ja",
            "phone": "+81 3 1234 5678",
        },
        organization="Acme Kabushiki Kaisha",
        industry="Retail",
        address={"street": "1-2-3 Marunouchi", "city": "Chiyoda-ku", "postalCode": "0100-005", "country": "JP"},
        reseller={"name": "Best Sellers", "email": "sales@best.example", "reference": "0042"},
        contractedUsers=20,
        tags=["vip", "retail"],
    )


def table_of(kind: Kind, values: Sequence[Value], zone: str = "UTC") -> Table[Value]:
    """A table of one column."""
    return Table("T", [Column("H", kind, lambda row: row)], list(values), ZoneInfo(zone))


def stream() -> io.BytesIO:
    """A file in memory."""
    return io.BytesIO()
