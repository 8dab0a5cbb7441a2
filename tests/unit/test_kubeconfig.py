"""Kubeconfigs are read merged and changed without losing anything (FEATURES Z11, W2)."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.api.access import Login
from clientorg.cli.accesslogin import oidc_user
from clientorg.cli.kubeconfig import EXTENSION, Merged, changed, extension_of, put, remove, written_file
from clientorg.errors import ConfigurationError, InputError

SECRET = "s3cr3t-t0ken"
TEXT = f"""\
# my clusters
apiVersion: v1
kind: Config
current-context: home
preferences: {{colors: true}}
clusters:
- cluster:
    certificate-authority: ca.pem  # beside this file
    server: "https://home.example"
  name: home
contexts:
- context: {{cluster: home, user: me}}
  name: home
users:
- name: me
  user:
    token: '{SECRET}'
    auth-provider:
      config: {{expiry: 2026-11-28T10:00:00Z, scopes: yes}}
x-unknown: [1, 2]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A kubeconfig that a person has written."""
    path = tmp_path / "config"
    path.write_text(TEXT)
    path.chmod(0o644)
    return path


def context(name: str = "acme@tokyo", user: str = "me") -> dict[str, Any]:
    """A context of ours."""
    mark = {"name": EXTENSION, "extension": {"agency": "tokyo", "client": "acme"}}
    return {"name": name, "context": {"cluster": "home", "user": user, "namespace": "acme-1", "extensions": [mark]}}


def test_what_is_there_stays_to_the_letter(path: Path) -> None:
    with changed(path) as document:
        put(document, "contexts", context())
    text = path.read_text()

    with changed(path) as document:
        remove(document, "contexts", "acme@tokyo")

    assert path.read_text() == TEXT
    assert set(TEXT.splitlines()) <= set(text.splitlines())
    assert [item["name"] for item in yaml.safe_load(text)["contexts"]] == ["home", "acme@tokyo"]


def test_file_is_the_owners_alone_and_nothing_is_left_beside_it(path: Path) -> None:
    with changed(path) as document:
        put(document, "contexts", context())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["config"]


def test_nothing_is_written_when_nothing_changed(path: Path) -> None:
    before = path.stat()

    with changed(path):
        pass

    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)


def test_failure_half_way_leaves_the_file_as_it_was(path: Path) -> None:
    def change() -> None:
        with changed(path) as document:
            put(document, "contexts", context())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()

    assert path.read_text() == TEXT
    assert [entry.name for entry in path.parent.iterdir()] == ["config"]


def test_entry_of_the_same_name_is_replaced_in_its_place(path: Path) -> None:
    for user in ("one", "two"):
        with changed(path) as document:
            put(document, "contexts", context(user=user))

    with changed(path) as document:
        found = [item for item in document["contexts"] if item["name"] == "acme@tokyo"]
    assert [item["context"]["user"] for item in found] == ["two"]


def test_file_that_is_not_there_is_made_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"

    with changed(path) as document:
        put(document, "contexts", context())

    assert yaml.safe_load(path.read_text())["contexts"] == [context()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)

    with changed(link) as document:
        put(document, "contexts", context())

    assert link.is_symlink()
    assert "acme@tokyo" in path.read_text()


def test_who_writes_at_the_same_time_is_waited_for_by_nobody_and_told(path: Path) -> None:
    (path.parent / "config.lock").touch()

    with pytest.raises(InputError, match="another command is writing"), changed(path) as document:
        put(document, "contexts", context())

    assert path.read_text() == TEXT


@pytest.mark.parametrize("text", [f"users: [{SECRET}: :", "- a\n", f"contexts: {SECRET}\n", "a: b: c"])
def test_what_is_no_kubeconfig_is_left_alone_and_not_quoted(path: Path, text: str) -> None:
    path.write_text(text)

    with pytest.raises(ConfigurationError, match="is no kubeconfig") as error, changed(path):
        pass

    assert SECRET not in str(error.value)
    assert path.read_text() == text


def test_merged_files_give_the_first_entry_of_a_name_with_absolute_paths(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text(TEXT.replace("home.example", "elsewhere.example").replace("name: me", "name: you"))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{path}:{other}")

    merged = Merged(None)

    cluster = merged.find("clusters", "home")
    assert cluster is not None
    assert cluster["cluster"] == {"certificate-authority": str(tmp_path / "ca.pem"), "server": "https://home.example"}
    assert merged.find("users", "you") is not None
    assert merged.current(None) == ("home", {"cluster": "home", "user": "me"})
    assert written_file(None) == path
    with pytest.raises(ConfigurationError, match="no context 'nowhere'"):
        merged.current("nowhere")


def test_context_says_whether_it_is_ours() -> None:
    assert extension_of(context()["context"]) == {"agency": "tokyo", "client": "acme"}
    assert extension_of({"cluster": "home", "extensions": [{"name": "other", "extension": {"a": 1}}]}) is None
    assert extension_of(None) is None


def test_plan_chooses_the_provider_and_not_the_program() -> None:
    oidc = {"issuerURL": "https://id.example", "clientID": "kubectl", "extraScopes": ["groups"]}
    entry = oidc_user(Login.model_validate({"method": "OIDC", "oidc": oidc}), "oidc@tokyo")

    assert entry.content is not None
    plugin = entry.content["exec"]
    assert plugin["command"] == "kubectl"
    assert plugin["args"] == [
        "oidc-login",
        "get-token",
        "--oidc-issuer-url=https://id.example",
        "--oidc-client-id=kubectl",
        "--oidc-extra-scope=groups",
    ]
