"""Kopf watches our kinds; each event goes to the runtime, which decides by state and never by event.

`on.event`, because Kopf's change handlers are edge-triggered and cost three patches an object (DESIGN section 8).
"""

from __future__ import annotations

from typing import Any

import kopf

from clientorg.api.meta import GROUP, VERSION
from clientorg.control.keys import Kind


@kopf.on.event(GROUP, VERSION, "clientorgs")
async def client_event(event: Any, memo: Any, **_: Any) -> None:
    """A ClientOrg was added, changed, listed or deleted."""
    memo.runtime.observe(Kind.CLIENT, event["type"], event["object"])


@kopf.on.event(GROUP, VERSION, "quotapools")
async def pool_event(event: Any, memo: Any, **_: Any) -> None:
    """A QuotaPool was added, changed, listed or deleted."""
    memo.runtime.observe(Kind.POOL, event["type"], event["object"])


@kopf.on.event(GROUP, VERSION, "orgplans")
async def plan_event(event: Any, memo: Any, **_: Any) -> None:
    """An OrgPlan was added, changed, listed or deleted."""
    memo.runtime.observe(Kind.PLAN, event["type"], event["object"])


@kopf.on.event(GROUP, VERSION, "orgapprovals")
async def approval_event(event: Any, memo: Any, **_: Any) -> None:
    """An OrgApproval was added, changed, listed or deleted."""
    memo.runtime.observe(Kind.APPROVAL, event["type"], event["object"])


@kopf.on.event(GROUP, VERSION, "pointtransactions")
async def transaction_event(event: Any, memo: Any, **_: Any) -> None:
    """A PointTransaction was added, changed, listed or deleted."""
    memo.runtime.observe(Kind.TRANSACTION, event["type"], event["object"])


@kopf.on.event(GROUP, VERSION, "usagereports")
async def report_event(event: Any, memo: Any, **_: Any) -> None:
    """A UsageReport was added, changed, listed or deleted."""
    memo.runtime.observe(Kind.REPORT, event["type"], event["object"])


@kopf.on.event(GROUP, VERSION, "subscriptions")
async def subscription_event(event: Any, memo: Any, **_: Any) -> None:
    """A Subscription was added, changed, listed or deleted."""
    memo.runtime.observe(Kind.SUBSCRIPTION, event["type"], event["object"])
