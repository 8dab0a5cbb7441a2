"""Runs plans in several processes, each with an operator of its own, on one control plane."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing.util import Finalize

from tests.faults.ground import Ground, prepared
from tests.faults.stage import Stage
from tests.faults.telling import UNDISTURBED, Plan, Result, Telling, undisturbed_telling

_stage: Stage | None = None
"""Of this process, where it is a worker."""


class Runner:
    """Runs plans.

    Args:
        workers: processes.
        quiet_seconds: for how long the operator must write nothing after the end of each telling.
        on_result: called with each result as it comes.
    """

    def __init__(self, workers: int, quiet_seconds: float, on_result: Callable[[Result], None]) -> None:
        self._workers = workers
        self._quiet_seconds = quiet_seconds
        self._on_result = on_result
        self._pool: ProcessPoolExecutor
        self._pending: dict[Future[tuple[Result, Telling | None]], str | None] = {}

    def run(
        self, stories: Sequence[str], plans_of: Callable[[str, int], Iterable[Plan]], others: Iterable[Plan]
    ) -> dict[str, int]:
        """Tell each story undisturbed, and run its plans, which are asked for with its number of writes; and the
        plans that belong to no story. Nothing is disturbed where the undisturbed telling went wrong already.

        Returns:
            The number of writes of each story.
        """
        writes: dict[str, int] = {}
        context = multiprocessing.get_context("spawn")
        with prepared() as ground:
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_begin, initargs=(ground,))
            try:
                for plan in others:
                    self._submit(plan, None)
                for story in stories:
                    self._pending[self._pool.submit(_tell, story, self._quiet_seconds)] = story
                self._collect(plans_of, writes)
            finally:
                self._pool.shutdown(cancel_futures=True)  # of an interrupted run, what is under way is finished
        return writes

    def _collect(self, plans_of: Callable[[str, int], Iterable[Plan]], writes: dict[str, int]) -> None:
        while self._pending:
            for future in wait(self._pending, return_when=FIRST_COMPLETED).done:
                story = self._pending.pop(future)
                result, telling = future.result()
                self._on_result(result)
                if story is not None and telling is not None and not result.problems:
                    writes[story] = telling.writes
                    for plan in plans_of(story, telling.writes):
                        self._submit(plan, telling)

    def _submit(self, plan: Plan, undisturbed: Telling | None) -> None:
        self._pending[self._pool.submit(_run, plan, undisturbed, self._quiet_seconds)] = None


def _begin(ground: Ground) -> None:
    global _stage
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who gives out the work
    _stage = Stage(ground).__enter__()
    Finalize(None, _stage.__exit__, args=(None, None, None), exitpriority=10)


def _tell(story: str, quiet_seconds: float) -> tuple[Result, Telling | None]:
    assert _stage is not None
    started, telling = time.monotonic(), None
    try:
        telling = undisturbed_telling(_stage, story, quiet_seconds)
        problems = telling.problems
    except Exception as error:
        problems = [_failure(_stage, error)]
    result = Result(f"{story}{UNDISTURBED}", problems, time.monotonic() - started)
    if telling is not None:
        result.mails = len(telling.deliveries.mails)
    return result, telling


def _run(plan: Plan, undisturbed: Telling | None, quiet_seconds: float) -> tuple[Result, None]:
    assert _stage is not None
    return run(_stage, plan, undisturbed, quiet_seconds), None


def run(stage: Stage, plan: Plan, undisturbed: Telling | None, quiet_seconds: float) -> Result:
    """Run one plan; whatever goes wrong is the result's, so that the next plan is run too."""
    started = time.monotonic()
    try:
        result = plan.run(stage, undisturbed, quiet_seconds)
    except Exception as error:
        result = Result(str(plan), [_failure(stage, error)])
    result.seconds = round(time.monotonic() - started, 1)
    return result


def _failure(stage: Stage, error: Exception) -> str:
    """What to say of an error; the next plan begins with a new process."""
    tail = stage.operator.tail(8)
    stage.clear()
    return f"{type(error).__name__}: {error}\n{tail}"
