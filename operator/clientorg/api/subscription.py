"""Subscription: an order, trial or paid subscription of a client (FEATURES W1, W5, W6, W13, W14)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from clientorg.api.base import (
    LIST_ATOMIC,
    ApiModel,
    Count,
    Json,
    LicenseName,
    Line64,
    Line128,
    Line256,
    LocalRef,
    Timestamp,
    Url,
    cel,
    field_at,
    in_words,
    list_map,
)
from clientorg.api.clientorg import Address, ClientStatus, Contact
from clientorg.api.conditions import Condition
from clientorg.api.currencies import CURRENCIES
from clientorg.api.meta import MAX_USERS

# The API server checks `format: date`, and CEL compares such fields as moments.
Date = Annotated[str, Field(max_length=10, json_schema_extra={"format": "date"})]
"""A calendar day, 2026-11-30, in the time zone of the client's plan (UTC where there is none)."""

_AMOUNT_PATTERN: Final = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$"
_AMOUNT_RULE: Final[Json] = in_words(
    _AMOUNT_PATTERN,
    "must be a decimal number in quotes, digits and a point only, for example '1200.50'; below zero for a credit note",
)
_CURRENCY_RULE: Final[Json] = {
    "x-kubernetes-validations": [
        cel(
            f"self in {list(CURRENCIES)}",
            "is not a currency of ISO 4217; write its three capital letters, for example USD, EUR, JPY, CZK or INR",
        )
    ]
}


class SubscriptionType(StrEnum):
    """Whether it is paid for."""

    TRIAL = "Trial"
    PAID = "Paid"


class InvoiceState(StrEnum):
    """What became of an invoice. That it is overdue follows from its due date."""

    OPEN = "Open"
    PAID = "Paid"
    VOID = "Void"


class SubscriptionState(StrEnum):
    """Derived by the operator; never read back to decide anything."""

    READY_TO_SET_UP = "ReadyToSetUp"
    SCHEDULED = "Scheduled"
    TRIAL = "Trial"
    ACTIVE = "Active"
    EXPIRING_SOON = "ExpiringSoon"
    SUSPENDED_UNPAID = "SuspendedUnpaid"
    EXPIRED = "Expired"


class OrderEvent(ApiModel):
    """Something that happened to the order."""

    time: Timestamp = Field(description="When, for example 2026-11-20T09:00:00Z.")
    event: Line64 = Field(description="What, for example Ordered, Changed, Extended, Converted, Canceled.")
    note: Line256 | None = Field(default=None, description="What of it, for people.")
    by: Line256 | None = Field(default=None, description="Who did it.")


class Order(ApiModel):
    """The order."""

    id: Line64 = Field(
        description="The order's or subscription's ID with the seller, for example PO-2026-118. Immutable."
    )
    time: Timestamp | None = Field(
        default=None, description="When it was ordered. Absent means when the object was created."
    )
    history: Annotated[list[OrderEvent], Field(max_length=64, json_schema_extra=LIST_ATOMIC)] = Field(
        default=[], description="What happened to the order, oldest first. Absent means nothing yet."
    )


class Customer(ApiModel):
    """Who ordered: what a client is made from."""

    display_name: Line128 = Field(description="Name of the client as people write it, for example Acme K.K.")
    contact: Contact = Field(description="The primary contact.")
    organization: Line128 | None = Field(
        default=None, description="Registered name of the company, where it differs from displayName."
    )
    industry: Line64 | None = Field(default=None, description="Industry, free text.")
    address: Address | None = Field(default=None, description="Postal address.")
    contracted_users: Annotated[int, Field(ge=0, le=MAX_USERS, json_schema_extra={"format": "int64"})] = Field(
        default=0, description="Users that the contract covers, administrators not counted. Absent means 0."
    )


class Product(ApiModel):
    """How many licenses of one product the subscription has."""

    name: LicenseName = Field(
        description="Name of the product: the license of the client's pool, for example visitors."
    )
    licenses: Count = Field(description="How many licenses the client has bought, or has on trial.")


class TermLength(ApiModel):
    """How long a term is."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                cel("has(self.months) != has(self.days)", "either months or days; give one of them"),
            ]
        }
    )

    months: Annotated[int, Field(ge=1, le=120)] | None = Field(
        default=None,
        description="Calendar months, counted from the anchor day, which is clamped in shorter months: from 31 January "
        "one month is to 28 February, two are to 31 March.",
    )
    days: Annotated[int, Field(ge=1, le=3650)] | None = Field(default=None, description="Days; as trials often have.")


class Invoice(ApiModel):
    """An invoice."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                field_at(
                    cel(
                        "!has(self.issueDate) || self.dueDate >= self.issueDate",
                        "before issueDate; an invoice is due on the day it is issued or later",
                    ),
                    ".dueDate",
                ),
            ]
        }
    )

    number: Line64 = Field(description="Number of the invoice. Required, and each once.")
    issue_date: Date | None = Field(default=None, description="Day of the invoice.")
    due_date: Date = Field(
        description="Last day on which it is paid in time. Open beyond it, it is overdue (FEATURES W14)."
    )
    amount: Annotated[
        str, Field(min_length=1, max_length=21, pattern=_AMOUNT_PATTERN, json_schema_extra=_AMOUNT_RULE)
    ] = Field(description="Amount as a decimal string, for example '1200.50'; nothing is rounded.")
    currency: Annotated[str, Field(min_length=3, max_length=3, json_schema_extra=_CURRENCY_RULE)] = Field(
        description="Currency of the amount, by its ISO 4217 code, for example JPY."
    )
    state: InvoiceState = Field(
        default=InvoiceState.OPEN, description="Open, Paid or Void (withdrawn). Absent means Open."
    )
    paid_date: Date | None = Field(default=None, description="Day on which it was paid.")
    url: Url | None = Field(default=None, description="Where the invoice itself is.")


class SubscriptionSpec(ApiModel):
    """The subscription."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                field_at(
                    cel(
                        "has(self.term) || has(self.renewalDate)",
                        "how long is the subscription? give term.months or term.days, or the renewalDate",
                    ),
                    ".term",
                ),
                field_at(
                    cel(
                        "!has(self.renewalDate) || self.renewalDate > self.startDate",
                        "not after startDate; a term ends, and renews, on a later day than it begins",
                    ),
                    ".renewalDate",
                ),
                field_at(
                    cel(
                        "!self.autoRenew || (has(self.term) && has(self.term.months))",
                        "needs term.months: how long is the next term?",
                    ),
                    ".autoRenew",
                ),
                field_at(
                    cel(
                        "!self.autoRenew || self.type == 'Paid'",
                        "a trial does not renew by itself; extend it (renewalDate), or convert it (type: Paid)",
                    ),
                    ".autoRenew",
                ),
                field_at(
                    cel(
                        "self.type == oldSelf.type || oldSelf.type == 'Trial'",
                        "a paid subscription does not become a trial; make another Subscription for the trial",
                    ),
                    ".type",
                ),
                field_at(
                    cel(
                        "self.order.id == oldSelf.order.id",
                        "immutable, because invoices and reports name it; make another Subscription for another order",
                    ),
                    ".order.id",
                ),
                field_at(
                    cel(
                        "!has(oldSelf.clientRef) || (has(self.clientRef) && self.clientRef.name == "
                        "oldSelf.clientRef.name)",
                        "immutable once set: an order belongs to one client; make another Subscription for another",
                    ),
                    ".clientRef",
                ),
            ]
        }
    )

    client_ref: LocalRef | None = Field(
        default=None,
        description="The ClientOrg, in the same namespace, that the subscription is for. Absent means an order that is "
        "ready to set up: kubectl clientorg setup makes the client from it. Immutable once set.",
    )
    order: Order = Field(description="The order, with its ID and history.")
    type: SubscriptionType = Field(
        description="Trial or Paid. A trial is converted by setting Paid, with the term that is paid for."
    )
    products: Annotated[list[Product], Field(min_length=1, max_length=16, json_schema_extra=list_map("name"))] = Field(
        description="Products and how many licenses of each; at least one, each once."
    )
    start_date: Date = Field(description="First day of the first term, for example 2026-12-01.")
    term: TermLength | None = Field(
        default=None,
        description="How long each term is. Absent means one term, from startDate to renewalDate.",
    )
    renewal_date: Date | None = Field(
        default=None,
        description="Day on which the first term ends: the first day that it no longer covers. With autoRenew the next "
        "term begins on it, and later ones are counted from it. Absent means startDate plus the term. The operator "
        "never moves it: status.renewalDate is rolled forward.",
    )
    auto_renew: bool = Field(
        default=False, description="Whether another term begins where one ends. Absent means false: it expires."
    )
    invoices: Annotated[list[Invoice], Field(max_length=128, json_schema_extra=list_map("number"))] = Field(
        default=[], description="Invoices, each number once. Absent means none."
    )
    customer: Customer | None = Field(
        default=None, description="Who ordered. What `setup` makes the client from; needed until there is one."
    )
    pool_ref: LocalRef | None = Field(
        default=None, description="The QuotaPool that `setup` draws the client's licenses from, unless told otherwise."
    )
    plan_ref: LocalRef | None = Field(
        default=None, description="The OrgPlan that `setup` puts the client on, unless told otherwise."
    )


class TermStatus(ApiModel):
    """The term that runs, or the first where none has begun, or the last where all have ended."""

    number: int = Field(description="1 is the first.", json_schema_extra={"format": "int32"})
    start_date: Date = Field(description="First day.")
    end_date: Date = Field(description="First day that it no longer covers.")


class SubscriptionStatus(ApiModel):
    """What follows from the subscription. Only the operator writes here."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status answers; -1 before the first pass.",
        json_schema_extra={"format": "int64"},
    )
    state: SubscriptionState | None = Field(default=None, description="State of the subscription. Derived.")
    term: TermStatus | None = Field(default=None, description="The running term.")
    renewal_date: Date | None = Field(
        default=None, description="When the next term begins by itself; absent where it does not."
    )
    expiry_date: Date | None = Field(
        default=None, description="When the subscription ends; absent where it renews by itself."
    )
    unpaid_since: Date | None = Field(
        default=None, description="First day after the due date of the oldest overdue invoice; absent where none is."
    )
    license_summary: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Products and licenses in one line, for kubectl get."
    )
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))] | None = Field(
        default=None, description="Ready, Reconciling and Stalled (kstatus)."
    )


class Subscription(ApiModel):
    """An order, trial or paid subscription of a client."""

    spec: SubscriptionSpec = Field(description="The subscription.")
    status: SubscriptionStatus = Field(
        default=SubscriptionStatus(observed_generation=-1),
        description="What follows from the subscription. Only the operator writes here.",
    )


__all__ = [
    "ClientStatus",
    "InvoiceState",
    "Subscription",
    "SubscriptionSpec",
    "SubscriptionState",
    "SubscriptionType",
]
