"""The contract side of one pass over a client: approval, users, points, termination. Gathers facts, and enters what the
operator itself has to enter in the ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from clientorg.api.orgplan import ApprovalMode, FirstCharge
from clientorg.control.accounts import Accounts, Settlement
from clientorg.control.clientobject import Client
from clientorg.control.newest import Newest
from clientorg.control.objects import Plan, Pool
from clientorg.control.store import Store
from clientorg.domain import approval as approvals
from clientorg.domain import billing, points, termination
from clientorg.domain.approval import Approval
from clientorg.domain.billing import BillingTerms
from clientorg.domain.points import Points, Users
from clientorg.domain.points_record import is_running
from clientorg.domain.termination import Termination
from clientorg.domain.timestamps import parse_time

Json = dict[str, Any]
FUTURE_SLACK = timedelta(minutes=5)
"""Clocks differ; a report from further ahead would make all others of its source look late."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The contract of a client, now.

    Attributes:
        is_let_in: nobody has to say yes before licenses are granted, or somebody did.
        charged: charges were made in this pass; the pass ends here, and another follows when they are posted.
        again: another pass has to follow at once: charging begins, or the account is settled, after this one's status.
        settling: why the account of a terminated client is not settled yet; empty when it is.
    """

    approval: Approval | None = None
    is_let_in: bool = True
    points: Points | None = None
    users: Users | None = None
    termination: Termination | None = None
    charged: bool = False
    again: bool = False
    settling: str = ""

    @property
    def is_terminated(self) -> bool:
        """Whether the contract has ended."""
        return self.termination is not None and self.termination.executed is not None

    def is_overdrawn(self, now: datetime) -> bool:
        """Whether the balance was below zero for longer than the plan tolerates."""
        return self.points is not None and self.points.is_overdrawn(now)

    def next_due(self, now: datetime) -> datetime | None:
        """When the passing of time changes something of the contract."""
        times: list[datetime] = []
        if self.points is not None:
            times += [self.points.next.due] if self.points.next is not None else []
            times += [self.points.suspends] if self.points.suspends is not None else []
        if self.termination is not None and self.termination.executed is None:
            times.append(self.termination.scheduled)
        if self.approval is not None and self.approval.ready is None and not self.approval.is_rejected:
            times.append(self.approval.due)
        return min((time for time in times if time > now), default=None)


class Contracts:
    """Gathers the contract of clients, and makes their charges and settlements."""

    def __init__(self, store: Store, accounts: Accounts, newest: Newest) -> None:
        self._store = store
        self._accounts = accounts
        self._newest = newest

    async def of(self, client: Client, pool: Pool | None, plan: Plan, status: Json, now: datetime) -> Contract:
        """The contract, after what is due was charged.

        Raises:
            ApiError: a charge or settlement was refused.
            ConflictError: client or plan changed since, and something is to be charged.
            UnreachableError: no answer.
            PlanError: the plan's terms cannot be read.
        """
        time_zone = plan.template.terms.time_zone
        terms = BillingTerms.of(plan.template.spec.billing, plan.name[1], plan.generation, time_zone)
        record = termination.advance(termination.termination_of(status), client.spec.get("termination"), now)
        was_terminated = client.is_terminated
        ends = record.scheduled if record is not None else None
        is_granted = client.last_grant > 0
        is_adopting = not is_granted and pool is not None and client.uid in pool.grants
        runs = (is_granted or is_adopting) and is_running(
            client.state, is_purging=client.purge_started is not None, is_terminated=was_terminated
        )
        begins_soon = is_adopting and terms is not None and terms.first_charge is not FirstCharge.NEXT_ANCHOR
        org = (client.name[0], client.org_id)
        ledger, remembered = self._store.ledger, status.get("points") or {}
        account = points.charging(
            remembered.get("chargesFrom"),
            ledger.charged(org),
            terms,
            now,
            runs=runs and not begins_soon and pool is not None,  # when it begins is not remembered before it is charged
            resumes=bool(status.get("deactivation")),
            noted=remembered.get("chargedThrough"),
        )
        ends_now = record is not None and record.executed is not None and not was_terminated
        charged, settling = False, ""
        if terms is not None and runs and is_granted and pool is not None:
            before = account
            await self._confirm(client, plan, account, terms, now, ends)
            account = await self._accounts.charge(client, account, terms, now, ends)
            charged = account != before
        if was_terminated and record is not None and record.settled is None:
            settlement = await self._accounts.settle(client)
            record = self._settled(record, settlement, now)
            settling = settlement.waits
        elif ends_now:
            settling = "charges until its end are being made"  # first that it has ended: nothing is added from then on
        approval = self._approval(client, plan, status, now)
        found = self._points(client, status, account, terms, now, runs=runs, ends=ends)
        if found is not None and found.negative_since != points.negative_since_of(status):
            # It is told, and pauses the client: not on a part of the account, as after a restart with old lists.
            await self._accounts.refresh(client)
            found = self._points(client, status, account, terms, now, runs=runs, ends=ends)
        return Contract(
            approval=approval,
            is_let_in=approval.is_approved if approval is not None else self._store.is_let_in(client),
            points=found,
            users=self._users(client, status, terms, now),
            termination=record,
            charged=charged,
            again=begins_soon or ends_now,
            settling=settling,
        )

    async def _confirm(
        self,
        client: Client,
        plan: Plan,
        account: billing.Account,
        terms: BillingTerms,
        now: datetime,
        ends: datetime | None,
    ) -> None:
        """Before a charge: who was deactivated, or got another plan or more users, before it fell due, is not charged
        as it was. An entry cannot be taken back, and the news may be late."""
        due = next(billing.due_charges(account, now, client.contracted_users, terms, ends=ends), None)
        if due is not None:
            await self._newest.confirm_client(client)
            await self._newest.confirm_plan(plan, now, since=due.due)

    @staticmethod
    def _settled(record: Termination, settlement: Settlement, now: datetime) -> Termination:
        record = replace(record, settlement=settlement.name)
        return replace(record, settled=now) if not settlement.waits else record

    def _points(
        self,
        client: Client,
        status: Json,
        account: billing.Account,
        terms: BillingTerms | None,
        now: datetime,
        *,
        runs: bool,
        ends: datetime | None,
    ) -> Points | None:
        ledger, org = self._store.ledger, (client.name[0], client.org_id)
        open_ = ledger.open_for(*client.name, client.org_id)
        if terms is None and not ledger.has_account(org) and not open_:
            return None
        found = points.points_of(
            balance=ledger.balance(org),
            pending=sum(item.fact.org_change for item in open_),
            account=account,
            users=client.contracted_users,
            terms=terms,
            negative_since=points.negative_since_of(status),
            now=now,
            runs=runs,
        )
        if ends is not None and found.next is not None and found.next.due >= ends:
            return replace(found, next=None)  # the contract ends before
        return found

    def _users(self, client: Client, status: Json, terms: BillingTerms | None, now: datetime) -> Users | None:
        before = points.users_of(status)
        readings = [
            (report.observed, report.users)
            for report in self._store.reports_of(client)
            if report.users is not None and report.observed <= now + FUTURE_SLACK
        ]
        if terms is None and not readings and before is None and not client.contracted_users:
            return None
        paid = None
        if terms is not None:
            period = billing.period_at(now, terms)
            paid = self._store.ledger.charged_users((client.name[0], client.org_id), period)
        contracted = billing.contracted_in_force(client.contracted_users, paid, terms)
        latest = max(readings, default=None)
        if latest is not None:
            return Users(contracted, latest[1], latest[0])
        return Users(contracted, before.used, before.observed) if before is not None else Users(contracted)

    def _approval(self, client: Client, plan: Plan, status: Json, now: datetime) -> Approval | None:
        record = approvals.approval_of(status)
        is_asked = plan.template.spec.approval == ApprovalMode.MANUAL and client.last_grant == 0
        if not is_asked and (record is None or record.decision is None):
            return None  # the plan asks nobody, or asks nobody any more
        return approvals.advance(
            record,
            [item.verdict for item in self._store.approvals_of(client.name)],
            client_uid=client.uid,
            requested_by=client.requested_by,
            requested=parse_time(client.created) if client.is_new else now,
            target=plan.template.spec.approval_target,
            time_zone=plan.template.terms.time_zone,
            now=now,
        )
