"""The dashboard's words, from words/<language>.toml; numbers and dates are those of the reports."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from clientorg.reports.language import Language, Tongue, tongue_of

NAMES = {Tongue.ENGLISH: "English", Tongue.JAPANESE: "日本語", Tongue.CZECH: "Čeština", Tongue.HINDI: "हिन्दी"}
"""Each language in itself."""


@lru_cache
def words_of(tongue: Tongue) -> dict[str, str]:
    """Key to text; of tables their keys are joined by dots."""
    text = files("clientorg.dashboard").joinpath("words", f"{tongue}.toml").read_text("utf-8")
    return {
        f"{section}.{key}": words for section, entries in tomllib.loads(text).items() for key, words in entries.items()
    }


class Speech:
    """What a page is written in.

    Args:
        tongue: the reader's language.
        zone: the time zone that the reader counts days in.
    """

    def __init__(self, tongue: Tongue, zone: ZoneInfo) -> None:
        self.tongue = tongue
        self.language = Language(tongue, zone)
        self._words = words_of(tongue)

    def __call__(self, key: str, **values: object) -> str:
        """The words for a key. Raises KeyError for one that there is none for: a fault of this package."""
        text = self._words[key]
        return text.format(**values) if values else text

    def code(self, section: str, code: str) -> str:
        """The word for a code of the API; the code itself where there is none, as of a newer API."""
        return self._words.get(f"{section}.{code}", code)

    def number(self, value: int | None, *, signed: bool = False) -> str:
        """1,234,567; a dash for what is not known."""
        return "–" if value is None else self.language.number(value, signed=signed)

    def decimal(self, value: Decimal | float | None, *, signed: bool = False) -> str:
        """1.5; with one decimal at most."""
        from babel.numbers import format_decimal

        if value is None:
            return "–"
        size = -value if value < 0 else value
        text = format_decimal(size, format="#,##0.#", locale=str(self.tongue))
        return ("−" if value < 0 else "+" if signed and value else "") + text

    def money(self, value: Decimal, currency: str) -> str:
        """¥12,000; CZK 1,200.50: an amount as it is written, with its currency."""
        from babel.numbers import format_currency

        return format_currency(value, currency, locale=str(self.tongue))

    def week(self, day: date | None) -> str:
        """Nov 22, 2026: a day that has no time zone."""
        from babel.dates import format_date

        return "–" if day is None else format_date(day, "medium", locale=str(self.tongue))

    def day(self, moment: datetime | None) -> str:
        """Nov 25, 2026."""
        return "–" if moment is None else self.language.short(moment)

    def moment(self, moment: datetime | None) -> str:
        """Nov 25, 2026, 9:05 AM."""
        return "–" if moment is None else f"{self.language.short(moment)}, {self.language.clock(moment)}"

    def far(self, moment: datetime | None, now: datetime) -> str:
        """How far away a day is: today, in 3 days, 5 days ago (CLDR)."""
        if moment is None:
            return ""
        from babel.dates import format_timedelta

        span = moment - now
        if abs(span.total_seconds()) < 60:
            return self("time.now")
        return format_timedelta(span, add_direction=True, locale=str(self.tongue), threshold=1.5)


def preferred(accept_language: str) -> Tongue:
    """The first language of the browser that there are words for; English without any."""
    ranked: list[tuple[float, int, str]] = []
    for index, part in enumerate(accept_language.split(",")):
        tag, _, quality = part.partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        ranked.append((-weight, index, tag.strip()))
    for _, _, tag in sorted(ranked):
        found = tongue_of(tag)
        if found is not Tongue.ENGLISH or tag.lower().startswith("en"):
            return found
    return Tongue.ENGLISH
