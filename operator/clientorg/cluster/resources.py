"""The kinds we talk about: group, version, plural, and the paths that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from clientorg.api.meta import GROUP, VERSION
from clientorg.api.orgplan import BLUEPRINT_KINDS


@dataclass(frozen=True)
class Resource:
    """One resource of the API server."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Path below the server's URL; without a namespace, that of all namespaces."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace is not None and self.namespaced:
            parts.append(f"/namespaces/{quote(namespace, safe='')}")
        parts.append(f"/{self.plural}")
        if name is not None:
            parts.append(f"/{quote(name, safe='')}")  # whatever a name says, it does not choose the path
        if subresource is not None:
            parts.append(f"/{subresource}")
        return "".join(parts)


CLIENT_ORGS = Resource(GROUP, VERSION, "clientorgs", "ClientOrg")
QUOTA_POOLS = Resource(GROUP, VERSION, "quotapools", "QuotaPool")
ORG_PLANS = Resource(GROUP, VERSION, "orgplans", "OrgPlan")
POINT_TRANSACTIONS = Resource(GROUP, VERSION, "pointtransactions", "PointTransaction")
ORG_APPROVALS = Resource(GROUP, VERSION, "orgapprovals", "OrgApproval")
USAGE_REPORTS = Resource(GROUP, VERSION, "usagereports", "UsageReport")
SUBSCRIPTIONS = Resource(GROUP, VERSION, "subscriptions", "Subscription")

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
SELF_SUBJECT_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")

SECRETS = Resource("", "v1", "secrets", "Secret")
PODS = Resource("", "v1", "pods", "Pod")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
JOBS = Resource("batch", "v1", "jobs", "Job")
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob")

WORKSPACE_RESOURCES: tuple[Resource, ...] = (
    NAMESPACES,
    RESOURCE_QUOTAS,
    LIMIT_RANGES,
    NETWORK_POLICIES,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    CONFIG_MAPS,
)
"""What every workspace is made of, whatever its plan."""


def _blueprint_resource(api_version: str, kind: str, plural: str) -> Resource:
    group, _, version = api_version.rpartition("/")
    return Resource(group, version, plural, kind)


BLUEPRINT_RESOURCES: tuple[Resource, ...] = tuple(
    _blueprint_resource(api_version, kind, plural) for (api_version, kind), plural in BLUEPRINT_KINDS.items()
)

_BY_KIND: dict[tuple[str, str], Resource] = {
    (resource.api_version, resource.kind): resource for resource in (*WORKSPACE_RESOURCES, *BLUEPRINT_RESOURCES)
}


def resource_of(manifest: dict[str, object]) -> Resource:
    """The resource of a manifest that belongs into a workspace.

    Raises:
        KeyError: the kind is none that the operator writes.
    """
    return _BY_KIND[str(manifest["apiVersion"]), str(manifest["kind"])]
