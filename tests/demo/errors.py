"""What ends a demo early."""

from __future__ import annotations

from pathlib import Path

from tests.controlplane import ControlPlaneError


class DemoError(ControlPlaneError):
    """Something did not come about; the text is for a person, says what to do or where to look."""


class RefusedError(DemoError):
    """The demo does not begin here, or not like this."""


class OperatorError(DemoError):
    """The operator ended, or did not do its work; the end of its log is in the text."""

    def __init__(self, what: str, log: Path, tail: str) -> None:
        lines = "\n".join(f"  | {line[:400]}" for line in tail.splitlines()) or "  (the log is empty)"
        super().__init__(f"{what}. The operator's last log lines ({log}):\n{lines}")
