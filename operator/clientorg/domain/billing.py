"""The monthly charge: when it is due, for which period, and how many points (FEATURES S7, S8; DESIGN rules 4, 5). Pure.

A period begins at its anchor: the plan's day of the month, clamped to the month's last, at midnight in the plan's time
zone. Its key is the month of its anchor, `2026-11`, so that a plan's new anchor day never charges a month twice. A
period is charged when it begins. Preview and charge are the same function, `charge_of`.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from clientorg.api.orgplan import Billing, FirstCharge, UserReduction

_MAX_RUNWAY = 1200


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """A plan's terms of charging.

    Attributes:
        plan: name of the plan.
        generation: the plan's metadata.generation.
    """

    plan: str
    generation: int
    base_points: int
    included_users: int
    points_per_extra_user: int
    anchor_day: int
    first_charge: FirstCharge
    user_reduction: UserReduction
    negative_tolerance_days: int
    time_zone: ZoneInfo

    @classmethod
    def of(cls, billing: Billing | None, plan: str, generation: int, time_zone: ZoneInfo) -> BillingTerms | None:
        """The terms, as the plan's spec has them; None for a plan that charges nothing."""
        if billing is None:
            return None
        return cls(
            plan=plan,
            generation=generation,
            base_points=billing.base_points,
            included_users=billing.included_users,
            points_per_extra_user=billing.points_per_extra_user,
            anchor_day=billing.anchor_day,
            first_charge=FirstCharge(billing.first_charge),
            user_reduction=UserReduction(billing.user_reduction),
            negative_tolerance_days=billing.negative_tolerance_days,
            time_zone=time_zone,
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge, with all that it was computed from.

    Attributes:
        period: key of the period, by the month of its anchor.
        due: the anchor, or the beginning of a client that does not wait for one.
        prorated: (days charged, days of the period), where it is not the whole.
        previous: the period charged before.
        resumed: charging began anew with this period.
    """

    period: str
    due: datetime
    plan: str
    generation: int
    users: int
    included_users: int
    base_points: int
    points_per_extra_user: int
    prorated: tuple[int, int] | None = None
    previous: str | None = None
    resumed: bool = False

    @property
    def extra_users(self) -> int:
        """Users beyond the included ones."""
        return max(0, self.users - self.included_users)

    @property
    def full_amount(self) -> int:
        """Points of the whole period: base + extra users × per extra user."""
        return self.base_points + self.extra_users * self.points_per_extra_user

    @property
    def amount(self) -> int:
        """Points: those of the whole period; prorated, rounded half up."""
        if self.prorated is None:
            return self.full_amount
        days, of_days = self.prorated
        return (2 * self.full_amount * days + of_days) // (2 * of_days)


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of a client's charges.

    Attributes:
        charges_from: the first period that is charged since charging began, or began anew; None: not begun.
        charged: the last period that a charge exists for, posted or not.
        begun: when a client began that is charged for the period it began in.
    """

    charges_from: str | None = None
    charged: str | None = None
    begun: datetime | None = None


def anchor(period: str, terms: BillingTerms) -> datetime:
    """When the period begins, in UTC.

    A midnight that DST skips is the first moment after it; of two it is the first.
    """
    year, month = int(period[:4]), int(period[5:])
    day = min(terms.anchor_day, calendar.monthrange(year, month)[1])
    return datetime(year, month, day, tzinfo=terms.time_zone).astimezone(UTC)


def shift(period: str, months: int) -> str:
    """The period so many months later, or earlier."""
    index = int(period[:4]) * 12 + int(period[5:]) - 1 + months
    return f"{index // 12:04d}-{index % 12 + 1:02d}"


def months_between(first: str, second: str) -> int:
    """Months from the first period to the second."""
    return (int(second[:4]) - int(first[:4])) * 12 + int(second[5:]) - int(first[5:])


def period_at(moment: datetime, terms: BillingTerms) -> str:
    """The period that is running then."""
    local = moment.astimezone(terms.time_zone)
    # From the next month on: where clocks go back over a midnight, a period begins before its month does for good.
    key = shift(f"{local.year:04d}-{local.month:02d}", 1)
    while anchor(key, terms) > moment:
        key = shift(key, -1)
    return key


def begin(now: datetime, terms: BillingTerms) -> Account:
    """Charging begins for a client that has got its licenses, by the plan's rule."""
    running = period_at(now, terms)
    if terms.first_charge is FirstCharge.NEXT_ANCHOR and anchor(running, terms) != now:
        return Account(charges_from=shift(running, 1))
    return Account(charges_from=running, begun=now)


def resume(account: Account, now: datetime, terms: BillingTerms) -> Account:
    """Charging begins anew with the next anchor, for a client that was deactivated or on a plan without charges.

    A period that begins at this very moment is charged, as it is for a client that begins.
    """
    running = period_at(now, terms)
    next_period = running if anchor(running, terms) == now else shift(running, 1)
    return replace(account, charges_from=max(next_period, next_uncharged(account) or next_period))


def next_uncharged(account: Account) -> str | None:
    """The period to be charged next; None where charging has not begun."""
    if account.charges_from is None:
        return None
    if account.charged is None:
        return account.charges_from
    return max(account.charges_from, shift(account.charged, 1))


def charge_of(account: Account, period: str, users: int, terms: BillingTerms) -> Charge:
    """The charge of a period. What estimates, previews, status and the ledger show is this."""
    due, prorated = anchor(period, terms), None
    is_first = account.charged is None and period == account.charges_from
    if is_first and account.begun is not None and account.begun > due:
        if terms.first_charge is FirstCharge.PRORATED:
            prorated = _remaining_days(account.begun, period, terms)
        due = account.begun
    previous = account.charged
    return Charge(
        period=period,
        due=due,
        plan=terms.plan,
        generation=terms.generation,
        users=users,
        included_users=terms.included_users,
        base_points=terms.base_points,
        points_per_extra_user=terms.points_per_extra_user,
        prorated=prorated,
        previous=previous,
        resumed=previous is not None and period != shift(previous, 1),
    )


def due_charges(
    account: Account, now: datetime, users: int, terms: BillingTerms, *, ends: datetime | None = None
) -> Iterator[Charge]:
    """The charges that are due, the oldest first; each is for the account as the one before leaves it.

    Args:
        ends: when the contract ends; a period that begins then, or later, is not charged.
    """
    while (charge := next_charge(account, users, terms)) is not None and charge.due <= now:
        if ends is not None and charge.due >= ends:
            return
        yield charge
        account = replace(account, charged=charge.period)


def next_charge(account: Account, users: int, terms: BillingTerms) -> Charge | None:
    """The next charge, due or coming; None where charging has not begun."""
    period = next_uncharged(account)
    return charge_of(account, period, users, terms) if period is not None else None


def coming_charges(
    account: Account, until: datetime, users: int, terms: BillingTerms, *, ends: datetime | None = None
) -> Iterator[Charge]:
    """The charges until then, if nothing changes: for estimates as of a date."""
    return due_charges(account, until, users, terms, ends=ends)


def runway(balance: int, amount: int) -> int:
    """How many charges like the next the balance covers; 1200 at most."""
    if balance < 0:
        return 0
    return _MAX_RUNWAY if amount <= 0 else min(balance // amount, _MAX_RUNWAY)


def contracted_in_force(asked: int, paid: int | None, terms: BillingTerms | None) -> int:
    """The cap of a client's users now (FEATURES S5): a raise counts at once, a reduction by the plan's rule.

    Args:
        asked: spec.contractedUsers.
        paid: users of the running period's charge; None where it was not charged.
    """
    if terms is None or paid is None or terms.user_reduction is UserReduction.IMMEDIATE:
        return asked
    return max(asked, paid)


def _remaining_days(begun: datetime, period: str, terms: BillingTerms) -> tuple[int, int]:
    """Calendar days from the beginning, that day included, to the next anchor; and days of the whole period.

    At least one day and at most all: a plan's anchor that was moved since may have left the beginning outside.
    """
    start, end = _local_date(anchor(period, terms), terms), _local_date(anchor(shift(period, 1), terms), terms)
    of_days = (end - start).days
    return min(max((end - _local_date(begun, terms)).days, 1), of_days), of_days


def _local_date(moment: datetime, terms: BillingTerms) -> date:
    return moment.astimezone(terms.time_zone).date()
