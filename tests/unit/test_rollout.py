"""Who changes to a new blueprint when: one first, never too many, stopped by what fails, and at last everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientorg.api.conditions import Reason
from clientorg.api.rollout import MAX_FAILURES, MAX_IN_PROGRESS
from clientorg.api.rollout import Rollout as Terms
from clientorg.domain.client_facts import Problem
from clientorg.domain.rollout import (
    EMPTY,
    Member,
    News,
    Record,
    Share,
    advance,
    limit,
    record_json,
    record_of,
    revision_of,
    share_of,
)

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
OLD: list[dict[str, Any]] = [{"kind": "ConfigMap", "metadata": {"name": "a"}}]
NEW: list[dict[str, Any]] = [{"kind": "ConfigMap", "metadata": {"name": "b"}}]
A, B = revision_of(OLD), revision_of(NEW)
TERMS = Terms(max_unavailable=2, progress_deadline_seconds=60)
BROKEN = Problem(Reason.BLUEPRINT_INVALID, "Deployment site: refused")
TAKEN = Problem(Reason.NAME_TAKEN, "ConfigMap b: taken")
SLOW = Problem(Reason.ROLLING_OUT, "Deployment site is not available yet")


def members(**revisions: str | None) -> dict[str, Member]:
    """Clients and what they have."""
    return {name: Member(name, revision) for name, revision in revisions.items()}


class Story:
    """A plan whose blueprint has become NEW, and its clients, told pass by pass."""

    def __init__(
        self,
        many: Mapping[str, str | None] | None = None,
        *,
        blueprint: list[dict[str, Any]] = NEW,
        terms: Terms = TERMS,
        **revisions: str | None,
    ) -> None:
        self.blueprint, self.terms, self.now = blueprint, terms, NOW
        self.members = members(**(many or {}), **revisions)
        self.record = Record(A, OLD, A)

    def look(self, many: Mapping[str, Problem] | None = None, *, again: str = "", **problems: Problem) -> list[str]:
        """A pass over the plan; returns who is changing."""
        news = News({**(many or {}), **problems}, frozenset(again.split()))
        self.record = advance(self.record, self.blueprint, self.members.values(), news, self.terms, self.now)
        self.record = record_of(record_json(self.record, list(self.members.values()))) or self.record
        return sorted(self.record.changing)

    def done(self, *names: str) -> None:
        """Workspaces have the plan's blueprint."""
        self.members |= members(**dict.fromkeys(names, revision_of(self.blueprint)))

    def share(self, name: str) -> Share:
        """Which blueprint a client gets now."""
        return share_of(self.record, revision_of(self.blueprint), self.members[name])


def test_one_goes_first_then_so_many_and_at_last_it_is_what_new_ones_get() -> None:
    story = Story(a=A, b=A, c=A, d=A)
    assert story.look() == ["a"]
    assert [story.share(name) for name in "ab"] == [Share.CHANGE, Share.STABLE]
    assert story.look() == ["a"], "nobody else before it is done"
    story.done("a")
    assert story.look() == ["b", "c"]
    assert story.share("a") is Share.TARGET
    story.done("c")
    assert story.look() == ["b", "d"]
    assert story.record.revision == A
    story.done("b", "d")
    assert story.look() == []
    assert (story.record.revision, story.record.objects, story.record.is_proven) == (B, NEW, True)


def test_refused_one_stops_everything_until_the_plan_or_that_client_changes() -> None:
    story = Story(a=A, b=A, c=A)
    story.look()
    assert story.look(a=BROKEN) == []
    assert story.record.stopped_by == "a"
    assert [story.share(name) for name in "abc"] == [Share.STABLE] * 3
    assert story.look() == [], "and stays so"
    assert story.look(again="a") == ["a"]
    story.look(a=BROKEN)
    story.blueprint = [*NEW, *OLD]
    assert story.look() == ["a"]
    assert not story.record.failures


def test_failure_later_on_stops_the_rest_and_those_on_their_way_may_finish() -> None:
    story = Story(a=B, b=A, c=A, d=A)
    assert story.look() == ["b", "c"]
    assert story.look(b=BROKEN) == ["c"]
    story.done("c")
    assert story.look() == []
    assert [story.share(name) for name in "abcd"] == [Share.TARGET, Share.STABLE, Share.TARGET, Share.STABLE]
    assert story.record.revision == A


def test_what_takes_too_long_has_failed_and_says_what_it_waits_for() -> None:
    story = Story(a=A, b=A)
    story.look()
    story.now += timedelta(seconds=59)
    assert story.look(a=SLOW) == ["a"]
    story.now += timedelta(seconds=1)
    assert story.look(a=SLOW) == []
    assert story.record.failures["a"].message == f"not done within 60 seconds: {SLOW.message}"
    assert story.record.stopped_by == "a"


def test_name_that_a_client_has_taken_holds_up_nobody_else() -> None:
    story = Story(a=A, b=A)
    story.look()
    assert story.look(a=TAKEN) == ["b"]
    story.done("b")
    assert story.look() == []
    assert story.record.is_proven
    assert story.share("a") is Share.LEAVE
    assert story.look(again="a") == ["a"]
    story.done("a")
    assert story.look() == []
    assert not story.record.failures


def test_setting_the_plan_back_takes_those_that_had_changed_back_by_and_by() -> None:
    story = Story(a=A, b=B, c=B, d=B)
    story.record = Record(A, OLD, B)
    story.blueprint = OLD
    assert story.look() == ["b", "c"]
    assert [story.share(name) for name in "abd"] == [Share.TARGET, Share.CHANGE, Share.LEAVE]


def test_client_of_another_plan_comes_over_and_its_failure_is_its_own() -> None:
    story = Story(blueprint=OLD, a=A, late="0123456789abcdef")
    assert story.look() == ["late"]
    story.look(late=BROKEN)
    assert story.record.stopped_by is None
    assert "late" in story.record.failures


def test_new_clients_get_what_is_proven_and_wait_until_somebody_has_looked() -> None:
    new = Member("new", None)
    assert share_of(None, A, new) is Share.WAIT
    assert share_of(None, EMPTY, new) is Share.STABLE
    assert share_of(Record(A, OLD, A), B, new) is Share.WAIT
    assert share_of(Record(A, OLD, B), B, new) is Share.STABLE
    assert advance(None, NEW, (), News(), TERMS, NOW) == Record(B, NEW, B)


def test_those_that_have_nothing_yet_go_first_and_count_for_nobody() -> None:
    story = Story(terms=Terms(max_unavailable=1), a=B, b=A, c=A, x=None, y=None)
    assert story.look() == ["b", "x", "y"]


def test_client_that_goes_takes_its_failure_along() -> None:
    story = Story(a=A, b=A)
    story.look()
    story.look(a=BROKEN)
    del story.members["a"]
    assert story.look() == ["b"]


@pytest.mark.parametrize(
    ("most", "total", "wanted"), [(1, 500, 1), (7, 3, 7), ("10%", 10, 1), ("10%", 11, 2), ("1%", 3, 1), ("100%", 9, 9)]
)
def test_share_is_rounded_up_and_never_nothing(most: int | str, total: int, wanted: int) -> None:
    assert limit(most, total) == wanted


def test_many_failures_of_single_clients_stop_it_too() -> None:
    names = [f"c{number:03d}" for number in range(MAX_FAILURES + 50)]
    story = Story(dict.fromkeys(names, A), terms=Terms(max_unavailable="100%"), done=B)
    assert len(story.look()) == MAX_IN_PROGRESS
    story.look(dict.fromkeys(names, TAKEN))
    assert len(story.record.failures) == MAX_FAILURES
    assert story.record.stopped_by is not None
    assert story.look() == []


@given(
    st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.sampled_from([A, B, None, "other"]), max_size=12),
    st.sampled_from([1, 3, "20%", "100%"]),
    st.lists(st.tuples(st.sampled_from(["done", "broken", "taken", "nothing"]), st.integers(0, 99)), max_size=40),
)
def test_never_too_many_at_once_nobody_after_a_stop_and_no_more_than_one_before_the_first_success(
    revisions: dict[str, str | None], most: int | str, events: list[tuple[str, int]]
) -> None:
    story = Story(revisions, terms=Terms(max_unavailable=most))
    for event, pick in [*events, ("nothing", 0)]:
        before = story.record
        was_proven = any(member.revision == B for member in story.members.values())
        names = sorted(before.changing)
        problems: dict[str, Problem] = {}
        if names and event == "done":
            story.done(names[pick % len(names)])
        elif names and event in ("broken", "taken"):
            problems = {names[pick % len(names)]: BROKEN if event == "broken" else TAKEN}
        changing = story.look(problems)
        entered = set(changing) - set(names)
        has_something = [name for name in changing if story.members[name].revision is not None]
        is_proven = was_proven or any(member.revision == B for member in story.members.values())
        assert len(has_something) <= limit(most, len(story.members)) or not entered
        assert is_proven or len(changing) <= 1
        assert story.record.stopped_by is None or not entered
        assert not set(changing) & story.record.failures.keys()
        assert all(story.members[name].revision != story.record.target for name in changing)
        assert replace(story.record) == record_of(record_json(story.record, list(story.members.values())))
        if story.record.revision == B and before.revision == A:
            left = {name for name, member in story.members.items() if member.revision != B}
            assert left <= story.record.failures.keys()
