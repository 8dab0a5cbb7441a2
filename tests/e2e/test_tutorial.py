"""docs/tutorial.md, command by command, in one shell: what it says works, and is refused where it says so."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.install import ROOT

pytestmark = pytest.mark.cluster

PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"(?P<refused><!-- refused -->\n)?^```sh\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS = 600.0


def script() -> str:
    """The page's commands, each shown before it runs; whatever fails unexpectedly ends the script."""
    lines = ["set -eu"]
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        for command in block["commands"].splitlines():
            lines.append(f"cat <<'COMMAND'\n$ {command}\nCOMMAND")
            lines.append(f"if {command}; then echo 'NOT REFUSED'; exit 1; fi" if block["refused"] else command)
    return "\n".join([*lines, "echo END"])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where `make up` keeps its cluster, ended whatever became of the tutorial."""
    yield tmp_path / "run"
    run("make -s down", tmp_path / "run")


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in the checkout, with a cluster of its own."""
    dropped = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "KUBECONFIG", "CLIENTORG_CLUSTER")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment["CLIENTORG_RUN_DIR"] = str(folder)
    return subprocess.run(
        ["sh", "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.mark.timeout(SECONDS)
def test_every_command_of_the_tutorial_works_in_its_order(folder: Path) -> None:
    done = run(script(), folder)
    said = done.stdout + done.stderr
    assert done.stdout.endswith("END\n"), said
    assert done.returncode == 0, said
    assert "To confirm: " in done.stderr  # of the careless deletion
    assert re.search(r"^acme +Active +True ", done.stdout, re.MULTILINE), said
    assert "umbrella" in done.stdout
    last = done.stdout.rindex("$ kubectl get clientorgs -n agency-tokyo")
    assert "globex" not in done.stdout[last:]
