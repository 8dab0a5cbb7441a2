"""What to do about a client that waits for approval, owes points, has too many users, or ends. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clientorg.cli.advicecase import Case
from clientorg.cli.dates import calendar_of
from clientorg.cli.options import PROGRAM
from clientorg.cli.planrules import rules_or_none
from clientorg.cli.text import number
from clientorg.domain.points import suspension
from clientorg.domain.points_record import points_record


def approval_pending(case: Case) -> Iterator[str]:
    """Nobody has decided."""
    yield "It waits for somebody other than who requested it to decide. Who waits, and the decision:"
    yield f"  {PROGRAM} approvals {case.where}"
    yield f"  {PROGRAM} approve {case.named}"
    yield f"  {PROGRAM} reject {case.named} --reason TEXT"


def rejected(case: Case) -> Iterator[str]:
    """Somebody said no."""
    yield "It was rejected, for the reason above, and that is final for this object. To ask once more, begin anew:"
    yield f"  {PROGRAM} delete {case.named} --confirm {case.row.name}"
    yield f"  {PROGRAM} create {case.named} …"


def requester_unknown(case: Case) -> Iterator[str]:
    """Nobody is known to have asked."""
    yield "Its plan asks for an approval by somebody other than who requested it, and it does not say who that was."
    yield "Whoever requested it writes their name as the API server knows it (kubectl auth whoami):"
    yield f"  kubectl patch clientorgs {case.named} --type=merge " """-p '{"spec":{"requestedBy":"USER"}}'"""


def overdue(case: Case) -> Iterator[str]:
    """Approval and provisioning take longer than the plan allows."""
    yield "Approval and provisioning take longer than the plan's approvalTarget. Who else waits:"
    yield f"  {PROGRAM} approvals {case.where}"


def negative_balance(case: Case) -> Iterator[str]:
    """It owes points."""
    points, calendar, rules = points_record(case.item), calendar_of(case.plan), rules_or_none(case.plan)
    balance = "" if points is None else f" ({number(points.balance)})"
    if "NegativeBalance" in case.row.pause_reasons:
        yield f"Its balance has been below zero{balance} for too long; it goes on when it is not any more. Add points:"
    else:
        when = ""
        if points is not None and points.negative_since is not None and rules is not None and rules.billing is not None:
            pauses = suspension(points.negative_since, rules.billing)
            when = f", and it is paused {calendar.with_distance(pauses, case.now)}"
        yield f"Its balance is below zero{balance}{when}. Add points:"
    yield f"  {PROGRAM} points add {case.named} …"
    yield f"  {PROGRAM} points replenish {case.where} …   # every client that needs some"


def over_limit(case: Case) -> Iterator[str]:
    """More users than contracted."""
    used, contracted = number(case.row.users_used), number(case.row.users_contracted)
    yield f"It has more users ({used}) than the contract covers ({contracted}). Remove users, or have it cover more:"
    yield f"  kubectl patch clientorgs {case.named} --type=merge " """-p '{"spec":{"contractedUsers":N}}'"""


def settlement_pending(case: Case) -> Iterator[str]:
    """The account is not settled yet."""
    yield "Its contract has ended, and its points account is not settled yet: the pool lacks the points for its"
    yield "shortfall, or a transaction before it is on its way. It goes on by itself when the pool has them:"
    yield f"  kubectl get pointtransactions {case.where}"
    yield f"  {PROGRAM} points purchase {case.where} …   # more points from the distributor"


def terminated(case: Case) -> Iterator[str]:
    """The contract has ended."""
    yield "Its contract has ended, and there is no way back. When everything of it is deleted:"
    yield f"  {PROGRAM} timeline {case.named}"


ACCOUNT_REMEDIES: dict[str, Callable[[Case], Iterator[str]]] = {
    "ApprovalPending": approval_pending,
    "Rejected": rejected,
    "RequesterUnknown": requester_unknown,
    "Overdue": overdue,
    "NegativeBalance": negative_balance,
    "OverLimit": over_limit,
    "SettlementPending": settlement_pending,
    "Terminated": terminated,
}
"""By `Reason`, as `advice` has them."""
