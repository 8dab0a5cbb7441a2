"""The real runtime on the API server in memory: pauses for what is unpaid or over, rolling terms, weekly snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from clientorg.cluster.resources import CLIENT_ORGS, ORG_PLANS, SUBSCRIPTIONS, USAGE_REPORTS
from tests.support import builders
from tests.support.builders import invoice, subscription
from tests.unit.apiserver import Json
from tests.unit.world import AGENCY, World


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class Hand:
    """A clock that stands still until it is set."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment


class Story:
    """One client, its operator, and the time in our hands."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hand = Hand(at("2026-11-25T09:00:00"))
        world.clock = self.hand
        self.operator = world.start()
        world.create("acme", visitors=100)
        self.rest()

    def rest(self) -> None:
        self.world.calm_down()

    def time(self, text: str) -> None:
        self.hand.moment = at(text)
        self.operator.look_at_clock()
        self.rest()

    def subscribe(self, name: str = "acme-1", **spec: Any) -> None:
        item = subscription(AGENCY, name, **spec)
        item["spec"].setdefault("products", [{"name": "visitors", "licenses": 100}])
        self.world.server.create(SUBSCRIPTIONS, item)
        self.rest()

    def edit(self, name: str = "acme-1", **spec: Any) -> None:
        self.world.server.edit(SUBSCRIPTIONS, AGENCY, name, {"spec": spec})
        self.rest()

    def plan(self, **spec: Any) -> None:
        self.world.server.edit(ORG_PLANS, AGENCY, "standard", {"spec": spec})
        self.rest()

    @property
    def acme(self) -> Json:
        return dict(self.world.client("acme")["status"])

    def order(self, name: str = "acme-1") -> Json:
        found = self.world.server.one(SUBSCRIPTIONS, AGENCY, name)
        assert found is not None
        return dict(found["status"])


@pytest.fixture
def story() -> Iterator[Story]:
    with World(visitors=1000) as world:
        yield Story(world)
        world.check()


def why(status: Json) -> list[str]:
    return list(status.get("pauseReasons") or ())


def test_a_trial_is_over_extended_and_converted_and_its_terms_roll(story: Story) -> None:
    assert story.acme["standing"] == ["Active"]
    story.subscribe(type="Trial", startDate="2026-11-25", term={"days": 14})
    assert (story.order()["state"], story.acme["standing"]) == ("Trial", ["Trial"])
    assert story.order()["expiryDate"] == "2026-12-09"
    story.time("2026-12-02T00:00:00")
    assert (story.order()["state"], story.acme["standing"]) == ("ExpiringSoon", ["ExpiringSoon", "Trial"])
    story.time("2026-12-09T00:00:00")
    assert (story.order()["state"], story.acme["standing"]) == ("Expired", ["Expired"])
    assert why(story.acme) == ["TrialExpired"]
    story.plan(subscriptions={"whenTrialExpires": "Keep"})
    assert why(story.acme) == []
    story.plan(subscriptions={"whenTrialExpires": "Pause"})
    assert why(story.acme) == ["TrialExpired"]
    story.edit(renewalDate="2027-01-15")
    assert (why(story.acme), story.order()["state"]) == ([], "Trial")
    story.edit(type="Paid", startDate="2026-12-10", renewalDate=None, term={"days": None, "months": 1}, autoRenew=True)
    story.time("2027-04-11T00:00:00")
    term = {"number": 5, "startDate": "2027-04-10", "endDate": "2027-05-10"}
    assert (story.order()["term"], story.order()["renewalDate"]) == (term, "2027-05-10")
    assert "expiryDate" not in story.order()
    story.time("2027-05-10T00:00:00")
    assert story.order()["term"]["number"] == 6


def test_what_is_unpaid_pauses_until_it_is_paid_also_by_a_new_operator(story: Story) -> None:
    story.subscribe(autoRenew=True, invoices=[invoice("R-7", "2026-11-30")])
    story.time("2026-11-30T23:59:59")
    assert why(story.acme) == []
    story.time("2026-12-01T00:00:00")
    assert (why(story.acme), story.acme["standing"]) == (["PaymentOverdue"], ["SuspendedUnpaid"])
    assert (story.order()["state"], story.order()["unpaidSince"]) == ("SuspendedUnpaid", "2026-12-01")
    (message,) = (c["message"] for c in story.acme["conditions"] if c["type"] == "Paused")
    assert "invoice R-7 of Subscription 'acme-1' over 1200.50 USD was due on 2026-11-30" in message
    story.operator = story.world.replace(story.operator)
    story.rest()
    assert why(story.acme) == ["PaymentOverdue"]
    story.plan(subscriptions={"unpaidToleranceDays": 3})
    assert why(story.acme) == []
    story.time("2026-12-04T00:00:00")
    assert why(story.acme) == ["PaymentOverdue"]
    story.edit(invoices=[invoice("R-7", "2026-11-30", state="Paid")])
    assert (why(story.acme), story.acme["standing"]) == ([], ["Active"])
    assert "unpaidSince" not in story.order()
    story.edit(invoices=[invoice("R-7", "2026-11-30")])
    assert why(story.acme) == ["PaymentOverdue"]
    story.world.server.remove(SUBSCRIPTIONS, AGENCY, "acme-1")
    story.rest()
    assert why(story.acme) == []


def test_one_that_overlaps_is_stalled_and_does_not_count_until_the_other_goes(story: Story) -> None:
    story.subscribe(startDate="2026-01-01")
    story.subscribe("acme-2", startDate="2026-06-01", invoices=[invoice("R-1", "2026-07-01")])
    stalled = {c["type"]: c for c in story.order("acme-2")["conditions"]}["Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "TermOverlaps")
    assert (
        "visitors are covered by Subscription 'acme-1' already, which runs from 2026-01-01 until 2027-01-01"
        in (stalled["message"])
    )
    assert why(story.acme) == []
    story.world.server.remove(SUBSCRIPTIONS, AGENCY, "acme-1")
    story.rest()
    assert {c["type"]: c["status"] for c in story.order("acme-2")["conditions"]}["Ready"] == "True"
    assert why(story.acme) == ["PaymentOverdue"]


def test_an_order_waits_for_its_client_and_one_for_nobody_says_so(story: Story) -> None:
    story.subscribe("order-1", client=None)
    assert story.order("order-1")["state"] == "ReadyToSetUp"
    story.subscribe("lost", client="nobody")
    assert {c["type"]: c["reason"] for c in story.order("lost")["conditions"]}["Stalled"] == "ClientNotFound"
    story.world.create("nobody", visitors=1)
    story.rest()
    assert {c["type"]: c["status"] for c in story.order("lost")["conditions"]}["Ready"] == "True"


def test_a_week_is_one_write_and_a_missed_one_a_gap(story: Story) -> None:
    story.plan(metrics=[{"name": "calls", "unit": "calls", "kind": "Counter"}])
    report = builders.report(AGENCY, story.acme["orgID"], at("2026-11-25T08:00:00"), visitors=10)
    report["spec"]["meters"][0]["assigned"] = 40
    report["spec"]["metrics"] = [{"name": "calls", "value": 7}]
    story.world.server.create(USAGE_REPORTS, report)
    story.rest()
    assert story.acme["licenses"][0]["assigned"] == 40
    story.time("2026-11-28T23:59:59")
    assert "trends" not in story.acme
    before = story.world.server.writes
    story.time("2026-11-29T00:00:00")
    assert story.world.server.writes == before + 1
    assert story.acme["trends"] == {
        "weeks": ["2026-11-29"],
        "licenses": [{"name": "visitors", "allocated": [100], "assigned": [40], "used": [10], "counted": [10]}],
        "metrics": [{"name": "calls", "values": [7], "sources": [{"source": "default", "value": 7}]}],
    }
    story.time("2026-11-29T18:00:00")
    story.time("2026-12-07T00:00:00")
    assert story.acme["trends"]["weeks"] == ["2026-11-29"]
    story.time("2026-12-13T07:00:00")
    assert story.acme["trends"]["weeks"] == ["2026-11-29", "2026-12-13"]
    assert story.acme["trends"]["metrics"][0]["values"] == [7, None]  # what was said three weeks ago is no news

    story.world.server.edit(CLIENT_ORGS, AGENCY, "acme", {"spec": {"state": "Deactivated"}})
    story.rest()
    story.time("2026-12-20T00:00:00")
    assert story.acme["trends"]["weeks"] == ["2026-11-29", "2026-12-13"]
    assert "standing" not in story.acme
    assert story.world.client("acme")["status"]["state"] == "Deactivated"


def test_the_portfolio_is_told_as_sums_of_the_agency(story: Story) -> None:
    story.subscribe(
        startDate="2026-01-01",
        invoices=[invoice("R-1", "2026-11-01"), invoice("R-2", "2026-12-30"), invoice("R-3", state="Paid")],
    )
    story.subscribe("order-1", client=None)

    def told(name: str, **labels: str) -> float | None:
        runtime = story.operator.runtime
        runtime._refresh_metrics()
        return runtime.metrics.registry.get_sample_value(f"clientorg_{name}", {"namespace": AGENCY, **labels})

    assert told("portfolio_clients", state="Paused") == 1
    assert told("portfolio_clients", state="Active") == 0
    assert told("portfolio_client_statuses", status="SuspendedUnpaid") == 1
    assert told("portfolio_licenses", license="visitors", kind="granted") == 100
    assert told("portfolio_subscriptions", type="Paid", state="ReadyToSetUp") == 1
    assert told("portfolio_subscriptions_ending", then="expires") == 1
    assert told("portfolio_subscriptions_ending", then="renews") == 0
    for state, number in (("overdue", 1), ("open", 1), ("paid", 1)):
        assert told("portfolio_invoices", currency="USD", state=state) == number
        assert told("portfolio_invoice_amount", currency="USD", state=state) == 1200.5
    assert told("client_points", client="acme") is None
