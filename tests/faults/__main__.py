"""`make test-faults`: what can go wrong around an operator, systematically; all of it, or one kind, story or plan."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.plans import Kind, plan_named, plans_of_none, plans_of_story
from tests.faults.recording import Position
from tests.faults.report import Journal, told
from tests.faults.runner import Runner
from tests.faults.stories import STORIES
from tests.faults.telling import Plan, Result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and print the report. Returns 1 if a plan failed, 130 when it was interrupted."""
    options = _parser().parse_args(arguments)
    journal = Journal(options.journal, options.resume)
    report = journal.read()
    done = set(report.results)
    chosen: list[Plan] = options.plan or []
    kinds = options.kind or list(Kind)
    stories = options.story or list(STORIES)
    if chosen:
        stories = list(dict.fromkeys(plan.story for plan in chosen if plan.story))

    def left(plans: Iterable[Plan]) -> list[Plan]:
        return [plan for plan in plans if str(plan) not in done]

    def plans_of(story: str, writes: int) -> list[Plan]:
        if chosen:
            return [plan for plan in chosen if plan.story == story]
        return left(plans_of_story(story, writes, kinds, tuple(options.position or Position)))

    def take(result: Result) -> None:
        report.results[result.plan] = result
        journal.add(result)
        print(told(result), flush=True)

    others = [plan for plan in chosen if not plan.story]
    if not chosen and not options.story:
        others = left(plans_of_none(kinds))
    if not chosen and not set(kinds) - {Kind.UNOBSERVED}:
        stories = []
    started = time.monotonic()
    try:
        report.writes = Runner(options.workers, options.quiet_seconds, take).run(stories, plans_of, others)
    except KeyboardInterrupt:
        print("interrupted; go on with --resume")
        return 128 + signal.SIGINT
    finally:
        seconds = time.monotonic() - started
        journal.end(seconds)
    report.seconds += seconds
    print()
    print("\n".join(report.lines()))
    return 1 if report.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        epilog="examples: --kind seed --kind pair; --story purge --position committed; --plan seed/17",
    )
    parser.add_argument("--kind", action="append", type=Kind, choices=list(Kind), help="only this kind; repeatable")
    parser.add_argument("--story", action="append", choices=sorted(STORIES), help="only this story; repeatable")
    parser.add_argument("--plan", type=_plan, action="append", help="only this plan, such as create/7/committed")
    parser.add_argument("--position", action="append", type=Position, choices=list(Position), help="kill only here")
    parser.add_argument("--quiet-seconds", type=float, default=30.0, help="no write for so long at the end [30]")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with an operator of its own [1]")
    parser.add_argument(
        "--journal", type=Path, default=Path(".run/faults.jsonl"), help="file of the results [.run/faults.jsonl]"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run of the journal: leave out what has passed"
    )
    return parser


def _plan(text: str) -> Plan:
    try:
        return plan_named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
