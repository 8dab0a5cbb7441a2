"""The facts of one pass over a client, gathered from the store. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clientorg.api.clientorg import WantedState
from clientorg.api.conditions import Reason
from clientorg.api.meta import MAX_CLIENT_NAME_LENGTH
from clientorg.control.store import Client, Plan, Pool, Store
from clientorg.domain.client_status import Problem
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
FUTURE_SLACK = timedelta(minutes=5)
"""Clocks differ; a report from further ahead would make all others of its source look late."""


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
        has_delivered=delivered_reminders(from_status(status.get("outbox") or ()), record) if record else {},
    )


def _recent_purges(store: Store, client: Client, now: datetime) -> Sequence[datetime]:
    """Only a deactivated client has use for them."""
    if client.state != WantedState.DEACTIVATED or client.purge_started is not None:
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


def workspace_problem(client: Client, plan: Plan | None) -> Problem | None:
    """What keeps the workspace from being built at all."""
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
