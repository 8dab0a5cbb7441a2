"""Moving licenses from one client to another in one step: nobody in the queue gets in between (FEATURES Z5)."""

from __future__ import annotations

import pytest

from clientorg.api.meta import ANNOTATION_TRANSFER
from clientorg.cluster.resources import CLIENT_ORGS
from tests.cluster.history import History
from tests.cluster.verbs import Agency, Client, license_items

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]


@pytest.fixture
def full(tokyo: Agency) -> Agency:
    """An agency whose 30 visitors are handed out: 20 to source, 10 to target; patient waits for 5."""
    tokyo.pool.stock(visitors=30)
    tokyo.ready_client("source", licenses={"visitors": 20})
    tokyo.ready_client("target", licenses={"visitors": 10})
    tokyo.client("patient", licenses={"visitors": 5}).expect_pending(1)
    return tokyo


def parts(agency: Agency) -> tuple[Client, Client, Client]:
    """Source, target and patient, whose name puts it first where nothing else does."""
    source, target, patient = (Client(agency.kube, agency.name, name) for name in ("source", "target", "patient"))
    return source, target, patient


def raise_target(target: Client, to: int, source_to: int, source: str = "source") -> None:
    """The first half of a move: the receiver asks, and says from whom."""
    patch = {
        "metadata": {"annotations": {ANNOTATION_TRANSFER: f"{source}/visitors/{source_to}/{to}"}},
        "spec": {"licenses": license_items({"visitors": to})},
    }
    target.kube.merge(CLIENT_ORGS, target.name, patch, target.namespace)


def test_moved_licenses_reach_the_receiver_past_one_who_waits(full: Agency) -> None:
    source, target, patient = parts(full)

    with History(full) as history:
        raise_target(target, to=18, source_to=12)
        source.ask_for(visitors=12)
        full.expect_all_ready([source, target])
        full.pool.expect_allocated(visitors=30)

    assert (source.granted, target.granted, patient.granted) == ({"visitors": 12}, {"visitors": 18}, {"visitors": 0})
    assert ("patient", 5) not in history.grants()
    patient.expect_pending(1, "5 visitors")


def test_half_a_move_waits_for_its_other_half_and_says_so(full: Agency) -> None:
    source, target, patient = parts(full)

    raise_target(target, to=18, source_to=12)

    target.expect_condition("LicensesAllocated", "False", "TransferPending", "source", "lower its quantity")
    assert source.granted == {"visitors": 20}
    source.ask_for(visitors=12)
    full.expect_all_ready([source, target])
    patient.expect_pending(1)


def test_half_a_move_holds_up_nobody(full: Agency) -> None:
    _, target, patient = parts(full)
    raise_target(target, to=18, source_to=12)
    target.expect_condition("LicensesAllocated", "False", "TransferPending")

    full.pool.stock(visitors=35)

    patient.expect_ready()
    assert target.granted == {"visitors": 10}


def test_move_called_off_leaves_an_ordinary_request(full: Agency) -> None:
    _, target, _ = parts(full)
    raise_target(target, to=18, source_to=12)
    target.expect_condition("LicensesAllocated", "False", "TransferPending")

    target.annotate({ANNOTATION_TRANSFER: None})

    target.expect_condition("LicensesAllocated", "False", "QuotaPending")
    full.pool.stock(visitors=43)
    target.expect_granted(visitors=18)


def test_move_from_a_client_that_is_deleted_is_served_when_it_is_gone(full: Agency) -> None:
    source, target, patient = parts(full)
    raise_target(target, to=30, source_to=0)
    target.expect_condition("LicensesAllocated", "False", "TransferPending")

    with History(full) as history:
        source.delete_confirmed()
        source.expect_gone()
        target.expect_granted(visitors=30)
        patient.expect_pending(1)

    assert ("patient", 5) not in history.grants()


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "source/visitors/-1/18",
        "source/seats/1/2",
        "target/visitors/10/18",
    ],
)
def test_annotation_that_fits_nothing_is_no_way_past_the_queue(full: Agency, text: str) -> None:
    """A mere hint: whoever writes it may be wrong, and must not be served before others by it."""
    _, target, patient = parts(full)
    target.annotate({ANNOTATION_TRANSFER: text})
    target.ask_for(visitors=18)
    full.pool.expect(lambda it: it["status"]["pendingClients"] == 2, "have two waiting")

    full.pool.stock(visitors=38)

    patient.expect_ready()
    target.expect_pending(1, "visitors")


def test_move_back_and_forth_keeps_the_sum(full: Agency) -> None:
    source, target, patient = parts(full)

    with History(full):
        for there, here in ((25, 5), (3, 27), (18, 12)):
            first, second = (target, source) if there > target.granted["visitors"] else (source, target)
            more, less = (there, here) if first is target else (here, there)
            raise_target(first, to=more, source_to=less, source=second.name)
            second.ask_for(visitors=less)
            full.expect_all_ready([source, target])
            assert (target.granted, source.granted) == ({"visitors": there}, {"visitors": here})
    patient.expect_pending(1)
