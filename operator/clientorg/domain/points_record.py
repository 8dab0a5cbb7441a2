"""A client's contract as its manifest tells it: what status says of its points, and whether charges come. Pure.

What commands and exports show is what the operator wrote; this is where they read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from clientorg.domain.timestamps import timestamp

Manifest = Mapping[str, Any]


def status_points(item: Manifest | None) -> Mapping[str, Any]:
    """status.points of a client or a pool, as it stands there; empty where there is none."""
    points: Mapping[str, Any] = ((item or {}).get("status") or {}).get("points") or {}
    return points


@dataclass(frozen=True, slots=True)
class PointsRecord:
    """A client's points account, as the operator wrote it down last.

    Attributes:
        pending: what transactions that are not posted yet would change.
        charges_from: the first period that is charged; None: charging has not begun.
        charged: the last period that a charge exists for.
        next_period, next_due, next_charge: of the next charge; None where nothing is charged.
        projected: balance after the next charge.
        runway_months: charges that the balance covers.
        negative_since: None while the balance is not below zero.
    """

    balance: int
    pending: int
    charges_from: str | None
    charged: str | None
    next_period: str | None
    next_due: datetime | None
    next_charge: int | None
    projected: int | None
    runway_months: int | None
    negative_since: datetime | None


def points_record(client: Manifest | None) -> PointsRecord | None:
    """The account; None while the client never had any points."""
    found = status_points(client)
    if not found:
        return None
    return PointsRecord(
        balance=found.get("balance") or 0,
        pending=found.get("pending") or 0,
        charges_from=found.get("chargesFrom"),
        charged=found.get("chargedThrough"),
        next_period=found.get("nextChargePeriod"),
        next_due=timestamp(found.get("nextChargeTime")),
        next_charge=found.get("nextCharge"),
        projected=found.get("projectedBalance"),
        runway_months=found.get("runwayMonths"),
        negative_since=timestamp(found.get("negativeSince")),
    )


def contracted_users(client: Manifest) -> int:
    """The contracted users that the next charge is computed from."""
    return int((client.get("spec") or {}).get("contractedUsers") or 0)


class NotCharged(StrEnum):
    """Why no charge comes for a client, whatever its plan says."""

    TERMINATED = "terminated"
    DELETED = "being deleted"
    DEACTIVATED = "deactivated"
    REJECTED = "rejected"


def is_running(state: str, *, is_purging: bool, is_terminated: bool) -> bool:
    """Whether a contract runs, so that licenses are held for it and charges come: also for a client that is paused.

    Args:
        state: spec.state.
        is_purging: its purge has begun, from which there is no way back.
        is_terminated: its contract has ended.
    """
    return state != "Deactivated" and not is_purging and not is_terminated


def why_not_charged(client: Manifest) -> NotCharged | None:
    """Why no charge comes; None where charges may come.

    A client that was reactivated counts as deactivated until the operator has seen that: charging begins anew then.
    """
    spec, status = client.get("spec") or {}, client.get("status") or {}
    record, is_terminated = status.get("deactivation"), bool((status.get("termination") or {}).get("executedTime"))
    if is_terminated:
        return NotCharged.TERMINATED
    if (client.get("metadata") or {}).get("deletionTimestamp"):
        return NotCharged.DELETED
    state = spec.get("state") or "Active"
    if record or not is_running(state, is_purging=False, is_terminated=is_terminated):
        return NotCharged.DEACTIVATED
    return NotCharged.REJECTED if status.get("state") == "Rejected" else None
