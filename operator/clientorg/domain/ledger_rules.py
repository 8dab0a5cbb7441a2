"""What keeps a transaction out of a pool's ledger, whatever the pool has (FEATURES S6, S10, S11). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clientorg.api.conditions import Reason
from clientorg.api.meta import MAX_QUANTITY
from clientorg.api.pointtransaction import TransactionKind
from clientorg.domain.ledger import Transaction


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a transaction is not posted now, or never.

    Attributes:
        is_final: never; else it waits.
    """

    reason: Reason
    message: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class OrgAccount:
    """What posting has to know of a client.

    Attributes:
        balance: of what is posted for it.
        terminated: only its settlement, and charges that were due before, are posted any more.
        ends: when its contract ended, if it has: no charge is due from then on.
        is_restoring: it came back from a backup without its status, and its ledger with it: what was entered before its
            contract ended is entered again, until it is settled.
    """

    name: str
    org_id: str
    pool: str
    balance: int
    terminated: bool = False
    ends: datetime | None = None
    is_restoring: bool = False


def judge(
    transaction: Transaction,
    pool: str,
    account: OrgAccount | None,
    original: Transaction | None,
) -> Refusal | None:
    """What keeps a transaction from being posted whatever the pool has; None when nothing does.

    Args:
        pool: name of the pool in whose ledger it would be entered.
        account: the client that it is for; None where there is none, or it is for none.
        original: the transaction that it reverses.
    """
    if transaction.org is not None:
        # An Org ID in the spec means that client and no other of its name.
        known = account if account is None or transaction.org_id in (None, account.org_id) else None
        refusal = _judge_account(transaction, pool, known)
        if refusal is not None:
            return refusal
    if transaction.pool not in (None, pool):
        return Refusal(
            Reason.FOREIGN_ACCOUNT,
            f"spec.from, spec.to: pool/{transaction.pool} has its own ledger, and this is that of QuotaPool {pool!r}; "
            f"make another transaction with pool/{pool}",
            is_final=True,
        )
    if transaction.reverses is not None:
        return _judge_reversal(transaction, account, original)
    return None


def _judge_account(transaction: Transaction, pool: str, account: OrgAccount | None) -> Refusal | None:
    is_by_id = transaction.kind in (TransactionKind.CHARGE, TransactionKind.SETTLEMENT)
    if account is None:
        if transaction.kind is TransactionKind.SETTLEMENT and transaction.org_id is not None:
            return None  # the client is gone; its account is settled all the same
        return Refusal(
            Reason.CLIENT_NOT_FOUND,
            f"spec.from, spec.to: no client {transaction.org!r} in this namespace"
            + (f" with the Org ID {transaction.org_id}" if transaction.org_id else "")
            + "; create it, or delete this transaction",
        )
    if account.pool != pool or (transaction.pool is not None and transaction.pool != account.pool):
        return Refusal(
            Reason.FOREIGN_ACCOUNT,
            f"spec.from, spec.to: client {account.name!r} belongs to QuotaPool {account.pool!r}, and not to "
            f"{transaction.pool or pool!r}; make another transaction with pool/{account.pool}",
            is_final=True,
        )
    is_late = transaction.due is not None and account.ends is not None and transaction.due >= account.ends
    if account.terminated and (is_late or not (is_by_id or account.is_restoring)):
        return Refusal(
            Reason.CLIENT_TERMINATED,
            f"spec.from, spec.to: the contract of client {account.name!r} was terminated, and its account is settled; "
            "nothing is added or taken any more",
            is_final=True,
        )
    if abs(account.balance + transaction.org_change) > MAX_QUANTITY:
        return out_of_range("client's")
    return None


def _judge_reversal(
    transaction: Transaction, account: OrgAccount | None, original: Transaction | None
) -> Refusal | None:
    if original is None or not original.is_posted:
        return Refusal(
            Reason.REVERSAL_MISMATCH,
            f"spec.reverses: {transaction.reverses!r} is no posted transaction of this namespace; it waits until it "
            "is, or delete this Reversal",
        )
    expected = (original.target, original.source, original.amount)
    if (transaction.source, transaction.target, transaction.amount) != expected:
        return Refusal(
            Reason.REVERSAL_MISMATCH,
            f"spec.from, spec.to, spec.amount: a reversal of {original.name!r} is {original.amount} from "
            f"{original.target} to {original.source}; delete this one and make it anew",
            is_final=True,
        )
    if account is not None and original.org_id not in (None, account.org_id):
        return Refusal(
            Reason.REVERSAL_MISMATCH,
            f"spec.orgID: {original.name!r} was posted for the client with the Org ID {original.org_id}, and "
            f"{account.name!r} is another one of that name, with the Org ID {account.org_id}; delete this Reversal",
            is_final=True,
        )
    return None


def out_of_range(whose: str) -> Refusal:
    """Refuse for good what a status cannot hold: the "client's" balance, or the "pool's"."""
    return Refusal(
        Reason.BALANCE_OUT_OF_RANGE,
        f"spec.amount: the {whose} balance would be beyond 2^53; make a smaller transaction",
        is_final=True,
    )
