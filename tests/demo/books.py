"""What the story of examples/billing looks at: an agency's clients, its pool and its ledger, at one moment."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .inbox import Mail
from .kubectl import Kubectl
from .looking import Json, ready_of


@dataclass(frozen=True)
class Books:
    """An agency's clients, pool and ledger.

    Attributes:
        clients: by name.
        mails: those that were not told yet.
    """

    clients: dict[str, Json]
    pool: Json
    transactions: tuple[Json, ...]
    mails: tuple[Mail, ...] = ()

    def status(self, client: str) -> Json:
        """What the operator says of a client; nothing while there is no such client."""
        found: Json = self.clients.get(client, {}).get("status") or {}
        return found

    def state(self, client: str) -> str:
        """A client's state."""
        return str(self.status(client).get("state", "none yet"))

    def ready(self, client: str) -> tuple[str, str]:
        """Status and reason of a client's condition Ready."""
        return ready_of(self.clients[client]) if client in self.clients else ("Unknown", "NotFound")

    def balance(self, client: str) -> int | None:
        """A client's points; None while there is no account, or a movement is pending."""
        return _settled(self.status(client), "pending")

    @property
    def pool_balance(self) -> int | None:
        """The agency's points; None while there are none, or a movement is in flight."""
        return _settled(self.pool.get("status") or {}, "inFlight")

    @property
    def is_short(self) -> bool:
        """Whether the pool says that it lacks points."""
        conditions = (self.pool.get("status") or {}).get("conditions") or ()
        return any(item["type"] == "PointsShort" and item["status"] == "True" for item in conditions)

    def posted(self, kind: str, period: str | None = None) -> dict[str, int]:
        """Points of what is posted of a kind, and in a period, by the account that they left."""
        return self._of("Posted", kind, period, "from")

    def waiting(self, kind: str) -> dict[str, int]:
        """Points of what waits of a kind, by the account that they go to."""
        return self._of("Waiting", kind, None, "to")

    def _of(self, phase: str, kind: str, period: str | None, side: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for item in self.transactions:
            spec = item["spec"]
            if spec["kind"] == kind and period in (None, spec.get("period")) and _phase(item) == phase:
                found[spec[side]] = found.get(spec[side], 0) + spec["amount"]
        return found

    def __str__(self) -> str:
        clients = "; ".join(
            f"{name}: state {self.state(name)}, Ready {'='.join(self.ready(name))}, balance {self.balance(name)}"
            for name in self.clients
        )
        others = [item for item in self.transactions if _phase(item) != "Posted"]
        open_ones = ", ".join(f"{item['metadata']['name']} {_phase(item)}" for item in others)
        mails = "; ".join(mail.subject for mail in self.mails) or "none"
        return (
            f"{clients or 'no clients'}; pool: balance {self.pool_balance}, {'' if self.is_short else 'not '}short; "
            f"not posted: {open_ones or 'none'}; new mails: {mails}"
        )


def read_books(kubectl: Kubectl, agency: str, pool: str, mails: tuple[Mail, ...]) -> Books:
    """Look at an agency."""
    kinds = "clientorgs,quotapools,pointtransactions"
    items = json.loads(kubectl.run("get", kinds, f"--namespace={agency}", "--output=json"))["items"]

    def of(kind: str) -> list[Json]:
        return [item for item in items if item["kind"] == kind]

    return Books(
        clients={item["metadata"]["name"]: item for item in of("ClientOrg")},
        pool=next((item for item in of("QuotaPool") if item["metadata"]["name"] == pool), {}),
        transactions=tuple(of("PointTransaction")),
        mails=mails,
    )


def _settled(status: Json, unsettled: str) -> int | None:
    points: Json = status.get("points") or {}
    return None if unsettled in points else points.get("balance")


def _phase(transaction: Json) -> str:
    return str((transaction.get("status") or {}).get("phase", "new"))
