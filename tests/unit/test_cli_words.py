"""Completion: where the cursor is, and what can stand there (the protocol itself: tests/cluster/test_cli.py)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

import clientorg.cli.commands  # noqa: F401  (registers them)
from clientorg.api.clientorg import OrgState
from clientorg.cli.app import app
from clientorg.cli.complete import FILES, NO_FILES, find
from clientorg.cli.shells import SCRIPTS, Shell
from clientorg.cli.words import Position, locate

ROOT: Any = typer.main.get_command(app)


def at(*words: str) -> Position:
    """The position of the last word."""
    return locate(ROOT, words)


def expected(position: Position) -> str | None:
    """Name of the parameter that is being typed."""
    return position.param.name if position.param is not None else None


def test_a_command_is_typed() -> None:
    assert at("").subcommands.keys() == ROOT.commands.keys()
    assert at("-n", "agency", "li").incomplete == "li"
    assert expected(at("li")) is None


@pytest.mark.parametrize(
    ("words", "parameter"),
    [
        (["describe", ""], "names"),
        (["describe", "acme", ""], "names"),
        (["reallocate", ""], "name"),
        (["reallocate", "acme", ""], None),
        (["reallocate", "acme", "--license", ""], "license_name"),
        (["reallocate", "--license", "visitors", ""], "name"),
        (["reallocate", "acme", "--from", "gl"], "source"),
        (["reallocate", "acme", "--by", "-5", "--from", ""], "source"),
        (["-n", ""], "namespace"),
        (["-n", "agency", "list", "--state", ""], "state"),
        (["list", "-n", "ag"], "namespace"),
        (["list", "-nagency", "--plan", ""], "plan"),
        (["list", "--watch", "--pool", ""], "pool"),
        (["list", "--pool=to"], "pool"),
        (["reallocate", "--wait", ""], "name"),
        (["reallocate", "--wait=5m", ""], "name"),
        (["reallocate", "--dry-run", ""], "name"),
        (["describe", "--", "-x"], "names"),
        (["list", "--unknown", ""], None),
    ],
)
def test_what_is_expected(words: list[str], parameter: str | None) -> None:
    assert expected(at(*words)) == parameter


def test_what_was_said_before_is_known() -> None:
    position = at("-n", "agency", "reallocate", "acme", "--license=visitors", "--context", "tokyo", "--from", "g")
    assert position.values == {
        "namespace": ["agency"],
        "name": ["acme"],
        "license_name": ["visitors"],
        "context": ["tokyo"],
    }
    assert position.incomplete == "g"


@given(
    st.lists(
        st.sampled_from(
            ["list", "create", "-n", "x", "--", "-", "--pool", "--pool=", "-o=json", "", "--wait", "=", "-w"]
        )
    )
)
def test_nothing_that_can_be_typed_breaks_it(words: list[str]) -> None:
    locate(ROOT, words)


def candidates(*words: str) -> tuple[Sequence[str], int]:
    """What `find` offers without asking a cluster."""
    found, directive = find(words)
    return [value for value, _ in found], directive


def test_commands_and_flags_are_offered_with_their_help() -> None:
    found, directive = candidates("re")
    # In the order of the help, which another test's import of a single command changes within one process.
    assert sorted(found) == [
        "reactivate",
        "reallocate",
        "reconcile",
        "reject",
        "release",
        "report",
        "restore",
        "resume",
    ]
    assert directive == NO_FILES
    assert candidates("list", "--so") == (["--sort-by"], NO_FILES)
    assert candidates("list", "--sort-by", "name", "--so") == ([], NO_FILES), "given already"
    assert candidates("list", "--state", "Active", "--sta") == (["--state"], NO_FILES), "may be given again"
    flags, _ = find(["list", "-"])
    assert ("--watch", "Go on and show changes: a live table on a terminal, else lines.") in flags


def test_fixed_values_are_offered() -> None:
    assert candidates("list", "-o", "")[0] == ["table", "wide", "json", "yaml", "csv", "name"]
    assert candidates("list", "--state", "")[0] == [*OrgState]
    assert candidates("list", "--sort-by", "-na")[0] == ["-name"]
    assert candidates("list", "--sort-by=-na")[0] == ["-name"]
    assert candidates("delete", "acme", "--dry-run=")[0] == ["none", "server", "client"]
    assert candidates("completion", "")[0] == ["bash", "zsh", "fish", "powershell"]
    assert "Retail" in candidates("create", "--industry", "")[0]
    assert candidates("list", "--kubeconfig", "") == ([], FILES)


def test_a_confirmation_is_not_completed() -> None:
    """Z10: what confirms itself confirms nothing."""
    assert candidates("delete", "acme", "--confirm", "") == ([], NO_FILES)


@pytest.mark.parametrize("shell", list(Shell))
def test_every_shell_has_a_script_that_asks_us(shell: Shell) -> None:
    assert "kubectl-clientorg __complete" in SCRIPTS[shell]
    assert not re.search(r"[^\x00-\x7f]", SCRIPTS[shell]), "shells read them in any locale"
