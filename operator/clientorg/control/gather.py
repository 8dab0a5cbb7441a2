"""The facts of one pass over a client, gathered from the store. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clientorg.api.access import AccessLevel
from clientorg.api.clientorg import WantedState
from clientorg.api.conditions import Reason
from clientorg.api.meta import ANNOTATION_RESTORE, MAX_CLIENT_NAME_LENGTH
from clientorg.control.clientobject import Client
from clientorg.control.contract import FUTURE_SLACK, Contract
from clientorg.control.objects import Plan, Pool
from clientorg.control.portfolio import Obligations
from clientorg.control.store import Store
from clientorg.domain.client_facts import Problem
from clientorg.domain.decision import Situation
from clientorg.domain.identity import is_name_too_long
from clientorg.domain.messages import from_status
from clientorg.domain.notices import delivered_reminders
from clientorg.domain.records import Json, crossings_of, deactivation_of, usage_of
from clientorg.domain.timestamps import rfc3339
from clientorg.domain.usage import Sample, Usage
from clientorg.domain.workspace import Org

MOST_SOURCES = 3
"""Sources counted for a client: sixteen licenses of each, and of Prometheus, fit into its status."""


def org_of(client: Client) -> Org:
    """What rendering needs to know of a client."""
    spec = client.spec
    return Org(
        name=client.name[1],
        agency=client.name[0],
        uid=client.uid,
        org_id=client.org_id,
        namespace=client.namespace,
        display_name=spec["displayName"],
        language=spec["contact"].get("language", "en"),
        admins=spec.get("admins") or (),
        is_restored=client.is_restored,
        menus=(spec.get("portal") or {}).get("menus") or (),
        labels=client.labels,
        support=spec.get("support") or (),
        agency_access=AccessLevel(spec.get("agencyAccess", AccessLevel.FULL)),
    )


def situation_of(
    store: Store,
    client: Client,
    pool: Pool | None,
    plan: Plan,
    status: Json,
    samples: Sequence[Sample],
    now: datetime,
    purges_per_hour: int,
    contract: Contract,
    obligations: Obligations,
) -> Situation:
    """The facts that a decision needs.

    Raises:
        PlanError: the plan's terms cannot be read.
    """
    record = deactivation_of(status)
    return Situation(
        now=now,
        state=WantedState(client.state),
        wanted=client.asked,
        holder=client.holder,
        grants=pool.grants.get(client.uid, ()) if pool is not None else (),
        usage=usage_of(status),
        samples=samples,
        use_periods=pool.use_periods if pool is not None else {},
        thresholds=plan.template.spec.thresholds,
        told=crossings_of(status),
        terms=plan.template.terms,
        deactivation=record,
        recent_purges=_recent_purges(store, client, now),
        purges_per_hour=purges_per_hour,
        is_overdrawn=contract.is_overdrawn(now),
        is_terminated=contract.is_terminated,
        is_held=client.hold is not None,
        is_unpaid=bool(obligations.unpaid) and obligations.pauses_unpaid,
        is_trial_over=bool(obligations.trial_over) and obligations.pauses_trial_over,
        has_delivered=delivered_reminders(from_status(status.get("outbox") or ()), record) if record else {},
    )


def _recent_purges(store: Store, client: Client, now: datetime) -> Sequence[datetime]:
    """Only a deactivated client has use for them."""
    is_ending = client.state == WantedState.DEACTIVATED or client.is_terminated
    if not is_ending or client.purge_started is not None:
        return ()
    return store.purges_started(client.name[0])


def report_samples(store: Store, client: Client, now: datetime) -> list[Sample]:
    """What usage reports say of the client."""
    counted = store.sources_of(client)[:MOST_SOURCES]
    return [
        Sample(report.source, license, value, report.observed)
        for report in store.reports_of(client)
        if report.observed <= now + FUTURE_SLACK and report.source in counted
        for license, value in report.values.items()
    ]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long ago usage was reported.

    Attributes:
        staleness: when it was last reported, if that is too long ago; nobody is paused or resumed for that.
        stale_from: when it will be too long ago, if nothing is reported until then.
    """

    staleness: str = ""
    stale_from: datetime | None = None


def freshness(
    usage: Usage, pool: Pool | None, seen: datetime | None, samples: Sequence[Sample], now: datetime
) -> Freshness:
    """How long ago usage was reported; `seen` is when the pool's server last said something of the client."""
    if pool is None or not usage.meters:
        return Freshness()
    times = [meter.observed for meter in usage.meters.values()] + [sample.observed for sample in samples]
    last = max([*times, *([seen] if seen is not None else [])])
    stale_from = last + timedelta(seconds=pool.usage.stale_after_seconds)
    if now < stale_from:
        return Freshness(stale_from=stale_from)
    return Freshness(
        f"usage was last reported for {rfc3339(last)}; the client is neither paused nor resumed "
        "while nothing is reported. Look at the metering agent, or at the pool's condition UsageSourceReady"
    )


def licensing_problem(client: Client, pool: Pool | None) -> Problem | None:
    """What keeps the pool from serving the client at all."""
    if pool is None:
        return Problem(
            Reason.POOL_NOT_FOUND,
            f"spec.poolRef.name: no QuotaPool {client.pool!r} in namespace {client.name[0]!r}; create it, or make the "
            "client anew with another pool",
        )
    unknown = sorted(name for name in client.asked if name not in pool.capacity)
    if unknown:
        return Problem(
            Reason.LICENSE_UNKNOWN,
            f"spec.licenses: QuotaPool {client.pool!r} has no license {', '.join(unknown)}; it has "
            f"{', '.join(sorted(pool.capacity))}. Correct the name, or add the license to the pool",
        )
    if pool.deleting and client.raises:
        return Problem(
            Reason.POOL_DELETING,
            f"QuotaPool {client.pool!r} is being deleted and grants nothing any more; what is granted stays",
        )
    return None


def workspace_problem(store: Store, client: Client, plan: Plan | None) -> Problem | None:
    """What keeps the workspace from being built at all."""
    holder = store.holder_of_org(client)
    if holder is not None:
        return Problem(
            Reason.NAMESPACE_CONFLICT,
            f"metadata.annotations[{ANNOTATION_RESTORE}]: client {holder[1]!r} in namespace {holder[0]!r} has the Org "
            f"ID {client.org_id}; no two have the same. Delete this client, or that one and then annotate this "
            "one with clientorg.dev/reconcile-requested-at=<now>",
        )
    if plan is None:
        return Problem(
            Reason.PLAN_NOT_FOUND,
            f"spec.planRef.name: no OrgPlan {client.plan!r} in namespace {client.name[0]!r}; create it, or correct the "
            "name",
        )
    if is_name_too_long(client.name[1]):
        return Problem(
            Reason.NAME_TOO_LONG,
            f"metadata.name: at most {MAX_CLIENT_NAME_LENGTH} characters, so that the workspace's namespace fits; make "
            "the client anew with a shorter name",
        )
    return None
