"""Kubernetes quantities in their canonical form, as the API server stores them.

Source of the rules: k8s.io/apimachinery v0.37.2, api/resource/quantity.go. What is rendered canonically can be compared
with what the server returns without asking it.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal, InvalidOperation
from typing import Final

_PATTERN: Final = re.compile(
    r"[+-]?(?P<digits>[0-9.]+)(?:[eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)"
)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_NANO: Final = Decimal("1e-9")
_MOST_DIGITS: Final = 100
"""With more, before or after the point, it is no quantity of anything, and computing with it takes for ever."""
_EXACT: Final = Context(prec=3 * _MOST_DIGITS, rounding=ROUND_UP)
_MOST_BINARY: Final = Decimal(2**63 - 1)


def value_of(text: str) -> Decimal:
    """The quantity as a number, rounded away from zero to a whole billionth.

    Raises:
        ValueError: it is not a quantity, or one beyond all measure.
    """
    digits, power, binary = _parse(text)
    try:
        number = Decimal(text[: text.index(digits)] + digits)
    except InvalidOperation as error:
        raise ValueError(f"not a quantity: {text!r}") from error
    if len(digits) + abs(power) > _MOST_DIGITS:
        raise ValueError(f"beyond all measure: {text!r}")
    number = _EXACT.multiply(number, Decimal(1024) ** power if binary else Decimal((0, (1,), power)))
    number = number.quantize(_NANO, context=_EXACT)
    return max(-_MOST_BINARY, min(_MOST_BINARY, number)) if binary else number


def canonical(text: str) -> str:
    """The quantity as the API server writes it: `0.5` is `500m`, `1024Mi` is `1Gi`, `1000` is `1k`.

    What is no quantity stays as it is: to refuse it is the server's part.
    """
    try:
        number = value_of(text)
    except ValueError:
        return text
    if number == 0:
        return "0"
    if _is_kept(text):
        return text
    _, _, binary = _parse(text)
    if "e" in text or ("E" in text and text[-1] not in "Ei"):
        return _with_exponent(number)
    if binary and abs(number) >= 1024 and number == number.to_integral_value():
        return _scaled(number, [(name, Decimal(1024) ** power) for name, power in reversed(_BINARY.items())])
    return _scaled(number, [(name, Decimal((0, (1,), power))) for name, power in reversed(_DECIMAL.items())])


def _parse(text: str) -> tuple[str, int, bool]:
    """The digits, the power, and whether it is one of 1024 and not of 10."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"not a quantity: {text!r}")
    suffix, exponent = match["suffix"] or "", match["exponent"]
    if suffix in _BINARY and suffix:
        return match["digits"], _BINARY[suffix], True
    if exponent is not None:
        return match["digits"], int(exponent) if len(exponent) < 9 else 10**9, False
    return match["digits"], _DECIMAL[suffix], False


def _is_kept(text: str) -> bool:
    """Whether the server keeps what was written, because its fast path takes it for canonical (so `1.500` stays)."""
    digits, power, binary = _parse(text)
    whole, _, fraction = digits.partition(".")
    whole = whole.lstrip("0") or "0"
    if binary:
        return not fraction and len(whole) + 3 * power < 15 and int(whole) % 8 != 0
    figures, scale = whole + fraction, power - len(fraction)
    is_short = len(figures) <= 18 and scale >= -9
    return is_short and scale % 3 == 0 and not figures.endswith("000") and figures[0] != "0"


def _with_exponent(number: Decimal) -> str:
    """With `e` and a multiple of three."""
    exponent = int(number.normalize(_EXACT).as_tuple().exponent) // 3 * 3
    digits = int(number.scaleb(-exponent, _EXACT))
    return f"{digits}e{exponent}" if exponent else str(digits)


def _scaled(number: Decimal, units: list[tuple[str, Decimal]]) -> str:
    """In the largest unit that leaves no fraction; there is always one, since a number is a whole billionth."""
    for name, unit in units:
        scaled = _EXACT.divide(number, unit)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{name}"
    raise AssertionError(f"{number} is no whole billionth")


def is_equal(left: object, right: object) -> bool:
    """Whether both are quantities of the same value."""
    try:
        return value_of(str(left)) == value_of(str(right))
    except ValueError:
        return False
