"""The scripts of other projects that the dashboard serves: `make vendor` fetches them, `make lint` compares the hashes.

They come from npm packages, because no page of the dashboard may load anything from elsewhere. vendored.json beside
them names each package, its version, the integrity that the registry gave for its tarball, and the files with their
hashes. Nothing but the standard library and npm, which is asked only by `refresh`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "operator/clientorg/dashboard/static/vendor"
MANIFEST = FOLDER / "vendored.json"


class VendorError(Exception):
    """What is there is not what it should be; the text says what to do."""


def read_manifest() -> list[dict[str, Any]]:
    """The packages."""
    packages: list[dict[str, Any]] = json.loads(MANIFEST.read_text(encoding="utf-8"))["packages"]
    return packages


def sha256(content: bytes) -> str:
    """As vendored.json has it."""
    return hashlib.sha256(content).hexdigest()


def check() -> None:
    """Raise VendorError where a file is not the one that was fetched, or one is there that nobody fetched."""
    wanted = {name: entry["sha256"] for package in read_manifest() for name, entry in package["files"].items()}
    there = {path.name: sha256(path.read_bytes()) for path in FOLDER.iterdir() if path.name != MANIFEST.name}
    wrong = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if wrong:
        raise VendorError(f"{FOLDER.relative_to(ROOT)}: {', '.join(wrong)}: not as fetched; run `make vendor`")


def refresh() -> None:
    """Fetch every file anew, by the versions in vendored.json.

    A package whose version is as before has to be the very same tarball.
    """
    packages = read_manifest()
    for package in packages:
        spec = f"{package['name']}@{package['version']}"
        with tempfile.TemporaryDirectory() as folder:
            command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, spec]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            except (OSError, subprocess.CalledProcessError) as error:
                said = str(getattr(error, "stderr", None) or error).strip()[-500:]
                raise VendorError(f"npm pack {spec} failed: {said}") from error
            (tarball,) = Path(folder).glob("*.tgz")
            _take(package, spec, tarball)
    MANIFEST.write_text(json.dumps({"packages": packages}, indent=2) + "\n", encoding="utf-8")
    check()


def _take(package: dict[str, Any], spec: str, tarball: Path) -> None:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    known = package.get("tarball", {})
    if known.get("version") == package["version"] and known["integrity"] != integrity:
        raise VendorError(f"{spec} is another tarball than before: {integrity}, and not {known['integrity']}")
    package["tarball"] = {"version": package["version"], "integrity": integrity}
    with tarfile.open(tarball) as archive:
        for name, entry in package["files"].items():
            member = archive.extractfile(f"package/{entry['path']}")
            if member is None:
                raise VendorError(f"{spec} has no file {entry['path']}")
            content = member.read()
            (FOLDER / name).write_bytes(content)
            entry["sha256"] = sha256(content)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["refresh", "check"])
    try:
        {"refresh": refresh, "check": check}[parser.parse_args().what]()
    except VendorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
