"""Two operators at once are for tests: nobody gets them by a setting left behind."""

from __future__ import annotations

import pytest

from clientorg.control.runtime import connect
from clientorg.control.settings import Settings
from clientorg.errors import ConfigurationError


async def test_pod_refuses_to_run_without_the_election(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("CLIENTORG_LEADER_ELECTION", "false")

    with pytest.raises(ConfigurationError, match=r"--leader-election.*outside a cluster only"):
        await connect(Settings())


async def test_election_may_be_off_with_a_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a pod of a CI system, which tests an operator on some other cluster."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")

    with pytest.raises(ConfigurationError, match="no such kubeconfig"):
        await connect(Settings(leader_election=False, kubeconfig="/nowhere"))
