"""Objects with sane defaults; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clientorg.domain.timestamps import rfc3339

Json = dict[str, Any]
API_VERSION = "clientorg.dev/v1alpha1"


def namespace(name: str) -> Json:
    """An agency's namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pool(agency: str, name: str = "pool", **licenses: int) -> Json:
    """A QuotaPool; licenses as keywords, by default `visitors=1000`."""
    items = [{"name": license, "quantity": quantity} for license, quantity in (licenses or {"visitors": 1000}).items()]
    return {
        "apiVersion": API_VERSION,
        "kind": "QuotaPool",
        "metadata": {"name": name, "namespace": agency},
        "spec": {"licenses": items},
    }


def plan(agency: str, name: str = "standard", **workspace: Any) -> Json:
    """An OrgPlan; fields of spec.workspace as keywords."""
    return {
        "apiVersion": API_VERSION,
        "kind": "OrgPlan",
        "metadata": {"name": name, "namespace": agency},
        "spec": {"workspace": workspace} if workspace else {},
    }


def client(
    agency: str,
    name: str = "acme",
    *,
    pool: str = "pool",
    plan: str = "standard",
    licenses: dict[str, int] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Json:
    """A ClientOrg; by default it asks for 10 visitors."""
    metadata: Json = {"name": name, "namespace": agency}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": API_VERSION,
        "kind": "ClientOrg",
        "metadata": metadata,
        "spec": {
            "displayName": name.title(),
            "contact": {"firstName": "Yuki", "lastName": "Sato", "email": f"yuki@{name}.example"},
            "poolRef": {"name": pool},
            "planRef": {"name": plan},
            "licenses": [
                {"name": license, "quantity": quantity} for license, quantity in (licenses or {"visitors": 10}).items()
            ],
            **spec,
        },
    }


def report(
    agency: str, org_id: str, observed: datetime, name: str = "usage", source: str = "", **licenses: int
) -> Json:
    """A UsageReport: what was counted of each license, given as keywords, until that time."""
    spec: Json = {"orgID": org_id, "observedTime": rfc3339(observed), "meters": meters(licenses)}
    if source:
        spec["source"] = source
    return {
        "apiVersion": API_VERSION,
        "kind": "UsageReport",
        "metadata": {"name": name, "namespace": agency},
        "spec": spec,
    }


def meters(licenses: Mapping[str, int]) -> list[Json]:
    """Counts as a report lists them."""
    return [{"license": license, "value": value} for license, value in licenses.items()]


def subscription(agency: str, name: str = "acme-1", *, client: str | None = "acme", **spec: Any) -> Json:
    """A Subscription: paid, one year of 10 visitors from 2026-01-01, unless fields of its spec say otherwise."""
    length = {} if "term" in spec or "renewalDate" in spec else {"term": {"months": 12}}
    return {
        "apiVersion": API_VERSION,
        "kind": "Subscription",
        "metadata": {"name": name, "namespace": agency},
        "spec": {
            **({"clientRef": {"name": client}} if client else {}),
            "order": {"id": f"PO-{name}"},
            "type": "Paid",
            "products": [{"name": "visitors", "licenses": 10}],
            "startDate": "2026-01-01",
            **length,
            **spec,
        },
    }


def invoice(number: str = "R-1", due: str = "2026-02-01", **fields: Any) -> Json:
    """An open invoice over 1200.50 USD."""
    return {"number": number, "dueDate": due, "amount": "1200.50", "currency": "USD", **fields}
