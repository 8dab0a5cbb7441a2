"""Posted transactions as rows: the ledger for bookkeeping (FEATURES S12, X3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clientorg.api.pointtransaction import Phase
from clientorg.domain.ledger import ORG_PREFIX, POOL_PREFIX
from clientorg.domain.timestamps import timestamp
from clientorg.reports.fields import columns_of
from clientorg.reports.language import Language
from clientorg.reports.table import Json, Kind, Table


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One posted transaction. Empty text and None mean: there is none.

    Attributes:
        entry: number in the ledger of the pool, from 1 without gaps.
        source: account that the points leave.
        target: account that they go to.
        client: name of the client whose balance it changed.
        users, base, included, per_extra: the frozen inputs of a charge.
        prorated_days, period_days: days charged of the days of the period, where it was not the whole.
    """

    namespace: str
    pool: str
    entry: int | None
    posted: datetime | None
    name: str
    kind: str
    source: str
    target: str
    client: str
    org_id: str
    amount: int
    period: str
    reason: str
    reference: str
    requested_by: str
    users: int | None
    base: int | None
    included: int | None
    per_extra: int | None
    prorated_days: int | None
    period_days: int | None

    @property
    def change(self) -> int:
        """What it added to the client's balance."""
        return self.amount * (self.target.startswith(ORG_PREFIX) - self.source.startswith(ORG_PREFIX))

    @property
    def order(self) -> tuple[str, str, int, str]:
        """By ledger, and in it by entry."""
        return self.namespace, self.pool, self.entry or 0, self.name


def is_posted(item: Json) -> bool:
    """Whether a PointTransaction counts."""
    return (item.get("status") or {}).get("phase") == Phase.POSTED


def ledger_row(item: Json) -> LedgerRow:
    """The row of a PointTransaction, as the API server gives it."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    charge, accounts = spec.get("charge") or {}, (spec["from"], spec["to"])
    return LedgerRow(
        namespace=metadata.get("namespace", ""),
        pool=status.get("pool") or _named(accounts, POOL_PREFIX),
        entry=status.get("entry"),
        posted=timestamp(status.get("postedTime")),
        name=metadata["name"],
        kind=spec["kind"],
        source=spec["from"],
        target=spec["to"],
        client=_named(accounts, ORG_PREFIX),
        org_id=status.get("orgID") or spec.get("orgID") or "",
        amount=spec["amount"],
        period=spec.get("period", ""),
        reason=spec.get("reason", ""),
        reference=spec.get("reference", ""),
        requested_by=spec.get("requestedBy", ""),
        users=charge.get("users"),
        base=charge.get("basePoints"),
        included=charge.get("includedUsers"),
        per_extra=charge.get("pointsPerExtraUser"),
        prorated_days=charge.get("proratedDays"),
        period_days=charge.get("periodDays"),
    )


def _named(accounts: Iterable[str], prefix: str) -> str:
    return next((account.removeprefix(prefix) for account in accounts if account.startswith(prefix)), "")


_COLUMNS: Final[Sequence[tuple[str, Kind]]] = (
    ("namespace", Kind.TEXT),
    ("pool", Kind.TEXT),
    ("entry", Kind.NUMBER),
    ("posted", Kind.MOMENT),
    ("name", Kind.TEXT),
    ("kind", Kind.TEXT),
    ("source", Kind.TEXT),
    ("target", Kind.TEXT),
    ("client", Kind.TEXT),
    ("org_id", Kind.TEXT),
    ("amount", Kind.NUMBER),
    ("period", Kind.TEXT),
    ("reason", Kind.TEXT),
    ("reference", Kind.TEXT),
    ("requested_by", Kind.TEXT),
    ("users", Kind.NUMBER),
    ("base", Kind.NUMBER),
    ("included", Kind.NUMBER),
    ("per_extra", Kind.NUMBER),
    ("prorated_days", Kind.NUMBER),
    ("period_days", Kind.NUMBER),
)


def ledger_table(rows: Iterable[LedgerRow], language: Language) -> Table[LedgerRow]:
    """The entries in the order of `rows`."""
    columns = columns_of(_COLUMNS, "ledger", language)
    return Table(language.word("title.ledger"), columns, rows, language.zone, language.moment_format)
