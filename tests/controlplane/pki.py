"""The files a cluster's components need: authorities, certificates, keys and kubeconfigs, in one folder."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from .certs import SERVER_NAMES, Authority, KeyPair, new_signing_key, write_private

CLUSTER_NAME = "clientorg-local"
FIRST_SERVICE_IP = "10.96.0.1"  # the address of the `kubernetes` Service inside the cluster
ADMIN_GROUP = "system:masters"
FRONT_PROXY_USER = "front-proxy"

# User and groups of each component, as Kubernetes' built-in role bindings know them.
COMPONENT_USERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("admin", (ADMIN_GROUP,)),
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "kwok": ("kwok", (ADMIN_GROUP,)),
}


class Pki:
    """The cluster's `pki` folder. etcd has an authority of its own: a cluster user must not reach the storage."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca_file = directory / "ca.crt"
        self.etcd_ca_file = directory / "etcd-ca.crt"

    def create(self) -> None:
        """Make everything anew."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority, etcd_authority = Authority.create("clientorg local CA"), Authority.create("clientorg etcd CA")
        authority.pair.write(self.directory, "ca")
        etcd_authority.pair.write(self.directory, "etcd-ca")
        addresses = ["127.0.0.1", "::1"]
        server = authority.issue_server("kube-apiserver", names=SERVER_NAMES, addresses=[*addresses, FIRST_SERVICE_IP])
        server.write(self.directory, "kube-apiserver")
        for name in ("kube-controller-manager", "kube-scheduler"):
            authority.issue_server(name, names=["localhost"], addresses=addresses).write(self.directory, name)
        etcd_authority.issue_server("etcd", names=["localhost"], addresses=addresses).write(self.directory, "etcd")
        etcd_authority.issue_client("kube-apiserver").write(self.directory, "etcd-client")
        front_proxy = Authority.create("clientorg front proxy CA")  # of the aggregation layer
        front_proxy.pair.write(self.directory, "front-proxy-ca")
        front_proxy.issue_client(FRONT_PROXY_USER).write(self.directory, "front-proxy")
        private, public = new_signing_key()
        write_private(self.directory / "service-account.key", private)
        (self.directory / "service-account.pub").write_bytes(public)

    def file(self, name: str) -> Path:
        """The path of one of the files."""
        return self.directory / name

    def issue_client(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """A client certificate for any user and groups; works from another process too, as long as the files exist."""
        return Authority(KeyPair.read(self.directory, "ca")).issue_client(user, groups)

    def write_client_kubeconfig(self, path: Path, url: str, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig that authenticates as `user` in `groups` with a fresh client certificate."""
        pair = self.issue_client(user, groups)
        credentials = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
        return self._write_kubeconfig(path, url, user, credentials)

    def write_token_kubeconfig(self, path: Path, url: str, user: str, token: str) -> Path:
        """Write a kubeconfig that authenticates with a bearer token, as a pod does."""
        return self._write_kubeconfig(path, url, user, {"token": token})

    def ssl_context(self, client: str) -> ssl.SSLContext:
        """TLS with a fresh certificate of `client` (see COMPONENT_USERS), verifying against the cluster's authority."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with tempfile.TemporaryDirectory() as directory:  # the ssl module reads certificates from files only
            context.load_cert_chain(*self.issue_client(*COMPONENT_USERS[client]).write(Path(directory), client))
        return context

    def etcd_ssl_context(self) -> ssl.SSLContext:
        """TLS for etcd, as the API server uses it."""
        context = ssl.create_default_context(cafile=str(self.etcd_ca_file))
        context.load_cert_chain(self.file("etcd-client.crt"), self.file("etcd-client.key"))
        return context

    def _write_kubeconfig(self, path: Path, url: str, user: str, credentials: dict[str, str]) -> Path:
        """Everything is inside the one file, so that it can be copied or mounted anywhere."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CLUSTER_NAME,
            "clusters": [
                {
                    "name": CLUSTER_NAME,
                    "cluster": {"server": url, "certificate-authority-data": _base64(self.ca_file.read_bytes())},
                }
            ],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": CLUSTER_NAME, "context": {"cluster": CLUSTER_NAME, "user": user}}],
        }
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        write_private(temporary, yaml.safe_dump(config, sort_keys=False).encode())
        temporary.replace(path)
        return path


def file_name_for(user: str, groups: Sequence[str] = ()) -> str:
    """A safe file name for an issued kubeconfig, below the components' own: no user name can overwrite those.

    Distinct users and groups have distinct names, so that two identities of one test do not mix.
    """
    digest = hashlib.sha256("\0".join((user, *groups)).encode()).hexdigest()[:8]
    return "users/" + re.sub(r"[^A-Za-z0-9._@-]", "_", user)[:100] + f"-{digest}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
