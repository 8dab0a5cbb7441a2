"""All the plans there are, and their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

from tests.faults.pairs import REALLOCATIONS, Pair
from tests.faults.past import Return, returns
from tests.faults.recording import Position
from tests.faults.seeds import Seed, seeds
from tests.faults.stories import STORIES
from tests.faults.sweep import POSITIONS, Crash, crashes
from tests.faults.telling import Plan
from tests.faults.unobserved import CASES, Unobserved
from tests.faults.weather import SEEDS


class Kind(StrEnum):
    """What is done to an operator."""

    SWEEP = "sweep"
    """Killed at every write."""
    PAIR = "pair"
    """Not alone."""
    SEED = "seed"
    """Met by faults."""
    PAST = "past"
    """Restarted into the past."""
    UNOBSERVED = "unobserved"
    """Not told that a change was called off."""


def plans_of_story(
    story: str, writes: int, kinds: Collection[Kind], positions: Sequence[Position] = POSITIONS
) -> list[Plan]:
    """The plans that are compared with an undisturbed telling, which had so many writes."""
    found: list[Plan] = []
    if Kind.PAIR in kinds:
        found.append(Pair(story))
    if Kind.PAST in kinds:
        found += returns(story)
    if Kind.SEED in kinds:
        found += seeds(story)
    if Kind.SWEEP in kinds:
        found += crashes(story, writes, positions)
    return found


def plans_of_none(kinds: Collection[Kind]) -> Iterable[Plan]:
    """The plans that are compared with nothing."""
    if Kind.PAIR in kinds:
        yield Pair(REALLOCATIONS)
    if Kind.UNOBSERVED in kinds:
        yield from (Unobserved(name) for name in CASES)


def plan_named(text: str) -> Plan:
    """The plan of that name. Raises ValueError."""
    try:
        return _read(text)
    except (ValueError, KeyError):
        raise ValueError(
            f"{text!r} is no plan; write one as the report does, such as create/7/committed, seed/17, pair/billing, "
            "past/purge/purge-begins/clients or unobserved/purge-called-off"
        ) from None


def _read(text: str) -> Plan:
    kind, _, rest = text.partition("/")
    if kind in STORIES:
        return Crash.read(text)
    if kind == Kind.SEED and 0 <= int(rest) < SEEDS:
        return Seed(int(rest))
    if kind == Kind.PAIR and rest in (*STORIES, REALLOCATIONS):
        return Pair(rest)
    if kind == Kind.UNOBSERVED and rest in CASES:
        return Unobserved(rest)
    named: dict[str, Return] = {str(plan): plan for story in STORIES for plan in returns(story)}
    return named[text]
