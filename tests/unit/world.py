"""One agency with one pool on the API server in memory, and the operators that work on it: verbs for stories."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import Self

from clientorg.api.meta import ANNOTATION_TRANSFER
from clientorg.cluster.resources import CLIENT_ORGS, NAMESPACES, ORG_PLANS, QUOTA_POOLS
from clientorg.control.clock import Clock
from clientorg.control.keys import Kind
from clientorg.domain.allocation import Transfer
from clientorg.domain.timestamps import rfc3339
from tests.support import builders
from tests.unit.apiserver import Json, MemoryServer
from tests.unit.bookkeeping import Bookkeeping
from tests.unit.operators import Call, Operator
from tests.unit.virtualtime import VirtualClock, VirtualTimeLoop

AGENCY = "agency"
POOL = "pool"
EVERYTHING: AbstractSet[Kind] = frozenset(Kind)
NOTHING: AbstractSet[Kind] = frozenset()
_MOST_ROUNDS = 300


class _Failures(logging.Handler):
    """What the operator logs as unexpected: an exception that no rule foresees is a bug, even if it is retried."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


class World:
    """Use it as a context manager, or `close` it."""

    server_type: type[MemoryServer] = MemoryServer

    def __init__(self, *, strict: bool = False, **capacity: int) -> None:
        self.loop = VirtualTimeLoop()
        asyncio.set_event_loop(self.loop)
        self.clock: Clock = VirtualClock(self.loop)
        """The operators'; the server has its own."""
        self.server = self.server_type(VirtualClock(self.loop).now)
        self.books = Bookkeeping(self.server)
        self.strict = strict
        self.operators: list[Operator] = []
        self.ghosts: list[Call] = []
        """Requests whose sender is gone or gave up, and that may still reach the server."""
        self._started = 0
        self._failures = _Failures()
        logging.getLogger("clientorg").addHandler(self._failures)
        self.server.create(NAMESPACES, builders.namespace(AGENCY))
        self.server.create(ORG_PLANS, builders.plan(AGENCY, network={"allowInternal": False}))
        pool = builders.pool(AGENCY, POOL, **capacity)
        pool["spec"]["queueing"] = "StrictFIFO" if strict else "BestEffortFIFO"
        self.server.create(QUOTA_POOLS, pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Everything ends."""
        for operator in self.operators:
            operator.crash()
        logging.getLogger("clientorg").removeHandler(self._failures)
        asyncio.set_event_loop(None)
        self.loop.close()

    # -- people -------------------------------------------------------------------------------------------------

    @property
    def pool(self) -> Json:
        """The pool."""
        found = self.server.one(QUOTA_POOLS, AGENCY, POOL)
        assert found is not None
        return found

    def clients(self) -> list[Json]:
        """All clients, by name."""
        return self.server.found(CLIENT_ORGS, AGENCY)

    def client(self, name: str) -> Json:
        """A client that is there."""
        found = self.server.one(CLIENT_ORGS, AGENCY, name)
        assert found is not None
        return found

    def create(self, name: str, **wanted: int) -> None:
        """A new client asks for licenses."""
        self.server.create(CLIENT_ORGS, builders.client(AGENCY, name, licenses=wanted))

    def want(self, name: str, transfer: Transfer | None = None, **wanted: int) -> None:
        """A client is edited."""
        patch: Json = {"spec": {"licenses": [{"name": key, "quantity": value} for key, value in wanted.items()]}}
        if transfer is not None:
            patch["metadata"] = {"annotations": {ANNOTATION_TRANSFER: str(transfer)}}
        self.server.edit(CLIENT_ORGS, AGENCY, name, patch)

    def report_use(self, name: str, **used: int) -> None:
        """What a client uses, of the licenses that it holds: the meters as earlier reports left them."""
        status = self.client(name)["status"]
        held = {item["name"] for item in status.get("licenses", [])}
        meters = {meter["license"]: meter for meter in status.get("meters", [])}
        for license, value in used.items():
            if license in held:
                observed = rfc3339(self.server.now())
                meters[license] = {
                    "source": "agent",
                    "license": license,
                    "value": value,
                    "total": value,
                    "observedTime": observed,
                }
        self.server.edit_status(CLIENT_ORGS, AGENCY, name, {"meters": [meters[key] for key in sorted(meters)]})

    def delete(self, name: str) -> None:
        """A client is deleted."""
        self.server.remove(CLIENT_ORGS, AGENCY, name)

    def resize(self, **capacity: int) -> None:
        """The pool is edited."""
        licenses = [{"name": name, "quantity": quantity} for name, quantity in capacity.items()]
        self.server.edit(QUOTA_POOLS, AGENCY, POOL, {"spec": {"licenses": licenses}})

    # -- operators and network ------------------------------------------------------------------------------------

    def start(self, behind: int = 0) -> Operator:
        """Another operator process; its first list may be so many writes old."""
        operator = self._new_operator(behind)
        self.operators.append(operator)
        return operator

    def replace(self, operator: Operator, behind: int = 0) -> Operator:
        """A process dies, and a new one takes its place."""
        self.ghosts += operator.calls
        operator.crash()
        place = self.operators.index(operator)
        self.operators[place] = self._new_operator(behind)
        return self.operators[place]

    def stop(self, operator: Operator) -> None:
        """A process dies for good."""
        self.ghosts += operator.calls
        operator.crash()
        self.operators.remove(operator)

    def _new_operator(self, behind: int) -> Operator:
        self._started += 1
        version = max(self.server.version - behind, self.server.history[0].version)
        return Operator(self.server, self.loop, f"operator-{self._started}", version, self.clock)

    def hear(self, operator: Operator, kinds: AbstractSet[Kind] = EVERYTHING) -> None:
        """Watch events arrive, and always those of what stands in the workspaces."""
        operator.hear_children()
        for kind in Kind:
            if kind in kinds and kind not in operator.deaf_to:
                operator.deliver(kind)

    def answer(self, call: Call) -> None:
        """A request is carried out, if it was not yet, and its answer arrives."""
        call.answer()
        self.loop.run_until_idle()

    def lose(self, call: Call) -> None:
        """The sender gives up on a request."""
        self.ghosts.append(call)
        call.lose()
        self.loop.run_until_idle()

    def work(self, *operators: Operator, requests: int = 1000, hears: AbstractSet[Kind] = EVERYTHING) -> None:
        """Operators get on, a request each in turn, until nothing is left or so many were answered."""
        for _ in range(requests):
            for operator in operators:
                self.hear(operator, hears)
                if operator.calls:
                    self.answer(operator.calls[0])
            if not any(operator.calls for operator in operators):
                return

    def settle(self) -> None:
        """Everything arrives, and the audit that operators make now and then has found missed deletions."""
        self.ghosts.clear()
        for operator in self.operators:
            operator.deaf_to = NOTHING
        for _ in range(2):
            for operator in self.operators:
                operator.audit()
            self.calm_down()
        self.check()

    def calm_down(self) -> None:
        """Everything arrives and is answered, until there is nothing to do and nothing is due later."""
        for _ in range(_MOST_ROUNDS):
            for operator in self.operators:
                self.hear(operator)
                for call in list(operator.calls):
                    self.answer(call)
            if self.server.finish_namespaces() or not all(operator.is_quiet for operator in self.operators):
                continue
            if not any(operator.has_delayed() for operator in self.operators):
                return
            self.loop.advance(60.0)
        raise AssertionError("the operators do not come to rest")

    def check(self) -> None:
        """The invariants, at every write so far."""
        self.books.check()
        assert not self._failures.seen, self._failures.seen[0]
