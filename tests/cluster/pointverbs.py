"""Points as tests speak of them: transactions, balances, approvals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clientorg.cluster.resources import ORG_APPROVALS, POINT_TRANSACTIONS
from clientorg.domain.ledger_audit import Audit, audit
from clientorg.domain.timestamps import rfc3339
from tests.cluster.verbs import DEADLINE_SECONDS, Agency, Client, Handle, Json
from tests.controlplane.waiting import wait_until

BILLING: Json = {"basePoints": 1000, "includedUsers": 10, "pointsPerExtraUser": 50}
"""1,000 points a month for 10 users, and 50 for each beyond; on the 25th."""


class Transaction(Handle):
    """A PointTransaction."""

    resource = POINT_TRANSACTIONS

    def expect_phase(self, phase: str, reason: str | None = None) -> Json:
        """Wait until this has become of it."""

        def holds(manifest: Json) -> bool:
            status = manifest.get("status") or {}
            ready: Json = next((item for item in status.get("conditions") or () if item["type"] == "Ready"), {})
            return status.get("phase") == phase and reason in (None, ready.get("reason"))

        wait_until(self.find, DEADLINE_SECONDS, f"{self!r} to be there")
        return self.expect(holds, f"be {phase} {reason or ''}")


class Approval(Handle):
    """An OrgApproval."""

    resource = ORG_APPROVALS


def transact(agency: Agency, name: str, kind: str, source: str, target: str, amount: int, **spec: Any) -> Transaction:
    """Create a transaction."""
    agency.create(
        {
            "apiVersion": "clientorg.dev/v1alpha1",
            "kind": "PointTransaction",
            "metadata": {"name": name, "namespace": agency.name},
            "spec": {"kind": kind, "from": source, "to": target, "amount": amount, **spec},
        }
    )
    return Transaction(agency.kube, agency.name, name)


def purchase(agency: Agency, amount: int, name: str = "purchase-1") -> Transaction:
    """The agency buys points, and has them."""
    bought = transact(agency, name, "Purchase", "external", f"pool/{agency.pool.name}", amount)
    bought.expect_phase("Posted")
    return bought


def top_up(client: Client, agency: Agency, amount: int, name: str = "top-up-1") -> Transaction:
    """The agency gives a client points."""
    return transact(agency, name, "TopUp", f"pool/{agency.pool.name}", f"org/{client.name}", amount)


def expect_balance(client: Client, balance: int) -> Json:
    """Wait until the client has so many points and nothing is pending."""

    def holds(manifest: Json) -> bool:
        points = manifest["status"].get("points") or {}
        return points.get("balance") == balance and "pending" not in points

    return client.expect(holds, f"have {balance} points")


def expect_pool_balance(agency: Agency, balance: int) -> Json:
    """Wait until the agency has so many points, and nothing is in flight."""

    def holds(manifest: Json) -> bool:
        points = manifest["status"].get("points") or {}
        return points.get("balance") == balance and "inFlight" not in points

    return agency.pool.expect(holds, f"have {balance} points")


def transactions(agency: Agency, kind: str | None = None) -> list[Json]:
    """The ledger, by entry; what is not posted comes last."""
    found = agency.kube.list_all(POINT_TRANSACTIONS, agency.name)
    of_kind = [item for item in found if kind in (None, item["spec"]["kind"])]
    return sorted(of_kind, key=lambda item: (item.get("status") or {}).get("entry") or 2**53)


def charges(agency: Agency) -> dict[str, int]:
    """Period to points, of what is charged, in the order of the ledger."""
    return {item["spec"]["period"]: item["spec"]["amount"] for item in transactions(agency, "Charge")}


def expect_charges(agency: Agency, client: Client, **periods: int) -> None:
    """Wait until exactly these charges are posted; the keywords are p2026_12 and so on."""
    wanted = {key[1:].replace("_", "-"): amount for key, amount in periods.items()}

    def posted() -> bool:
        found = transactions(agency, "Charge")
        return charges(agency) == wanted and all(item.get("status", {}).get("phase") == "Posted" for item in found)

    wait_until(posted, DEADLINE_SECONDS, f"the charges of {client!r} to be {wanted}; they are {charges(agency)}")


def verify(agency: Agency) -> Audit:
    """Audit the ledger once it has come to rest; nothing may be found."""

    def audited() -> Audit | None:
        found = audit(
            agency.kube.list_all(POINT_TRANSACTIONS, agency.name), [agency.pool.read()], agency.list_clients()
        )
        return found if not found.findings else None

    return wait_until(audited, DEADLINE_SECONDS, f"the ledger of {agency.name} to be in order")


def approve(agency: Agency, client: Client, by: str, decision: str = "Approve", **spec: Any) -> Approval:
    """Decide on a client."""
    name = f"{client.name}-{decision.lower()}-{by.partition('@')[0].replace(':', '-')}"
    agency.create(
        {
            "apiVersion": "clientorg.dev/v1alpha1",
            "kind": "OrgApproval",
            "metadata": {"name": name, "namespace": agency.name},
            "spec": {
                "clientRef": {"name": client.name},
                "clientUID": client.uid,
                "decision": decision,
                "approvedBy": by,
                **spec,
            },
        }
    )
    return Approval(agency.kube, agency.name, name)


def termination(time: datetime | None = None) -> Json:
    """A termination with consent, at a time or now."""
    consent = {
        "acceptedBy": "Yuki Sato",
        "acceptedTime": "2026-11-20T09:00:00Z",
        "text": "We agree to end the contract.",
    }
    return {"consent": consent} | ({"time": rfc3339(time)} if time is not None else {"immediate": True})
