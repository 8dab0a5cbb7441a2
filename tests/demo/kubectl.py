"""kubectl, the way the demo calls it: on one cluster, with an answer or an error that a person can read."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.install import NAMESPACE, SERVICE_ACCOUNT

from .errors import DemoError

TIMEOUT_SECONDS = 150.0
TOKEN_HOURS = 24


@dataclass(frozen=True)
class Kubectl:
    """kubectl on one cluster."""

    binary: Path
    kubeconfig: Path
    cache: Path

    def command(self, *arguments: str) -> list[str]:
        """The whole command line. Its discovery cache is ours: clusters that come and go do not fill the user's."""
        return [str(self.binary), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}", *arguments]

    def run(self, *arguments: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
        """What it prints; raises DemoError with its own words if it fails."""
        try:
            done = subprocess.run(
                self.command(*arguments),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"kubectl {arguments[0]} did not end within {timeout_seconds:.0f} s") from error
        if done.returncode != 0:
            raise DemoError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def exists(self, *what: str) -> bool:
        """Whether an object is there."""
        return bool(self.run("get", *what, "--ignore-not-found", "--output=name").strip())


def write_operator_kubeconfig(kubectl: Kubectl, target: Path, hours: int = TOKEN_HOURS) -> Path:
    """A kubeconfig with a token of the operator's ServiceAccount: it runs with the rights it has in a real cluster."""
    token = kubectl.run("create", "token", SERVICE_ACCOUNT, f"--namespace={NAMESPACE}", f"--duration={hours}h").strip()
    admin = _own_config(kubectl)
    name = "clientorg-operator"
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": admin["clusters"][0]["cluster"]}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": NAMESPACE}}],
        "current-context": name,
    }
    return _write(target, config)


def write_kubeconfig_of(kubectl: Kubectl, target: Path, namespace: str, people: Mapping[str, str]) -> Path:
    """A kubeconfig with the administrator's context, and one in the namespace for each of `people`, whom the
    administrator impersonates.

    Args:
        people: the context's name to the user's.
    """
    config = _own_config(kubectl)
    cluster, admin = config["contexts"][0]["context"]["cluster"], config["users"][0]["user"]
    for name, user in people.items():
        config["users"].append({"name": name, "user": {**admin, "as": user}})
        config["contexts"].append({"name": name, "context": {"cluster": cluster, "user": name, "namespace": namespace}})
    return _write(target, config)


def _own_config(kubectl: Kubectl) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(
        kubectl.run("config", "view", "--raw", "--minify", "--flatten", "--output=json")
    )
    return config


def _write(target: Path, config: dict[str, Any]) -> Path:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    return target


def link_tools(folder: Path, kubectl: Path, others: Sequence[Path]) -> Path:
    """A folder for PATH with a kubectl that fits the cluster, and the plugin; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in [("kubectl", kubectl), *((path.name, path) for path in others)]:
        link = folder / name
        if target.exists() and not (link.is_symlink() and link.readlink() == target):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    return folder
