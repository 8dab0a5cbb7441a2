"""The folder of one cluster, and clearing away the folders of clusters whose process was killed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import psutil

from .errors import ControlPlaneError

PREFIX = "clientorg-cluster-"
OWNER_FILE = "owner.json"
CONTENTS = ("etcd", "pki", "kubeconfigs", "logs", "audit", "kwok.yaml", "audit-policy.yaml", OWNER_FILE)


def process_started(pid: int) -> float | None:
    """When the process with this ID began, in a unit of the system's own, or None if there is none.

    Together with the ID it names a process for good: IDs are reused. On Linux it is counted in ticks from boot, since
    a time of day would change when the clock is set.
    """
    if sys.platform == "linux":
        try:
            status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = status.rpartition(")")[2].split()  # the name before it may contain anything
        return None if fields[0] in "ZX" else float(fields[19])
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_same_process(pid: int, started: float) -> bool:
    """Whether the process that had this ID then still runs."""
    return process_started(pid) == started


class WorkDir:
    """A folder for one cluster's data: a temporary one, or one that the caller names."""

    def __init__(self, directory: Path | None) -> None:
        self._given = directory is not None
        if directory is None:
            sweep()
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        else:
            self.path = directory.resolve()
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._refuse_foreign()
        owner = {"pid": os.getpid(), "started": process_started(os.getpid())}
        (self.path / OWNER_FILE).write_text(json.dumps(owner), encoding="utf-8")

    def clear(self, *, keep: tuple[str, ...] = ()) -> None:
        """Remove what a cluster put there, except the names in `keep`; other files of a given folder stay."""
        _clear(self.path, keep)

    def remove(self) -> None:
        """Remove everything of the cluster, and the folder itself when it is ours or is now empty."""
        if self._given:
            discard(self.path)
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def _refuse_foreign(self) -> None:
        owner = read_owner(self.path)
        if owner is not None and owner[0] != os.getpid() and is_same_process(*owner):
            raise ControlPlaneError(f"{self.path} belongs to a running cluster (process {owner[0]}); stop it first")
        if owner is None and (self.path / "etcd").exists():
            raise ControlPlaneError(f"{self.path} holds etcd data that is not from here; choose another folder")


def read_owner(directory: Path) -> tuple[int, float] | None:
    """The process that uses the folder, as ID and start time, or None."""
    try:
        owner = json.loads((directory / OWNER_FILE).read_text(encoding="utf-8"))
        return int(owner["pid"]), float(owner["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def discard(directory: Path) -> None:
    """Remove a cluster's files from a folder, and the folder if nothing else is in it; not if a living one owns it."""
    owner = read_owner(directory)
    if owner is None or (owner[0] != os.getpid() and is_same_process(*owner)):
        return
    _clear(directory, ())
    if not any(directory.iterdir()):
        directory.rmdir()


def _clear(directory: Path, keep: tuple[str, ...]) -> None:
    for name in CONTENTS:
        path = directory / name
        if name in keep:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sweep() -> None:
    """Remove temporary folders of clusters whose process is gone: one killed with SIGKILL could not clean up."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = read_owner(directory)
        if owner is not None and not is_same_process(*owner):
            shutil.rmtree(directory, ignore_errors=True)
