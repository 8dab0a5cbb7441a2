"""A little of each kind of fault, where it is told in seconds. `make test-faults` has all of them."""

from __future__ import annotations

import pytest

from tests.faults.meddling import Fault, Meddler
from tests.faults.pairs import reallocate_at_once
from tests.faults.past import Past, Return
from tests.faults.recording import Record
from tests.faults.runner import run
from tests.faults.seeds import Seed
from tests.faults.stage import Stage
from tests.faults.telling import Telling
from tests.faults.unobserved import Unobserved
from tests.faults.weather import EXPIRED

pytestmark = pytest.mark.cluster

QUIET_SECONDS = 1.0


class Expiring(Meddler):
    """Every list expires at the first try."""

    def __init__(self) -> None:
        self._asked: set[str] = set()

    def request(self, record: Record) -> Fault | None:
        """410 Gone, the first time."""
        asked = f"{record.path}?{record.query}"
        if not record.is_list or asked in self._asked:
            return None
        self._asked.add(asked)
        return EXPIRED


class Failing(Meddler):
    """Every watch of our kinds ends in an error instead of its first event."""

    def __init__(self) -> None:
        self.failed: set[str] = set()

    def event(self, record: Record, line: bytes) -> Fault | None:
        """What the API server sends when its storage is slow."""
        if record.path in self.failed or "/clientorg.dev/" not in record.path:
            return None
        self.failed.add(record.path)
        return Fault(504, "Timeout")


def test_two_operators_at_once_move_licenses_and_never_give_out_more_than_there_are(stage: Stage) -> None:
    with stage.doubled() as second:
        result = reallocate_at_once(stage, 12)

        assert result.problems == []
        assert second.writes() > 0


@pytest.mark.parametrize("seed", [10, 28])
def test_reallocation_ends_the_same_in_bad_weather(stage: Stage, undisturbed: Telling, seed: int) -> None:
    plan = Seed(seed)
    assert plan.story == "reallocate"

    result = run(stage, plan, undisturbed, QUIET_SECONDS)

    assert result.problems == []
    assert result.reached, "no fault came"


def test_licenses_are_not_given_back_on_what_was_true_before_a_crash(stage: Stage, undisturbed: Telling) -> None:
    result = run(stage, Return("reallocate", "licenses", "everything"), undisturbed, QUIET_SECONDS)

    assert result.problems == []
    assert result.reached


def test_workspace_of_a_client_that_is_gone_is_not_built_anew_from_an_old_list(stage: Stage) -> None:
    scene = stage.open()
    acme = scene.agency.ready_client()
    stage.arm(None)
    past = stage.proxy.meddler = Past(stage.kube, "clients")
    stage.on_restart = lambda: past.arrive_after_work(stage)
    try:
        acme.delete_confirmed()
        acme.expect_gone()
        stage.crash()
        stage.expect_rest()
    finally:
        stage.proxy.meddler, stage.on_restart = Meddler(), lambda: None
        scene.agency.close()

    assert stage.recording.has_done("mark", "workspace") == []


def test_list_that_has_expired_is_asked_for_again(stage: Stage) -> None:
    """Kopf takes 410 Gone for an end, and ended the process."""
    stage.clear()
    stage.proxy.meddler = Expiring()
    try:
        scene = stage.open()
        scene.agency.ready_client()
        scene.agency.close()
    finally:
        stage.proxy.meddler = Meddler()


def test_watch_that_ends_in_an_error_is_begun_anew(stage: Stage) -> None:
    """Kopf took any but 410 Gone for an end, and ended the process."""
    stage.clear()
    failing = stage.proxy.meddler = Failing()
    try:
        scene = stage.open()
        scene.agency.ready_client()
        scene.agency.close()
    finally:
        stage.proxy.meddler = Meddler()

    assert any(path.endswith("/clientorgs") for path in failing.failed)


def test_nobody_is_charged_who_was_deactivated_before(stage: Stage) -> None:
    _expect_well(stage, "deactivated-before-its-charge")


def test_charge_is_by_the_plan_as_it_is_and_not_as_it_was_heard_of(stage: Stage) -> None:
    _expect_well(stage, "cheaper-before-the-charge")


def test_purge_that_was_put_off_unheard_does_not_begin(stage: Stage) -> None:
    _expect_well(stage, "purge-put-off")


def _expect_well(stage: Stage, case: str) -> None:
    assert run(stage, Unobserved(case), None, QUIET_SECONDS).problems == []
