"""Completion, in the protocol of Cobra: candidates with descriptions, then a directive line such as `:4`.

kubectl runs `kubectl_complete-clientorg` with the words after `kubectl clientorg`, the last of which is being typed.
It must be quick and quiet: what takes too long or fails completes to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from clientorg.cli.options import Target
from clientorg.cli.text import plain
from clientorg.cli.words import Position, locate

NO_SPACE = 2
NO_FILES = 4
FILES = 0

DEADLINE_SECONDS = 2.0

Candidates = list[tuple[str, str]]

_FIXED: dict[str, tuple[str, ...]] = {
    "language": ("en", "ja", "cs", "hi", "de", "es", "fr", "ko", "zh"),
    "wait": ("true", "false"),
    "how_long": ("1m", "5m", "30m"),
}


def complete(words: Sequence[str]) -> int:
    """Print the candidates for the last word; always returns 0."""
    with suppress(OSError):  # nothing may come between the candidates, not even from a credential plugin
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    candidates: Candidates = []
    directive = NO_FILES
    with suppress(Exception):
        candidates, directive = find(words)
    for value, description in candidates:
        print(f"{value}\t{description}" if description else value)
    print(f":{directive}")
    return 0


def find(words: Sequence[str]) -> tuple[Candidates, int]:
    """Candidates and directive."""
    import typer

    import clientorg.cli.commands  # noqa: F401  (registers them)
    from clientorg.cli.app import app

    position = locate(typer.main.get_command(app), words)
    if position.wants_flag:
        return _matching(_flags(position), position.incomplete), NO_FILES
    if position.param is None:
        commands = [(name, command.get_short_help_str(80)) for name, command in position.subcommands.items()]
        return _matching(commands, position.incomplete), NO_FILES
    if position.param.name in ("kubeconfig", "file"):
        return [], FILES
    candidates = _matching(values(position), position.incomplete)
    ends_in_equals = bool(candidates) and all(value.endswith("=") for value, _ in candidates)
    return candidates, NO_FILES | (NO_SPACE if ends_in_equals else 0)


def _matching(candidates: Iterable[tuple[str, str]], incomplete: str) -> Candidates:
    return [(value, plain(text)) for value, text in candidates if value.startswith(incomplete)]


def _flags(position: Position) -> Candidates:
    """Flags that were not given yet, or may be given again."""
    return [
        (name, (param.help or "").split("\n")[0])
        for param in position.command.params
        if param.param_type_name == "option" and not param.hidden
        if param.multiple or param.name not in position.values
        for name in param.opts
        if name.startswith("--") or position.incomplete == name
    ]


def values(position: Position) -> Candidates:
    """Candidates for the value of a flag or an argument."""
    name = position.param.name if position.param is not None else ""
    choices = _choices(position)
    if choices:
        return [(choice, "") for choice in choices]
    if name in ("confirm", "search", "selector", "field_selector", "reason", "consent_text"):
        return []  # a confirmation that completes itself confirms nothing
    if name == "context":
        from clientorg.cli.lookups import contexts

        return contexts(position.first("kubeconfig"))
    from clientorg.cli.lookups import lookup

    target = Target(position.first("namespace"), position.first("context"), position.first("kubeconfig"))
    command = position.command.name or ""
    given = position.values.get(name, [])
    wanted = _source(command, name)
    if wanted is None:
        return []
    found = lookup(target, lambda lookups: getattr(lookups, wanted)(position), DEADLINE_SECONDS)
    return [pair for pair in found if pair[0] not in given]


def _source(command: str, name: str) -> str | None:
    """Which lookup gives the candidates."""
    if name in ("license_name", "license_"):
        return "licenses" if command == "reallocate" else "license_requests"
    if command == "pool" and name == "name":
        return "pools"
    if command == "create" and name == "name":
        return None
    return {
        "name": "clients",
        "client": "clients",
        "names": "clients",
        "resend": "messages",
        "source": "sources",
        "pool": "pools",
        "plan": "plans",
        "namespace": "namespaces",
        "tag": "tags",
        "transaction": "transactions",
    }.get(name)


def _choices(position: Position) -> Sequence[str]:
    param: Any = position.param
    choices = param.shell_complete(None, "")  # the values of an enum; of anything else there are none
    if choices:
        return [str(choice.value) for choice in choices]
    if param.name == "sort_by":
        from clientorg.cli.selection import SORT_KEYS

        return [f"-{key}" for key in SORT_KEYS] if position.incomplete.startswith("-") else [*SORT_KEYS]
    if param.name == "state":
        from clientorg.api.clientorg import OrgState

        return [*OrgState]
    if param.name == "time_zone":
        from zoneinfo import available_timezones

        return sorted(available_timezones())
    if param.name == "industry":
        from clientorg.api.clientorg import SUGGESTED_INDUSTRIES

        return SUGGESTED_INDUSTRIES
    return _FIXED.get(param.name, ())
