"""`python -m tests.image`: every step of the Dockerfile in a clean Debian root, and then the image's own promises.

Needs root, for debootstrap and chroot. What it cannot show: that the pinned base can be pulled, and that it is like
debootstrap's minimal Debian. The roots are deleted afterwards; debootstrap's downloads stay in the cache folder.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.controlplane.toolchain import cache_dir
from tests.support.install import ROOT

from .dockerfile import Stage, parse, variables

SUITE = "trixie"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FORBIDDEN = ("gcc", "cc", "g++", "make", "ld", "pip", "pip3", "curl", "wget")
_AUTHORITIES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_AUTHORITIES_FILE = "tmp/authorities-of-the-host.pem"
_FROM_HOST = ("PIP_", *_AUTHORITIES, "http_proxy", "https_proxy", "no_proxy")


class StepError(Exception):
    """A step failed; the text has what it said."""


def run(command: list[str], what: str, environment: dict[str, str] | None = None) -> str:
    """What a command says. Raises StepError."""
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise StepError(f"{what}: exit code {done.returncode}\n{(done.stdout + done.stderr).strip()[-3000:]}")
    return done.stdout + done.stderr


class Builder:
    """Builds the stages of a Dockerfile below a folder."""

    def __init__(self, folder: Path, context: Path) -> None:
        self._folder = folder
        self._context = context
        self._roots: dict[str, Path] = {}
        # Mirrors and certificates of this machine, during the build only.
        self._host = {name: value for name, value in os.environ.items() if name.startswith(_FROM_HOST)}
        self._authorities = next((value for name, value in self._host.items() if name in _AUTHORITIES), "")
        self._host |= dict.fromkeys(_AUTHORITIES, "/" + _AUTHORITIES_FILE) if self._authorities else {}

    def base(self) -> Path:
        """A minimal Debian, made once."""
        root, packages = self._folder / "base", cache_dir() / "debootstrap"
        if not root.exists():
            packages.mkdir(parents=True, exist_ok=True)
            command = ["debootstrap", "--variant=minbase", f"--cache-dir={packages}", SUITE, str(root)]
            say(f"debootstrap --variant=minbase {SUITE}")
            run(command, "debootstrap")
        return root

    def build(self, stage: Stage) -> Path:
        """Run the steps of a stage; returns its root."""
        root = self._folder / f"stage-{stage.name}"
        run(["cp", "--archive", str(self.base()), str(root)], "copying the base")
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        if self._authorities:
            shutil.copy(self._authorities, root / _AUTHORITIES_FILE)
        environment = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"}
        for keyword, rest in stage.steps:
            say(f"{keyword} {rest[:110]}{'…' if len(rest) > 110 else ''}")
            if keyword == "COPY":
                self._copy(root, shlex.split(rest))
            elif keyword == "ENV":
                environment |= variables(rest)
            else:
                run([chroot(), str(root), "/bin/sh", "-c", rest], f"RUN {rest}", environment | self._host)
        (root / _AUTHORITIES_FILE).unlink(missing_ok=True)
        self._roots[stage.name] = root
        return root

    def _copy(self, root: Path, words: list[str]) -> None:
        source = self._context
        if words[0].startswith("--from="):
            source = self._roots[words.pop(0).removeprefix("--from=")]
        *sources, target = words
        for name in sources:
            found, into = source / name.lstrip("/"), root / target.lstrip("/")
            into.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                ignore = shutil.ignore_patterns("__pycache__") if source == self._context else None
                shutil.copytree(found, into, symlinks=True, ignore=ignore)
            else:
                shutil.copy2(found, into)


def chroot() -> str:
    """The program by its full path: it is looked for in the image's PATH otherwise."""
    return shutil.which("chroot", path=PATH) or "chroot"


def say(text: str) -> None:
    """A line for a person."""
    print(f"  {text}", file=sys.stderr, flush=True)


def inside(root: Path, stage: Stage, command: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run a command as the container would: its user, its environment, and a root file system that is read-only."""
    shell = shlex.quote(f"cd {stage.directory} && exec {shlex.join(command)}")
    script = (
        f"mount --bind {root} {root} && mount --options remount,bind,ro {root} && mount --types tmpfs tmpfs {root}/tmp"
        f" && exec {chroot()} --userspec={stage.user} {root} /bin/sh -c {shell}"
    )
    return subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", script],
        env=stage.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def promises(root: Path, stage: Stage) -> list[str]:
    """What the image promises and does not keep."""
    broken = [f"{name} is in the image" for name in FORBIDDEN if (found := _which(root, stage, name)) and found]
    if stage.user.partition(":")[0] in ("", "0", "root"):
        broken.append("it runs as root")
    for command, expected, text in (
        (["python", "-m", "handlers", "version"], 0, ""),
        (["python", "-m", "handlers", "run", "--help"], 0, "--tracing-endpoint"),
        (["python", "-c", "import zoneinfo; print(zoneinfo.ZoneInfo('Asia/Tokyo'))"], 0, "Asia/Tokyo"),
        (["python", "-c", "import opentelemetry.exporter.otlp.proto.http.trace_exporter as it; print(it)"], 0, ""),
        (["python", "-c", "import os; print(os.getuid())"], 0, stage.user.partition(":")[0]),
        (["python", "-c", "open('/opt/clientorg/x', 'w')"], 1, "Read-only file system"),
        (["python", "-c", "open('/tmp/x', 'w'); print('written')"], 0, "written"),
        (stage.health, 1, "does not answer"),
        # Without a cluster the real command ends by itself, and says why.
        (stage.command, 2, "clientorg-operator:"),
    ):
        done = inside(root, stage, command)
        said = done.stdout + done.stderr
        words, last = shlex.join(command), "".join(said.strip().splitlines()[-1:])
        say(f"{words[:90]}: {done.returncode}, {last[:90]}")
        if done.returncode != expected or text not in said:
            broken.append(f"{words}: exit code {done.returncode}, expected {expected}: {said.strip()[-500:]}")
    return broken


def _which(root: Path, stage: Stage, name: str) -> str:
    return inside(root, stage, ["/bin/sh", "-c", f"command -v {name} || true"]).stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    """Build and look; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="leave the roots, and say where")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("error: this needs root and debootstrap (apt-get install debootstrap)", file=sys.stderr)
        return 2
    started, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="clientorg-image-"))
    try:
        stages, builder = parse(ROOT / "Dockerfile"), Builder(folder, ROOT)
        for stage in stages:
            print(f"FROM {stage.base} AS {stage.name} (here: debootstrap {SUITE})", file=sys.stderr)
            root = builder.build(stage)
        broken = promises(root, stages[-1])
        size = run(["du", "--summarize", "--block-size=M", str(root)], "du").split()[0]
    except StepError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        if options.keep:
            print(f"left in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for text in broken:
        print(f"error: {text}", file=sys.stderr)
    print(
        f"{'Not as promised' if broken else 'Every step passed'}: {size}, {time.monotonic() - started:.0f} s",
        file=sys.stderr,
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
