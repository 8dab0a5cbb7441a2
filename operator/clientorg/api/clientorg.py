"""ClientOrg: one client organization of an agency (FEATURES Z1-Z5, Z10, Z12)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from clientorg.api.access import (
    GRANT_NAME,
    AccessLevel,
    AdminRole,
    PrincipalName,
    Subject,
    SubjectKind,
)
from clientorg.api.base import (
    DNS_LABEL_PATTERN,
    LIST_ATOMIC,
    LIST_SET,
    ApiModel,
    Count,
    Email,
    Json,
    Language,
    LicenseName,
    Line64,
    Line128,
    Line256,
    Line1024,
    LocalRef,
    SignedCount,
    Timestamp,
    cel,
    field_at,
    in_words,
    list_map,
)
from clientorg.api.conditions import Condition
from clientorg.api.meta import MAX_CLIENT_NAME_LENGTH, MAX_REQUEST, MAX_USERS
from clientorg.api.notifications import MAX_OUTBOX, OutboxEntry
from clientorg.api.pointtransaction import BillingPeriod
from clientorg.api.portal import ClientPortal
from clientorg.api.rollout import MAX_RECORDED_OBJECTS
from clientorg.api.trends import Trends

SUGGESTED_INDUSTRIES: Final = (
    "Agency",
    "Education",
    "Finance",
    "Gaming",
    "Government",
    "Healthcare",
    "Hospitality",
    "Manufacturing",
    "Media",
    "Non-profit",
    "Professional services",
    "Real estate",
    "Retail",
    "Technology",
    "Telecommunications",
    "Travel",
)


_PHONE_PATTERN: Final = r"^\+?[0-9 ()./-]+$"
_PHONE_RULE: Final[Json] = in_words(
    _PHONE_PATTERN, "must be a telephone number of digits, spaces and ()./-, for example +81 3 1234 5678"
)
_COUNTRY_PATTERN: Final = r"^[A-Z]{2}$"
_COUNTRY_RULE: Final[Json] = in_words(_COUNTRY_PATTERN, "must be an ISO 3166-1 alpha-2 code, for example JP")
_TAG_PATTERN: Final = r"^[^\x00-\x20\x7f,]+$"
_TAG_RULE: Final[Json] = in_words(_TAG_PATTERN, "a tag has no spaces and no commas; use '-' instead")


class OrgState(StrEnum):
    """Derived by the operator from the facts; never read back to decide anything."""

    PENDING_APPROVAL = "PendingApproval"
    REJECTED = "Rejected"
    PROVISIONING = "Provisioning"
    ACTIVE = "Active"
    PAUSED = "Paused"
    DEACTIVATED = "Deactivated"
    TERMINATED = "Terminated"
    PURGED = "Purged"
    DELETING = "Deleting"


class WantedState(StrEnum):
    """What the agency wants the client to be."""

    ACTIVE = "Active"
    PAUSED = "Paused"
    DEACTIVATED = "Deactivated"


class PauseReason(StrEnum):
    """Why a client is paused; it is while there is any (DESIGN rule 6)."""

    REQUESTED = "Requested"
    QUOTA_EXHAUSTED = "QuotaExhausted"
    NEGATIVE_BALANCE = "NegativeBalance"
    HOLD = "Hold"
    PAYMENT_OVERDUE = "PaymentOverdue"
    TRIAL_EXPIRED = "TrialExpired"


class ClientStatus(StrEnum):
    """How a client stands with the agency (FEATURES W1); several may hold at once. docs/subscriptions.md has the cases.

    In the order of urgency: the first that holds is the one to show where there is room for one.
    """

    READY_TO_SET_UP = "ReadyToSetUp"
    SUSPENDED_UNPAID = "SuspendedUnpaid"
    EXPIRED = "Expired"
    OVER_LIMIT = "OverLimit"
    EXPIRING_SOON = "ExpiringSoon"
    NO_RECENT_ACTIVITY = "NoRecentActivity"
    TRIAL = "Trial"
    ACTIVE = "Active"


class Contact(ApiModel):
    """The primary contact of the client."""

    first_name: Line64 = Field(description="First name of the primary contact.")
    last_name: Line64 = Field(description="Last name of the primary contact.")
    email: Email = Field(description="Email address of the primary contact, for example yuki@acme.example.")
    language: Language = Field(
        default="en",
        description="Language the contact is written to, as a BCP 47 tag (en, ja, cs, hi). Absent means en.",
    )
    phone: (
        Annotated[str, Field(min_length=3, max_length=32, pattern=_PHONE_PATTERN, json_schema_extra=_PHONE_RULE)] | None
    ) = Field(default=None, description="Telephone number, best with the country code: +81 3 1234 5678.")


class Address(ApiModel):
    """Postal address; every part is optional."""

    street: Line256 | None = Field(default=None, description="Street and number.")
    city: Line128 | None = Field(default=None, description="City.")
    region: Line128 | None = Field(default=None, description="State, prefecture or region.")
    postal_code: Annotated[Line64, Field(max_length=16)] | None = Field(default=None, description="Postal code.")
    country: Annotated[str, Field(max_length=64, pattern=_COUNTRY_PATTERN, json_schema_extra=_COUNTRY_RULE)] | None = (
        Field(default=None, description="Country as ISO 3166-1 alpha-2 code, for example JP.")
    )


class LicenseRequest(ApiModel):
    """How many licenses of one name the client is to have."""

    name: LicenseName = Field(description="Name of the license, one that the pool's spec.licenses lists.")
    quantity: Count = Field(
        description="How many the client is to have. More than it has now are drawn from the pool when the pool "
        "has them, first come first served; fewer are returned at once, but never below what is used."
    )


class Admin(ApiModel):
    """A user or group of the client with access to its workspace."""

    name: PrincipalName = Field(
        description="Name of the RBAC subject as the API server knows it, for example a user's email or a group."
    )
    kind: SubjectKind = Field(default=SubjectKind.USER, description="User or Group. Absent means User.")
    role: AdminRole = Field(
        default=AdminRole.READ_ONLY,
        description="Full may change what is in the workspace, ReadOnly may look. Absent means ReadOnly.",
    )
    email: Email | None = Field(default=None, description="Email address of the admin, where the name is not one.")


class Reseller(ApiModel):
    """Who sold to the client (FEATURES S1)."""

    name: Line128 = Field(description="Name of the reseller.")
    email: Email | None = Field(default=None, description="Email address of the reseller.")
    reference: Line128 | None = Field(
        default=None, description="The reseller's own reference, for example an order number."
    )


class Consent(ApiModel):
    """Who agreed to the termination, when, and to what (FEATURES S11)."""

    accepted_by: Line256 = Field(description="The person who agreed, by name or email address.")
    accepted_time: Timestamp = Field(description="When, for example 2026-11-20T09:00:00Z.")
    text: Line1024 = Field(description="What was agreed to.")


class Termination(ApiModel):
    """The end of the contract."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                field_at(
                    cel(
                        "has(self.time) != (has(self.immediate) && self.immediate)",
                        "either the time of the termination, or immediate: true; give one of them",
                    ),
                    ".time",
                )
            ]
        }
    )

    time: Timestamp | None = Field(
        default=None, description="When the contract ends, for example 2027-01-31T15:00:00Z; in the future."
    )
    immediate: bool | None = Field(default=None, description="true: now. There is no way back.")
    consent: Consent = Field(description="The recorded consent; required.")


class ClientOrgSpec(ApiModel):
    """What the agency wants the client to be."""

    display_name: Line128 = Field(description="Name of the client as people write it, for example Acme K.K.")
    contact: Contact = Field(description="The primary contact. First name, last name and email are required.")
    organization: Line128 | None = Field(
        default=None, description="Registered name of the company, where it differs from displayName."
    )
    industry: Line64 | None = Field(
        default=None,
        description="Industry, free text. Suggested: " + ", ".join(SUGGESTED_INDUSTRIES) + ".",
    )
    address: Address | None = Field(default=None, description="Postal address.")
    pool_ref: LocalRef = Field(
        description="The QuotaPool, in the same namespace, that the client's licenses come from. Immutable."
    )
    plan_ref: LocalRef = Field(description="The OrgPlan, in the same namespace, whose terms the client is on.")
    licenses: Annotated[
        list[LicenseRequest], Field(min_length=1, max_length=16, json_schema_extra=list_map("name"))
    ] = Field(description="Licenses the client is to have; at least one, each name once.")
    contracted_users: Annotated[int, Field(ge=0, le=MAX_USERS, json_schema_extra={"format": "int64"})] = Field(
        default=0,
        description="Users that the contract covers, administrators not counted: the cap of the client's users, and "
        "what the plan's monthly charge is computed from. Absent means 0.",
    )
    reseller: Reseller | None = Field(default=None, description="Who sold to the client. Absent means nobody else.")
    requested_by: Line256 | None = Field(
        default=None,
        description="Who requests the client, as the API server knows them. Required on a plan with manual approval, "
        "where somebody else has to approve. It has to be the authenticated user; whoever may write another one (a "
        "GitOps pipeline) has the verb `request-for-others` on clientorgs. Immutable once set.",
    )
    termination: Termination | None = Field(
        default=None,
        description="Set to end the contract, now or at a time; may be changed and taken back until it has run. The "
        "points account is settled, then everything is deleted after the plan's grace period. Absent means that the "
        "contract goes on.",
    )
    state: WantedState = Field(
        default=WantedState.ACTIVE,
        description="Active; Paused: nothing runs, everything stays; Deactivated: nothing runs, unused licenses return "
        "to the pool, the data is deleted after the plan's grace period unless the client is made Active again. "
        "Absent means Active.",
    )
    tags: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=63, pattern=_TAG_PATTERN, json_schema_extra=_TAG_RULE)]],
        Field(max_length=32, json_schema_extra=LIST_SET),
    ] = Field(default=[], description="Free tags for filtering, without spaces and commas. Absent means none.")
    admins: Annotated[list[Admin], Field(max_length=32, json_schema_extra=list_map("name"))] = Field(
        default=[], description="Users and groups of the client who may enter its workspace. Absent means none."
    )
    portal: ClientPortal = Field(
        default=ClientPortal(), description="What this client's portal shows, where it is not what the plan says."
    )
    agency_access: AccessLevel = Field(
        default=AccessLevel.FULL,
        description="What the agency's people ask to do in the workspace, at most: Full, ReadOnly or None. A new "
        f"workspace grants it; from then on the client's admins say in its ConfigMap {GRANT_NAME} what they grant, and "
        "the lesser of both holds. Absent means Full.",
    )
    support: Annotated[list[Subject], Field(max_length=16, json_schema_extra=list_map("kind", "name"))] = Field(
        default=[],
        description="Support accounts of this client, besides those of its plan: they look into the workspace, and "
        "change nothing. Absent means none.",
    )


class LicenseStatus(ApiModel):
    """What the client holds of one license."""

    name: LicenseName = Field(description="Name of the license.")
    granted: Count = Field(description="How many the pool has granted. Only the operator changes it.")
    used: Count | None = Field(default=None, description="How many are used, as last reported. Absent: not reported.")
    assigned: Count | None = Field(
        default=None, description="How many are assigned to users, as last reported. Absent: not reported."
    )
    remaining: int | None = Field(
        default=None,
        description="Granted minus used; below zero when more is used than granted.",
        json_schema_extra={"format": "int64"},
    )
    period: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="The period that is counted, for example 2026-11; all where use never begins anew."
    )
    baseline: Count | None = Field(default=None, description="What was counted before the period began.")


class MeterStatus(ApiModel):
    """What was made of one source's reports of one license."""

    source: Annotated[str, Field(max_length=64)] = Field(description="Who counted.")
    license: LicenseName = Field(description="Name of the license.")
    value: Count = Field(description="The counter as last reported.")
    total: Count = Field(description="All that was ever counted, resets added up.")
    observed_time: Timestamp = Field(description="When the last report was true.")


class ThresholdStatus(ApiModel):
    """A threshold that was reached; told once a period."""

    license: LicenseName = Field(description="Name of the license.")
    period: Annotated[str, Field(max_length=16)] = Field(description="The period it was reached in.")
    percent: int = Field(description="The threshold, in percent of what is granted.")
    time: Timestamp = Field(description="When it was seen.")


class ReminderStatus(ApiModel):
    """A reminder of the coming purge that is done with."""

    days: int = Field(description="So many days before the purge it was due.")
    time: Timestamp = Field(description="When it was delivered, or passed over.")
    purge_after: Timestamp = Field(
        description="The purge it counts for. Where that has moved to later since, the reminder is due once more."
    )
    skipped: bool = Field(
        default=False, description="Passed over, because a later one was due already when the operator came to it."
    )


class DeactivationStatus(ApiModel):
    """The deactivation and what follows from it."""

    since: Timestamp = Field(description="When the client was deactivated.")
    purge_after: Timestamp = Field(
        description="After this, and not before the last reminder plus the plan's minimum notice, everything is "
        "deleted. An announced time moves later, never earlier."
    )
    reminders_sent: Annotated[list[ReminderStatus], Field(max_length=16, json_schema_extra=list_map("days"))] | None = (
        Field(default=None, description="Reminders that are done with.")
    )
    purge_started_time: Timestamp | None = Field(
        default=None, description="When the deletion of everything began; from here there is no way back."
    )
    purged_time: Timestamp | None = Field(default=None, description="When everything was deleted.")


class ApprovalStatus(ApiModel):
    """The approval, where the plan asks for one."""

    requested_time: Timestamp = Field(description="Since when an answer is waited for.")
    due_time: Timestamp = Field(description="By when the client is to work, by the plan's approvalTarget.")
    decision: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="Approve or Reject; absent while nobody has decided."
    )
    decided_time: Timestamp | None = Field(default=None, description="When it was decided.")
    by: Annotated[str, Field(max_length=256)] | None = Field(default=None, description="Who decided.")
    reason: Annotated[str, Field(max_length=256)] | None = Field(default=None, description="Why it was decided so.")
    name: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="Name of the OrgApproval.")
    ready_time: Timestamp | None = Field(default=None, description="When the client could work for the first time.")


class UsersStatus(ApiModel):
    """Users of the client; administrators are not counted."""

    contracted: Count = Field(description="The cap in force now.")
    used: Count | None = Field(default=None, description="How many there are, as last reported. Absent: not reported.")
    observed_time: Timestamp | None = Field(default=None, description="When that was true.")


class PointsStatus(ApiModel):
    """The points account, folded from the posted transactions."""

    balance: SignedCount = Field(description="Points that the client has; below zero is owed.")
    charges_from: BillingPeriod | None = Field(
        default=None, description="The first period that is charged since charging began, or began anew."
    )
    charged_through: BillingPeriod | None = Field(default=None, description="The last period that was charged.")
    next_charge_time: Timestamp | None = Field(default=None, description="When points are charged next.")
    next_charge_period: BillingPeriod | None = Field(default=None, description="The period that is charged then.")
    next_charge: Count | None = Field(default=None, description="Points that are charged then, as things are now.")
    projected_balance: SignedCount | None = Field(default=None, description="Balance after the next charge.")
    runway_months: Annotated[int, Field(ge=0, le=1200)] | None = Field(
        default=None, description="Charges that the balance covers, 1200 at most."
    )
    pending: SignedCount | None = Field(
        default=None, description="What transactions that are not posted yet would change. Absent means nothing."
    )
    negative_since: Timestamp | None = Field(default=None, description="Since when the balance is below zero.")


class TerminationStatus(ApiModel):
    """The termination."""

    scheduled_time: Timestamp | None = Field(default=None, description="When it will run.")
    executed_time: Timestamp | None = Field(default=None, description="When it ran; there is no way back from here.")
    settlement: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Name of the PointTransaction that settled the account; absent if nothing was left."
    )
    settled_time: Timestamp | None = Field(default=None, description="When the account was settled.")


class WorkspaceBlueprint(ApiModel):
    """What the workspace has of the plan's blueprint."""

    revision: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="Digest of the blueprint that it has; absent until it has one."
    )
    plan: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Name of the OrgPlan that this blueprint is of."
    )
    objects: Annotated[
        list[Annotated[str, Field(max_length=320)]], Field(max_length=MAX_RECORDED_OBJECTS, json_schema_extra=LIST_SET)
    ] = Field(
        default=[],
        description="Kind and name of each object that the operator made from a blueprint, written down before it "
        "is made. What leaves the blueprint is deleted by this list, not by labels.",
    )


class WorkspaceStatus(ApiModel):
    """Where the client works."""

    namespace: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Namespace of the client's workspace."
    )
    url: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Address of the workspace in the product, from the plan's urlTemplate."
    )
    ready_time: Timestamp | None = Field(
        default=None, description="When the workspace stood for the first time, and the delivery notice was written."
    )
    blueprint: WorkspaceBlueprint | None = Field(
        default=None, description="What the workspace has of the plan's blueprint."
    )


class AccessStatus(ApiModel):
    """What the provider's people may do in the workspace."""

    agency: AccessLevel = Field(description="What the agency's people may do, at most.")
    granted: AccessLevel = Field(
        description=f"What the client grants the agency, by the workspace's ConfigMap {GRANT_NAME}."
    )
    support: AccessLevel = Field(description="What support accounts may do: ReadOnly, or None.")


class PendingStatus(ApiModel):
    """The client's place in the pool's queue."""

    since: Timestamp = Field(description="Since when the request waits; earlier ones are served first.")
    position: int = Field(
        description="Place in the queue, 1 is next. Exact up to 10, beyond that rounded up (20, 50, 100, 200 …), "
        "so that a long queue does not rewrite every waiting client at each step.",
        json_schema_extra={"format": "int64"},
    )


class ClientOrgStatus(ApiModel):
    """What the operator has seen and done. Only the operator writes here."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status answers; -1 before the first pass.",
        json_schema_extra={"format": "int64"},
    )
    state: OrgState | None = Field(default=None, description="State of the client. Derived; never read back.")
    org_id: Annotated[str, Field(max_length=32)] | None = Field(
        default=None,
        alias="orgID",
        description="The client's unique Org ID. Never reused.",
    )
    workspace: WorkspaceStatus | None = Field(default=None, description="Where the client works.")
    access: AccessStatus | None = Field(
        default=None, description="What the provider's people may do in the workspace; absent while there is none."
    )
    licenses: Annotated[list[LicenseStatus], Field(max_length=32, json_schema_extra=list_map("name"))] | None = Field(
        default=None, description="What the client holds, for each license."
    )
    license_summary: Annotated[str, Field(max_length=2048)] | None = Field(
        default=None, description="Used and granted licenses in one line, for kubectl get."
    )
    last_grant: int | None = Field(
        default=None,
        description="Serial number of the last grant of the pool that these licenses include; each is taken over once.",
        json_schema_extra={"format": "int64"},
    )
    pending: PendingStatus | None = Field(
        default=None, description="Set while the client waits for licenses that the pool does not have."
    )
    pause_reasons: Annotated[list[PauseReason], Field(max_length=8, json_schema_extra=LIST_SET)] | None = Field(
        default=None, description="Why the client is paused; it resumes when there is no reason left."
    )
    approval: ApprovalStatus | None = Field(default=None, description="The approval, where the plan asks for one.")
    users: UsersStatus | None = Field(default=None, description="Users of the client.")
    points: PointsStatus | None = Field(
        default=None, description="The points account; absent while the client never had any."
    )
    termination: TerminationStatus | None = Field(default=None, description="The termination, scheduled or done.")
    deactivation: DeactivationStatus | None = Field(
        default=None, description="Set from the deactivation until the client is active again, and after the purge."
    )
    meters: (
        Annotated[list[MeterStatus], Field(max_length=64, json_schema_extra=list_map("source", "license"))] | None
    ) = Field(default=None, description="What the sources have counted.")
    thresholds: (
        Annotated[
            list[ThresholdStatus], Field(max_length=128, json_schema_extra=list_map("license", "period", "percent"))
        ]
        | None
    ) = Field(default=None, description="Thresholds reached in the running periods.")
    standing: Annotated[list[ClientStatus], Field(max_length=8, json_schema_extra=LIST_ATOMIC)] | None = Field(
        default=None,
        description="How the client stands: Trial, Active, ExpiringSoon, OverLimit, NoRecentActivity, SuspendedUnpaid, "
        "Expired; the most urgent first. Derived; never read back.",
    )
    trends: Trends | None = Field(
        default=None,
        description="Weekly snapshots of licenses and product metrics.",
        json_schema_extra={"x-kubernetes-map-type": "atomic"},  # one entry in managedFields and not hundreds
    )
    outbox: Annotated[list[OutboxEntry], Field(max_length=MAX_OUTBOX, json_schema_extra=list_map("key"))] | None = (
        Field(default=None, description="Messages to the contact and the webhook, sent and to be sent, oldest first.")
    )
    last_handled_reconcile_at: Annotated[str, Field(max_length=MAX_REQUEST)] | None = Field(
        default=None, description="The value of clientorg.dev/reconcile-requested-at that was answered last."
    )
    last_transfer: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="The value of clientorg.dev/transfer-from that was carried out last; it counts once."
    )
    last_handled_resend: Annotated[str, Field(max_length=MAX_REQUEST)] | None = Field(
        default=None, description="The value of clientorg.dev/resend-notification that was answered last."
    )
    last_handled_payment_link: Annotated[str, Field(max_length=MAX_REQUEST)] | None = Field(
        default=None, description="The value of clientorg.dev/payment-link-requested-at that was answered last."
    )
    conditions: Annotated[list[Condition], Field(max_length=32, json_schema_extra=list_map("type"))] | None = Field(
        default=None, description="Ready, Reconciling and Stalled (kstatus), and what they are made of."
    )


# CEL on a license `s` of the status: its use is no longer covered by the spec (lowered below it, or left out) …
_TOO_LOW = "has(s.used) && s.used > 0 && !self.spec.licenses.exists(l, l.name == s.name && l.quantity >= s.used)"
# … and this very change lowers it, so that a client already over its quantity can still be edited.
_LOWERED = (
    "oldSelf.spec.licenses.exists(o, o.name == s.name && "
    "!self.spec.licenses.exists(l, l.name == s.name && l.quantity >= o.quantity))"
)
# format() and not `+` with join(): a sum of strings counts as of any length, and the rule as too costly.
_IN_USE = f"self.status.licenses.filter(s, {_TOO_LOW} && {_LOWERED}).map(s, '%s %d'.format([s.name, s.used]))"

_USED_RULE: Json = {
    **cel(
        f"!has(self.status) || !has(self.status.licenses) || !self.status.licenses.exists(s, {_TOO_LOW} && {_LOWERED})",
        "the quantity is below what the client uses; ask for at least status.licenses[].used, or reduce the use first",
        message_expression="'the quantity is below what the client uses: %s; ask for at least that many, or reduce "
        f"the use first'.format([{_IN_USE}])",
    ),
    "fieldPath": ".spec.licenses",
}


class ClientOrg(ApiModel):
    """One client organization of an agency: contact, licenses from a pool, an isolated workspace."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                # metadata has no schema of its own in a CRD, so that .metadata is the nearest path there is.
                {
                    **cel(
                        f"self.metadata.name.size() <= {MAX_CLIENT_NAME_LENGTH}",
                        f"metadata.name: at most {MAX_CLIENT_NAME_LENGTH} characters, because the workspace's "
                        "namespace is <name>-<orgID> and may have 63; choose a shorter name (displayName can be long)",
                    ),
                    "fieldPath": ".metadata",
                },
                {
                    **cel(
                        f"self.metadata.name.matches('{DNS_LABEL_PATTERN}')",
                        "metadata.name: lower-case letters, digits and '-' only, because it is part of a namespace's "
                        "name; use displayName for anything else",
                    ),
                    "fieldPath": ".metadata",
                },
                {
                    **cel(
                        "self.spec.poolRef.name == oldSelf.spec.poolRef.name",
                        "immutable, because licenses are accounted for in their pool; create the client anew in the "
                        "other pool, or move licenses between the pools' specs",
                    ),
                    "fieldPath": ".spec.poolRef.name",
                },
                _USED_RULE,
                {
                    **cel(
                        "!has(oldSelf.spec.requestedBy) || (has(self.spec.requestedBy) && "
                        "self.spec.requestedBy == oldSelf.spec.requestedBy)",
                        "immutable once set, because somebody else has to approve; leave it as it was",
                    ),
                    "fieldPath": ".spec.requestedBy",
                },
                {
                    **cel(
                        "!has(oldSelf.status) || !has(oldSelf.status.termination) || "
                        "!has(oldSelf.status.termination.executedTime) || (has(self.spec.termination) && "
                        "has(oldSelf.spec.termination) && self.spec.termination == oldSelf.spec.termination)",
                        "the contract was terminated, and that cannot be changed or taken back; make the client anew",
                    ),
                    "fieldPath": ".spec.termination",
                },
            ]
        }
    )

    spec: ClientOrgSpec = Field(description="What the agency wants the client to be.")
    status: ClientOrgStatus = Field(
        default=ClientOrgStatus(observed_generation=-1),
        description="What the operator has seen and done. Only the operator writes here.",
    )
