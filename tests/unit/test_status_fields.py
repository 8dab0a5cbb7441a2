"""What the operator writes into a status has a field there: the API server drops what it does not know, silently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.api.base import ApiModel
from clientorg.api.clientorg import ClientOrg, ClientStatus, WantedState
from clientorg.api.metric import MetricKind
from clientorg.api.orgapproval import ApprovalDecision
from clientorg.api.orgplan import FirstCharge, UserReduction
from clientorg.api.quotapool import QuotaPool
from clientorg.api.schema import structural_schema
from clientorg.domain.allocation import Grant, Holder, Waiting
from clientorg.domain.approval import Approval
from clientorg.domain.billing import Account, BillingTerms
from clientorg.domain.client_facts import Facts, Problem
from clientorg.domain.client_status import status_of
from clientorg.domain.ledger import Entry, GroupState, Head
from clientorg.domain.lifecycle import Deactivation, Reminder
from clientorg.domain.points import Users, points_of
from clientorg.domain.pool_status import LedgerFacts, PoolFacts, pool_status
from clientorg.domain.records import Crossing
from clientorg.domain.snapshots import LicenseSample, MetricSample, Sample, take
from clientorg.domain.termination import Termination
from clientorg.domain.usage import Meter, Period, Usage

NOW = datetime(2026, 12, 24, tzinfo=UTC)
SNAPSHOT = Sample({"visitors": LicenseSample(5, 3, 5, 5)}, {"calls": MetricSample(MetricKind.COUNTER, {"a": 1}, "a")})
TERMS = BillingTerms(
    plan="standard",
    generation=1,
    base_points=1000,
    included_users=10,
    points_per_extra_user=50,
    anchor_day=25,
    first_charge=FirstCharge.NEXT_ANCHOR,
    user_reduction=UserReduction.NEXT_PERIOD,
    negative_tolerance_days=7,
    time_zone=ZoneInfo("UTC"),
)


def unknown(schema: dict[str, Any], value: Any, path: str = "status") -> Iterator[str]:
    """Paths in the value that the schema has no field for."""
    if isinstance(value, dict) and "properties" in schema:
        for name, item in value.items():
            if name not in schema["properties"]:
                yield f"{path}.{name}"
            else:
                yield from unknown(schema["properties"][name], item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from unknown(schema["items"], item, f"{path}[]")


def missing(schema: dict[str, Any], value: Any, path: str = "status") -> Iterator[str]:
    """Fields of the objects that the value has which it does not fill; the tests have to fill them all."""
    if isinstance(value, dict) and "properties" in schema:
        for name, part in schema["properties"].items():
            if name not in value:
                yield f"{path}.{name}"
            else:
                yield from missing(part, value[name], f"{path}.{name}")


def status_schema(model: type[ApiModel]) -> dict[str, Any]:
    return dict(structural_schema(model)["properties"]["status"])


def test_everything_that_a_pool_says_has_a_field() -> None:
    ledger = LedgerFacts(
        head=Head(10, 5, (GroupState("all", 3, 20),)),
        in_flight=(Entry("u1", "top-up", 5, "abc", -7),),
        waiting_points=30,
        waiting=2,
        next_charges=1000,
        needed=500,
        needed_by="2026-12-25T00:00:00Z",
        low_below=100,
    )
    facts = PoolFacts(
        generation=1,
        deleting=False,
        capacity={"visitors": 5},
        allocated={"visitors": 6},
        in_flight=(Grant("u", "acme", 1, "visitors", 0, 5),),
        waiting=(Waiting("u", "acme", 1, {"visitors": 1}),),
        wanted_more={"visitors": 1},
        clients=2,
        last_grant=1,
        writer="me",
        source=("", "well"),
        ledger=ledger,
    )

    status = pool_status(facts, {}, "2026-12-24T00:00:00Z")

    schema = status_schema(QuotaPool)
    assert list(unknown(schema, status)) == []
    assert list(missing(schema, status)) == ["status.outbox"], "the messages are added by the pass"


def test_everything_that_a_client_says_has_a_field() -> None:
    points = points_of(
        balance=-5,
        pending=3,
        account=Account("2026-11", "2026-11"),
        users=12,
        terms=TERMS,
        negative_since=NOW,
        now=NOW,
        runs=True,
    )
    reminder = Reminder(30, NOW, NOW, skipped=True)
    facts = Facts(
        generation=1,
        org_id="abc",
        namespace="acme-abc",
        url="https://example.com",
        holder=Holder({"visitors": 5}, 1),
        asked={"visitors": 6},
        wanted={"visitors": 6},
        used={"visitors": 5},
        state=WantedState.DEACTIVATED,
        usage=Usage({("a", "visitors"): Meter("a", "visitors", 5, 5, NOW)}, {"visitors": Period("2026-12", 0)}),
        crossings=(Crossing("visitors", "2026-12", 80, NOW),),
        waiting=Waiting("u", "acme", 1, {"visitors": 1}),
        pending_since="2026-12-24T00:00:00Z",
        pause_reasons=(),
        deactivation=Deactivation(NOW, NOW, (reminder,), NOW, NOW),
        note=Problem("Ready", "x"),  # type: ignore[arg-type]
        undelivered="",
        outbox=({"key": "k", "kind": "paused", "params": {}, "created": "2026-12-24T00:00:00Z"},),
        reconcile_requested="a",
        resend_requested="b",
        transferred="c",
        approval=Approval(NOW, NOW, ApprovalDecision.APPROVE, NOW, "me", "why", "name", NOW),
        points=points,
        users=Users(10, 5, NOW),
        termination=Termination(NOW, NOW, "abc-settlement", NOW),
        blueprint={"revision": "0123456789abcdef", "plan": "standard", "objects": ["ConfigMap/welcome"]},
        payment_link_requested="d",
        assigned={"visitors": 3},
        standing=(ClientStatus.TRIAL,),
        trends=take(None, NOW.date(), SNAPSHOT),
        access={"agency": "Full", "granted": "Full", "support": "ReadOnly"},
    )
    schema = status_schema(ClientOrg)

    status = status_of(facts, {"workspace": {"readyTime": "2026-11-24T00:00:00Z"}}, "2026-12-24T00:00:00Z")

    assert list(unknown(schema, status)) == []
    gone = ["status.workspace.blueprint", "status.pauseReasons"]
    assert list(missing(schema, status)) == gone, "nobody is paused, or has a blueprint, after the purge"
    before = status_of(replace(facts, deactivation=None), {}, "2026-12-24T00:00:00Z")
    assert list(missing(schema["properties"]["workspace"], before["workspace"], "")) == [".readyTime"]
