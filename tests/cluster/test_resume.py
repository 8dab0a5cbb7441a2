"""What a crash leaves between two writes of one grant is carried on, each grant once (FEATURES X2; DESIGN rule 3).

The moments are made by hand: with no operator running, pool and client are put into the state that a crash leaves.
"""

from __future__ import annotations

import pytest

from clientorg.cluster.resources import CLIENT_ORGS, QUOTA_POOLS
from tests.cluster.history import History
from tests.cluster.operators import Operators
from tests.cluster.verbs import Agency, Client
from tests.support.kube import Json

pytestmark = pytest.mark.cluster


@pytest.fixture
def holder(operators: Operators, tokyo: Agency) -> Client:
    """A client that holds 10 of 30 visitors, in an agency where no operator runs."""
    tokyo.pool.stock(visitors=30)
    acme = tokyo.client()
    books = {"name": "visitors", "total": 30, "allocated": 0, "available": 30}
    tokyo.kube.merge(QUOTA_POOLS, "pool", {"status": {"licenses": [books], "lastGrant": 1}}, tokyo.name, "status")
    commit(tokyo, acme, before=0, to=10, serial=1)
    adopt(acme, to=10, serial=1)
    tokyo.kube.merge(QUOTA_POOLS, "pool", {"status": {"inFlight": None}}, tokyo.name, "status")
    return acme


def commit(agency: Agency, client: Client, before: int, to: int, serial: int) -> None:
    """The first of the writes: the pool has the grant in flight."""
    grant = {
        "orgUID": client.uid,
        "orgName": client.name,
        "grant": serial,
        "license": "visitors",
        "from": before,
        "to": to,
    }
    books = agency.pool.books()
    books |= {"allocated": books["allocated"] + to - before, "available": books["available"] - to + before}
    status = {"inFlight": [grant], "lastGrant": serial, "licenses": [books], "writer": "crashed"}
    agency.kube.merge(QUOTA_POOLS, "pool", {"status": status}, agency.name, "status")


def adopt(client: Client, to: int, serial: int) -> None:
    """The second: the client's status has it."""
    status: Json = {"licenses": [{"name": "visitors", "granted": to}], "lastGrant": serial}
    client.kube.merge(CLIENT_ORGS, client.name, {"status": status}, client.namespace, "status")


def test_committed_grant_is_adopted_once(operators: Operators, tokyo: Agency, holder: Client) -> None:
    holder.ask_for(visitors=25)
    commit(tokyo, holder, before=10, to=25, serial=2)
    rival = tokyo.client("rival", licenses={"visitors": 6})

    with History(tokyo):
        operators.start(leader_election=False)
        holder.expect_granted(visitors=25)
        holder.expect_ready()
        rival.expect_pending(1, "1 visitors")
        tokyo.pool.expect_allocated(visitors=25)
    assert holder.status["lastGrant"] == 2


def test_grant_that_was_adopted_and_not_cleared_is_counted_once(
    operators: Operators, tokyo: Agency, holder: Client
) -> None:
    holder.ask_for(visitors=20)
    commit(tokyo, holder, before=10, to=20, serial=2)
    adopt(holder, to=20, serial=2)
    rival = tokyo.client("rival", licenses={"visitors": 10})

    with History(tokyo):
        operators.start(leader_election=False)
        tokyo.expect_all_ready([holder, rival])
        tokyo.pool.expect_allocated(visitors=30)
    assert holder.granted == {"visitors": 20}


def test_adopted_grant_that_was_given_back_since_is_not_adopted_again(
    operators: Operators, tokyo: Agency, holder: Client
) -> None:
    """Adopted, reduced again, and only then the crash: the grant still stands in the pool."""
    holder.ask_for(visitors=3)
    commit(tokyo, holder, before=10, to=25, serial=2)
    adopt(holder, to=3, serial=2)

    with History(tokyo):
        operators.start(leader_election=False)
        holder.expect_ready()
        tokyo.pool.expect_allocated(visitors=3)
    assert holder.granted == {"visitors": 3}


def test_grant_that_is_not_wanted_any_more_is_returned(operators: Operators, tokyo: Agency, holder: Client) -> None:
    commit(tokyo, holder, before=10, to=30, serial=2)
    holder.ask_for(visitors=4)
    rival = tokyo.client("rival", licenses={"visitors": 26})

    with History(tokyo):
        operators.start(leader_election=False)
        holder.expect_granted(visitors=4)
        rival.expect_ready()
        tokyo.pool.expect_allocated(visitors=30)


def test_grant_of_a_client_that_is_gone_is_dropped(operators: Operators, tokyo: Agency, holder: Client) -> None:
    brief = tokyo.client("brief", licenses={"visitors": 20})
    commit(tokyo, brief, before=0, to=20, serial=2)
    brief.delete_confirmed()  # no operator has put its finalizer on it
    brief.expect_gone()
    rival = tokyo.client("rival", licenses={"visitors": 20})

    with History(tokyo):
        operators.start(leader_election=False)
        rival.expect_ready()
        tokyo.pool.expect_allocated(visitors=30)
    assert holder.granted == {"visitors": 10}


def test_books_that_are_wrong_are_recounted(operators: Operators, tokyo: Agency, holder: Client) -> None:
    """Somebody edited the status: what clients hold is what counts."""
    books = {**tokyo.pool.books(), "allocated": 0, "available": 30}
    status = {"licenses": [books], "lastGrant": 0, "writer": "nobody"}
    tokyo.kube.merge(QUOTA_POOLS, "pool", {"status": status}, tokyo.name, "status")
    rival = tokyo.client("rival", licenses={"visitors": 21})

    operators.start(leader_election=False)

    rival.expect_pending(1, "1 visitors")
    tokyo.pool.expect_allocated(visitors=10)
    holder.ask_for(visitors=9)
    rival.expect_ready()
    tokyo.pool.expect_allocated(visitors=30)
