"""`kubectl clientorg report` and `setup` on a real API server, as their own process (issue 8)."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, SUBSCRIPTIONS
from tests.cluster._cli_support import Agency, DatedCli, agency, home, manifest, plane, set_clock

__all__ = ["agency", "home", "plane"]  # fixtures

pytestmark = pytest.mark.cluster

Json = dict[str, Any]
TRENDS: Json = {
    "weeks": ["2026-11-08", "2026-11-15", "2026-11-29"],
    "licenses": [{"name": "visitors", "allocated": [500, 500, 500], "used": [50, 80, 120], "counted": [50, 80, 120]}],
    "metrics": [{"name": "calls", "values": [10, 30, 90]}],
}
AS_OF = ("--time-zone", "UTC")


def subscribe(agency: Agency, name: str, **spec: Any) -> None:
    """Create a Subscription of 400 visitors for the year 2026."""
    full: Json = {
        "order": {"id": f"PO-{name}", "time": "2026-11-20T00:00:00Z"},
        "type": "Paid",
        "products": [{"name": "visitors", "licenses": 400}],
        "startDate": "2026-01-01",
        "term": {"months": 12},
        **spec,
    }
    agency.plane.create(SUBSCRIPTIONS, agency.namespace, manifest("Subscription", name, agency.namespace, full))


@pytest.fixture
def cli(agency: Agency, home: Path, tmp_path: Path) -> DatedCli:
    """The command on the first of December 2026."""
    set_clock(tmp_path / "now", "2026-12-01T00:00:00Z")
    return DatedCli(agency.cli.kubeconfig, agency.namespace, home, tmp_path / "now")


def test_reports_in_every_form_and_what_they_say_when_there_is_nothing(
    agency: Agency, cli: DatedCli, tmp_path: Path
) -> None:
    empty = cli.do("report", "expiring")
    assert (empty.out, empty.err) == ("", f"No clients and no orders in namespace {agency.namespace}.\n")
    assert cli.do("report", "summary", *AS_OF).rows[1] == ["Clients", "0"]

    metrics = [{"name": "calls", "unit": "calls", "kind": "Counter"}]
    agency.plane.patch(ORG_PLANS, agency.namespace, "standard", {"spec": {"metrics": metrics}})
    agency.client("acme", granted=500, used=120, displayName="=Acme <b>K.K.</b>", tags=["vip"])
    agency.status("acme", trends=TRENDS)
    agency.client("globex", granted=20, used=30)
    subscribe(agency, "acme-1", clientRef={"name": "acme"})
    subscribe(agency, "globex-1", clientRef={"name": "globex"}, autoRenew=True)
    subscribe(agency, "order-1", customer={"displayName": "Newcomer", "contact": _CONTACT})

    table = cli.do("report", "expiring", *AS_OF)
    assert table.rows[0][:5] == ["Client", "Subscription", "Type", "Product", "Days until"]
    assert table.rows[1][:7] == ["acme", "acme-1", "Paid", "visitors", "31", "400", "120"]
    assert len(table.rows) == 2
    found = json.loads(cli.do("report", "renewing", *AS_OF, "--within", "12w", "-o", "json").out)
    assert found["rows"][0]["client"] == "globex"
    assert (found["asOf"], found["withinDays"]) == ("2026-12-01T00:00:00Z", 84)
    told = yaml.safe_load(cli.do("report", "summary", *AS_OF, "-o", "yaml").out)["summary"]
    assert (told["clients"], told["expiring"], told["renewing"], told["readyToSetUp"]) == (2, 1, 1, 1)
    assert told["missedWeeks"] == ["2026-11-22"]
    assert told["byStatus"]["OverLimit"] == 1

    text = cli.do("report", "recent", *AS_OF, "--language", "ja", "-o", "csv").out
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0][:2] == ["顧客", "契約"]
    assert {row[1] for row in rows[1:]} == {"acme-1", "globex-1", "order-1"}
    assert any("'=Acme <b>K.K.</b>" in row for row in rows)
    cli.do("report", "over-limit", "-o", "xlsx", "--file", str(tmp_path / "over.xlsx"))
    sheet = openpyxl.load_workbook(tmp_path / "over.xlsx").active
    assert sheet is not None
    assert [cell.value for cell in sheet[2]][:2] == ["globex", "globex-1"]
    page = cli.do("report", "low-allocation", "-o", "html").out
    assert "<td>acme</td>" in page
    assert "=Acme <b>" not in page

    usage = cli.do("report", "usage", *AS_OF, "--search", "acme").rows
    assert [row[1] for row in usage[1:]] == ["2026-11-08", "2026-11-15", "2026-11-22", "2026-11-29"]
    assert cli.do("report", "metric", "calls", *AS_OF, "--tag", "vip").rows[1][0] == "acme"
    assert cli.do("report", "performance", *AS_OF).rows[1][0] == "acme"
    nothing = cli.do("report", "expiring", "--tag", "nobody", "--managed-by", "own", "--product", "visitors")
    assert (nothing.out, nothing.err) == ("", "Nothing matches these filters.\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("expiring", "--within", "soon"), "--within: 'soon' is no number of days; write for example 90d or 12w"),
        (("expiring", "--as-of", "2026-13-01"), "--as-of: '2026-13-01' is no time; write for example 2026-12-31"),
        (("expiring", "--status", "Happy"), "--status: there is no status 'Happy'; it is one of ReadyToSetUp"),
        (("expiring", "--subscription-type", "Free"), "--subscription-type: there is no type 'Free'"),
        (("expiring", "--sort-by", "color"), "--sort-by: there is no column 'color'; it is one of"),
        (("summary", "--sort-by", "used"), "--sort-by: the summary has one line for each figure"),
        (("expiring", "--file", "/nowhere/x.csv", "-o", "csv"), "--file: there is no folder /nowhere"),
        (("metric", "nothing"), "METRIC: no plan of these clients declares a metric 'nothing'"),
    ],
)
def test_wrong_flags_are_named(agency: Agency, arguments: tuple[str, ...], why: str) -> None:
    answer = agency.cli.run("report", *arguments)
    assert answer.code == 2
    assert why in answer.err


_CONTACT = {"firstName": "Aya", "lastName": "Mori", "email": "aya@newcomer.example", "language": "ja"}


def test_an_order_becomes_a_client_in_one_step_and_once(agency: Agency) -> None:
    subscribe(agency, "order-1", customer={"displayName": "Newcomer K.K.", "contact": _CONTACT})
    answer = agency.cli.run("setup", "PO-order-1")
    assert answer.code == 2
    assert "order-1 does not say enough to make a client: spec.poolRef or --pool and spec.planRef" in answer.err
    where = ("--pool", "tokyo", "--plan", "standard")

    tried = agency.cli.do("setup", "PO-order-1", *where, "--dry-run")
    assert "clientorg.clientorg.dev/newcomer-k-k created from order PO-order-1 (server dry run)" in tried.out
    assert not agency.exists("newcomer-k-k")
    agency.cli.do("setup", "PO-order-1", *where)

    client = agency.get("newcomer-k-k")
    assert client["spec"]["displayName"] == "Newcomer K.K."
    assert client["spec"]["contact"]["email"] == "aya@newcomer.example"
    assert client["spec"]["licenses"] == [{"name": "visitors", "quantity": 400}]
    bound = agency.plane.get(SUBSCRIPTIONS, agency.namespace, "order-1")
    assert bound["spec"]["clientRef"] == {"name": "newcomer-k-k"}
    again = agency.cli.run("setup", "order-1", *where)
    assert (again.code, "is set up already: its client is newcomer-k-k" in again.err) == (2, True)
    missing = agency.cli.run("setup", "PO-9", *where)
    assert (missing.code, "has the order ID or the name 'PO-9'" in missing.err) == (2, True)

    # A run that made the client and did not come to bind it is finished by the next; another's client is not taken.
    subscribe(agency, "order-2", customer={"displayName": "Second", "contact": _CONTACT})
    half = {"metadata": {"name": "second", "annotations": {"clientorg.dev/order": "order-2"}}}
    agency.plane.create(CLIENT_ORGS, agency.namespace, {**client, **half, "status": {}})
    agency.cli.do("setup", "order-2", *where)
    subscribe(agency, "order-3", customer={"displayName": "Second", "contact": _CONTACT})
    taken = agency.cli.run("setup", "order-3", *where)
    assert (taken.code, "--name: there is another client second" in taken.err) == (2, True)
    assert "clientRef" not in agency.plane.get(SUBSCRIPTIONS, agency.namespace, "order-3")["spec"]
