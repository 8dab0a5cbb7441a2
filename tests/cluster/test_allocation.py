"""Who gets licenses, in which order, and that the books are right (FEATURES Z2, Z4, Z5; DESIGN rule 3)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clientorg.cluster.resources import NAMESPACES
from tests.cluster.history import History
from tests.cluster.verbs import Agency, Client, condition_of, granted_of
from tests.support.kube import RefusedError

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]


@pytest.fixture
def small(tokyo: Agency) -> Agency:
    """An agency with 30 visitors."""
    tokyo.pool.stock(visitors=30)
    return tokyo


class TestShortPool:
    """Who cannot be served waits visibly and holds up nobody."""

    def test_waiting_client_says_its_place_what_is_missing_and_what_to_do(self, small: Agency) -> None:
        small.ready_client("first", licenses={"visitors": 25})
        second = small.client("second", licenses={"visitors": 12})
        third = small.client("third", licenses={"visitors": 20})

        message = condition_of(second.expect_pending(1, "7 visitors"), "LicensesAllocated")["message"]
        third.expect_pending(2, "15 visitors")
        assert "position 1 in the queue" in message
        assert "visitors 0 of 12" in message
        assert "raise the pool" in message
        for client in (second, third):
            found = client.read()
            assert condition_of(found, "Ready")["reason"] == "QuotaPending"
            assert condition_of(found, "Reconciling")["status"] == "True"
            assert condition_of(found, "Stalled")["status"] == "False"
            assert found["status"]["state"] == "Provisioning"
        small.pool.expect(lambda it: it["status"].get("pendingClients") == 2, "count who waits")
        assert small.pool.books() == {"name": "visitors", "total": 30, "allocated": 25, "available": 5, "pending": 32}

    def test_nothing_is_built_before_the_first_grant(self, small: Agency) -> None:
        acme = small.client(licenses={"visitors": 31})

        acme.expect_pending(1)

        assert small.kube.find(NAMESPACES, acme.workspace) is None

    def test_request_that_fits_is_not_held_up_by_a_larger_one_before_it(self, small: Agency) -> None:
        small.client("large", licenses={"visitors": 31}).expect_pending(1)

        small.ready_client("little", licenses={"visitors": 30})

    def test_nobody_overtakes_where_the_agency_wants_strict_order(self, small: Agency) -> None:
        small.pool.edit(queueing="StrictFIFO")
        large = small.client("large", licenses={"visitors": 31})
        large.expect_pending(1)
        little = small.client("little", licenses={"visitors": 5})

        little.expect_pending(2, "earlier requests are served first")

        small.pool.stock(visitors=36)
        small.expect_all_ready([large, little])

    def test_strict_order_is_for_each_license_by_itself(self, small: Agency) -> None:
        small.pool.edit(queueing="StrictFIFO")
        small.pool.stock(visitors=5, seats=5)
        small.client("large", licenses={"visitors": 6}).expect_pending(1)

        small.ready_client("seated", licenses={"seats": 5})

    def test_grown_pool_serves_first_come_first(self, small: Agency) -> None:
        waiting = []
        for number in range(4):
            waiting.append(small.client(f"c{number}", licenses={"visitors": 40}))
            waiting[-1].expect_pending(number + 1)

        with History(small) as history:
            small.pool.stock(visitors=80)
            small.expect_all_ready(waiting[:2])
            waiting[2].expect_pending(1, "40 visitors")
            waiting[3].expect_pending(2)
            small.pool.stock(visitors=160)
            small.expect_all_ready(waiting)
        served = [name for name, _ in history.grants()]
        assert set(served[:2]) == {"c0", "c1"}  # in one batch, and their statuses are written side by side
        small.pool.expect_allocated(visitors=160)

    def test_returned_licenses_go_to_who_waits(self, small: Agency) -> None:
        first = small.ready_client("first", licenses={"visitors": 30})
        second = small.client("second", licenses={"visitors": 10})
        second.expect_pending(1)

        with History(small):
            first.ask_for(visitors=20)
            second.expect_ready()
            small.pool.expect_allocated(visitors=30)
        assert first.granted == {"visitors": 20}

    def test_place_in_the_queue_moves_up_when_one_before_gives_up(self, small: Agency) -> None:
        first = small.client("first", licenses={"visitors": 31})
        first.expect_pending(1)
        second = small.client("second", licenses={"visitors": 32})
        second.expect_pending(2)

        first.ask_for(visitors=3)

        second.expect_pending(1, "5 visitors")
        first.expect_ready()


class TestSeveralLicenses:
    """All that a client asks for, or nothing of it."""

    def test_client_gets_all_of_its_licenses_or_none(self, tokyo: Agency) -> None:
        tokyo.pool.stock(visitors=100, seats=3)
        acme = tokyo.client(licenses={"visitors": 50, "seats": 5})

        acme.expect_pending(1, "2 seats")
        assert acme.granted == {"visitors": 0, "seats": 0}
        tokyo.pool.expect_allocated(visitors=0, seats=0)

        tokyo.pool.stock(visitors=100, seats=5)
        acme.expect_ready()
        tokyo.pool.expect_allocated(visitors=50, seats=5)

    def test_one_short_license_blocks_nobody_who_wants_another(self, tokyo: Agency) -> None:
        tokyo.pool.stock(visitors=100, seats=3)
        tokyo.client("both", licenses={"visitors": 100, "seats": 5}).expect_pending(1)

        tokyo.ready_client("acme", licenses={"visitors": 100})

    def test_license_added_later_is_drawn_and_one_taken_out_returned(self, tokyo: Agency) -> None:
        tokyo.pool.stock(visitors=100, seats=3)
        acme = tokyo.ready_client(licenses={"visitors": 50})

        acme.ask_for(visitors=50, seats=2)
        acme.expect_granted(visitors=50, seats=2)
        tokyo.pool.expect_allocated(visitors=50, seats=2)

        acme.ask_for(seats=2)
        acme.expect_granted(seats=2)
        tokyo.pool.expect_allocated(visitors=0, seats=2)
        acme.expect_ready()


class TestChange:
    """Raise and reduce at any time."""

    def test_raise_draws_the_difference(self, small: Agency) -> None:
        acme = small.ready_client(licenses={"visitors": 10})

        with History(small):
            acme.ask_for(visitors=30)
            acme.expect_granted(visitors=30)
            small.pool.expect_allocated(visitors=30)
        acme.expect_ready()

    def test_raise_that_does_not_fit_keeps_what_is_held_and_the_workspace_working(self, small: Agency) -> None:
        acme = small.ready_client(licenses={"visitors": 20})

        acme.ask_for(visitors=35)

        acme.expect_pending(1, "granted visitors 20 of 35", "5 visitors")
        assert acme.status["state"] == "Active"
        assert acme.granted == {"visitors": 20}
        small.pool.expect_allocated(visitors=20)
        acme.ask_for(visitors=30)
        acme.expect_ready()

    def test_reduction_is_returned_at_once(self, small: Agency) -> None:
        acme = small.ready_client(licenses={"visitors": 20})

        acme.ask_for(visitors=0)

        acme.expect_granted(visitors=0)
        small.pool.expect_allocated(visitors=0)
        acme.expect_ready()

    def test_raise_taken_back_while_it_waits_leaves_no_trace(self, small: Agency) -> None:
        acme = small.ready_client(licenses={"visitors": 20})
        acme.ask_for(visitors=50)
        acme.expect_pending(1)

        acme.ask_for(visitors=20)

        found = acme.expect_ready()
        assert "pending" not in found["status"]
        small.pool.expect(lambda it: it["status"]["pendingClients"] == 0, "have nobody waiting")

    def test_strict_queue_moves_on_when_the_first_takes_its_raise_back(self, small: Agency) -> None:
        small.pool.edit(queueing="StrictFIFO")
        acme = small.ready_client(licenses={"visitors": 20})
        acme.ask_for(visitors=50)
        acme.expect_pending(1)
        beta = small.client("beta")
        beta.expect_pending(2, "earlier requests")

        acme.ask_for(visitors=20)

        small.expect_all_ready([acme, beta])

    def test_reduction_below_use_is_refused_and_above_it_taken(self, small: Agency) -> None:
        acme = small.ready_client(licenses={"visitors": 20})
        small.report(acme.org_id, datetime.now(UTC), visitors=12)
        acme.expect(lambda it: it["status"]["licenses"][0].get("used") == 12, "have used 12")

        with pytest.raises(RefusedError, match="visitors 12"):
            acme.ask_for(visitors=11)
        acme.ask_for(visitors=12)

        acme.expect_granted(visitors=12)
        small.pool.expect_allocated(visitors=12)


class TestShrunkPool:
    """A pool below what is allocated evicts nobody and grants nothing more."""

    def test_shrunk_pool_is_over_committed_and_evicts_nobody(self, small: Agency) -> None:
        first, second = (small.ready_client(name, licenses={"visitors": 15}) for name in ("first", "second"))

        with History(small):
            small.pool.stock(visitors=20)
            small.pool.expect_condition("OverCommitted", "True", "OverCommitted", "visitors by 10", "nobody is evicted")
            third = small.client("third", licenses={"visitors": 1})
            third.expect_pending(1, "visitors")
            second.ask_for(visitors=16)
            small.pool.expect(lambda it: it["status"]["pendingClients"] == 2, "have two waiting")
            assert (first.granted, second.granted) == ({"visitors": 15}, {"visitors": 15})
            assert small.pool.books()["available"] == -10

            second.ask_for(visitors=5)
            small.pool.expect_allocated(visitors=20)
            small.pool.expect_condition("OverCommitted", "False", "WithinCapacity")
            third.expect_pending(1, "lacks 1 visitors")
            second.ask_for(visitors=3)
            small.expect_all_ready([first, second, third])
            small.pool.expect_allocated(visitors=19)

    def test_license_that_leaves_the_pool_is_told_to_its_holders_and_comes_back(self, tokyo: Agency) -> None:
        tokyo.pool.stock(visitors=100, seats=5)
        acme = tokyo.ready_client(licenses={"visitors": 10, "seats": 5})
        beta = tokyo.ready_client("beta")

        tokyo.pool.stock(visitors=100)

        acme.expect_stalled("LicenseUnknown", "seats")
        assert acme.granted == {"visitors": 10, "seats": 5}
        tokyo.pool.expect_condition("OverCommitted", "True", "OverCommitted", "seats by 5")
        beta.ask_for(visitors=50)
        beta.expect_ready()
        tokyo.pool.stock(visitors=100, seats=5)
        acme.expect_ready()
        tokyo.pool.expect_allocated(visitors=60, seats=5)


class TestLargeNumbers:
    """Quantities up to 2^53."""

    def test_whole_of_a_huge_pool_is_handed_out(self, tokyo: Agency) -> None:
        tokyo.pool.stock(visitors=2**53)

        acme = tokyo.ready_client(licenses={"visitors": 2**53})

        assert acme.granted == {"visitors": 2**53}
        tokyo.pool.expect_allocated(visitors=2**53)

    def test_huge_requests_that_wait_hold_up_nobody(self, tokyo: Agency) -> None:
        """What all of them ask for is more than any field holds."""
        for number in range(3):
            tokyo.client(f"huge-{number}", licenses={"visitors": 2**53}).expect_pending(number + 1)

        tokyo.ready_client("acme")


def test_totals_are_right_after_much_coming_and_going(tokyo: Agency) -> None:
    tokyo.pool.stock(visitors=100)
    with History(tokyo):
        clients = tokyo.clients(12, licenses={"visitors": 10})
        for number, client in enumerate(clients):
            client.ask_for(visitors=(number * 7) % 25)
        for client in clients[::2]:
            client.ask_for(visitors=5)
        for client in clients[1::2]:
            client.ask_for(visitors=11)
        tokyo.expect_all_ready(clients)

        assert tokyo.expect_balanced() == sum(granted_of(client.read())["visitors"] for client in clients) == 96


def make_pool_of_high_serial(agency: Agency) -> Client:
    """A client whose licenses were granted under the tenth serial number of its pool."""
    acme = agency.ready_client(licenses={"visitors": 1})
    for quantity in range(2, 11):
        acme.ask_for(visitors=quantity)
        acme.expect_granted(visitors=quantity)
    return acme


def test_pool_that_lost_its_books_goes_on_serving(tokyo: Agency) -> None:
    """A pool restored from Git or a backup has no status; its clients know what they hold."""
    acme = make_pool_of_high_serial(tokyo)
    tokyo.pool.annotate({"clientorg.dev/confirm-deletion": "pool"})
    tokyo.pool.delete()
    tokyo.kube.merge(tokyo.pool.resource, "pool", {"metadata": {"finalizers": None}}, tokyo.name)
    tokyo.pool.expect_gone()

    with_books = tokyo.new_pool("pool", visitors=30)

    with_books.expect_allocated(visitors=10)
    acme.expect_ready()
    acme.ask_for(visitors=20)
    acme.expect_granted(visitors=20)
    beta = tokyo.client("beta", licenses={"visitors": 11})
    beta.expect_pending(1, "1 visitors")
    with_books.expect_allocated(visitors=20)
    assert with_books.status["lastGrant"] > 10
