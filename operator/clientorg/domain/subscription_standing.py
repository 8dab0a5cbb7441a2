"""How a client stands with the agency: the statuses of FEATURES row W1, by one function. Pure.

The operator (status.standing, pauses, metrics), reports and dashboard all ask this one; docs/subscriptions.md has its
cases as a table, and the tests read them there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from clientorg.api.clientorg import ClientStatus, OrgState
from clientorg.domain.subscription import Attention, Subscription, Term, expires_soon, next_change, overdue, term_at

ENDED: Final = frozenset(
    {OrgState.REJECTED, OrgState.DEACTIVATED, OrgState.TERMINATED, OrgState.PURGED, OrgState.DELETING}
)
"""States in which nothing is expected of a client any more; their state says it all."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the statuses of a client follow from.

    Attributes:
        state: as in status.state; None before the operator has seen the client.
        subscriptions: those of the client that count.
        granted: license to quantity.
        used: license to quantity, in the running period; licenses that nobody reports on are not in it.
        users: contracted and used; None where not both are known.
        active: when something that is reported last grew; None where nobody reports.
    """

    state: OrgState | None
    subscriptions: Sequence[Subscription] = ()
    granted: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    users: tuple[int, int] | None = None
    active: datetime | None = None


def statuses(standing: Standing, now: datetime, terms: Attention, inactive_days: int = 30) -> tuple[ClientStatus, ...]:
    """All statuses that hold, the most urgent first; empty of a client that is no more (its state says it).

    Active is one of them only where no other is. An order without a client is ReadyToSetUp; that is no client's status
    (`order_statuses`).
    """
    if standing.state in ENDED:
        return ()
    found: set[ClientStatus] = set()
    running = _running(standing.subscriptions, now, terms)
    if any(overdue(item, now, terms) is not None for item in standing.subscriptions):
        found.add(ClientStatus.SUSPENDED_UNPAID)
    if is_expired(standing.subscriptions, now, terms):
        found.add(ClientStatus.EXPIRED)
    if is_over_limit(standing):
        found.add(ClientStatus.OVER_LIMIT)
    trials = [(item, term) for item, term in running if item.is_trial]
    paid = [(item, term) for item, term in running if not item.is_trial]
    # What was bought makes the end of the trial before it no news.
    if any(expires_soon(item, term, now, terms) for item, term in paid or trials):
        found.add(ClientStatus.EXPIRING_SOON)
    if standing.active is not None and now >= standing.active + timedelta(days=inactive_days):
        found.add(ClientStatus.NO_RECENT_ACTIVITY)
    if trials and not paid:
        found.add(ClientStatus.TRIAL)
    if not found:
        found.add(ClientStatus.ACTIVE)
    return tuple(status for status in ClientStatus if status in found)


def order_statuses(order: Subscription) -> tuple[ClientStatus, ...]:
    """The status of an order that no client was made from yet; empty of one that has its client."""
    return (ClientStatus.READY_TO_SET_UP,) if order.client is None else ()


def is_expired(subscriptions: Sequence[Subscription], now: datetime, terms: Attention) -> bool:
    """Whether there were subscriptions and all of them are over. One to come keeps a client from being expired."""
    return bool(subscriptions) and all(now >= term_at(item, now, terms.time_zone).end for item in subscriptions)


def is_trial_over(subscriptions: Sequence[Subscription], now: datetime, terms: Attention) -> bool:
    """Whether there were only trials, and all of them are over."""
    return is_expired(subscriptions, now, terms) and all(item.is_trial for item in subscriptions)


def trial_ends(subscriptions: Sequence[Subscription], now: datetime, terms: Attention) -> datetime | None:
    """When the trial ends that ends soon; None where none does, or what was bought runs or begins then."""
    if any(not item.is_trial and now < term_at(item, now, terms.time_zone).end for item in subscriptions):
        return None
    running = _running(subscriptions, now, terms)
    last = max(running, key=lambda pair: pair[1].end, default=None)
    return last[1].end if last is not None and expires_soon(*last, now, terms) else None


def _running(subscriptions: Sequence[Subscription], now: datetime, terms: Attention) -> list[tuple[Subscription, Term]]:
    """Those whose term runs now, with it."""
    pairs = ((item, term_at(item, now, terms.time_zone)) for item in subscriptions)
    return [(item, term) for item, term in pairs if term.start <= now < term.end]


def is_over_limit(standing: Standing) -> bool:
    """Whether more is used than granted, or there are more users than contracted."""
    if any(used > standing.granted.get(name, 0) for name, used in standing.used.items()):
        return True
    return standing.users is not None and standing.users[1] > standing.users[0] > 0


def next_standing(standing: Standing, now: datetime, terms: Attention, inactive_days: int = 30) -> datetime | None:
    """When the passing of time alone changes a status next; None where it does not."""
    times = [next_change(item, now, terms) for item in standing.subscriptions]
    if standing.active is not None:
        times.append(standing.active + timedelta(days=inactive_days))
    return min((time for time in times if time is not None and time > now), default=None)
