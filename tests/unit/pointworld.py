"""The agency of `World` with points: a plan that charges, one that asks for approval, a ledger, a clock to be set."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.api.meta import API_VERSION
from clientorg.api.orgplan import Billing
from clientorg.cluster.resources import CLIENT_ORGS, ORG_APPROVALS, ORG_PLANS, POINT_TRANSACTIONS
from clientorg.control.keys import Kind
from clientorg.domain.billing import BillingTerms, anchor, months_between, period_at, shift
from clientorg.domain.identity import org_id
from clientorg.domain.timestamps import parse_time, rfc3339
from tests.support import builders
from tests.unit.apiserver import Json
from tests.unit.operators import Operator
from tests.unit.pointbooks import PointBooks, balances, findings
from tests.unit.virtualtime import EPOCH, VirtualClock
from tests.unit.world import AGENCY, EVERYTHING, POOL, World

BILLING: Json = {"basePoints": 10, "includedUsers": 2, "pointsPerExtraUser": 3, "anchorDay": 25}
TERMS = BillingTerms.of(Billing.model_validate(BILLING), "standard", 1, ZoneInfo("UTC"))
CONSENT: Json = {"acceptedBy": "Yuki Sato", "acceptedTime": "2026-10-20T09:00:00Z", "text": "We agree."}
REQUESTER, APPROVER = "agent@example.com", "owner@example.com"


class StepClock(VirtualClock):
    """The operators' clock: it runs with the loop's time, and can be set, forward and back."""

    shift = timedelta(0)

    def now(self) -> datetime:
        """The time, in UTC."""
        return super().now() + self.shift

    def set(self, moment: datetime) -> None:
        """Set it."""
        self.shift += moment - self.now()


class PointsWorld(World):
    """Use it as a context manager, or `close` it."""

    def __init__(self, *, strict: bool = False, first_charge: str = "NextAnchor", seats: int = 1000) -> None:
        super().__init__(strict=strict, seats=seats)
        self.clock: StepClock = StepClock(self.loop)
        self.ledger = PointBooks(self.server)
        self._numbers: dict[str, int] = {}
        billing = {**BILLING, "firstCharge": first_charge}
        self.server.edit(ORG_PLANS, AGENCY, "standard", {"spec": {"billing": billing}})
        manual = builders.plan(AGENCY, "manual", network={"allowInternal": False})
        manual["spec"] |= {"billing": billing, "approval": "Manual"}
        self.server.create(ORG_PLANS, manual)
        self.latest = EPOCH
        """The latest time that the clock ever showed."""

    # -- people -------------------------------------------------------------------------------------------------

    def register(self, name: str, *, plan: str = "standard", users: int = 0, seats: int = 1) -> None:
        """A new client with contracted users."""
        more: dict[str, Any] = {"requestedBy": REQUESTER} if plan == "manual" else {}
        manifest = builders.client(AGENCY, name, plan=plan, licenses={"seats": seats}, contractedUsers=users, **more)
        self.server.create(CLIENT_ORGS, manifest)

    def approve(self, name: str, by: str = APPROVER, uid: str | None = None) -> None:
        """Somebody says yes to a client."""
        self.server.create(
            ORG_APPROVALS,
            {
                "apiVersion": API_VERSION,
                "kind": "OrgApproval",
                "metadata": {"name": self._numbered("approval"), "namespace": AGENCY},
                "spec": {
                    "clientRef": {"name": name},
                    "clientUID": uid or self.client(name)["metadata"]["uid"],
                    "decision": "Approve",
                    "approvedBy": by,
                },
            },
        )

    def terminate(self, name: str, time: datetime | None = None) -> None:
        """A client's contract ends, now or then."""
        when: Json = {"immediate": True} if time is None else {"time": rfc3339(time)}
        self.server.edit(CLIENT_ORGS, AGENCY, name, {"spec": {"termination": {"consent": CONSENT, **when}}})

    def transact(self, kind: str, source: str, target: str, amount: int, name: str | None = None, **spec: Any) -> str:
        """A transaction, by anybody; returns its name."""
        name = name or self._numbered(kind.lower())
        self.server.create(
            POINT_TRANSACTIONS,
            {
                "apiVersion": API_VERSION,
                "kind": "PointTransaction",
                "metadata": {"name": name, "namespace": AGENCY},
                "spec": {"kind": kind, "from": source, "to": target, "amount": amount, **spec},
            },
        )
        return name

    def buy(self, amount: int) -> str:
        """The agency purchases points."""
        return self.transact("Purchase", "external", f"pool/{POOL}", amount)

    def top_up(self, client: str, amount: int, name: str | None = None, **spec: Any) -> str:
        """The agency gives a client points."""
        return self.transact("TopUp", f"pool/{POOL}", f"org/{client}", amount, name, **spec)

    def withdraw(self, client: str, amount: int, **spec: Any) -> str:
        """The agency takes points back."""
        return self.transact("Withdrawal", f"org/{client}", f"pool/{POOL}", amount, **spec)

    def group(self, *amounts: tuple[str, int]) -> list[str]:
        """Top-ups that are posted together."""
        name = self._numbered("group")
        return [self.top_up(client, amount, group={"name": name, "size": len(amounts)}) for client, amount in amounts]

    def reverse(self, name: str) -> str:
        """A transaction is undone."""
        spec = self.transaction(name)["spec"]
        return self.transact("Reversal", spec["to"], spec["from"], spec["amount"], f"{name}-reversal", reverses=name)

    def take_back(self, name: str) -> None:
        """A transaction is deleted."""
        self.server.remove(POINT_TRANSACTIONS, AGENCY, name)

    # -- what is there ------------------------------------------------------------------------------------------

    def transaction(self, name: str) -> Json:
        """A transaction that is there."""
        found = self.server.one(POINT_TRANSACTIONS, AGENCY, name)
        assert found is not None, f"no transaction {name}"
        return found

    def transactions(self) -> list[Json]:
        """All transactions, by name."""
        return self.server.found(POINT_TRANSACTIONS, AGENCY)

    def phase(self, name: str) -> str | None:
        """What became of a transaction."""
        phase: str | None = self.transaction(name)["status"].get("phase")
        return phase

    def charged(self, client: str) -> list[str]:
        """Periods that a client was charged for."""
        org = org_id(self.client(client)["metadata"]["uid"])
        specs = [item["spec"] for item in self.transactions() if item["status"].get("phase") != "Rejected"]
        return sorted(spec["period"] for spec in specs if spec["kind"] == "Charge" and spec["orgID"] == org)

    def ledger_sum(self, org: str) -> int:
        """Points of an account, by Org ID."""
        return balances(self.server, AGENCY).get(org, 0)

    def balance(self, client: str) -> int:
        """A client's points."""
        return balances(self.server, AGENCY).get(org_id(self.client(client)["metadata"]["uid"]), 0)

    @property
    def pool_points(self) -> Json:
        """What the pool says of its points."""
        points: Json = self.pool["status"].get("points") or {}
        return points

    # -- time and the end ---------------------------------------------------------------------------------------

    def set_clock(self, moment: datetime) -> None:
        """The operators' clock shows another time."""
        self.clock.set(moment)
        self.latest = max(self.latest, moment)

    def hear(self, operator: Operator, kinds: AbstractSet[Kind] = EVERYTHING) -> None:
        """Events arrive, and what is due by the clock is looked at."""
        super().hear(operator, kinds)
        operator.look_at_clock()

    def check(self) -> None:
        """The invariants, at every write so far."""
        super().check()
        self.ledger.check()

    def come_right(self) -> None:
        """The faults end, and the agency buys what is missing: everything is posted that can be, and adds up."""
        self.set_clock(max(self.latest, self.clock.now()))
        if self.pool_points.get("waiting") or self.transactions():
            self.buy(1_000_000)
        self.settle()
        self.check_outcome()

    def check_outcome(self) -> None:
        """What must hold when everything has come to rest."""
        found = list(findings(self.server, AGENCY, self.ledger.lost))
        assert not found, found
        assert "inFlight" not in self.pool_points, "an entry in flight leaked"
        assert "groups" not in self.pool_points, "a group is unfinished"
        posted = {item["status"]["entry"] for item in self.transactions() if item["status"].get("phase") == "Posted"}
        assert posted | self.ledger.lost == set(range(1, self.pool_points.get("entries", 0) + 1))
        for item in self.transactions():
            _check_at_rest(item)
        sums = balances(self.server, AGENCY)
        for client in self.clients():
            self._check_client(client, sums)
        gone = sums.keys() - {org_id(client["metadata"]["uid"]) for client in self.clients()}
        assert not {org: sums[org] for org in gone if sums[org]}, "the account of a client that is gone is not zero"

    def _check_client(self, client: Json, sums: dict[str, int]) -> None:
        name, status = client["metadata"]["name"], client["status"]
        assert "deletionTimestamp" not in client["metadata"], f"the deletion of {name} is stuck"
        balance = sums.get(org_id(client["metadata"]["uid"]), 0)
        points, ended = status.get("points") or {}, status.get("termination") or {}
        assert points.get("balance", 0) == balance, f"{name} shows another balance than it has"
        waiting = [item for item in self.transactions() if item["status"].get("phase") == "Waiting"]
        pending = sum(_change(item["spec"], f"org/{name}") for item in waiting)
        assert points.get("pending", 0) == pending, f"{name} shows other points pending than wait"
        if client["spec"].get("termination", {}).get("immediate"):
            assert "executedTime" in ended, f"{name} was to end at once"
        if "executedTime" in ended:
            assert balance == 0, f"{name} has ended with {balance} points"
            assert "settledTime" in ended, f"{name} is not settled"
        assert TERMS is not None
        if status.get("lastGrant", 0) and TERMS is not None:
            end = parse_time(ended["scheduledTime"]) if ended else None
            last = period_at(self.clock.now(), TERMS)
            while end is not None and anchor(last, TERMS) >= end:
                last = shift(last, -1)
            charged = self.charged(name)
            first = min([*charged, points.get("chargesFrom", shift(last, 1))])
            periods = [shift(first, months) for months in range(months_between(first, last) + 1)]
            if end is not None:  # the clock may have gone back before the end, to before what was charged
                beyond = months_between(last, max([last, *charged]))
                periods += [shift(last, months + 1) for months in range(beyond) if shift(last, months + 1) >= first]
            if end is not None and len(periods) == 1 and not charged:
                periods = []  # it got its licenses when the contract had ended already: its first charge was due then
            assert charged == periods, f"{name} was charged for {charged}, and {periods} have begun; it ends {end}"

    def _numbered(self, prefix: str) -> str:
        self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        return f"{prefix}-{self._numbers[prefix]}"


def _check_at_rest(item: Json) -> None:
    phase, spec = item["status"].get("phase"), item["spec"]
    assert phase is not None, f"nobody looked at {item['metadata']['name']}"
    if phase == "Waiting":
        reasons = {condition["type"]: condition["reason"] for condition in item["status"]["conditions"]}
        waits_for_others = reasons["Ready"] in ("ClientNotFound", "GroupIncomplete", "ReversalMismatch")
        assert waits_for_others, (
            f"{item['metadata']['name']} waits ({reasons['Ready']}) though the pool has all it needs"
        )
    # A charge may be Rejected: made by one that had not heard of the end. Which are missing is checked by client.
    assert phase == "Posted" or spec["kind"] != "Settlement", f"{item['metadata']['name']} is {phase}"


def _change(spec: Json, account: str) -> int:
    change: int = spec["amount"] * ((spec["to"] == account) - (spec["from"] == account))
    return change
