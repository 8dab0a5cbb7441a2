"""The reader's language: words from words/<language>.toml, numbers and dates as CLDR has them (Babel)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal


class Tongue(StrEnum):
    """Languages that there are words for (BCP 47)."""

    ENGLISH = "en"
    JAPANESE = "ja"
    CZECH = "cs"
    HINDI = "hi"


_MOMENT_FORMATS: Final = {
    Tongue.ENGLISH: "yyyy-mm-dd hh:mm",
    Tongue.JAPANESE: "yyyy/mm/dd hh:mm",
    Tongue.CZECH: "d.m.yyyy h:mm",
    Tongue.HINDI: "dd-mm-yyyy hh:mm",
}
"""Format codes of cells, not CLDR's: what its users' spreadsheets show dates as."""
_UTC_NAMES: Final = ("UTC", "Etc/UTC", "Universal", "Etc/Universal", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT")


@dataclass(frozen=True, slots=True)
class Language:
    """A language, with the time zone that the reader counts days in."""

    tongue: Tongue
    zone: ZoneInfo

    @property
    def moment_format(self) -> str:
        """How a spreadsheet is to show a moment, in its own code."""
        return _MOMENT_FORMATS[self.tongue]

    @property
    def zone_name(self) -> str:
        """The IANA name: Asia/Tokyo."""
        name = self.zone.key
        return "UTC" if name in _UTC_NAMES else name

    def word(self, key: str, **values: object) -> str:
        """The words for a key of the files, with values put in.

        Raises:
            KeyError: there are none, which is a fault of this package.
        """
        text = _words(self.tongue)[key]
        return text.format(**values) if values else text

    def number(self, value: int, *, signed: bool = False) -> str:
        """1,234,567; 1 234 567; 12,34,567; with `signed` +5 and −3."""
        text = format_decimal(abs(value), locale=_locale(self.tongue))
        sign = "−" if value < 0 else "+" if signed and value else ""
        return sign + text

    def decimal(self, value: Decimal) -> str:
        """A number with at most two places."""
        return format_decimal(value, "#,##0.##", locale=_locale(self.tongue))

    def day(self, moment: datetime) -> str:
        """November 25, 2026; in the time zone."""
        return format_date(moment.astimezone(self.zone), "long", locale=_locale(self.tongue))

    def short(self, moment: datetime) -> str:
        """A day in the least room: Nov 25, 2026; in the time zone."""
        return format_date(moment.astimezone(self.zone), "medium", locale=_locale(self.tongue))

    def clock(self, moment: datetime) -> str:
        """The time of day: 9:05 AM; 9:05."""
        form = "B h:mm" if self.tongue is Tongue.HINDI else "short"  # सुबह 9:05, where CLDR's own has am and pm
        text = format_time(moment, form, tzinfo=self.zone, locale=_locale(self.tongue))
        return text.replace("\u202f", "\u00a0")

    def month(self, first: date) -> str:
        """November 2026; 2026年11月."""
        pattern = {"ja": "y年M月", "cs": "LLLL y"}.get(self.tongue, "MMMM y")
        return format_date(first, pattern, locale=_locale(self.tongue))


def tongue_of(tag: str | None) -> Tongue:
    """The language of a POSIX locale or BCP 47 tag (ja_JP.UTF-8, hi-IN); English where there are no words for it."""
    code = (tag or "").replace("-", "_").split("_")[0].split(".")[0].lower()
    return Tongue(code) if code in [*Tongue] else Tongue.ENGLISH


@lru_cache
def _locale(tongue: Tongue) -> Locale:
    return Locale.parse(str(tongue))


@lru_cache
def _words(tongue: Tongue) -> dict[str, str]:
    text = files("clientorg.reports").joinpath("words", f"{tongue}.toml").read_text("utf-8")
    return {
        f"{section}.{key}": words for section, entries in tomllib.loads(text).items() for key, words in entries.items()
    }
