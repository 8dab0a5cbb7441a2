"""A decision on a client: what refuses it, what would happen, and the OrgApproval that says it (FEATURES S2). Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from clientorg.api.meta import API_VERSION
from clientorg.cli.approvalrows import ApprovalRow, Standing, approval_row
from clientorg.cli.options import PROGRAM
from clientorg.cli.poolrows import stock_rows
from clientorg.cli.rows import ClientRow
from clientorg.cli.table import Cell, cells, table
from clientorg.cli.text import joined, number, plain
from clientorg.domain.timestamps import timestamp
from clientorg.errors import InputError

if TYPE_CHECKING:
    from clientorg.domain.approval import Verdict

Json = dict[str, Any]


class Choice(StrEnum):
    """What is decided; the value is the command's name."""

    APPROVE = "approve"
    REJECT = "reject"

    @property
    def done(self) -> str:
        """Past tense, for the line that reports it."""
        return "approved" if self is Choice.APPROVE else "rejected"

    @property
    def decision(self) -> str:
        """The spec.decision that it writes."""
        return "Approve" if self is Choice.APPROVE else "Reject"


@dataclass(frozen=True)
class Decided:
    """A decision that counts already."""

    decision: str
    by: str
    time: datetime | None

    @property
    def done(self) -> str:
        """`approved` or `rejected`."""
        return "approved" if self.decision == "Approve" else "rejected"


@dataclass(frozen=True)
class View:
    """One client and what was found about it.

    Attributes:
        user: who decides: the authenticated user.
        plan: None: there is none, or no right to read it.
        pool: the same.
        verdicts: the OrgApprovals on the client; None without the right to list them.
        taken: license to what the clients named before this one draw from the same pool.
    """

    choice: Choice
    client: Json
    plan: Json | None
    pool: Json | None
    verdicts: tuple[Verdict, ...] | None
    user: str
    reason: str | None
    now: datetime
    taken: dict[str, int] = field(default_factory=dict)

    @property
    def item(self) -> ApprovalRow:
        """The approval, flat."""
        return approval_row(self.client, self.plan, self.now)

    @property
    def row(self) -> ClientRow:
        """The client, flat."""
        return self.item.row

    @property
    def decided(self) -> Decided | None:
        """The decision that counts: as the operator recorded it, or as it will when it has read the OrgApprovals."""
        from clientorg.domain.approval import decide_approval

        record = (self.client.get("status") or {}).get("approval") or {}
        if record.get("decision"):
            return Decided(record["decision"], record.get("by") or "", timestamp(record.get("decidedTime")))
        valid = decide_approval(self.verdicts or (), self.row.uid, self.item.requested_by or None)
        return Decided(valid.decision, valid.by, timestamp(valid.created)) if valid is not None else None

    @property
    def is_unchanged(self) -> bool:
        """Whether it is decided so already."""
        decided = self.decided
        return decided is not None and decided.decision == self.choice.decision


def verdict_of(approval: Json) -> Verdict:
    """An OrgApproval as the rules see it."""
    from clientorg.domain.approval import Verdict

    return Verdict.of(approval)


def approval_name(client: str, uid: str, choice: Choice, user: str) -> str:
    """The name of the OrgApproval: the same for the same person, decision and object, so that repeating it is harmless.

    Of another person it is another one: a decision that does not count does not keep others from deciding.
    """
    return f"{client}-{uid[:8]}-{choice.value}-{hashlib.sha256(user.encode()).hexdigest()[:8]}"


def manifest(view: View) -> Json:
    """The OrgApproval."""
    spec: Json = {
        "clientRef": {"name": view.row.name},
        "clientUID": view.row.uid,
        "decision": view.choice.decision,
        **({"reason": view.reason} if view.reason is not None else {}),
        "approvedBy": view.user,
    }
    name = approval_name(view.row.name, view.row.uid, view.choice, view.user)
    metadata = {"name": name, "namespace": view.row.namespace}
    return {"apiVersion": API_VERSION, "kind": "OrgApproval", "metadata": metadata, "spec": spec}


def says_the_same(written: Json, wanted: Json) -> bool:
    """Whether an OrgApproval that is there is the same decision of the same person on the same object."""
    return all(written["spec"].get(key) == wanted["spec"][key] for key in ("clientUID", "decision", "approvedBy"))


# -- what is refused --------------------------------------------------------------------------------------------------


def check(view: View) -> None:
    """Raise InputError for what cannot be, with what to do instead."""
    row, item, where = view.row, view.item, f"{view.row.name} -n {view.row.namespace}"
    if view.client["metadata"].get("deletionTimestamp"):
        raise InputError(f"{row.name} is being deleted; there is nothing to decide")
    if view.decided is not None:
        _check_the_same(view, view.decided)
        return
    if item.standing is Standing.UNKNOWN:
        raise InputError(
            f"{row.name}: its plan {row.plan!r} is not there or cannot be read, so that it is not known whether it is "
            f"to be approved; correct spec.planRef, or ask for the right to read orgplans in namespace {row.namespace}"
        )
    if item.standing is Standing.NOT_ASKED:
        raise InputError(_not_asked(view))
    if not item.requested_by:
        raise InputError(
            f"{row.name} does not say who requested it, and nobody may decide on their own request; whoever requested "
            "it writes their name:\n"
            f'  kubectl patch clientorgs {where} --type=merge -p \'{{"spec":{{"requestedBy":"USER"}}}}\''
        )
    if item.requested_by == view.user:
        other = f"; to take the request back:  {PROGRAM} delete {where}" if view.choice is Choice.REJECT else ""
        raise InputError(
            f"{row.name} was requested by {plain(view.user)!r}, which is you, and nobody decides on their own request: "
            f"somebody else has to {view.choice.value} it{other}"
        )


def _check_the_same(view: View, decided: Decided) -> None:
    if decided.decision == view.choice.decision:
        return
    row, where = view.row, f"-n {view.row.namespace}"
    told = f"{row.name} was {decided.done} by {plain(decided.by)!r}{_on(view, decided)}, and a decision is final"
    if view.choice is Choice.APPROVE:
        raise InputError(
            f"{told}; to ask once more, delete it and create it anew:\n"
            f"  {PROGRAM} delete {row.name} {where} --confirm {row.name}\n"
            f"  {PROGRAM} create {row.name} {where} …"
        )
    raise InputError(f"{told}; to end it:  {PROGRAM} deactivate {row.name} {where}, or {PROGRAM} terminate")


def _on(view: View, decided: Decided) -> str:
    return "" if decided.time is None else f" on {view.item.calendar.full(decided.time)}"


def _not_asked(view: View) -> str:
    row = view.row
    if ((view.plan or {}).get("spec") or {}).get("approval") == "Manual":
        return f"{row.name} has its licenses and works, and is not asked about again; nobody has to {view.choice.value}"
    return (
        f"{row.name} is on the plan {row.plan!r}, which approves by itself (spec.approval: Automatic); nobody has to "
        f"{view.choice.value}"
    )


# -- what would happen ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draw:
    """One license that an approval draws from the pool; `available` is None when that is not known."""

    name: str
    asked: int
    available: int | None

    @property
    def left(self) -> int | None:
        """What the pool has after it."""
        return None if self.available is None else max(0, self.available - self.asked)

    @property
    def short(self) -> int:
        """How many the pool lacks."""
        return 0 if self.available is None else max(0, self.asked - max(0, self.available))


def draws(view: View) -> list[Draw]:
    """What an approval draws from the pool."""
    stock = {row.license: row.available for row in stock_rows(view.pool)} if view.pool is not None else None

    def available(name: str) -> int | None:
        found = None if stock is None else stock.get(name, 0)
        return None if found is None else found - view.taken.get(name, 0)

    return [Draw(e.name, e.wanted, available(e.name)) for e in view.row.licenses if e.wanted is not None]


def in_turn(views: Iterable[View]) -> Iterator[View]:
    """Several approvals one after the other: what the pool gives to one it does not have for the next."""
    taken: dict[str, Counter[str]] = {}
    for view in views:
        before = taken.setdefault(view.row.pool, Counter())
        view = replace(view, taken=dict(before))
        if view.choice is Choice.APPROVE and not view.is_unchanged and not any(d.short for d in draws(view)):
            before.update({draw.name: draw.asked for draw in draws(view)})
        yield view


def lines(view: View, *, color: bool) -> Iterator[str]:
    """What would happen, for a person."""
    row, item = view.row, view.item
    title = f" ({plain(row.display_name)})" if row.display_name else ""
    since = f" since {item.calendar.full(item.since)}" if item.since is not None else ""
    yield f"{row.name}{title} waits for approval{since}, requested by {plain(item.requested_by)}"
    if item.due is not None:
        late = "overdue since" if item.is_late else "to work by"
        yield f"  {item.waited_text}; {late} {item.calendar.with_distance(item.due, view.now)}"
    if view.choice is Choice.REJECT:
        yield f"Nothing is allocated or built. The rejection is final for this {row.name}, and says: {view.reason}"
        return
    users = f", {number(item.users)} contracted users" if item.users else ""
    yield f"Plan {plain(row.plan)}{users}. Licenses that are drawn from pool {plain(row.pool)}:"
    body = [
        cells(
            draw.name,
            Cell(number(draw.asked), right=True),
            Cell(number(draw.available), right=True),
            Cell(number(draw.left), right=True),
            Cell(number(draw.short) if draw.available is not None else "-", "red" if draw.short else None, True),
        )
        for draw in draws(view)
    ]
    yield from (f"  {text}" for text in table(["LICENSE", "ASKED", "AVAILABLE", "LEFT", "SHORT"], body, color=color))
    short = [f"{number(draw.short)} {draw.name}" for draw in draws(view) if draw.short]
    if short:
        yield f"The pool lacks {joined(short)}: {row.name} waits for them (QuotaPending) when it is approved."
        yield f"  {PROGRAM} pool {row.pool} -n {row.namespace}   # who holds most; raise it, or move licenses"


def document(view: View, written: Json | None) -> Json:
    """What would happen, or has, as data."""
    item, decided = view.item, view.decided
    out: Json = {"name": view.row.name, "namespace": view.row.namespace, "uid": view.row.uid}
    out |= {"decision": view.choice.decision, "approvedBy": decided.by if decided else view.user}
    out |= {"reason": view.reason, "requestedBy": item.requested_by or None}
    out |= {"waitedBusinessDays": item.waited, "overdue": item.is_late}
    if view.choice is Choice.APPROVE:
        out["licenses"] = [
            {"name": d.name, "asked": d.asked, "available": d.available, "left": d.left, "short": d.short}
            for d in draws(view)
        ]
    return out | {"approval": written["metadata"]["name"] if written is not None else None}


def question(choice: Choice, views: Sequence[View]) -> str:
    """What a person is asked before it is written."""
    return f"{choice.value.capitalize()} {joined(view.row.name for view in views)}?"
