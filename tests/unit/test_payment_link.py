"""Payment links: what docs/payment-links.md promises a payment page, by its own vectors, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.paymentlink import PaymentLink
from clientorg.cli.notifywait import NotSentError
from clientorg.cli.paymentlink import is_mailed, new_link
from clientorg.control.paymentlinks import without_token
from clientorg.domain.paymentlink import TOKEN_TYPE, Keys, Link, audience_of, sign, verify
from clientorg.errors import InputError, NotificationError
from tests.support.install import ROOT
from tests.unit.cli_builders import client

PAGE = (ROOT / "docs" / "payment-links.md").read_text(encoding="utf-8")
(ENTRIES,) = (json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
TOKENS: list[str] = re.findall(r"^eyJ\S+$", PAGE, re.MULTILINE)
AGENCY, SITE = "agency-tokyo", "https://pay.sakura.example"
ISSUED, EXPIRES = 1795856400, 1796115600
LINK = Link(AGENCY, "7k2m9q4xta", "7k2m9q4xta-payment-link-20261128T090000Z", SITE, ISSUED, EXPIRES)


def check(token: str, *, agency: str = AGENCY, audience: str = SITE, now: float = ISSUED, **entries: str) -> Link:
    """Verify with the page's keys, or these."""
    return verify(token, entries or ENTRIES, agency=agency, audience=audience, now=now)


def forged(claims: dict[str, Any] | None = None, **header: Any) -> str:
    """A token signed with the page's first key that says something else."""
    payload = jwt.decode(TOKENS[0], options={"verify_signature": False})
    key = base64.b64decode(ENTRIES["2026-11"])
    headers = {"kid": "2026-11", "typ": TOKEN_TYPE, **header}
    merged = {name: value for name, value in {**payload, **(claims or {})}.items() if value is not None}
    return jwt.encode(merged, key, algorithm="HS256", headers=headers)


@pytest.mark.parametrize("token", TOKENS)
def test_vectors_of_the_page_are_valid_as_it_says(token: str) -> None:
    assert len(TOKENS) == 2
    assert check(token) == LINK
    assert check(token, now=EXPIRES - 1) == LINK


def test_vectors_are_what_is_signed() -> None:
    assert sign(LINK, Keys.of({"2026-11": ENTRIES["2026-11"]})) == TOKENS[0]
    assert sign(LINK, Keys.of(ENTRIES)) == TOKENS[1], "the current one of two signs"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"now": EXPIRES}, "expired"),
        ({"now": ISSUED - 61}, "future"),
        ({"audience": "https://pay.evil.example"}, "udience"),
        ({"agency": "agency-osaka"}, "ssuer"),
        ({"2026-11": base64.b64encode(b"x" * 32).decode()}, "ignature"),
        ({"2026-12": ENTRIES["2026-12"]}, "not known"),
    ],
)
def test_what_is_not_for_this_page_agency_time_and_key_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check(TOKENS[0], **change)


@pytest.mark.parametrize(
    "token",
    [
        forged({"purpose": "login"}),
        forged({"purpose": None}),
        forged({"exp": None}),
        forged({"jti": None}),
        forged({"sub": None}),
        forged(typ="JWT"),
        forged(kid="2026-10"),
        "",
        "no.token.atall",
        TOKENS[0].rpartition(".")[0] + ".",
        jwt.encode({"sub": "7k2m9q4xta"}, "", algorithm="none", headers={"typ": TOKEN_TYPE, "kid": "2026-11"}),
    ],
    ids=str,
)
def test_token_for_something_else_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check(token)


@given(st.integers(0, len(TOKENS[0]) - 1), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_."))
def test_token_with_any_other_character_says_nothing_else(place: int, character: str) -> None:
    changed = TOKENS[0][:place] + character + TOKENS[0][place + 1 :]
    try:
        assert check(changed) == LINK, "the last character of base64 has spare bits"
    except ValueError:
        assert changed != TOKENS[0]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "0 keys"),
        ({"current": "a"}, "0 keys"),
        ({"a": "eA=="}, "'a' has 1 bytes"),
        ({"a": "no base64!"}, "'a' is no base64"),
        ({**ENTRIES, "current": ""}, "has to name"),
        ({**ENTRIES, "current": "2026-10"}, "2026-11, 2026-12"),
        ({**ENTRIES, "2027-01": ENTRIES["2026-11"]}, "3 keys"),
    ],
)
def test_wrong_secret_is_told_by_its_entry_and_never_by_what_is_in_it(entries: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        Keys.of(entries)

    assert not any(value in str(raised.value) for name, value in entries.items() if name != "current" and value)
    assert ENTRIES["2026-11"] not in repr(Keys.of(ENTRIES))


@pytest.mark.parametrize(
    ("address", "audience"),
    [
        ("https://pay.sakura.example/setup?a=b#$(token)", SITE),
        ("https://PAY.sakura.example:443/", SITE),
        ("https://pay.sakura.example:8443/x", "https://pay.sakura.example:8443"),
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9"),
        ("http://[::1]:9/x", "http://[::1]:9"),
    ],
)
def test_audience_is_scheme_and_host(address: str, audience: str) -> None:
    assert audience_of(address) == audience


TERMS = PaymentLink(url_template=f"{SITE}/setup?org=$(orgID)&name=$(displayName)#$(token)")


def test_printed_link_is_one_of_its_own_that_the_page_takes() -> None:
    acme = client("acme")
    acme.setdefault("status", {})["orgID"] = "7k2m9q4xta"
    acme["spec"]["displayName"] = "Acme $(token) & Co"
    now = datetime.fromtimestamp(ISSUED, UTC)
    link, address = new_link(acme, AGENCY, TERMS, Keys.of(ENTRIES), now)

    front, _, token = address.partition("#")
    assert front == f"{SITE}/setup?org=7k2m9q4xta&name=Acme%20%24%28token%29%20%26%20Co"
    assert check(token) == link == replace(LINK, id=link.id)
    assert new_link(acme, AGENCY, TERMS, Keys.of(ENTRIES), now)[0].id != link.id
    with pytest.raises(InputError, match="no Org ID"):
        new_link({**acme, "status": {}}, AGENCY, TERMS, Keys.of(ENTRIES), now)


def test_token_that_a_mail_server_repeats_is_not_told_on() -> None:
    error = without_token(NotificationError(f"mail server: 550 <{SITE}/setup#{TOKENS[0]}> refused", permanent=True))

    assert str(error) == f"mail server: 550 <{SITE}/setup#…> refused"
    assert error.permanent


def test_mailed_link_counts_as_sent_when_the_operator_has_answered_and_the_server_taken_it() -> None:
    def item(state: str, handled: str = "now") -> dict[str, Any]:
        entry = {"kind": "payment-link", "mail": {"state": state, "lastError": "no such user"}}
        return {"status": {"lastHandledPaymentLink": handled, "outbox": [entry]}}

    assert is_mailed("acme", "now", item("Sent"))
    assert not is_mailed("acme", "now", item("Sent", "before"))
    assert not is_mailed("acme", "now", item("Pending"))
    with pytest.raises(NotSentError, match="no such user"):
        is_mailed("acme", "now", item("Failed"))
    with pytest.raises(NotSentError, match="get events"):
        is_mailed("acme", "now", {"status": {"lastHandledPaymentLink": "now"}})
