"""Starting and ending operators in tests."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import httpx

from tests.controlplane.waiting import DeadlineExceededError, wait_until
from tests.support.devclock import DevClock
from tests.support.process import OperatorProcess

LEASE: Final = "clientorg-operator"
IDENTITY: Final = "system:serviceaccount:clientorg-system:clientorg-operator"
QUICK_LEASE: Final = {"lease_seconds": 3, "renew_deadline_seconds": 2, "lease_retry_seconds": 0.3}
"""Lease times that a test can wait for."""

AUDIT_SECONDS: Final = 5
"""Time between the shared operator's full lists, so that tests meet them."""

_QUEUE = "clientorg_workqueue_"
_PASSES = "clientorg_reconcile_total"


class Operators:
    """The operators of a test session. A context manager: on exit all of them end."""

    def __init__(self, kubeconfig: Path, logs: Path) -> None:
        self.kubeconfig = kubeconfig
        self._logs = logs
        self._shared: OperatorProcess | None = None
        self._shared_on: DevClock | None = None
        self._all: list[OperatorProcess] = []
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()

    def new(self, **settings: object) -> OperatorProcess:
        """An operator, not started; the settings are those of `OperatorProcess`, kubeconfig among them."""
        kubeconfig = str(settings.pop("kubeconfig", self.kubeconfig))
        log = self._logs / f"operator-{next(self._numbers)}.log"
        log.touch()
        operator = OperatorProcess(kubeconfig, log, **settings)
        self._all.append(operator)
        return operator

    def start(self, **settings: object) -> OperatorProcess:
        """An operator that runs and is ready."""
        operator = self.new(**settings)
        operator.start()
        return operator

    def shared(self) -> OperatorProcess:
        """The one that tests share; started anew when it does not run."""
        return self._share(None, audit_seconds=AUDIT_SECONDS)

    def shared_on(self, clock: DevClock) -> OperatorProcess:
        """The one that tests share which step the clock; it may talk to servers on this machine."""
        return self._share(clock, dev_clock=clock.path, allow_loopback=True, leader_election=False)

    def _share(self, clock: DevClock | None, **settings: object) -> OperatorProcess:
        if self._shared is None or not self._shared.is_running() or self._shared_on is not clock:
            self.stop_all()
            self._shared, self._shared_on = self.start(**settings), clock
        return self._shared

    def stop_all(self) -> None:
        """SIGTERM to all that run."""
        for operator in self._all:
            if operator.is_running():
                with suppress(httpx.TransportError):  # kept for tests/security: one that hangs has none to show
                    operator.keep_metrics()
                operator.stop()
        self._all.clear()
        self._shared = None

    def tails(self) -> str:
        """The last lines of every log of this test."""
        return "\n".join(f"--- {operator.log.name}\n{operator.tail(20)}" for operator in self._all)


def expect_idle(operator: OperatorProcess) -> None:
    """Wait until nothing is worked on and nothing is planned, so that only a change can bring work."""

    busy: dict[str, float] = {}

    def is_idle() -> bool:
        values = operator.metrics()
        busy.clear()
        busy.update({name: value for name in ("depth", "running", "delayed") if (value := values[_QUEUE + name])})
        return not busy

    try:
        wait_until(is_idle, 60, "the operator to have nothing to do")
    except DeadlineExceededError as error:
        passes = {name: value for name, value in operator.metrics().items() if name.startswith(_PASSES)}
        raise AssertionError(f"{error}; queue: {busy}; passes: {passes}") from error
