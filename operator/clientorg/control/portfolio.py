"""What subscriptions and weekly snapshots mean for one client, gathered from the store. Reads only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.api.metric import MetricKind
from clientorg.api.orgplan import Consequence, OrgPlanSpec
from clientorg.control.clientobject import Client
from clientorg.control.objects import Plan, Report
from clientorg.control.store import Store
from clientorg.domain import snapshots
from clientorg.domain.client_facts import Facts
from clientorg.domain.client_status import state_of
from clientorg.domain.snapshots import LicenseSample, MetricSample, Sample
from clientorg.domain.subscription import Attention, Subscription, counting, overdue, term_at
from clientorg.domain.subscription_standing import Standing, is_trial_over, next_standing, statuses, trial_ends
from clientorg.domain.timestamps import parse_time

Json = dict[str, Any]
_FRESH = timedelta(days=7)
"""What was reported before says nothing of this week."""


@dataclass(frozen=True, slots=True)
class Obligations:
    """What a client owes, and what follows by its plan.

    Attributes:
        unpaid: which invoice is overdue, in words; empty when none is.
        trial_over: which trial is over, in words; empty when none is, or something was bought.
    """

    subscriptions: tuple[Subscription, ...] = ()
    unpaid: str = ""
    trial_over: str = ""
    pauses_unpaid: bool = True
    pauses_trial_over: bool = True


def attention_of(spec: OrgPlanSpec, time_zone: ZoneInfo) -> Attention:
    """When a plan's subscriptions need attention."""
    terms = spec.subscriptions
    return Attention(time_zone, terms.expiring_soon_days, terms.trial_ending_days, terms.unpaid_tolerance_days)


def obligations_of(store: Store, client: Client, plan: Plan, now: datetime) -> Obligations:
    """What the client owes now. The same function of the same facts in every pass; nothing is remembered."""
    known = store.subscriptions.of(client.name)
    if not known:
        return Obligations()
    zone, terms = plan.template.terms.time_zone, plan.template.spec.subscriptions
    attention = attention_of(plan.template.spec, zone)
    counted = counting([item.facts for item in known], zone)
    late = [(invoice, item) for item in counted if (invoice := overdue(item, now, attention)) is not None]
    unpaid = trial_over = ""
    if late:
        invoice, item = min(late, key=lambda pair: (pair[0].due, pair[0].number))
        unpaid = (
            f"invoice {invoice.number} of Subscription {item.name!r} over {invoice.amount} {invoice.currency} was due "
            f"on {invoice.due}; when it is paid, set its state to Paid in spec.invoices"
        )
    if is_trial_over(counted, now, attention):
        last = max(counted, key=lambda item: term_at(item, now, zone).end)
        ended = term_at(last, now, zone).end.astimezone(zone).date()
        trial_over = (
            f"the trial of Subscription {last.name!r} ended on {ended}; extend it (spec.renewalDate), or convert it "
            "(spec.type: Paid)"
        )
    return Obligations(
        tuple(counted),
        unpaid,
        trial_over,
        terms.when_unpaid == Consequence.PAUSE,
        terms.when_trial_expires == Consequence.PAUSE,
    )


def portfolio_facts(
    store: Store, client: Client, plan: Plan, status: Json, facts: Facts, obligations: Obligations, now: datetime
) -> tuple[Facts, datetime | None]:
    """The facts with standing and snapshots, and when the passing of time changes them."""
    reports = store.reports_of(client)
    assigned = _assigned(reports)
    trends = status.get("trends")
    week = None
    if facts.deactivation is None and client.last_grant > 0:
        week = snapshots.due(trends, parse_time(client.created), now)
    facts = replace(facts, assigned=assigned, unpaid=obligations.unpaid, trial_over=obligations.trial_over)
    if week is not None:
        trends = snapshots.take(trends, week, _sample(plan, facts, reports, now))
    standing, inactive = _standing(facts, obligations), plan.template.spec.subscriptions.inactive_days
    attention = attention_of(plan.template.spec, plan.template.terms.time_zone)
    facts = replace(
        facts,
        trends=trends,
        standing=statuses(standing, now, attention, inactive),
        trial_ends=trial_ends(obligations.subscriptions, now, attention),
    )
    times = [next_standing(standing, now, attention, inactive)]
    if facts.deactivation is None:
        times.append(snapshots.next_sunday(now))
    return facts, min((time for time in times if time is not None), default=None)


def _standing(facts: Facts, obligations: Obligations) -> Standing:
    users = facts.users
    return Standing(
        state=state_of(facts),
        subscriptions=obligations.subscriptions,
        granted=facts.holder.held,
        used=facts.used,
        users=(users.contracted, users.used) if users is not None and users.used is not None else None,
        active=max((meter.observed for meter in facts.usage.meters.values()), default=None),
    )


def _assigned(reports: list[Report]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for report in reports:
        found.update(report.assigned)
    return dict(found)


def _sample(plan: Plan, facts: Facts, reports: list[Report], now: datetime) -> Sample:
    """What is taken down of a client on a Sunday."""
    licenses = {
        name: LicenseSample(
            allocated=granted,
            assigned=facts.assigned.get(name),
            used=facts.used.get(name),
            counted=facts.usage.total(name) if name in facts.used else None,
        )
        for name, granted in facts.holder.held.items()
    }
    fresh = sorted((item for item in reports if now - _FRESH <= item.observed <= now), key=lambda item: item.observed)
    metrics = {}
    for metric in plan.template.spec.metrics:
        readings = {item.source: item.metrics[metric.name] for item in fresh if metric.name in item.metrics}
        if readings and metric.kind != MetricKind.RATIO:
            metrics[metric.name] = MetricSample(MetricKind(metric.kind), readings, next(reversed(readings)))
    return Sample(licenses, metrics)
