"""`kubectl clientorg access` and `open`: into workspaces with real kubectl, and out again (FEATURES Z11, W2)."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from clientorg.cluster.resources import CONFIG_MAPS
from tests.cluster._cli_support import Cli, home
from tests.cluster.verbs import Agency, Client
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support.kube import Access, Kube, RefusedError

__all__ = ["home"]  # fixture

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

ADMINS = [{"name": "yuki@acme.example", "role": "Full"}]


@dataclass(frozen=True)
class BrowsingCli(Cli):
    """The command, with a browser that notes what it is given."""

    browser: str

    def env(self) -> dict[str, str]:
        """The same, and which browser."""
        return {**super().env(), "BROWSER": self.browser}


@dataclass(frozen=True)
class Desk:
    """A person's kubeconfig, the command and kubectl with it."""

    cli: Cli
    kubectl: Path

    @property
    def document(self) -> dict[str, Any]:
        """The kubeconfig."""
        loaded: dict[str, Any] = yaml.safe_load(self.cli.kubeconfig.read_text())
        return loaded

    def contexts(self) -> dict[str, dict[str, Any]]:
        """Contexts by name."""
        return {item["name"]: item["context"] for item in self.document["contexts"]}

    def user(self, context: str) -> dict[str, Any]:
        """What a context enters with."""
        name = self.contexts()[context]["user"]
        return next(dict(item["user"]) for item in self.document["users"] if item["name"] == name)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """kubectl."""
        command = [str(self.kubectl), *arguments]
        env = {**self.cli.env(), **environment}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def desk(cluster: Cluster, tokyo: Agency, home: Path, tmp_path: Path) -> Desk:
    """Somebody with a kubeconfig of their own, in which they have written a remark."""
    path = tmp_path / "kubeconfig"
    path.write_text("# mine\n" + Path(cluster.kubeconfig).read_text())
    return Desk(Cli(path, tokyo.name, home), Path(cluster.kubectl))


def account(api: Kube, agency: str, name: str) -> None:
    """A ServiceAccount of the agency."""
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": agency}})


def test_tokens_lead_into_several_workspaces_until_they_are_ended(desk: Desk, tokyo: Agency, api: Kube) -> None:
    tokyo.plan.change(access={"login": {"method": "Token", "tokenMinutes": 30}})
    acme, beta = tokyo.ready_client(admins=ADMINS), tokyo.ready_client("beta")
    refused = desk.cli.run("access", "acme")
    assert (refused.code, "no ServiceAccount clientorg-agency" in refused.err) == (2, True)
    for name in ("clientorg-agency", "clientorg-support"):
        account(api, tokyo.name, name)
    before = desk.cli.kubeconfig.read_text()
    assert "acme@" in desk.cli.do("access", "acme", "--dry-run").out
    assert desk.cli.kubeconfig.read_text() == before

    answer = desk.cli.do("access", "acme", "beta", "--use")

    here, there = f"acme@{tokyo.name}", f"beta@{tokyo.name}"
    token = desk.user(here)["token"]
    assert token == desk.user(there)["token"]  # one for all
    assert token not in answer.out + answer.err
    assert desk.cli.kubeconfig.read_text().startswith("# mine\n")
    assert stat.S_IMODE(desk.cli.kubeconfig.stat().st_mode) == 0o600
    assert desk.document["current-context"] == here
    assert desk.run("get", "configmap", "portal", "-o=name").stdout == "configmap/portal\n"
    assert desk.run("get", "configmap", "portal", f"--context={there}", "-o=name").stdout == "configmap/portal\n"
    who = json.loads(desk.run("auth", "whoami", "-o=json").stdout)["status"]["userInfo"]["username"]
    assert who == f"system:serviceaccount:{tokyo.name}:clientorg-agency"
    assert "forbidden" in desk.run("get", "clientorgs", f"--namespace={tokyo.name}").stderr

    api.as_user("yuki@acme.example").merge(
        CONFIG_MAPS, "clientorg-access", {"data": {"agencyAccess": "None"}}, acme.workspace
    )
    wait_until(lambda: "forbidden" in desk.run("get", "configmaps").stderr, 30, "the token to lead nowhere in acme")
    assert desk.run("get", "configmaps", f"--context={there}").returncode == 0

    admin = next(name for name in desk.contexts() if "@agency" not in name)
    printed = desk.cli.do("access", "acme", "--print", "--support", f"--context={admin}")
    assert yaml.safe_load(printed.out)["users"][0]["user"]["token"] not in desk.cli.kubeconfig.read_text()
    alone = desk.cli.kubeconfig.with_name("alone")
    alone.write_text(printed.out)
    assert desk.run("get", "configmaps", f"--kubeconfig={alone}").returncode == 0
    assert "forbidden" in desk.run("create", "configmap", "note", f"--kubeconfig={alone}").stderr

    assert "good until" in desk.cli.do("access", "acme", "--revoke").err
    assert here not in desk.contexts()
    assert desk.document["current-context"] == admin
    unconfirmed = desk.cli.run("access", "beta", "--revoke", "--end-tokens")
    assert (unconfirmed.code, there in desk.contexts()) == (2, True)
    desk.cli.do("access", "beta", "--revoke", "--end-tokens", "--yes")
    assert token not in desk.cli.kubeconfig.read_text()
    assert desk.document == yaml.safe_load(before)
    wait_until(lambda: _is_unknown(api.access, token, beta), 30, "the token to be good for nothing")


def _is_unknown(access: Access, token: str, client: Client) -> bool:
    """Whether the server does not know the token any more."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=access.server, verify=replace(access, certificate="").tls(), headers=headers) as http:
        return http.get(CONFIG_MAPS.path(client.workspace)).status_code == 401


def test_sign_in_at_the_provider_and_entering_as_oneself(desk: Desk, tokyo: Agency, api: Kube, tmp_path: Path) -> None:
    acme = tokyo.ready_client()
    context = f"acme@{tokyo.name}"

    desk.cli.do("access", "acme")  # the plan says nothing: as oneself
    before = desk.contexts()
    assert desk.run("get", "configmap", "portal", f"--context={context}", "-o=name").stdout == "configmap/portal\n"
    assert before[context]["namespace"] == acme.workspace
    assert len(desk.document["users"]) == 1
    answer = desk.cli.run("access", "acme", "nobody")
    assert (answer.code, "nobody" in answer.err) == (1, True)

    oidc = {"issuerURL": "https://id.example", "clientID": "kubectl", "extraScopes": ["groups"]}
    tokyo.plan.change(access={"login": {"method": "OIDC", "oidc": oidc}, "agency": [{"name": "agency-admins"}]})
    tokyo.plan.expect_ready()
    account(api, "default", f"signed-in-{tokyo.name}")
    path = f"/api/v1/namespaces/default/serviceaccounts/signed-in-{tokyo.name}/token"
    token = api.request("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {}}
    credential["status"] = {"token": token["status"]["token"]}
    plugin = tmp_path / "bin" / "kubectl-oidc_login"
    plugin.parent.mkdir()
    plugin.write_text(f"#!/bin/sh\necho \"$@\" >{tmp_path}/asked\ncat <<'END'\n{json.dumps(credential)}\nEND\n")
    plugin.chmod(0o755)
    (plugin.parent / "kubectl").symlink_to(desk.kubectl)

    desk.cli.do("access", "acme")
    search = {"PATH": f"{plugin.parent}{os.pathsep}{os.environ['PATH']}"}
    who = json.loads(desk.run("auth", "whoami", "-o=json", f"--context={context}", **search).stdout)

    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:default:signed-in-{tokyo.name}"
    asked = (tmp_path / "asked").read_text().split()
    assert asked == ["get-token", "--oidc-issuer-url=https://id.example", "--oidc-client-id=kubectl",
                     "--oidc-extra-scope=groups"]  # fmt: skip

    tokyo.plan.change(urlTemplate="https://portal.example/orgs/$(name)")
    acme.expect(lambda it: it["status"]["workspace"].get("url"), "have an address")
    assert desk.cli.do("open", "acme", "--print").out == "https://portal.example/orgs/acme\n"
    noted = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!{sys.executable}\nimport sys\nopen({str(noted)!r}, "a").write(sys.argv[1] + "\\n")\n')
    browser.chmod(0o755)
    BrowsingCli(desk.cli.kubeconfig, desk.cli.namespace, desk.cli.home, f"{browser} %s").do("open", "acme")
    assert noted.read_text() == "https://portal.example/orgs/acme\n"


def test_nobody_asks_for_a_token_that_outlives_a_day(tokyo: Agency, api: Kube) -> None:
    account(api, tokyo.name, "clientorg-agency")
    path = f"/api/v1/namespaces/{tokyo.name}/serviceaccounts/clientorg-agency/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}

    assert api.request("POST", path, {**request, "spec": {"expirationSeconds": 3600}})["status"]["token"]
    with pytest.raises(RefusedError, match="good for a day"):
        api.request("POST", path, {**request, "spec": {"expirationSeconds": 86401}})
