"""The Grafana dashboards, against a real Prometheus that scrapes the real operator: every query's metric is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency
from tests.controlplane.waiting import wait_until
from tests.support.builders import invoice, subscription
from tests.support.debian import PackageUnavailableError
from tests.support.devclock import DevClock
from tests.support.install import ROOT
from tests.support.prometheus import PrometheusServer, find_prometheus

pytestmark = pytest.mark.cluster

DASHBOARDS: Final = sorted((ROOT / "charts" / "clientorg-operator" / "dashboards").glob("*.json"))
METRIC: Final = re.compile(r"\b((?:clientorg|process)_[a-z_]+)\b")


def queries(dashboard: Any) -> Iterator[str]:
    """Every query of a dashboard: of its panels and of its variables."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]


def test_there_are_the_four_and_each_has_its_own_name() -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    assert [path.stem for path in DASHBOARDS] == ["agency-overview", "billing", "client", "operator-health"]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == 4
    for board in boards:
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_query_is_valid_and_its_metrics_exist(
    operators: Operators, tokyo: Agency, clock: DevClock, tmp_path: Path
) -> None:
    try:
        program = find_prometheus()
    except PackageUnavailableError as error:
        pytest.skip(str(error))
    operator = operators.start(dev_clock=clock.path, leader_election=False, client_metrics=True)
    tokyo.plan.set(billing={"basePoints": 10})
    acme = tokyo.ready_client()
    tokyo.report(acme.org_id, clock.now, visitors=3)
    acme.expect_used(visitors=3)
    day = clock.now.date()
    late, ahead = str(day - timedelta(days=9)), str(day + timedelta(days=9))
    invoices = [invoice("R-1", late), invoice("R-2", ahead), invoice("R-3", late, state="Paid")]
    tokyo.create(subscription(tokyo.name, invoices=invoices, startDate=str(day - timedelta(days=330))))
    acme.expect_state("Paused", "PaymentOverdue")

    with PrometheusServer(program, tmp_path, operator.metrics_port) as prometheus:

        def ask(path: str, **params: str) -> Any:
            answer = httpx.get(f"{prometheus.url}/api/v1/{path}", params=params, timeout=30, trust_env=False)
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]

        wait_until(lambda: ask("query", query="clientorg_client_points")["result"], 60, "the operator to be scraped")
        known = set(ask("label/__name__/values"))
        for path in DASHBOARDS:
            for query in queries(json.loads(path.read_text(encoding="utf-8"))):
                assert set(METRIC.findall(query)) <= known, f"{path.name}: {query}"
                assert METRIC.search(query), f"{path.name}: {query} asks for nothing"
                if not query.startswith("label_values("):
                    ask("query", query=query.replace("$agency", tokyo.name).replace("$client", "acme"))
        here = f'namespace="{tokyo.name}"'
        for query, value in {
            f'clientorg_portfolio_client_statuses{{{here},status="SuspendedUnpaid"}}': "1",
            f'clientorg_portfolio_subscriptions_ending{{{here},then="expires"}}': "1",
            f'clientorg_portfolio_invoice_amount{{{here},state="overdue",currency="USD"}}': "1200.5",
            f'clientorg_client_licenses{{{here},client="acme",kind="used"}}': "3",
            f'clientorg_portfolio_licenses{{{here},kind="granted"}}': "10",
        }.items():
            (found,) = ask("query", query=query)["result"]
            assert found["value"][1] == value, query


def test_no_series_is_a_clients_unless_asked_for(operators: Operators, tokyo: Agency) -> None:
    operator = operators.start()
    tokyo.ready_client()
    assert not [name for name in operator.metrics() if name.startswith("clientorg_client")]
