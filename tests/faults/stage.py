"""What stories are told on: an operator that sees a control plane through a recording proxy."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Self

import httpx

from clientorg.cluster.resources import CLIENT_ORGS, QUOTA_POOLS
from tests.cluster.verbs import Agency
from tests.controlplane.waiting import wait_until
from tests.faults.ground import Ground
from tests.faults.mails import Deliveries, is_waiting, mails_of, open_with_mail
from tests.faults.proxy import Proxy
from tests.faults.recording import Kill, Recording
from tests.faults.scope import Scope
from tests.faults.weather import Weather
from tests.support.devclock import START, DevClock
from tests.support.kube import Access, Kube
from tests.support.mailserver import MailHost
from tests.support.process import OperatorProcess

RECOVERY_SECONDS: Final = 60.0
"""From the end of the faults to where everything is as if there had been none."""
REST_SECONDS: Final = 0.8
"""With nothing to do and without a write for so long, the operator rests; its own delays are 0.1 s here."""
_REST_DEADLINE_SECONDS: Final = 60.0
_SETTINGS: Final = {"allow_loopback": True, "leader_election": False, "plan_interval_seconds": 0.1}


@dataclass(frozen=True)
class Scene:
    """One telling of a story: an agency of its own, the clock, and the way to let time pass."""

    stage: Stage
    agency: Agency

    @property
    def clock(self) -> DevClock:
        """The development clock."""
        return self.stage.clock

    def pass_to(self, moment: datetime) -> None:
        """Let the operator finish what there is to do now, then set the clock.

        Without this a crash would also change when things are seen to happen, and every date with it.
        """
        self.stage.expect_rest()
        self.stage.calm()
        self.clock.set(moment)
        self.stage.storm()


class Stage:
    """An operator, and all that it needs, on a control plane that others may use too. A context manager."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._ends = ExitStack()
        self._restarting: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._prefix = f"faults-{uuid.uuid4().hex[:4]}-"
        self._watches: set[str] = set()
        self.on_restart: Callable[[], None] = lambda: None
        """Called when the operator is back from a crash, before the story goes on."""
        self._operators: list[OperatorProcess] = []
        self.weather: Weather | None = None
        """What the operator's requests meet with, if anything."""
        self.recording = Recording("")

    def __enter__(self) -> Self:
        with ExitStack() as ends:
            ground = self.ground
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
            self.kube = ends.enter_context(Kube(Access.read(ground.kubectl, ground.admin)))
            self.post = ends.enter_context(MailHost())
            self.proxy = ends.enter_context(Proxy(ground.url, ground.pki, folder, Scope(self._prefix)))
            kubeconfig = self.proxy.kubeconfig(Access.read(ground.kubectl, ground.operator), folder / "proxied")
            self.clock = DevClock(folder / "now")
            log = folder / "operator.log"
            log.touch()
            self._new = partial(OperatorProcess, kubeconfig, log, dev_clock=self.clock.path, **_SETTINGS)
            self.operator = self._new()
            self._operators = [self.operator]
            ends.callback(self.operator.stop)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def open(self, *, has_mail: bool = True) -> Scene:
        """A fresh agency where every story begins, with the operator running.

        Args:
            has_mail: whether its clients, and itself, get mails.
        """
        self._join()
        self.clock.set(START)
        agency = Agency(self.kube, f"{self._prefix}{uuid.uuid4().hex[:8]}")
        self.recording = self.proxy.begin(agency.name, on_kill=self.crash)
        if not self.operator.is_running():
            self.operator.start()
        self.post.received.clear()
        if has_mail:
            open_with_mail(agency, self.post.port)
        else:
            agency.open()
        return Scene(self, agency)

    @contextmanager
    def doubled(self) -> Iterator[OperatorProcess]:
        """Another operator, active at the same time: neither takes part in an election."""
        with self._new() as second:
            self._operators.append(second)
            try:
                yield second
            finally:
                self._operators.remove(second)

    def deliveries(self, plain: Callable[[str], str]) -> Deliveries:
        """The mails of the story so far.

        Args:
            plain: takes out of a text what differs from one telling to the next.
        """
        recording = self.recording
        return Deliveries(
            mails_of(recording.agency, list(self.post.received), plain),
            dict(recording.sent),
            recording.process - 1,
            len(self._operators),
        )

    def clear(self) -> None:
        """Something went wrong: the next story begins with a new process."""
        if self._restarting is not None:
            self._restarting.join()
        self._restarting = self._failure = None
        if self.operator.is_running():
            self.operator.kill()

    def arm(self, kill: Kill | None) -> None:
        """From now on the writes count; at one of them the operator is to be killed."""
        self.expect_rest()
        self.proxy.begin_counting(kill)
        self._watches = self.proxy.watched()

    def storm(self) -> None:
        """Faults from now on, where the weather is bad."""
        if self.weather is not None:
            self.weather.storm()

    def calm(self) -> None:
        """Wait until the faults have ended, and the operator has taken up again all that it watches and works on.

        Raises DeadlineExceededError when that takes it too long.
        """
        if self.weather is None:
            return
        self.weather.end()
        wait_until(self._has_recovered, RECOVERY_SECONDS, f"the operator to recover (log: {self.operator.log})")
        self.expect_rest()

    def _has_recovered(self) -> bool:
        if not self._watches <= self.proxy.watched():
            return False
        values = self.operator.metrics()
        return not any(values[f"clientorg_workqueue_{name}"] for name in ("depth", "running", "delayed"))

    def expect_rest(self) -> None:
        """Wait until the operator runs, has not written for a moment and has sent all its messages.

        Raises what went wrong with a restart.
        """
        self.expect_no_work(lambda: not self._is_restarting(), self._has_to_send)
        self._raise_failure()

    def expect_no_work(
        self, holds: Callable[[], bool] = lambda: True, is_left: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until the operator has not written for a moment, this held all the time, and nothing is left."""
        seen = -1
        since = time.monotonic()

        def rests() -> bool:
            nonlocal seen, since
            now = len(self.recording.writes)
            if now != seen or not holds():
                seen, since = now, time.monotonic()
            return time.monotonic() - since >= REST_SECONDS and not self._is_busy() and not is_left()

        wait_until(rests, _REST_DEADLINE_SECONDS, f"the operator to come to rest (log: {self.operator.log})")

    def _is_restarting(self) -> bool:
        return self._restarting is not None and self._restarting.is_alive()

    def _has_to_send(self) -> bool:
        """Whether a message waits in an outbox: what is sent is no pass, which the operator would tell as work."""
        agency = self.recording.agency
        return any(is_waiting(item) for kind in (CLIENT_ORGS, QUOTA_POOLS) for item in self.kube.list_all(kind, agency))

    def _is_busy(self) -> bool:
        """Whether the operator works on something, has something to work on, or does not answer."""
        return any(self._has_to_work(operator) for operator in self._operators)

    @staticmethod
    def _has_to_work(operator: OperatorProcess) -> bool:
        try:
            values = operator.metrics()
        except httpx.TransportError:
            return True
        return bool(values["clientorg_workqueue_depth"] or values["clientorg_workqueue_running"])

    def crash(self) -> None:
        """SIGKILL; another thread starts the next process. The proxy calls it in its own."""
        self.operator.kill()
        self._restarting = threading.Thread(target=self._restart, name="faults-restart", daemon=True)
        self._restarting.start()

    def _restart(self) -> None:
        try:
            self.proxy.settle()
            self.proxy.admit()
            self.operator.start()
            self.on_restart()
        except BaseException as error:  # told by whoever waits for the operator
            self._failure = error

    def _join(self) -> None:
        if self._restarting is not None:
            self._restarting.join()
            self._restarting = None
        self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
