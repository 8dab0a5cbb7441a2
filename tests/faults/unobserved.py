"""A change that is called off without the operator hearing of it in time: nothing is done on the strength of it.

Two ways: the events of a kind are held back while the day comes on which the operator would act; or the operator has
acted, and its write is under way while the change is called off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from clientorg.api.meta import ANNOTATION_OWNER
from clientorg.cluster.resources import CLIENT_ORGS, NAMESPACES, ORG_PLANS, POINT_TRANSACTIONS
from tests.cluster.pointverbs import expect_balance, expect_charges, expect_pool_balance, top_up
from tests.cluster.verbs import expect_never
from tests.controlplane.waiting import wait_until
from tests.faults.meddling import Meddler
from tests.faults.recording import Record, kind_of
from tests.faults.stage import Scene, Stage
from tests.faults.stories import (
    DECEMBER,
    NEW_YEAR,
    PURGE,
    begin_funded,
    begin_ready,
    client_of,
    deactivate,
    reminded,
    schedule_termination,
)
from tests.faults.telling import Result, Telling

_LINGER_SECONDS: Final = 2.5
"""The operator looks at its clock twice a second, and acts at once."""
_CLIENTS, _PLANS, _TRANSACTIONS = CLIENT_ORGS.plural, ORG_PLANS.plural, POINT_TRANSACTIONS.plural


class Dam(Meddler):
    """Holds the events of kinds back, and writes that do certain things."""

    def __init__(self) -> None:
        self._kinds: frozenset[str] = frozenset()
        self._gists: frozenset[str] = frozenset()
        self.waiting: list[str] = []
        """Writes that have been held."""

    def hold(self, *kinds: str) -> None:
        """From now on, no events of these kinds."""
        self._kinds |= set(kinds)

    def delay(self, *gists: str) -> None:
        """From now on, writes that do this do not reach the server."""
        self._gists |= set(gists)

    def expect_waiting(self) -> None:
        """Wait until a write is held."""
        wait_until(lambda: self.waiting, 60, f"the operator to write {', '.join(self._gists)}")

    def let_go(self) -> None:
        """The writes reach the server."""
        self._gists = frozenset()

    def open(self) -> None:
        """Everything reaches its receiver."""
        self._kinds = self._gists = frozenset()

    def holds(self, record: Record) -> bool:
        """Events that are held."""
        return kind_of(record.path) in self._kinds

    def delays(self, record: Record) -> bool:
        """Writes that are held."""
        is_held = record.gist in self._gists
        if is_held and str(record) not in self.waiting:
            self.waiting.append(str(record))
        return is_held


def _expect_none(scene: Scene, *gists: str) -> None:
    """The server accepts nothing of this kind, while the operator has time to try."""
    recording = scene.stage.recording
    expect_never(lambda: recording.has_done(*gists), _LINGER_SECONDS, f"nothing to be done of {gists}")


def purge_called_off(scene: Scene, dam: Dam) -> None:
    """A client is reactivated before its purge, unseen."""
    begin_ready(scene)
    acme = deactivate(scene)
    scene.pass_to(PURGE - timedelta(days=1))
    acme.expect(reminded(1), "be reminded")
    scene.stage.expect_rest()
    dam.hold(_CLIENTS)
    acme.edit(state="Active")
    scene.clock.set(PURGE)
    _expect_none(scene, "purge begins", "delete namespaces")
    dam.open()
    acme.expect_state("Active")
    _expect_none(scene, "purge begins", "delete namespaces")


def purge_put_off(scene: Scene, dam: Dam) -> None:
    """The grace period is made longer before the purge, unseen."""
    begin_ready(scene)
    acme = deactivate(scene)
    scene.pass_to(PURGE - timedelta(days=1))
    acme.expect(reminded(1), "be reminded")
    scene.stage.expect_rest()
    dam.hold(_PLANS)
    scene.agency.plan.edit(deactivation={"gracePeriodMonths": 6})
    scene.clock.set(PURGE)
    _expect_none(scene, "purge begins", "delete namespaces")
    dam.open()
    acme.expect(lambda it: it["status"]["deactivation"]["purgeAfter"].startswith("2027-05-25"), "be purged later")
    _expect_none(scene, "purge begins", "delete namespaces")


def termination_called_off(scene: Scene, dam: Dam) -> None:
    """A termination is taken back before its day, unseen."""
    begin_funded(scene)
    acme = schedule_termination(scene)
    scene.pass_to(DECEMBER)
    expect_charges(scene.agency, acme, p2026_12=1000)
    scene.stage.expect_rest()
    dam.hold(_CLIENTS)
    acme.edit(termination=None)
    scene.clock.set(NEW_YEAR)
    _expect_none(scene, "contract ends", "settlement")
    dam.open()
    acme.expect_state("Active")
    expect_balance(acme, 1500)


def deactivated_before_its_charge(scene: Scene, dam: Dam) -> None:
    """A client is deactivated before its next charge, unseen."""
    begin_funded(scene)
    acme = client_of(scene)
    dam.hold(_CLIENTS)
    acme.edit(state="Deactivated")
    scene.clock.set(DECEMBER)
    _expect_none(scene, "charge")
    dam.open()
    acme.expect_state("Deactivated")
    _expect_none(scene, "charge")


def more_users_before_the_charge(scene: Scene, dam: Dam) -> None:
    """More users are contracted before the charge, unseen."""
    begin_funded(scene)
    acme = client_of(scene)
    dam.hold(_CLIENTS)
    acme.edit(contractedUsers=20)
    scene.clock.set(DECEMBER)
    expect_charges(scene.agency, acme, p2026_12=1500)
    dam.open()
    expect_balance(acme, 1000)


def cheaper_before_the_charge(scene: Scene, dam: Dam) -> None:
    """The plan becomes cheaper before the charge, unseen."""
    begin_funded(scene)
    acme = client_of(scene)
    dam.hold(_PLANS)
    scene.agency.plan.edit(billing={"basePoints": 700})
    scene.clock.set(DECEMBER)
    expect_charges(scene.agency, acme, p2026_12=700)
    dam.open()
    expect_balance(acme, 1800)


def deleted_before_it_is_marked(scene: Scene, dam: Dam) -> None:
    """A client is deleted while the operator's finalizer is on its way to it."""
    dam.delay("mark")
    acme = scene.agency.client()
    dam.expect_waiting()
    dam.hold(_CLIENTS)
    acme.delete_confirmed()
    acme.expect_gone()
    dam.let_go()
    _expect_none(scene, "workspace")
    dam.open()
    _expect_none(scene, "workspace")
    scene.stage.expect_rest()
    assert _workspaces(scene) == []
    scene.agency.pool.expect_allocated(visitors=0)


def made_anew_before_it_is_marked(scene: Scene, dam: Dam) -> None:
    """A client is deleted and made anew while the operator's finalizer is on its way to the first one."""
    dam.delay("mark")
    acme = scene.agency.client()
    dam.expect_waiting()
    dam.hold(_CLIENTS)
    acme.delete_confirmed()
    acme.expect_gone()
    scene.agency.client()
    dam.let_go()
    acme.expect_ready()
    dam.open()
    scene.stage.expect_rest()
    assert _workspaces(scene) == [acme.workspace]
    scene.agency.pool.expect_allocated(visitors=10)


def raised_again_before_it_lets_go(scene: Scene, dam: Dam) -> None:
    """A client asks for less, and for as much as before while the operator takes the licenses from it; another waits
    for them."""
    begin_ready(scene)
    acme, other = client_of(scene), client_of(scene, "other")
    scene.agency.pool.stock(visitors=100)
    scene.agency.client("other", licenses={"visitors": 60})
    other.expect_pending(1)
    scene.stage.arm(None)
    dam.delay("licenses")
    acme.ask_for(visitors=40)
    dam.expect_waiting()
    dam.hold(_CLIENTS)
    acme.ask_for(visitors=100)
    dam.let_go()
    _expect_none(scene, "licenses")
    dam.open()
    acme.expect_ready()
    other.expect_pending(1)
    assert acme.granted == {"visitors": 100}


def taken_back_before_it_is_posted(scene: Scene, dam: Dam) -> None:
    """A top-up is deleted while the pool commits it; the client was told nothing of it."""
    begin_funded(scene)
    acme = client_of(scene)
    scene.stage.expect_rest()
    dam.delay("books")
    second = top_up(acme, scene.agency, 500, name="top-up-2")
    dam.expect_waiting()
    dam.hold(_TRANSACTIONS)
    second.delete()
    second.expect_gone()
    dam.let_go()
    scene.stage.expect_rest()
    dam.open()
    expect_pool_balance(scene.agency, 2500)
    expect_balance(acme, 2500)


def _workspaces(scene: Scene) -> list[str]:
    """Namespaces of the agency's clients that are not going."""
    return [
        item["metadata"]["name"]
        for item in scene.agency.kube.list_all(NAMESPACES)
        if (item["metadata"].get("annotations") or {}).get(ANNOTATION_OWNER, "").startswith(f"{scene.agency.name}/")
        and "deletionTimestamp" not in item["metadata"]
    ]


CASES: Final[dict[str, Callable[[Scene, Dam], None]]] = {
    case.__name__.replace("_", "-"): case
    for case in (
        purge_called_off,
        purge_put_off,
        termination_called_off,
        deactivated_before_its_charge,
        more_users_before_the_charge,
        cheaper_before_the_charge,
        deleted_before_it_is_marked,
        made_anew_before_it_is_marked,
        raised_again_before_it_lets_go,
        taken_back_before_it_is_posted,
    )
}


@dataclass(frozen=True, slots=True)
class Unobserved:
    """One run of a case."""

    name: str

    def __str__(self) -> str:
        return f"unobserved/{self.name}"

    @property
    def story(self) -> str:
        """Compared with none: a case says itself what must be."""
        return ""

    def run(self, stage: Stage, undisturbed: Telling | None, quiet_seconds: float) -> Result:
        """Tell the case. Raises what it finds wrong."""
        scene, dam = stage.open(), Dam()
        try:
            stage.arm(None)
            stage.proxy.meddler = dam
            CASES[self.name](scene, dam)
            stage.expect_rest()
        finally:
            dam.open()
            stage.proxy.meddler = Meddler()
            scene.agency.close()
        return Result(str(self), [], reached=True)
