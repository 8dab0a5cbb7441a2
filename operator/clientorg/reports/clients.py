"""Clients as rows for the agency's own spreadsheet: everything that is known of each (FEATURES S12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clientorg.domain.points_record import status_points
from clientorg.domain.timestamps import timestamp
from clientorg.reports.fields import columns_of
from clientorg.reports.language import Language
from clientorg.reports.table import Column, Json, Kind, Table, Value

FAMILY_NAME_FIRST: Final = ("ja",)
"""Languages in which a person's family name stands first, as in mails to them."""


@dataclass(frozen=True, slots=True)
class LicenseCell:
    """What a client holds of one license. None: not known, or nothing was reported."""

    granted: int | None
    used: int | None

    @property
    def remaining(self) -> int | None:
        """Granted minus used; a client that reports no use has used nothing."""
        return None if self.granted is None else self.granted - (self.used or 0)


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client. Empty text and None mean: not given, or not known yet.

    Attributes:
        ready: the condition Ready; None while it is Unknown or absent.
        reason: why it is ready or not.
        termination: when the contract ends or ended.
        next_charge: points that are charged at next_charge_time.
    """

    namespace: str
    name: str
    display_name: str
    org_id: str
    state: str
    ready: bool | None
    reason: str
    plan: str
    pool: str
    contact: str
    email: str
    phone: str
    language: str
    industry: str
    organization: str
    street: str
    city: str
    region: str
    postal_code: str
    country: str
    reseller: str
    reseller_email: str
    reseller_reference: str
    contracted_users: int | None
    used_users: int | None
    licenses: Mapping[str, LicenseCell]
    balance: int | None
    next_charge_time: datetime | None
    next_charge: int | None
    projected_balance: int | None
    tags: str
    created: datetime | None
    deactivated: datetime | None
    purge_after: datetime | None
    termination: datetime | None


def client_row(item: Json) -> ClientRow:
    """The row of a ClientOrg, as the API server gives it."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    contact, address = spec.get("contact") or {}, spec.get("address") or {}
    reseller, points = spec.get("reseller") or {}, status_points(item)
    deactivation, users = status.get("deactivation") or {}, status.get("users") or {}
    ready: Json = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    return ClientRow(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        display_name=spec.get("displayName", ""),
        org_id=status.get("orgID", ""),
        state="Deleting" if metadata.get("deletionTimestamp") else status.get("state", ""),
        ready={"True": True, "False": False}.get(ready.get("status", "")),
        reason=ready.get("reason", ""),
        plan=(spec.get("planRef") or {}).get("name", ""),
        pool=(spec.get("poolRef") or {}).get("name", ""),
        contact=_full_name(contact),
        email=contact.get("email", ""),
        phone=contact.get("phone", ""),
        language=contact.get("language", ""),
        industry=spec.get("industry", ""),
        organization=spec.get("organization", ""),
        street=address.get("street", ""),
        city=address.get("city", ""),
        region=address.get("region", ""),
        postal_code=address.get("postalCode", ""),
        country=address.get("country", ""),
        reseller=reseller.get("name", ""),
        reseller_email=reseller.get("email", ""),
        reseller_reference=reseller.get("reference", ""),
        contracted_users=users.get("contracted", spec.get("contractedUsers")),
        used_users=users.get("used"),
        licenses=_licenses(spec, status),
        balance=points.get("balance"),
        next_charge_time=timestamp(points.get("nextChargeTime")),
        next_charge=points.get("nextCharge"),
        projected_balance=points.get("projectedBalance"),
        tags=", ".join(spec.get("tags") or ()),
        created=timestamp(metadata.get("creationTimestamp")),
        deactivated=timestamp(deactivation.get("since")),
        purge_after=None if "purgedTime" in deactivation else timestamp(deactivation.get("purgeAfter")),
        termination=_termination(spec, status),
    )


def _full_name(contact: Json) -> str:
    first, last = contact.get("firstName", ""), contact.get("lastName", "")
    is_family_first = str(contact.get("language", "")).split("-")[0] in FAMILY_NAME_FIRST
    return (f"{last} {first}" if is_family_first else f"{first} {last}").strip()


def _licenses(spec: Json, status: Json) -> dict[str, LicenseCell]:
    wanted = {entry["name"]: LicenseCell(None, None) for entry in spec.get("licenses") or ()}
    held = {e["name"]: LicenseCell(e.get("granted"), e.get("used")) for e in status.get("licenses") or ()}
    return {**wanted, **held}


def _termination(spec: Json, status: Json) -> datetime | None:
    known, asked = status.get("termination") or {}, spec.get("termination") or {}
    return timestamp(known.get("executedTime") or known.get("scheduledTime") or asked.get("time"))


_COLUMNS: Final[Sequence[tuple[str, Kind]]] = (
    ("namespace", Kind.TEXT),
    ("name", Kind.TEXT),
    ("display_name", Kind.TEXT),
    ("org_id", Kind.TEXT),
    ("state", Kind.TEXT),
    ("ready", Kind.FLAG),
    ("reason", Kind.TEXT),
    ("plan", Kind.TEXT),
    ("pool", Kind.TEXT),
    ("contact", Kind.TEXT),
    ("email", Kind.TEXT),
    ("phone", Kind.TEXT),
    ("language", Kind.TEXT),
    ("industry", Kind.TEXT),
    ("organization", Kind.TEXT),
    ("street", Kind.TEXT),
    ("city", Kind.TEXT),
    ("region", Kind.TEXT),
    ("postal_code", Kind.TEXT),
    ("country", Kind.TEXT),
    ("reseller", Kind.TEXT),
    ("reseller_email", Kind.TEXT),
    ("reseller_reference", Kind.TEXT),
    ("contracted_users", Kind.NUMBER),
    ("used_users", Kind.NUMBER),
    ("balance", Kind.NUMBER),
    ("next_charge_time", Kind.MOMENT),
    ("next_charge", Kind.NUMBER),
    ("projected_balance", Kind.NUMBER),
    ("tags", Kind.TEXT),
    ("created", Kind.MOMENT),
    ("deactivated", Kind.MOMENT),
    ("purge_after", Kind.MOMENT),
    ("termination", Kind.MOMENT),
)
_LICENSES_AFTER: Final = "used_users"


def clients_table(rows: Sequence[ClientRow], language: Language) -> Table[ClientRow]:
    """Clients with three columns for each license that any of them has or asks for."""
    names = sorted({name for row in rows for name in row.licenses})
    columns: list[Column[ClientRow]] = []
    for key, kind in _COLUMNS:
        columns += columns_of([(key, kind)], "client", language)
        if key == _LICENSES_AFTER:
            columns += [_license_column(name, what, language) for name in names for what in _LICENSE_CELLS]
    return Table(language.word("title.clients"), columns, rows, language.zone, language.moment_format)


_LICENSE_CELLS: Final[Mapping[str, Callable[[LicenseCell], int | None]]] = {
    "granted": lambda cell: cell.granted,
    "used": lambda cell: cell.used,
    "remaining": lambda cell: cell.remaining,
}


def _license_column(name: str, what: str, language: Language) -> Column[ClientRow]:
    def value(row: ClientRow) -> Value:
        cell = row.licenses.get(name)
        return None if cell is None else _LICENSE_CELLS[what](cell)

    return Column(language.word(f"client.license_{what}", license=name), Kind.NUMBER, value)
