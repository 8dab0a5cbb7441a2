"""A client's points account as its status shows it (FEATURES S5, S6, S8). Pure; every number comes from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from clientorg.domain import billing
from clientorg.domain.billing import Account, BillingTerms, Charge
from clientorg.domain.calendar import add_days
from clientorg.domain.points_record import points_record
from clientorg.domain.timestamps import parse_time, rfc3339

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Points:
    """The account.

    Attributes:
        balance: of what is posted.
        pending: what transactions that are not posted yet would change.
        account: the charges so far.
        next: the charge that comes next; None where nothing is charged.
        negative_since: since when the balance is below zero.
        suspends: when the client is paused for that, if it stays so; None where it is not below zero, or the plan
            charges nothing.
    """

    balance: int
    pending: int
    account: Account
    next: Charge | None
    negative_since: datetime | None
    suspends: datetime | None

    @property
    def projected(self) -> int | None:
        """Balance after the next charge."""
        return self.balance - self.next.amount if self.next is not None else None

    def is_overdrawn(self, now: datetime) -> bool:
        """Whether the balance has been below zero for longer than the plan tolerates."""
        return self.suspends is not None and now >= self.suspends


@dataclass(frozen=True, slots=True)
class Users:
    """Users of a client; administrators are not counted.

    Attributes:
        contracted: the cap in force now.
        used: as last reported; None where nobody reported.
    """

    contracted: int
    used: int | None = None
    observed: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether there are more than the contract covers."""
        return self.used is not None and self.used > self.contracted


def charging(
    before: str | None,
    charged: str | None,
    terms: BillingTerms | None,
    now: datetime,
    *,
    runs: bool,
    resumes: bool,
    noted: str | None = None,
) -> Account:
    """The account as charging stands now: begun, kept, begun anew, or without charges.

    Args:
        before: the first period that is charged, as status remembers it.
        charged: the last period that a charge exists for.
        runs: the client has its licenses, and is neither deactivated nor terminated.
        resumes: it was deactivated, and is not any more.
        noted: the last period that status knows to be charged. What was charged since cannot be from before a time
            without charges, of which a status was written.
    """
    account = Account(before, charged)
    if terms is None:
        return replace(account, charges_from=None)
    if not runs:
        return account
    is_noted = charged is None or (noted is not None and noted >= charged)
    if before is None and charged is not None and (not is_noted or charged >= billing.period_at(now, terms)):
        return replace(account, charges_from=charged)  # it began with a charge, and is not written down yet
    if resumes or (before is None and charged is not None):
        return billing.resume(account, now, terms)
    return account if before is not None else billing.begin(now, terms)


def points_of(
    *,
    balance: int,
    pending: int,
    account: Account,
    users: int,
    terms: BillingTerms | None,
    negative_since: datetime | None,
    now: datetime,
    runs: bool,
) -> Points:
    """The account, with what comes next.

    Args:
        users: contracted users that the next charge is computed from.
        negative_since: as status remembers it.
    """
    since = None if balance >= 0 else negative_since or now
    suspends = suspension(since, terms) if since is not None and terms is not None else None
    coming = billing.next_charge(account, users, terms) if terms is not None and runs else None
    return Points(balance, pending, account, coming, since, suspends)


def suspension(negative_since: datetime, terms: BillingTerms) -> datetime:
    """When a balance that is below zero since then pauses the client (FEATURES S6)."""
    return add_days(negative_since, terms.negative_tolerance_days, terms.time_zone)


def account_of(client: Mapping[str, Any], terms: BillingTerms, charged: str | None = None) -> Account:
    """The charges so far, as the client's status tells them.

    Args:
        charged: the last period that a charge is known for besides, where the ledger was read.
    """
    found = points_record(client)
    if found is None:
        return Account(charged=charged)
    begun = None
    if found.charges_from is not None and found.charged is None and found.next_period == found.charges_from:
        # A first charge that is not due at its anchor is due when the client began (Immediate and Prorated).
        due = found.next_due
        begun = due if due is not None and due > billing.anchor(found.charges_from, terms) else None
    known = (period for period in (found.charged, charged) if period is not None)
    return Account(found.charges_from, max(known, default=None), begun)


def points_json(points: Points) -> Json:
    """The account for status."""
    out: Json = {"balance": points.balance}
    if points.pending:
        out["pending"] = points.pending
    if points.account.charges_from is not None:
        out["chargesFrom"] = points.account.charges_from
    if points.account.charged is not None:
        out["chargedThrough"] = points.account.charged
    if points.next is not None:
        out["nextChargeTime"] = rfc3339(points.next.due)
        out["nextChargePeriod"] = points.next.period
        out["nextCharge"] = points.next.amount
        out["projectedBalance"] = points.projected
        out["runwayMonths"] = billing.runway(points.balance, points.next.amount)
    if points.negative_since is not None:
        out["negativeSince"] = rfc3339(points.negative_since)
    return out


def users_json(users: Users) -> Json:
    """The users for status."""
    out: Json = {"contracted": users.contracted}
    if users.used is not None:
        out["used"] = users.used
    if users.observed is not None:
        out["observedTime"] = rfc3339(users.observed)
    return out


def negative_since_of(status: Mapping[str, Any]) -> datetime | None:
    """Since when the balance is below zero, as status remembers it."""
    since = (status.get("points") or {}).get("negativeSince")
    return parse_time(since) if since else None


def users_of(status: Mapping[str, Any]) -> Users | None:
    """What was reported last, as status remembers it."""
    found = status.get("users")
    if not found:
        return None
    observed = found.get("observedTime")
    return Users(found["contracted"], found.get("used"), parse_time(observed) if observed else None)
