"""The control plane and operator of tests/cluster."""

from tests.cluster.conftest import (
    api,
    cluster,
    operator_kubeconfig,
    operators_of_session,
    pytest_runtest_makereport,
)

__all__ = ["api", "cluster", "operator_kubeconfig", "operators_of_session", "pytest_runtest_makereport"]
