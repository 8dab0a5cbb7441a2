"""OrgPlan: the terms of clients, here the isolation and content of their workspaces (DESIGN section 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field

from clientorg.api.base import (
    EMBEDDED,
    LIST_ATOMIC,
    LIST_SET,
    ApiModel,
    DnsLabel,
    Json,
    Line128,
    Line256,
    Quantity,
    Url,
    cel,
    list_map,
)
from clientorg.api.clientorg import SubjectKind
from clientorg.api.conditions import Condition
from clientorg.api.notifications import Notifications, TimeZoneName

BLUEPRINT_KINDS: Final[dict[tuple[str, str], str]] = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("v1", "PersistentVolumeClaim"): "persistentvolumeclaims",
    ("apps/v1", "Deployment"): "deployments",
    ("apps/v1", "StatefulSet"): "statefulsets",
    ("batch/v1", "CronJob"): "cronjobs",
    ("batch/v1", "Job"): "jobs",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "horizontalpodautoscalers",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("networking.k8s.io/v1", "Ingress"): "ingresses",
}
"""Kinds that a blueprint may hold, and their plurals: namespaced ones without power over rights or limits
(no Secret, because a plan is readable; no Role, RoleBinding, ResourceQuota or NetworkPolicy). DESIGN rule 11."""

SUBSTITUTIONS: Final = ("name", "orgID", "namespace", "displayName", "agency", "language")
"""What `$(…)` may name in urlTemplate, portal links and blueprint strings."""

_SUBSTITUTION_HINT: Final = "May contain " + ", ".join(f"$({name})" for name in SUBSTITUTIONS) + "."


class PodSecurityLevel(StrEnum):
    """Levels of the Pod Security Standards."""

    PRIVILEGED = "privileged"
    BASELINE = "baseline"
    RESTRICTED = "restricted"


class PodSecurity(ApiModel):
    """Pod Security Admission of the workspace's namespace."""

    enforce: PodSecurityLevel = Field(
        default=PodSecurityLevel.BASELINE, description="Level that pods must keep. Absent means baseline."
    )
    warn: PodSecurityLevel = Field(
        default=PodSecurityLevel.RESTRICTED, description="Level that is warned about. Absent means restricted."
    )


class Limits(ApiModel):
    """The workspace's LimitRange, for containers."""

    default: Annotated[dict[str, Quantity], Field(max_length=16)] = Field(
        default={"cpu": "500m", "memory": "512Mi"},
        description="Limits of a container that names none. Absent means 500m CPU and 512Mi memory.",
    )
    default_request: Annotated[dict[str, Quantity], Field(max_length=16)] = Field(
        default={"cpu": "50m", "memory": "64Mi"},
        description="Requests of a container that names none. Absent means 50m CPU and 64Mi memory.",
    )
    max: Annotated[dict[str, Quantity], Field(max_length=16)] = Field(
        default={}, description="Most that one container may ask for. Absent means no bound."
    )


class Dns(ApiModel):
    """Where the cluster's DNS is: the one thing a default-deny workspace may reach."""

    namespace: DnsLabel = Field(
        default="kube-system", description="Namespace of the cluster's DNS. Absent means kube-system."
    )
    pod_labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=8)] = Field(
        default={"k8s-app": "kube-dns"},
        description="Labels of the DNS pods. Absent means k8s-app: kube-dns; {} means every pod there.",
    )


class Network(ApiModel):
    """Network isolation. Traffic in and out is denied, but for what is allowed here."""

    dns: Dns = Field(default=Dns(), description="The cluster's DNS, which stays reachable.")
    allow_internal: bool = Field(
        default=True, description="Whether pods of the workspace reach each other. Absent means true."
    )
    allow_ingress_from: Annotated[
        list[DnsLabel],
        Field(max_length=16, json_schema_extra=LIST_ATOMIC),
    ] = Field(
        default=[],
        description="Namespaces whose pods may reach the workspace, for example that of the ingress controller. "
        "Absent means none.",
    )
    allow_internet: bool = Field(
        default=False,
        description="Whether pods may reach public addresses (not the cluster's and other private ranges). "
        "Absent means false.",
    )


class Subject(ApiModel):
    """An RBAC subject: a user or a group."""

    kind: SubjectKind = Field(default=SubjectKind.GROUP, description="User or Group. Absent means Group.")
    name: Line256 = Field(description="Name of the user or group as the API server knows it.")


class Access(ApiModel):
    """Who of the provider may enter the workspaces of clients on this plan."""

    agency: Annotated[list[Subject], Field(max_length=16, json_schema_extra=list_map("kind", "name"))] = Field(
        default=[], description="Admins of the agency: full access to each workspace. Absent means none."
    )
    support: Annotated[list[Subject], Field(max_length=16, json_schema_extra=list_map("kind", "name"))] = Field(
        default=[], description="Support accounts: read-only access to each workspace. Absent means none."
    )


class Menu(ApiModel):
    """An entry of the portal's menu."""

    name: DnsLabel = Field(description="Name of the menu, as the portal knows it.")
    visible: bool = Field(default=True, description="Whether it is shown. Absent means true.")


class Link(ApiModel):
    """A link in the portal."""

    name: DnsLabel = Field(description="Name of the link, for example help, documents or support.")
    title: Line128 | None = Field(default=None, description="Text of the link. Absent means its name.")
    url: Url = Field(description="Address of the link. " + _SUBSTITUTION_HINT)


class Portal(ApiModel):
    """What the client's portal shows; written to the workspace's ConfigMap `portal`."""

    menus: Annotated[list[Menu], Field(max_length=64, json_schema_extra=list_map("name"))] = Field(
        default=[], description="Menus shown and hidden. Absent means the portal's own default."
    )
    links: Annotated[list[Link], Field(max_length=32, json_schema_extra=list_map("name"))] = Field(
        default=[], description="Links to help, documents and support. Absent means none."
    )


_RESERVED_NAMES: Final = ("default", "kube-root-ca.crt", "portal")
"""Objects that each namespace has anyway, or that the operator writes: two managers would undo each other."""


def _is_allowed_kind() -> str:
    """CEL for "the object is of one of BLUEPRINT_KINDS" (a sum of strings or one `in` would cost too much)."""
    kinds: dict[str, list[str]] = {}
    for api_version, kind in BLUEPRINT_KINDS:
        kinds.setdefault(api_version, []).append(kind)
    return " || ".join(f"(self.apiVersion == '{version}' && self.kind in {names})" for version, names in kinds.items())


# On the object and not on the list, so that an error names the object's place: spec.workspace.blueprint[2].
_BLUEPRINT_RULES: Final[Json] = {
    "x-kubernetes-validations": [
        cel(
            _is_allowed_kind(),
            "not a kind that a blueprint may hold; remove it, or use one of "
            + ", ".join(f"{kind} ({api_version})" for api_version, kind in BLUEPRINT_KINDS),
        ),
        cel(
            "has(self.metadata.name) && self.metadata.name.size() > 0",
            "metadata.name is missing; name the object, because each workspace has it under this name "
            "(generateName would make a new one each time)",
        ),
        cel(
            "!has(self.metadata.name) || !self.metadata.name.startsWith('clientorg-') && "
            f"!(self.metadata.name in {list(_RESERVED_NAMES)})",
            "metadata.name: the names " + ", ".join(_RESERVED_NAMES) + " and those that begin with 'clientorg-' are "
            "taken by the operator or by Kubernetes; choose another",
        ),
    ]
}


class Workspace(ApiModel):
    """The workspace that each client on this plan gets."""

    url_template: Url | None = Field(
        default=None,
        description="Address of a client's workspace in the product, for status.workspace.url. " + _SUBSTITUTION_HINT,
    )
    pod_security: PodSecurity = Field(default=PodSecurity(), description="Pod Security Admission levels.")
    resource_quota: Annotated[dict[str, Quantity], Field(max_length=64)] = Field(
        default={
            "requests.cpu": "4",
            "requests.memory": "8Gi",
            "limits.cpu": "8",
            "limits.memory": "16Gi",
            "requests.storage": "50Gi",
            "pods": "50",
            "services": "20",
            "services.loadbalancers": "0",
            "services.nodeports": "0",
            "configmaps": "100",
            "secrets": "100",
            "persistentvolumeclaims": "20",
            "count/jobs.batch": "100",
            "count/deployments.apps": "50",
        },
        description="Hard limits of the workspace's ResourceQuota: compute and object counts. "
        "Absent means a small default; what is given replaces it as a whole.",
    )
    limits: Limits = Field(default=Limits(), description="The workspace's LimitRange.")
    network: Network = Field(default=Network(), description="Network isolation.")
    access: Access = Field(default=Access(), description="Who of the provider may enter the workspaces.")
    portal: Portal = Field(default=Portal(), description="Menus and links of the client's portal.")
    blueprint: Annotated[
        list[Annotated[dict[str, Any], Field(json_schema_extra={**EMBEDDED, **_BLUEPRINT_RULES})]],
        Field(max_length=32, json_schema_extra=LIST_ATOMIC),
    ] = Field(
        default=[],
        description="Objects that each workspace begins with and keeps, applied into the client's own namespace. "
        "Strings " + _SUBSTITUTION_HINT[0].lower() + _SUBSTITUTION_HINT[1:] + " Absent means none.",
    )


class DeactivationTerms(ApiModel):
    """What happens to a deactivated client."""

    grace_period_months: Annotated[int, Field(ge=1, le=120)] = Field(
        default=3,
        description="Calendar months from deactivation to the deletion of everything. Shortening it does not bring a "
        "purge forward that was announced. Absent means 3.",
    )
    reminder_days: Annotated[
        list[Annotated[int, Field(ge=1, le=365)]],
        Field(min_length=1, max_length=8, json_schema_extra=LIST_SET),
    ] = Field(
        default=[30, 14, 7, 1],
        description="Days before the purge on which the contact is reminded. Absent means 30, 14, 7 and 1.",
    )
    minimum_notice_days: Annotated[int, Field(ge=1, le=90)] = Field(
        default=1,
        description="Days from the delivery of the last reminder to the purge, at least, however late the reminder "
        "was. Absent means 1.",
    )


class OrgPlanSpec(ApiModel):
    """The terms."""

    display_name: Line128 | None = Field(default=None, description="Name of the plan as people write it.")
    time_zone: TimeZoneName = Field(
        default="UTC",
        description="Time zone that days, months and the dates told to clients are counted in, by its IANA name, for "
        "example Asia/Tokyo. Absent means UTC.",
    )
    thresholds: Annotated[
        list[Annotated[int, Field(ge=1, le=100)]], Field(max_length=8, json_schema_extra=LIST_SET)
    ] = Field(
        default=[80, 90, 100],
        description="Percent of what is granted at which the contact is warned, each once a period. At 100 the client "
        "is paused in any case. Absent means 80, 90 and 100.",
    )
    deactivation: DeactivationTerms = Field(
        default=DeactivationTerms(), description="What happens to a deactivated client."
    )
    notifications: Notifications | None = Field(
        default=None,
        description="What clients are told, in whose name. Absent means that nothing is sent (Events are posted).",
    )
    workspace: Workspace = Field(default=Workspace(), description="The workspace that each client on this plan gets.")


class OrgPlanStatus(ApiModel):
    """What the operator says of the plan. Only the operator writes here."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status answers; -1 before the first pass.",
        json_schema_extra={"format": "int64"},
    )
    clients: int | None = Field(
        default=None, description="Clients on this plan.", json_schema_extra={"format": "int64"}
    )
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))] | None = Field(
        default=None, description="Ready, Reconciling and Stalled (kstatus)."
    )


class OrgPlan(ApiModel):
    """The terms of clients: what isolates and fills their workspaces."""

    spec: OrgPlanSpec = Field(default=OrgPlanSpec(), description="The terms.")
    status: OrgPlanStatus = Field(
        default=OrgPlanStatus(observed_generation=-1),
        description="What the operator says of the plan. Only the operator writes here.",
    )


__all__ = [
    "BLUEPRINT_KINDS",
    "SUBSTITUTIONS",
    "Access",
    "OrgPlan",
    "OrgPlanSpec",
    "Workspace",
]
