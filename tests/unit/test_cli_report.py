"""`report` and `setup` on the API server in memory: every report in every form, and what is wrong with flags."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from clientorg.cli.options import Target
from clientorg.cli.reportflags import Output
from clientorg.cli.session import Session, Warnings
from clientorg.cli.setupflow import client_of, name_of
from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, SUBSCRIPTIONS
from clientorg.errors import InputError
from tests.support.builders import invoice, subscription
from tests.unit import cli_cluster
from tests.unit.cli_cluster import AGENCY, Answer, CliApi, CliCluster, cluster
from tests.unit.portfolios import client, meters, plan, trends

__all__ = ["cluster"]  # a fixture

Json = dict[str, Any]
REPORTS = (
    *(("summary",), ("recent",), ("expiring",), ("renewing",), ("low-allocation",), ("over-limit",)),
    *(("usage",), ("performance",), ("metric", "calls")),
)
METRICS = [{"name": "calls", "unit": "calls", "kind": "Counter"}]
CONTACT = {"firstName": "Aya", "lastName": "Mori", "email": "aya@newcomer.example"}


@pytest.fixture
def agency(cluster: CliCluster, monkeypatch: pytest.MonkeyPatch) -> CliCluster:
    """Two clients with subscriptions, snapshots and a metric, and an order."""

    @asynccontextmanager
    async def connect(target: Target, **_: Any) -> AsyncIterator[Session]:
        async with CliApi(cluster) as api:
            yield Session(api, target.namespace or AGENCY, Warnings())

    for module in ("reportshow", "setup", "subscriptions"):
        monkeypatch.setattr(f"clientorg.cli.{module}.connect", connect)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    server = cluster.server
    server.create(ORG_PLANS, plan(metrics=METRICS))
    known = trends(10, 20, None, 40, metrics={"calls": [1, 2, None, 9]})
    for item in (
        client("acme", status=meters(45) | known, displayName="=Acme <b>", licenses={"visitors": (100, 45, 20)}),
        client("globex", licenses={"visitors": (10, 12, None)}, tags=["vip"]),
    ):
        server.create(CLIENT_ORGS, {key: value for key, value in item.items() if key != "status"})
        name = item["metadata"]["name"]
        server.objects[CLIENT_ORGS.plural, AGENCY, name]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        server.edit_status(CLIENT_ORGS, AGENCY, name, item["status"])
    for name, of, more in (
        ("acme-1", "acme", {"products": [{"name": "visitors", "licenses": 100}]}),
        ("globex-1", "globex", {"autoRenew": True}),
        ("order-1", None, {"customer": {"displayName": "Newcomer K.K.", "contact": CONTACT}}),
    ):
        server.create(SUBSCRIPTIONS, subscription(AGENCY, name, client=of, **more))
    return cluster


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Answer:
    return (
        cli_cluster.run(capsys, *arguments, "--time-zone", "UTC")
        if arguments[0] == "report"
        else (cli_cluster.run(capsys, *arguments))
    )


@pytest.mark.parametrize("report", REPORTS, ids=" ".join)
@pytest.mark.parametrize("form", [*Output])
def test_every_report_in_every_form(
    agency: CliCluster, capsys: pytest.CaptureFixture[str], tmp_path: Path, report: tuple[str, ...], form: Output
) -> None:
    file = tmp_path / f"report.{form}"
    answer = run(capsys, "report", *report, "-o", form.value, "--file", str(file))
    assert (answer.code, answer.err) == (0, "")
    data = file.read_bytes()
    if form is Output.XLSX:
        sheet = openpyxl.load_workbook(io.BytesIO(data)).active
        assert sheet is not None
        assert sheet.max_row >= 2
        return
    text = data.decode()
    assert text.strip()
    if form is Output.JSON:
        assert json.loads(text)["report"] == report[0]
    elif form is Output.YAML:
        assert yaml.safe_load(text)["report"] == report[0]
    elif form is Output.CSV:
        assert len(list(csv.reader(io.StringIO(text)))) >= 2
    elif form is Output.HTML:
        assert "<b>" not in text
        assert "<td>" in text


@pytest.mark.parametrize("language", ["en", "ja", "cs", "hi"])
def test_headings_are_in_the_language(agency: CliCluster, capsys: pytest.CaptureFixture[str], language: str) -> None:
    first = {"en": "Client", "ja": "顧客", "cs": "Klient", "hi": "क्लाइंट"}[language]
    for report in ("expiring", "performance"):
        out = run(capsys, "report", report, "--language", language).out
        assert out.startswith(first)


def test_the_table_has_the_columns_of_w9(agency: CliCluster, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "report", "expiring")
    assert answer.row("acme", "Paid") == [
        *("acme", "acme-1", "Paid", "visitors", "42", "100", "45", "20", "80"),
        *("-", "-", "35", "1", "no", "20"),
    ]


def test_nothing_is_told_as_such(agency: CliCluster, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = run(capsys, "report", "expiring", "--tag", "nobody", "--managed-by", "own")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "Nothing matches these filters.\n")
    past = run(capsys, "report", "over-limit", "--as-of", "2026-10-01")
    assert "There is no weekly snapshot of 2026-10-01" in past.err
    empty = run(capsys, "report", "recent", "-n", "no")
    assert (empty.code, empty.err) == (0, "No clients and no orders in namespace no.\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("expiring", "--within", "soon"), "--within: 'soon' is no number of days; write for example 90d or 12w"),
        (("expiring", "--within", "0d"), "--within: '0d' is no number of days"),
        (("expiring", "--as-of", "2026-13-01"), "--as-of: '2026-13-01' is no time; write for example 2026-12-31"),
        (("expiring", "--status", "Happy"), "--status: there is no status 'Happy'; it is one of ReadyToSetUp"),
        (("expiring", "--subscription-type", "Free"), "--subscription-type: there is no type 'Free'"),
        (("expiring", "--sort-by", "color"), "--sort-by: there is no column 'color'; it is one of"),
        (("summary", "--sort-by", "used"), "--sort-by: the summary has one line for each figure"),
        (("expiring", "--file", "/nowhere/x.csv", "-o", "csv"), "--file: there is no folder /nowhere"),
        (("metric", "nothing"), "METRIC: no plan of these clients declares a metric 'nothing'"),
    ],
)
def test_wrong_flags_are_named(
    agency: CliCluster, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], why: str
) -> None:
    answer = run(capsys, "report", *arguments)
    assert answer.code == 2
    assert why in answer.err


def test_rows_are_sorted_and_what_is_not_known_stands_last(
    agency: CliCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    def order(key: str) -> list[str]:
        rows = json.loads(run(capsys, "report", "recent", "--within", "900d", f"--sort-by={key}", "-o", "json").out)
        return [row["client"] for row in rows["rows"]]

    assert order("used") == ["globex", "acme", ""]
    assert order("-used") == ["acme", "globex", ""]
    assert order("assigned")[0] == "acme"


def test_setup_shows_and_makes_the_client_and_binds_the_order(
    agency: CliCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--pool", "tokyo", "--plan", "standard")
    tried = run(capsys, "setup", "order-1", *where, "--dry-run=client", "-o", "json")
    assert json.loads(tried.out)["metadata"]["name"] == "newcomer-k-k"
    assert agency.server.one(CLIENT_ORGS, AGENCY, "newcomer-k-k") is None

    done = run(capsys, "setup", "order-1", *where)

    assert done.code == 0, done.err
    assert "clientorg.clientorg.dev/newcomer-k-k created from order PO-order-1" in done.out
    made = agency.server.one(CLIENT_ORGS, AGENCY, "newcomer-k-k") or {}
    assert made["spec"]["licenses"] == [{"name": "visitors", "quantity": 10}]
    assert made["spec"]["requestedBy"] == cli_cluster.USER
    order = agency.server.one(SUBSCRIPTIONS, AGENCY, "order-1") or {}
    assert order["spec"]["clientRef"] == {"name": "newcomer-k-k"}
    again = run(capsys, "setup", "order-1", *where)
    assert (again.code, "is set up already: its client is newcomer-k-k" in again.err) == (2, True)


def test_an_order_that_does_not_say_enough_names_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"spec\.customer .*, spec\.poolRef or --pool and spec\.planRef or --plan"):
        client_of(subscription(AGENCY, client=None), name=None, pool=None, plan=None)


@pytest.mark.parametrize(
    ("display", "name"),
    [("Acme K.K.", "acme-k-k"), ("Žižkov & syn", "zizkov-syn"), ("株式会社", "po-1"), ("x" * 80, "x" * 52)],
)
def test_a_client_is_called_after_its_display_name(display: str, name: str) -> None:
    assert name_of(display, "PO-1".casefold()) == name


def spec(agency: CliCluster, name: str) -> Json:
    """The spec of a Subscription."""
    found = agency.server.one(SUBSCRIPTIONS, AGENCY, name)
    assert found is not None
    return dict(found["spec"])


def test_a_trial_is_extended_and_converted_and_its_history_says_so(
    agency: CliCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = subscription(AGENCY, "trial", type="Trial", startDate="2026-11-01", term={"days": 14})
    agency.server.create(SUBSCRIPTIONS, trial)

    answer = run(capsys, "subscription", "extend", "trial", "--days", "7")
    assert answer.out == "subscription.clientorg.dev/trial extended from 2026-11-15 to 2026-11-22\n"
    assert spec(agency, "trial")["renewalDate"] == "2026-11-22"
    early = run(capsys, "subscription", "extend", "trial", "--until", "2026-11-22")
    assert (early.code, "--until: it runs until 2026-11-22 already" in early.err) == (2, True)

    answer = run(
        capsys, "subscription", "convert", "trial", "--months", "12", "--auto-renew", "--license", "visitors=20"
    )
    assert "converted: paid from 2026-11-20 on, 12 months, renewing" in answer.out
    paid = spec(agency, "trial")
    assert (paid["type"], paid["term"], paid["autoRenew"]) == ("Paid", {"months": 12}, True)
    assert (paid["products"], "renewalDate" in paid) == ([{"name": "visitors", "licenses": 20}], False)
    assert [(entry["event"], entry["by"]) for entry in paid["order"]["history"]] == [
        ("Extended", cli_cluster.USER),
        ("Converted", cli_cluster.USER),
    ]
    assert paid["order"]["id"] == "PO-trial"
    again = run(capsys, "subscription", "extend", "trial", "--days", "7")
    assert (again.code, "is paid for, and no trial" in again.err) == (2, True)


def test_a_payment_is_recorded_for_open_invoices_only(agency: CliCluster, capsys: pytest.CaptureFixture[str]) -> None:
    invoices = [invoice("R-1"), invoice("R-2", state="Void"), invoice("R-3")]
    agency.server.create(SUBSCRIPTIONS, subscription(AGENCY, "owes", invoices=invoices))

    run(capsys, "subscription", "pay", "owes", "R-1", "--dry-run=client")
    assert spec(agency, "owes")["invoices"][0].get("state") is None
    answer = run(capsys, "subscription", "pay", "owes", "R-1", "--date", "2026-11-18")
    assert answer.code == 0, answer.err
    one, two, three = spec(agency, "owes")["invoices"]
    assert (one["state"], one["paidDate"], one["amount"]) == ("Paid", "2026-11-18", "1200.50")
    assert (two["state"], three.get("state")) == ("Void", None)
    for number, why in (("R-2", "R-2 is Void, not Open"), ("R-9", "has no invoice 'R-9'; it has R-1, R-2 or R-3")):
        refused = run(capsys, "subscription", "pay", "owes", number)
        assert (refused.code, why in refused.err) == (2, True)
