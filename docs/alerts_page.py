"""docs/alerts.md, from the alerts of manifests/components/monitoring (`make docs`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).with_name("alerts.md")
RULES = PAGE.parents[1] / "manifests" / "components" / "monitoring" / "prometheusrule.yaml"
HEAD = """\
<!-- Generated from manifests/components/monitoring/prometheusrule.yaml by `make docs`. Do not edit. -->
# Alerts

They come as a PrometheusRule with the [chart](howto/install.md) (`monitoring.prometheusRule.create`) or with
[overlays/production](../overlays/production/kustomization.yaml). `critical` is meant to wake somebody: clients are not
served, or may be served wrongly. `warning` is for working hours. Each has a runbook page that says what it means, what
to look at and what to do. Alerts about one pool carry the labels `namespace` and `pool`, so that an Alertmanager can
route them to the agency.
"""


def alerts() -> list[dict[str, Any]]:
    """The alerting rules, in their order."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def render() -> str:
    """The page."""
    text = HEAD
    titles = {"clientorg-operator": "The operator", "clientorg-agencies": "The agencies"}
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["spec"]["groups"]:
        text += f"\n## {titles[group['name']]}\n\n| Alert | Severity | After | What it says |\n|---|---|---|---|\n"
        for rule in group["rules"]:
            name = rule["alert"]
            after = rule.get("for", "at once")
            said = " ".join(rule["annotations"]["description"].split()).replace("{{ $value | humanize }}", "Some")
            said = said.replace("{{ $value }} {{ $labels.license }}", "Licenses")
            text += f"| [{name}](runbooks/{name}.md) | {rule['labels']['severity']} | {after} | {said} |\n"
    return text
