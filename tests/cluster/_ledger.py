"""Transactions, approvals and plans as tests of the API server write them."""

from __future__ import annotations

from typing import Any, Final

from tests.cluster._plane import Json, client_org

ROUTES: Final[dict[str, tuple[str, str]]] = {
    "Purchase": ("external", "pool/tokyo"),
    "TopUp": ("pool/tokyo", "org/acme"),
    "Withdrawal": ("org/acme", "pool/tokyo"),
    "Charge": ("org/acme", "consumed"),
    "Settlement": ("org/acme", "consumed"),
    "Reversal": ("org/acme", "pool/tokyo"),
}
"""From where to where each kind goes; a Reversal of a TopUp."""

INPUTS: Final[Json] = {
    "plan": "standard",
    "planGeneration": 1,
    "dueTime": "2026-11-24T15:00:00Z",
    "users": 12,
    "includedUsers": 10,
    "basePoints": 1000,
    "pointsPerExtraUser": 50,
}
_EXTRA: Final[dict[str, Json]] = {
    "Charge": {"period": "2026-11", "charge": INPUTS},
    "Reversal": {"reverses": "first"},
}
CONSENT: Final[Json] = {
    "acceptedBy": "yuki@acme.example",
    "acceptedTime": "2026-11-20T09:00:00Z",
    "text": "The contract ends.",
}


def transaction(kind: str = "TopUp", name: str = "first", namespace: str = "default", **spec: Any) -> Json:
    """A valid PointTransaction of 100 points; `from_` for from; a part of the spec given as None is left out."""
    source, target = ROUTES[kind]
    if "from_" in spec:
        spec["from"] = spec.pop("from_")
    full = {"kind": kind, "from": source, "to": target, "amount": 100, **_EXTRA.get(kind, {}), **spec}
    if kind == "Reversal" and name == "first":
        name = "first-reversal"
    return _manifest("PointTransaction", name, namespace, full)


def approval(by: str, namespace: str = "default", **spec: Any) -> Json:
    """An OrgApproval of client acme."""
    full = {"clientRef": {"name": "acme"}, "clientUID": "0f0e", "decision": "Approve", "approvedBy": by, **spec}
    return _manifest("OrgApproval", "acme", namespace, full)


def billing_plan(name: str = "standard", namespace: str = "default", **spec: Any) -> Json:
    """An OrgPlan of 1,000 points for 10 users and 50 for each beyond, on the 25th in Tokyo."""
    billing = {"basePoints": 1000, "pointsPerExtraUser": 50}
    return _manifest("OrgPlan", name, namespace, {"timeZone": "Asia/Tokyo", "billing": billing, **spec})


def terminated(namespace: str = "default", *, consent: Json | None = None, **termination: Any) -> Json:
    """Client acme with a termination; consent is given unless it says otherwise."""
    return client_org(namespace=namespace, termination={"consent": consent or CONSENT, **termination})


def _manifest(kind: str, name: str, namespace: str, spec: Json) -> Json:
    return {
        "apiVersion": "clientorg.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }
