"""Kubernetes quantities in their canonical form, as the API server stores them.

Source of the rule: k8s.io/apimachinery `Quantity`: the largest suffix of the same family without a fraction. What
is rendered canonically can be compared with what the server returns without asking it.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation

_PATTERN = re.compile(r"^([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i)?)$")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_NANO = Decimal("1e-9")


def value_of(text: str) -> Decimal:
    """The quantity as a number.

    Raises:
        ValueError: it is not a quantity.
    """
    match = _PATTERN.match(text)
    if match is None:
        raise ValueError(f"not a quantity: {text!r}")
    digits, exponent, suffix = match.groups()
    try:
        number = Decimal(digits + (exponent or ""))
    except InvalidOperation as error:
        raise ValueError(f"not a quantity: {text!r}") from error
    if suffix in _BINARY and suffix:
        number *= Decimal(1024) ** _BINARY[suffix]
    elif suffix:
        number = number.scaleb(_DECIMAL[suffix])
    return number.quantize(_NANO, rounding=ROUND_CEILING)


def canonical(text: str) -> str:
    """The quantity as the API server writes it: `0.5` is `500m`, `1024Mi` is `1Gi`, `1000` is `1k`."""
    match = _PATTERN.match(text)
    number = value_of(text)
    if match is None or number == 0:
        return "0"
    _, exponent, suffix = match.groups()
    if exponent:
        return text  # the exponent family is kept as written
    if suffix and suffix.endswith("i") and number == number.to_integral_value():
        return _scaled(number, [(name, Decimal(1024) ** power) for name, power in reversed(_BINARY.items())])
    return _scaled(number, [(name, Decimal(10) ** power) for name, power in reversed(_DECIMAL.items())])


def _scaled(number: Decimal, units: list[tuple[str, Decimal]]) -> str:
    for name, unit in units:
        scaled = number / unit
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{name}"
    return f"{int((number / _NANO).to_integral_value(ROUND_CEILING))}n"


def is_equal(left: object, right: object) -> bool:
    """Whether both are quantities of the same value."""
    try:
        return value_of(str(left)) == value_of(str(right))
    except ValueError:
        return False
