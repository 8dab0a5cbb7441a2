"""The charges of a client that come by its plan's rules, if nothing changes (FEATURES S7, S8, X4). Pure.

What is computed here is computed by the functions that the operator charges with (`clientorg.domain.billing`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from clientorg.cli.text import number
from clientorg.domain.billing import Account, BillingTerms, Charge, coming_charges, next_charge
from clientorg.domain.points import account_of
from clientorg.domain.points_record import contracted_users, why_not_charged

Json = dict[str, Any]


def charges_before(client: Json, terms: BillingTerms | None, ends: datetime) -> list[Charge]:
    """The charges that are due before the contract ends and not made yet, if nothing changes."""
    if terms is None or why_not_charged(client) is not None:
        return []
    return list(coming_charges(account_of(client, terms), ends, contracted_users(client), terms, ends=ends))


def next_charges(client: Json, terms: BillingTerms | None, count: int) -> list[Charge]:
    """The next so many charges, if nothing changes."""
    if terms is None or why_not_charged(client) is not None:
        return []
    return list(islice(_endless(account_of(client, terms), contracted_users(client), terms), count))


def _endless(account: Account, users: int, terms: BillingTerms) -> Iterator[Charge]:
    while (charge := next_charge(account, users, terms)) is not None:
        yield charge
        account = replace(account, charged=charge.period)


def arithmetic(charge: Charge) -> str:
    """How a charge is computed: `1,000 + (25 − 10) × 50 = 1,750`."""
    if charge.extra_users:
        users = f"({number(charge.users)} − {number(charge.included_users)})"
        text = f"{number(charge.base_points)} + {users} × {number(charge.points_per_extra_user)}"
    else:
        text = f"{number(charge.base_points)} for up to {number(charge.included_users)} users"
    if charge.prorated is not None:
        days, of_days = charge.prorated
        text = f"({text}) × {days}/{of_days} days"
    return f"{text} = {number(charge.amount)}"
