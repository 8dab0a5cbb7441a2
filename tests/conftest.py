"""Options of every test run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.controlplane.choose import CLUSTERS


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--cluster` and `--kubeconfig`, as the demo and the benchmark have them."""
    parser.addoption(
        "--cluster",
        choices=CLUSTERS,
        default=os.environ.get("CLIENTORG_CLUSTER", "local"),
        help="local: a control plane of our own (default); kind: where Docker runs; kubeconfig: the current context",
    )
    parser.addoption("--kubeconfig", type=Path, help="for --cluster=kubeconfig (default: $KUBECONFIG, ~/.kube/config)")
