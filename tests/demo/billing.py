"""The story of examples/billing: two clients are approved, three months are charged, and a contract ends, in a minute.

It is told on a clock of its own, which is stepped: the operator and the plugin read the time from a file. Everybody
acts in a context of their own, with the rights that the example gives. Everything is real but the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from .books import Books, read_books
from .errors import DemoError
from .inbox import Inbox
from .kubectl import Kubectl, write_kubeconfig_of
from .stage import Stage
from .teller import Teller, refuse_stepping, stepped_settings, tell
from .telling import Try

AGENCY, POOL = "agency-nagoya", "nagoya"
TRY_NEXT: tuple[Try, ...] = ()
PEOPLE = {
    "sales": "ken@nagoya.example",
    "agency": "mei@nagoya.example",
    "approver": "aya@platform.example",
    "distributor": "orders@distributor.example",
}
"""Contexts, and who acts in each."""
ZONE = ZoneInfo("Asia/Tokyo")
BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
STATEMENT = "acme-2026-12.html"


def settings(folder: Path) -> Mapping[str, object]:
    """The clock that is stepped, and a mail server on this machine."""
    return stepped_settings(folder, BEGIN)


def refuse(kubectl: Kubectl) -> None:
    """Raise RefusedError where stepping the clock would do harm, or would do nothing."""
    refuse_stepping(kubectl, AGENCY)


def play(stage: Stage, console: Console) -> None:
    """Tell it all; returns when the ledger is verified. Raises DemoError or OperatorError at the first thing amiss."""
    tell(console, CHAPTERS, BEGIN, lambda inbox: _Story(stage, console, inbox))


class _Story(Teller[Books]):
    """The teller, and what the chapters share."""

    def __init__(self, stage: Stage, console: Console, inbox: Inbox) -> None:
        super().__init__(
            stage,
            console,
            inbox,
            begin=BEGIN,
            zone=ZONE,
            look=lambda mails: read_books(stage.kubectl, AGENCY, POOL, mails),
            kubeconfig=write_kubeconfig_of(stage.kubectl, stage.folder / "people.yaml", AGENCY, PEOPLE),
        )
        self.mail_port = inbox.port
        self.folder = stage.folder

    def plugin(self, who: str, command: str, *, says: str = "", refused: bool = False) -> None:
        """Somebody runs a command of the plugin.

        Raises:
            DemoError: it fails, or is `refused` and does not; or it does not say these words.
        """
        said = self.run(f"kubectl clientorg {command} --context {who}", refused=refused)
        if says not in said:
            raise DemoError(f"`kubectl clientorg {command}` did not say {says!r}")

    def show(self, what: str) -> None:
        """What kubectl shows the agency."""
        self.run(f"kubectl get {what} --context agency")


def _is_requested(story: _Story) -> None:
    story.chapter("Sales requests two clients, and may not approve them")
    story.note("Everybody has a context: " + ", ".join(f"{name} is {user}" for name, user in PEOPLE.items()) + ".")
    story.run("kubectl apply -f examples/billing/agency.yaml")
    story.run(
        f"kubectl create secret generic clientorg-smtp -n {AGENCY} --from-literal=host=127.0.0.1 "
        f"--from-literal=port={story.mail_port} --from-literal=security=none"
    )
    story.run("kubectl apply -f examples/billing/clients.yaml --context sales")
    story.until("both wait for an approval, and have nothing", _wait_for_approval)
    story.show("clientorgs")
    story.plugin("sales", "approve acme --yes", says=PEOPLE["sales"], refused=True)


def _is_approved(story: _Story) -> None:
    story.chapter("The owner of the platform approves them", datetime(2026, 11, 4, 1, tzinfo=UTC))
    story.plugin("approver", "approvals", says=PEOPLE["sales"])
    story.plugin("approver", "approve acme globex --reason 'contracts 2026-118 and 119' --yes --wait=30s")
    story.until("both are Ready", _are_ready, "Acme K.K.: your workspace is ready", "Globex Media: your workspace")
    story.show("orgapprovals,clientorgs")


def _gets_points(story: _Story) -> None:
    story.chapter(
        "The distributor sells points to the agency, which gives them on", datetime(2026, 11, 10, 1, tzinfo=UTC)
    )
    bought = f"points purchase {POOL} 45000 --reference INV-2026-1110 --yes"
    story.plugin("agency", bought, says="purchase", refused=True)
    story.plugin("distributor", f"{bought} --wait=30s")
    story.plugin("agency", "points add acme 20000 --reason 'the first month and a reserve' --yes --wait=30s")
    story.plugin("agency", "points estimate")
    story.note("Whatever the clients lack for the 25th, in one step:")
    story.plugin("agency", "points replenish --all --yes")
    story.until(
        "Globex has what it needs, and Acme more",
        lambda seen: (seen.balance("acme"), seen.balance("globex"), seen.pool_balance) == (20_000, 10_000, 15_000),
        "points are sufficient again",
    )


def _is_charged(story: _Story) -> None:
    story.chapter("The first charge: 10,000 for 10 users, 300 for each beyond", _anchor(2026, 11))
    story.until(
        "both are charged, and the agency knows that its points will not do for December",
        lambda seen: _is_charged_for("2026-11", acme=14_500, globex=10_000)(seen) and seen.is_short,
        "points are short",
    )
    story.show("clientorgs")
    story.plugin("agency", "points history acme --explain 2026-11", says="14,500")


def _runs_short(story: _Story) -> None:
    story.chapter("Acme grows to 30 users; the agency has too few points", datetime(2026, 12, 15, 1, tzinfo=UTC))
    story.run("""kubectl patch clientorgs acme --context agency --type=merge -p '{"spec":{"contractedUsers":30}}'""")
    story.until(
        "Acme's next charge is 16,000 points",
        lambda seen: (seen.status("acme").get("points") or {}).get("nextCharge") == 16_000,
    )
    story.plugin("agency", "points replenish --all --yes")
    story.until(
        "Acme is served, and Globex waits",
        lambda seen: (
            seen.balance("acme") == 16_000 and seen.waiting("TopUp") == {"org/globex": 10_000} and seen.is_short
        ),
    )
    story.show("quotapools nagoya -o jsonpath='{.status.conditions[?(@.type==\"PointsShort\")].message}'")
    story.show("pointtransactions")


def _buys_more(story: _Story) -> None:
    story.chapter("The agency buys more, and what waited goes through", datetime(2026, 12, 18, 1, tzinfo=UTC))
    story.plugin("distributor", f"points purchase {POOL} 60000 --reference INV-2026-1218 --yes --wait=30s")
    story.until(
        "Globex has its points too",
        lambda seen: (seen.balance("globex"), seen.pool_balance) == (10_000, 54_500) and not seen.is_short,
        "points are sufficient again",
    )
    story.show("clientorgs,quotapools")


def _is_charged_again(story: _Story) -> None:
    story.chapter("The second charge, as it was estimated", _anchor(2026, 12))
    story.until("both are charged, and nobody is below zero", _is_charged_for("2026-12", acme=16_000, globex=10_000))
    story.show("clientorgs")


def _gives_notice(story: _Story) -> None:
    story.chapter("Globex gives notice for the end of January", datetime(2027, 1, 12, 1, tzinfo=UTC))
    order = (
        "terminate globex --at 2027-02-01 --accepted-by hank@globex.example --consent-text 'the letter of 11 January'"
    )
    story.plugin("agency", f"{order} --yes --wait=30s", says="the shortfall of 10,000 points is made up")
    story.until("the end is scheduled", _ends_at("2027-01-31T15:00:00Z"), "Globex Media: your contract ends on")
    story.plugin("agency", "points replenish acme --yes")
    story.until("Acme has its points", lambda seen: (seen.balance("acme"), seen.pool_balance) == (16_000, 38_500))


def _is_charged_below_zero(story: _Story) -> None:
    story.chapter("The third charge: nobody gave Globex points any more", _anchor(2027, 1))
    story.until(
        "both are charged, and Globex is below zero",
        lambda seen: _is_charged_for("2027-01", acme=16_000, globex=10_000)(seen) and seen.balance("globex") == -10_000,
        "Globex Media: points balance below zero",
    )
    story.show("clientorgs")


def _is_terminated(story: _Story) -> None:
    story.chapter("Globex's contract ends by itself, and its account is settled", datetime(2027, 1, 31, 15, tzinfo=UTC))
    story.until(
        "Globex is terminated, at zero, and the pool has made it up",
        lambda seen: (
            seen.state("globex") == "Terminated"
            and seen.ready("globex")[0] == "True"
            and seen.balance("globex") == 0
            and seen.posted("Settlement") == {f"pool/{POOL}": 10_000}
            and seen.pool_balance == 28_500
        ),
        "Globex Media: your contract has ended",
    )
    story.show("clientorgs,quotapools")
    story.plugin("agency", "points history globex")


def _closes_the_books(story: _Story) -> None:
    story.chapter("The books: a statement for Acme, and the whole ledger verified", datetime(2027, 2, 2, tzinfo=UTC))
    file = story.folder / STATEMENT
    story.plugin("agency", f"export statement acme --month 2026-12 --output {file}")
    page = file.read_text(encoding="utf-8")
    if "16,000" not in page:
        raise DemoError(f"the statement {file} does not have the charge of 16,000 points")
    story.note(f"A page of {len(page):,} characters, to print or to mail; the demo takes it away with it.")
    story.plugin("agency", f"points history --pool {POOL}")
    story.plugin("agency", "ledger verify", says="The ledger holds.")


CHAPTERS: tuple[Callable[[_Story], None], ...] = (
    _is_requested,
    _is_approved,
    _gets_points,
    _is_charged,
    _runs_short,
    _buys_more,
    _is_charged_again,
    _gives_notice,
    _is_charged_below_zero,
    _is_terminated,
    _closes_the_books,
)


def _anchor(year: int, month: int) -> datetime:
    """When the plan charges in that month."""
    return datetime(year, month, 25, tzinfo=ZONE).astimezone(UTC)


def _wait_for_approval(seen: Books) -> bool:
    return all(
        seen.state(name) == "PendingApproval"
        and seen.ready(name) == ("False", "ApprovalPending")
        and not any(license_["granted"] for license_ in seen.status(name).get("licenses") or ())
        for name in ("acme", "globex")
    )


def _are_ready(seen: Books) -> bool:
    return all(
        seen.ready(name) == ("True", "Ready") and "nextCharge" in (seen.status(name).get("points") or {})
        for name in ("acme", "globex")
    )


def _is_charged_for(period: str, **points: int) -> Callable[[Books], bool]:
    charged = {f"org/{name}": amount for name, amount in points.items()}
    return lambda seen: (
        seen.posted("Charge", period) == charged and all(seen.balance(name) is not None for name in points)
    )


def _ends_at(moment: str) -> Callable[[Books], bool]:
    return lambda seen: (seen.status("globex").get("termination") or {}).get("scheduledTime") == moment
