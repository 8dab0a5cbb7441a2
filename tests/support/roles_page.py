"""docs/roles.md as tests read it: the table of who may do what, and the YAML beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.support.install import ROOT

PAGE: Final = (ROOT / "docs" / "roles.md").read_text(encoding="utf-8")
PLAIN_VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
"""What the API server itself asks for of an object."""
_HEAD: Final = "| on | verbs |"
_WORDS: Final = {"yes": True, "-": False}


@dataclass(frozen=True)
class Cell:
    """Whether a role has one verb on one resource; the resource is a plural."""

    role: str
    resource: str
    verb: str
    allowed: bool


def roles() -> dict[str, str]:
    """Role, as the table heads it, to the name of its ClusterRole."""
    return dict(re.findall(r"^\| (\w+) \| `(clientorg-[a-z-]+)` \|", PAGE, re.MULTILINE))


def cells() -> list[Cell]:
    """Every cell of the table, one for each verb in it.

    Raises:
        KeyError: a cell says neither `yes` nor `-`.
        ValueError: a row has another number of cells than the head.
    """
    head, _, *rows = _table()
    return [
        Cell(role, row[0], verb.strip("` "), _WORDS[answer])
        for row in rows
        for verb in row[1].split(",")
        for role, answer in zip(head[2:], row[2:], strict=True)
    ]


def _table() -> list[list[str]]:
    lines = PAGE.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(_HEAD))
    end = next(number for number, line in enumerate(lines) if number > start and not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]


def custom_verbs() -> set[str]:
    """The project's own verbs: those in code in the table."""
    _, _, *rows = _table()
    return {verb for row in rows for verb in re.findall(r"`([a-z-]+)`", row[1])}


def examples() -> list[list[dict[str, Any]]]:
    """The objects of each YAML block, in the order of the page."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [list(yaml.safe_load_all(block)) for block in blocks]
