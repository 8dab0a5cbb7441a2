"""Probes and metrics over HTTP.

Liveness fails when the process can only be helped by a restart: a pass that hangs, a task that ended, or (by not
answering) a blocked event loop. Readiness fails while the caches are not filled, or the API server is out of reach.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import CollectorRegistry

from clientorg.errors import ConfigurationError

Check = Callable[[], list[str]]
"""What is wrong; empty when nothing is."""
_Route = tuple[str, Callable[[web.Request], web.Response]]


def _probe(check: Check) -> Callable[[web.Request], web.Response]:
    def handle(_: web.Request) -> web.Response:
        problems = check()
        if problems:
            return web.Response(status=503, text="\n".join(problems) + "\n")
        return web.Response(text="ok\n")

    return handle


def _async(handle: Callable[[web.Request], web.Response]) -> Callable[[web.Request], object]:
    async def handler(request: web.Request) -> web.Response:
        return handle(request)

    return handler


class HealthServer:
    """Serves /healthz, /readyz and /metrics, on one address or two."""

    def __init__(self, live: Check, ready: Check, registry: CollectorRegistry, refresh: Callable[[], None]) -> None:
        self._live = live
        self._ready = ready
        self._registry = registry
        self._refresh = refresh
        self._runners: list[web.AppRunner] = []
        self.addresses: list[str] = []

    async def start(self, health_address: str, metrics_address: str) -> None:
        """Listen; an empty address turns that part off, port 0 takes a free one.

        Raises:
            ConfigurationError: an address is wrong or taken.
        """
        probes: list[_Route] = [("/healthz", _probe(self._live)), ("/readyz", _probe(self._ready))]
        metrics: list[_Route] = [("/metrics", self._metrics)]
        if health_address == metrics_address:
            await self._listen(health_address, [*probes, *metrics])
        else:
            await self._listen(health_address, probes)
            await self._listen(metrics_address, metrics)

    async def _listen(self, address: str, routes: list[_Route]) -> None:
        if not address:
            return
        host, _, port = address.rpartition(":")
        if not port.isdecimal():
            raise ConfigurationError(f"address {address!r}: write host:port, for example 127.0.0.1:8080")
        app = web.Application()
        for path, handle in routes:
            app.router.add_get(path, _async(handle))  # type: ignore[arg-type]
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        try:
            await web.TCPSite(runner, host.strip("[]") or "0.0.0.0", int(port)).start()
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {address}: {error}; choose another port") from error
        self.addresses += ["{}:{}".format(*site[:2]) for site in runner.addresses]

    def _metrics(self, _: web.Request) -> web.Response:
        self._refresh()
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def stop(self) -> None:
        """Close the listeners."""
        for runner in self._runners:
            await runner.cleanup()
