"""One control plane with the operator on it, and a fresh agency for each test.

The operator runs as its own process under its own ServiceAccount. `operator` is shared and stays up from test to test;
a test that starts, kills or configures operators itself asks for `operators` instead, which stops the shared one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from clientorg.cluster.resources import LEASES
from tests.cluster.operators import LEASE, Operators
from tests.cluster.verbs import Agency
from tests.controlplane.choose import Cluster, open_cluster
from tests.controlplane.waiting import wait_until
from tests.security.evidence import collect
from tests.support.devclock import START, DevClock
from tests.support.install import NAMESPACE, SERVICE_ACCOUNT, install
from tests.support.kube import Access, Kube, RefusedError
from tests.support.process import OperatorProcess

NODES = 2
_TOKEN_SECONDS = 24 * 3600


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The chosen cluster with everything in manifests/ installed but the Deployment.

    At its end, what it tells of the operator is kept for `python -m tests.security`.
    """
    option = request.config.getoption
    cluster = open_cluster(option("--cluster"), kubeconfig=option("--kubeconfig"), nodes=NODES, audit=True)
    with closing(cluster):
        install(cluster.kubectl, cluster.kubeconfig)
        yield cluster
        audit_log = getattr(cluster, "audit_log", None)
        if audit_log is not None:
            collect(audit_log, sorted(tmp_path_factory.getbasetemp().glob("logs*/operator-*")))


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[Kube]:
    """The API server as its administrator, once the policies are in force."""
    with Kube(Access.read(cluster.kubectl, cluster.kubeconfig)) as kube:
        wait_until(lambda: _is_guarded(kube), 60, "the policies to take effect")
        yield kube


def _is_guarded(kube: Kube) -> bool:
    """Whether a namespace with a workspace's mark is refused: the server takes new policies up with a delay."""
    marked = {"name": "probe", "labels": {"clientorg.dev/org-id": "probe"}}
    try:
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": marked}, dryRun="All")
    except RefusedError:
        return True
    return False


@pytest.fixture(scope="session")
def operator_kubeconfig(api: Kube, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Credentials of the operator's ServiceAccount, as its pod would have them."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{SERVICE_ACCOUNT}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": _TOKEN_SECONDS},
    }
    token = api.request("POST", path, body)["status"]["token"]
    return api.access.with_token(token, tmp_path_factory.mktemp("operator") / "kubeconfig")


@pytest.fixture(scope="session")
def operators_of_session(operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """Where operators are started from; all of them end with the session."""
    with Operators(operator_kubeconfig, tmp_path_factory.mktemp("logs")) as operators:
        yield operators


@pytest.fixture(scope="module")
def unattended(cluster: Cluster, api: Kube, operators_of_session: Operators) -> Cluster:
    """The cluster while no operator runs: the tests of the module write the status themselves."""
    operators_of_session.stop_all()
    return cluster


@pytest.fixture
def operator(operators_of_session: Operators, api: Kube) -> OperatorProcess:
    """The shared operator, running."""
    return operators_of_session.shared()


@pytest.fixture(scope="session")
def _clock_of_session(tmp_path_factory: pytest.TempPathFactory) -> DevClock:
    return DevClock(tmp_path_factory.mktemp("clock") / "now")


@pytest.fixture
def clock(_clock_of_session: DevClock) -> DevClock:
    """The development clock, where each story begins."""
    _clock_of_session.set(START)
    return _clock_of_session


@pytest.fixture
def clockwork(operators_of_session: Operators, clock: DevClock, api: Kube) -> OperatorProcess:
    """The operator on the development clock, shared by all tests that step it."""
    return operators_of_session.shared_on(clock)


@pytest.fixture
def operators(operators_of_session: Operators, api: Kube) -> Iterator[Operators]:
    """For tests that start operators of their own; the shared one is stopped, and nobody holds the Lease."""
    operators_of_session.stop_all()
    _free_lease(api)
    yield operators_of_session
    operators_of_session.stop_all()
    _free_lease(api)


def _free_lease(api: Kube) -> None:
    if api.find(LEASES, LEASE, NAMESPACE) is not None:
        api.delete(LEASES, LEASE, NAMESPACE)


@contextmanager
def _agencies(cluster: Cluster, api: Kube) -> Iterator[Callable[[], Agency]]:
    """Opens agencies; all of them are deleted with everything they have, without waiting where nobody minds."""
    opened: list[Agency] = []

    def open_one() -> Agency:
        agency = Agency(api, f"agency-{uuid.uuid4().hex[:8]}")
        opened.append(agency)
        agency.open()
        return agency

    yield open_one
    for agency in opened:
        agency.close()
    if not cluster.capabilities.disposable:
        for agency in opened:
            agency.expect_gone()


@pytest.fixture
def new_agency(cluster: Cluster, api: Kube) -> Iterator[Callable[[], Agency]]:
    """Opens agencies for one test."""
    with _agencies(cluster, api) as open_one:
        yield open_one


@pytest.fixture(scope="module")
def kyoto(cluster: Cluster, api: Kube, operators_of_session: Operators) -> Iterator[Agency]:
    """An agency that the tests of a module share, which leave it as it was. The shared operator runs."""
    operators_of_session.shared()
    with _agencies(cluster, api) as open_one:
        yield open_one()


@pytest.fixture
def tokyo(new_agency: Callable[[], Agency]) -> Agency:
    """An agency of the test's own, with a pool of 1,000 visitors and a plan."""
    return new_agency()


@pytest.fixture
def osaka(new_agency: Callable[[], Agency]) -> Agency:
    """Another agency."""
    return new_agency()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show with a failure what the operators logged last."""
    report = yield
    operators = getattr(item, "funcargs", {}).get("operators_of_session") or _operators_of(item)
    if report.failed and operators is not None:
        report.sections.append(("operators", operators.tails()))
    return report


def _operators_of(item: pytest.Item) -> Operators | None:
    found = getattr(item, "funcargs", {}).get("operators")
    return found if isinstance(found, Operators) else None
