"""`make demo STORY=billing`: three months of points in a minute, on a cluster of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from tests.demo.billing import CHAPTERS, POOL
from tests.support.install import ROOT

pytestmark = pytest.mark.cluster

SECONDS = 240.0
TOLD_SECONDS = 90.0


def test_story_shows_each_step_and_ends_by_itself() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "CLIENTORG_CLUSTER")}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo", "run", "--story=billing", "--cluster=local"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    seconds = time.monotonic() - began

    assert done.returncode == 0, done.stderr
    said = done.stdout
    order = (
        "both wait for an approval",
        "nobody decides on their own request",
        "both are Ready",
        "Acme K.K.: your workspace is ready",
        "mei@nagoya.example may not make a Purchase",
        "Globex has what it needs",
        "for December",
        "14,500 points for 2026-11",
        "Acme is served, and Globex waits",
        "PoolShort",
        "Globex has its points too",
        "points are sufficient again",
        "nobody is below zero",
        "your contract ends on",
        "points balance below zero",
        "Globex is terminated",
        "your contract has ended",
        "The ledger holds.",
    )
    places, place = {}, -1
    for words in order:
        places[words] = place = said.find(words, place + 1)
        assert place != -1, f"{words!r} is not there, or before {places}:\n{said}"
    assert said.count("Nagoya agency: points are short") == said.count("points are sufficient again") == 2
    assert _posted_by_kind(said) == {"Purchase": 2, "TopUp": 5, "Settlement": 1}
    assert f"Seen: {len(CHAPTERS)} chapters" in said.splitlines()[-1]
    assert seconds < TOLD_SECONDS


def _posted_by_kind(said: str) -> dict[str, int]:
    """Entries of the pool's own account, as the last history shows them."""
    _, _, history = said.rpartition(f"points history --pool {POOL}")
    kinds = re.findall(r"\b(Purchase|TopUp|Settlement|Charge|Reversal)\b", history.partition("ledger verify")[0])
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
