"""examples/ on a real API server: they apply without an error or a warning, and do what their comments say."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from clientorg.cluster.resources import CLIENT_ORGS, NAMESPACES, QUOTA_POOLS, USAGE_REPORTS
from tests.cluster.verbs import DEADLINE_SECONDS, Agency, Client, condition_of
from tests.controlplane.choose import Cluster
from tests.controlplane.waiting import wait_until
from tests.support.install import ROOT
from tests.support.kube import Kube
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster

EXAMPLES = ROOT / "examples"
AGENCY = "agency-tokyo"


class Kubectl:
    """kubectl as the administrator."""

    def __init__(self, cluster: Cluster) -> None:
        path = os.pathsep.join((str(cluster.kubectl.parent), os.environ.get("PATH", os.defpath)))
        self._environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": path}

    def run(self, command: str) -> str:
        """What a command in the checkout says; fails on an error and on a warning."""
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        return done.stdout


@pytest.fixture
def kubectl(cluster: Cluster, api: Kube, operator: OperatorProcess) -> Iterator[Kubectl]:
    """kubectl, and no agency of the examples' name before and after."""
    if api.find(NAMESPACES, AGENCY) is not None:
        pytest.skip(f"the cluster has a namespace {AGENCY} already")
    yield Kubectl(cluster)
    agency = Agency(api, AGENCY)
    agency.close()
    agency.expect_gone()


def report_command() -> str:
    """The command that the report's own comment gives."""
    lines = (EXAMPLES / "usage" / "report.yaml").read_text().splitlines()
    return "\n".join(line.removeprefix("#   ") for line in lines if line.startswith("#   "))


def test_examples_of_usage_apply_cleanly_and_are_counted(kubectl: Kubectl, api: Kube) -> None:
    kubectl.run("kubectl apply -f examples/quickstart")
    kubectl.run(f"kubectl wait clientorgs --all -n {AGENCY} --for=condition=Ready --timeout={DEADLINE_SECONDS:.0f}s")
    kubectl.run("kubectl apply -f examples/usage/agent.yaml -f examples/usage/prometheus.yaml")
    kubectl.run(report_command())

    def used() -> int:
        licenses = api.get(CLIENT_ORGS, "acme", AGENCY)["status"]["licenses"]
        return next(int(item.get("used", 0)) for item in licenses if item["name"] == "visitors")

    wait_until(lambda: used() == 1200, DEADLINE_SECONDS, "the report to be counted")
    assert condition_of(api.get(USAGE_REPORTS, "acme-portal", AGENCY), "Ready")["reason"] == "Accepted"
    asked = (
        f"kubectl auth can-i patch usagereports.clientorg.dev -n {AGENCY} --as=system:serviceaccount:{AGENCY}:metering"
    )
    assert kubectl.run(asked).strip() == "yes"


def test_pool_whose_prometheus_does_not_answer_says_so(kubectl: Kubectl, api: Kube) -> None:
    kubectl.run("kubectl apply -f examples/quickstart/agency.yaml -f examples/usage/prometheus.yaml")

    def reason() -> str:
        return str(condition_of(api.get(QUOTA_POOLS, "tokyo", AGENCY), "UsageSourceReady").get("reason", ""))

    wait_until(lambda: reason() == "QueryFailed", DEADLINE_SECONDS, "the pool to say that its server does not answer")


def test_example_of_a_report_says_how_to_find_its_client(kubectl: Kubectl, api: Kube) -> None:
    """Applied as it is, it is admitted, and its condition names what is wrong."""
    kubectl.run("kubectl apply -f examples/quickstart/agency.yaml -f examples/usage/report.yaml")

    def message() -> str:
        return str(condition_of(api.get(USAGE_REPORTS, "acme-portal", AGENCY), "Stalled").get("message", ""))

    wait_until(lambda: "status.orgID" in message(), DEADLINE_SECONDS, "the report to be refused")


def test_manifests_apply_cleanly(kubectl: Kubectl) -> None:
    """All of them, the Deployment too."""
    said = kubectl.run("kubectl apply -k manifests --server-side --force-conflicts --dry-run=server")

    assert "deployment.apps/clientorg-operator serverside-applied" in said


@pytest.fixture
def nagoya(kubectl: Kubectl, api: Kube) -> Iterator[Agency]:
    """The agency of examples/billing, gone before and afterwards."""
    agency = Agency(api, "agency-nagoya")
    if api.find(NAMESPACES, agency.name) is not None:
        pytest.skip(f"the cluster has a namespace {agency.name} already")
    yield agency
    agency.close()
    agency.expect_gone()


def test_examples_of_billing_ask_for_an_approval_of_somebody_else(kubectl: Kubectl, nagoya: Agency) -> None:
    """Each may do what their role says, and no more."""
    kubectl.run("kubectl apply -f examples/billing/agency.yaml")
    kubectl.run("kubectl apply -f examples/billing/clients.yaml --as=ken@nagoya.example")

    for name in ("acme", "globex"):
        client = Client(nagoya.kube, nagoya.name, name)
        client.expect_state_of("PendingApproval")
        client.expect_condition("Ready", "False", "ApprovalPending")
    can = {
        "ken@nagoya.example": "yes no no",
        "mei@nagoya.example": "yes no yes",
        "aya@platform.example": "no yes no",
        "orders@distributor.example": "no no yes",
    }
    for user, wanted in can.items():
        asked = ("create clientorgs", "create orgapprovals", "create pointtransactions")
        commands = [f"kubectl auth can-i {what}.clientorg.dev -n {nagoya.name} --as={user}; true" for what in asked]
        assert " ".join(kubectl.run(command).strip() for command in commands) == wanted, user
