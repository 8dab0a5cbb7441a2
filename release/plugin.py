"""`make plugin`: the plugin's archive, and the manifest by which krew finds it.

The archive has the wheel, its lock and a shell script, and nothing that depends on a platform. The same sources make
the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import sys
import tarfile
from pathlib import Path
from typing import Final

from clientorg import __version__

ROOT: Final = Path(__file__).resolve().parents[1]
HERE: Final = ROOT / "release"
URL: Final = "https://github.com/clientorg/clientorg-operator/releases/download/v{version}/{archive}"
PLATFORMS: Final = (("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"))
_PLATFORM: Final = """\
    - selector: {{matchLabels: {{os: {os}, arch: {arch}}}}}
      uri: {uri}
      sha256: {sha256}
      bin: kubectl-clientorg
      files: [{{from: "*", to: .}}]
"""


def script(lock: bytes, wheel: bytes) -> bytes:
    """The program of the archive; another lock or wheel is installed into another folder."""
    text = (HERE / "kubectl-clientorg.sh").read_text(encoding="utf-8")
    digest = hashlib.sha256(lock + wheel).hexdigest()[:12]
    return text.replace("@VERSION@", __version__).replace("@DIGEST@", digest).encode()


def archive(wheel: Path) -> bytes:
    """The archive's bytes."""
    lock = (ROOT / "requirements" / "plugin.txt").read_bytes()
    members = {
        "kubectl-clientorg": (script(lock, wheel.read_bytes()), 0o755),
        "kubectl_complete-clientorg": (
            (ROOT / "operator/clientorg/cli/kubectl_complete-clientorg").read_bytes(),
            0o755,
        ),
        "requirements.txt": (lock, 0o644),
        wheel.name: (wheel.read_bytes(), 0o644),
        "LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, (content, mode) in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def manifest(name: str, content: bytes) -> str:
    """krew's manifest of an archive."""
    uri, sha256 = URL.format(version=__version__, archive=name), hashlib.sha256(content).hexdigest()
    platforms = "".join(_PLATFORM.format(os=os, arch=arch, uri=uri, sha256=sha256) for os, arch in PLATFORMS)
    text = (HERE / "krew" / "clientorg.yaml.in").read_text(encoding="utf-8")
    return text.replace("@VERSION@", __version__).replace("@PLATFORMS@\n", platforms)


def main(arguments: list[str] | None = None) -> int:
    """Write both; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m release.plugin", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / "dist", help="where the wheel is (default: dist)"
    )
    folder: Path = parser.parse_args(arguments).folder
    wheel = folder / f"clientorg-{__version__}-py3-none-any.whl"
    if not wheel.exists():
        print(f"error: {wheel} is not there; make dist", file=sys.stderr)
        return 1
    name = f"kubectl-clientorg-{__version__}.tar.gz"
    content = archive(wheel)
    (folder / name).write_bytes(content)
    (folder / "clientorg.yaml").write_text(manifest(name, content), encoding="utf-8")
    print(f"wrote {folder / name} and clientorg.yaml", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
