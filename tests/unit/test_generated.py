"""Files that are made from others are as they would be made now (the CRDs have their own test)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clientorg.control.settings import Settings
from docs import settings_page

ROOT = Path(__file__).resolve().parents[2]


def test_page_of_the_settings_is_current() -> None:
    assert settings_page.main(["--check"]) == 0, "run `make docs` and commit"


def test_every_setting_is_on_its_page_with_its_flag_and_variable() -> None:
    page = settings_page.PAGE.read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert f"| `--{name.replace('_', '-')}` | `CLIENTORG_{name.upper()}` |" in page
        assert field.description, f"{name} has no description"


def test_difference_is_found_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_page, "PAGE", tmp_path / "settings.md")
    assert settings_page.main(["--check"]) == 1
    assert settings_page.main([]) == 0
    assert settings_page.main(["--check"]) == 0


def test_lock_is_made_from_this_pyproject() -> None:
    check = [sys.executable, str(ROOT / "requirements" / "environment.py"), "check"]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
