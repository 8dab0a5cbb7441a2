"""A pool as rows: its licenses, who waits, who holds most (FEATURES Z2, Z5). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from clientorg.cli.rows import ClientRow, LicenseRow
from clientorg.cli.text import number

Json = dict[str, Any]

BAR_WIDTH = 20


@dataclass(frozen=True)
class StockRow:
    """One license of a pool. What the status does not say yet is None."""

    namespace: str
    pool: str
    license: str
    total: int
    allocated: int | None
    available: int | None
    pending: int | None

    @property
    def share(self) -> float | None:
        """Allocated / total; above 1 while over-committed."""
        if self.allocated is None:
            return None
        return self.allocated / self.total if self.total else float(self.allocated > 0)


def stock_rows(pool: Json) -> list[StockRow]:
    """The pool's licenses in the order of its spec, then what is only still held."""
    owned = {entry["name"]: entry["quantity"] for entry in pool["spec"]["licenses"]}
    books = {entry["name"]: entry for entry in (pool.get("status") or {}).get("licenses") or ()}
    rows = []
    for name in dict.fromkeys((*owned, *books)):
        entry, total = books.get(name, {}), owned.get(name, 0)
        allocated = entry.get("allocated")
        rows.append(
            StockRow(
                namespace=pool["metadata"].get("namespace", ""),
                pool=pool["metadata"]["name"],
                license=name,
                total=total,
                allocated=allocated,
                available=None if allocated is None else total - allocated,
                pending=entry.get("pending"),
            )
        )
    return rows


def bar(share: float | None, *, unicode: bool, width: int = BAR_WIDTH) -> str:
    """A bar with its percentage: full only when nothing is left, empty only when nothing is used."""
    if share is None:
        return "-"
    filled = min(width, max(0, round(share * width)))
    if 0 < share < 1:
        filled = min(width - 1, max(1, filled))
    full, empty = ("█", "░") if unicode else ("#", ".")
    return f"{full * filled}{empty * (width - filled)} {_percent(share)}"


def _percent(share: float) -> str:
    percent = share * 100
    if 0 < percent < 1:
        return "<1%"
    return ">99%" if 99 < percent < 100 else f"{percent:.0f}%"


def queue(rows: Iterable[ClientRow]) -> list[ClientRow]:
    """The clients that wait for licenses, first come first."""
    waiting = [row for row in rows if row.queue_position is not None]
    late = datetime.max.replace(tzinfo=UTC)
    return sorted(waiting, key=lambda row: (row.queue_position, row.waiting_since or late, row.name))


def missing_text(row: ClientRow) -> str:
    """What a waiting client is short of: `visitors 5,000`."""
    return ", ".join(f"{item.name} {number(item.missing)}" for item in row.licenses if item.missing)


def biggest(rows: Iterable[ClientRow], license_name: str, count: int) -> list[tuple[ClientRow, LicenseRow]]:
    """The clients that hold most of a license."""
    holders = [
        (row, item) for row in rows for item in row.licenses if item.name == license_name and (item.granted or 0) > 0
    ]
    return sorted(holders, key=lambda pair: (-(pair[1].granted or 0), pair[0].name))[:count]
