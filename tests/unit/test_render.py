"""Mails as they are written: each kind in each language, and nothing that a user wrote is more than text (Z6, Z9)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clientorg.api.notifications import NotificationKind
from clientorg.domain.messages import new_entry
from clientorg.errors import NotificationError
from clientorg.notify.kinds import PARAMS, license_shares, read_params
from clientorg.notify.language import LANGUAGES, language_of
from clientorg.notify.lines import one_line, web_address
from clientorg.notify.render import Brand, Rendered, render
from tests.support.messages import EVERY_PARAMS, NOW, context
from tests.support.messages import PARAMS as EXAMPLES

each_language = pytest.mark.parametrize("language", LANGUAGES)
each_message = pytest.mark.parametrize(
    ("kind", "params"), EVERY_PARAMS, ids=[f"{kind.value}-{number}" for number, (kind, _) in enumerate(EVERY_PARAMS)]
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"
HOSTILE = '<script>alert("x")</script> {{ 7*7 }} {% raw %} \' & "'


def mail(kind: str, language: str = "en", params: dict[str, str] | None = None, **changes: object) -> Rendered:
    """One of the mails; by default with the usual params of its kind."""
    return render(kind, language, context(EXAMPLES[NotificationKind(kind)][0] if params is None else params, **changes))


class Page(HTMLParser):
    """What a mail client would make of the HTML."""

    VOID = frozenset(("meta", "br"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        assert not {name for name in values if name.startswith("on")}, "no scripts"
        assert "url(" not in (values.get("style") or ""), "nothing is loaded"
        assert not {"src", "background"} & values.keys(), "nothing is loaded"
        if tag == "a":
            self.links.append(values["href"] or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@each_language
@each_message
def test_every_mail_is_complete(kind: NotificationKind, params: dict[str, str], language: str) -> None:
    written = render(kind, language, context(params))
    page = Page(written.html)

    assert written.subject == one_line(written.subject)
    assert "Acme K.K." in written.subject
    for text in (written.subject, written.text, page.text):
        assert not re.search(r"\{\{|\}\}|\{%|%\}|#|None|Undefined|<|>", text)
    assert page.tags <= {
        *("html", "head", "meta", "title", "body", "div", "table", "tr", "td", "h1", "p", "br", "a", "strong")
    }
    assert "Sakura Digital" in written.text
    assert "Sakura Digital" in page.text
    assert f'lang="{language}"' in written.html
    assert "\n\n\n" not in written.text


@each_language
@each_message
def test_text_and_html_say_the_same(kind: NotificationKind, params: dict[str, str], language: str) -> None:
    written = render(kind, language, context(params))
    body = Page(written.html).text
    for line in written.text.splitlines():
        _, _, said = line.removeprefix("- ").rpartition(": ")
        if said.startswith("https://") or line == "-- ":
            continue  # a link in HTML
        assert " ".join(said.split()) in " ".join(body.split())


@each_language
def test_templates_say_what_the_documented_params_are(language: str) -> None:
    """A template that no longer uses a param, or uses one that nobody gives, is a mistake."""
    assert set(EXAMPLES) == set(NotificationKind) == set(PARAMS)
    folder = files("clientorg.notify") / "templates" / language
    assert {path.name for path in folder.iterdir()} == {
        *(f"{kind.value}.j2" for kind in NotificationKind),
        "_mail.j2",
        "_agency.j2",
    }
    for kind, params in PARAMS.items():
        source = (folder / f"{kind.value}.j2").read_text()
        for name in params.keys() - {"days"}:  # mails count the days that are left when they are sent
            assert re.search(rf"\b{name}\b", source), f"{language}/{kind.value} does not use {name}"


def test_page_lists_every_kind_with_its_params() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    for kind, params in PARAMS.items():
        assert [name for name in params if f"`{name}`" not in rows[kind.value]] == [], kind


@each_language
@each_message
def test_what_users_wrote_is_text_and_nothing_else(
    kind: NotificationKind, params: dict[str, str], language: str
) -> None:
    brand = Brand(HOSTILE, f"https://help.example/?{HOSTILE}".replace(" ", "+"), "javascript:alert(1)")
    hostile = {name: HOSTILE if name in ("license", "reason") else text for name, text in params.items()}
    changes = {"client": HOSTILE, "first_name": HOSTILE, "last_name": HOSTILE, "brand": brand}
    written = render(kind, language, context(hostile, license_names={}, **changes))
    page = Page(written.html)

    assert "script" not in page.tags
    assert '<script>alert("x")</script> {{ 7*7 }} {% raw %}' in page.text
    assert "49" not in page.text
    assert not any(link.startswith("javascript:") for link in page.links)
    assert "javascript:" not in written.text


@each_language
def test_names_with_line_breaks_stay_on_their_line(language: str) -> None:
    name = "Acme\r\nBcc: victim@example.com\x00\x1b[31m\u2028\u202e\x85X"
    written = mail("delivery", language, client=name, first_name=name, last_name=name, brand=Brand(name))

    assert written.subject == one_line(written.subject)
    assert "Acme Bcc: victim@example.com [31m X" in written.subject
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", written.subject + written.text + written.html)
    assert not any(line.startswith("Bcc:") for line in written.text.splitlines())


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_one_line_is_one_line_of_any_text(text: str) -> None:
    line = one_line(text)

    assert len(line.splitlines()) <= 1
    assert line == one_line(line) == line.strip()
    line.encode()


def test_joiners_of_devanagari_and_emoji_survive() -> None:
    assert one_line("क्\u200dष \U0001f468\u200d\U0001f469\u200d\U0001f467") == (
        "क्\u200dष \U0001f468\u200d\U0001f469\u200d\U0001f467"
    )


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://", "https://a b", "http://[", ""]
)
def test_only_web_addresses_become_links(address: str) -> None:
    assert web_address(address) is None
    assert web_address("https://portal.example/x?y=1&z=2") is not None


# -- languages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "code", "written_as"),
    [
        ("ja", "ja", "ja"),
        ("ja-JP", "ja", "ja-JP"),
        ("JA", "ja", "ja"),
        ("en-GB", "en", "en-GB"),
        ("cs-CZ", "cs", "cs-CZ"),
        ("hi-Deva-IN", "hi", "hi-IN"),
        ("en-XX", "en", "en"),
        ("fr", "en", "en"),
        ("fr-FR", "en", "en"),
        ("zh-Hant-TW", "en", "en"),
        ("", "en", "en"),
        ("../../etc", "en", "en"),
    ],
)
def test_language_falls_back_to_what_there_is(tag: str, code: str, written_as: str) -> None:
    assert language_of(tag).code == code
    assert render("resumed", tag, context()).language == written_as


@pytest.mark.parametrize(
    ("language", "number", "percent", "time"),
    [
        ("en", "1,041,241", "80%", "December 18, 2026, 10:05\u00a0AM (Japan Time)"),
        ("en-GB", "1,041,241", "80%", "18 December 2026, 10:05 (Japan Time)"),
        ("ja", "1,041,241", "80%", "2026年12月18日 10:05（日本時間）"),
        ("cs", "1\u00a0041\u00a0241", "80\u00a0%", "18. prosince 2026, 10:05 (japonský čas)"),
        ("hi", "10,41,241", "80%", "18 दिसंबर 2026, सुबह 10:05 (जापान समय)"),
    ],
)
def test_numbers_and_times_are_written_as_the_language_does(
    language: str, number: str, percent: str, time: str
) -> None:
    text = mail("threshold", language).text

    assert f": {number}\n" in text
    assert percent in text
    assert f": {time}\n" in text


@pytest.mark.parametrize(
    ("zone", "time"),
    [
        ("UTC", "December 18, 2026, 1:05\u00a0AM (UTC)"),
        ("Etc/UTC", "December 18, 2026, 1:05\u00a0AM (UTC)"),
        ("Etc/GMT-9", "December 18, 2026, 10:05\u00a0AM (GMT+09:00)"),
        ("Europe/Prague", "December 18, 2026, 2:05\u00a0AM (Central European Time)"),
        ("America/New_York", "December 17, 2026, 8:05\u00a0PM (Eastern Time)"),
    ],
)
def test_times_are_those_of_the_plans_time_zone(zone: str, time: str) -> None:
    assert time in mail("resumed", time_zone=ZoneInfo(zone)).text


@pytest.mark.parametrize(
    ("language", "days", "subject"),
    [
        ("en", 0, "Acme K.K. will be permanently deleted today"),
        ("en", 1, "Acme K.K. will be permanently deleted tomorrow"),
        ("en", 30, "Acme K.K. will be permanently deleted in 30 days"),
        ("ja", 0, "【重要】Acme K.K. 様：データの完全削除のお知らせ（本日）"),
        ("ja", 1, "【重要】Acme K.K. 様：データの完全削除のお知らせ（明日）"),
        ("ja", 7, "【重要】Acme K.K. 様：データの完全削除のお知らせ（あと7日）"),
        ("cs", 0, "Organizace Acme K.K. bude dnes trvale smazána"),
        ("cs", 1, "Organizace Acme K.K. bude zítra trvale smazána"),
        ("cs", 2, "Organizace Acme K.K. bude za 2 dny trvale smazána"),
        ("cs", 4, "Organizace Acme K.K. bude za 4 dny trvale smazána"),
        ("cs", 5, "Organizace Acme K.K. bude za 5 dní trvale smazána"),
        ("cs", 22, "Organizace Acme K.K. bude za 22 dní trvale smazána"),
        ("hi", 0, "Acme K.K. का डेटा आज स्थायी रूप से हटा दिया जाएगा"),
        ("hi", 1, "Acme K.K. का डेटा कल स्थायी रूप से हटा दिया जाएगा"),
        ("hi", 7, "Acme K.K. का डेटा 7 दिन बाद स्थायी रूप से हटा दिया जाएगा"),
    ],
)
def test_reminder_counts_days_in_the_forms_of_the_language(language: str, days: int, subject: str) -> None:
    purge_after = (NOW + timedelta(days=days)).isoformat()

    assert mail("reminder", language, {"days": str(days), "purgeAfter": purge_after}).subject == subject


@pytest.mark.parametrize(
    ("remaining", "text"), [(1, "1 licence"), (3, "3 licence"), (5, "5 licencí"), (0, "0 licencí")]
)
def test_czech_counts_licenses_in_three_forms(remaining: int, text: str) -> None:
    params = {"license": "visitors", "percent": "90", "used": str(100 - remaining), "granted": "100"}

    assert f"Zbývá: {text.replace(' ', chr(160))}\n" in mail("threshold", "cs", params).text


def test_reminder_that_is_sent_late_tells_the_days_that_are_left_then() -> None:
    """The mail server was down for four days."""
    params = {"days": "7", "purgeAfter": "2026-12-25T01:05:00Z"}

    assert mail("reminder", params=params, now=NOW + timedelta(days=4)).subject.endswith("in 3 days")
    assert mail("reminder", params=params, now=NOW + timedelta(days=40)).subject.endswith("today")


def test_days_are_counted_on_the_calendar_of_the_plans_time_zone() -> None:
    """2 hours away, but tomorrow in Tokyo."""
    late = datetime(2026, 12, 18, 14, 0, tzinfo=UTC)  # 23:00 in Tokyo
    params = {"days": "1", "purgeAfter": "2026-12-18T16:00:00Z"}

    assert mail("reminder", params=params, now=late).subject.endswith("tomorrow")
    assert mail("reminder", params=params, now=late, time_zone=ZoneInfo("UTC")).subject.endswith("today")


def test_each_language_addresses_the_contact_politely() -> None:
    assert mail("resumed", "en").text.startswith("Dear Yuki Sato,\n")
    assert mail("resumed", "ja").text.startswith("Acme K.K.\nSato Yuki 様\n"), "family name first"
    assert mail("resumed", "cs").text.startswith("Dobrý den,\n")
    assert mail("resumed", "hi").text.startswith("नमस्ते Yuki Sato जी,\n")


@each_language
def test_contact_is_told_a_way_that_exists(language: str) -> None:
    support = "https://support.example"
    answers = [
        mail("reminder", language, brand=Brand("A", None, support, takes_replies)).text
        for takes_replies in (True, False)
    ]
    without = mail("reminder", language, brand=Brand("A"))

    assert answers[0] != answers[1]
    assert all(support in answer for answer in answers)
    assert without.text not in answers
    assert Page(without.html).links == []


def test_license_is_told_by_its_display_name_where_it_has_one() -> None:
    text = mail("waiting", license_names={"visitors": "Monthly visitors"}).text

    assert "- seats: 0 of 25\n- Monthly visitors: 300 of 500\n" in text


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("birthday", {}, "unknown kind of message 'birthday'"),
        ("threshold", {"license": "visitors"}, "threshold: param 'percent' is missing"),
        ("reminder", {"days": "x", "purgeAfter": "2026-12-25T01:05:00Z"}, "reminder: param 'days' cannot be read"),
        ("reminder", {"days": "7", "purgeAfter": "soon"}, "reminder: param 'purgeAfter' cannot be read"),
        ("reminder", {"days": "7", "purgeAfter": "2026-12-25T01:05:00"}, "a time needs its offset from UTC"),
        ("waiting", {"licenses": "visitors"}, "waiting: param 'licenses' cannot be read"),
        ("terminated", {"time": "2026-12-25T01:05:00Z"}, "terminated: param 'purgeAfter' is missing"),
        ("points-low", {"balance": "1.5", "threshold": "2"}, "points-low: param 'balance' cannot be read"),
        ("reminder", {"days": "7", "purgeAfter": "2026-12-25T01:05:00Z", "terminated": "yes"}, "either true or false"),
        ("deactivated", {"purgeAfter": "0001-01-01T00:00:00+14:00"}, "template en/deactivated: "),
    ],
)
def test_what_cannot_be_written_is_a_permanent_error_that_says_why(
    kind: str, params: dict[str, str], message: str
) -> None:
    with pytest.raises(NotificationError, match=re.escape(message)) as raised:
        render(kind, "en", context(params))

    assert raised.value.permanent


def test_params_come_back_from_the_outbox_as_they_went_in() -> None:
    shares = license_shares({"visitors": (300, 500), "seats": (0, 25)})
    entry = new_entry("waiting-1", "waiting", {"licenses": shares}, NOW, ())
    (seats, visitors) = read_params(NotificationKind.WAITING, entry.params)["licenses"]

    assert (seats.name, seats.granted, seats.wanted) == ("seats", 0, 25)
    assert (visitors.name, visitors.granted, visitors.wanted) == ("visitors", 300, 500)
