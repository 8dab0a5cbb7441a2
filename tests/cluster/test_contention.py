"""Never over-allocated: under load, crashes, pauses and two operators at once (FEATURES X2; DESIGN rule 3).

`History` watches pool and clients throughout and checks each moment afterwards.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.cluster.history import History
from tests.cluster.operators import QUICK_LEASE, Operators
from tests.cluster.verbs import Agency, Client, is_ready
from tests.controlplane.waiting import wait_until

pytestmark = pytest.mark.cluster

BUSY_SECONDS = 90.0


def create_at_once(agency: Agency, count: int, prefix: str = "client", **fields: object) -> list[Client]:
    """Create so many clients, eight at a time."""
    with ThreadPoolExecutor(8) as workers:
        return list(workers.map(lambda n: agency.client(f"{prefix}-{n:03d}", **fields), range(count)))


def ask_at_once(wishes: Iterable[tuple[Client, int]]) -> None:
    """Change what clients ask for, eight at a time."""
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(lambda wish: wish[0].ask_for(visitors=wish[1]), wishes))


def count_ready(agency: Agency) -> int:
    """How many clients are Ready."""
    return sum(is_ready(item) for item in agency.list_clients())


def are_ready(agency: Agency, least: int) -> bool:
    """Whether so many clients are Ready."""
    return count_ready(agency) >= least


def expect_everybody_decided(agency: Agency, ready: int, waiting: int) -> None:
    """Wait until so many are Ready and so many wait, each at a place of its own."""

    def decided() -> bool:
        items = agency.list_clients()
        places = sorted(item["status"]["pending"]["position"] for item in items if "pending" in item["status"])
        exact = [place for place in places if place <= 10]
        return (
            sum(is_ready(item) for item in items) == ready
            and len(places) == waiting
            and exact == list(range(1, min(waiting, 10) + 1))
        )

    wait_until(decided, BUSY_SECONDS, f"{ready} clients to be Ready and {waiting} to wait in {agency.name}")


@pytest.mark.usefixtures("operator")
class TestRush:
    """Many at once on one pool."""

    def test_sixty_at_once_on_a_pool_for_forty(self, tokyo: Agency) -> None:
        tokyo.pool.stock(visitors=400)

        with History(tokyo):
            clients = create_at_once(tokyo, 60)
            expect_everybody_decided(tokyo, ready=40, waiting=20)
            tokyo.pool.expect_allocated(visitors=400)
            assert tokyo.pool.status["pendingClients"] == 20
            assert tokyo.pool.books()["pending"] == 200

            tokyo.pool.stock(visitors=600)
            tokyo.expect_all_ready(clients, BUSY_SECONDS)
        tokyo.pool.expect_allocated(visitors=600)

    def test_everybody_changes_the_mind_at_once(self, tokyo: Agency) -> None:
        tokyo.pool.stock(visitors=300)
        clients = create_at_once(tokyo, 30)
        tokyo.expect_all_ready(clients)

        with History(tokyo):
            for turn in range(3):
                ask_at_once((client, (number * 5 + turn * 7) % 21) for number, client in enumerate(clients))
            ask_at_once((client, 9) for client in clients)
            tokyo.expect_all_ready(clients, BUSY_SECONDS)
        assert tokyo.expect_balanced() == 270

    def test_rush_of_one_agency_holds_up_no_other(self, tokyo: Agency, osaka: Agency) -> None:
        tokyo.pool.stock(visitors=10_000)
        rush = create_at_once(tokyo, 60)
        acme = osaka.client("acme")

        acme.expect_ready()
        assert count_ready(tokyo) < len(rush)


class TestCrash:
    """SIGKILL between any two writes."""

    def test_killed_in_the_middle_of_a_hundred_creations(self, tokyo: Agency, operators: Operators) -> None:
        tokyo.pool.stock(visitors=1000)
        with History(tokyo):
            operator = operators.start(leader_election=False)
            clients = create_at_once(tokyo, 100)
            for share in (30, 70):
                wait_until(partial(are_ready, tokyo, share), BUSY_SECONDS, f"{share} to be Ready")
                operator.kill()
                operator = operators.start(leader_election=False)
            tokyo.expect_all_ready(clients, BUSY_SECONDS)
            assert tokyo.expect_balanced() == 1000
        assert not tokyo.pool.status.get("inFlight")

    def test_killed_while_a_short_pool_is_fought_over(self, tokyo: Agency, operators: Operators) -> None:
        tokyo.pool.stock(visitors=150)
        with History(tokyo):
            operator = operators.start(leader_election=False)
            clients = create_at_once(tokyo, 15)
            tokyo.expect_all_ready(clients)
            for turn in range(2):
                ask_at_once((client, (number * 11 + turn * 5) % 19) for number, client in enumerate(clients))
                operator.kill()
                operator = operators.start(leader_election=False)
            ask_at_once((client, 10) for client in clients)
            tokyo.expect_all_ready(clients, BUSY_SECONDS)
            assert tokyo.expect_balanced() == 150

    def test_pool_shrunk_while_the_operator_is_down(self, tokyo: Agency, operators: Operators) -> None:
        operator = operators.start(leader_election=False)
        acme = tokyo.ready_client(licenses={"visitors": 500})
        operator.kill()
        tokyo.pool.stock(visitors=400)
        acme.ask_for(visitors=600)
        beta = tokyo.client("beta", licenses={"visitors": 1})

        operators.start(leader_election=False)

        acme.expect(lambda it: "pending" in it["status"], "wait")
        beta.expect(lambda it: "pending" in it["status"], "wait")
        assert acme.granted == {"visitors": 500}
        tokyo.pool.expect_condition("OverCommitted", "True", "OverCommitted")


class TestTwoAtOnce:
    """Leases are for efficiency: two operators that both take themselves for the leader do no harm."""

    def test_two_operators_with_sixty_clients_and_edits(self, tokyo: Agency, operators: Operators) -> None:
        tokyo.pool.stock(visitors=500)
        with History(tokyo):
            for _ in range(2):
                operators.start(leader_election=False)
            clients = create_at_once(tokyo, 60)
            for turn in range(2):
                ask_at_once((client, (number * 3 + turn * 4) % 13) for number, client in enumerate(clients))
            for client in clients[50:]:
                client.delete_confirmed()
            ask_at_once((client, 9) for client in clients[:50])
            tokyo.expect_all_ready(clients[:50], BUSY_SECONDS)
            for client in clients[50:]:
                client.expect_gone()
            assert tokyo.expect_balanced() == 450

    def test_leader_that_was_paused_comes_back_to_a_new_one(self, tokyo: Agency, operators: Operators) -> None:
        """SIGSTOP and SIGCONT: a machine that froze, or a process that swapped. The old leader ends by itself."""
        tokyo.pool.stock(visitors=300)
        old = operators.start(**QUICK_LEASE)
        operators.start(**QUICK_LEASE)
        with History(tokyo):
            clients = create_at_once(tokyo, 40)
            old.usage().send_signal(signal.SIGSTOP)
            expect_everybody_decided(tokyo, ready=30, waiting=10)
            old.usage().send_signal(signal.SIGCONT)
            ask_at_once((client, 5) for client in clients)
            tokyo.expect_all_ready(clients, BUSY_SECONDS)
            assert tokyo.expect_balanced() == 200
        assert old.wait_exit(30) != 0


def test_waiting_survives_a_restart_in_its_order(tokyo: Agency, operators: Operators) -> None:
    operator = operators.start(leader_election=False)
    tokyo.pool.stock(visitors=10)
    holder = tokyo.ready_client("holder", licenses={"visitors": 10})
    late = tokyo.client("b-late", licenses={"visitors": 10})
    late.expect_pending(1)
    holder.ask_for(visitors=20)
    holder.expect_pending(2)
    before = late.status["pending"]

    operator.kill()
    operators.start(leader_election=False)

    holder.ask_for(visitors=5)
    tokyo.pool.expect_allocated(visitors=5)
    assert late.status["pending"] == before
    holder.ask_for(visitors=0)
    late.expect_ready()
