"""Whom a kubeconfig's user is to be taken for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.cluster.credentials import Credentials, Source
from clientorg.errors import ConfigurationError


def kubeconfig(folder: Path, name: str, **user: Any) -> Path:
    """A kubeconfig with a context for the user `name`, and one for an administrator, which is the current one."""
    users = {"admin": {"token": "secret"}, name: {"token": "secret", **user}}
    config = {
        "current-context": "admin",
        "clusters": [{"name": "here", "cluster": {"server": "http://api.invalid"}}],
        "users": [{"name": key, "user": value} for key, value in users.items()],
        "contexts": [{"name": key, "context": {"cluster": "here", "user": key}} for key in users],
    }
    path = folder / "kubeconfig.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def headers(path: Path | str, context: str | None) -> tuple[tuple[str, str], ...]:
    """What each request carries."""
    return asyncio.run(Credentials.load(Source(str(path), context))).impersonation


def test_user_of_the_context_is_impersonated(tmp_path: Path) -> None:
    extra = {"Example.org/Scopes": ["read", "write"]}
    path = kubeconfig(
        tmp_path, "ken", **{"as": "ken@nagoya.example", "as-groups": ["sales", "staff"], "as-user-extra": extra}
    )

    assert headers(path, None) == (), "the current context is another"
    assert headers(path, "ken") == (
        ("Impersonate-User", "ken@nagoya.example"),
        ("Impersonate-Group", "sales"),
        ("Impersonate-Group", "staff"),
        ("Impersonate-Extra-example.org%2Fscopes", "read"),
        ("Impersonate-Extra-example.org%2Fscopes", "write"),
    )


def test_first_of_several_files_counts(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, second = kubeconfig(tmp_path, "ken", **{"as": "ken"}), kubeconfig(tmp_path / "other", "ken", **{"as": "aya"})

    assert headers(f"{first}:{second}", "ken") == (("Impersonate-User", "ken"),)


def test_nobody_is_half_impersonated(tmp_path: Path) -> None:
    """The API server would take us for ourselves, with all our rights."""
    with pytest.raises(ConfigurationError, match="as-groups without `as`"):
        headers(kubeconfig(tmp_path, "ken", **{"as-groups": ["sales"]}), "ken")
