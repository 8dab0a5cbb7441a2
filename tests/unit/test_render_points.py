"""Mails about points and the end of a contract, to clients and to the agency (FEATURES S6, S10, S11)."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from clientorg.api.notifications import NotificationKind
from clientorg.notify.language import language_of
from tests.support.messages import PARAMS as EXAMPLES
from tests.unit.test_render import each_language, mail


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            [
                "a points balance of -12,500\u00a0points.",
                "- Below zero since: December 18, 2026, 10:05\u00a0AM (Japan Time)\n",
                "- Paused from: December 25, 2026, 10:05\u00a0AM (Japan Time)\n",
                "- Next charge: 13,000\u00a0points\n",
                "- Charged on: January 25, 2027, 12:00\u00a0AM (Japan Time)\n",
                "still below zero on December 25, 2026, the workspace is paused",
            ],
        ),
        (
            "ja",
            [
                "ポイント残高が-12,500ポイントとなりました",
                "- 一時停止予定日時: 2026年12月25日 10:05（日本時間）\n",
                "- 次回のご利用ポイント: 13,000ポイント\n",
                "- 次回の引き落とし日時: 2027年1月25日 0:00（日本時間）\n",
            ],
        ),
        (
            "cs",
            [
                "je -12\u00a0500\u00a0bodů.",
                "- Pozastavení: 25. prosince 2026, 10:05 (japonský čas)\n",
                "- Příští odečet: 13\u00a0000\u00a0bodů\n",
            ],
        ),
        (
            "hi",
            [
                "बैलेंस -12,500\u00a0पॉइंट है।",
                "- रोके जाने का समय: 25 दिसंबर 2026, सुबह 10:05 (जापान समय)\n",
                "- अगला शुल्क: 13,000\u00a0पॉइंट\n",
            ],
        ),
    ],
)
def test_negative_balance_says_how_much_since_when_and_what_is_next(language: str, said: list[str]) -> None:
    text = mail("balance-negative", language).text

    assert [line for line in said if line not in text] == []


@each_language
def test_negative_balance_that_never_pauses_announces_no_pause(language: str) -> None:
    with_pause, without = (
        mail("balance-negative", language, params).text for params in EXAMPLES[NotificationKind.BALANCE_NEGATIVE]
    )

    assert without.count("2026") == 1, "only since when"
    assert len(with_pause.splitlines()) == len(without.splitlines()) + 5


@pytest.mark.parametrize(
    ("language", "points", "text"),
    [
        ("en", 1, "1\u00a0point"),
        ("en", 2, "2\u00a0points"),
        ("ja", 1200, "1,200ポイント"),
        ("cs", 1, "1\u00a0bod"),
        ("cs", 3, "3\u00a0body"),
        ("cs", 1200, "1\u00a0200\u00a0bodů"),
        ("hi", 120000, "1,20,000\u00a0पॉइंट"),
    ],
)
def test_settlement_is_told_as_shortfall_made_up_or_surplus_consumed(language: str, points: int, text: str) -> None:
    times = {"time": "2026-12-18T01:05:00Z", "purgeAfter": "2027-01-18T01:05:00Z"}
    made_up, consumed, settled = (
        mail("terminated", language, {**times, **settlement}).text
        for settlement in ({"settlement": str(points)}, {"settlement": str(-points)}, {})
    )

    assert made_up != consumed
    assert made_up.count(text) == consumed.count(text) == 2, "as a row and as a sentence"
    assert text not in settled


@pytest.mark.parametrize(
    ("language", "offer"),
    [
        ("en", "reactivate"),
        ("ja", "再開をご希望の場合"),
        ("cs", "znovu aktivovat"),
        ("hi", "फिर से सक्रिय"),
    ],
)
def test_whose_contract_has_ended_is_not_offered_to_be_reactivated(language: str, offer: str) -> None:
    after = {"purgeAfter": "2026-12-25T01:05:00Z"}
    for kind, params in (("deactivated", after), ("reminder", {**after, "days": "7"})):
        usual, ended = (mail(kind, language, {**params, **more}) for more in ({}, {"terminated": "true"}))
        assert offer in usual.text
        assert offer not in ended.text + ended.html
        assert mail(kind, language, {**params, "terminated": "false"}) == usual
    assert offer not in mail("terminated", language).text


@each_language
def test_end_of_a_contract_is_announced_at_the_plans_day(language: str) -> None:
    """15:00 in UTC is midnight in Tokyo, the day after."""
    first, moved = (
        mail("termination-scheduled", language, p) for p in EXAMPLES[NotificationKind("termination-scheduled")]
    )
    tokyo = ZoneInfo("Asia/Tokyo")
    february, march = (language_of(language).date(datetime(2027, month, 1, tzinfo=tokyo), tokyo) for month in (2, 3))

    assert february in first.subject
    assert march not in first.text
    assert march in moved.subject
    assert february in moved.text, "what it was before"
    assert february in mail("termination-withdrawn", language).text


@each_language
def test_resumed_tells_that_the_balance_is_well_only_where_it_was_not(language: str) -> None:
    usual, of_points, of_other = (
        mail("resumed", language, params).text for params in EXAMPLES[NotificationKind.RESUMED]
    )

    assert usual == of_other
    assert len(of_points.splitlines()) == len(usual.splitlines()) + 2


@pytest.mark.parametrize(
    ("language", "greeting"),
    [
        ("en", "Hello Billing team,\n"),
        ("ja", "Billing team 様\n"),
        ("cs", "Dobrý den,\n"),
        ("hi", "नमस्ते Billing team,\n"),
    ],
)
def test_agency_is_addressed_by_the_one_name_of_its_contact(language: str, greeting: str) -> None:
    for kind in ("points-low", "points-short", "points-restored"):
        written = mail(kind, language, client="Main stock", org_id="", first_name="", last_name="Billing team")
        assert written.text.startswith(greeting)
        assert "\nMain stock\n" in written.text, "at the end: what the message is about"
        assert "Main stock" in written.subject


@pytest.mark.parametrize(
    ("language", "missing", "day"),
    [
        (
            "en",
            "22,500\u00a0points are missing, by December 25, 2026.",
            "December 25, 2026, 12:00\u00a0AM (Japan Time)",
        ),
        ("ja", "22,500ポイント不足しています。2026年12月25日までに", "2026年12月25日 0:00（日本時間）"),
        ("cs", "chybí 22\u00a0500\u00a0bodů, potřebné do 25. prosince 2026.", "25. prosince 2026, 0:00 (japonský čas)"),
        ("hi", "22,500\u00a0पॉइंट कम हैं। ये 25 दिसंबर 2026 तक", "25 दिसंबर 2026, मध्यरात्रि 12:00 (जापान समय)"),
    ],
)
def test_agency_is_told_how_many_points_it_misses_and_by_when(language: str, missing: str, day: str) -> None:
    text = mail("points-short", language).text

    assert missing in text
    assert f": {day}\n" in text
    assert re.search(r": 3件?\n", text), "transactions that wait"
