"""The agency of the story `portfolio`: forty clients, what they subscribed to, and what each of them uses.

All of it follows from the names, so that the story is the same every time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from clientorg.domain.timestamps import rfc3339

Json = dict[str, Any]

API_VERSION: Final = "clientorg.dev/v1alpha1"
_NAMES: Final = (
    "Acme K.K.|Hoshi Travel|Sakura Clinic|Northwind Traders|Globex Media|Initech|Umbrella Foods|Blue Heron Hotels|"
    "Kobe Port Logistics|Lipa Brno|Vltava Tours|Moravia Wines|Himalaya Outfitters|Ganga Books|Jaipur Textiles|"
    "Mumbai Motors|Tanaka Dental|Aoki Architects|Ginza Optics|Rokko Brewery|Setouchi Ferries|Nara Crafts|Orion Labs|"
    "Polaris Insurance|Quince Bakery|Riverside Schools|Stellar Games|Tidewater Bank|Uji Tea|Vega Robotics|"
    "Willow Care|Xylo Music|Yamato Parcels|Zephyr Energy|Fuji Film Lab|Kirin Florists|Lotus Yoga|Maple Legal|"
    "Nimbus Cloud|Otter Toys"
)
_INDUSTRIES: Final = ("Retail", "Travel", "Healthcare", "Media", "Manufacturing", "Education", "Finance")
_LANGUAGES: Final = ("en", "ja", "cs", "hi")
FIRST: Final = 30


@dataclass(frozen=True)
class Member:
    """One client of the agency.

    Attributes:
        number: its place in the list, from 0.
        joins: 0 at the beginning, 1 in autumn.
        licenses: visitors that it has bought.
        is_asked: it waits for an approval that nobody gives.
        is_trial: it tries the product.
    """

    number: int
    name: str
    title: str

    @property
    def joins(self) -> int:
        """When."""
        return 0 if self.number < FIRST or self.name == "fuji-film-lab" else 1

    @property
    def licenses(self) -> int:
        """From 1,000 to 12,000."""
        return 1000 * (1 + _draw(self.name, "licenses", 12))

    @property
    def is_asked(self) -> bool:
        """Whether it waits for an approval."""
        return self.name == "otter-toys"

    @property
    def is_trial(self) -> bool:
        """Whether it only tries."""
        return self.name in ("kirin-florists", "lotus-yoga", "nimbus-cloud")

    @property
    def pace(self) -> float:
        """The share of its licenses that it uses in half a year; over 1 it runs out of them."""
        odd = {"globex-media": 1.15, "vega-robotics": 1.08, "ginza-optics": 0.94, "nara-crafts": 0.03}
        return odd.get(self.name, 0.25 + _draw(self.name, "pace", 60) / 100)


def _draw(name: str, what: str, below: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{name}/{what}".encode()).digest()[:4], "big") % below


CLIENTS: Final = tuple(
    Member(number, title.lower().replace(".", "").replace(" ", "-"), title)
    for number, title in enumerate(_NAMES.split("|"))
)


def agency(namespace: str, pool: str) -> list[Json]:
    """Its namespace, its stock, and its terms."""

    def named(kind: str, name: str, spec: Json) -> Json:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

    terms: Json = {
        "displayName": "Standard",
        "billing": {"basePoints": 1000, "includedUsers": 10, "pointsPerExtraUser": 20, "negativeToleranceDays": 20},
        "metrics": [
            {"name": "calls", "displayName": "Calls", "unit": "calls", "kind": "Counter"},
            {"name": "abandoned", "displayName": "Abandoned", "unit": "calls", "kind": "Counter", "better": "Down"},
            {
                "name": "abandon-rate",
                "displayName": "Abandon rate",
                "unit": "%",
                "kind": "Ratio",
                "better": "Down",
                "numerator": "abandoned",
                "denominator": "calls",
            },
        ],
        "workspace": {"urlTemplate": "https://portal.example/orgs/$(orgID)"},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"clientorg.dev/agency": "true"}},
        },
        named(
            "QuotaPool",
            pool,
            {"displayName": "Kobe Digital", "licenses": [{"name": "visitors", "quantity": 320_000}]},
        ),
        named("OrgPlan", "standard", terms),
        named("OrgPlan", "enterprise", {**terms, "displayName": "Enterprise", "approval": "Manual"}),
    ]


def client(member: Member, namespace: str, pool: str) -> Json:
    """The ClientOrg."""
    first, last = ("Yuki", "Sato") if member.number % 3 == 0 else ("Jana", "Novak") if member.number % 3 == 1 else (
        "Asha", "Rao"
    )  # fmt: skip
    admins: list[Json] = [{"name": f"admin@{member.name}.example", "email": f"admin@{member.name}.example"}]
    admins[0]["role"] = "Full" if member.number % 4 == 0 else "ReadOnly"
    return {
        "apiVersion": API_VERSION,
        "kind": "ClientOrg",
        "metadata": {"name": member.name, "namespace": namespace},
        "spec": {
            "displayName": member.title,
            "contact": {
                "firstName": first,
                "lastName": last,
                "email": f"{first.lower()}@{member.name}.example",
                "language": _LANGUAGES[member.number % 4],
            },
            "organization": member.title,
            "industry": _INDUSTRIES[member.number % 7],
            "poolRef": {"name": pool},
            "planRef": {"name": "enterprise" if member.is_asked else "standard"},
            "licenses": [{"name": "visitors", "quantity": member.licenses}],
            "contractedUsers": 8 + member.number % 9,
            "tags": ["vip"] if member.number % 9 == 0 else ["retail"] if member.number % 7 == 0 else [],
            "admins": admins,
            **({"requestedBy": "sales@kobe.example"} if member.is_asked else {}),
        },
    }


def subscription(member: Member, namespace: str, ordered: datetime) -> Json:
    """What it subscribed to: mostly a year that renews by itself; some end soon, some are trials."""
    start = ordered.date() if member.joins else date(2026, 1 + member.number % 5, 1 + member.number % 27)
    ends_soon = member.number % 8 == 3
    length: Json = {"term": {"days": 30}} if member.is_trial else {"term": {"months": 12}}
    if ends_soon and not member.is_trial:
        length = {"renewalDate": str(date(2026, 12, 5) + timedelta(days=2 * member.number % 70))}
    when = ordered if member.joins else datetime(start.year, start.month, start.day, 9, tzinfo=ordered.tzinfo)
    events = [{"time": rfc3339(when), "event": "Ordered", "by": "sales@kobe.example"}]
    return {
        "apiVersion": API_VERSION,
        "kind": "Subscription",
        "metadata": {"name": f"{member.name}-1", "namespace": namespace},
        "spec": {
            "clientRef": {"name": member.name},
            "order": {"id": f"PO-2026-{1000 + member.number}", "time": rfc3339(when), "history": events},
            "type": "Trial" if member.is_trial else "Paid",
            "products": [{"name": "visitors", "licenses": member.licenses}],
            "startDate": str(start),
            "autoRenew": not member.is_trial and not ends_soon,
            **length,
            **({} if member.is_trial else {"invoices": _invoices(member, start)}),
        },
    }


def _invoices(member: Member, start: date) -> list[Json]:
    """One for the year; of one client it is never paid."""
    due = start + timedelta(days=30)
    is_paid = member.name != "quince-bakery"
    amount = f"{member.licenses * 12 // 10}.00"
    paid = {"state": "Paid", "paidDate": str(due - timedelta(days=4))} if is_paid else {"state": "Open"}
    late = {} if is_paid else {"dueDate": "2026-10-15"}
    return [
        {
            "number": f"R-2026-{500 + member.number}",
            "issueDate": str(start),
            "dueDate": str(due),
            "amount": amount,
            "currency": "USD",
            **paid,
            **late,
        }
    ]


def history(namespace: str) -> list[Json]:
    """What else happens in autumn: an order that nobody has set up yet."""
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "Subscription",
            "metadata": {"name": "po-2026-2001", "namespace": namespace},
            "spec": {
                "order": {"id": "PO-2026-2001", "time": "2026-09-01T09:00:00Z"},
                "type": "Paid",
                "products": [{"name": "visitors", "licenses": 3000}],
                "startDate": "2026-12-15",
                "term": {"months": 12},
                "customer": {
                    "displayName": "Harbor Lights",
                    "contact": {"firstName": "Mei", "lastName": "Abe", "email": "mei@harbor.example"},
                },
            },
        }
    ]


def used_by(member: Member, week: int) -> Json:
    """What is reported of it in a week of the story: meters and metrics since the beginning."""
    weeks = week if member.joins == 0 else max(0, week - 13)
    span = 26 if member.joins == 0 else 13
    silent_since = 18 if member.name == "maple-legal" else 99
    weeks = min(weeks, silent_since)
    season = 1 + _draw(member.name, f"week-{weeks}", 15) / 100
    used = int(member.licenses * member.pace * weeks / span * (0.92 + 0.08 * season))
    calls = weeks * (120 + _draw(member.name, "calls", 400)) + sum(
        _draw(member.name, f"c{n}", 60) for n in range(weeks)
    )
    abandoned = calls * (3 + _draw(member.name, "abandoned", 9)) // 100
    return {
        "meters": [{"license": "visitors", "value": used, "assigned": min(member.licenses, int(used * 1.1) + 20)}],
        "metrics": [{"name": "calls", "value": calls}, {"name": "abandoned", "value": abandoned}],
    }
