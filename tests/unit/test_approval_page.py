"""docs/approval.md against the code: its YAML is what the models take, and its defaults are those of the API."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from clientorg.api.orgapproval import OrgApprovalSpec
from clientorg.api.orgplan import ApprovalTarget, OrgPlanSpec
from clientorg.cli.decision import Choice, approval_name
from tests.support.install import ROOT

PAGE = (ROOT / "docs" / "approval.md").read_text(encoding="utf-8")


def yaml_of(kind: str) -> Any:
    """The page's YAML block of that kind."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(next(block for block in blocks if f"kind: {kind}\n" in block))


def test_terms_on_the_page_are_the_defaults() -> None:
    shown = OrgPlanSpec.model_validate(yaml_of("OrgPlan")["spec"])
    target, default = shown.approval_target, ApprovalTarget()
    assert shown.approval == "Manual"
    assert (target.business_days, target.weekend) == (default.business_days, default.weekend)


def test_the_decision_on_the_page_is_one_and_named_as_the_commands_name_it() -> None:
    shown = yaml_of("OrgApproval")
    spec = OrgApprovalSpec.model_validate(shown["spec"])
    assert shown["metadata"]["name"] == approval_name("acme", spec.client_uid, Choice.APPROVE, spec.approved_by)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)", PAGE))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / "docs" / target).exists()
