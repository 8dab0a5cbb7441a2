"""What can go wrong with the local control plane, as one small exception tree."""

from __future__ import annotations

from pathlib import Path


class ControlPlaneError(Exception):
    """Base of everything raised here; its text is meant to be shown to a person as it is."""


class BuildError(ControlPlaneError):
    """A binary could not be built or found; the text ends with what the tool said."""


class ClusterUnavailableError(ControlPlaneError):
    """The chosen cluster cannot be used; the text says what to do about it."""


class ComponentError(ControlPlaneError):
    """A component exited or did not become ready.

    The last log lines are in the text because the reader of a failed CI run has no other access to them;
    `log` is kept on disk for whoever has.
    """

    def __init__(self, name: str, what: str, log: Path, tail: list[str]) -> None:
        lines = "\n".join(f"  | {line}" for line in tail) or "  (the log is empty)"
        super().__init__(f"{name} {what}; last lines of {log}:\n{lines}")
        self.name = name
        self.log = log
        self.tail = tail


class PortTakenError(ComponentError):
    """Somebody else bound the port between our looking for a free one and the component's using it."""
