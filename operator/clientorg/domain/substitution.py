"""`$(name)` in a plan's strings: a fixed set of variables, no template language (DESIGN rule 11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from clientorg.api.orgplan import SUBSTITUTIONS

_VARIABLE = re.compile(r"\$\((" + "|".join(SUBSTITUTIONS) + r")\)")


def substitute(value: Any, variables: Mapping[str, str]) -> Any:
    """The value with every `$(variable)` in its strings replaced; map keys and unknown names stay as they are."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: variables[match[1]], value) if "$(" in value else value
    if isinstance(value, dict):
        return {name: substitute(child, variables) for name, child in value.items()}
    if isinstance(value, list):
        return [substitute(child, variables) for child in value]
    return value
