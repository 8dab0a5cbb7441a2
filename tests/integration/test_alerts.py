"""The alerts, run by Prometheus' own promtool; and each has a severity, a runbook page and metrics that exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from docs.alerts_page import RULES, alerts
from docs.metrics_page import metrics, name_of
from tests.support.debian import PackageUnavailableError
from tests.support.install import ROOT
from tests.support.prometheus import find_promtool

Json = dict[str, Any]

CASES: Final = Path(__file__).with_name("alerts.yaml")
SECTIONS: Final = ("## What it means", "## What to look at", "## What to do")
each_alert = pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])


@pytest.fixture(scope="module")
def promtool() -> Path:
    """The program."""
    try:
        return find_promtool()
    except PackageUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rules as Prometheus reads them."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / "rules.yaml").write_text(yaml.safe_dump(yaml.safe_load(RULES.read_text())["spec"]))
    return folder


def run(promtool: Path, *arguments: str, folder: Path) -> str:
    """What promtool says; fails with it."""
    done = subprocess.run([promtool, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_rules(promtool: Path, folder: Path) -> None:
    assert f"{len(alerts())} rules found" in run(promtool, "check", "rules", "rules.yaml", folder=folder)


def test_each_alert_fires_when_it_should_and_not_before(promtool: Path, folder: Path, tmp_path: Path) -> None:
    """Without the annotations, whose templates `check rules` looks at: promtool would compare their texts."""
    rules = yaml.safe_load((folder / "rules.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    (tmp_path / CASES.name).write_text(CASES.read_text())

    assert "SUCCESS" in run(promtool, "test", "rules", CASES.name, folder=tmp_path)


# -- that the cases could fail -----------------------------------------------------------------------------------------

_COMPARISON: Final = re.compile(r"(?P<sign>==|>=|<=|>|<)\s*(?P<limit>\d+(?:\.\d+)?(?![\w.]))?")
LOOSER: Final = {">": ">=", "<": "<=", ">=": ">=", "<=": "<=", "==": ">="}


@dataclass(frozen=True)
class Change:
    """A small change of every alert that it applies to, which the cases of each have to notice.

    Attributes:
        made: the rule as it would be then; None where it does not apply.
    """

    name: str
    made: Callable[[Json], Json | None]


def _without_for(rule: Json) -> Json | None:
    return {**rule, "for": "0s"} if "for" in rule else None


def _with_longer_for(rule: Json) -> Json | None:
    if "for" not in rule:
        return None
    seconds = int(rule["for"][:-1]) * {"h": 3600, "m": 60}[rule["for"][-1]]
    return {**rule, "for": f"{seconds * 3 // 2}s"}


def _never(rule: Json) -> Json | None:
    return {**rule, "expr": f"({rule['expr']}) and on () (vector(0) > 1)"}


def _with_limit(place: int, looser: bool, rule: Json) -> Json | None:
    """The rule with another limit in that comparison: a fifth away, or one if it is a whole number below ten. Where it
    is zero, or no number, being equal counts, too."""
    found = list(_COMPARISON.finditer(rule["expr"]))
    if place >= len(found):
        return None
    match = found[place]
    sign, limit = match["sign"], float(match["limit"] or 0)
    if not limit:
        if not looser:
            return None  # that it fires at all is another change
        changed = f"{LOOSER[sign]} {match['limit'] or ''}"
    else:
        step = 1 if limit.is_integer() and limit < 10 else limit / 5
        down = looser is sign.startswith(">")
        changed = f"{sign} {limit - step if down else limit + step:g}"
    return {**rule, "expr": rule["expr"][: match.start()] + changed + " " + rule["expr"][match.end() :].lstrip()}


CHANGES: Final = (
    Change("at once, without its `for`", _without_for),
    Change("later, after half as long again", _with_longer_for),
    Change("never", _never),
    *(
        Change(f"limit {place + 1} {'looser' if looser else 'tighter'}", partial(_with_limit, place, looser))
        for place in range(2)
        for looser in (True, False)
    ),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_cases_notice_every_change_of_an_alert(change: Change, promtool: Path, folder: Path, tmp_path: Path) -> None:
    """So there is a case just below each limit and one just above, one before its `for` is over and one soon after."""
    rules = yaml.safe_load((folder / "rules.yaml").read_text())
    changed = set()
    for group in rules["groups"]:
        for place, rule in enumerate(group["rules"]):
            rule.pop("annotations")
            made = change.made(rule)
            if made is not None:
                changed.add(rule["alert"])
                group["rules"][place] = made
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    (tmp_path / CASES.name).write_text(CASES.read_text())

    done = subprocess.run(
        [promtool, "test", "rules", CASES.name], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    noticed = set(re.findall(r"alertname: *(\w+)", done.stdout + done.stderr))
    assert changed, "the change applies to some alert"
    assert noticed == changed, f"not noticed: {sorted(changed - noticed)}\n{done.stdout}{done.stderr}"


def test_there_are_no_more_comparisons_than_are_changed() -> None:
    assert max(len(_COMPARISON.findall(alert["expr"])) for alert in alerts()) == 2


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [expected for case in yaml.safe_load(CASES.read_text())["tests"] for expected in case["alert_rule_test"]]
    names = {alert["alert"] for alert in alerts()}

    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


@each_alert
def test_alert_has_a_severity_and_says_what_is_wrong(alert: Json) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}


@each_alert
def test_alert_has_a_runbook_page(alert: Json) -> None:
    path = ROOT / "docs" / "runbooks" / f"{alert['alert']}.md"
    text = path.read_text()

    assert alert["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{path.name}")
    assert text.startswith(f"# {alert['alert']}\n")
    assert [section for section in SECTIONS if section in text] == list(SECTIONS)


@each_alert
def test_alert_asks_for_metrics_that_there_are(alert: Json) -> None:
    known = {name for metric in metrics() for name in (name_of(metric), *histogram_series(name_of(metric)))}
    asked = set(re.findall(r"clientorg_\w+", alert["expr"]))
    assert asked
    assert asked <= known


def histogram_series(name: str) -> tuple[str, str, str]:
    """The series of a histogram of this name."""
    return f"{name}_bucket", f"{name}_sum", f"{name}_count"


def test_there_is_no_runbook_page_without_an_alert() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"index"}
    assert pages == {alert["alert"] for alert in alerts()}
