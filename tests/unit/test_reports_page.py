"""The statement as a page: well-formed, escaped, accessible, in every language; and that the languages are whole."""

from __future__ import annotations

import re
import tomllib
from html.parser import HTMLParser
from importlib.resources import files
from string import Formatter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.pointtransaction import TransactionKind
from clientorg.cli.exportflags import Tongue as Flag
from clientorg.reports.clients import client_row, clients_table
from clientorg.reports.language import Tongue, tongue_of
from clientorg.reports.ledger import ledger_row, ledger_table
from clientorg.reports.page import statement_page
from tests.unit.report_builders import CHARGE, full_client, language, movement, november

VOID = {"meta", "br"}
TONGUES = [*Tongue]
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "{% raw %}",
    "</style><b>",
    "&amp;",
    "{client}",
    "\u202egnp.exe",
)


class Page(HTMLParser):
    """The page as a browser takes it: elements, their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], "everything that is opened is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of the name."""
        return [attributes for name, attributes in self.elements if name == tag]


def page(tongue: str = "en", zone: str = "UTC", **spec: Any) -> Page:
    """A page with a charge and a top-up."""
    found = november(
        movement(1, "Charge", 1250, period="2026-11", charge=CHARGE),
        movement(2, amount=99, reason=spec.pop("reason", "why"), reference=spec.pop("reference", "INV-1")),
        **spec,
    )
    return Page(statement_page(found, language(tongue, zone)))


@pytest.mark.parametrize("tongue", TONGUES)
def test_a_page_says_its_language_and_names_its_tables(tongue: Tongue) -> None:
    found = page(tongue)
    assert found.all("html") == [{"lang": str(tongue)}]
    assert len(found.all("caption")) == len(found.all("table")) == 2
    assert {attributes.get("scope") for attributes in found.all("th")} == {"col", "row"}
    assert language(tongue).word("statement.closing") in found.text
    captions = {attributes["id"] for attributes in found.all("caption")}
    regions = [attributes for attributes in found.all("div") if attributes.get("role") == "region"]
    assert {attributes["aria-labelledby"] for attributes in regions} == captions
    assert all(attributes["tabindex"] == "0" for attributes in regions), "scrolled by the keyboard too"
    assert len(found.all("h1")) == len(found.all("main")) == 1
    assert "Harbor Digital" in found.text


def test_a_page_needs_nothing_else() -> None:
    text = statement_page(november(), language())
    tags = {tag for tag, _ in Page(text).elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "a"}
    assert "url(" not in text
    assert "http" not in re.sub(r"http-equiv", "", text)


def test_a_page_prints_on_a4_with_its_headings_on_each_sheet() -> None:
    text = statement_page(november(), language())
    assert re.search(r"@page \{ size: A4;", text)
    assert "thead { display: table-header-group; }" in text
    assert "@media print {\n  :root { color-scheme: light; }" in text
    assert "@media screen and (prefers-color-scheme: dark)" in text, "dark colors are for the screen alone"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_people_wrote_is_text(hostile: str) -> None:
    calm = [tag for tag, _ in page(displayName="Acme", organization="Acme GK").elements]
    found = page(displayName=hostile, organization=f"{hostile} GK", reason=hostile, reference=hostile)
    assert [tag for tag, _ in found.elements] == calm, "no element more, none less"
    assert found.text.count(hostile) >= 4


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60))
def test_any_name_is_shown_as_it_is(name: str) -> None:
    found = page(displayName=f"x{name}x".replace("\ufffe", "").replace("\uffff", ""))
    assert f"x{name}x".replace("\ufffe", "").replace("\uffff", "") in found.text


@pytest.mark.parametrize(
    ("tongue", "words"),
    [
        ("en", ["Statement of points, November 2026", "−1,250", "Nov 10, 2026", "Monthly charge for 2026-11"]),
        ("ja", ["ポイント明細書（2026年11月）", "−1,250", "2026/11/10", "月額課金（2026-11 分）"]),
        ("cs", ["Výpis bodů, listopad 2026", "−1\u00a0250", "10. 11. 2026", "Měsíční poplatek za 2026-11"]),
        ("hi", ["पॉइंट विवरण, नवंबर 2026", "−1,250", "मासिक शुल्क 2026-11 के लिए"]),
    ],
)
def test_numbers_and_dates_are_written_as_in_the_language(tongue: str, words: list[str]) -> None:
    text = page(tongue).text
    for word in words:
        assert word in text


def test_large_numbers_in_hindi_are_grouped_as_there() -> None:
    assert language("hi").number(1234567) == "12,34,567"
    assert language("hi").number(-1234567, signed=True) == "−12,34,567"


def test_days_are_those_of_the_time_zone() -> None:
    late = november(movement(1, posted="2026-11-10T15:00:00Z"), zone="Asia/Tokyo")
    text = Page(statement_page(late, language("en", "Asia/Tokyo"))).text
    assert "Nov 11, 2026" in text
    assert "Days and times in Asia/Tokyo." in text


def _words(tongue: str) -> dict[str, str]:
    found = tomllib.loads(files("clientorg.reports").joinpath("words", f"{tongue}.toml").read_text("utf-8"))
    return {f"{section}.{key}": text for section, entries in found.items() for key, text in entries.items()}


@pytest.mark.parametrize("tongue", TONGUES)
def test_each_language_has_all_words_with_the_same_values(tongue: str) -> None:
    english, found = _words("en"), _words(tongue)
    assert found.keys() == english.keys()
    for key, text in found.items():
        fields = {name for _, name, _, _ in Formatter().parse(text) if name}
        assert fields == {name for _, name, _, _ in Formatter().parse(english[key]) if name}, key
        assert text.strip(), key
    assert {f"kind.{kind}" for kind in TransactionKind} <= found.keys()


@pytest.mark.parametrize("tongue", TONGUES)
def test_headings_differ_from_each_other_in_every_language(tongue: str) -> None:
    """A pivot table cannot tell two columns of one name apart."""
    tables: list[Any] = [
        clients_table([client_row(full_client())], language(tongue)),
        ledger_table([ledger_row(movement(1))], language(tongue)),
    ]
    for table in tables:
        assert len(set(table.headings)) == len(table.headings)
        assert len(table.title) <= 31, "the name of a sheet"


@pytest.mark.parametrize(
    ("tag", "tongue"),
    [
        ("ja_JP.UTF-8", "ja"),
        ("hi-IN", "hi"),
        ("cs", "cs"),
        ("C.UTF-8", "en"),
        ("POSIX", "en"),
        ("de_DE", "en"),
        (None, "en"),
    ],
)
def test_the_language_of_a_locale(tag: str | None, tongue: str) -> None:
    assert tongue_of(tag) == tongue


def test_the_flag_has_the_languages_that_there_are() -> None:
    assert [*Flag] == [*Tongue]
