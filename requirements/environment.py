"""The checkout's own Python environment: `make venv` and `make lock` run this, with nothing but the standard library.

What is installed is in dev.txt, with hashes: the packages that pyproject.toml asks for (its dependencies and
extras, the group `dev`) and all they need. pip is called as its user has set it up, so mirrors and proxies work.
image.txt and plugin.txt are the parts of it that go into the image and into the plugin's archive.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements" / "dev.txt"
IMAGE_LOCK = ROOT / "requirements" / "image.txt"
PLUGIN_LOCK = ROOT / "requirements" / "plugin.txt"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
DIGEST_MARK = "# pyproject.toml: "
HEADER = """\
# {what} and their hashes. Written by `make lock`; do not edit.
# Install with: pip install --require-hashes -r requirements/{name}
"""
LOCKS = {
    LOCK: ("The packages of the development environment", ["--all-extras", "--group=dev"]),
    IMAGE_LOCK: ("The packages of the image", ["--extra=operator", "--extra=tracing"]),
    PLUGIN_LOCK: ("The packages of the kubectl plugin", []),
}
"""What each lock is, and what it is made from."""


class SetupError(Exception):
    """Something outside of this file has to be put right; the text says what."""


def say(text: str) -> None:
    """A line for a person; standard output belongs to the command that follows."""
    print(text, file=sys.stderr, flush=True)


def run(what: str, *command: str | Path) -> None:
    """Run a command silently; raises SetupError with the end of what it said if it fails."""
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-3000:]
        raise SetupError(f"{what} failed (exit code {done.returncode}):\n{said}")


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the environment's lock. It is on this folder itself, so that no lock file can be left or deleted."""
    folder = os.open(LOCK.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another make that sets up .venv ...")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def digest(*parts: object) -> str:
    """A fingerprint of some JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def wanted(pyproject: dict[str, Any]) -> dict[str, Any]:
    """What pyproject.toml asks for, which is what the lock is made from."""
    project = pyproject["project"]
    return {
        "python": project["requires-python"],
        "dependencies": sorted(project["dependencies"]),
        **{name: sorted(extra) for name, extra in project["optional-dependencies"].items()},
        "dev": sorted(pyproject["dependency-groups"]["dev"]),
    }


def fingerprints() -> dict[str, str]:
    """What the environment depends on: if `packages` changes it is made anew, if `project` does that is linked anew."""
    pyproject = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    pins = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {
        "packages": digest(pins, str(ROOT)),  # scripts and the link to the project hold the checkout's path
        "project": digest(pyproject["project"], pyproject["build-system"], pyproject["tool"]["hatch"]),
    }


def installed() -> dict[str, str]:
    """The fingerprints of what .venv has; empty if it was never finished, or its Python is gone or another one.

    Which Python this runs on does not matter: a .venv made with another one that is new enough stays.
    """
    try:
        content: dict[str, str] = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if content.pop("python", "") == os.path.realpath(PYTHON) and PYTHON.exists() else {}


def stamp(content: dict[str, str]) -> None:
    """Write down what .venv has."""
    temporary = STAMP.with_suffix(".new")
    temporary.write_text(json.dumps({**content, "python": os.path.realpath(PYTHON)}), encoding="utf-8")
    temporary.replace(STAMP)


def make_venv() -> None:
    """Bring .venv up to date; nothing to do is the usual case."""
    want = fingerprints()
    if installed() == want:
        return
    with one_at_a_time():
        have = installed()
        if have == want:  # another make did it meanwhile
            return
        started = time.monotonic()
        if have.get("packages") != want["packages"]:
            install_packages()
            stamp({"packages": want["packages"]})
        pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run("installing the project into .venv", *pip, "--no-deps", "--no-build-isolation", "--editable", ".")
        stamp(want)
        say(f".venv is ready ({time.monotonic() - started:.0f} s)")


def install_packages() -> None:
    """A new .venv with the packages of the lock, and nothing that an older one left behind."""
    count = LOCK.read_text(encoding="utf-8").count("==")
    version = ".".join(map(str, sys.version_info[:3]))
    say(f"Setting up .venv: Python {version}, {count} packages of requirements/dev.txt ...")
    STAMP.unlink(missing_ok=True)  # first of all: whatever follows may be interrupted
    base = getattr(sys, "_base_executable", sys.executable)  # not .venv's own, which is about to be deleted
    run("making .venv", base, "-m", "venv", "--clear", VENV)
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run("installing the packages into .venv", *pip, "--require-hashes", "--requirement", LOCK)


def make_lock() -> None:
    """Write the locks anew with the newest versions that fit, for every platform, by uv (from PyPI, for this once).

    The image's versions are those of the development environment, which is what was tested.
    """
    say("Resolving the packages with uv ...")
    with tempfile.TemporaryDirectory() as folder:
        run("making an environment for uv", sys.executable, "-m", "venv", folder)
        python, new = Path(folder) / "bin" / "python", Path(folder) / "new.txt"
        run("installing uv", python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv")
        options = ["--universal", "--python-version=3.11", "--generate-hashes"]
        options += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
        mark = DIGEST_MARK + digest(wanted(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))))
        for lock, (what, selection) in LOCKS.items():
            constraint = [] if lock == LOCK else [f"--constraint={LOCK}"]
            command = ["pip", "compile", str(PYPROJECT), *selection, *options, *constraint, "--output-file", str(new)]
            run(f"resolving {lock.name}", Path(folder) / "bin" / "uv", *command)
            temporary = lock.with_suffix(".new")
            header = HEADER.format(what=what, name=lock.name)
            temporary.write_text(f"{header}{mark}\n{new.read_text(encoding='utf-8')}", encoding="utf-8")
            temporary.replace(lock)
            new.unlink()
            say(f"Wrote {lock.relative_to(ROOT)}: {lock.read_text(encoding='utf-8').count('==')} packages")


def check_lock() -> None:
    """Fail if a lock was not made from today's pyproject.toml, or is not all hashes. Needs no network."""
    for lock in LOCKS:
        name = lock.relative_to(ROOT)
        text = lock.read_text(encoding="utf-8") if lock.exists() else ""
        mark = DIGEST_MARK + digest(wanted(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))))
        if mark not in text.splitlines():
            raise SetupError(f"{name} is not made from this pyproject.toml; run `make lock` and commit it")
        for block in text.replace("\\\n", " ").splitlines():
            if block.strip() and not block.startswith("#") and "--hash=sha256:" not in block:
                raise SetupError(f"{name}: no hash for {block.split()[0]}; run `make lock`")
        if "://" in text:
            raise SetupError(f"{name} names a registry; run `make lock` without --emit options")


COMMANDS = {"venv": make_venv, "lock": make_lock, "check": check_lock}


def main() -> int:
    """Run one of the commands; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    try:
        COMMANDS[parser.parse_args().command]()
    except SetupError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
