"""What the flags of `report` mean: window, moment, filters, order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from clientorg.cli.selection import known_values, several
from clientorg.cli.text import joined, plain
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.reports.portfolio import Filter

_WITHIN = re.compile(r"(\d{1,5})\s*([dw]?)")


class Output(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"


OutputFlag = Annotated[Output, typer.Option("--output", "-o", help="How to print.")]
FileFlag = Annotated[
    str | None, typer.Option("--file", "-f", metavar="FILE", help="File to write to. Default: standard output.")
]
ForceFlag = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]
WithinFlag = Annotated[
    str, typer.Option("--within", metavar="DAYS", help="The window of recent, expiring and renewing: 90d, 12w.")
]
AsOfFlag = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="WHEN",
        help="The moment that the report is of, for example 2026-12-31 (its beginning) or 2026-12-31T09:00:00Z. Terms "
        "are told for any; use is that of the last weekly snapshot before it. Default: now.",
    ),
]
AllFlag = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all agencies.")]
ManagedFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--managed-by",
        metavar="WHO",
        help="Only clients managed by: own (the agency alone), external (full admins of their own, or a reseller), or "
        "the name of one of these (repeatable).",
    ),
]
ProductFlag = Annotated[
    list[str] | None, typer.Option("--product", metavar="NAME", help="Only this product (repeatable).")
]
StatusFlag = Annotated[
    list[str] | None,
    typer.Option("--status", metavar="STATUS", help="Only clients of this status, as ExpiringSoon (repeatable)."),
]
TypeFlag = Annotated[
    list[str] | None,
    typer.Option("--subscription-type", metavar="TYPE", help="Only subscriptions of this type: Trial or Paid."),
]
TagFlag = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only with this tag (repeatable: with all).")
]
SearchFlag = Annotated[
    str,
    typer.Option(
        "--search",
        metavar="WORDS",
        help="Only where all words occur in name, display name, organization, contact, email, Org ID, tags, order ID.",
    ),
]
SortFlag = Annotated[
    str | None, typer.Option("--sort-by", metavar="COLUMN", help="Order, for example used or -percent (down).")
]


@dataclass(frozen=True)
class Filters:
    """The filters as they were given."""

    managed_by: tuple[str, ...]
    products: tuple[str, ...]
    statuses: tuple[str, ...]
    types: tuple[str, ...]
    tags: tuple[str, ...]
    search: str

    def checked(self) -> Filter:
        """As reports take them.

        Raises:
            InputError: there is no such status or type.
        """
        from clientorg.api.clientorg import ClientStatus
        from clientorg.api.subscription import SubscriptionType
        from clientorg.reports.portfolio import Filter

        statuses = known_values("--status", "status", self.statuses, [*ClientStatus])
        types = known_values("--subscription-type", "type", self.types, [*SubscriptionType])
        return Filter(
            managed_by=self.managed_by,
            products=self.products,
            statuses=tuple(ClientStatus(value) for value in statuses),
            types=tuple(SubscriptionType(value) for value in types),
            tags=self.tags,
            search=self.search,
        )

    def document(self) -> dict[str, Any]:
        """Those that were given, for JSON."""
        given = {
            "managedBy": list(self.managed_by),
            "products": list(self.products),
            "statuses": list(self.statuses),
            "subscriptionTypes": list(self.types),
            "tags": list(self.tags),
            "search": self.search,
        }
        return {name: value for name, value in given.items() if value}


def filters_of(
    managed_by: Iterable[str] | None,
    product: Iterable[str] | None,
    status: Iterable[str] | None,
    subscription_type: Iterable[str] | None,
    tag: Iterable[str] | None,
    search: str,
) -> Filters:
    """The filters of the flags."""
    return Filters(
        several(managed_by), several(product), several(status), several(subscription_type), several(tag), search
    )


def within_days(text: str) -> int:
    """Days of --within: 90, 90d or 12w.

    Raises:
        InputError: it is none of these.
    """
    match = _WITHIN.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise InputError(f"--within: {plain(text)!r} is no number of days; write for example 90d or 12w")
    return int(match[1]) * (7 if match[2] == "w" else 1)


def moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    """The moment of --as-of; a day is its beginning in the time zone.

    Raises:
        InputError: it is no time.
    """
    if text is None:
        return None
    try:
        if len(text) == len("2026-12-31"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=zone)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"--as-of: {plain(text)!r} is no time; write for example 2026-12-31 or 2026-12-31T09:00:00Z"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def ordered(rows: list[Any], key: str | None, model: type) -> list[Any]:
    """The rows in the order of a column; what is not known stands last.

    Raises:
        InputError: there is no such column.
    """
    if key is None:
        return rows
    names: Sequence[str] = [field.name for field in fields(model)]
    name = key.removeprefix("-").replace("-", "_").casefold()
    if name not in names:
        known = joined([entry.replace("_", "-") for entry in names], "or")
        raise InputError(f"--sort-by: there is no column {plain(key)!r}; it is one of {known}")
    have = [row for row in rows if getattr(row, name) is not None]
    rest = [row for row in rows if getattr(row, name) is None]
    return sorted(have, key=lambda row: _sortable(getattr(row, name)), reverse=key.startswith("-")) + rest


def _sortable(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    return getattr(value, "name", value) if hasattr(value, "display_name") else value
