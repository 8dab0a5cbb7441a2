"""Objects as the API server gives them, for the tests of the command line."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def client(name: str = "acme", **overrides: Any) -> Json:
    """A ClientOrg that asks for 500 visitors; `status` and `metadata` are merged in, the rest is the spec."""
    status, metadata = overrides.pop("status", None), overrides.pop("metadata", {})
    spec = {
        "displayName": f"{name.capitalize()} K.K.",
        "contact": {"firstName": "Yuki", "lastName": "Sato", "email": f"yuki@{name}.example", "language": "en"},
        "poolRef": {"name": "tokyo"},
        "planRef": {"name": "standard"},
        "licenses": [{"name": "visitors", "quantity": 500}],
        **overrides,
    }
    return {
        "apiVersion": "clientorg.dev/v1alpha1",
        "kind": "ClientOrg",
        "metadata": {
            "name": name,
            "namespace": "agency",
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": "2026-11-01T00:00:00Z",
            **metadata,
        },
        "spec": {key: value for key, value in spec.items() if value is not None},
        "status": {"observedGeneration": -1} if status is None else status,
    }


def granted(*, used: int | None = None, **licenses: int) -> Json:
    """A status of a client that is Ready with these licenses."""
    entries = [
        {"name": name, "granted": count, **({} if used is None else {"used": used, "remaining": count - used})}
        for name, count in licenses.items()
    ]
    return {"observedGeneration": 1, "state": "Active", "licenses": entries, "conditions": [ready("True", "Ready")]}


def ready(status: str, reason: str, message: str = "") -> Json:
    """A condition Ready."""
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-01T00:00:00Z",
    }


def pool(name: str = "tokyo", *, allocated: int | None = None, **licenses: int) -> Json:
    """A QuotaPool; with `allocated`, its status says so of every license."""
    status: Json = {"observedGeneration": -1}
    if allocated is not None:
        status["licenses"] = [
            {"name": n, "total": total, "allocated": allocated, "available": total - allocated, "pending": 0}
            for n, total in licenses.items()
        ]
    return {
        "apiVersion": "clientorg.dev/v1alpha1",
        "kind": "QuotaPool",
        "metadata": {"name": name, "namespace": "agency"},
        "spec": {"licenses": [{"name": n, "quantity": total} for n, total in licenses.items()]},
        "status": status,
    }
