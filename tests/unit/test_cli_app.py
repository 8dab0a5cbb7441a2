"""The program as a whole: its flags, its help, its exit codes; and the rows of a watch."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer

import clientorg.cli.commands  # noqa: F401  (registers them)
from clientorg.cli.app import app, kubectl_style
from clientorg.cli.exits import ExitCode
from clientorg.cli.listing import Output, View
from clientorg.cli.listwatch import Board, Printer
from clientorg.cli.main import main
from clientorg.cli.options import Target
from clientorg.cli.selection import Selection, sorter
from clientorg.cli.session import Warnings
from clientorg.cli.waiting import parse_wait
from clientorg.cli.watching import Change
from clientorg.errors import InputError
from tests.unit.cli_builders import client, granted

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

pytestmark = pytest.mark.usefixtures("no_cluster")


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No kubeconfig anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_the_shared_flags_and_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    for flag in ("-n, --namespace", "--context", "--kubeconfig", "--debug", "--version"):
        assert flag in out
    assert f"  kubectl clientorg {name}" in out
    assert "Exit codes: 0 done; 1 the server refused" in re.sub(r"\s+", " ", out)


@pytest.mark.parametrize(
    "name", ["create", "approve", "reject", "terminate", "edit-contact", "reallocate", "delete", "reconcile"]
)
def test_every_command_that_changes_something_has_a_dry_run(name: str) -> None:
    """X4."""
    assert any("--dry-run" in param.opts for param in COMMANDS[name].params)


@pytest.mark.parametrize("arguments", [["--version"], ["list", "--version"]])
def test_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == ExitCode.OK
    assert re.fullmatch(r"kubectl-clientorg \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lisst"], "no such command 'lisst'. Did you mean 'list'?; see kubectl clientorg --help"),
        (["list", "--watsh"], "see kubectl clientorg list --help"),
        (["list", "-o", "xml"], "see kubectl clientorg list --help"),
        (["describe"], "missing argument"),
        (["list", "--state", "asleep"], "--state: there is no state 'asleep'"),
        (["list", "--sort-by", "size"], "--sort-by: there is no column 'size'"),
        (["reallocate", "acme", "--license", "visitors"], "say how many"),
        (["delete", "acme", "--confirm", "acme", "--wait=maybe"], "--wait: true or false"),
        (["reconcile", "acme", "--wait=0"], "--wait: the duration must be more than zero"),
        (["edit-contact", "acme"], "say what to change"),
        (["edit-contact", "acme", "--email", " "], "--email: required"),
        (["pool", "tokyo", "-A"], "--all-namespaces"),
        (["reject", "acme"], "missing option '--reason'"),
        (["reject", "acme", "--reason", " "], "--reason: a line of text of at most 256 characters"),
        (["terminate", "acme"], "say when: --at TIME or --now"),
        (["terminate", "acme", "--now", "--at", "2027-01-31"], "say when: --at TIME or --now"),
        (["terminate", "acme", "--now", "--consent-text", "x"], "spec.termination.consent.acceptedBy (--accepted-by)"),
        (["terminate", "acme", "--now", "--accepted-by", "y"], "spec.termination.consent.text (--consent-text)"),
        (["terminate", "acme", "--withdraw", "--accepted-by", "y"], "--accepted-by: a withdrawal needs no consent"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert words in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_no_kubeconfig_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == ExitCode.FAILED
    assert "no kubeconfig" in capsys.readouterr().err
    assert main(["list", "--kubeconfig", "/nowhere/at-all"]) == ExitCode.FAILED
    assert "--kubeconfig: there is no file /nowhere/at-all" in capsys.readouterr().err


def test_a_bug_shows_no_traceback_unless_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("clientorg.cli.listing.sorter", broken)
    assert main(["list"]) == ExitCode.FAILED
    assert capsys.readouterr().err == (
        "error: this is a bug in the command: KeyError: 'oops'; run it again with --debug and report what it shows\n"
    )
    assert main(["list", "--debug"]) == ExitCode.FAILED
    assert "Traceback" in capsys.readouterr().err


def test_flags_are_read_as_kubectl_reads_them() -> None:
    optional = ["--wait", "--dry-run"]
    assert kubectl_style(["--wait", "acme", "--dry-run=client", "-o=yaml"], optional) == [
        *("--wait=true", "acme", "--dry-run=client", "-oyaml")
    ]
    assert kubectl_style(["--wait"], []) == ["--wait"]
    assert kubectl_style(["--", "--wait", "-n=x"], optional) == ["--", "--wait", "-n=x"]
    assert kubectl_style(["--by", "-5", "-n=a=b"], optional) == ["--by", "-5", "-na=b"]


def test_flags_after_the_command_win() -> None:
    assert Target("b", None, "k").over(Target("a", "c", None)) == Target("b", "c", "k")


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, None), ("false", None), ("true", 60.0), ("5m", 300.0), ("90", 90.0)]
)
def test_waiting(text: str | None, seconds: float | None) -> None:
    assert parse_wait(text) == seconds


def test_waiting_for_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="--wait"):
        parse_wait("soon")


def test_warnings_are_told_once_without_the_policys_name(capsys: pytest.CaptureFixture[str]) -> None:
    warnings = Warnings()
    text = "Validation failed for ValidatingAdmissionPolicy 'stock' with binding 'stock': the pool is short"
    warnings.take(text)
    warnings.take(text)
    warnings.take("unknown field")
    assert capsys.readouterr().err == "Warning: the pool is short\nWarning: unknown field\n"
    warnings.muted_policies.add("stock")
    warnings.take(text.replace("short", "empty"))
    assert capsys.readouterr().err == ""


def view(output: Output = Output.TABLE, **filters: Any) -> View:
    """What `list` was asked for."""
    return View(output, headers=True, namespace="agency", selection=Selection(**filters), order=sorter(None))


ACTIVE = client("acme", status=granted(visitors=500))


def test_a_board_tells_what_changed() -> None:
    board = Board(view())
    assert [row.name for row in board.take(Change("SNAPSHOT", (ACTIVE,)))] == ["acme"]
    assert [row.name for row in board.take(Change("ADDED", (client("globex"),)))] == ["globex"]
    assert [row.name for row in board.rows()] == ["acme", "globex"]
    (gone,) = board.take(Change("DELETED", (ACTIVE,)))
    assert (gone.name, gone.state) == ("acme", "Deleted")
    assert board.take(Change("DELETED", (ACTIVE,))) == []


def test_a_second_snapshot_tells_only_what_differs() -> None:
    """After a lost connection the list comes anew; nobody wants all of it again."""
    board = Board(view())
    board.take(Change("SNAPSHOT", (ACTIVE, client("globex"))))
    changed = client("globex", status=granted(visitors=500))
    assert [row.name for row in board.take(Change("SNAPSHOT", (ACTIVE, changed)))] == ["globex"]


def test_a_client_that_stops_matching_is_told_a_last_time() -> None:
    """With its own state: the server reports as deleted what only left the selection."""
    board = Board(view(states=("Active",)))
    board.take(Change("SNAPSHOT", (ACTIVE,)))
    paused = client("acme", status={**granted(visitors=500), "state": "Provisioning"})
    (row,) = board.take(Change("DELETED", (paused,)))
    assert row.state == "Provisioning"
    board.take(Change("ADDED", (ACTIVE,)))
    (row,) = board.take(Change("MODIFIED", (paused,)))
    assert row.state == "Provisioning"
    assert board.rows() == []
    assert board.take(Change("MODIFIED", (paused,))) == []


def test_appended_lines_stay_in_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    board, printer = Board(view()), Printer(view())
    board.take(Change("SNAPSHOT", (ACTIVE,)))
    printer.first(board.rows(), {})
    printer.more(board.take(Change("ADDED", (client("a"),))), {})
    lines = capsys.readouterr().out.splitlines()
    assert len({line.index(word) for line, word in zip(lines, ("STATE", "Active", "-"), strict=True)}) == 1


def test_an_empty_watch_still_has_headings(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(view()).first([], {})
    out, err = capsys.readouterr()
    assert out.startswith("NAME   STATE")
    assert "No clients in namespace agency." in err


def test_csv_lines_keep_the_columns_they_began_with(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(view(Output.CSV))
    printer.first([*Board(view()).take(Change("SNAPSHOT", (ACTIVE,)))], {})
    seated = client("seated", licenses=[{"name": "seats", "quantity": 5}])
    printer.more(Board(view()).take(Change("ADDED", (seated,))), {})
    lines = capsys.readouterr().out.splitlines()
    assert len({line.count(",") for line in lines}) == 1
