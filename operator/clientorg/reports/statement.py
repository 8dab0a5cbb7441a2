"""The statement of one client and month: opening balance, entries with the running balance, closing balance.

A month is the calendar month in the reader's time zone: an entry is in it by its posted time. What counts is what is
posted, in the order of the ledger's entries; balances are sums of that and of nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from clientorg.api.pointtransaction import TransactionKind
from clientorg.reports.ledger import LedgerRow, is_posted, ledger_row
from clientorg.reports.table import Json

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How a charge came about: base + extra × per_extra = full, and of that days / of_days, rounded half up.

    Attributes:
        users: contracted users that were charged.
        included: of them, those that the base includes.
        days, of_days: None where the whole period was charged.
    """

    users: int
    included: int
    base: int
    per_extra: int
    days: int | None = None
    of_days: int | None = None

    @property
    def extra(self) -> int:
        """Users beyond the included ones."""
        return max(0, self.users - self.included)

    @property
    def full(self) -> int:
        """Points of the whole period."""
        return self.base + self.extra * self.per_extra


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One entry, and the client's balance after it.

    Attributes:
        change: what it added; below zero it took points.
        arithmetic: of a charge.
    """

    row: LedgerRow
    change: int
    balance: int
    arithmetic: Arithmetic | None = None


@dataclass(frozen=True, slots=True)
class KindTotal:
    """All entries of a kind together."""

    kind: str
    count: int
    change: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A client's month.

    Attributes:
        month: its first day.
        start, end: when the month began and ends; the end is not in it.
        issued: when this was computed.
        agency: name of the agency, as its clients know it.
        client: display name of the client.
        address: lines of its postal address.
    """

    month: date
    start: datetime
    end: datetime
    issued: datetime
    agency: str
    name: str
    client: str
    organization: str
    org_id: str
    address: tuple[str, ...]
    opening: int
    entries: tuple[StatementEntry, ...]
    totals: tuple[KindTotal, ...]

    @property
    def closing(self) -> int:
        """Balance at the end of the month, or when this was issued."""
        return self.entries[-1].balance if self.entries else self.opening

    @property
    def change(self) -> int:
        """All entries together."""
        return sum(entry.change for entry in self.entries)

    @property
    def last(self) -> datetime:
        """The last second that it tells of."""
        return self.end - timedelta(seconds=1) if self.is_final else self.issued

    @property
    def is_final(self) -> bool:
        """Whether the month was over when this was issued."""
        return self.issued >= self.end


def month_of(text: str, zone: ZoneInfo) -> tuple[date, datetime, datetime]:
    """First day, beginning and end of a month such as 2026-11 in the time zone.

    Raises:
        ValueError: it is no month.
    """
    match = _MONTH.fullmatch(text)
    if match is None or not 1900 <= int(match[1]) < 9999:
        raise ValueError(f"{text!r} is no month; write for example 2026-11")
    year, month = int(match[1]), int(match[2])
    after = (year + 1, 1) if month == 12 else (year, month + 1)
    return date(year, month, 1), _midnight(year, month, zone), _midnight(*after, zone)


def _midnight(year: int, month: int, zone: ZoneInfo) -> datetime:
    # A midnight that DST skips is the first moment after it; of two it is the first (as domain.billing.anchor has it).
    return datetime(year, month, 1, tzinfo=zone).astimezone(UTC)


def statement_of(
    client: Json, transactions: Iterable[Json], *, month: str, zone: ZoneInfo, agency: str, now: datetime
) -> Statement:
    """The statement of a ClientOrg, from its own PointTransactions and any others.

    Args:
        transactions: all that were ever posted for the client; those of other clients are passed over.
        month: for example 2026-11.
        agency: the agency's name.

    Raises:
        ValueError: `month` is none.
    """
    first, start, end = month_of(month, zone)
    spec, org_id = client["spec"], (client.get("status") or {}).get("orgID") or ""
    rows = sorted(_own(transactions, client["metadata"]["name"], org_id), key=lambda row: row.order)
    opening = sum(row.change for row in rows if row.posted is not None and row.posted < start)
    entries: list[StatementEntry] = []
    balance = opening
    for row in rows:
        if row.posted is not None and start <= row.posted < end:
            balance += row.change
            entries.append(StatementEntry(row, row.change, balance, _arithmetic(row)))
    return Statement(
        month=first,
        start=start,
        end=end,
        issued=now,
        agency=agency,
        name=client["metadata"]["name"],
        client=spec["displayName"],
        organization=spec.get("organization", ""),
        org_id=org_id,
        address=_address(spec.get("address") or {}),
        opening=opening,
        entries=tuple(entries),
        totals=_totals(entries),
    )


def _own(transactions: Iterable[Json], name: str, org_id: str) -> Iterable[LedgerRow]:
    """What was posted for the client: by its Org ID, so that an earlier client of the name is another."""
    for item in transactions:
        if is_posted(item):
            row = ledger_row(item)
            if row.client == name and row.org_id == org_id:
                yield row


def _arithmetic(row: LedgerRow) -> Arithmetic | None:
    if row.users is None or row.included is None or row.base is None or row.per_extra is None:
        return None
    return Arithmetic(row.users, row.included, row.base, row.per_extra, row.prorated_days, row.period_days)


def _totals(entries: Sequence[StatementEntry]) -> tuple[KindTotal, ...]:
    """In the order of the API's kinds."""
    order = {str(kind): number for number, kind in enumerate(TransactionKind)}
    found: dict[str, list[int]] = {}
    for entry in entries:
        found.setdefault(entry.row.kind, []).append(entry.change)
    ordered = sorted(found.items(), key=lambda item: order.get(item[0], len(order)))
    return tuple(KindTotal(kind, len(changes), sum(changes)) for kind, changes in ordered)


def _address(address: Json) -> tuple[str, ...]:
    town = " ".join(part for part in (address.get("postalCode"), address.get("city")) if part)
    return tuple(line for line in (address.get("street"), town, address.get("region"), address.get("country")) if line)
