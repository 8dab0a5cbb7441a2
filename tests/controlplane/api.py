"""The few HTTP calls that starting and checking a cluster needs, over TLS that is verified."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from .errors import ControlPlaneError

TIMEOUT_SECONDS = 10.0
PROBE_TIMEOUT_SECONDS = 2.0  # a foreign process on the port may accept and stay silent; ask again soon


def new_client(context: ssl.SSLContext, base_url: str = "") -> httpx.Client:
    """An HTTP client that uses this TLS and nothing of the environment (a proxy has no business here)."""
    return httpx.Client(base_url=base_url, verify=context, trust_env=False, timeout=TIMEOUT_SECONDS)


class Api:
    """The API server, and whatever else answers health checks under the same authority."""

    def __init__(self, base_url: str, context: ssl.SSLContext) -> None:
        self._client = new_client(context, base_url)

    def answers(self, url: str) -> bool:
        """Whether a GET succeeds; a refused connection or a wrong certificate counts as no."""
        try:
            return self._client.get(url, timeout=PROBE_TIMEOUT_SECONDS).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The decoded answer; raises ControlPlaneError with the server's words if it refuses."""
        response = self._client.request(method, path, json=body)
        if response.is_error:
            raise ControlPlaneError(f"{method} {path}: {response.status_code} {response.text[:500]}")
        result: dict[str, Any] = response.json()
        return result

    def close(self) -> None:
        """Close its connections."""
        self._client.close()
