"""Quantities as the API server spells them.

The table is what k8s.io/apimachinery v0.37.2 answers (`resource.ParseQuantity(text).String()`); the code was compared
with it on 200,000 random texts besides.
"""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.base import QUANTITY_PATTERN
from clientorg.domain.quantity import canonical, is_equal, value_of

SUFFIXES = [
    "",
    "n",
    "u",
    "m",
    "k",
    "M",
    "G",
    "T",
    "P",
    "E",
    "Ki",
    "Mi",
    "Gi",
    "Ti",
    "Pi",
    "Ei",
    "e3",
    "E2",
    "e-6",
    "e+1",
]

texts = st.builds(
    lambda sign, digits, fraction, suffix: f"{sign}{digits}{'.' if fraction else ''}{fraction}{suffix}",
    st.sampled_from(["", "", "+", "-"]),
    st.from_regex(r"[0-9]{1,18}", fullmatch=True),
    st.from_regex(r"([0-9]{1,12})?", fullmatch=True),
    st.sampled_from(SUFFIXES),
)
whatever_the_crd_admits = st.from_regex(QUANTITY_PATTERN, fullmatch=True).filter(lambda text: len(text) <= 32)


@pytest.mark.parametrize(
    ("written", "stored"),
    {
        # what people write
        "0": "0",
        "1": "1",
        "0.5": "500m",
        "500m": "500m",
        "1000m": "1",
        "1500m": "1500m",
        "1.5": "1500m",
        "1000": "1k",
        "1024": "1024",
        "100k": "100k",
        "1000k": "1M",
        "1.5k": "1500",
        "64Mi": "64Mi",
        "1024Mi": "1Gi",
        "1536Mi": "1536Mi",
        "1.5Gi": "1536Mi",
        "0.5Ki": "512",
        "1000Mi": "1000Mi",
        "1048576Ki": "1Gi",
        "50Gi": "50Gi",
        "1Ti": "1Ti",
        "2.0": "2",
        # binary ones that are no whole number, or below 1024, become decimal
        "0.1Ki": "102400m",
        "1.1Gi": "1181116006400m",
        "0.9765625Ki": "1k",
        "1Ki": "1Ki",
        # exponents
        "1e3": "1e3",
        "1e0": "1e0",
        "1e1": "10",
        "1e4": "10e3",
        "12e5": "1200e3",
        "1.5e3": "1500",
        "1000E3": "1e6",
        "1e19": "10e18",
        "1e-3": "1e-3",
        "1E": "1E",
        # what the server's fast path takes for canonical stays as it was written
        "1.500": "1.500",
        "1.50": "1500m",
        "1.000": "1",
        "00012": "00012",
        "0012Ki": "0012Ki",
        "1E3": "1E3",
        "+5": "+5",
        # too fine: rounded away from zero
        "0.1n": "1n",
        "1e-10": "1e-9",
        "1.0001m": "1000100n",
        "3.14159265358979": "3141592654n",
        "-0.0000000001": "-1n",
        "-1.0000000001": "-1000000001n",
        # large
        "9223372036854775808": "9223372036854775808",
        "8Ei": "9223372036854775807",
        "99999999999999999999Ei": "9223372036854775807",
        "7Ei": "7Ei",
        "100E": "100E",
        "100000000000000000000": "100E",
        # nothing
        "0.0": "0",
        "000m": "0",
        "0Gi": "0",
        "0e3": "0",
        # below nothing
        "-1": "-1",
        "-0.5": "-500m",
        "-1.5Gi": "-1536Mi",
    }.items(),
)
def test_canonical_form_is_the_servers(written: str, stored: str) -> None:
    assert canonical(written) == stored


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", "0.5"), ("1k", "1000"), ("1Ki", "1024"), ("1.5Gi", "1610612736"), ("2e3", "2000"), ("1E", "1e18")],
)
def test_value_is_the_number(text: str, number: str) -> None:
    assert value_of(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1\n", "one", "1.2.3", ".", "+", "1Kib", "1ki", "1mi", "1K", "1e", "e3", "0x10", "1_000", "٣"],
)
def test_what_is_no_quantity_has_no_value(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        value_of(text)


@pytest.mark.parametrize("text", ["1e999", "1e99999999999999999999999999999", "9" * 101, "1e-5000"])
def test_what_is_beyond_all_measure_is_refused_at_once(text: str) -> None:
    """A plan may hold it as far as its schema goes; to compute with it would take all time and memory there is."""
    with pytest.raises(ValueError, match="beyond all measure"):
        value_of(text)
    assert canonical(text) == text


@given(texts)
def test_canonical_form_has_the_same_value(text: str) -> None:
    assert value_of(canonical(text)) == value_of(text)
    assert is_equal(canonical(text), text)


@given(texts)
def test_canonical_form_of_the_canonical_form_is_itself(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(texts, texts)
def test_quantities_are_equal_when_their_values_are(left: str, right: str) -> None:
    assert is_equal(left, right) == (value_of(left) == value_of(right))


@given(whatever_the_crd_admits)
def test_no_quantity_that_a_plan_may_hold_is_an_error(text: str) -> None:
    """One plan's typing error must not stop the operator (DESIGN rule 9)."""
    assert re.fullmatch(QUANTITY_PATTERN, text)
    assert isinstance(canonical(text), str)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("0.5", "500m", True),
        ("1", 1, True),
        ("1Gi", "1G", False),
        ("a", "a", False),
        (None, "0", False),
        ("0", "-0", True),
    ],
)
def test_equality_of_anything(left: object, right: object, equal: bool) -> None:
    """Of what is no quantity it says nothing."""
    assert is_equal(left, right) is equal
