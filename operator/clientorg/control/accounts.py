"""What the operator itself enters in the ledger: the monthly charge, and the settlement at the end (FEATURES S7, S11).

Each has a name that follows from what it is for, so that the API server refuses the second one (DESIGN rule 4). Posting
them is the pool's work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from clientorg.cluster.resources import POINT_TRANSACTIONS
from clientorg.cluster.rest import Api, Json
from clientorg.control.clientobject import Client
from clientorg.control.store import Store
from clientorg.domain import billing
from clientorg.domain.billing import Account, BillingTerms
from clientorg.domain.ledger import ORG_PREFIX, settlement_name
from clientorg.domain.ledger_records import charge_manifest, settlement_manifest, transaction_of
from clientorg.errors import AlreadyExistsError, NamespaceTerminatingError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """How far the settlement of an account is.

    Attributes:
        name: of the transaction that settles it; None where there is nothing to settle.
        waits: for what; empty when it is settled.
    """

    name: str | None = None
    waits: str = ""

    @property
    def is_made(self) -> bool:
        """Whether nothing is left to be done but to post it."""
        return self.name is not None or not self.waits


class Accounts:
    """Makes charges and settlements.

    Args:
        taken: takes in a transaction in its newest version, and wakes whom it concerns.
    """

    def __init__(self, api: Api, store: Store, taken: Callable[[Json], None]) -> None:
        self._api = api
        self._store = store
        self._taken = taken

    async def charge(
        self, client: Client, account: Account, terms: BillingTerms, now: datetime, ends: datetime | None
    ) -> Account:
        """Charge every period that has begun, the oldest first.

        Args:
            ends: when the contract ends, if that is known.

        Returns:
            The account with what was charged.

        Raises:
            ApiError: a charge was refused; those before it are made.
            UnreachableError: no answer; the charge may have been made, and is found by its name.
        """
        for charge in billing.due_charges(account, now, client.contracted_users, terms, ends=ends):
            manifest = charge_manifest(client.name[0], client.name[1], client.org_id, client.pool, charge)
            try:
                await self._create(manifest)
            except NamespaceTerminatingError:
                break  # the agency is being deleted, and its ledger with it
            account = replace(account, charged=charge.period)
        return account

    async def settle(self, client: Client) -> Settlement:
        """Bring the account of a client to zero when nothing else of it is under way.

        It is settled when the server's newest state says so. One settlement does it, but where another process, which
        had not heard of the end, posted something in the meantime: that is settled by another one.

        Raises:
            ApiError: the settlement was refused.
            UnreachableError: no answer.
        """
        agency, name = client.name
        first, number = settlement_name(client.org_id), 1
        while (known := self._store.ledger.movements.get((agency, settlement_name(client.org_id, number)))) is not None:
            if not known.fact.is_posted:
                return Settlement(first, f"PointTransaction {known.name[1]} waits to be posted")
            number += 1
        open_ = [item.name[1] for item in self._store.ledger.open_for(agency, name, client.org_id)]
        if open_:
            return Settlement(None, f"waits for {', '.join(sorted(open_)[:3])} to be posted or rejected")
        balance = await self._newest_balance(client)
        if balance is None:
            return Settlement(None, "waits for the newest transactions to be posted")
        manifest = settlement_manifest(agency, name, client.org_id, client.pool, balance, number)
        if manifest is None:
            return Settlement(first if number > 1 else None)
        try:
            await self._create(manifest)
        except NamespaceTerminatingError:
            return Settlement()  # the agency is being deleted, and its ledger with it
        return Settlement(first, f"PointTransaction {manifest['metadata']['name']} waits to be posted")

    async def _newest_balance(self, client: Client) -> int | None:
        """The balance by the server's newest state, because a settlement cannot be corrected; None: not final yet."""
        found = await self._newest_entries(client)
        facts = [transaction_of(item) for item in found]
        ours = [fact for fact in facts if fact.org_id in (None, client.org_id)]
        if any(not fact.is_posted and not fact.is_rejected for fact in ours):
            for item in found:
                self._taken(item)
            return None
        return sum(fact.org_change for fact in ours if fact.is_posted)

    async def refresh(self, client: Client) -> None:
        """Take in the server's newest state of the account: what was heard of it may be late, or a part of it.

        Raises:
            ApiError: it cannot be read.
            UnreachableError: no answer.
        """
        for item in await self._newest_entries(client):
            self._taken(item)

    async def _newest_entries(self, client: Client) -> list[Json]:
        """The transactions from and to a client's account, as the server has them now."""
        agency, name = client.name
        found: dict[str, Json] = {}
        for side in ("from", "to"):
            selector = f"spec.{side}={ORG_PREFIX}{name}"
            async for page in self._api.list_pages(POINT_TRANSACTIONS, agency, field_selector=selector):
                for item in page["items"]:
                    found[item["metadata"]["uid"]] = item
        return list(found.values())

    async def _create(self, manifest: Json) -> None:
        metadata = manifest["metadata"]
        try:
            made = await self._api.create(POINT_TRANSACTIONS, metadata["namespace"], manifest)
        except AlreadyExistsError:
            made = await self._api.get(POINT_TRANSACTIONS, metadata["namespace"], metadata["name"])
        self._taken(made)
