"""The conditions that tell of a client's contract: approval, points and users. Pure."""

from __future__ import annotations

from clientorg.api.clientorg import PauseReason
from clientorg.api.conditions import ConditionType, Reason
from clientorg.domain.client_facts import Facts
from clientorg.domain.conditions import State, false, true
from clientorg.domain.timestamps import rfc3339


def approved(facts: Facts) -> State | None:
    """Whether somebody said yes; nothing where nobody is asked."""
    kind, approval = ConditionType.APPROVED, facts.approval
    if approval is None or facts.deleting is not None:
        return None
    if approval.decision is not None:
        text = f"by {approval.by}" + (f": {approval.reason}" if approval.reason else "")
        if approval.is_approved:
            return true(kind, Reason.APPROVED, text)
        return false(kind, Reason.REJECTED, f"rejected {text}. That is final for this object; make the client anew")
    if not facts.has_requester:
        return false(
            kind,
            Reason.REQUESTER_UNKNOWN,
            "spec.requestedBy: the plan asks for approval by somebody else than who requests the client, and that is "
            "not said; set it",
        )
    return false(
        kind,
        Reason.APPROVAL_PENDING,
        f"waits since {rfc3339(approval.requested)} for somebody else to decide: kubectl clientorg approve, or reject",
    )


def on_target(facts: Facts) -> State | None:
    """Whether approval and provisioning keep within the plan's target (FEATURES S2)."""
    kind, approval = ConditionType.APPROVAL_ON_TARGET, facts.approval
    if approval is None or approval.is_rejected or facts.deactivation is not None or facts.deleting is not None:
        return None
    due = rfc3339(approval.due)
    if not facts.overdue:
        return true(kind, Reason.ON_TARGET, f"the plan's target is {due}")
    waits = "approval" if approval.decision is None else "provisioning"
    text = f"{waits} was to be done by {due}" if approval.ready is None else f"was ready after the target, {due}"
    return false(kind, Reason.OVERDUE, text)


def negative_message(facts: Facts) -> str:
    """Since when the balance is below zero, what follows, and what to do."""
    points = facts.points
    if points is None or points.negative_since is None:
        return "the balance is not below zero"
    text = f"the balance is {points.balance} points, below zero since {rfc3339(points.negative_since)}"
    if points.suspends is not None and PauseReason.NEGATIVE_BALANCE not in facts.pause_reasons:
        text += f"; the client is paused on {rfc3339(points.suspends)} if it stays so"
    return f"{text}. Add points: kubectl clientorg points add"


def negative_balance(facts: Facts) -> State | None:
    """Whether the balance is below zero (FEATURES S6)."""
    kind = ConditionType.BALANCE_NEGATIVE
    if facts.points is None or facts.deleting is not None:
        return None
    if facts.points.negative_since is None:
        return false(kind, Reason.COVERED)
    return true(kind, Reason.NEGATIVE_BALANCE, negative_message(facts))


def over_limit(facts: Facts) -> State | None:
    """Whether more users are reported than the contract covers (FEATURES S5)."""
    kind, users = ConditionType.USERS_OVER_LIMIT, facts.users
    if users is None or users.used is None or facts.deactivation is not None or facts.deleting is not None:
        return None
    if not users.is_over:
        return false(kind, Reason.WITHIN_LIMIT)
    return true(
        kind,
        Reason.OVER_LIMIT,
        f"{users.used} users, and the contract covers {users.contracted}; raise spec.contractedUsers, or remove users",
    )
