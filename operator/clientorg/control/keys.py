"""What a key of the work queue is about."""

from __future__ import annotations

from enum import StrEnum

from clientorg.cluster.resources import (
    CLIENT_ORGS,
    ORG_APPROVALS,
    ORG_PLANS,
    POINT_TRANSACTIONS,
    QUOTA_POOLS,
    SUBSCRIPTIONS,
    USAGE_REPORTS,
    Resource,
)
from clientorg.control.objects import Name


class Kind(StrEnum):
    """Our kinds, as far as they are reconciled."""

    CLIENT = "ClientOrg"
    POOL = "QuotaPool"
    PLAN = "OrgPlan"
    REPORT = "UsageReport"
    APPROVAL = "OrgApproval"
    TRANSACTION = "PointTransaction"
    SUBSCRIPTION = "Subscription"


Key = tuple[Kind, Name]

RESOURCES: dict[Kind, Resource] = {
    Kind.PLAN: ORG_PLANS,
    Kind.POOL: QUOTA_POOLS,
    Kind.REPORT: USAGE_REPORTS,
    Kind.APPROVAL: ORG_APPROVALS,
    Kind.TRANSACTION: POINT_TRANSACTIONS,
    Kind.SUBSCRIPTION: SUBSCRIPTIONS,
    Kind.CLIENT: CLIENT_ORGS,
}
"""In the order in which they are listed at the start: what a client refers to comes first."""
