"""`make demo STORY=portfolio ONCE=1`: half a year of forty clients, on a cluster of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.demo.portfolio import CHAPTERS
from tests.support.install import ROOT

SECONDS = 900.0
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(SECONDS + 60)]


def test_story_lives_half_a_year_and_ends_by_itself() -> None:
    """With --once it ends when it is told, and no dashboard is opened."""
    environment = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "CLIENTORG_CLUSTER")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo", "run", "--story=portfolio", "--cluster=local", "--once"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout[-3000:]
    said = done.stdout
    place = -1
    for words in ("31 clients are Active", "they have their workspaces, and one waits", "something of everything",
                  "The ledger holds."):  # fmt: skip
        place = said.find(words, place + 1)
        assert place != -1, f"{words!r} is not there:\n{said}"
    assert "127.0.0.1" not in said.rpartition("== ")[2]
    assert f"Seen: {len(CHAPTERS)} chapters" in said.splitlines()[-1]
