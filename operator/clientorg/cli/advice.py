"""What to do about a client that is not Ready: commands to copy, from what is known of it and its pool. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from clientorg.api.meta import ANNOTATION_TRANSFER
from clientorg.cli.adviceaccount import ACCOUNT_REMEDIES
from clientorg.cli.advicecase import Case
from clientorg.cli.advicelife import LIFE_REMEDIES, side_advice
from clientorg.cli.advicesubscription import SUBSCRIPTION_REMEDIES
from clientorg.cli.options import PROGRAM
from clientorg.cli.rows import client_row, condition
from clientorg.cli.text import age, joined, number

Json = dict[str, Any]

OPERATOR_NAMESPACE = "clientorg-system"


def advice(item: Json, pool: Json | None, now: datetime, plan: Json | None = None) -> list[str]:
    """Lines for a person; none when the client works and the operator has seen its newest version."""
    case = Case(item, client_row(item), pool, now, plan)
    metadata, status = item["metadata"], item.get("status") or {}
    observed = status.get("observedGeneration")
    if metadata.get("deletionTimestamp"):
        return list(_deleting(case))
    if observed is None or observed < 0:
        return list(_unseen(case))
    ready = condition(item, "Ready")
    lines = []
    if observed < metadata.get("generation", 0):
        lines.append("The status is that of an earlier version; the operator has not answered the newest change yet.")
    remedy = _REMEDIES.get(ready.get("reason", ""))
    if remedy is not None:
        lines += remedy(case)
    elif ready.get("message") and ready.get("status") != "True":
        lines.append("See the message of the condition Ready above.")
    # What a pause was told for (NegativeBalance) its own condition would tell once more.
    return list(dict.fromkeys([*lines, *side_advice(case)]))


def _unseen(case: Case) -> Iterator[str]:
    created = age(case.row.created, case.now)
    yield f"The operator has not seen it yet (created {created} ago). If that lasts: does it run?"
    yield f"  kubectl get pods,leases -n {OPERATOR_NAMESPACE}"


def _deleting(case: Case) -> Iterator[str]:
    since = age(case.item["metadata"].get("deletionTimestamp"), case.now)
    yield f"It has been going for {since}; the workspace goes first, which takes some seconds."
    if case.row.workspace:
        yield "If it lasts, this shows what holds the workspace:"
        yield f"  kubectl get namespace {case.row.workspace} -o jsonpath='{{.status.conditions}}'"
    yield f"If nothing happens at all, does the operator run?  kubectl get pods -n {OPERATOR_NAMESPACE}"


def _quota_pending(case: Case) -> Iterator[str]:
    for item in case.row.licenses:
        if not item.missing:
            continue
        available = case.available(item.name)
        known = "" if available is None else f" (the pool has {number(available)} available)"
        yield f"{number(item.missing)} more {item.name} are asked for than granted{known}. One of:"
        yield f"  kubectl edit quotapool {case.row.pool} {case.where}   # the agency gets more"
        yield (
            f"  {PROGRAM} reallocate {case.row.name} {case.where} --license {item.name} "
            f"--from OTHER --by {item.missing}   # move them from another client"
        )
        yield (
            f"  {PROGRAM} reallocate {case.row.name} {case.where} --license {item.name} "
            f"--to {item.granted or 0}   # ask for no more than it has"
        )
    yield f"Who waits with it, and who holds most:  {PROGRAM} pool {case.row.pool} {case.where}"


def _transfer_pending(case: Case) -> Iterator[str]:
    text = (case.item["metadata"].get("annotations") or {}).get(ANNOTATION_TRANSFER, "")
    source, _, rest = text.partition("/")
    license_name, _, rest = rest.partition("/")
    quantity = rest.partition("/")[0]
    yield "It waits for the other half of a move of licenses. Finish the move, or draw on the pool instead:"
    yield f"  {PROGRAM} reallocate {source} {case.where} --license {license_name} --to {quantity}"
    yield f"  kubectl annotate clientorgs {case.row.name} {case.where} {ANNOTATION_TRANSFER}-"


def _pool_not_found(case: Case) -> Iterator[str]:
    yield f"There is no pool {case.row.pool!r} in namespace {case.row.namespace}. Create it, or create the client anew"
    yield f"in another pool (a client's pool never changes). Those there are:  {PROGRAM} pool {case.where}"


def _pool_deleting(case: Case) -> Iterator[str]:
    yield f"The pool {case.row.pool!r} is being deleted and grants nothing more; it goes with its last client."


def _plan_not_found(case: Case) -> Iterator[str]:
    yield f"There is no plan {case.row.plan!r} in namespace {case.row.namespace}. Create it, or choose one of"
    yield f"  kubectl get orgplans {case.where}"
    yield (
        f"  kubectl patch clientorgs {case.row.name} {case.where} --type=merge "
        """-p '{"spec":{"planRef":{"name":"PLAN"}}}'"""
    )


def _license_unknown(case: Case) -> Iterator[str]:
    unknown = [item.name for item in case.row.licenses if item.wanted is not None and item.name not in case.stock]
    has = f" (it has {joined(case.stock)})" if case.stock else ""
    yield f"The pool {case.row.pool!r} has no license {joined(unknown, 'or') or 'of that name'}{has}. One of:"
    yield f"  kubectl edit clientorgs {case.row.name} {case.where}   # correct spec.licenses"
    yield f"  kubectl edit quotapool {case.row.pool} {case.where}   # add the license"


def _namespace_conflict(case: Case) -> Iterator[str]:
    name = case.row.workspace or f"{case.row.name}-<org ID>"
    yield f"A namespace of the name {name} is there and not this client's; it is never taken over. Look at it, and"
    yield "rename or delete it if nobody needs it:"
    yield f"  kubectl get namespace {name} -o yaml"


def _plan_refused(case: Case) -> Iterator[str]:
    yield "The message above says what is wrong with the plan. Correct it; its clients follow by themselves:"
    yield f"  kubectl edit orgplan {case.row.plan} {case.where}"


def _name_taken(case: Case) -> Iterator[str]:
    yield "The client has an object of its own where the plan's blueprint wants one. Have the client delete or rename"
    yield f"it, or rename the one in the plan ({case.row.plan}); then:"
    yield f"  {PROGRAM} reconcile {case.row.name} {case.where}"


def _rolling_out(case: Case) -> Iterator[str]:
    yield f"It waits for its turn to change to the blueprint of its plan, which says how far it is ({case.row.plan}):"
    yield f"  kubectl get orgplan {case.row.plan} {case.where}"


def _status_refused(case: Case) -> Iterator[str]:
    yield "The API server refuses the status that the operator writes: the CRDs are probably of another version than"
    yield "the operator. Whoever runs the platform applies those of its version (crds/); then:"
    yield f"  {PROGRAM} reconcile {case.row.name} {case.where}"


def _forbidden(case: Case) -> Iterator[str]:
    yield "The operator lacks a right; whoever runs the platform applies its roles anew (manifests/). It tries again by"
    yield f"itself; at once with:  {PROGRAM} reconcile {case.row.name} {case.where}"


def _retried(case: Case) -> Iterator[str]:
    yield "It is tried again by itself, with growing pauses; the message above says what failed. At once with:"
    yield f"  {PROGRAM} reconcile {case.row.name} {case.where}"


def _provisioning(case: Case) -> Iterator[str]:
    yield "It is on its way; that takes a few seconds. To see it become Ready:"
    yield f"  {PROGRAM} list {case.where} --search {case.row.name} --watch"


def _name_too_long(case: Case) -> Iterator[str]:
    yield "A name cannot be changed: delete the client, and create it with a shorter one (displayName can be long)."
    yield f"  {PROGRAM} delete {case.row.name} {case.where} --confirm {case.row.name}"


_REMEDIES: dict[str, Callable[[Case], Iterator[str]]] = {
    "QuotaPending": _quota_pending,
    "TransferPending": _transfer_pending,
    "PoolNotFound": _pool_not_found,
    "PoolDeleting": _pool_deleting,
    "PlanNotFound": _plan_not_found,
    "LicenseUnknown": _license_unknown,
    "NamespaceConflict": _namespace_conflict,
    "WorkspaceRefused": _plan_refused,
    "BlueprintInvalid": _plan_refused,
    "PlanInvalid": _plan_refused,
    "NameTaken": _name_taken,
    "RollingOut": _rolling_out,
    "StatusRefused": _status_refused,
    "Forbidden": _forbidden,
    "ApplyFailed": _retried,
    "Provisioning": _provisioning,
    "NameTooLong": _name_too_long,
    **LIFE_REMEDIES,
    **ACCOUNT_REMEDIES,
    **SUBSCRIPTION_REMEDIES,
}
"""By `Reason`; a test keeps the two in step (importing the enum here would cost every start 0.1 s)."""
