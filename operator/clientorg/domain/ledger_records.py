"""PointTransactions as the API server keeps them, and as the rules see them (FEATURES S6, S7, S11). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clientorg.api.meta import API_VERSION
from clientorg.api.pointtransaction import CONSUMED, Phase, TransactionKind
from clientorg.domain.billing import Charge
from clientorg.domain.ledger import ORG_PREFIX, Transaction, charge_name, settlement, settlement_name
from clientorg.domain.timestamps import parse_time, rfc3339, rfc3339_micro

Json = dict[str, Any]


def transaction_of(manifest: Mapping[str, Any]) -> Transaction:
    """A PointTransaction, as the API server returned it, for the rules.

    Its Org ID is that of status once it is posted, because a spec need not name one.

    Raises:
        KeyError: a field is missing that the CRD requires.
        ValueError: a kind or a phase that the CRD does not know.
    """
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    group, phase = spec.get("group"), status.get("phase")
    return Transaction(
        uid=metadata["uid"],
        name=metadata["name"],
        kind=TransactionKind(spec["kind"]),
        source=spec["from"],
        target=spec["to"],
        amount=spec["amount"],
        created=metadata["creationTimestamp"],
        org_id=status.get("orgID") or spec.get("orgID"),
        reverses=spec.get("reverses"),
        period=spec.get("period"),
        group=(group["name"], group["size"]) if group else None,
        phase=Phase(phase) if phase else None,
        entry=status.get("entry"),
        ledger=spec.get("pool") or status.get("pool"),
        users=(spec.get("charge") or {}).get("users"),
        due=parse_time(spec["charge"]["dueTime"]) if "charge" in spec and phase != Phase.POSTED else None,
    )


def transaction_manifest(
    namespace: str,
    name: str,
    *,
    kind: TransactionKind,
    source: str,
    target: str,
    amount: int,
    org_id: str | None = None,
    **more: Any,
) -> Json:
    """A PointTransaction to be created.

    Args:
        amount: points.
        org_id: of the client that org/<name> means.
        more: further fields of spec under their names there; those that are None are left out.
    """
    spec: Json = {"kind": str(kind), "from": source, "to": target, "amount": amount, "orgID": org_id, **more}
    return {
        "apiVersion": API_VERSION,
        "kind": "PointTransaction",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def charge_manifest(namespace: str, org: str, org_id: str, pool: str, charge: Charge) -> Json:
    """The one charge of a client and period, with all that it was computed from."""
    return transaction_manifest(
        namespace,
        charge_name(org_id, charge.period),
        kind=TransactionKind.CHARGE,
        source=f"{ORG_PREFIX}{org}",
        target=CONSUMED,
        amount=charge.amount,
        org_id=org_id,
        pool=pool,
        period=charge.period,
        charge=charge_json(charge),
    )


def settlement_manifest(namespace: str, org: str, org_id: str, pool: str, balance: int, number: int = 1) -> Json | None:
    """The settlement of a client with that balance; None where there is nothing to settle."""
    movement = settlement(org, pool, balance)
    if movement is None:
        return None
    source, target, amount = movement
    return transaction_manifest(
        namespace,
        settlement_name(org_id, number),
        kind=TransactionKind.SETTLEMENT,
        source=source,
        target=target,
        amount=amount,
        org_id=org_id,
        pool=pool,
    )


def charge_json(charge: Charge) -> Json:
    """The arithmetic of a charge, for spec.charge. Nothing is lost but the period, which is spec.period."""
    out: Json = {
        "plan": charge.plan,
        "planGeneration": charge.generation,
        # Fractions of a second only where there are any: a client begins at any moment.
        "dueTime": (rfc3339_micro if charge.due.microsecond else rfc3339)(charge.due),
        "users": charge.users,
        "includedUsers": charge.included_users,
        "basePoints": charge.base_points,
        "pointsPerExtraUser": charge.points_per_extra_user,
        "resumed": charge.resumed,
    }
    if charge.prorated is not None:
        out["proratedDays"], out["periodDays"] = charge.prorated
    if charge.previous is not None:
        out["previousPeriod"] = charge.previous
    return out


def charge_of_json(record: Mapping[str, Any], period: str) -> Charge:
    """The charge that spec.charge has frozen.

    Args:
        record: spec.charge.
        period: spec.period.

    Raises:
        KeyError: a field is missing that the CRD requires.
        ValueError: dueTime is no time.
    """
    days, of_days = record.get("proratedDays"), record.get("periodDays")
    return Charge(
        period=period,
        due=parse_time(record["dueTime"]),
        plan=record["plan"],
        generation=record["planGeneration"],
        users=record["users"],
        included_users=record["includedUsers"],
        base_points=record["basePoints"],
        points_per_extra_user=record["pointsPerExtraUser"],
        prorated=(days, of_days) if days is not None and of_days is not None else None,
        previous=record.get("previousPeriod"),
        resumed=record.get("resumed", False),
    )
