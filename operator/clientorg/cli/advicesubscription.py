"""What to do about a client that has not paid, or whose trial is over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clientorg.cli.advicecase import Case
from clientorg.cli.options import PROGRAM


def payment_overdue(case: Case) -> Iterator[str]:
    """An invoice is overdue."""
    yield "An invoice is overdue; the condition Paused above says which. It goes on when the invoice is paid or void:"
    yield f"  kubectl get subscriptions {case.where} --field-selector spec.clientRef.name={case.row.name} -o wide"
    yield f"  {PROGRAM} subscription pay SUBSCRIPTION INVOICE {case.where}"


def trial_expired(case: Case) -> Iterator[str]:
    """The trial is over."""
    yield "Its trial is over and nothing was bought. Extend the trial, or convert it into what is paid for:"
    yield f"  kubectl get subscriptions {case.where} --field-selector spec.clientRef.name={case.row.name}"
    yield f"  {PROGRAM} subscription extend SUBSCRIPTION {case.where} --days N"
    yield f"  {PROGRAM} subscription convert SUBSCRIPTION {case.where} --months N"


SUBSCRIPTION_REMEDIES: dict[str, Callable[[Case], Iterator[str]]] = {
    "PaymentOverdue": payment_overdue,
    "TrialExpired": trial_expired,
}
"""By `Reason`, as `advice` has them."""
