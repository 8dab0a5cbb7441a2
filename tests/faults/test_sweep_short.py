"""The short form of the crash sweep: one story, a crash at each of its writes, after the server committed it.

That position loses most: the server knows, and nobody was told. `make test-faults` has every story and position.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.faults.endstate import EndState
from tests.faults.recording import Position
from tests.faults.runner import run
from tests.faults.stage import Stage
from tests.faults.sweep import crashes
from tests.faults.telling import Telling

pytestmark = pytest.mark.cluster

QUIET_SECONDS = 2.0


def test_reallocation_ends_the_same_whichever_answer_is_lost(stage: Stage, undisturbed: Telling) -> None:
    plans = crashes("reallocate", undisturbed.writes, (Position.COMMITTED,))

    found = [run(stage, plan, undisturbed, QUIET_SECONDS) for plan in plans]

    assert {result.plan: result.problems for result in found if result.problems} == {}
    assert sum(result.reached for result in found) > 4, "a move takes the pool's and both clients' writes"


def test_end_that_is_not_the_same_is_noticed(stage: Stage) -> None:
    """What the sweep compares with: one more license, asked for by somebody in between, is seen where it shows."""
    scene = stage.open()
    began = datetime.now(UTC)
    try:
        client = scene.agency.ready_client()
        stage.expect_rest()
        before = EndState(scene.agency, began)
        client.ask_for(visitors=11)
        client.expect_granted(visitors=11)
        stage.expect_rest()
        after = EndState(scene.agency, began)
    finally:
        scene.agency.close()

    found = "\n".join(before.differences(after))

    assert "ClientOrg/acme .status.licenses[0].granted: 11 instead of 10" in found
    assert "QuotaPool/pool .status.licenses[0].allocated: 11 instead of 10" in found
    assert list(before.differences(before)) == []
