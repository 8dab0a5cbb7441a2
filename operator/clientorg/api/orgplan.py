"""OrgPlan: the terms of clients, here the isolation and content of their workspaces (DESIGN section 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from clientorg.api.access import Access
from clientorg.api.base import (
    EMBEDDED,
    LIST_ATOMIC,
    LIST_SET,
    ApiModel,
    DnsLabel,
    Json,
    Line128,
    Quantity,
    Url,
    cel,
    in_words,
    list_map,
)
from clientorg.api.conditions import Condition
from clientorg.api.meta import MAX_USERS
from clientorg.api.metric import MAX_METRICS, METRIC_RULES, Metric
from clientorg.api.notifications import Notifications, TimeZoneName
from clientorg.api.paymentlink import PaymentLink
from clientorg.api.portal import MAX_MENUS, Menu
from clientorg.api.rollout import MAX_BLUEPRINT_OBJECTS, BlueprintStatus, Rollout

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


class Audience(StrEnum):
    """Whom a link in the portal is for. A hint to the portal: who reads the ConfigMap reads all of them."""

    ALL = "All"
    CLIENT = "Client"
    AGENCY = "Agency"


class Link(ApiModel):
    """A link in the portal."""

    name: DnsLabel = Field(description="Name of the link, for example help, documents or support.")
    title: Line128 | None = Field(default=None, description="Text of the link. Absent means its name.")
    url: Url = Field(description="Address of the link. " + _SUBSTITUTION_HINT)
    audience: Audience = Field(
        default=Audience.ALL,
        description="Whom the portal shows it to: people of the client, of the agency, or All. Absent means All.",
    )


class Portal(ApiModel):
    """What the client's portal shows; written to the workspace's ConfigMap `portal`."""

    menus: Annotated[list[Menu], Field(max_length=MAX_MENUS, json_schema_extra=list_map("name"))] = Field(
        default=[],
        description="Menus shown and hidden, in this order, where a client's spec.portal says nothing else. "
        "Absent means the portal's own default.",
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
        Field(max_length=MAX_BLUEPRINT_OBJECTS, json_schema_extra=LIST_ATOMIC),
    ] = Field(
        default=[],
        description="Objects that each workspace begins with and keeps, applied into the client's own namespace. "
        "Strings " + _SUBSTITUTION_HINT[0].lower() + _SUBSTITUTION_HINT[1:] + " Absent means none.",
    )
    rollout: Rollout = Field(default=Rollout(), description="How fast a changed blueprint goes out.")


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


class ApprovalMode(StrEnum):
    """Whether somebody has to say yes before anything is provisioned."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


class Weekday(StrEnum):
    """Days of the week."""

    MONDAY = "Monday"
    TUESDAY = "Tuesday"
    WEDNESDAY = "Wednesday"
    THURSDAY = "Thursday"
    FRIDAY = "Friday"
    SATURDAY = "Saturday"
    SUNDAY = "Sunday"


_DATE_PATTERN: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_DATE_RULE: Final[Json] = in_words(_DATE_PATTERN, "must be a date, for example 2026-12-31")


class ApprovalTarget(ApiModel):
    """How long approval and provisioning may take, together (FEATURES S2)."""

    business_days: Annotated[int, Field(ge=1, le=90)] = Field(
        default=3,
        description="Business days from the request to the working client, counted from the day after the request to "
        "the end of the last day, in the plan's time zone. Absent means 3.",
    )
    weekend: Annotated[list[Weekday], Field(max_length=6, json_schema_extra=LIST_SET)] = Field(
        default=[Weekday.SATURDAY, Weekday.SUNDAY],
        description="Days of the week that are no business days. Absent means Saturday and Sunday.",
    )
    holidays: Annotated[
        list[Annotated[str, Field(min_length=10, max_length=10, pattern=_DATE_PATTERN, json_schema_extra=_DATE_RULE)]],
        Field(max_length=366, json_schema_extra=LIST_SET),
    ] = Field(default=[], description="Dates that are no business days, for example 2026-12-31. Absent means none.")


class FirstCharge(StrEnum):
    """When a client that begins between two anchors is charged first."""

    NEXT_ANCHOR = "NextAnchor"
    IMMEDIATE = "Immediate"
    PRORATED = "Prorated"


class Consequence(StrEnum):
    """What happens to a client that has not paid, or whose trial is over."""

    PAUSE = "Pause"
    KEEP = "Keep"


class SubscriptionTerms(ApiModel):
    """When subscriptions need attention, and what follows (FEATURES W1, W8, W14)."""

    when_unpaid: Consequence = Field(
        default=Consequence.PAUSE,
        description="What happens while an invoice is overdue. Pause: the client is paused (PaymentOverdue) until it "
        "is paid or void. Keep: it goes on, and is only shown as SuspendedUnpaid. Absent means Pause.",
    )
    unpaid_tolerance_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        default=0, description="Days after an invoice's due date before it counts as overdue. Absent means 0."
    )
    when_trial_expires: Consequence = Field(
        default=Consequence.PAUSE,
        description="What happens when a trial is over and nothing was bought. Pause: the client is paused "
        "(TrialExpired) until the trial is extended or converted. Keep: it goes on, shown as Expired. Absent means "
        "Pause.",
    )
    expiring_soon_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        default=90, description="Days before the end of a subscription at which it is ExpiringSoon. Absent means 90."
    )
    trial_ending_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        default=7, description="The same for a trial; its contact is told then. Absent means 7."
    )
    inactive_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=30,
        description="Days without any growth of what is reported, after which there is NoRecentActivity. Of a client "
        "that nobody reports on nothing is said. Absent means 30.",
    )
    low_allocation_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50,
        description="Below so many percent of the licenses assigned (used, where assignment is not reported) the "
        "allocation is low. Absent means 50.",
    )


class UserReduction(StrEnum):
    """When fewer contracted users take effect."""

    IMMEDIATE = "Immediate"
    NEXT_PERIOD = "NextPeriod"


class Billing(ApiModel):
    """The monthly charge: basePoints, which include some users, and points for each user beyond (FEATURES S7)."""

    base_points: Annotated[int, Field(ge=0, le=10**15, json_schema_extra={"format": "int64"})] = Field(
        description="Points charged each period, for the included users."
    )
    included_users: Annotated[int, Field(ge=0, le=MAX_USERS, json_schema_extra={"format": "int64"})] = Field(
        default=10, description="Users that the base includes. Absent means 10."
    )
    points_per_extra_user: Annotated[int, Field(ge=0, le=10**9, json_schema_extra={"format": "int64"})] = Field(
        default=0, description="Points for each contracted user beyond those. Absent means 0."
    )
    anchor_day: Annotated[int, Field(ge=1, le=31)] = Field(
        default=25,
        description="Day of the month on which a period begins and is charged, at midnight in the plan's time zone; in "
        "a shorter month its last day. Absent means 25.",
    )
    first_charge: FirstCharge = Field(
        default=FirstCharge.NEXT_ANCHOR,
        description="For a client whose licenses are granted between two anchors. NextAnchor: nothing until the next "
        "one. Immediate: the running period in full. Prorated: its remaining days. Absent means NextAnchor.",
    )
    user_reduction: UserReduction = Field(
        default=UserReduction.NEXT_PERIOD,
        description="When a lowered contractedUsers takes effect as the cap. NextPeriod: those that are paid for stay "
        "until the next anchor. More users take effect at once in any case, and are charged from the next anchor on. "
        "Absent means NextPeriod.",
    )
    negative_tolerance_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        default=7,
        description="Days that a balance may be below zero before the client is paused (NegativeBalance), until it is "
        "not below zero any more. Absent means 7.",
    )


class OrgPlanSpec(ApiModel):
    """The terms."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": METRIC_RULES})

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
    approval: ApprovalMode = Field(
        default=ApprovalMode.AUTOMATIC,
        description="Manual: nothing is allocated or provisioned before an OrgApproval says Approve. Clients that have "
        "their licenses are not asked about again. Absent means Automatic.",
    )
    approval_target: ApprovalTarget = Field(
        default=ApprovalTarget(), description="How long approval and provisioning may take."
    )
    billing: Billing | None = Field(
        default=None, description="The monthly charge in points. Absent means that nothing is charged."
    )
    deactivation: DeactivationTerms = Field(
        default=DeactivationTerms(), description="What happens to a deactivated client."
    )
    subscriptions: SubscriptionTerms = Field(
        default=SubscriptionTerms(),
        description="When a client's subscriptions need attention, and what follows when they are not paid or run out.",
    )
    metrics: Annotated[list[Metric], Field(max_length=MAX_METRICS, json_schema_extra=list_map("name"))] = Field(
        default=[], description="What the product reports of a client besides licenses. Absent means nothing."
    )
    notifications: Notifications | None = Field(
        default=None,
        description="What clients are told, in whose name. Absent means that nothing is sent (Events are posted).",
    )
    payment_link: PaymentLink | None = Field(
        default=None,
        description="The link by which clients complete their payment details. Absent means that there is none.",
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
    blueprint: BlueprintStatus | None = Field(default=None, description="How far the plan's blueprint is.")
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
    "ApprovalMode",
    "ApprovalTarget",
    "Billing",
    "Consequence",
    "FirstCharge",
    "OrgPlan",
    "OrgPlanSpec",
    "SubscriptionTerms",
    "UserReduction",
    "Workspace",
]
