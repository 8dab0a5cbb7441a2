"""What a key of the work queue is about."""

from __future__ import annotations

from enum import StrEnum

from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, QUOTA_POOLS, USAGE_REPORTS, Resource
from clientorg.control.store import Name


class Kind(StrEnum):
    """Our kinds, as far as they are reconciled."""

    CLIENT = "ClientOrg"
    POOL = "QuotaPool"
    PLAN = "OrgPlan"
    REPORT = "UsageReport"


Key = tuple[Kind, Name]

RESOURCES: dict[Kind, Resource] = {
    Kind.PLAN: ORG_PLANS,
    Kind.POOL: QUOTA_POOLS,
    Kind.REPORT: USAGE_REPORTS,
    Kind.CLIENT: CLIENT_ORGS,
}
"""In the order in which they are listed at the start: what a client refers to comes first."""
