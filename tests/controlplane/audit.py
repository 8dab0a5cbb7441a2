"""The API server's audit log: what is written to it, and how to read it while it grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": ["get", "list", "watch"]},
        # Whole bodies for what the project is about, so that a test can see what was written and why.
        {"level": "RequestResponse", "resources": [{"group": "clientorg.dev"}]},
        # What rights were given, and what was told: a secret must be in none of it.
        {
            "level": "Request",
            "resources": [
                {"group": "events.k8s.io", "resources": ["events"]},
                {"group": "rbac.authorization.k8s.io", "resources": ["rolebindings"]},
            ],
        },
        {"level": "Metadata"},
    ],
}


def write_policy(path: Path) -> None:
    """Write the audit policy file."""
    path.write_text(yaml.safe_dump(POLICY, sort_keys=False), encoding="utf-8")


def read_events(path: Path, offset_bytes: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the audit events from an offset on; a last line that is still being written is left out.

    Pass the file's size at some moment as the offset to see only what came after it.
    """
    if not path.exists():
        return
    with path.open("rb") as log:
        log.seek(offset_bytes)
        for line in log:
            if line.endswith(b"\n"):
                yield json.loads(line)
