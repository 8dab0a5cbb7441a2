"""A real Kubernetes control plane on this machine, without containers: for tests, the demo and the benchmark.

    with ControlPlane(nodes=2) as cluster:
        subprocess.run([cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "get", "nodes"])

etcd, kube-apiserver, kube-controller-manager, kube-scheduler and, for simulated nodes, KWOK are built once from their
Go modules into a cache folder. `python -m tests.controlplane --help` has the same from the command line.
"""

from .capabilities import Capabilities
from .errors import BuildError, ClusterUnavailableError, ComponentError, ControlPlaneError
from .plane import ControlPlane
from .waiting import DeadlineExceededError, wait_until

__all__ = [
    "BuildError",
    "Capabilities",
    "ClusterUnavailableError",
    "ComponentError",
    "ControlPlane",
    "ControlPlaneError",
    "DeadlineExceededError",
    "wait_until",
]
