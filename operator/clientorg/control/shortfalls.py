"""What the clients of a pool need so that none falls below zero at its next charge (FEATURES S8, S10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from clientorg.control.clientobject import Client
from clientorg.control.ledgerstore import LedgerStore


def needed_points(ledger: LedgerStore, agency: str, short: Iterable[Client]) -> tuple[int, str | None]:
    """Points that are needed, and by when.

    A client's status follows the ledger a moment later. Meanwhile points that it was just given have left the pool, or
    wait to, and the client would still count as short of them: the agency would be told of a shortage that is none. So
    the ledger's own balance counts where it is better. Not where it is worse: the charge that lowered it may be the one
    that the status still announces as the next.

    Args:
        short: clients that fall below zero by their status.

    Returns:
        Points, and the time of the earliest of those charges, RFC 3339; None where nothing is needed.
    """
    pending: Counter[tuple[str | None, str | None]] = Counter()
    for item in ledger.open_in(agency):
        pending[item.fact.org, ledger.org_id_of(item)] += item.fact.org_change
    needed, times = 0, []
    for client in short:
        balance = ledger.balance((agency, client.org_id)) + pending[client.name[1], client.org_id]
        points = min(client.shortfall, client.next_charge - balance)
        if points > 0:
            needed += points
            times.append(client.charge_due)
    return needed, min((time for time in times if time is not None), default=None)
