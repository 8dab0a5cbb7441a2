"""PointTransaction: one double-entry movement of points; its name is its idempotency key (FEATURES S6, X3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from clientorg.api.base import (
    ApiModel,
    Count,
    Json,
    Line128,
    Line256,
    ObjectName,
    Timestamp,
    cel,
    field_at,
    in_words,
)
from clientorg.api.conditions import Condition
from clientorg.api.meta import MAX_QUANTITY

REVERSAL_SUFFIX: Final = "-reversal"
"""A reversal is named after what it reverses, so that the API server refuses the second one."""


class TransactionKind(StrEnum):
    """What a movement is for; who may create which is a custom verb (docs/points.md)."""

    PURCHASE = "Purchase"
    TOP_UP = "TopUp"
    WITHDRAWAL = "Withdrawal"
    CHARGE = "Charge"
    SETTLEMENT = "Settlement"
    REVERSAL = "Reversal"


class Phase(StrEnum):
    """What became of a movement."""

    POSTED = "Posted"
    WAITING = "Waiting"
    REJECTED = "Rejected"


EXTERNAL: Final = "external"
CONSUMED: Final = "consumed"

_ACCOUNT_PATTERN: Final = r"^(external|consumed|(pool|org)/[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$"
_ACCOUNT_RULE: Final[Json] = in_words(
    _ACCOUNT_PATTERN,
    "must be an account: external (the distributor), pool/<name of a QuotaPool>, org/<name of a ClientOrg> or consumed",
)
PERIOD_PATTERN: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
_PERIOD_RULE: Final[Json] = in_words(PERIOD_PATTERN, "must be a period, for example 2026-11")

_ORG_ID_PATTERN: Final = r"^[0-9a-z]+$"
_ORG_ID_RULE: Final[Json] = in_words(
    _ORG_ID_PATTERN, "must be an Org ID, as in the client's status.orgID: lower-case letters and digits"
)

Account = Annotated[str, Field(min_length=1, max_length=68, pattern=_ACCOUNT_PATTERN, json_schema_extra=_ACCOUNT_RULE)]
BillingPeriod = Annotated[
    str, Field(min_length=7, max_length=7, pattern=PERIOD_PATTERN, json_schema_extra=_PERIOD_RULE)
]
Amount = Annotated[
    int,
    Field(
        ge=0,
        le=MAX_QUANTITY,
        json_schema_extra={"format": "int64"},
    ),
]


class ChargeInputs(ApiModel):
    """The arithmetic of a charge, frozen: points = base + max(0, users − included) × perExtraUser, and of that
    proratedDays / periodDays, rounded half up."""

    plan: ObjectName = Field(description="Name of the OrgPlan whose terms were applied.")
    plan_generation: Count = Field(description="metadata.generation of the plan at that time: its revision.")
    due_time: Timestamp = Field(description="When the charge was due: the anchor of the period.")
    users: Count = Field(description="Contracted users that were charged; administrators are not counted.")
    included_users: Count = Field(description="Users that the base includes.")
    base_points: Count = Field(description="Points for the included users.")
    points_per_extra_user: Count = Field(description="Points for each user beyond.")
    prorated_days: Count | None = Field(
        default=None, description="Days that are charged, where that is not the whole period."
    )
    period_days: Count | None = Field(default=None, description="Days of the whole period, where it is prorated.")
    previous_period: BillingPeriod | None = Field(
        default=None, description="The period charged before; absent in a client's first charge."
    )
    resumed: bool = Field(
        default=False,
        description="Charging began anew with this period: the client was deactivated, or on a plan without charges, "
        "in the periods since previousPeriod.",
    )


_KIND_RULES: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "Purchase",
        "self.from == 'external' && self.to.startsWith('pool/')",
        "a Purchase goes from: external to: pool/<name>",
    ),
    (
        "TopUp",
        "self.from.startsWith('pool/') && self.to.startsWith('org/')",
        "a TopUp goes from: pool/<name> to: org/<name>",
    ),
    (
        "Withdrawal",
        "self.from.startsWith('org/') && self.to.startsWith('pool/')",
        "a Withdrawal goes from: org/<name> to: pool/<name>",
    ),
    (
        "Charge",
        "self.from.startsWith('org/') && self.to == 'consumed'",
        "a Charge goes from: org/<name> to: consumed",
    ),
    (
        "Settlement",
        "(self.from.startsWith('org/') && self.to == 'consumed') || "
        "(self.from.startsWith('pool/') && self.to.startsWith('org/'))",
        "a Settlement goes from: org/<name> to: consumed, or from: pool/<name> to: org/<name>",
    ),
)


def _rules() -> list[Json]:
    rules = [
        field_at(cel(f"self.kind != '{kind}' || ({rule})", f"{text}; correct spec.from and spec.to"), ".from")
        for kind, rule, text in _KIND_RULES
    ]
    return [
        cel(
            "self == oldSelf",
            "immutable, because it is an entry of the ledger; correct it with a Reversal and another transaction "
            "(kubectl clientorg points reverse)",
        ),
        *rules,
        field_at(
            cel(
                "self.amount >= 1 || self.kind == 'Charge'",
                "must be a whole number of at least 1; to move points the other way, swap spec.from and spec.to",
            ),
            ".amount",
        ),
        field_at(cel("self.from != self.to", "must differ from spec.from"), ".to"),
        field_at(
            cel(
                "(self.kind == 'Reversal') == has(self.reverses)",
                "names the transaction that is reversed; required in a Reversal, and in nothing else",
            ),
            ".reverses",
        ),
        field_at(
            cel(
                f"!has(self.reverses) || !self.reverses.endsWith('{REVERSAL_SUFFIX}')",
                "a Reversal is not reversed; make the movement anew as another transaction",
            ),
            ".reverses",
        ),
        field_at(
            cel(
                "has(self.period) == (self.kind == 'Charge') && has(self.charge) == (self.kind == 'Charge')",
                "a Charge has spec.period and spec.charge, and nothing else has",
            ),
            ".kind",
        ),
    ]


class Group(ApiModel):
    """Transactions that are posted all together or not at all."""

    name: ObjectName = Field(description="Name of the group; its members have the same.")
    size: Annotated[int, Field(ge=1, le=100_000, json_schema_extra={"format": "int32"})] = Field(
        description="How many transactions the group has. Nothing of it is posted before all of them are there."
    )


class PointTransactionSpec(ApiModel):
    """The movement. Immutable."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": [*_rules()]})

    kind: TransactionKind = Field(
        description="Purchase (external to pool), TopUp (pool to client), Withdrawal (client to pool), Charge and "
        "Settlement (by the operator only), Reversal (what it reverses, the other way round)."
    )
    from_: Account = Field(
        alias="from", description="Account that the points leave: external, pool/<name> or org/<name>."
    )
    to: Account = Field(description="Account that the points go to: pool/<name>, org/<name> or consumed.")
    amount: Amount = Field(
        description="Points, a whole number of at least 1; 0 only in a Charge of a plan that costs nothing."
    )
    org_id: (
        Annotated[str, Field(min_length=1, max_length=32, pattern=_ORG_ID_PATTERN, json_schema_extra=_ORG_ID_RULE)]
        | None
    ) = Field(
        default=None,
        alias="orgID",
        description="Org ID of the client that org/<name> means. With it, the transaction can never reach another "
        "client of the same name. Absent means the client that has the name when it is posted.",
    )
    pool: ObjectName | None = Field(
        default=None,
        description="Name of the QuotaPool in whose ledger the transaction is entered, where neither account is a "
        "pool's. Absent means the client's pool.",
    )
    reverses: ObjectName | None = Field(
        default=None,
        description="Name of the transaction that is reversed; metadata.name is then <that name>-reversal, so that "
        "nothing is reversed twice.",
    )
    period: BillingPeriod | None = Field(
        default=None, description="Period that is charged, by the month of its anchor, for example 2026-11."
    )
    charge: ChargeInputs | None = Field(default=None, description="The arithmetic of a Charge, frozen.")
    group: Group | None = Field(default=None, description="Posted only together with the others of the group.")
    reason: Line256 | None = Field(default=None, description="Why, for people who read the history.")
    reference: Line128 | None = Field(
        default=None, description="Reference to a document elsewhere, for example the distributor's invoice number."
    )
    requested_by: Line256 | None = Field(
        default=None,
        description="Who made the transaction, as the API server knows them. If given, it has to be the authenticated "
        "user, who may otherwise only create it with the verb `request-for-others` on pointtransactions.",
    )


class PointTransactionStatus(ApiModel):
    """What became of the movement. Only the operator writes here."""

    observed_generation: int | None = Field(
        default=None,
        description="The metadata.generation that this status answers; -1 before the first pass.",
        json_schema_extra={"format": "int64"},
    )
    phase: Phase | None = Field(
        default=None,
        description="Posted: it counts, for ever. Waiting: it is posted when that is possible. Rejected: never.",
    )
    entry: Count | None = Field(
        default=None, description="Number of the entry in the pool's ledger, from 1 without gaps."
    )
    posted_time: Timestamp | None = Field(default=None, description="When it was posted.")
    org_id: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, alias="orgID", description="Org ID of the client whose balance it changed."
    )
    pool: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Name of the QuotaPool in whose ledger it is entered."
    )
    conditions: Annotated[list[Condition], Field(max_length=16)] | None = Field(
        default=None,
        description="Ready (posted), Reconciling (waiting) and Stalled (rejected), as kstatus has them.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )


class PointTransaction(ApiModel):
    """One movement of points from one account to another. The same name is the same movement."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    **cel(
                        f"has(self.spec.reverses) ? self.metadata.name == self.spec.reverses + '{REVERSAL_SUFFIX}' : "
                        f"!self.metadata.name.endsWith('{REVERSAL_SUFFIX}')",
                        f"metadata.name: a Reversal is named <spec.reverses>{REVERSAL_SUFFIX}, so that nothing is "
                        "reversed twice, and nothing else is named so; choose the name accordingly",
                    ),
                    "fieldPath": ".metadata",
                },
                {
                    **cel(
                        "self.spec.kind == 'Charge' || !self.metadata.name.matches('-charge-[0-9]{4}-[0-9]{2}$')",
                        "metadata.name: names that end with -charge-<period> are those of charges, so that a period is "
                        "charged once; choose another",
                    ),
                    "fieldPath": ".metadata",
                },
                {
                    **cel(
                        "self.spec.kind == 'Settlement' || !self.metadata.name.endsWith('-settlement')",
                        "metadata.name: names that end with -settlement are those of settlements; choose another",
                    ),
                    "fieldPath": ".metadata",
                },
                {
                    **cel(
                        "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase != 'Posted' || "
                        "(has(self.status) && has(self.status.phase) && self.status.phase == 'Posted' && "
                        "self.status.entry == oldSelf.status.entry)",
                        "a posted transaction stays posted; correct it with a Reversal",
                    ),
                    "fieldPath": ".status",
                },
            ]
        }
    )

    spec: PointTransactionSpec = Field(description="The movement. Immutable.")
    status: PointTransactionStatus = Field(
        default=PointTransactionStatus(observed_generation=-1),
        description="What became of the movement. Only the operator writes here.",
    )


__all__ = [
    "CONSUMED",
    "EXTERNAL",
    "REVERSAL_SUFFIX",
    "ChargeInputs",
    "Phase",
    "PointTransaction",
    "PointTransactionSpec",
    "TransactionKind",
]
