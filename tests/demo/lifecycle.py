"""The story of examples/lifecycle: three months of a client's life, and then three more, in about a minute.

It is told on a clock of its own, which is stepped: the operator reads the time from a file. Everything else is real.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from .inbox import Inbox
from .kubectl import Kubectl
from .looking import Seen, look
from .stage import Stage
from .teller import Teller, refuse_stepping, stepped_settings, tell
from .telling import Try

AGENCY = "agency-osaka"
TRY_NEXT: tuple[Try, ...] = ()
CLIENT, LENDER = "acme", "globex"
EXAMPLE_ORG_ID = "7k2m9q4xta"
BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Tokyo")
PODS = 4
REMINDER_DAYS = (30, 14, 7, 1)


def settings(folder: Path) -> Mapping[str, object]:
    """The clock that is stepped, and a mail server on this machine."""
    return stepped_settings(folder, BEGIN)


def refuse(kubectl: Kubectl) -> None:
    """Raise RefusedError where stepping the clock would do harm, or would do nothing."""
    refuse_stepping(kubectl, AGENCY)


def play(stage: Stage, console: Console) -> None:
    """Tell it all; returns when the client is purged. Raises DemoError or OperatorError at the first thing amiss."""
    tell(console, CHAPTERS, BEGIN, lambda inbox: _Story(stage, console, inbox))


class _Story(Teller[Seen]):
    """The teller, and what the chapters share."""

    def __init__(self, stage: Stage, console: Console, inbox: Inbox) -> None:
        super().__init__(
            stage,
            console,
            inbox,
            begin=BEGIN,
            zone=ZONE,
            look=lambda mails: look(stage.kubectl, AGENCY, CLIENT, mails),
        )
        self.mail_port = inbox.port
        self.org_id = self.namespace = ""

    def show(self, what: str) -> None:
        """What kubectl says of a kind in the agency."""
        self.run(f"kubectl get {what} -n {AGENCY}")

    def show_workloads(self) -> None:
        """What kubectl says of the client's own pods and CronJobs."""
        self.run(f"kubectl get pods,cronjobs -n {self.namespace}")

    def report_usage(self, file: str) -> None:
        """Apply a usage report with the client's own Org ID."""
        self.run(f"sed s/{EXAMPLE_ORG_ID}/{self.org_id}/ examples/lifecycle/{file} | kubectl apply -f -")


def _begins(story: _Story) -> None:
    story.chapter("Acme begins to work, and runs its experiments")
    story.run("kubectl apply -f examples/lifecycle/agency.yaml")
    story.run(
        f"kubectl create secret generic clientorg-smtp -n {AGENCY} --from-literal=host=127.0.0.1 "
        f"--from-literal=port={story.mail_port} --from-literal=security=none"
    )
    story.run("kubectl apply -f examples/lifecycle/clients.yaml")
    seen = story.until("Acme is Ready", lambda seen: seen.ready == ("True", "Ready"), "workspace is ready")
    story.org_id, story.namespace = seen.status["orgID"], seen.status["workspace"]["namespace"]
    story.run(f"kubectl apply -n {story.namespace} -f examples/lifecycle/experiments.yaml")
    story.until(f"{PODS} pods run", lambda seen: seen.running == PODS)
    story.show_workloads()


def _is_warned(story: _Story) -> None:
    story.chapter("80 % are used", datetime(2026, 11, 16, tzinfo=UTC))
    story.report_usage("usage-80.yaml")
    story.until("the contact is warned", lambda seen: seen.thresholds == {80}, "80")
    story.run(f"kubectl clientorg usage -n {AGENCY}")


def _is_paused(story: _Story) -> None:
    story.chapter("100 % are used: everything stops by itself", datetime(2026, 11, 23, tzinfo=UTC))
    story.report_usage("usage-100.yaml")
    story.until("Acme is paused, and nothing runs", _is_stopped("Paused"), "paused")
    story.show("clientorgs")
    story.show_workloads()
    story.note("Nothing can be started either, whatever is applied:")
    story.run(f"kubectl apply -n {story.namespace} -f examples/lifecycle/experiments.yaml", refused=True)


def _resumes(story: _Story) -> None:
    story.chapter("The agency moves 10,000 visitors from Globex to Acme", story.clock.now + timedelta(hours=2))
    story.run(f"kubectl clientorg reallocate {CLIENT} -n {AGENCY} --license visitors --from {LENDER} --by 10000 --yes")
    story.until("Acme is resumed, and everything runs as before", _is_working, "running again")
    story.show("clientorgs")
    story.show_workloads()


def _is_deactivated(story: _Story) -> None:
    story.chapter("The contract ends: the agency deactivates Acme", datetime(2026, 11, 25, tzinfo=UTC))
    story.run(f"kubectl clientorg deactivate {CLIENT} -n {AGENCY} --yes")
    story.until("Acme is deactivated, and nothing runs", _is_stopped("Deactivated"), "has been deactivated")
    story.show("clientorgs")
    story.show("quotapools")


def _is_reminded(story: _Story) -> None:
    _remind(story, REMINDER_DAYS[:3])


def _waits(story: _Story) -> None:
    story.chapter("Acme signs again, but its licenses went to Globex", story.clock.now + timedelta(days=2))
    story.run(f"kubectl clientorg reallocate {LENDER} -n {AGENCY} --license visitors --by +60000 --yes")
    story.run(f"kubectl clientorg reactivate {CLIENT} -n {AGENCY} --yes")
    story.until(
        "Acme waits for licenses, and is not deleted meanwhile",
        lambda seen: seen.ready == ("False", "QuotaPending") and "deactivation" not in seen.status and not seen.pods,
        "waiting for licenses",
    )
    story.show("clientorgs")


def _returns(story: _Story) -> None:
    story.chapter("Globex gives them back: Acme goes on where it left off", story.clock.now + timedelta(days=1))
    story.run(f"kubectl clientorg reallocate {LENDER} -n {AGENCY} --license visitors --by -60000 --yes")
    story.until("Acme is active, and everything runs as before", _is_working, "running again")
    story.show("clientorgs")
    story.show_workloads()


def _leaves_again(story: _Story) -> None:
    story.chapter("Acme leaves for good: three months begin anew", datetime(2027, 3, 1, tzinfo=UTC))
    story.run(f"kubectl clientorg deactivate {CLIENT} -n {AGENCY} --yes")
    story.until("Acme is deactivated, and nothing runs", _is_stopped("Deactivated"), "has been deactivated")
    _remind(story, REMINDER_DAYS)


def _is_purged(story: _Story) -> None:
    story.chapter("The grace period and the notice are over", _purge_after(story))
    story.until(
        "everything is deleted but the record",
        lambda seen: seen.state == "Purged" and seen.ready == ("True", "Purged") and not seen.namespace_exists,
        "permanently deleted",
    )
    story.run(f"kubectl get namespace {story.namespace}", refused=True)
    story.show("clientorgs")
    story.run(f"kubectl get clientorgs {CLIENT} -n {AGENCY} -o jsonpath='{{.status.deactivation}}'")
    story.show("quotapools")


CHAPTERS: tuple[Callable[[_Story], None], ...] = (
    _begins,
    _is_warned,
    _is_paused,
    _resumes,
    _is_deactivated,
    _is_reminded,
    _waits,
    _returns,
    _leaves_again,
    _is_purged,
)


def _remind(story: _Story, days: tuple[int, ...]) -> None:
    """Step from reminder to reminder, as the status announces the purge; each has to be delivered."""
    for before in days:
        story.chapter(
            f"{before} day{'s' if before != 1 else ''} before everything is deleted",
            _purge_after(story) - timedelta(days=before),
        )
        story.until("the contact is reminded", _is_reminded_of(before), "will be permanently deleted")


def _purge_after(story: _Story) -> datetime:
    record = story.look().status["deactivation"]
    return datetime.fromisoformat(record["purgeAfter"])


def _is_reminded_of(days: int) -> Callable[[Seen], bool]:
    return lambda seen: days in seen.reminders


def _is_stopped(state: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.state == state and seen.ready[0] == "True" and not seen.pods


def _is_working(seen: Seen) -> bool:
    return (
        seen.state == "Active"
        and seen.ready == ("True", "Ready")
        and seen.running == len(seen.pods) == PODS
        and "deactivation" not in seen.status
    )
