"""`export` before it asks the cluster: flags, formats, files (with one: tests/cluster/test_cli_export.py)."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clientorg.cli.complete import FILES, find
from clientorg.cli.exits import ExitCode
from clientorg.cli.exportflags import Tongue as Flag
from clientorg.cli.exportflags import (
    check_month,
    chosen_format,
    language_for,
)
from clientorg.cli.main import main
from clientorg.cli.outfile import Destination
from clientorg.cli.progress import Progress
from clientorg.cli.selection import known_values
from clientorg.errors import InputError
from tests.controlplane.waiting import wait_until


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kubeconfig anywhere: what is refused here is refused without a cluster."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


STATEMENT = ("statement", "acme", "--month", "2026-11")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("clients", "-o", "csv"), "--output: names a file; for the format write --format csv"),
        (("clients", "--format", "csv", "-o", "a.xlsx"), "--format: csv does not go with --output a.xlsx"),
        (("clients", "--format", "xlsx", "--bom", "-o", "a.xlsx"), "--bom: only csv has one, and this is xlsx"),
        (("clients", "--format", "pdf"), "'--format'"),
        (("clients", "--format", "html"), "'--format'"),
        (("clients", "--language", "de"), "'--language'"),
        (("clients", "--time-zone", "Mars/Base"), "--time-zone: there is no time zone 'Mars/Base'; use an IANA name"),
        (("clients", "--time-zone", "../../etc/passwd"), "--time-zone: there is no time zone"),
        (("clients", "--state", "asleep"), "--state: there is no state 'asleep'"),
        (("clients", "--sort-by", "shoe"), "--sort-by: there is no column 'shoe'"),
        (("clients", "--output", "none/a.csv"), "--output: there is no folder none; make it, or choose another"),
        (("clients", "--output", "."), "--output: . is a folder; name a file in it"),
        (("clients", "--output", "/dev/null"), "--output: /dev/null is no file; leave --output out"),
        (("ledger", "--month", "2026-13"), "--month: '2026-13' is no month; write for example 2026-11"),
        (("ledger", "--month", ""), "--month: '' is no month"),
        (("ledger", "--month", "2999-01"), "--month: 2999-01 has not begun"),
        (("ledger", "--kind", "gift"), "--kind: there is no kind 'gift'; it is one of Purchase, TopUp,"),
        ((*STATEMENT[:3], "soon", "--time-zone", "UTC"), "--month: 'soon' is no month"),
        (("statement", "acme"), "'--month'"),
        (("statement", "--month", "2026-11"), "'CLIENT'"),
        ((*STATEMENT, "--format", "html", "--bom"), "--bom: only csv has one, and this is html"),
        ((*STATEMENT, "--format", "html", "-o", "a.csv"), "--format: html does not go with --output a.csv"),
        (("invoice",), "invoice"),
    ],
)
def test_wrong_usage_names_the_flag(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(os.environ["HOME"])
    assert main(["export", *arguments]) == ExitCode.USAGE
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("name", ["clients", "ledger", "statement"])
def test_help_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", name, "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert f"    kubectl clientorg export {name} " in out
    for flag in ("-n, --namespace", "--format", "--output", "--force", "--language", "--time-zone", "--bom"):
        assert flag in out


def test_export_alone_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert all(word in out for word in ("clients", "ledger", "statement", "kubectl clientorg export clients"))


@pytest.mark.parametrize(
    ("given", "file", "format_"),
    [
        (None, None, "csv"),
        (None, "a.xlsx", "xlsx"),
        (None, "A.XLSX", "xlsx"),
        (None, "a.html", "html"),
        (None, "a.txt", "csv"),
        ("xlsx", None, "xlsx"),
        ("xlsx", "a", "xlsx"),
        ("html", "a.htm", "html"),
    ],
)
def test_the_format_is_what_was_asked_for_or_what_the_file_is_called(
    given: str | None, file: str | None, format_: str
) -> None:
    assert chosen_format(given, file, ["csv", "xlsx", "html"]) == format_


def test_kinds_are_read_without_their_case() -> None:
    assert known_values("--kind", "kind", ["topup", "CHARGE", "TopUp"], ["TopUp", "Charge"]) == ("TopUp", "Charge")


def test_a_month_has_to_have_begun_where_the_reader_is() -> None:
    now = datetime(2026, 11, 30, 15, tzinfo=UTC)
    check_month("2026-12", ZoneInfo("Asia/Tokyo"), now)
    with pytest.raises(InputError, match="2026-12 has not begun"):
        check_month("2026-12", ZoneInfo("UTC"), now)


@pytest.mark.parametrize(
    ("environment", "tongue"),
    [
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "cs_CZ.UTF-8"}, "cs"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": ""}, "ja"),
        ({"LC_MESSAGES": "hi_IN", "LANG": "en_US.UTF-8"}, "hi"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_locale(
    environment: dict[str, str], tongue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language_for(None, ZoneInfo("UTC")).tongue == tongue
    assert language_for(Flag.JAPANESE, ZoneInfo("UTC")).tongue == "ja"


@pytest.mark.parametrize(("own", "name"), [("Asia/Tokyo", "Asia/Tokyo"), (":Europe/Prague", "Europe/Prague")])
def test_the_time_zone_is_the_users_own(own: str, name: str) -> None:
    """In a process of its own: the machine's time zone is looked up once."""
    code = "from clientorg.cli.exportflags import local_zone; print(local_zone().key)"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "TZ": own}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == name


def write(file: Path, content: bytes = b"new", *, force: bool = False) -> None:
    """Write a file as an export does."""
    with Destination(str(file), force=force, is_text=True).open() as stream:
        stream.write(content)


def test_a_file_is_written(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"], "nothing is left beside it"


def test_a_file_that_is_there_is_kept_without_force(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"old")
    with pytest.raises(InputError, match=r"--output: .*a.csv is there already; .* --force"):
        write(file)
    assert file.read_bytes() == b"old"
    write(file, force=True)
    assert file.read_bytes() == b"new"


def test_a_file_that_came_meanwhile_is_kept_too(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    destination = Destination(str(file), force=False, is_text=True)
    stack = ExitStack()
    stream = stack.enter_context(destination.open())
    stream.write(b"new")
    file.write_bytes(b"somebody else's")
    with pytest.raises(InputError, match="is there already"):
        stack.close()
    assert file.read_bytes() == b"somebody else's"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"old")

    def fail() -> None:
        with Destination(str(file), force=True, is_text=True).open() as stream:
            stream.write(b"ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_replaced_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    file, link = tmp_path / "a.csv", tmp_path / "link.csv"
    file.write_bytes(b"old")
    file.chmod(0o600)
    link.symlink_to(file)
    write(link, force=True)
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_longest_name_of_a_file_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / ("a" * 251 + ".csv")
    write(file)
    assert file.read_bytes() == b"new"


_ENDLESS = """
import asyncio, itertools, sys
from zoneinfo import ZoneInfo
from clientorg.cli.exporting import write_table
from clientorg.cli.outfile import Destination
from clientorg.reports.table import Column, Kind, Table

async def main():
    table = Table("T", [Column("N", Kind.NUMBER, lambda row: row)], itertools.count(), ZoneInfo("UTC"))
    write_table(table, "csv", Destination(sys.argv[1], force=False, is_text=True), bom=False)

asyncio.run(main())
"""


def test_ctrl_c_ends_a_long_write_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", _ENDLESS, str(tmp_path / "a.csv")]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: any(path.stat().st_size for path in tmp_path.iterdir()), 30, "the file to grow")
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
        finally:
            process.kill()
    assert "KeyboardInterrupt" in told
    assert list(tmp_path.iterdir()) == []


class Terminal:
    """A stream that is a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_a_workbook_is_not_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    with pytest.raises(InputError, match="a workbook is no text for a terminal; name a file"):
        Destination(None, force=False, is_text=False)
    Destination("-", force=False, is_text=True)


def test_long_work_is_told_of_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, now = Terminal(), [100.0]
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("clientorg.cli.progress.time.monotonic", lambda: now[0])
    with Progress("Reading") as progress:
        progress.add(5)
        assert terminal.text == "", "short work is done before anybody wonders"
        now[0] += 2
        progress.add(12_340)
        assert terminal.text.endswith("Reading: 12,345")
    assert terminal.text.endswith("\r\x1b[K"), "and the line is taken away"


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (("export", ""), ["clients", "ledger", "statement"]),
        (("export", "clients", "--format", ""), ["csv", "xlsx"]),
        (("export", "statement", "acme", "--format", ""), ["csv", "xlsx", "html"]),
        (("export", "ledger", "--language", ""), ["en", "ja", "cs", "hi"]),
        (("export", "clients", "--time-zone", "Asia/Tok"), ["Asia/Tokyo"]),
    ],
)
def test_completion(words: tuple[str, ...], candidates: list[str]) -> None:
    found: Any = find(words)[0]
    assert [value for value, _ in found] == candidates


def test_completion_leaves_files_to_the_shell() -> None:
    assert find(("export", "clients", "--output", "")) == ([], FILES)
