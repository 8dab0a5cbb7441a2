"""docs/lifecycle.md against the code: every condition and reason is explained, and its YAML is what the models take."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from clientorg.api.clientorg import PauseReason
from clientorg.api.conditions import STALLING_REASONS, ConditionType, Reason
from clientorg.api.orgplan import OrgPlanSpec
from clientorg.api.quotapool import PoolUsage
from clientorg.api.usagereport import UsageReportSpec
from tests.support.install import ROOT

PAGE = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^#{2,3} (.+?)\n(.*?)(?=^#{2,3} |\Z)", PAGE, re.MULTILINE | re.DOTALL))
STALLED = "Reasons: stalled until somebody changes something"


def named_in_rows(section: str, columns: int = 1) -> set[str]:
    """What the first columns of a section's table name in backticks."""
    rows = [line for line in SECTIONS[section].splitlines() if line.startswith("| `")]
    return {word for row in rows for cell in row.split("|")[1 : columns + 1] for word in re.findall(r"`(\w+)`", cell)}


def yaml_of(kind: str) -> Any:
    """The page's first YAML block that begins with that text."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(next(block for block in blocks if kind in block))


def test_every_condition_type_is_explained() -> None:
    assert named_in_rows("Types") == set(ConditionType)


def test_every_reason_is_explained_once() -> None:
    sections = [title for title in SECTIONS if title.startswith("Reasons:")]
    named = [named_in_rows(section) for section in sections]
    assert set().union(*named) == set(Reason)
    assert sum(map(len, named)) == len(Reason)


def test_reasons_that_stall_are_those_of_the_code() -> None:
    assert named_in_rows(STALLED) == STALLING_REASONS


def test_every_reason_for_a_pause_is_explained() -> None:
    assert named_in_rows("Pause and resume") == set(PauseReason)


def test_terms_on_the_page_are_the_defaults() -> None:
    shown = OrgPlanSpec.model_validate(yaml_of("kind: OrgPlan")["spec"])
    assert (shown.thresholds, shown.deactivation) == (OrgPlanSpec().thresholds, OrgPlanSpec().deactivation)


def test_report_on_the_page_is_one() -> None:
    assert UsageReportSpec.model_validate(yaml_of("kind: UsageReport")["spec"]).org_id == "7k2m9q4xta"


def test_prometheus_on_the_page_has_the_defaults() -> None:
    shown = PoolUsage.model_validate(yaml_of("prometheus:")["spec"]["usage"])
    assert shown.prometheus is not None
    assert shown.stale_after_seconds == PoolUsage().stale_after_seconds
    defaults = type(shown.prometheus).model_fields
    for name in ("org_id_label", "license_label", "interval_seconds"):
        assert getattr(shown.prometheus, name) == defaults[name].default


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", PAGE))
def test_links_lead_somewhere(target: str) -> None:
    assert target.startswith("https://") or (ROOT / "docs" / target).exists()
