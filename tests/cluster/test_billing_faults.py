"""The monthly charge of many clients, with the operator killed in the middle of it (FEATURES S7, X3; DESIGN rule 4)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from clientorg.cluster.resources import POINT_TRANSACTIONS
from tests.cluster.pointverbs import BILLING, purchase, top_up, transactions, verify
from tests.cluster.verbs import Agency
from tests.controlplane.waiting import wait_until
from tests.support.devclock import DevClock
from tests.support.process import OperatorProcess

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("clockwork")]

CLIENTS = 150
DECEMBER = datetime(2026, 12, 25, tzinfo=UTC)


def posted(agency: Agency) -> int:
    """How many charges are posted."""
    found = agency.kube.list_all(POINT_TRANSACTIONS, agency.name)
    return sum(item["spec"]["kind"] == "Charge" and item["status"].get("phase") == "Posted" for item in found)


def expect_posted(agency: Agency, count: int) -> None:
    """Wait until so many charges are posted, at least."""
    wait_until(lambda: posted(agency) >= count, 30, f"{count} charges to be posted")


def test_everybody_is_charged_once_though_the_operator_is_killed_three_times(
    tokyo: Agency, clock: DevClock, clockwork: OperatorProcess
) -> None:
    tokyo.plan.set(billing=BILLING)
    clients = tokyo.clients(CLIENTS, licenses={"visitors": 1})
    tokyo.expect_all_ready(clients, 60)
    purchase(tokyo, 5000)
    top_up(clients[0], tokyo, 3000).expect_phase("Posted")

    clock.set(DECEMBER)
    for enough in (1, CLIENTS // 4, CLIENTS // 2):
        expect_posted(tokyo, enough)
        clockwork.kill()
        assert posted(tokyo) < CLIENTS, "it was killed after all was done"
        clockwork.start()

    expect_posted(tokyo, CLIENTS)
    charges = transactions(tokyo, "Charge")
    charged = Counter((item["spec"]["orgID"], item["spec"]["period"]) for item in charges)
    assert charged == Counter({(client.org_id, "2026-12"): 1 for client in clients})
    found = verify(tokyo)
    assert sorted(item["status"]["entry"] for item in transactions(tokyo)) == list(range(1, CLIENTS + 3))
    assert found.balances["consumed"] == CLIENTS * 1000
    assert clients[0].status["points"]["balance"] == 2000
