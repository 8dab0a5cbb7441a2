"""Commands as a person types them: shown, run in a shell, and what they say shown below."""

from __future__ import annotations

import os
import subprocess

from rich.console import Console

from tests.support.install import ROOT

from .errors import DemoError
from .stage import Stage
from .telling import say

TIMEOUT_SECONDS = 60.0


class Shell:
    """A shell with kubectl, the plugin, the cluster's kubeconfig and the operator's clock.

    Args:
        environment: variables besides, or instead.
    """

    def __init__(self, stage: Stage, console: Console, **environment: str) -> None:
        self._console = console
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join((str(stage.tools), os.environ.get("PATH", os.defpath))),
            "KUBECONFIG": str(stage.kubectl.kubeconfig),
            "KUBECACHEDIR": str(stage.kubectl.cache),
            **environment,
        }

    def run(self, command: str, *, refused: bool = False) -> str:
        """Show a command and what it says; returns that. Raises DemoError if it fails, or is `refused` and does not."""
        say(self._console, f"$ {command}", style="bold")
        try:
            done = subprocess.run(
                command,
                shell=True,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"`{command}` did not end within {TIMEOUT_SECONDS:.0f} s") from error
        said = done.stdout.rstrip()
        say(self._console, said, style="yellow" if refused else "")
        if (done.returncode != 0) != refused:
            raise DemoError(f"`{command}` ended with exit code {done.returncode}, and said: {said}")
        return said
