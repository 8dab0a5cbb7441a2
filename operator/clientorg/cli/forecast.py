"""A client's points today and what its next charges leave of them, by the operator's own rules (FEATURES S8).

Balances come from what is posted, charges from `clientorg.domain.billing`: the functions that charge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clientorg.api.pointtransaction import Phase, TransactionKind
from clientorg.domain.points_record import NotCharged, contracted_users, points_record, why_not_charged
from clientorg.domain.timestamps import timestamp

# Imported late, here and in what uses this: the rules bring the whole plan along, and help and completion need neither.
if TYPE_CHECKING:
    from clientorg.domain.billing import BillingTerms, Charge
    from clientorg.domain.ledger import Transaction

Json = dict[str, Any]


@dataclass(frozen=True)
class Position:
    """What is posted for a client, and what is not yet.

    Attributes:
        pending: what transactions that are not posted would change.
        charged: the last period that a charge exists for, posted or not.
    """

    balance: int = 0
    pending: int = 0
    charged: str | None = None


@dataclass(frozen=True)
class Forecast:
    """One client.

    Attributes:
        ends: when its contract ends, if that is fixed; nothing is charged from then on.
        charges: those that are due and not made yet, and the next one; with --as-of all until then.
        why_none: why nothing is charged, where nothing is.
    """

    name: str
    org_id: str
    uid: str
    pool: str
    plan: str
    users: int
    position: Position
    terms: BillingTerms | None
    ends: datetime | None = None
    charges: tuple[Charge, ...] = ()
    why_none: str = ""

    @property
    def balance(self) -> int:
        """Points that are posted."""
        return self.position.balance

    @property
    def coming(self) -> int:
        """Points that the charges take."""
        return sum(charge.amount for charge in self.charges)

    @property
    def projected(self) -> int:
        """Balance after the charges, what is pending included."""
        return self.balance + self.position.pending - self.coming

    @property
    def next(self) -> Charge | None:
        """The charge that comes first."""
        return self.charges[0] if self.charges else None

    @property
    def runway(self) -> int | None:
        """Charges like the next that the balance covers; None where nothing is charged."""
        from clientorg.domain import billing

        return None if self.next is None else billing.runway(self.balance, self.next.amount)

    @property
    def accepts(self) -> bool:
        """Whether points can still be given to it, and are of use."""
        return not self.why_none or self.why_none not in ENDED

    def needs(self, to: int) -> int:
        """Points that keep it from being below `to` after the charges."""
        return max(0, to - self.projected)


ENDED: tuple[str, ...] = (NotCharged.TERMINATED, NotCharged.DEACTIVATED, NotCharged.DELETED)
"""For whom points are of no use."""


def position_of(client: Json) -> Position:
    """What the operator says in the client's status."""
    found = points_record(client)
    return Position() if found is None else Position(found.balance, found.pending, found.charged)


def forecast(
    client: Json, terms: BillingTerms | None, position: Position, now: datetime, until: datetime | None = None
) -> Forecast:
    """What comes for a client if nothing changes.

    Args:
        until: all charges until then; None: those that are due now, and the next one.
    """
    from clientorg.domain import billing
    from clientorg.domain.points import account_of

    metadata, spec, status = client["metadata"], client["spec"], client.get("status") or {}
    users = contracted_users(client)
    ends = _end_of(client)
    found = Forecast(
        name=metadata["name"],
        org_id=status.get("orgID") or "",
        uid=metadata.get("uid") or "",
        pool=spec["poolRef"]["name"],
        plan=spec["planRef"]["name"],
        users=users,
        position=position,
        terms=terms,
        ends=ends,
    )
    why_none = _why_nothing_is_charged(client, terms)
    if why_none or terms is None:
        return replace(found, why_none=why_none)
    account = account_of(client, terms, position.charged)
    charges = list(billing.coming_charges(account, until or now, users, terms))
    if until is None:
        after = replace(account, charged=charges[-1].period) if charges else account
        following = billing.next_charge(after, users, terms)
        charges += [following] if following is not None else []
    if ends is not None:
        charges = [charge for charge in charges if charge.due < ends]
    if not charges and until is None:
        why_none = "the contract ends before" if ends is not None else "not begun"
    return replace(found, charges=tuple(charges), why_none=why_none)


def _end_of(client: Json) -> datetime | None:
    asked = client["spec"].get("termination") or {}
    return timestamp(asked.get("time"))


def _why_nothing_is_charged(client: Json, terms: BillingTerms | None) -> str:
    """Why no charge comes; empty where one may. What is to end at once counts as ended."""
    why = why_not_charged(client)
    if why is not NotCharged.TERMINATED and (client["spec"].get("termination") or {}).get("immediate"):
        why = NotCharged.TERMINATED
    if why is not None:
        return why
    if terms is None:
        return "no charges by its plan"
    found = points_record(client)
    return "" if found is not None and found.charges_from else "not begun"


@dataclass
class Book:
    """Transactions, folded one after the other, so that a ledger of any length fits into memory.

    What is posted counts as it counts for the operator; a client's account is told by its Org ID.
    """

    by_org_id: dict[str, Position] = field(default_factory=dict)

    def add(self, transactions: Iterable[Transaction], org_ids: Mapping[str, str]) -> None:
        """Fold a page of them; what is rejected never counts.

        Args:
            org_ids: client to Org ID, for what is not posted and names only the client.
        """
        for item in transactions:
            org_id = item.org_id or org_ids.get(item.org or "")
            if item.org is None or org_id is None or item.phase is Phase.REJECTED:
                continue
            before = self.by_org_id.get(org_id, Position())
            period = item.period if item.kind is TransactionKind.CHARGE else None
            self.by_org_id[org_id] = Position(
                before.balance + (item.org_change if item.is_posted else 0),
                before.pending + (0 if item.is_posted else item.org_change),
                max(filter(None, (before.charged, period)), default=None),
            )
