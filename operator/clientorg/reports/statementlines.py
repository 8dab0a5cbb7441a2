"""A statement as text in the reader's language, and as the lines of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clientorg.reports.fields import columns_of
from clientorg.reports.language import Language
from clientorg.reports.statement import Arithmetic, Statement, StatementEntry
from clientorg.reports.table import Kind, Table


@dataclass(frozen=True, slots=True)
class Line:
    """The opening balance, an entry or the closing balance. Empty text and None mean: there is none."""

    agency: str
    client: str
    org_id: str
    month: str
    date: datetime
    entry: int | None
    description: str
    number: str
    reason: str
    change: int | None
    balance: int
    arithmetic: str


_COLUMNS: Final[Sequence[tuple[str, Kind]]] = (
    ("agency", Kind.TEXT),
    ("client", Kind.TEXT),
    ("org_id", Kind.TEXT),
    ("month", Kind.TEXT),
    ("date", Kind.MOMENT),
    ("entry", Kind.NUMBER),
    ("description", Kind.TEXT),
    ("number", Kind.TEXT),
    ("reason", Kind.TEXT),
    ("change", Kind.NUMBER),
    ("balance", Kind.NUMBER),
    ("arithmetic", Kind.TEXT),
)


def statement_table(statement: Statement, language: Language) -> Table[Line]:
    """The statement's lines: the opening balance, the entries, the closing balance."""
    columns = columns_of(_COLUMNS, "statement", language)
    lines = list(_lines(statement, language))
    return Table(language.word("title.statement"), columns, lines, language.zone, language.moment_format)


def _lines(statement: Statement, language: Language) -> Iterator[Line]:
    yield _balance(statement, statement.start, language.word("statement.opening"), statement.opening)
    for entry in statement.entries:
        yield Line(
            agency=statement.agency,
            client=statement.client,
            org_id=statement.org_id,
            month=f"{statement.month:%Y-%m}",
            date=entry.row.posted or statement.start,
            entry=entry.row.entry,
            description=described(entry, language),
            number=entry.row.reference,
            reason=entry.row.reason,
            change=entry.change,
            balance=entry.balance,
            arithmetic="; ".join(spelled_out(entry, language)),
        )
    yield _balance(statement, statement.last, closing_words(statement, language), statement.closing)


def _balance(statement: Statement, date: datetime, description: str, balance: int) -> Line:
    return Line(
        agency=statement.agency,
        client=statement.client,
        org_id=statement.org_id,
        month=f"{statement.month:%Y-%m}",
        date=date,
        entry=None,
        description=description,
        number="",
        reason="",
        change=None,
        balance=balance,
        arithmetic="",
    )


def closing_words(statement: Statement, language: Language) -> str:
    """What the last balance is called: of a month that is not over it is the balance now."""
    return language.word("statement.closing" if statement.is_final else "statement.closing_now")


def kind_words(kind: str, language: Language) -> str:
    """A kind of transaction; one of a newer version of the API under its own name."""
    try:
        return language.word(f"kind.{kind}")
    except KeyError:
        return kind


def described(entry: StatementEntry, language: Language) -> str:
    """What an entry is: `Monthly charge for 2026-11`."""
    words = kind_words(entry.row.kind, language)
    if not entry.row.period:
        return words
    gap = "（{}）" if language.tongue == "ja" else " {}"
    return words + gap.format(language.word("statement.of_period", period=entry.row.period))


def spelled_out(entry: StatementEntry, language: Language) -> list[str]:
    """The arithmetic of a charge: `1,000 base + 5 × 50 for users beyond 10 (15 users) = 1,250`."""
    found: Arithmetic | None = entry.arithmetic
    if found is None:
        return []
    values = {
        key: language.number(getattr(found, key)) for key in ("users", "included", "base", "per_extra", "extra", "full")
    }
    steps = [language.word("statement.users", **values)]
    if found.days is not None and found.of_days is not None:
        days, of_days = language.number(found.days), language.number(found.of_days)
        amount = language.number(entry.row.amount)
        steps.append(
            language.word("statement.prorated", days=days, of_days=of_days, full=values["full"], amount=amount)
        )
    return steps
