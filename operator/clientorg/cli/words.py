"""Where on a command line the cursor is: what has been said, and what is expected next. Pure.

Reads the program's own commands and flags, so that completion cannot fall behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from clientorg.cli.app import BARE_VALUES


@dataclass
class Position:
    """The cursor's place.

    Attributes:
        command: the (sub)command it is in.
        param: the flag or argument whose value is being typed; None: a command's name or a flag's name.
        incomplete: what has been typed of it.
        values: what was said before, by the parameter's name.
    """

    command: Any
    param: Any | None = None
    incomplete: str = ""
    values: dict[str, list[str]] = field(default_factory=dict)

    @property
    def wants_flag(self) -> bool:
        """Whether a flag's name is being typed."""
        return self.param is None and self.incomplete.startswith("-")

    @property
    def subcommands(self) -> dict[str, Any]:
        """The commands that could come here."""
        return getattr(self.command, "commands", {})

    def first(self, name: str) -> str | None:
        """The first value of a parameter said before."""
        return next(iter(self.values.get(name, ())), None)


def locate(root: Any, words: Sequence[str]) -> Position:
    """The position of the last word, which may be empty or half typed."""
    *before, incomplete = words or [""]
    position = Position(root, incomplete=incomplete)
    expected: Any | None = None
    literal = False  # after `--` nothing is a flag
    for word in before:
        if expected is not None:
            position.values.setdefault(expected.name, []).append(word)
            expected = None
        elif word == "--" and not literal:
            literal = True
        elif word.startswith("-") and word != "-" and not literal:
            expected = _flag(position, word)
        elif position.subcommands:
            position.command = position.subcommands.get(word, position.command)
        else:
            argument = _next_argument(position)
            if argument is not None:
                position.values.setdefault(argument.name, []).append(word)
    if expected is not None:
        position.param = expected
    elif incomplete.startswith("--") and "=" in incomplete and not literal:
        name, _, position.incomplete = incomplete.partition("=")
        position.param = _find(position.command, name)
    elif not (incomplete.startswith("-") and not literal) and not position.subcommands:
        position.param = _next_argument(position)
    return position


def _flag(position: Position, word: str) -> Any | None:
    """Take a flag in; returns it when its value is the next word."""
    name, equals, value = word.partition("=")
    param = _find(position.command, name)
    if param is None and not word.startswith("--"):  # -nVALUE
        param, value = _find(position.command, word[:2]), word[2:]
        equals = "=" if value else ""
    if param is None or param.is_flag:
        return None
    if equals:
        position.values.setdefault(param.name, []).append(value)
        return None
    return None if name in BARE_VALUES else param


def _find(command: Any, name: str) -> Any | None:
    return next((param for param in command.params if name in param.opts and name.startswith("-")), None)


def _next_argument(position: Position) -> Any | None:
    """The first argument that can still take a word."""
    for param in position.command.params:
        if param.param_type_name == "argument" and (param.nargs == -1 or param.name not in position.values):
            return param
    return None
