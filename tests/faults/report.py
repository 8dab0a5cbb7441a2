"""What came of the plans: printed as it comes, and kept in a file, so that a run that was ended can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.faults.telling import UNDISTURBED, Result


@dataclass
class Report:
    """What came of a run.

    Attributes:
        seconds: wall time, together with that of the runs it goes on with.
    """

    results: dict[str, Result] = field(default_factory=dict)
    writes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def plans(self) -> list[Result]:
        """What was run but for the undisturbed tellings."""
        return [result for result in self.results.values() if not result.plan.endswith(UNDISTURBED)]

    @property
    def failed(self) -> list[Result]:
        """The plans in which something was wrong, undisturbed tellings among them."""
        return [result for result in self.results.values() if result.problems]

    @property
    def not_reached(self) -> list[Result]:
        """The plans in which what they are about did not come to pass."""
        return [result for result in self.plans if not result.reached and not result.problems]

    def lines(self) -> Iterable[str]:
        """The end of the report: figures by kind, and what failed."""
        for name, count in self.writes.items():
            yield f"{name:<12} {count:3d} writes"
        for kind, plans in sorted(self._by_kind().items()):
            failed = sum(bool(it.problems) for it in plans)
            yield f"{kind:<12} {len(plans):3d} plans, {failed} failed, {sum(it.seconds for it in plans):.0f} s in all"
        mails, repeats = sum(it.mails for it in self.plans), sum(it.repeats for it in self.plans)
        yield f"{mails} mails received, {repeats} of them again after a crash or by another operator"
        yield (
            f"{len(self.plans)} plans run, {len(self.failed)} failed, {len(self.not_reached)} not reached, "
            f"{self.seconds:.0f} s"
        )
        for result in self.failed:
            story = result.plan.removesuffix(UNDISTURBED)
            alone = f"--plan={result.plan}" if story == result.plan else f"--story={story}"
            yield f"failed: {result.plan}; alone: make test-faults ARGS={alone}"

    def _by_kind(self) -> dict[str, list[Result]]:
        kinds: dict[str, list[Result]] = {}
        for result in self.plans:
            first = result.plan.partition("/")[0]
            kinds.setdefault("sweep" if first in self.writes else first, []).append(result)
        return kinds


class Journal:
    """The results so far, one line of JSON each, in a file that survives the run."""

    def __init__(self, path: Path, is_resumed: bool) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not is_resumed:
            path.write_text("")

    def read(self) -> Report:
        """What earlier runs found. A plan that failed is to be run again, and left out."""
        report = Report()
        for line in self._path.read_text().splitlines() if self._path.exists() else ():
            entry = json.loads(line)
            if "seconds_of_run" in entry:
                report.seconds += entry["seconds_of_run"]
            elif not entry["problems"]:
                report.results[entry["plan"]] = Result(**entry)
        return report

    def add(self, result: Result) -> None:
        """Write down a result."""
        self._append(asdict(result))

    def end(self, seconds: float) -> None:
        """Write down how long this run took, in seconds."""
        self._append({"seconds_of_run": round(seconds, 1)})

    def _append(self, entry: object) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def told(result: Result) -> str:
    """A result as it is printed when it comes."""
    outcome = "FAILED" if result.problems else "passed" if result.reached else "not reached"
    repeats = f"  {result.repeats} of {result.mails} mails again" if result.repeats else ""
    note = f"  {result.note}" if result.note else ""
    head = f"{outcome:<12} {result.plan:<36} {result.seconds:6.1f} s{note}{repeats}"
    return "\n".join([head, *(f"    {it}" for it in result.problems)])
