"""A plan's rules of approval and of charging, as the operator reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from clientorg.cli.terminal import warn
from clientorg.cli.text import plain
from clientorg.errors import PlanError

if TYPE_CHECKING:
    from clientorg.api.orgplan import OrgPlanSpec
    from clientorg.domain.billing import BillingTerms

Json = dict[str, Any]


@dataclass(frozen=True)
class PlanRules:
    """What a plan says.

    Attributes:
        billing: None for a plan that charges nothing.
    """

    name: str
    spec: OrgPlanSpec
    time_zone: ZoneInfo
    billing: BillingTerms | None

    @property
    def is_manual(self) -> bool:
        """Whether somebody has to approve its clients."""
        return self.spec.approval == "Manual"


def plan_rules(plan: Json) -> PlanRules:
    """The rules of a plan.

    Raises:
        ValueError: it is none that the operator can read either: its time zone, or a field (pydantic.ValidationError).
    """
    # Imported late: the models take 0.1 s, and most commands need none of them.
    from clientorg.api.orgplan import OrgPlanSpec
    from clientorg.domain.billing import BillingTerms
    from clientorg.domain.calendar import zone

    spec, metadata = OrgPlanSpec.model_validate(plan.get("spec") or {}), plan["metadata"]
    time_zone = zone(spec.time_zone)
    billing = BillingTerms.of(spec.billing, metadata["name"], metadata.get("generation") or 0, time_zone)
    return PlanRules(metadata["name"], spec, time_zone, billing)


def rules_or_none(plan: Json | None) -> PlanRules | None:
    """The same; None where there is no plan, or none that can be read (its own condition says what is wrong)."""
    try:
        return plan_rules(plan) if plan is not None else None
    except ValueError:
        return None


def billing_terms(plan: Json) -> BillingTerms | None:
    """The plan's terms of charging; None where it charges nothing.

    Raises:
        PlanError: it is none that the operator can read either.
    """
    try:
        return plan_rules(plan).billing
    except ValueError as error:
        raise PlanError(f"plan {plan['metadata']['name']}: its charges cannot be computed: {error}") from error


def terms_or_none(plan: Json | None) -> BillingTerms | None:
    """The same; None, with a warning, for a plan that cannot be read, and for none at all."""
    try:
        return billing_terms(plan) if plan is not None else None
    except PlanError as error:
        warn(plain(str(error)))
        return None
