"""The command line on the API server in memory: one agency with points, and whatever the network does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from clientorg.cli.main import main
from clientorg.cli.options import Target
from clientorg.cli.session import Session, Warnings
from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, POINT_TRANSACTIONS, QUOTA_POOLS
from clientorg.cluster.rest import Api
from clientorg.errors import AlreadyExistsError
from tests.unit.apiserver import MemoryServer
from tests.unit.operators import _credentials

Json = dict[str, Any]

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
AGENCY = "agency"
USER = "yuki@agency.example"
MODULES = ("points", "history", "estimate", "replenish", "ledger")

Fault = Callable[[str, str, Json | None], None]
"""Called with method, path and body before a request is carried out; may raise, as the network or the server does."""


class CliApi(Api):
    """A connection whose requests are carried out at once."""

    def __init__(self, cluster: CliCluster) -> None:
        super().__init__(_credentials(), component="kubectl-clientorg")
        self._cluster = cluster

    async def _send(
        self, method: str, path: str, params: Mapping[str, str] | None, data: bytes | None, content_type: str
    ) -> bytes:
        body = orjson.loads(data) if data is not None else None
        given = dict(params or {})
        cluster = self._cluster
        cluster.requests.append((method, path, given, body))
        await asyncio.sleep(0)  # others come in between, as on a network
        cluster.before(method, path, body)
        if path.endswith("/selfsubjectreviews"):
            return orjson.dumps({"status": {"userInfo": {"username": USER}}})
        if given.get("dryRun") == "All" and body is not None:
            key = (POINT_TRANSACTIONS.plural, AGENCY, body["metadata"]["name"])
            if key in cluster.server.objects:
                raise AlreadyExistsError(409, "AlreadyExists", "it is there")
            return orjson.dumps(body)
        answer = orjson.dumps(cluster.server.handle(method, path, given, body, content_type))
        cluster.after(method, path, body)
        return answer

    async def stream(self, path: str, params: Mapping[str, str], **_: Any) -> AsyncIterator[bytes]:
        """A watch on which nothing happens any more."""
        await asyncio.Event().wait()
        yield b""


@dataclass
class CliCluster:
    """The server, an agency in it, and what the tests do in the operator's place."""

    server: MemoryServer = field(default_factory=lambda: MemoryServer(lambda: NOW))
    requests: list[tuple[str, str, dict[str, str], Json | None]] = field(default_factory=list)
    before: Fault = lambda method, path, body: None
    after: Fault = lambda method, path, body: None
    entries: int = 0

    def plan(self, name: str = "standard", *, zone: str = "UTC", **billing: Any) -> None:
        """A plan that charges 1,000 for up to 10 users and 50 for each more on the 25th."""
        terms = {"basePoints": 1000, "pointsPerExtraUser": 50, **billing}
        spec = {"timeZone": zone, **({"billing": terms} if terms["basePoints"] is not None else {})}
        self.server.create(ORG_PLANS, _object(name, spec))

    def pool(self, name: str = "tokyo", **points: Any) -> None:
        """A pool; its points as its status has them."""
        self.server.create(QUOTA_POOLS, _object(name, {"licenses": [{"name": "visitors", "quantity": 10}]}))
        self.server.edit_status(QUOTA_POOLS, AGENCY, name, {"points": {"balance": 0, "entries": 0, **points}})

    def client(self, name: str, *, users: int = 10, balance: int = 0, labels: Any = None, **spec: Any) -> None:
        """A client that is charged from 2026-11 on; its balance comes from one posted top-up."""
        manifest = _object(name, {"poolRef": {"name": "tokyo"}, "planRef": {"name": "standard"}} | spec)
        manifest["spec"] = {"contractedUsers": users, **manifest["spec"]}
        manifest["metadata"]["labels"] = labels or {}
        self.server.create(CLIENT_ORGS, manifest)
        points = {"balance": balance, "chargesFrom": "2026-11"}
        status = {"orgID": f"id{name}", "state": "Active", "points": points}
        self.server.edit_status(CLIENT_ORGS, AGENCY, name, status)
        if balance > 0:
            self.post(f"start-{name}", "TopUp", "pool/tokyo", f"org/{name}", balance)
        elif balance < 0:
            self.post(f"start-{name}", "Withdrawal", f"org/{name}", "pool/tokyo", -balance)

    def transaction(self, name: str, kind: str, source: str, target: str, amount: int, **spec: Any) -> Json:
        """A transaction that nobody has posted."""
        org = next((a.removeprefix("org/") for a in (source, target) if a.startswith("org/")), None)
        known = {"orgID": f"id{org}"} if org else {}
        full = {"kind": kind, "from": source, "to": target, "amount": amount, **known, **spec}
        return self.server.create(POINT_TRANSACTIONS, _object(name, full))

    def post(self, name: str, kind: str, source: str, target: str, amount: int, **spec: Any) -> None:
        """A posted transaction."""
        if self.one(name) is None:
            self.transaction(name, kind, source, target, amount, **spec)
        self.entries += 1
        org_id = (self.one(name) or {})["spec"].get("orgID")
        status = {"phase": "Posted", "entry": self.entries, "pool": "tokyo", "postedTime": "2026-11-01T00:00:00Z"}
        if org_id:
            status["orgID"] = org_id
        self.server.edit_status(POINT_TRANSACTIONS, AGENCY, name, status)

    def charge(self, client: str, period: str, amount: int, **inputs: Any) -> None:
        """A posted charge."""
        frozen = {
            "plan": "standard",
            "planGeneration": 1,
            "dueTime": f"{period}-25T00:00:00Z",
            "users": 10,
            "includedUsers": 10,
            "basePoints": 1000,
            "pointsPerExtraUser": 50,
            **inputs,
        }
        name = f"id{client}-charge-{period}"
        self.post(name, "Charge", f"org/{client}", "consumed", amount, period=period, charge=frozen)

    def one(self, name: str) -> Json | None:
        """A transaction."""
        return self.server.one(POINT_TRANSACTIONS, AGENCY, name)

    def made(self) -> dict[str, Json]:
        """Name to spec of all transactions that are not posted."""
        found = self.server.found(POINT_TRANSACTIONS, AGENCY)
        return {t["metadata"]["name"]: t["spec"] for t in found if (t.get("status") or {}).get("phase") != "Posted"}

    def creations(self) -> list[Json]:
        """What was asked to be created, dry runs left out."""
        return [
            body
            for method, path, params, body in self.requests
            if method == "POST" and path.endswith("/pointtransactions") and body is not None and "dryRun" not in params
        ]


def _object(name: str, spec: Json) -> Json:
    return {"metadata": {"name": name, "namespace": AGENCY}, "spec": spec}


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    def row(self, *words: str) -> list[str]:
        """The cells of the line of the table that holds all the words."""
        lines = [line for line in self.out.splitlines() if all(word in line for word in words)]
        assert len(lines) == 1, f"{words} in {len(lines)} lines of:\n{self.out}"
        return re.split(r"\s{2,}", lines[0].strip())


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> CliCluster:
    """An empty agency; every command of points works on it, at NOW."""
    made = CliCluster()

    @asynccontextmanager
    async def connect(target: Target, **_: Any) -> AsyncIterator[Session]:
        async with CliApi(made) as api:
            yield Session(api, target.namespace or AGENCY, Warnings())

    for module in MODULES:
        monkeypatch.setattr(f"clientorg.cli.{module}.connect", connect)
    clock = tmp_path / "clock"
    clock.write_text(NOW.isoformat())
    monkeypatch.setenv("CLIENTORG_DEV_CLOCK", str(clock))
    monkeypatch.setattr("clientorg.cli.ledger.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("clientorg.cli.transactions.FIRST_PAUSE_SECONDS", 0.0)
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Answer:
    """Run one command line."""
    capsys.readouterr()
    code = main(list(arguments))
    out, err = capsys.readouterr()
    assert "this is a bug" not in err, err
    return Answer(code, out, err)
