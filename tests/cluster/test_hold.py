"""A hold that Git does not undo, and commands that do not edit behind Git's back (FEATURES X1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clientorg.api.meta import ANNOTATION_HOLD
from clientorg.cli.exits import ExitCode
from tests.cluster._cli_support import Cli, home
from tests.cluster.verbs import Agency, Client
from tests.controlplane.choose import Cluster
from tests.support import builders
from tests.support.kube import Kube

__all__ = ["home"]  # fixture

pytestmark = pytest.mark.cluster

Json = dict[str, Any]


@pytest.fixture
def cli(cluster: Cluster, tokyo: Agency, home: Path) -> Cli:
    """The command in the agency, as an administrator."""
    return Cli(Path(cluster.kubeconfig), tokyo.name, home)


@pytest.mark.usefixtures("operator")
def test_client_that_argo_cd_manages_is_held_but_not_edited(cli: Cli, tokyo: Agency, api: Kube) -> None:
    in_git = builders.client(tokyo.name)
    tracking = f"tokyo:clientorg.dev/ClientOrg:{tokyo.name}/acme"
    in_git["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": tracking}
    api.apply(in_git, "argocd-controller")
    acme = Client(api, tokyo.name, "acme")
    acme.expect_ready()
    before = acme.read()

    for command in (
        ["pause", "acme", "--yes"],
        ["deactivate", "acme", "--yes"],
        ["edit-contact", "acme", "--email", "new@acme.example"],
        ["reallocate", "acme", "--license", "visitors", "--by", "+5", "--yes"],
        ["terminate", "acme", "--now", "--accepted-by", "Yuki", "--consent-text", "yes", "--yes"],
        ["delete", "acme", "--confirm", "acme"],
    ):
        answer = cli.run(*command)
        assert answer.code == ExitCode.GIT_MANAGED, answer
        assert "is managed by Argo CD Application tokyo" in answer.err
        patch = yaml.safe_load(answer.out)
        assert (patch["kind"], patch["metadata"]["name"]) == ("ClientOrg", "acme")
    assert acme.read() == before

    cli.do("hold", "acme", "--reason", "sends spam", "--wait")
    assert acme.status["pauseReasons"] == ["Hold"]
    assert "sends spam" in acme.condition("Paused")["message"]
    api.apply(in_git, "argocd-controller", force="true")  # a sync
    assert acme.read()["metadata"]["annotations"][ANNOTATION_HOLD] == "sends spam"
    assert "kubectl clientorg release acme" in cli.do("describe", "acme").out

    cli.do("release", "acme", "--wait")
    assert acme.read()["spec"] == before["spec"]
    cli.do("pause", "acme", "--yes", "--wait", "--force")
    acme.expect_state("Paused", "Requested")
