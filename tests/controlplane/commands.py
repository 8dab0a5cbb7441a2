"""The command lines of the components: every flag here is a decision, with its reason where it is not plain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .pki import FRONT_PROXY_USER, Pki

SERVICE_CIDR = "10.96.0.0/12"
POD_CIDR = "10.0.0.0/12"  # KWOK's default of /24 would give addresses twice after 254 pods


@dataclass(frozen=True)
class Ports:
    """The ports of one cluster, all on 127.0.0.1."""

    etcd: int
    apiserver: int
    controller_manager: int
    scheduler: int


@dataclass(frozen=True)
class Layout:
    """Where a cluster keeps its files, and what each component is told."""

    directory: Path
    binaries: dict[str, Path]
    ports: Ports
    audit: bool
    controller_qps: int

    @property
    def pki(self) -> Pki:
        """Certificates and keys."""
        return Pki(self.directory / "pki")

    @property
    def audit_log(self) -> Path:
        """Where the API server writes its audit events, one JSON document a line."""
        return self.directory / "audit" / "audit.jsonl"

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of a component or user."""
        return self.directory / "kubeconfigs" / f"{user}.yaml"

    def etcd(self) -> list[str | Path]:
        """One member, without fsync (the data need not survive a power cut), and TLS with client certificates."""
        url = f"https://127.0.0.1:{self.ports.etcd}"
        pki = self.pki
        return [
            self.binaries["etcd"],
            "--name=etcd",
            "--heartbeat-interval=50",  # ms; with the election timeout it decides when a lone member leads
            "--election-timeout=250",
            "--initial-cluster=etcd=http://localhost:2380",  # a name for the one member; nothing listens there
            f"--data-dir={self.directory / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            "--listen-peer-urls=https://127.0.0.1:0",  # there are no peers; 0 cannot clash
            "--client-cert-auth",
            f"--trusted-ca-file={pki.etcd_ca_file}",
            f"--cert-file={pki.file('etcd.crt')}",
            f"--key-file={pki.file('etcd.key')}",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={pki.etcd_ca_file}",
            f"--peer-cert-file={pki.file('etcd.crt')}",
            f"--peer-key-file={pki.file('etcd.key')}",
            "--quota-backend-bytes=8589934592",
            "--auto-compaction-mode=periodic",  # the API server compacts too; this only bounds a long demo
            "--auto-compaction-retention=1h",
            "--log-level=warn",
        ]

    def kube_apiserver(self) -> list[str | Path]:
        """RBAC and Node authorization, default admission plugins (policies included), real service-account tokens."""
        pki = self.pki
        issuer = "https://kubernetes.default.svc.cluster.local"
        arguments: list[str | Path] = [
            self.binaries["kube-apiserver"],
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",  # Endpoints refuse loopback addresses: it would fail every 10 s
            f"--secure-port={self.ports.apiserver}",
            f"--tls-cert-file={pki.file('kube-apiserver.crt')}",
            f"--tls-private-key-file={pki.file('kube-apiserver.key')}",
            f"--client-ca-file={pki.ca_file}",
            f"--etcd-servers=https://127.0.0.1:{self.ports.etcd}",
            f"--etcd-cafile={pki.etcd_ca_file}",
            f"--etcd-certfile={pki.file('etcd-client.crt')}",
            f"--etcd-keyfile={pki.file('etcd-client.key')}",
            f"--requestheader-client-ca-file={pki.file('front-proxy-ca.crt')}",
            f"--requestheader-allowed-names={FRONT_PROXY_USER}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki.file('front-proxy.crt')}",
            f"--proxy-client-key-file={pki.file('front-proxy.key')}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--service-account-issuer={issuer}",
            f"--service-account-key-file={pki.file('service-account.pub')}",
            f"--service-account-signing-key-file={pki.file('service-account.key')}",
        ]
        if self.audit:
            arguments += [
                f"--audit-policy-file={self.directory / 'audit-policy.yaml'}",
                f"--audit-log-path={self.audit_log}",
                "--audit-log-maxsize=4096",  # MB: the default rotates at 100, and a reader would lose the start
            ]
        return arguments

    def kube_controller_manager(self) -> list[str | Path]:
        """All default controllers, each as its own service account, with quotas on their requests lifted.

        The defaults (20 requests a second, 10 namespaces at once) make a test of a hundred workspaces wait on them.
        """
        return [
            *self._control_loop("kube-controller-manager", self.ports.controller_manager),
            f"--kube-api-qps={self.controller_qps}",
            f"--kube-api-burst={2 * self.controller_qps}",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={self.pki.file('service-account.key')}",
            f"--root-ca-file={self.pki.ca_file}",
            # A namespace with pods in it is looked at again only after half their grace period; the resync is sooner.
            "--namespace-sync-period=3s",
            "--concurrent-namespace-syncs=50",
            "--concurrent-resource-quota-syncs=20",
            "--concurrent-serviceaccount-token-syncs=20",
            "--concurrent-gc-syncs=20",
            "--concurrent-deployment-syncs=10",
            "--concurrent-replicaset-syncs=10",
            "--concurrent-statefulset-syncs=10",
        ]

    def kube_scheduler(self) -> list[str | Path]:
        """The default profile."""
        return [
            *self._control_loop("kube-scheduler", self.ports.scheduler),
            f"--kube-api-qps={self.controller_qps}",
            f"--kube-api-burst={2 * self.controller_qps}",
        ]

    def kwok(self) -> list[str | Path]:
        """Every node here is a simulated one."""
        return [
            self.binaries["kwok"],
            f"--kubeconfig={self.kubeconfig('kwok')}",
            f"--config={self.directory / 'kwok.yaml'}",
        ]

    def _control_loop(self, name: str, port: int) -> list[str | Path]:
        kubeconfig, pki = self.kubeconfig(name), self.pki
        return [
            self.binaries[name],
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={pki.file(f'{name}.crt')}",
            f"--tls-private-key-file={pki.file(f'{name}.key')}",
            f"--client-ca-file={pki.ca_file}",
            "--leader-elect=false",  # there is one of each, and an election costs seconds at the start
        ]
