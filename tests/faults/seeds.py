"""Stories told while faults come as a seed has it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.controlplane.waiting import DeadlineExceededError, wait_until
from tests.faults.endstate import EndState
from tests.faults.meddling import Meddler
from tests.faults.stage import RECOVERY_SECONDS, Scene, Stage
from tests.faults.stories import STORIES
from tests.faults.telling import Result, Telling, miscounts
from tests.faults.weather import SEEDS, Weather


@dataclass(frozen=True, slots=True)
class Seed:
    """One run: a story, which the seed chooses, and its faults."""

    seed: int

    def __str__(self) -> str:
        return f"seed/{self.seed}"

    @property
    def story(self) -> str:
        """The story that is told."""
        return tuple(STORIES)[self.seed % len(STORIES)]

    def run(self, stage: Stage, undisturbed: Telling | None, quiet_seconds: float) -> Result:
        """Tell the story in bad weather; the end is to be as undisturbed within a minute of the last fault."""
        assert undisturbed is not None
        story, began = STORIES[self.story], datetime.now(UTC)
        scene = stage.open()
        weather = Weather(self.seed, lambda text: _plain(stage, text))
        try:
            story.begin(scene)
            stage.arm(None)
            stage.proxy.meddler = stage.weather = weather
            stage.storm()
            story.tell(scene)
            problems = self._recovered(scene, began, weather, undisturbed)
            mails = stage.deliveries(EndState(scene.agency, began).plain)
        finally:
            stage.proxy.meddler, stage.weather = Meddler(), None
            scene.agency.close()
        seconds = time.monotonic() - weather.ended
        problems += [*undisturbed.deliveries.differences(mails), *mails.problems]
        count = sum(weather.faults.values())
        return Result(
            str(self),
            problems,
            reached=count > 0,
            note=f"{self.story}: {count} faults, recovered {max(0.0, seconds):.0f} s after",
            mails=len(mails.mails),
            repeats=mails.repeats,
        )

    def _recovered(self, scene: Scene, began: datetime, weather: Weather, undisturbed: Telling) -> list[str]:
        """What is not as undisturbed when the operator has had its minute."""
        found: list[str] = []

        def is_the_same() -> bool:
            end = EndState(scene.agency, began)
            found[:] = [*undisturbed.end.differences(end), *end.problems]
            return not found

        left = max(1.0, weather.ended - time.monotonic()) + RECOVERY_SECONDS
        try:
            wait_until(is_the_same, left, "the undisturbed end", interval_seconds=0.3, max_interval_seconds=1.0)
            scene.stage.calm()
            is_the_same()
        except DeadlineExceededError as error:
            found.append(str(error)[:200])
        recording = scene.stage.recording
        found += miscounts(undisturbed, recording.created(), recording.deleted())
        return [*found, f"faults: {weather}"] if found else []


def seeds(story: str, count: int = SEEDS) -> list[Seed]:
    """The plans of a story among so many."""
    return [plan for plan in map(Seed, range(count)) if plan.story == story]


def _plain(stage: Stage, text: str) -> str:
    """A request's text without the names that are new in each telling."""
    recording = stage.recording
    for name in recording.workspaces:
        text = text.replace(name, name.rpartition("-")[0])
    return text.replace(recording.agency, "agency")
