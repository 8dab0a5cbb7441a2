"""A real Chromium, with letters for every language of the dashboard.

The browser is Debian's package. Where it is not installed it is downloaded once, without root, into the cache folder,
and so are the libraries that it needs and this machine lacks, and the fonts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from tests.controlplane.toolchain import cache_dir

_PACKAGES: Final = ("chromium", "fonts-noto-core", "fonts-noto-cjk")
_FETCH_SECONDS: Final = 600
_FONTS: Final = """\
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>{fonts}</dir><dir>/usr/share/fonts</dir><cachedir>{cache}</cachedir>
{aliases}
</fontconfig>
"""
_ALIAS: Final = (
    "<alias><family>{family}</family><prefer><family>Noto Sans{kind}</family><family>Noto Sans CJK JP</family>"
    "<family>Noto Sans Devanagari</family></prefer></alias>"
)


class ChromiumUnavailableError(RuntimeError):
    """There is no Chromium on this machine and none could be fetched; the text says why."""


@dataclass(frozen=True)
class Chromium:
    """What starts it."""

    program: Path
    environment: Mapping[str, str]


def find_chromium() -> Chromium:
    """The browser: from PATH, from the cache, or fetched now. Fonts come from the cache in any case.

    Raises:
        ChromiumUnavailableError: there is none, and none could be fetched.
    """
    folder = cache_dir() / "tools" / "chromium"
    root = folder / "root"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not root.exists():
            _fetch(folder)
        config = _font_config(folder, root)
    installed = shutil.which("chromium")
    libraries = list((root / "usr/lib").glob("*-linux-gnu*"))
    libraries += [path / "pulseaudio" for path in libraries]
    environment = {**os.environ, "FONTCONFIG_FILE": str(config)}
    if installed is not None:
        return Chromium(Path(installed), environment)
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))
    return Chromium(root / "usr/lib/chromium/chromium", environment)


def _fetch(folder: Path) -> None:
    """Download the packages and what they need, and unpack them: completely or not at all."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as name:
        work = Path(name)
        for part in ("lists/partial", "cache/archives/partial", "root"):
            (work / part).mkdir(parents=True)
        own = ["-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        apt = ["apt-get", "-qq", *own, "-o", "Debug::NoLocking=1"]
        _run(*apt, "update")
        _run(*apt, "install", "--yes", "--download-only", "--no-install-recommends", "--reinstall", *_PACKAGES)
        packages = sorted((work / "cache" / "archives").glob("*.deb"))
        for package in packages:
            _run("dpkg-deb", "-x", str(package), str(work / "root"))
        if not (work / "root/usr/lib/chromium/chromium").exists():
            raise ChromiumUnavailableError(f"no chromium among the {len(packages)} packages that were downloaded")
        (work / "root").rename(folder / "root")


def _font_config(folder: Path, root: Path) -> Path:
    aliases = [_ALIAS.format(family=family, kind="") for family in ("system-ui", "sans-serif")]
    aliases.append(_ALIAS.format(family="monospace", kind=" Mono"))
    config = folder / "fonts.conf"
    text = _FONTS.format(fonts=root / "usr/share/fonts", cache=folder / "font-cache", aliases="\n".join(aliases))
    if not config.exists() or config.read_text() != text:
        config.write_text(text)
    return config


def _run(*command: str) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()
        raise ChromiumUnavailableError(
            f"no chromium in the cache, and `{' '.join(command[:1] + command[-4:])}` failed: {said[-500:]}. Install "
            "the packages chromium, fonts-noto-core and fonts-noto-cjk"
        ) from error
