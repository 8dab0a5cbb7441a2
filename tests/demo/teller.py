"""What the stories on the stepped clock share: where they may begin, and how a chapter is told and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from rich.console import Console

from .devclock import SteppedClock
from .errors import RefusedError
from .inbox import Inbox, Mail, open_inbox
from .kubectl import Kubectl
from .looking import until
from .shell import Shell
from .stage import Stage
from .telling import say

WAIT_SECONDS = 30.0
CLOCK = "clock"

S = TypeVar("S")
T = TypeVar("T", bound="Teller[Any]")


def stepped_settings(folder: Path, begin: datetime) -> Mapping[str, object]:
    """The operator's settings for such a story: the clock that is stepped, and a mail server on this machine."""
    return {"dev_clock": SteppedClock(folder / CLOCK, begin).file, "allow_loopback": True}


def refuse_stepping(kubectl: Kubectl, agency: str) -> None:
    """Raise RefusedError where stepping the clock would do harm, or would do nothing."""
    if kubectl.exists("namespace", agency):
        raise RefusedError(f"the cluster has a namespace {agency} already; the demo leaves it alone and does not begin")
    if not kubectl.exists("crd", "clientorgs.clientorg.dev"):
        return
    lease = ("lease", "clientorg-operator", "--namespace=clientorg-system", "--ignore-not-found")
    leader = kubectl.run("get", *lease, "--output=jsonpath={.spec.holderIdentity}").strip()
    if leader:
        raise RefusedError(
            f"this story steps the operator's clock, which is impossible here: another operator leads ({leader}), and "
            "its clock is not ours. End it first, or use --cluster=local"
        )
    if kubectl.exists("clientorgs", "--all-namespaces"):
        raise RefusedError(
            "this story steps the operator's clock by months, which is impossible here: the cluster has clients, and "
            "those that are deactivated would be deleted before their time. Use --cluster=local"
        )


def tell(
    console: Console, chapters: Sequence[Callable[[T], None]], begin: datetime, new_story: Callable[[Inbox], T]
) -> None:
    """Tell the chapters, and what was seen; the contact's mails come to an inbox of the story's own."""
    began = time.monotonic()
    with open_inbox() as inbox:
        story = new_story(inbox)
        for chapter in chapters:
            chapter(story)
        count = len(inbox.mails)
    days = (story.clock.now - begin).days
    say(
        console,
        f"\nSeen: {len(chapters)} chapters, {days} days, {count} mails, in {time.monotonic() - began:.0f} s.",
        style="green",
    )


class Teller(Generic[S]):
    """Tells a story: steps the clock, runs commands, and waits for what they bring about.

    Args:
        begin: the time at which the story begins, in UTC.
        zone: the time zone in which it is told.
        look: what there is to see now, given the mails that were not told yet.
        kubeconfig: what the commands run with; None: the administrator's.
    """

    def __init__(
        self,
        stage: Stage,
        console: Console,
        inbox: Inbox,
        *,
        begin: datetime,
        zone: ZoneInfo,
        look: Callable[[tuple[Mail, ...]], S],
        kubeconfig: Path | None = None,
    ) -> None:
        self.clock = SteppedClock(stage.folder / CLOCK, begin)
        self._stage, self._console, self._inbox = stage, console, inbox
        self._zone, self._look = zone, look
        self._told_mails = 0
        environment = {"KUBECONFIG": str(kubeconfig)} if kubeconfig is not None else {}
        self._shell = Shell(stage, console, CLIENTORG_DEV_CLOCK=str(self.clock.file), **environment)
        self._cause = time.monotonic()

    def chapter(self, title: str, at: datetime | None = None) -> None:
        """A new one, at that time."""
        if at is not None:
            self.clock.step(at)
        self._cause = time.monotonic()
        say(self._console, f"\n== {self.clock.now.astimezone(self._zone):%-d %B %Y, %H:%M}  {title}", style="bold cyan")

    def run(self, command: str, *, refused: bool = False) -> str:
        """Show a command and what it says, and return that; raises DemoError if it does not go as it should."""
        self._cause = time.monotonic()
        return self._shell.run(command, refused=refused)

    def note(self, text: str) -> None:
        """A line in the teller's own words."""
        say(self._console, f"   {text}", style="green")

    def look(self) -> S:
        """What there is to see now."""
        self._stage.check()
        return self._look(self._new_mails())

    def until(self, what: str, condition: Callable[[S], bool], *mails: str) -> S:
        """Wait until it is so, and for each of `mails` there is a new mail with these words in its subject.

        Tells how long it took since the last command began, or the clock was stepped. Raises DemoError after a while.
        """
        told: tuple[Mail, ...] = ()

        def holds(found: S) -> bool:
            nonlocal told
            told = self._new_mails()
            return condition(found) and all(any(words in mail.subject for mail in told) for words in mails)

        awaited = [what, *(f"a mail with {words!r} in its subject" for words in mails)]
        seen = until(self.look, ", and ".join(awaited), holds, WAIT_SECONDS)
        self.note(f"After {time.monotonic() - self._cause:.1f} s {what}.")
        for new in told:
            say(self._console, f"   {new}", style="magenta")
        self._told_mails += len(told)
        return seen

    def _new_mails(self) -> tuple[Mail, ...]:
        return tuple(self._inbox.mails[self._told_mails :])
