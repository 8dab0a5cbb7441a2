"""An agency of forty clients over six months of stepped time, and then its dashboard.

Every Sunday the weekly snapshot is taken, on the 25th of each month points are charged, subscriptions begin, renew, end
and are not paid. Everything is real but the time and the use that is reported.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from clientorg.cluster.resources import CLIENT_ORGS, USAGE_REPORTS
from clientorg.domain.snapshots import last_weeks, read
from clientorg.domain.timestamps import rfc3339
from tests.support.install import ROOT
from tests.support.kube import Access, Kube

from .agencies import CLIENTS, Member, agency, client, history, subscription, used_by
from .errors import DemoError
from .inbox import Inbox, Mail
from .kubectl import Kubectl
from .stage import Stage
from .teller import CLOCK, Teller, refuse_stepping, stepped_settings, tell
from .telling import Try, say

Json = dict[str, Any]

AGENCY, POOL = "agency-kobe", "kobe"
ZONE = ZoneInfo("UTC")
BEGIN = datetime(2026, 5, 31, 12, tzinfo=UTC)
END = datetime(2026, 11, 29, 9, tzinfo=UTC)
WEEKS = 26
_WEEK = timedelta(days=7)
TRY_NEXT: tuple[Try, ...] = (
    Try(f"kubectl clientorg report summary -n {AGENCY}", "the key figures"),
    Try(f"kubectl clientorg report expiring -n {AGENCY}", "whose subscription ends"),
    Try(f"kubectl clientorg points estimate -n {AGENCY}", "who needs points"),
    Try(f"kubectl clientorg dashboard -n {AGENCY}", "all of it in a browser"),
)


def settings(folder: Path) -> Mapping[str, object]:
    """The clock that is stepped."""
    return stepped_settings(folder, BEGIN)


def refuse(kubectl: Kubectl) -> None:
    """Raise RefusedError where stepping the clock would do harm, or would do nothing."""
    refuse_stepping(kubectl, AGENCY)


def play(stage: Stage, console: Console) -> None:
    """Tell it all. Raises DemoError or OperatorError at the first thing amiss."""
    with Kube(Access.read(stage.kubectl.binary, stage.kubectl.kubeconfig)) as kube:
        tell(console, CHAPTERS, BEGIN, lambda inbox: _Story(stage, console, inbox, kube))


@dataclass(frozen=True)
class Clients:
    """All clients, by name."""

    by_name: Mapping[str, Json]

    def status(self, name: str) -> Json:
        """What the operator says of one."""
        status: Json = (self.by_name.get(name) or {}).get("status") or {}
        return status

    def states(self) -> dict[str, int]:
        """How many are in each state."""
        found: dict[str, int] = {}
        for name in self.by_name:
            state = self.status(name).get("state", "none yet")
            found[state] = found.get(state, 0) + 1
        return found

    def snapped(self, moment: datetime) -> int:
        """How many have the snapshot of the moment's Sunday."""
        week = last_weeks(moment, 1)[0]
        return sum(week in read(self.status(name).get("trends")).weeks for name in self.by_name)

    def __str__(self) -> str:
        return f"clients by state {self.states()}"


class _Story(Teller[Clients]):
    """The teller, and what the chapters share."""

    def __init__(self, stage: Stage, console: Console, inbox: Inbox, kube: Kube) -> None:
        super().__init__(stage, console, inbox, begin=BEGIN, zone=ZONE, look=self._clients)
        self.kube = kube
        self.week = 0
        self._reported: set[str] = set()

    def _clients(self, _: tuple[Mail, ...]) -> Clients:
        return Clients({item["metadata"]["name"]: item for item in self.kube.list_all(CLIENT_ORGS, AGENCY)})

    def create(self, *manifests: Json) -> None:
        """As the agency does."""
        for manifest in manifests:
            self.kube.create(manifest)

    def plugin(self, command: str) -> str:
        """A command of the plugin."""
        return self.run(f"kubectl clientorg -n {AGENCY} {command}")

    def live(self, weeks: int) -> None:
        """So many weeks pass: use is reported on Saturday, and taken down on Sunday."""
        for _ in range(weeks):
            self.week += 1
            sunday = BEGIN.replace(hour=0) + self.week * _WEEK
            self.clock.step(sunday - timedelta(hours=3))
            seen = self._clients(())
            for member in CLIENTS:
                self._report(member, seen)
            self.clock.step(sunday)
            self.until_quietly(partial(_is_taken, sunday))

    def until_quietly(self, condition: Callable[[Clients], bool]) -> None:
        """Wait without telling of it."""
        from .looking import until
        from .teller import WAIT_SECONDS

        until(self.look, f"the snapshots of week {self.week}", condition, WAIT_SECONDS)

    def _report(self, member: Member, seen: Clients) -> None:
        """What the product's metering agent says of a client this week."""
        org_id = seen.status(member.name).get("orgID")
        if not org_id or seen.status(member.name).get("state") not in ("Active", "Paused"):
            return
        spec = {"orgID": org_id, **used_by(member, self.week), "observedTime": rfc3339(self.clock.now)}
        if member.name in self._reported:
            self.kube.merge(USAGE_REPORTS, f"usage-{member.name}", {"spec": spec}, AGENCY)
            return
        self._reported.add(member.name)
        metadata = {"name": f"usage-{member.name}", "namespace": AGENCY}
        self.create({"apiVersion": "clientorg.dev/v1alpha1", "kind": "UsageReport", "metadata": metadata, "spec": spec})


def _is_taken(sunday: datetime, seen: Clients) -> bool:
    """Whether every client that has a workspace has the snapshot of that Sunday."""
    return seen.snapped(sunday) >= sum(n for state, n in seen.states().items() if state in ("Active", "Paused"))


def _opens(story: _Story) -> None:
    story.chapter("An agency opens with a stock of licenses, points, and its first thirty clients")
    story.create(*agency(AGENCY, POOL))
    first = [member for member in CLIENTS if member.joins == 0]
    for member in first:
        story.create(client(member, AGENCY, POOL), subscription(member, AGENCY, BEGIN))
    story.until(f"{len(first)} clients are Active", lambda seen: seen.states().get("Active", 0) == len(first))
    story.plugin(f"points purchase {POOL} 400000 --reference INV-2026-0531 --yes --wait=30s")
    story.plugin("points replenish --all --to 1200 --yes | tail -n 1")


def _summer(story: _Story) -> None:
    story.chapter("Summer: thirteen weeks of use, three charges")
    for _ in range(3):
        story.live(4)
        story.plugin("points replenish --all --to 1200 --yes | tail -n 1")
    story.live(1)
    story.plugin("report summary")


def _grows(story: _Story) -> None:
    story.chapter("Autumn: ten more clients, trials among them, and one that waits for an approval")
    later = [member for member in CLIENTS if member.joins > 0]
    for member in later:
        story.create(client(member, AGENCY, POOL), subscription(member, AGENCY, story.clock.now))
    waiting = sum(member.is_asked for member in later)
    story.until(
        "they have their workspaces, and one waits",
        lambda seen: (
            seen.states().get("PendingApproval", 0) == waiting
            and len(seen.by_name) == len(CLIENTS)
            and not seen.states().get("Provisioning")
        ),
    )
    story.plugin("points replenish --all --to 1200 --yes | tail -n 1")


def _autumn(story: _Story) -> None:
    story.chapter("Thirteen more weeks: some use too much, some nothing, one does not pay, one leaves")
    for item in history(AGENCY):
        story.create(item)
    for _ in range(2):
        story.live(4)
        story.plugin("points replenish --all --to 1200 --yes | tail -n 1")
    story.live(2)
    story.plugin("deactivate fuji-film-lab --reason 'the studio closes' --yes")
    story.live(3)


def _looks_back(story: _Story) -> None:
    story.chapter("Half a year later", END)
    story.until(
        "there is something of everything",
        lambda seen: (
            seen.states().get("Deactivated") == 1
            and seen.states().get("Paused", 0) >= 2
            and seen.states().get("PendingApproval") == 1
        ),
    )
    told = json.loads(story.plugin("report summary -o json"))
    if not told:
        raise DemoError("the summary is empty")
    story.plugin("report expiring")
    story.plugin("report over-limit")
    story.plugin("ledger verify")


CHAPTERS: tuple[Callable[[_Story], None], ...] = (_opens, _summer, _grows, _autumn, _looks_back)


@contextlib.contextmanager
def dashboard(stage: Stage, console: Console) -> Iterator[None]:
    """The agency in a browser, as long as the block lasts."""
    environment = {
        **os.environ,
        "KUBECONFIG": str(stage.kubectl.kubeconfig),
        "CLIENTORG_DEV_CLOCK": str(stage.folder / CLOCK),
    }
    command = [sys.executable, "-c", "from clientorg.cli.main import run; run()", "-n", AGENCY, "dashboard"]
    say(console, "")
    process = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)
