"""The control plane that operators under test share, in a form that can be handed to other processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane import ControlPlane
from tests.controlplane.waiting import wait_until
from tests.support.install import NAMESPACE, SERVICE_ACCOUNT, install
from tests.support.kube import Access, Kube, RefusedError


@dataclass(frozen=True)
class Ground:
    """A control plane with everything installed but the operator.

    Attributes:
        url: of its API server.
        pki: folder of its authority.
        admin: kubeconfig of who may do everything.
        operator: kubeconfig of the operator's ServiceAccount.
    """

    url: str
    pki: Path
    kubectl: Path
    admin: Path
    operator: Path

    @classmethod
    def of(cls, plane: ControlPlane) -> Ground:
        """Install what the operator needs, and wait until the server minds it."""
        install(plane.kubectl, plane.kubeconfig)
        with Kube(Access.read(plane.kubectl, plane.kubeconfig)) as kube:
            wait_until(lambda: _is_guarded(kube), 60, "the policies to take effect")
        operator = plane.kubeconfig_for_service_account(NAMESPACE, SERVICE_ACCOUNT)
        return cls(plane.url, plane.ca_file.parent, plane.kubectl, plane.kubeconfig, operator)


@contextmanager
def prepared() -> Iterator[Ground]:
    """A control plane of our own, until the end of the block."""
    with ControlPlane() as plane:
        yield Ground.of(plane)


def _is_guarded(kube: Kube) -> bool:
    """Whether a namespace with a workspace's mark is refused: the server takes new policies up with a delay."""
    marked = {"name": "probe", "labels": {"clientorg.dev/org-id": "probe"}}
    try:
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": marked}, dryRun="All")
    except RefusedError:
        return True
    return False
