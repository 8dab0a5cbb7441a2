"""How a changed blueprint goes out: one workspace first, then so many at a time, stopped by what fails (FEATURES A5).

The plan's status is the commit point, as a pool's is for licenses: who is changing is written there first, and a
workspace changes only once it reads its name there. So a crash at any point is resumed from the record, and two
operators at once do not change more than the plan allows. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from clientorg.api.conditions import Reason
from clientorg.api.rollout import MAX_FAILURES, MAX_IN_PROGRESS
from clientorg.api.rollout import Rollout as Terms
from clientorg.domain.client_facts import Problem
from clientorg.domain.drift import stable_digest
from clientorg.domain.timestamps import parse_time, rfc3339

Json = dict[str, Any]
_MAX_MESSAGE: Final = 1024


def revision_of(blueprint: Sequence[Json]) -> str:
    """The digest by which a blueprint is known."""
    return stable_digest(list(blueprint))


EMPTY: Final = revision_of(())


@dataclass(frozen=True, slots=True)
class Failure:
    """A workspace that could not be changed; `stops` where the others are not changed for it."""

    message: str
    stops: bool
    time: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """What a plan's status remembers of its blueprint.

    Attributes:
        revision: of the blueprint that went through last.
        objects: that blueprint.
        target: of the blueprint that workspaces are changed to.
        changing: client to when its change began.
        failures: by client, of the target.
    """

    revision: str
    objects: Sequence[Json]
    target: str
    changing: Mapping[str, datetime] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)

    @property
    def is_proven(self) -> bool:
        """Whether the target is what workspaces have already."""
        return self.target == self.revision

    @property
    def stopped_by(self) -> str | None:
        """The client whose failure keeps the others from being changed."""
        return next((name for name, failure in self.failures.items() if failure.stops), None)


@dataclass(frozen=True, slots=True)
class Member:
    """A client with a workspace.

    Attributes:
        revision: of the blueprint that it has; None until it has one.
    """

    name: str
    revision: str | None


class Share(Enum):
    """Which blueprint a workspace gets now."""

    WAIT = "wait"
    """Nobody has looked at the plan's blueprint yet; nothing is built meanwhile."""
    STABLE = "stable"
    """The one that went through last."""
    TARGET = "target"
    """The plan's own."""
    CHANGE = "change"
    """The plan's own, and it is this workspace's turn to change to it."""
    LEAVE = "leave"
    """What it has, as it is: it is neither of both, and its turn comes later."""


def share_of(record: Record | None, wanted: str, client: Member) -> Share:
    """The blueprint of a client, whose plan wants the revision `wanted`."""
    if record is None:
        return Share.STABLE if wanted == EMPTY else Share.WAIT
    if record.target == wanted and client.name in record.changing:
        return Share.CHANGE
    if client.revision == wanted:
        return Share.TARGET
    if client.revision is None:
        return Share.STABLE if record.target == wanted else Share.WAIT
    return Share.STABLE if client.revision == record.revision else Share.LEAVE


@dataclass(frozen=True, slots=True)
class News:
    """What is known since the last look, beyond what clients' status tells.

    Attributes:
        problems: what stands in the way of workspaces that are changing.
        again: clients that are to be tried again.
    """

    problems: Mapping[str, Problem] = field(default_factory=dict)
    again: frozenset[str] = frozenset()


FINAL_REASONS: Final = (Reason.BLUEPRINT_INVALID, Reason.NAME_TAKEN)
"""What does not pass by itself."""
_OF_ONE_CLIENT: Final = (Reason.NAME_TAKEN,)
"""What a client did in its own workspace must not keep the others from being changed."""


def advance(
    record: Record | None, blueprint: Sequence[Json], members: Iterable[Member], news: News, terms: Terms, now: datetime
) -> Record:
    """The record as it is to be now: what is done or failed is taken out, and the next ones are let in."""
    wanted = revision_of(blueprint)
    if record is None:  # nobody has anything of it, or has it from an operator that kept no record
        record = Record(wanted, blueprint, wanted)
    if record.target != wanted:
        record = Record(record.revision, record.objects, wanted)
    known = {member.name: member for member in members}
    open_ = {name for name, member in known.items() if _is_open(member, record)}
    record = _settled(record, open_, news, terms, now)
    waiting = [known[name] for name in open_ - record.changing.keys() - record.failures.keys()]
    if not waiting and not record.changing and record.stopped_by is None:
        return replace(record, revision=wanted, objects=blueprint)
    if record.stopped_by is not None:
        return record
    admitted = _next(record, waiting, known, terms)
    return replace(record, changing={**record.changing, **dict.fromkeys(admitted, now)})


def _is_open(member: Member, record: Record) -> bool:
    """Whether a workspace has yet to be changed; one that is being built gets what is proven by itself."""
    return member.revision != record.target and not (member.revision is None and record.is_proven)


def _settled(record: Record, open_: set[str], news: News, terms: Terms, now: datetime) -> Record:
    """The record without what is done with; what cannot be done has become a failure."""
    failures = {name: failure for name, failure in record.failures.items() if name in open_ and name not in news.again}
    changing: dict[str, datetime] = {}
    deadline = timedelta(seconds=terms.progress_deadline_seconds)
    for name, since in record.changing.items():
        if name not in open_:
            continue
        problem = news.problems.get(name)
        is_late = now - since >= deadline
        if len(failures) < MAX_FAILURES and (is_late or (problem is not None and problem.reason in FINAL_REASONS)):
            is_last = len(failures) + 1 == MAX_FAILURES
            failures[name] = _failure(record, problem, terms, now, is_last=is_last)
        else:
            changing[name] = since
    return replace(record, changing=changing, failures=failures)


def _failure(record: Record, problem: Problem | None, terms: Terms, now: datetime, *, is_last: bool) -> Failure:
    """`is_last`: no more of them can be remembered, so that the others are left alone."""
    is_final = problem is not None and problem.reason in FINAL_REASONS
    text = problem.message if problem is not None else "the client was not looked at"
    if not is_final:
        text = f"not done within {terms.progress_deadline_seconds} seconds: {text}"
    is_its_own = record.is_proven or (problem is not None and problem.reason in _OF_ONE_CLIENT)
    return Failure(text[:_MAX_MESSAGE], is_last or not is_its_own, now)


def _next(record: Record, waiting: Sequence[Member], known: Mapping[str, Member], terms: Terms) -> list[str]:
    """Who is let in now. Those that have nothing yet lose nothing, so that they go first and count for nobody."""
    ordered = sorted(waiting, key=lambda member: (member.revision is not None, member.name))
    room = MAX_IN_PROGRESS - len(record.changing)
    if not (record.is_proven or any(member.revision == record.target for member in known.values())):
        return [member.name for member in ordered[: min(room, 1 - len(record.changing))]]
    bare = [member.name for member in ordered if member.revision is None]
    whole = [member.name for member in ordered if member.revision is not None]
    busy = sum(known[name].revision is not None for name in record.changing)
    admitted = [*bare, *whole[: max(0, limit(terms.max_unavailable, len(known)) - busy)]]
    return admitted[: max(0, room)]


def limit(max_unavailable: int | str, total: int) -> int:
    """How many of so many workspaces may be changing: at least one, shares rounded up."""
    if isinstance(max_unavailable, int):
        return max(1, max_unavailable)
    percent = int(max_unavailable.removesuffix("%"))
    return max(1, -(-total * percent // 100))


# -- status ------------------------------------------------------------------------------------------------------------


def record_of(status: Mapping[str, Any] | None) -> Record | None:
    """What `record_json` wrote."""
    if not status:
        return None
    return Record(
        revision=status["revision"],
        objects=status.get("objects") or (),
        target=status["target"],
        changing={item["client"]: parse_time(item["since"]) for item in status.get("inProgress") or ()},
        failures={
            item["client"]: Failure(item["message"], item.get("stops", False), parse_time(item["time"]))
            for item in status.get("failures") or ()
        },
    )


def record_json(record: Record, members: Sequence[Member]) -> Json:
    """The part of a plan's status that tells of its blueprint."""
    updated = sum(member.revision == record.target for member in members)
    status: Json = {
        "revision": record.revision,
        "objects": list(record.objects),
        "target": record.target,
        "clients": len(members),
        "updated": updated,
        "inProgress": [{"client": name, "since": rfc3339(since)} for name, since in sorted(record.changing.items())],
        "failures": [
            {"client": name, "message": failure.message, "stops": failure.stops, "time": rfc3339(failure.time)}
            for name, failure in sorted(record.failures.items())
        ],
    }
    if {record.revision, record.target} != {EMPTY}:
        status["progress"] = f"{updated}/{len(members)}"
    return status


def blueprint_numbers(status: Mapping[str, Any]) -> dict[str, int]:
    """Workspaces by state, for metrics; nothing of a plan that never had a blueprint."""
    if "progress" not in status:
        return {}
    return {
        "total": status["clients"],
        "updated": status["updated"],
        "changing": len(status.get("inProgress") or ()),
        "failed": len(status.get("failures") or ()),
    }


def story(record: Record, status: Mapping[str, Any]) -> str:
    """How far it is, for a person."""
    text = f"blueprint {record.target} is in {status['updated']} of {status['clients']} workspaces"
    if record.changing:
        text += f", {len(record.changing)} are changing"
    return text
