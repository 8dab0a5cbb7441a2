"""More clients at once than a round of the pool has room for: all are served, and none is told to wait for another."""

from __future__ import annotations

from clientorg.api.clientorg import ClientOrgSpec
from clientorg.cluster.resources import CLIENT_ORGS, QUOTA_POOLS
from clientorg.control import pools
from tests.unit.apiserver import Json, MemoryServer
from tests.unit.world import World

EVERYBODY = 40


def history_of(server: MemoryServer, plural: str) -> list[Json]:
    """Every version of the objects of a kind."""
    return [event.decoded() for event in server.history if event.plural == plural]


def test_who_comes_in_a_later_round_is_granted_without_being_told_to_wait() -> None:
    with World(seats=EVERYBODY) as world:
        for number in range(EVERYBODY):
            world.create(f"client-{number}", seats=1)
        world.start()
        world.settle()

        assert [client["status"]["state"] for client in world.clients()] == ["Active"] * EVERYBODY
        assert not any("pending" in client.get("status", {}) for client in history_of(world.server, CLIENT_ORGS.plural))
        in_flight = [len(pool["status"].get("inFlight") or ()) for pool in history_of(world.server, QUOTA_POOLS.plural)]
        assert 16 <= max(in_flight) < 32, "as many as are worked on at once, and a few more for each pass"


def test_who_does_not_fit_into_the_pool_is_told_so() -> None:
    with World(seats=EVERYBODY - 2) as world:
        for number in range(EVERYBODY):
            world.create(f"client-{number}", seats=1)
        world.start()
        world.settle()

        waiting = [
            client["status"]["pending"]["position"] for client in world.clients() if "pending" in client["status"]
        ]
        assert sorted(waiting) == [1, 2]


def test_the_largest_client_fits_into_a_round() -> None:
    (limit,) = (
        item.max_length for item in ClientOrgSpec.model_fields["licenses"].metadata if hasattr(item, "max_length")
    )

    assert limit == pools._LARGEST_REQUEST
