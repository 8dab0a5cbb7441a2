"""What to do about a client that is paused, deactivated or not told, and about usage that is not reported. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clientorg.cli.adviceaccount import ACCOUNT_REMEDIES, negative_balance
from clientorg.cli.advicecase import Case
from clientorg.cli.advicesubscription import SUBSCRIPTION_REMEDIES
from clientorg.cli.dates import calendar_of
from clientorg.cli.options import PROGRAM
from clientorg.cli.rows import condition
from clientorg.cli.staying import exhausted_lines


def paused(case: Case) -> Iterator[str]:
    """Paused: by wish, or for another reason."""
    if "Requested" in case.row.pause_reasons:
        yield "It is paused by wish (spec.state is Paused). To let it go on:"
        yield f"  {PROGRAM} resume {case.named}"
    for reason in case.row.pause_reasons:
        if reason == "QuotaExhausted":
            yield from quota_exhausted(case)
        elif reason == "NegativeBalance":
            yield from negative_balance(case)
        elif reason == "Hold":
            yield from held(case)
        elif reason in SUBSCRIPTION_REMEDIES:
            yield from SUBSCRIPTION_REMEDIES[reason](case)
        elif reason != "Requested":
            yield f"It is paused for {reason}; the condition Paused above says more."
    if not case.row.pause_reasons:
        yield "It is paused; the condition Paused above says why."


def held(case: Case) -> Iterator[str]:
    """Somebody has put a hold on it."""
    yield "Somebody has put a hold on it, which Git does not take back; why says the condition Paused above. To end it:"
    yield f"  {PROGRAM} release {case.named}"


def quota_exhausted(case: Case) -> Iterator[str]:
    """Everything that is granted is used."""
    yield from exhausted_lines(case.item, case.pool, calendar_of(case.plan), case.now)


def pausing(case: Case) -> Iterator[str]:
    """What runs is being stopped."""
    yield "What runs is being stopped, which takes some seconds. If it lasts, this shows what does not stop:"
    yield f"  kubectl get pods -n {case.row.workspace or 'WORKSPACE'}"


def blocked(case: Case) -> Iterator[str]:
    """Something does not stop."""
    yield "Not everything stops; the condition PauseBlocked above says what and why. A finalizer is released by who set"
    yield "it; a pod of a lost node goes once the node is back, or is deleted. What is there:"
    yield f"  kubectl get pods -n {case.row.workspace or 'WORKSPACE'} -o wide"


def resuming(case: Case) -> Iterator[str]:
    """What ran is being started again."""
    yield "What ran before is being started again, which takes some seconds. If it lasts, this shows what is missing:"
    yield f"  kubectl get pods,events -n {case.row.workspace or 'WORKSPACE'}"


def deactivated(case: Case) -> Iterator[str]:
    """The grace period runs."""
    yield "Everything of it is deleted at the end of its grace period. When what happens, and the way back until then:"
    yield f"  {PROGRAM} timeline {case.named}"
    yield f"  {PROGRAM} reactivate {case.named}"


def notice_pending(case: Case) -> Iterator[str]:
    """The purge waits for its last reminder."""
    yield "It is not deleted before its last reminder was delivered and the notice after it has passed. What became of"
    yield "the reminder; correct the contact or the mail server, and send it again:"
    yield f"  {PROGRAM} notify {case.named}"
    yield f"  {PROGRAM} notify {case.named} --resend reminder"


def purge_braked(case: Case) -> Iterator[str]:
    """Too many purges within an hour."""
    yield "Its deletion waits: the agency had as many within an hour as the operator allows (purges-per-hour), so that"
    yield "a wrong clock or plan cannot wipe an agency. It goes on by itself. If it is wrong, bring it back:"
    yield f"  {PROGRAM} reactivate {case.named}"


def purging(case: Case) -> Iterator[str]:
    """Everything is being deleted."""
    yield "Everything of it is being deleted; there is no way back. If it lasts, this shows what holds the workspace:"
    namespace = case.row.workspace or "WORKSPACE"
    yield f"  kubectl get namespace {namespace} -o jsonpath='{{.status.conditions}}'"


def purged(case: Case) -> Iterator[str]:
    """A tombstone."""
    yield "Everything of it was deleted; its record stays, so that Git and cluster agree. If nobody needs the record:"
    yield f"  {PROGRAM} delete {case.named} --confirm {case.row.name}"


def already_purged(case: Case) -> Iterator[str]:
    """Somebody wants a tombstone back."""
    yield "What was deleted cannot be brought back. Set its record right, or delete the record and begin anew:"
    yield f"  {PROGRAM} deactivate {case.named}"
    yield f"  {PROGRAM} delete {case.named} --confirm {case.row.name}"


def stale(case: Case) -> Iterator[str]:
    """Nobody reports use."""
    yield "Nobody reports its use any more; it is neither paused nor resumed for that. Who counted, and the reports:"
    yield f"  {PROGRAM} usage {case.named}"
    yield f"  kubectl get usagereports {case.where} --field-selector spec.orgID={case.row.org_id or 'ORG_ID'}"
    yield f"  {PROGRAM} pool {case.row.pool} {case.where}   # its Prometheus, if it has one"


def delivery_failed(case: Case) -> Iterator[str]:
    """Messages are not delivered."""
    outbox = (case.item.get("status") or {}).get("outbox") or ()
    states = [(entry["key"], entry.get(way) or {}) for entry in outbox for way in ("mail", "webhook")]
    failed = list(dict.fromkeys(key for key, item in states if item.get("state") == "Failed"))
    yield "Messages to its contact are not delivered. What and why; correct the contact, the mail server or webhook:"
    yield f"  {PROGRAM} notify {case.named}"
    yield f"  {PROGRAM} edit-contact {case.named} --email ADDRESS"
    for key in failed[:3]:
        yield f"  {PROGRAM} notify {case.named} --resend {key}"


LIFE_REMEDIES: dict[str, Callable[[Case], Iterator[str]]] = {
    "Paused": paused,
    "Requested": paused,
    "QuotaExhausted": quota_exhausted,
    "Hold": held,
    "Pausing": pausing,
    "Blocked": blocked,
    "Resuming": resuming,
    "Deactivated": deactivated,
    "NoticePending": notice_pending,
    "PurgeBraked": purge_braked,
    "Purging": purging,
    "Purged": purged,
    "AlreadyPurged": already_purged,
    "Stale": stale,
    "DeliveryFailed": delivery_failed,
}
"""By `Reason`, as `advice` has them."""

_SIDE_CONDITIONS = (
    ("PauseBlocked", "True"),
    ("NotificationFailing", "True"),
    ("UsageReported", "False"),
    ("ApprovalOnTarget", "False"),
    ("BalanceNegative", "True"),
    ("UsersOverLimit", "True"),
)


def side_advice(case: Case) -> Iterator[str]:
    """For conditions that leave Ready as it is."""
    for kind, bad in _SIDE_CONDITIONS:
        if kind == "UsageReported" and case.row.deactivated_since is not None:
            continue  # nothing runs, so nothing is used
        found = condition(case.item, kind)
        remedy = {**LIFE_REMEDIES, **ACCOUNT_REMEDIES}.get(found.get("reason", ""))
        if found.get("status") == bad and remedy is not None:
            yield from remedy(case)
