"""PointTransactions to the rules and back: nothing is lost, and what is built is what the CRD takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.meta import MAX_USERS
from clientorg.api.pointtransaction import Phase, PointTransaction, TransactionKind
from clientorg.domain.billing import Charge
from clientorg.domain.ledger_records import (
    charge_manifest,
    charge_of_json,
    settlement_manifest,
    transaction_manifest,
    transaction_of,
)

Json = dict[str, Any]

AGENCY, ORG_ID = "agency-tokyo", "7k2m9q4xta"
periods = st.builds("{:04d}-{:02d}".format, st.integers(2000, 2100), st.integers(1, 12))
charges = st.builds(
    Charge,
    period=periods,
    due=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    plan=st.sampled_from(["standard", "plans.v2"]),
    generation=st.integers(1, 99),
    users=st.integers(0, MAX_USERS),
    included_users=st.integers(0, MAX_USERS),
    base_points=st.integers(0, 10**15),
    points_per_extra_user=st.integers(0, 10**9),
    prorated=st.none() | st.tuples(st.integers(1, 31), st.just(31)),
    previous=st.none() | periods,
    resumed=st.booleans(),
)


def created(manifest: Json, status: Json | None = None) -> Json:
    """The manifest as the API server returns it."""
    metadata = {**manifest["metadata"], "uid": "u-1", "creationTimestamp": "2026-11-25T00:00:00Z"}
    return {**manifest, "metadata": metadata, "status": status or {"observedGeneration": -1}}


@given(charges)
def test_charge_frozen_in_its_transaction_comes_back_whole(charge: Charge) -> None:
    manifest = charge_manifest(AGENCY, "acme", ORG_ID, "tokyo", charge)

    assert charge_of_json(manifest["spec"]["charge"], manifest["spec"]["period"]) == charge
    assert manifest["spec"]["amount"] == charge.amount


@given(charges)
def test_frozen_charge_has_the_fields_of_the_api_and_no_others(charge: Charge) -> None:
    manifest = charge_manifest(AGENCY, "acme", ORG_ID, "tokyo", charge)

    read = PointTransaction.model_validate(manifest)
    again = read.model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]

    assert again == manifest["spec"]


def test_charge_is_named_by_client_and_period_and_goes_from_client_to_consumed() -> None:
    charge = Charge("2026-11", datetime(2026, 11, 25, tzinfo=UTC), "standard", 3, 12, 10, 1000, 50)

    manifest = charge_manifest(AGENCY, "acme", ORG_ID, "tokyo", charge)

    assert manifest["metadata"] == {"namespace": AGENCY, "name": "7k2m9q4xta-charge-2026-11"}
    assert manifest["spec"] == {
        "kind": "Charge",
        "from": "org/acme",
        "to": "consumed",
        "amount": 1100,
        "orgID": ORG_ID,
        "pool": "tokyo",
        "period": "2026-11",
        "charge": {
            "plan": "standard",
            "planGeneration": 3,
            "dueTime": "2026-11-25T00:00:00Z",
            "users": 12,
            "includedUsers": 10,
            "basePoints": 1000,
            "pointsPerExtraUser": 50,
            "resumed": False,
        },
    }


@pytest.mark.parametrize(
    ("balance", "movement"), [(70, ("org/acme", "consumed", 70)), (-30, ("pool/tokyo", "org/acme", 30))]
)
def test_settlement_consumes_a_surplus_and_makes_up_a_shortfall_from_the_pool(
    balance: int, movement: tuple[str, str, int]
) -> None:
    manifest = settlement_manifest(AGENCY, "acme", ORG_ID, "tokyo", balance)

    assert manifest is not None
    assert manifest["metadata"]["name"] == "7k2m9q4xta-settlement"
    spec = manifest["spec"]
    assert (spec["from"], spec["to"], spec["amount"]) == movement
    settled = transaction_of(created(manifest))
    assert settled.kind is TransactionKind.SETTLEMENT
    assert settled.org_change == -balance


def test_nothing_left_needs_no_settlement() -> None:
    assert settlement_manifest(AGENCY, "acme", ORG_ID, "tokyo", 0) is None


def test_what_is_not_posted_has_the_org_id_of_its_spec() -> None:
    manifest = transaction_manifest(
        AGENCY,
        "top-up-1",
        kind=TransactionKind.TOP_UP,
        source="pool/tokyo",
        target="org/acme",
        amount=40,
        org_id=ORG_ID,
        group={"name": "replenish-1", "size": 3},
        reason=None,
    )

    seen = transaction_of(created(manifest))

    assert "reason" not in manifest["spec"]
    assert (seen.uid, seen.name, seen.created) == ("u-1", "top-up-1", "2026-11-25T00:00:00Z")
    assert (seen.source, seen.target, seen.amount, seen.org_id) == ("pool/tokyo", "org/acme", 40, ORG_ID)
    assert seen.group == ("replenish-1", 3)
    assert seen.phase is None
    assert seen.entry is None


def test_what_is_posted_has_the_org_id_and_the_number_that_it_was_posted_under() -> None:
    manifest = transaction_manifest(
        AGENCY,
        "top-up-1-reversal",
        kind=TransactionKind.REVERSAL,
        source="org/acme",
        target="pool/tokyo",
        amount=40,
        reverses="top-up-1",
    )

    seen = transaction_of(created(manifest, {"phase": "Posted", "entry": 7, "orgID": ORG_ID, "pool": "tokyo"}))

    assert (seen.phase, seen.entry, seen.org_id, seen.reverses) == (Phase.POSTED, 7, ORG_ID, "top-up-1")
    assert seen.is_posted
    assert (seen.org, seen.pool, seen.org_change, seen.pool_change) == ("acme", "tokyo", -40, 40)
