"""`kubectl clientorg dashboard` without what it needs, and on a port that is taken."""

from __future__ import annotations

import socket

import pytest

from clientorg.cli import dashboard as command
from clientorg.cli.options import Target
from clientorg.dashboard.guard import Keys
from clientorg.dashboard.serve import bind
from clientorg.errors import ConfigurationError


async def test_a_missing_extra_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is connected to."""
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"needs starlette and uvicorn.*pip install 'clientorg\[dashboard\]'"):
        await command.dashboard(Target())


def test_a_port_that_is_taken_is_named() -> None:
    """With the flag, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"--port: {port} cannot be used .*; choose another"):
            bind(port)


def test_a_link_opens_once_and_only_the_newest() -> None:
    """Who asks for another one takes the one before back."""
    keys = Keys(8765)
    old, new = (keys.new_link().partition("token=")[2] for _ in range(2))
    assert keys.enter(old) is None
    assert keys.enter("") is None
    assert keys.enter(new) is not None
    assert keys.enter(new) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765"])
def test_only_our_own_names_are_answered(host: str) -> None:
    """Whatever name points at this machine."""
    assert Keys(8765).is_own_host(host)
    assert not any(map(Keys(8765).is_own_host, ("", "127.0.0.1", "127.0.0.1:1", "evil.example:8765", f"{host}.evil")))
