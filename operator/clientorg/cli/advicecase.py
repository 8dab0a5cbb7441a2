"""What advice about a client is given from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clientorg.cli.rows import ClientRow

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What is known of a client."""

    item: Json
    row: ClientRow
    pool: Json | None
    now: datetime
    plan: Json | None = None

    @property
    def where(self) -> str:
        """The namespace as a flag."""
        return f"-n {self.row.namespace}"

    @property
    def named(self) -> str:
        """The client's name, and the namespace as a flag."""
        return f"{self.row.name} {self.where}"

    @property
    def stock(self) -> list[str]:
        """Names of the pool's licenses."""
        return [entry["name"] for entry in ((self.pool or {}).get("spec") or {}).get("licenses") or ()]

    def available(self, license_name: str) -> int | None:
        """What the pool has left of a license, as it says itself."""
        books = ((self.pool or {}).get("status") or {}).get("licenses") or ()
        found: int | None = next((e.get("available") for e in books if e["name"] == license_name), None)
        return found
