"""Where the API server is and who we are there: a kubeconfig or the pod's ServiceAccount.

The reading of kubeconfigs (exec plugins, OIDC, merged files) and of the pod's token is the Kubernetes client
library's; what we take from it is the result, since its generated API calls cost four times a plain request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import (
    ConfigException,
    list_kube_config_contexts,
    load_incluster_config,
    load_kube_config,
)

from clientorg.cluster.impersonation import impersonation
from clientorg.errors import ConfigurationError

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_REMEDY = "set KUBECONFIG or pass --kubeconfig, or run in a pod with a ServiceAccount"


@dataclass(frozen=True)
class Source:
    """Which credentials to use; None means what kubectl would use."""

    kubeconfig: str | None = None
    context: str | None = None


class Credentials:
    """Server address, TLS context and the Authorization header, refreshed when they expire.

    Attributes:
        default_namespace: of the context, or of the pod.
        impersonation: headers of each request that say whom the server is to take us for; mostly none.
    """

    def __init__(
        self,
        source: Source,
        configuration: Configuration,
        default_namespace: str,
        impersonation: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._source = source
        self._configuration = configuration
        self.default_namespace = default_namespace
        self.impersonation = impersonation
        self.ssl_context = _ssl_context(configuration)

    @classmethod
    async def load(cls, source: Source | None = None) -> Credentials:
        """Read the credentials.

        Raises:
            ConfigurationError: there are none, or they cannot be read; the message says what to set.
        """
        source = source or Source()
        return cls(source, *await _read(source))

    @property
    def server(self) -> str:
        """Base URL of the API server, without a trailing slash."""
        return str(self._configuration.host).rstrip("/")

    @property
    def tls_server_name(self) -> str | None:
        """Name to verify the server's certificate against, where it differs from the host."""
        return self._configuration.tls_server_name or None

    @property
    def ca_file(self) -> str | None:
        """File of the certificate authority; None for the system's."""
        return self._configuration.ssl_ca_cert or None

    @property
    def client_certificate(self) -> tuple[str | None, str | None]:
        """Files of the client's certificate and key."""
        return self._configuration.cert_file or None, self._configuration.key_file or None

    @property
    def is_insecure(self) -> bool:
        """Whether the user's own kubeconfig says insecure-skip-tls-verify."""
        return not self._configuration.verify_ssl

    @property
    def proxy(self) -> str | None:
        """HTTP proxy of the kubeconfig, if any."""
        return self._configuration.proxy or None

    def authorization(self) -> str | None:
        """The Authorization header, re-read when the pod's token rotates; None with client certificates."""
        hook = self._configuration.refresh_api_key_hook
        if hook is not None:
            with contextlib.suppress(OSError, ConfigException):  # keep the old token: the next call tries again
                hook(self._configuration)
        token: str | None = self._configuration.api_key.get("BearerToken")
        return token

    async def reload(self) -> None:
        """Read everything again, as after a 401: exec plugins and OIDC give new tokens."""
        self._configuration, self.default_namespace, self.impersonation = await _read(self._source)
        self.ssl_context = _ssl_context(self._configuration)


def is_of_pod(source: Source) -> bool:
    """Whether the credentials are those of the pod that we run in."""
    named = source.kubeconfig or os.environ.get("KUBECONFIG") or source.context
    return not named and "KUBERNETES_SERVICE_HOST" in os.environ


async def _read(source: Source) -> tuple[Configuration, str, tuple[tuple[str, str], ...]]:
    configuration = Configuration()
    paths = source.kubeconfig or os.environ.get("KUBECONFIG")
    default = _default_kubeconfig()
    in_cluster = is_of_pod(source)
    if paths and _are_missing(paths):
        raise ConfigurationError(f"no such kubeconfig: {paths}; {_REMEDY}")
    try:
        if paths or source.context or (default and not in_cluster):
            await load_kube_config(
                config_file=paths or default, context=source.context, client_configuration=configuration
            )
            return configuration, *await asyncio.to_thread(_context, paths or default, source.context)
        if in_cluster:
            load_incluster_config(client_configuration=configuration)
            return configuration, await asyncio.to_thread(_pod_namespace), ()
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())  # a parser's message has lines
        raise ConfigurationError(f"cannot read the credentials for the API server: {text}; {_REMEDY}") from error
    raise ConfigurationError(f"no kubeconfig and not in a cluster; {_REMEDY}")


def _are_missing(paths: str) -> bool:
    return not any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path)


def _default_kubeconfig() -> str | None:
    path = Path("~/.kube/config").expanduser()
    return str(path) if path.exists() else None


def _pod_namespace() -> str:
    return _NAMESPACE_FILE.read_text().strip()


def _context(paths: str | None, context: str | None) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Namespace and impersonation of a context; None: of the current one."""
    contexts, active = list_kube_config_contexts(config_file=paths)
    chosen = next((item for item in contexts if item["name"] == context), active) if context else active
    names = chosen["context"]
    headers = impersonation(paths, names.get("user")) if paths is not None else ()
    return str(names.get("namespace") or "default"), headers


def _ssl_context(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if not configuration.verify_ssl:  # the user's own kubeconfig says insecure-skip-tls-verify
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    return context
