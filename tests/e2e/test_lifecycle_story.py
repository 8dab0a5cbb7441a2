"""`make demo STORY=lifecycle`: half a year in a minute, on a cluster of its own; and where it must not begin."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.plane import ControlPlane
from tests.demo.lifecycle import AGENCY, CHAPTERS
from tests.support.install import ROOT, install

pytestmark = pytest.mark.cluster

SECONDS = 240.0
TOLD_SECONDS = 90.0


def tell(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Play the story to its end."""
    environment = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "CLIENTORG_CLUSTER")}
    return subprocess.run(
        [sys.executable, "-m", "tests.demo", "run", "--story=lifecycle", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_story_shows_each_step_and_ends_by_itself() -> None:
    began = time.monotonic()
    done = tell("--cluster=local")
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    said = done.stdout
    order = (
        "4 pods run",
        "80% of Monthly visitors used",
        "Acme is paused, and nothing runs",
        "exceeded quota: clientorg-paused",
        "Acme is resumed, and everything runs as before",
        "Acme is deactivated, and nothing runs",
        "permanently deleted in 30 days",
        "permanently deleted in 7 days",
        "Acme is active, and everything runs as before",
        "permanently deleted tomorrow",
        "everything is deleted but the record",
        "has been permanently deleted",
    )
    places = [said.find(words) for words in order]
    assert -1 not in places, said
    assert places == sorted(places), said
    assert f"Seen: {len(CHAPTERS)} chapters" in said.splitlines()[-1]
    assert seconds < TOLD_SECONDS


@pytest.fixture(scope="module")
def foreign() -> Iterator[ControlPlane]:
    """A cluster that is somebody else's, with the CRDs installed."""
    with ControlPlane() as plane:
        install(plane.kubectl, plane.kubeconfig)
        yield plane


def apply(plane: ControlPlane, *files: Path) -> None:
    """Apply files as an administrator."""
    command = [
        str(plane.kubectl),
        f"--kubeconfig={plane.kubeconfig}",
        "apply",
        *(f"--filename={file}" for file in files),
    ]
    subprocess.run(command, check=True, capture_output=True)


def test_story_does_not_begin_where_clients_are(foreign: ControlPlane) -> None:
    """Months ahead, their deactivated ones would be purged."""
    examples = ROOT / "examples" / "quickstart"
    apply(foreign, examples / "agency.yaml", examples / "clients.yaml")
    done = tell("--cluster=kubeconfig", f"--kubeconfig={foreign.kubeconfig}")
    assert done.returncode == 1
    assert "impossible here: the cluster has clients" in done.stderr


def test_story_does_not_begin_where_another_operator_leads(foreign: ControlPlane, tmp_path: Path) -> None:
    lease = tmp_path / "lease.yaml"
    lease.write_text(
        "apiVersion: coordination.k8s.io/v1\n"
        "kind: Lease\n"
        "metadata: {name: clientorg-operator, namespace: clientorg-system}\n"
        "spec: {holderIdentity: somebody-else}\n"
    )
    apply(foreign, lease)
    done = tell("--cluster=kubeconfig", f"--kubeconfig={foreign.kubeconfig}")
    assert done.returncode == 1
    assert "another operator leads (somebody-else)" in done.stderr


def test_story_leaves_an_agency_of_its_name_alone(foreign: ControlPlane, tmp_path: Path) -> None:
    namespace = tmp_path / "namespace.yaml"
    namespace.write_text(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {AGENCY}}}\n")
    apply(foreign, namespace)
    done = tell("--cluster=kubeconfig", f"--kubeconfig={foreign.kubeconfig}")
    assert done.returncode == 1
    assert f"has a namespace {AGENCY} already" in done.stderr
