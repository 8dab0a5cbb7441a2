"""The short form of the crash sweep: one story, a crash at each of its writes, after the server committed it.

That position loses most: the server knows, and nobody was told. A mail loses most before the write that tells of it.
`make test-faults` has every story and position.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.faults.endstate import EndState
from tests.faults.recording import Kill, Position
from tests.faults.runner import run
from tests.faults.stage import Stage
from tests.faults.stories import STORIES
from tests.faults.sweep import crashes
from tests.faults.telling import Telling, problems_of, tell, undisturbed_telling

pytestmark = pytest.mark.cluster

QUIET_SECONDS = 2.0


def test_reallocation_ends_the_same_whichever_answer_is_lost(stage: Stage, undisturbed: Telling) -> None:
    plans = crashes("reallocate", undisturbed.writes, (Position.COMMITTED,))

    found = [run(stage, plan, undisturbed, QUIET_SECONDS) for plan in plans]

    assert {result.plan: result.problems for result in found if result.problems} == {}
    assert sum(result.reached for result in found) > 4, "a move takes the pool's and both clients' writes"


@pytest.fixture(scope="module")
def undisturbed_purge(stage: Stage) -> Telling:
    """A purge as it goes when nothing is in its way."""
    return undisturbed_telling(stage, "purge", QUIET_SECONDS)


@pytest.mark.parametrize(("position", "repeats"), [(Position.BEFORE, 1), (Position.COMMITTED, 0)])
def test_reminder_comes_again_under_its_id_only_when_nobody_knows_that_it_was_sent(
    stage: Stage, undisturbed_purge: Telling, position: Position, repeats: int
) -> None:
    """The mail server has taken it, and the operator is killed at the write that would say so."""
    assert "be permanently deleted" in [mail.subject for mail in undisturbed_purge.deliveries.mails][2]

    told = tell(stage, STORIES["purge"], Kill(0, position, "reminder sent"), QUIET_SECONDS)

    assert problems_of(undisturbed_purge, told) == []
    assert told.processes == 2
    assert told.deliveries.repeats == repeats
    came = Counter(mail.identity for mail in told.deliveries.mails if "be permanently deleted" in mail.subject)
    assert list(came.values()) == [1 + repeats]


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
