"""The scripts of others that the dashboard serves are the ones that were fetched, with their licenses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from requirements import vendored


def test_files_are_as_fetched() -> None:
    """Every file has the hash of vendored.json, and there is no other."""
    vendored.check()


def test_every_package_brings_its_license() -> None:
    """By name, and as a file of its own."""
    for package in vendored.read_manifest():
        assert package["license"] in ("0BSD", "MIT")
        assert any(name.endswith(".LICENSE.txt") for name in package["files"]), package["name"]
        assert package["tarball"]["version"] == package["version"]


def test_a_file_that_was_edited_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is one that is there without being listed."""
    folder = tmp_path / "vendor"
    shutil.copytree(vendored.FOLDER, folder)
    monkeypatch.setattr(vendored, "ROOT", tmp_path)
    monkeypatch.setattr(vendored, "FOLDER", folder)
    vendored.check()
    (folder / "htmx.min.js").write_text("alert(1)")
    (folder / "more.js").write_text("")
    with pytest.raises(vendored.VendorError, match=r"htmx\.min\.js, more\.js: not as fetched; run `make vendor`"):
        vendored.check()
