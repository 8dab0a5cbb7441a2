"""Languages of mails: which templates, and how numbers, dates and plurals are written there (CLDR by Babel)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_gmt, get_timezone_name
from babel.numbers import format_decimal, format_percent

DEFAULT: Final = "en"
LANGUAGES: Final = ("en", "ja", "cs", "hi")
FAMILY_NAME_FIRST: Final = ("ja",)

# Hindi tells the part of the day in words (सुबह 10:05), where CLDR's short form has an English am and pm.
_TIME_PATTERNS: Final = {"hi": "B h:mm"}
_UTC_NAMES: Final = ("UTC", "UCT", "Universal", "Zulu")


@dataclass(frozen=True, slots=True)
class Language:
    """A language that there are templates for, in the regional form that was asked for.

    Attributes:
        code: folder of the templates.
        locale: for numbers and dates; en-GB has English templates and British dates.
    """

    code: str
    locale: Locale

    @property
    def tag(self) -> str:
        """The BCP 47 tag, for the mail's `lang` and Content-Language."""
        return str(self.locale).replace("_", "-")

    def number(self, value: int) -> str:
        """1,234,567; 1 234 567; 12,34,567."""
        return format_decimal(value, locale=self.locale)

    def percent(self, value: int) -> str:
        """80%, or with a space where the language has one."""
        return format_percent(value / 100, locale=self.locale)

    def date(self, moment: datetime, zone: ZoneInfo) -> str:
        """The day: December 25, 2026."""
        return format_date(moment.astimezone(zone), "long", locale=self.locale)

    def moment(self, moment: datetime, zone: ZoneInfo) -> str:
        """Day, time and time zone, for what happens at a certain hour: December 25, 2026, 10:05 AM (Japan Time)."""
        form = _TIME_PATTERNS.get(self.code, "short")
        time = format_time(moment, form, tzinfo=zone, locale=self.locale).replace("\u202f", "\u00a0")
        pattern = "{} {}（{}）" if self.code == "ja" else "{}, {} ({})"
        return pattern.format(self.date(moment, zone), time, self._zone(moment, zone))

    def _zone(self, moment: datetime, zone: ZoneInfo) -> str:
        key = (zone.key or "").removeprefix("Etc/")
        if key in _UTC_NAMES:
            return "UTC"
        if "/" not in key:  # a bare offset, an abbreviation or a file: CLDR would say "unknown region"
            return get_timezone_gmt(moment.astimezone(zone), "long", locale=self.locale)
        return get_timezone_name(zone, "long", locale=self.locale)

    def plural(self, count: int, other: str, *, one: str | None = None, few: str | None = None) -> str:
        """The form for the count by the language's rules, its `#` replaced by the number, not to be torn from it."""
        forms = {"one": one, "few": few}
        form = forms.get(self.locale.plural_form(count)) or other
        return form.replace("# ", "#\u00a0").replace("#", self.number(count))

    def full_name(self, first: str, last: str) -> str:
        """A person's name in the order of the language; a team has no first name."""
        return (f"{last} {first}" if self.code in FAMILY_NAME_FIRST else f"{first} {last}").strip()


@lru_cache(maxsize=256)
def language_of(tag: str) -> Language:
    """The language for a BCP 47 tag: ja-JP is ja; one without templates, or no tag at all, is English."""
    parts = tag.replace("_", "-").split("-")
    code = parts[0].lower()
    if code not in LANGUAGES:
        return Language(DEFAULT, Locale.parse(DEFAULT))
    region = next((part.upper() for part in parts[1:] if len(part) == 2 and part.isalpha()), None)
    if region is not None:
        try:
            return Language(code, Locale.parse(f"{code}_{region}"))
        except (ValueError, UnknownLocaleError):
            pass  # no such region
    return Language(code, Locale.parse(code))
