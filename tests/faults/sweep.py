"""The crash sweep: a story, with the operator killed at every write, in every position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.recording import Kill, Position
from tests.faults.stage import Stage
from tests.faults.stories import STORIES
from tests.faults.telling import Result, Telling, result_of, tell

POSITIONS: Final = tuple(Position)


@dataclass(frozen=True, slots=True)
class Crash:
    """One run: a story, and where the operator is killed in it."""

    story: str
    kill: Kill

    def __str__(self) -> str:
        return f"{self.story}/{self.kill.write}/{self.kill.position.value}"

    @classmethod
    def read(cls, text: str) -> Crash:
        """Read `story/write/position`. Raises ValueError."""
        story, write, position = text.split("/")
        plan = cls(story, Kill(int(write), Position(position)))
        if story not in STORIES or plan.kill.write < 1:
            raise ValueError(text)
        return plan

    def run(self, stage: Stage, undisturbed: Telling | None, quiet_seconds: float) -> Result:
        """Tell the story with the crash in it."""
        assert undisturbed is not None
        crashed = tell(stage, STORIES[self.story], self.kill, quiet_seconds)
        return result_of(self, undisturbed, crashed, reached=crashed.processes > 1)


def crashes(story: str, writes: int, positions: Sequence[Position] = POSITIONS) -> list[Crash]:
    """The plans of a story with so many writes."""
    return [Crash(story, Kill(number, position)) for number in range(1, writes + 1) for position in positions]
