"""Options of every test run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.controlplane.choose import CLUSTERS


def pytest_sessionstart(session: pytest.Session) -> None:
    """Forget the evidence of the run before, once for all processes of this one."""
    if not hasattr(session.config, "workerinput"):
        from tests.security.evidence import forget

        forget()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--cluster` and `--kubeconfig`, as the demo and the benchmark have them."""
    parser.addoption(
        "--cluster",
        choices=CLUSTERS,
        default=os.environ.get("CLIENTORG_CLUSTER", "local"),
        help="local: a control plane of our own (default); kind: where Docker runs; kubeconfig: the current context",
    )
    parser.addoption("--kubeconfig", type=Path, help="for --cluster=kubeconfig (default: $KUBECONFIG, ~/.kube/config)")
