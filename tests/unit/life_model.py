"""The life of one client without a cluster: passes over its status as JSON, as the operator makes them.

What a pass remembers goes through status only, so that each pass may be the first of a new process. Mails are delivered
or refused when a story says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clientorg.api.clientorg import WantedState
from clientorg.api.notifications import Channel
from clientorg.api.quotapool import UsePeriod
from clientorg.domain import outbox as box
from clientorg.domain.allocation import Grant, Holder
from clientorg.domain.client_facts import Facts, Run
from clientorg.domain.client_status import status_of
from clientorg.domain.decision import Decision, Situation, decide
from clientorg.domain.lifecycle import Deactivation, Terms
from clientorg.domain.messages import from_status, to_status
from clientorg.domain.notices import add_all, as_of, delivered_reminders, failing_text, notices, without_outdated
from clientorg.domain.records import crossings_of, deactivation_of, usage_of
from clientorg.domain.timestamps import parse_time, rfc3339
from clientorg.domain.usage import Sample

Json = dict[str, Any]

TOKYO = ZoneInfo("Asia/Tokyo")
NOON = datetime(2026, 11, 25, 3, tzinfo=UTC)
"""25 November 2026, noon in Tokyo."""
TERMS = Terms(3, (30, 14, 7, 1), 1, TOKYO)
_MOST_PASSES = 20


def situation(**fields: Any) -> Situation:
    """A client that holds the ten visitors it asks for, uses none, and is Active."""
    default: Json = {
        "now": NOON,
        "state": WantedState.ACTIVE,
        "wanted": {"visitors": 10},
        "holder": Holder({"visitors": 10}, 1),
        "grants": (),
        "usage": usage_of({}),
        "samples": (),
        "use_periods": {"visitors": UsePeriod.NEVER},
        "thresholds": (80, 90, 100),
        "told": (),
        "terms": TERMS,
        "deactivation": None,
    }
    return Situation(**default | fields)


def facts_of(decision: Decision, state: WantedState, **fields: Any) -> Facts:
    """What a pass finds that decided so, and whose workspace is as wanted."""
    wanted = {} if state is WantedState.DEACTIVATED else {"visitors": 10}
    default: Json = {
        "generation": 1,
        "org_id": "7k2m9q4xta",
        "namespace": "acme-7k2m9q4xta",
        "url": None,
        "holder": decision.holder,
        "asked": {"visitors": 10},
        "wanted": wanted,
        "used": decision.used,
        "state": state,
        "usage": decision.usage,
        "crossings": decision.crossings,
        "kept_back": decision.kept_back,
        "provisioned": True,
        "established": True,
        "pause_reasons": decision.pause_reasons,
        "exhausted": decision.exhausted,
        "deactivation": decision.deactivation,
        "run": Run.STOPPED if decision.gate_closed else Run.RUNNING,
    }
    return Facts(**default | fields)


@dataclass(frozen=True)
class Mail:
    """A reminder that was delivered."""

    key: str
    days: int
    told: datetime
    delivered: datetime
    since: datetime


@dataclass
class Life:
    """One client.

    Attributes:
        channels: ways that messages go; none: they are delivered by being on record.
        mails: reminders that were delivered, over the whole life.
    """

    terms: Terms = TERMS
    now: datetime = NOON
    state: WantedState = WantedState.ACTIVE
    channels: Sequence[Channel] = (Channel.MAIL,)
    samples: Sequence[Sample] = ()
    recent_purges: Sequence[datetime] = ()
    status: Json = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    next_due: datetime | None = None
    decision: Decision | None = None

    @property
    def record(self) -> Deactivation | None:
        """The deactivation as status has it."""
        return deactivation_of(self.status)

    @property
    def is_purged(self) -> bool:
        """Whether it is a tombstone."""
        return self.record is not None and self.record.purged is not None

    def run(self) -> None:
        """Passes until nothing changes."""
        for _ in range(_MOST_PASSES):
            if not self._pass():
                return
        raise AssertionError(f"the passes do not come to rest: {self.status}")

    def wait(self, until: datetime, *, delivers: bool = True) -> None:
        """Let time pass: the operator wakes only when something is due, as it said itself."""
        self.settle(delivers)
        for _ in range(500):
            if self.next_due is None or self.next_due > until:
                break
            assert self.next_due > self.now, "it would wake up for ever"
            self.now = self.next_due
            self.settle(delivers)
        else:
            raise AssertionError("it wakes up too often")
        self.now = max(self.now, until)

    def settle(self, delivers: bool = True) -> None:
        """Passes, and the mails that they bring, until nothing changes."""
        self.run()
        while delivers and self.deliver():
            self.run()

    def deliver(self, *, refuse: bool = False) -> int:
        """The mail server takes what waits, or refuses it for good; returns how many."""
        outbox = from_status(self.status.get("outbox") or ())
        due = box.due(outbox, self.now)
        for one in due:
            if refuse:
                outbox = box.mark_failed(outbox, one, "no such user", permanent=True, now=self.now)
            else:
                outbox = box.mark_sent(outbox, one, self.now)
            if one.entry.kind == "reminder" and not refuse:
                assert self.record is not None, f"{one.entry.key} is sent to a client that is active again"
                self._note(one.entry.key, as_of(one.entry, self.record, self.now, self.terms).params)
        self.status = self.status | {"outbox": to_status(outbox)}
        return len(due)

    def resend(self) -> None:
        """Somebody corrects the address, and asks to have a refused reminder sent again."""
        outbox = from_status(self.status.get("outbox") or ())
        for one in box.failing(outbox):
            outbox = box.resend(outbox, self.now, key=one.entry.key, kind=None, channels=self.channels)
        self.status = self.status | {"outbox": to_status(outbox)}

    def _note(self, key: str, params: Any) -> None:
        assert self.record is not None
        told = parse_time(params["purgeAfter"])
        assert told > self.now, f"{key} tells a date that has passed"
        self.mails.append(Mail(key, int(params["days"]), told, self.now, self.record.since))

    def _pass(self) -> bool:
        before = self.status
        outbox = from_status(before.get("outbox") or ())
        record = deactivation_of(before)
        held = {item["name"]: item["granted"] for item in before.get("licenses") or ()}
        holder = Holder(held, before.get("lastGrant", 0))
        grants = []
        is_gone = record is not None and record.purge_started is not None
        if self.state is not WantedState.DEACTIVATED and not is_gone and held.get("visitors", 0) < 10:
            grants = [Grant("uid", "acme", holder.last_grant + 1, "visitors", held.get("visitors", 0), 10)]
        decision = self.decision = decide(
            situation(
                now=self.now,
                state=self.state,
                holder=holder,
                grants=grants,
                usage=usage_of(before),
                samples=self.samples,
                told=crossings_of(before),
                terms=self.terms,
                deactivation=record,
                recent_purges=() if is_gone else self.recent_purges,
                has_delivered=delivered_reminders(outbox, record),
            )
        )
        self.next_due = decision.next_due
        facts = facts_of(decision, self.state)
        if decision.purge and record is not None and record.purge_started is not None and decision.deactivation:
            facts = replace(facts, deactivation=replace(decision.deactivation, purged=self.now))
        new = notices(before, facts, decision, self.now)
        seen = {entry.key for entry in outbox}
        outbox = without_outdated(outbox, facts.deactivation, decision.reminder)
        outbox, _ = add_all(outbox, new, self.now, self.channels)
        for entry in outbox:
            if entry.key not in seen:
                self.kinds.append(entry.kind)
                if entry.kind == "reminder" and not self.channels:
                    told = parse_time(entry.params["purgeAfter"])
                    since = facts.deactivation.since if facts.deactivation else self.now
                    self.mails.append(Mail(entry.key, int(entry.params["days"]), told, self.now, since))
        facts = replace(facts, outbox=tuple(to_status(outbox)), undelivered=failing_text(outbox))
        self.status = status_of(facts, before, rfc3339(self.now))
        return self.status != before


def days(count: float) -> timedelta:
    """So many days."""
    return timedelta(days=count)
