"""Programs of Debian's packages, fetched once into the cache folder, without root."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from filelock import FileLock

from tests.controlplane.toolchain import cache_dir

_FETCH_SECONDS: Final = 180


class PackageUnavailableError(RuntimeError):
    """A program is not on this machine, and could not be fetched; the text says why."""


def package_folder(name: str, packages: Sequence[str], program: str) -> Path:
    """The folder with the content of the packages; `program` is a path in it, by which one sees that it is complete.

    Raises:
        PackageUnavailableError: it is not there, and cannot be fetched.
    """
    folder = cache_dir() / "tools" / name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / program).exists():
            _fetch(folder, packages)
    return folder


def _fetch(folder: Path, packages: Sequence[str]) -> None:
    """Download the packages and unpack them into the folder: completely or not at all."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as name:
        work = Path(name)
        try:
            _run(work, packages, "apt-get", "-qq", "download", *packages)
        except PackageUnavailableError:  # lists of packages may be missing, and only root may fetch them for all
            for part in ("lists/partial", "archives/partial"):
                (work / part).mkdir(parents=True)
            own = ("-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'archives'}")
            _run(work, packages, "apt-get", "-qq", *own, "update")
            _run(work, packages, "apt-get", "-qq", *own, "download", *packages)
        for package in sorted(work.glob("*.deb")):
            _run(work, packages, "dpkg-deb", "-x", str(package), "content")
        shutil.rmtree(folder / "usr", ignore_errors=True)
        (work / "content" / "usr").rename(folder / "usr")


def _run(folder: Path, packages: Sequence[str], *command: str) -> None:
    try:
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        raise PackageUnavailableError(
            f"no {packages[0]} on PATH, and `{' '.join(command)}` failed: {said[-500:]}. Install {packages[0]}"
        ) from error
