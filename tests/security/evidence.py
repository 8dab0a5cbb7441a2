"""What one control plane of a test run tells about the operator: rights used, rights refused, secrets in the open.

Each process of a test run has a control plane of its own. At its end it writes what it saw into a file of its own, and
`python -m tests.security` judges all of them together: what one process did not use, another may have.
"""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.cluster.operators import IDENTITY
from tests.controlplane.audit import read_events
from tests.security.rights import Right, used
from tests.support.canary import CANARY
from tests.support.install import ROOT

FOLDER: Final = ROOT / ".run" / "evidence"


def needles(secret: str) -> list[bytes]:
    """The ways in which a secret may be spelled: as it is, for an address, in base64 at each of its three offsets."""
    spelled = {secret, quote(secret, safe="")}
    for before in range(3):
        whole = base64.b64encode(b"-" * before + secret.encode()).decode().rstrip("=")
        spelled.add(whole[(before * 8 + 5) // 6 + 1 : -2])  # without the characters that depend on what is beside it
    return [text.encode() for text in spelled]


def leaks(lines: Iterable[bytes], secret: str = CANARY) -> Iterator[str]:
    """The lines in which the secret stands, itself made unreadable."""
    words = needles(secret)
    for line in lines:
        if any(word in line for word in words):
            text = line.decode(errors="replace").strip()
            yield text.replace(secret, "<the canary>")[:500]


def collect(audit_log: Path, outputs: Iterable[Path], folder: Path = FOLDER, worker: str | None = None) -> Path:
    """Write what this control plane tells.

    The audit log holds every status and Event that was ever written, also of objects that are gone, and every error
    that the API server answered with.

    Args:
        outputs: logs and metrics of the operators.
    """
    uses: set[Right] = set()
    refused: set[Right] = set()
    for event in read_events(audit_log):
        if event["user"].get("username") != IDENTITY:  # whoever is not known has no name
            continue
        is_refused = event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
        (refused if is_refused else uses).update(used(event))
    found = [f"audit log: {line}" for line in leaks(_lines(audit_log))]
    for path in outputs:
        found += [f"{path.name}: {line}" for line in leaks(_lines(path))]
    folder.mkdir(parents=True, exist_ok=True)
    name = worker or os.environ.get("PYTEST_XDIST_WORKER", "alone")
    # A process may have several, one after the other: tests/cluster and tests/security each have their own.
    target = folder / f"{name}-{audit_log.parent.parent.name}-{uuid.uuid4().hex[:8]}.json"
    document: dict[str, Any] = {
        "used": [[right.group, right.resource, right.verb, right.name] for right in sorted(_short(uses))],
        "refused": [[right.group, right.resource, right.verb, right.name] for right in sorted(refused)],
        "leaks": found,
    }
    target.write_text(json.dumps(document), encoding="utf-8")
    return target


def _short(uses: set[Right]) -> set[Right]:
    """Names only where a rule may have names: there are thousands of objects."""
    named = {"secrets", "leases", "clusterroles"}
    return {use if use.resource in named else Right(use.group, use.resource, use.verb) for use in uses}


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as stream:
            yield from stream


def gather(folder: Path = FOLDER) -> tuple[set[Right], set[Right], list[str]]:
    """What all control planes of the last run tell: used, refused, leaks."""
    uses: set[Right] = set()
    refused: set[Right] = set()
    found: list[str] = []
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        uses |= {Right(*item) for item in document["used"]}
        refused |= {Right(*item) for item in document["refused"]}
        found += document["leaks"]
    return uses, refused, found


def forget(folder: Path = FOLDER) -> None:
    """Remove what an earlier run left."""
    for path in folder.glob("*.json"):
        path.unlink()
