"""The documentation says what is: commands that exist, pages that lead somewhere, words that the templates use."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import clientorg.cli.commands  # registers them
from clientorg.cli.app import app
from clientorg.control.metrics import Metrics
from clientorg.control.portfoliometrics import PortfolioMetrics
from docs import metrics_page, pages, reference_page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in (*DOCS.rglob("*.md"), *ROOT.glob("*.md")) if "parts" not in path.parts)
WORDS = ROOT / "operator" / "clientorg" / "reports" / "words"

FENCE = re.compile(r"^( *)```sh\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(kubectl clientorg [^`]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")

assert clientorg.cli.commands


def commands_of(text: str) -> list[str]:
    """Every `kubectl clientorg` command of a page: lines of shell blocks, and what stands between backticks."""
    blocks = [block.replace("\\\n", " ") for _, block in FENCE.findall(text)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    shell = [line.partition("  #")[0].strip() for line in lines if line.startswith("kubectl clientorg ")]
    return [*shell, *INLINE.findall(text)]


def command_tree() -> Any:
    """The plugin's commands, as its parser has them."""
    return typer.main.get_command(app)


def problem_with(command: str) -> str:
    """What of a command the plugin does not know; empty when it knows all of it."""
    words = shlex.split(command.partition("|")[0])[2:]
    node = command_tree()
    while hasattr(node, "commands") and words and not words[0].startswith("-"):
        if words[0] not in node.commands:
            return f"no command {words[0]!r}"
        node = node.commands[words.pop(0)]
    known = {name for parameter in node.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag not in known | {"--help", "--version"}:
            return f"no flag {flag}"
        if re.fullmatch(r"-[A-Za-z]", flag) and flag not in known:
            return f"no flag {flag}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_the_plugin_exist_with_their_flags(page: Path) -> None:
    wrong = {command: problem for command in commands_of(page.read_text()) if (problem := problem_with(command))}
    assert not wrong


def test_a_command_that_does_not_exist_is_found() -> None:
    assert problem_with("kubectl clientorg frobnicate acme") == "no command 'frobnicate'"
    assert problem_with("kubectl clientorg points add acme 5 --raison x") == "no flag --raison"
    assert problem_with("kubectl clientorg points add acme 5 --reason x -n agency") == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_there_are(page: Path) -> None:
    gone = [path for path, _ in LINK.findall(page.read_text()) if not (page.parent / path).exists()]
    assert not gone


def test_made_pages_are_current() -> None:
    assert pages.main(["--check"]) == 0, "run `make docs-pages` and commit"


def test_every_metric_is_on_its_page_with_its_labels() -> None:
    page = metrics_page.PAGE.read_text()
    registry = Metrics().registry
    PortfolioMetrics(registry, per_client=True)
    families = {family.name for family in registry.collect() if family.name.startswith("clientorg_")}

    assert {metrics_page.name_of(metric).removesuffix("_total") for metric in metrics_page.metrics()} == families
    for metric in metrics_page.metrics():
        assert f"| `{metrics_page.name_of(metric)}` |" in page


def test_no_metric_has_a_label_for_each_client() -> None:
    """Ten thousand clients must not be ten thousand series."""
    labels = {label for metric in metrics_page.metrics(per_client=False) for label in metric._labelnames}
    assert not labels & {"client", "org", "org_id", "orgID", "name", "workspace", "uid"}


def test_reference_has_every_field_of_every_kind() -> None:
    for path, text in reference_page.pages().items():
        assert text.startswith("<!-- Generated"), path
        assert "| `spec." in text
        assert "| `status.conditions` |" in text
        assert "## Writing a spec" in text


@pytest.mark.parametrize(
    ("english", "section", "key"),
    [
        ("Agency", "statement", "agency"),
        ("Client", "client", "client"),
        ("Org ID", "client", "org_id"),
        ("Pool", "client", "pool"),
        ("Plan", "client", "plan"),
        ("Contracted users", "client", "contracted_users"),
        ("Balance", "client", "balance"),
        ("Reseller", "client", "reseller"),
        ("Ledger", "title", "ledger"),
        ("Statement", "title", "statement"),
        *((word, "kind", key) for word, key in (("Purchase", "Purchase"), ("Top-up", "TopUp"))),
        *((word, "kind", word) for word in ("Withdrawal", "Settlement", "Reversal")),
        ("Monthly charge", "kind", "Charge"),
    ],
)
def test_glossary_uses_the_words_of_the_templates(english: str, section: str, key: str) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (DOCS / "glossary.md").read_text().splitlines()
        if line.startswith(f"| {english} |")
    ]
    (row,) = rows
    for column, language in enumerate(("en", "ja", "cs", "hi")):
        words = tomllib.loads((WORDS / f"{language}.toml").read_text(encoding="utf-8"))
        spelled = words[section].get(key) or words["ledger"][key]
        assert row[column] == spelled, language
