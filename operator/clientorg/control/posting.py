"""One round over a pool's ledger: which transactions are entered next (DESIGN rule 3; docs/decisions/0007)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, MutableMapping
from dataclasses import dataclass, field, replace

from clientorg.control.ledgerstore import Movement, Org
from clientorg.control.objects import Pool
from clientorg.control.store import Store
from clientorg.domain.ledger import Entry, Head
from clientorg.domain.ledger_posting import Round, post
from clientorg.domain.ledger_rules import OrgAccount, Refusal, judge
from clientorg.domain.termination import termination_of

MOST_IN_FLIGHT = 256
"""Entries in flight at once: bounds the pool object, and what a crash leaves to be resumed."""


@dataclass
class Postings:
    """What the pools' passes decided, for the transactions' passes. In memory: a restart decides anew.

    Attributes:
        refused: by transaction UID, why it is not posted.
        lost: UIDs of transactions that were deleted while they were in flight.
    """

    refused: dict[str, Refusal] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class LedgerRound:
    """What becomes of a pool's ledger in one pass.

    Attributes:
        in_flight: entries committed earlier that are not seen as posted yet.
        outcome: what is committed now.
    """

    in_flight: tuple[Entry, ...]
    outcome: Round

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything in flight after the pass."""
        return (*self.in_flight, *self.outcome.posted)


def plan_round(store: Store, pool: Pool, postings: Postings) -> LedgerRound:
    """Decide what is entered next. Reads only."""
    in_flight = tuple(entry for entry in pool.entries if _is_in_flight(store, pool, entry, postings))
    most = MOST_IN_FLIGHT - len(in_flight)
    head = _without_lost(head_of(store, pool), pool, postings)
    candidates = _candidates(store, pool, head, _coming(store, pool, in_flight), most)
    org_ids = {item.uid: org_id for item, _ in candidates if (org_id := store.ledger.org_id_of(item)) is not None}
    outcome = post(
        head,
        [(item.fact, refusal) for item, refusal in candidates],
        org_ids=org_ids,
        most=max(0, most),
        strict=pool.strict,
    )
    return LedgerRound(in_flight, outcome)


def head_of(store: Store, pool: Pool) -> Head:
    """Head of the pool's ledger; of a pool that lost its status, as its posted transactions have it."""
    if pool.head is not None:
        return pool.head
    balance, entries = store.ledger.posted(pool.name)
    return Head(balance, entries)


def is_behind(store: Store, pool: Pool, postings: Postings) -> bool:
    """Whether the pool's ledger has entries whose transactions we do not know, or do not know to be posted.

    So it is of a pool that has no ledger, or has lost it with its status. A transaction that was deleted while it was
    in flight is missing for good, and counts each time.
    """
    if pool.head is None:
        return True
    in_flight = sum(1 for entry in pool.entries if _is_in_flight(store, pool, entry, postings))
    _, known = store.ledger.posted(pool.name)
    return known < pool.head.entries - in_flight


def _without_lost(head: Head, pool: Pool, postings: Postings) -> Head:
    """The head without what a transaction moved that was deleted before it could be marked as posted. Its number stays
    missing: `ledger verify` tells."""
    lost = sum(entry.pool_change for entry in pool.entries if entry.uid in postings.lost)
    return replace(head, balance=head.balance - lost) if lost else head


def _is_in_flight(store: Store, pool: Pool, entry: Entry, postings: Postings) -> bool:
    movement = store.ledger.movements.get((pool.name[0], entry.name))
    if movement is None or movement.uid != entry.uid:
        return entry.uid not in postings.lost
    return not movement.fact.is_posted


def _candidates(
    store: Store, pool: Pool, head: Head, coming: Counter[Org], most: int
) -> list[tuple[Movement, Refusal | None]]:
    """What may be posted, and what keeps it from that: everything that draws on the pool, because it queues for its
    points, and of the rest as much as there is room for. What cannot be posted takes no room."""
    flying = {entry.uid for entry in pool.entries}
    begun = {group.name for group in head.groups}
    found, free = [], 0
    for item in store.ledger.open_of(pool.name):
        if item.uid in flying or item.deleting:
            continue
        is_free = item.fact.pool_change >= 0 and item.fact.group is None
        if is_free and free >= most:
            continue
        refusal = judged(store, pool.name[1], item, begun, coming)
        free += is_free and refusal is None
        found.append((item, refusal))
    return found


def _coming(store: Store, pool: Pool, in_flight: Iterable[Entry]) -> Counter[Org]:
    """What entries in flight change of the balances of clients, which are folds of what is posted."""
    coming: Counter[Org] = Counter()
    for entry in in_flight:
        movement = store.ledger.movements.get((pool.name[0], entry.name))
        if movement is not None and entry.org_id is not None:
            coming[pool.name[0], entry.org_id] += movement.fact.org_change
    return coming


def judged(
    store: Store,
    pool: str,
    movement: Movement,
    begun: Collection[str] = (),
    coming: MutableMapping[Org, int] | None = None,
) -> Refusal | None:
    """What keeps a transaction from being entered in the ledger of the pool of that name, whatever the pool has.

    Args:
        begun: groups that are being posted: their transactions are committed, and a contract that ends meanwhile
            waits for them with its settlement.
        coming: what is committed of the balances of clients beyond what is posted; this transaction is added, if
            nothing is wrong with it.
    """
    fact, agency = movement.fact, movement.name[0]
    account = None
    if fact.org is not None:
        client = store.clients.get((agency, fact.org))
        if client is not None and fact.org_id in (None, client.org_id):
            org = (agency, client.org_id)
            balance = store.ledger.balance(org) + (coming or {}).get(org, 0)
            is_begun = fact.group is not None and fact.group[0] in begun
            has_ended = (client.is_terminated or client.deleting) and not is_begun
            record = termination_of(client.status) if client.is_terminated else None
            # Never granted anything here: its contract had ended elsewhere, and its ledger comes back after it.
            is_restoring = client.is_restored and client.last_grant == 0 and not client.deleting
            account = OrgAccount(
                client.name[1],
                client.org_id,
                client.pool,
                balance,
                terminated=has_ended,
                ends=record.scheduled if record is not None else None,
                is_restoring=is_restoring and record is not None and record.settled is None,
            )
    original = None
    if fact.reverses is not None:
        reversed_ = store.ledger.movements.get((agency, fact.reverses))
        original = reversed_.fact if reversed_ is not None else None
    refusal = judge(fact, pool, account, original)
    if refusal is None and account is not None and coming is not None:
        org = (agency, account.org_id)
        coming[org] = coming.get(org, 0) + fact.org_change
    return refusal


def changed(postings: Postings, outcome: Round) -> Iterable[str]:
    """UIDs of transactions whose status has to say something else; remembers what was decided."""
    for uid, refusal in outcome.refused.items():
        if postings.refused.get(uid) != refusal:
            postings.refused[uid] = refusal
            yield uid
    for entry in outcome.posted:
        postings.refused.pop(entry.uid, None)
