"""One telling of a story, and what is wrong with it beside the undisturbed one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from tests.controlplane.waiting import DeadlineExceededError, wait_until
from tests.faults.endstate import EndState
from tests.faults.mails import Deliveries
from tests.faults.recording import Kill, Recording, described
from tests.faults.stage import Stage
from tests.faults.stories import STORIES, Story

UNDISTURBED: Final = "/undisturbed"
"""In place of number and position, of the telling that the others are compared with."""


BRIEF_SECONDS: Final = 2.0
"""Without a write at the end, at most, of what is not about crashes."""


@dataclass(frozen=True)
class Telling:
    """What came of one telling of a story."""

    end: EndState
    created: Counter[str]
    deleted: Counter[str]
    writes: int
    processes: int
    late: tuple[str, ...]
    deliveries: Deliveries

    @property
    def problems(self) -> list[str]:
        """What is wrong in itself."""
        late = (f"written after the end: {text}" for text in self.late)
        return [*self.end.problems, *self.deliveries.problems, *late]


@dataclass
class Result:
    """What came of one plan: nothing wrong, if `problems` is empty.

    Attributes:
        reached: whether what the plan is about came to pass at all, such as a write with its number.
        note: what was measured besides.
        mails: that were received.
        repeats: how many of them had come before.
    """

    plan: str
    problems: list[str]
    seconds: float = 0.0
    reached: bool = True
    note: str = ""
    mails: int = 0
    repeats: int = 0


class Plan(Protocol):
    """One run against an operator. Its text is its name, by which it can be run alone."""

    @property
    def story(self) -> str:
        """The story whose undisturbed telling it is compared with; empty when with none."""

    def run(self, stage: Stage, undisturbed: Telling | None, quiet_seconds: float) -> Result:
        """Run it. Whatever it raises is a problem too."""


def undisturbed_telling(stage: Stage, name: str, quiet_seconds: float) -> Telling:
    """Tell a story as it goes when nothing is in its way."""
    return tell(stage, STORIES[name], None, quiet_seconds)


def tell(
    stage: Stage,
    story: Story,
    kill: Kill | None,
    quiet_seconds: float,
    on_armed: Callable[[], object] = lambda: None,
) -> Telling:
    """Tell a story in a fresh agency, until the operator has written nothing for so many seconds.

    Args:
        on_armed: called before the telling, when everything that it needs is there.
    """
    began = datetime.now(UTC)
    scene = stage.open()
    try:
        story.begin(scene)
        stage.arm(kill)
        on_armed()
        story.tell(scene)
        stage.expect_rest()
        recording = stage.recording
        end = EndState(scene.agency, began)
        count = len(recording.writes)
        late = _writes_beyond(recording, count, quiet_seconds)
        deliveries = stage.deliveries(end.plain)
        return Telling(end, recording.created(), recording.deleted(), count, recording.process, late, deliveries)
    finally:
        scene.agency.close()


def _writes_beyond(recording: Recording, count: int, seconds: float) -> tuple[str, ...]:
    """The writes beyond the first so many, once there is one; none when there is none for so long."""
    try:
        wait_until(lambda: len(recording.writes) > count, seconds, "a write")
    except DeadlineExceededError:
        return ()
    return tuple(str(record) for record in recording.writes[count:])


def result_of(plan: object, undisturbed: Telling, disturbed: Telling, *, reached: bool = True) -> Result:
    """What came of a plan in which a story was told to its end."""
    mails = disturbed.deliveries
    problems = problems_of(undisturbed, disturbed)
    return Result(str(plan), problems, reached=reached, mails=len(mails.mails), repeats=mails.repeats)


def problems_of(undisturbed: Telling, disturbed: Telling) -> list[str]:
    """What a disturbance changed, and must not have."""
    found = list(undisturbed.end.differences(disturbed.end))
    found += undisturbed.deliveries.differences(disturbed.deliveries)
    found += miscounts(undisturbed, disturbed.created, disturbed.deleted)
    return [*found, *disturbed.problems]


def miscounts(undisturbed: Telling, created: Counter[str], deleted: Counter[str]) -> Iterable[str]:
    """Where more or fewer objects were created or deleted than undisturbed."""
    for what, expected, counted in (
        ("created", undisturbed.created, created),
        ("deleted", undisturbed.deleted, deleted),
    ):
        if expected != counted:
            yield f"{what}: {described(counted)} instead of {described(expected)}"
