"""What of a Dockerfile's language ours uses: stages, arguments, RUN, COPY, ENV, WORKDIR, USER, HEALTHCHECK, CMD."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class DockerfileError(Exception):
    """The file has something that is not understood here; the text has the line."""


@dataclass
class Stage:
    """A stage: its base, its steps, and how its container would run.

    Attributes:
        steps: RUN, COPY and ENV, in their order: a step has the environment that was set before it.
        environment: all of it, as the container has it.
    """

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


def instructions(text: str) -> list[tuple[str, str]]:
    """Keyword and rest of each instruction; continued lines are joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.strip().partition(" ") for line in whole.splitlines() if line.strip()]
    return [(keyword.upper(), rest.strip()) for keyword, _, rest in found]


def parse(file: Path) -> list[Stage]:
    """The stages of a Dockerfile. Raises DockerfileError."""
    stages: list[Stage] = []
    arguments: dict[str, str] = {}
    for keyword, rest in instructions(file.read_text(encoding="utf-8")):
        if keyword == "ARG":
            name, _, default = rest.partition("=")
            arguments[name] = default
        elif keyword == "FROM":
            base, _, name = _filled(rest, arguments).partition(" AS ")
            stages.append(Stage(base, name or str(len(stages))))
        elif not stages:
            raise DockerfileError(f"{keyword} before the first FROM")
        else:
            _take(stages[-1], keyword, rest, arguments)
    return stages


def _take(stage: Stage, keyword: str, rest: str, arguments: dict[str, str]) -> None:
    if keyword in ("RUN", "COPY"):
        stage.steps.append((keyword, rest))
    elif keyword == "ENV":
        stage.steps.append((keyword, _filled(rest, arguments)))
        stage.environment |= variables(_filled(rest, arguments))
    elif keyword == "WORKDIR":
        stage.directory = rest
    elif keyword == "USER":
        stage.user = rest
    elif keyword == "CMD":
        stage.command = json.loads(rest)
    elif keyword == "HEALTHCHECK":
        stage.health = json.loads(rest.partition(" CMD ")[2])
    elif keyword not in ("LABEL", "EXPOSE"):
        raise DockerfileError(f"{keyword} {rest}: not understood")


def variables(text: str) -> dict[str, str]:
    """What an ENV sets."""
    return {name: value for name, _, value in (word.partition("=") for word in shlex.split(text))}


def _filled(text: str, arguments: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda match: arguments.get(match[1] or match[2], match[0]), text)
