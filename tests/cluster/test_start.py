"""Starting on a cluster that is not prepared yet; on a control plane of its own, because it lacks the CRDs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.verbs import Agency
from tests.controlplane import ControlPlane
from tests.controlplane.waiting import wait_until
from tests.support.install import NAMESPACE, SERVICE_ACCOUNT, install, resources
from tests.support.kube import Access, Kube
from tests.support.process import OperatorProcess

pytestmark = pytest.mark.cluster

ACCOUNT_ONLY = ("namespace.yaml", "serviceaccount.yaml", "rbac-operator.yaml", "rbac-workspace.yaml")


@pytest.fixture
def bare(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A control plane with the operator's account and rights, and nothing else."""
    if request.config.getoption("--cluster") != "local":
        pytest.skip("needs a cluster of its own")
    with ControlPlane() as plane:
        files = [f"-f={path}" for path in resources() if path.name in ACCOUNT_ONLY]
        command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", "apply", "--server-side", *files]
        subprocess.run(command, check=True, capture_output=True)
        yield plane


def test_operator_started_before_its_crds_works_once_they_are_there(bare: ControlPlane, tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    kubeconfig = bare.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
    operator = OperatorProcess(kubeconfig, log, leader_election=False)
    try:
        operator.start(wait_ready=False)
        wait_until(lambda: operator.answers("readyz") == 503, 30, "the operator to say that it is not ready")
        wait_until(lambda: "clientorgs" in operator.text("readyz"), 30, "it to say what is missing")

        install(bare.kubectl, bare.kubeconfig)

        wait_until(lambda: not operator.is_running() or operator.answers("readyz") == 200, 60, "it to be ready, or end")
        if not operator.is_running():  # as good: whoever supervises it starts it anew
            operator.start()
        with Kube(Access.read(bare.kubectl, bare.kubeconfig)) as kube:
            tokyo = Agency(kube, "tokyo")
            tokyo.open()
            tokyo.client().expect_ready()
    finally:
        operator.stop()
