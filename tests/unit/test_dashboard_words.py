"""The words of the dashboard: the same keys and placeholders in every language, and every key that a template names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clientorg.api.clientorg import ClientStatus, OrgState, PauseReason
from clientorg.api.pointtransaction import TransactionKind
from clientorg.api.subscription import InvoiceState, SubscriptionState, SubscriptionType
from clientorg.dashboard import query, reportpages
from clientorg.dashboard.words import preferred, words_of
from clientorg.reports.language import Tongue

TEMPLATES = Path(query.__file__).with_name("templates")
OTHERS = [tongue for tongue in Tongue if tongue is not Tongue.ENGLISH]


def _placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("tongue", OTHERS)
def test_every_language_says_the_same(tongue: Tongue) -> None:
    """The same keys, with the same values put in, and never the English words by oversight."""
    english, other = words_of(Tongue.ENGLISH), words_of(tongue)
    assert other.keys() == english.keys()
    for key, text in english.items():
        assert _placeholders(other[key]) == _placeholders(text), key
    same = {key for key, text in english.items() if other[key] == text}
    assert same <= {"client.org_id", "client.role"}, same  # Org ID; role is a Czech word too


def test_every_word_of_the_templates_is_there() -> None:
    """A key that a template names is one of the words."""
    words = words_of(Tongue.ENGLISH)
    for template in TEMPLATES.glob("*.j2"):
        for key in re.findall(r"""\bt\(["']([a-z_]+\.[A-Za-z_-]+)["'][,)]""", template.read_text(encoding="utf-8")):
            assert key in words, (template.name, key)


@pytest.mark.parametrize(
    ("section", "codes"),
    [
        ("state", [*OrgState]),
        ("status", [*ClientStatus, *SubscriptionState]),
        ("type", [*SubscriptionType]),
        ("invoice", [*InvoiceState]),
        ("pause", [*PauseReason]),
        ("kind", [*TransactionKind]),
        ("only", [*query.SPECIAL]),
        ("report", [*reportpages.TABLES]),
        ("explain_report", [*reportpages.TABLES]),
        ("column", [column for columns in reportpages.COLUMNS.values() for column in columns]),
    ],
)
def test_every_code_of_the_api_has_a_word(section: str, codes: list[str]) -> None:
    """What the API may say is said in words."""
    words = words_of(Tongue.ENGLISH)
    assert [code for code in codes if f"{section}.{code}" not in words] == []


@pytest.mark.parametrize(
    ("header", "tongue"),
    [
        ("", Tongue.ENGLISH),
        ("cs,en;q=0.8", Tongue.CZECH),
        ("de-DE,de;q=0.9,ja;q=0.5,en;q=0.3", Tongue.JAPANESE),
        ("en-US,hi;q=0.9", Tongue.ENGLISH),
        ("fr;q=nonsense,hi-IN", Tongue.HINDI),
        ("zh", Tongue.ENGLISH),
    ],
)
def test_the_browsers_language_is_taken(header: str, tongue: Tongue) -> None:
    """The first one that there are words for."""
    assert preferred(header) is tongue
