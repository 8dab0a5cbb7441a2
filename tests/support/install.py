"""Installs what a cluster needs before the operator runs: CRDs, rights, policies; but for what _NOT_HERE lists."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
MANIFESTS: Final = ROOT / "manifests"
NAMESPACE: Final = "clientorg-system"
SERVICE_ACCOUNT: Final = "clientorg-operator"
_NOT_HERE: Final = {
    "deployment.yaml",  # there is no image on a local control plane; the operator is a process
    # It compares dates with the API server's clock, and stories are told on the development clock.
    # tests/cluster/test_client_terms.py applies it for itself.
    "client-dates.yaml",
}


def resources() -> list[Path]:
    """The files that manifests/kustomization.yaml lists, without those in _NOT_HERE."""
    listed = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    return [(MANIFESTS / name).resolve() for name in listed if Path(name).name not in _NOT_HERE]


def install(kubectl: Path | str, kubeconfig: Path | str) -> None:
    """Apply CRDs, ServiceAccount, RBAC and policies, and wait until the kinds are served.

    Raises:
        subprocess.CalledProcessError: kubectl failed; its output is on the terminal.
    """
    command = [str(kubectl), "--kubeconfig", str(kubeconfig)]
    files = [argument for path in resources() for argument in ("-f", str(path))]
    subprocess.run([*command, "apply", "--server-side", "--force-conflicts", *files], check=True, capture_output=True)
    subprocess.run(
        [*command, "wait", "--for=condition=Established", "--timeout=60s", "crd"]
        + [path.stem for path in sorted((ROOT / "crds").glob("*.yaml"))],
        check=True,
        capture_output=True,
    )
