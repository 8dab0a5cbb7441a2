"""The stories that are told once undisturbed, and then with a crash at every write.

Each has a beginning, whose writes do not count, and a telling. A telling waits only for what lasts: a passing state may
be gone before the operator is back from a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from clientorg.api.meta import ANNOTATION_TRANSFER
from clientorg.cluster.resources import CLIENT_ORGS
from tests.cluster.pointverbs import (
    BILLING,
    Transaction,
    approve,
    expect_balance,
    expect_charges,
    expect_pool_balance,
    purchase,
    termination,
    top_up,
)
from tests.cluster.verbs import Client, Json, license_items
from tests.controlplane.pki import COMPONENT_USERS
from tests.faults.stage import Scene

PURGE: Final = datetime(2027, 2, 25, 9, 0, tzinfo=UTC)
"""Three calendar months after the stories begin."""
DECEMBER: Final = datetime(2026, 12, 25, tzinfo=UTC)
NEW_YEAR: Final = datetime(2027, 1, 1, tzinfo=UTC)
ADMIN: Final = COMPONENT_USERS["admin"][0]
"""Who the stories' people are to the API server."""


@dataclass(frozen=True)
class Story:
    """What is told; `begin` makes what `tell` needs."""

    name: str
    tell: Callable[[Scene], None]
    begin: Callable[[Scene], None] = lambda scene: None


def client_of(scene: Scene, name: str = "acme") -> Client:
    """The story's client."""
    return Client(scene.agency.kube, scene.agency.name, name)


def begin_ready(scene: Scene) -> None:
    """A client with a hundred licenses."""
    scene.agency.ready_client(licenses={"visitors": 100})


def begin_billed(scene: Scene, points: int = 0) -> None:
    """A client that is charged, of an agency that has bought so many points before: it is short of them otherwise."""
    scene.agency.plan.set(billing=BILLING)
    if points:
        purchase(scene.agency, points)
    client = scene.agency.ready_client()
    client.expect(lambda it: "nextCharge" in it["status"].get("points", {}), "know its next charge")


def begin_funded(scene: Scene) -> None:
    """A client that is charged, with 2,500 points; its agency has as many."""
    begin_billed(scene, points=5000)
    top_up(client_of(scene), scene.agency, 2500).expect_phase("Posted")
    expect_balance(client_of(scene), 2500)


def create(scene: Scene) -> None:
    """A client from nothing to Ready."""
    scene.agency.ready_client(admins=[{"name": "yuki", "email": "yuki@acme.example", "role": "Full"}])


def _two_clients(scene: Scene) -> None:
    agency = scene.agency
    agency.pool.stock(visitors=30)
    agency.ready_client("source", licenses={"visitors": 20})
    agency.ready_client("target", licenses={"visitors": 10})


def reallocate(scene: Scene) -> None:
    """Eight licenses of a pool that is handed out move from one client to another."""
    agency, source, target = scene.agency, client_of(scene, "source"), client_of(scene, "target")
    patch = {
        "metadata": {"annotations": {ANNOTATION_TRANSFER: "source/visitors/12/18"}},
        "spec": {"licenses": license_items({"visitors": 18})},
    }
    target.kube.merge(CLIENT_ORGS, target.name, patch, target.namespace)
    source.ask_for(visitors=12)
    source.expect_granted(visitors=12)
    target.expect_granted(visitors=18)
    agency.expect_all_ready([source, target])
    agency.pool.expect_allocated(visitors=30)


def pause(scene: Scene) -> None:
    """A client is paused by wish, and resumed."""
    acme = client_of(scene)
    acme.edit(state="Paused")
    acme.expect_state("Paused", "Requested")
    scene.stage.expect_rest()
    acme.edit(state="Active")
    acme.expect_state("Active")


def deactivate(scene: Scene) -> Client:
    """The client is deactivated by wish."""
    acme = client_of(scene)
    acme.edit(state="Deactivated")
    acme.expect_state("Deactivated")
    return acme


def reminded(days: int) -> Callable[[Json], bool]:
    """Whether the reminder so many days before the purge was sent."""

    def holds(manifest: Json) -> bool:
        sent = manifest["status"].get("deactivation", {}).get("remindersSent", [])
        return any(item["days"] == days and not item.get("skipped") for item in sent)

    return holds


def purge(scene: Scene) -> None:
    """A client is deactivated, reminded on the last day, and purged."""
    acme = deactivate(scene)
    scene.pass_to(PURGE - timedelta(days=1))
    acme.expect(reminded(1), "be reminded")
    scene.pass_to(PURGE)
    acme.expect(lambda it: it["status"]["state"] == "Purged", "be purged")


def reactivate(scene: Scene) -> None:
    """A client is deactivated, reminded, and brought back."""
    acme = deactivate(scene)
    scene.pass_to(PURGE - timedelta(days=7))
    acme.expect(reminded(7), "be reminded")
    scene.stage.expect_rest()
    acme.edit(state="Active")
    acme.expect_state("Active")


def _requested(scene: Scene) -> None:
    scene.agency.plan.set(approval="Manual")
    scene.agency.client(requestedBy="yuki@agency.example").expect_state_of("PendingApproval")


def approval(scene: Scene) -> None:
    """A client that waits is approved, and provisioned."""
    acme = client_of(scene)
    approve(scene.agency, acme, ADMIN, reason="the contract is signed").expect_ready()
    acme.expect_ready()


def billing(scene: Scene) -> None:
    """A purchase, a top-up and two monthly charges."""
    agency, acme = scene.agency, client_of(scene)
    purchase(agency, 5000)
    scene.stage.expect_rest()  # the agency is told of its balance when there is no more to do than this
    top_up(acme, agency, 3000).expect_phase("Posted")
    expect_balance(acme, 3000)
    scene.pass_to(DECEMBER)
    expect_charges(agency, acme, p2026_12=1000)
    expect_balance(acme, 2000)
    scene.pass_to(DECEMBER + timedelta(days=31))
    expect_charges(agency, acme, p2026_12=1000, p2027_01=1000)
    expect_balance(acme, 1000)
    expect_pool_balance(agency, 2000)


def schedule_termination(scene: Scene) -> Client:
    """The client's contract is to end at New Year."""
    acme = client_of(scene)
    acme.edit(termination=termination(NEW_YEAR))
    acme.expect(lambda it: it["status"].get("termination", {}).get("scheduledTime"), "be scheduled")
    return acme


def terminate(scene: Scene) -> None:
    """A contract that is to end at New Year is charged once more and ends; its surplus is consumed."""
    agency, acme = scene.agency, schedule_termination(scene)
    scene.pass_to(DECEMBER)
    expect_charges(agency, acme, p2026_12=1000)
    scene.pass_to(NEW_YEAR)
    acme.expect_state("Terminated")
    Transaction(agency.kube, agency.name, f"{acme.org_id}-settlement").expect_phase("Posted")
    expect_balance(acme, 0)
    expect_pool_balance(agency, 2500)


def delete(scene: Scene) -> None:
    """A client with points is deleted, confirmed; its account is settled."""
    acme = client_of(scene)
    acme.delete_confirmed()
    acme.expect_gone()
    scene.agency.pool.expect_allocated(visitors=0)
    expect_pool_balance(scene.agency, 2500)


STORIES: Final = {
    story.name: story
    for story in (
        Story("create", create),
        Story("reallocate", reallocate, _two_clients),
        Story("pause", pause, begin_ready),
        Story("purge", purge, begin_ready),
        Story("reactivate", reactivate, begin_ready),
        Story("approval", approval, _requested),
        Story("billing", billing, begin_billed),
        Story("terminate", terminate, begin_funded),
        Story("delete", delete, begin_funded),
    )
}
