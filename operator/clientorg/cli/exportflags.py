"""What the flags of `export` mean: format, language, time zone, month."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from clientorg.cli.text import plain
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.reports.language import Language


class Format(StrEnum):
    """What a table is written as."""

    CSV = "csv"
    XLSX = "xlsx"


class StatementFormat(StrEnum):
    """What a statement is written as."""

    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"


class Tongue(StrEnum):
    """Languages of headings, the same as reports.language.Tongue (which takes 0.2 s to import)."""

    ENGLISH = "en"
    JAPANESE = "ja"
    CZECH = "cs"
    HINDI = "hi"


FormatFlag = Annotated[
    Format | None, typer.Option("--format", help="What to write. Default: by the ending of --output, else csv.")
]
StatementFormatFlag = Annotated[
    StatementFormat | None,
    typer.Option("--format", help="What to write. Default: by the ending of --output, else csv."),
]
FileFlag = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="File to write. Default: standard output.")
]
ForceFlag = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]
LanguageFlag = Annotated[
    Tongue | None,
    typer.Option("--language", help="Language of headings and formats. Default: that of $LC_ALL or $LANG, else en."),
]
ZoneFlag = Annotated[
    str | None,
    typer.Option("--time-zone", metavar="ZONE", help="Time zone of dates, for example Asia/Tokyo. Default: your own."),
]
PlanZoneFlag = Annotated[
    str | None,
    typer.Option(
        "--time-zone", metavar="ZONE", help="Time zone of dates and of the month's ends. Default: the plan's."
    ),
]
BomFlag = Annotated[
    bool, typer.Option("--bom", help="Begin a csv with a byte order mark, by which Excel knows that it is UTF-8.")
]


def chosen_format(given: str | None, file: str | None, known: Sequence[str]) -> str:
    """The format that is asked for, or that the file's name ends in.

    Raises:
        InputError: the file's name is a format's, as after the -o of other commands.
    """
    if file in known:
        raise InputError(f"--output: names a file; for the format write --format {file}")
    ending = Path(file or "").suffix.lower().removeprefix(".")
    if given is None:
        return ending if ending in known else "csv"
    if ending in known and ending != given:
        raise InputError(f"--format: {given} does not go with --output {plain(file or '')}; change one of them")
    return given


def check_bom(bom: bool, format_: str) -> None:
    """A byte order mark is only for csv.

    Raises:
        InputError: it is asked for in another format.
    """
    if bom and format_ != "csv":
        raise InputError(f"--bom: only csv has one, and this is {format_}; leave it out")


def zone_of(name: str) -> ZoneInfo:
    """The time zone that --time-zone names.

    Raises:
        InputError: there is none.
    """
    from clientorg.domain.calendar import zone

    try:
        return zone(name)
    except ValueError:
        raise InputError(
            f"--time-zone: there is no time zone {plain(name)!r}; use an IANA name, for example Asia/Tokyo or UTC"
        ) from None


def local_zone() -> ZoneInfo:
    """The user's own time zone; UTC where the machine does not say."""
    import tzlocal

    try:
        return ZoneInfo(tzlocal.get_localzone_name() or "UTC")
    except (LookupError, ValueError, OSError):  # ZoneInfoNotFoundError is a LookupError
        return ZoneInfo("UTC")


def language_for(tongue: Tongue | None, zone: ZoneInfo) -> Language:
    """The language that was asked for, or that of the user's locale (POSIX: LC_ALL, LC_MESSAGES, LANG)."""
    from clientorg.reports.language import Language, tongue_of

    environment = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return Language(tongue_of(tongue or next((value for value in environment if value), None)), zone)


def check_month(text: str, zone: ZoneInfo, now: datetime) -> None:
    """A month that has begun.

    Raises:
        InputError: it is none, or has not.
    """
    from clientorg.reports.statement import month_of

    try:
        _, start, _ = month_of(text, zone)
    except ValueError:
        raise InputError(f"--month: {plain(text)!r} is no month; write for example 2026-11") from None
    if start > now:
        raise InputError(f"--month: {text} has not begun (in {zone.key}); choose an earlier one")
