"""Helm as tests use it: renders the chart, and runs commands on a cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.controlplane.binaries import find_helm
from tests.support.install import NAMESPACE, ROOT

Json = dict[str, Any]

CHART: Final = ROOT / "charts" / "clientorg-operator"
RELEASE: Final = "clientorg"
_SECONDS: Final = 300


class HelmError(Exception):
    """Helm failed; the text is what it said."""


@dataclass(frozen=True)
class Helm:
    """Helm with a home of its own, so that nobody's settings are read.

    Args:
        binary: the program.
        home: where it keeps its settings and caches.
        kubeconfig: of the cluster; none for what needs no cluster.
    """

    binary: Path
    home: Path
    kubeconfig: Path | None = None

    @classmethod
    def of(cls, home: Path, kubeconfig: Path | None = None) -> Helm:
        """The pinned Helm, built now if it is missing."""
        return cls(find_helm(), home, kubeconfig)

    def run(self, *arguments: str | Path) -> str:
        """What a command prints. Raises HelmError."""
        own = {f"HELM_{name}_HOME": str(self.home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        environment = {**os.environ, **own, "KUBECONFIG": str(self.kubeconfig or os.devnull)}
        command = [str(self.binary), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if done.returncode != 0:
            raise HelmError(f"helm {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def render(self, values: Json | None = None, *, namespace: str = NAMESPACE, chart: Path = CHART) -> list[Json]:
        """The objects of the chart with these values. Raises HelmError: the schema or a template refuses them."""
        settings = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
        text = self.run("template", RELEASE, chart, f"--namespace={namespace}", "--kube-version=v1.37.2", *settings)
        return [document for document in yaml.safe_load_all(text) if document]


def other_version(folder: Path, version: str, *, chart: Path = CHART) -> Path:
    """A copy of the chart under another version, to be changed and upgraded from."""
    copy = folder / f"clientorg-operator-{version}"
    shutil.copytree(chart, copy)
    about = copy / "Chart.yaml"
    document = yaml.safe_load(about.read_text(encoding="utf-8"))
    document |= {"version": version, "appVersion": version}
    about.write_text(yaml.safe_dump(document), encoding="utf-8")
    return copy
