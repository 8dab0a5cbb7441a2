"""What a client's manifest tells of its points, and whether charges come for it; and dates that follow from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clientorg.cli.accountentries import account_entries
from clientorg.cli.dates import Calendar
from clientorg.cli.forecast import Position, forecast
from clientorg.cli.planrules import plan_rules
from clientorg.cli.pointpreview import Movement, warnings
from clientorg.domain.billing import BillingTerms
from clientorg.domain.points import account_of
from clientorg.domain.points_record import NotCharged, points_record, why_not_charged
from tests.unit.cli_builders import client

Json = dict[str, Any]

NOW = datetime(2026, 10, 23, 10, tzinfo=UTC)
ENDED = {"termination": {"executedTime": "2026-10-01T00:00:00Z"}}
LEAVING = {"deactivation": {"since": "2026-10-01T00:00:00Z", "purgeAfter": "2027-01-01T00:00:00Z"}}
POINTS = {"balance": 5, "chargesFrom": "2026-03", "chargedThrough": "2026-09"}


def terms(zone: str = "UTC") -> BillingTerms:
    """Terms of a plan: 1,000 points on the 25th."""
    spec = {"timeZone": zone, "billing": {"basePoints": 1000, "includedUsers": 10, "pointsPerExtraUser": 50}}
    found = plan_rules({"metadata": {"name": "standard"}, "spec": spec}).billing
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("spec", "status", "metadata", "why"),
    [
        ({}, {}, {}, None),
        ({"state": "Paused"}, {}, {}, None),
        ({"state": "Deactivated"}, {}, {}, NotCharged.DEACTIVATED),
        ({}, LEAVING, {}, NotCharged.DEACTIVATED),
        ({}, {**LEAVING, **ENDED}, {}, NotCharged.TERMINATED),
        ({"termination": {"time": "2027-01-01T00:00:00Z"}}, {}, {}, None),
        ({}, {}, {"deletionTimestamp": "2026-10-23T00:00:00Z"}, NotCharged.DELETED),
        ({}, {"state": "Rejected"}, {}, NotCharged.REJECTED),
    ],
)
def test_charges_come_while_the_contract_runs(spec: Json, status: Json, metadata: Json, why: NotCharged | None) -> None:
    item = client(status=status, metadata=metadata)
    assert why_not_charged(item | {"spec": item["spec"] | spec}) is why


def test_status_tells_the_charges_so_far_and_the_ledger_may_know_more() -> None:
    item = client(status={"points": POINTS})
    assert account_of(item, terms()).charged == "2026-09"
    assert account_of(item, terms(), "2026-10").charged == "2026-10"
    assert account_of(client(status={}), terms(), "2026-10").charges_from is None


def test_a_client_that_never_had_points_has_no_record() -> None:
    assert points_record(client(status={})) is None
    assert points_record(None) is None


def test_a_pause_is_foretold_by_the_plans_calendar_through_dst() -> None:
    """Seven days are seven days of the wall clock: the operator counts so, and the preview says the same."""
    berlin = terms("Europe/Berlin")  # clocks go back on 25 October 2026
    item = client(status={"points": POINTS})
    view = forecast(item, berlin, Position(5, 0, "2026-09"), NOW)
    spec = {"kind": "Withdrawal", "from": "org/acme", "to": "pool/main", "amount": 10}
    (text,) = warnings(Movement(spec, view, None), None, Calendar(ZoneInfo("Europe/Berlin"), "Europe/Berlin"), NOW)
    assert "paused from 2026-10-30 12:00 CET on" in text


def test_the_timeline_tells_no_charge_of_a_period_that_begins_with_the_contracts_end() -> None:
    item = client(status={"points": POINTS})
    item["spec"]["termination"] = {"time": "2026-11-25T00:00:00Z"}
    told = [entry.time for entry in account_entries(item, terms(), NOW) if entry.what == "Charge"]
    assert told == [datetime(2026, 10, 25, tzinfo=UTC)]
